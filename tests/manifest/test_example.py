"""The example that ships: it can be applied, and its tenants behave as its comments say."""

from pathlib import Path
from typing import Any

from factories import Callers
from rollcall.access import accounts
from rollcall.directory.rules import RoleRule, Seen
from rollcall.manifest.applying import apply
from rollcall.manifest.parsing import Manifest, read_manifest
from rollcall.tenancy import plans, tenants

from .conftest import undone

EXAMPLE = Path(__file__).parents[2] / "tenants.example.toml"


def _example() -> Manifest:
    return read_manifest(EXAMPLE)


def _rule(slug: str) -> RoleRule:
    rule = _example().tenants[slug].roles
    assert rule is not None
    return rule


def _role(rule: RoleRule, *names: str, source: str = "") -> Any:
    reading = rule.read(Seen(name, source) if source else Seen.in_group(name) for name in names)
    return "conflict" if reading.conflict else reading.role or rule.default


async def test_applied(callers: Callers) -> None:
    """The example can be applied whole, each of its tenants has an admin, and a second time nothing changes."""
    async with undone(callers.database) as fleet:
        example = _example()
        await apply(fleet, example)
        assert await apply(fleet, example) == []
        for slug in example.tenants:
            tenant = await tenants.find(fleet, slug)
            async with fleet.within(tenants.ref(tenant)) as work:
                assert await accounts.admins(work) == len(example.tenants[slug].admins) >= 1


async def test_plans(callers: Callers) -> None:
    """SCIM belongs to business and enterprise, and the free plan has none."""
    async with undone(callers.database) as fleet:
        await apply(fleet, _example())
        with_scim = {plan.key for plan in await plans.every(fleet) if "scim" in plan.features}
        assert {"business", "enterprise"} <= with_scim
        assert "free" not in with_scim
        used = {(tenant.plan, tenant.token_issuing) for tenant in await tenants.every(fleet)}
        assert {("business", "self_service"), ("enterprise", "ops")} <= used


def test_tenant_with_a_prefix() -> None:
    """Names that begin with dart- mean five roles in any spelling; two roles at once conflict; none is the default."""
    rule = _rule("juniper")
    assert _role(rule, "DART_MEMBER", source="roles") == "member"
    assert _role(rule, "Dart-Technical_Admins") == "technical-admin"
    assert _role(rule, "dart-admins", "dart-guests") == "conflict"
    assert _role(rule, "Everyone") == "member"
    assert rule.on_conflict == "reject"


def test_tenant_with_group_names() -> None:
    """Three group names mean three roles, and nothing but groups is looked at."""
    rule = _rule("harbour")
    named = {name: _role(rule, name) for name in ("dacard-admins", "dacard-leads", "dacard-members")}
    assert named == {"dacard-admins": "admin", "dacard-leads": "lead", "dacard-members": "member"}
    assert _role(rule, "dacard-leads", source="roles") == "member"
    assert _example().tenants["harbour"].tokens == "ops"


def test_tenant_with_the_groups_claim() -> None:
    """The groups claim at sign-in names roles; SCIM groups do not."""
    rule = _rule("kettle")
    assert _role(rule, "kettle-editors", source="claim") == "editor"
    assert _role(rule, "kettle-editors") == "viewer"
    assert _role(rule, "roastery writers", source="roles") == "editor"


def test_every_line_is_explained() -> None:
    """Each first use of a key has a comment on its line or right above it."""
    seen: set[str] = set()
    above = ""
    for line in EXAMPLE.read_text().splitlines():
        name = line.split("=")[0].strip() if "=" in line and not line.startswith("#") else ""
        kind = "role" if name.startswith("roles.") else name
        if kind and kind not in seen:
            assert "#" in line or above.startswith("#"), f"no comment explains {line!r}"
            seen.add(kind)
        above = line if kind != "role" else above
    assert {"name", "features", "seats", "status", "tokens", "prefix", "external_id", "role"} <= seen


def test_addresses_are_reserved() -> None:
    """Nobody real is named: every address is in a domain that is reserved for examples."""
    people = [admin for tenant in _example().tenants.values() for admin in tenant.admins]
    assert all(admin.user_name.endswith(".example") for admin in people)
    assert all(admin.email is None or admin.email.endswith(".example") for admin in people)
