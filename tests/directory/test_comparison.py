"""Names of roles by the second comparison: an upgrade changes nobody's role, an edit of the rule does, after a look."""

# ruff: noqa: RUF001  # letters that look alike are what it is about

from typing import Any
from uuid import UUID

import pytest

from cli.shell import Shell
from factories import DART_RULE, ORIGIN, Callers, Tenant, a_tenant
from rollcall.db import Connection
from rollcall.directory.rules import RoleRule, Seen
from rollcall.manifest.applying import compare
from rollcall.manifest.parsing import parse_manifest
from rollcall.settings import Settings
from rollcall.work import SYSTEM, open_fleet

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
WIDE, HIDDEN = "ｄａｒｔ-admins", "dart\u200b-guests"


async def role(tenant: Tenant, person: dict[str, Any]) -> str:
    """The role somebody has now."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/people/{person['id']}")).json()["role"]


async def from_before(owner: Connection, tenant: Tenant) -> None:
    """Have a tenant be one that was there before the comparison."""
    await owner.execute("UPDATE tenants SET name_comparison = 1 WHERE id = $1", UUID(tenant.id))


async def edited(tenant: Tenant, *, path: str = "", **more: Any) -> dict[str, Any]:
    """What putting the rule with *more* in force answers, or with a path looking at it."""
    method = "POST" if path else "PUT"
    answer = await tenant.callers.operator.request(method, f"{tenant.v1}/role-rule{path}", json=DART_RULE | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("name", "meant"), [(WIDE, "admin"), (HIDDEN, "guest"), ("dart\u2060-ＭＥＭＢＥＲ ", "member")]
)
def test_reading(name: str, meant: str) -> None:
    """By the second a name counts whatever its width, and without what nobody sees; by the first it does not."""
    for comparison, expected in ((2, meant), (None, meant), (1, None)):
        rule = RoleRule.model_validate(DART_RULE | {"comparison": comparison})
        assert rule.read([Seen(name, "roles")]).role == expected
        assert rule.read([Seen(f" DART_{meant}s ", "roles")]).role == meant


@pytest.mark.parametrize("wrong", [True, 1.0, "2", 0, 3])
def test_versions(wrong: object) -> None:
    """There are two versions."""
    with pytest.raises(ValueError, match="comparison"):
        RoleRule.model_validate(DART_RULE | {"comparison": wrong})


async def test_a_new_tenant(callers: Callers) -> None:
    """It begins with the newest; one may be taken on with the first."""
    acme = await a_tenant(callers)
    admin = await acme.person(roles=[WIDE])
    assert await role(acme, admin) == "admin"
    old = await a_tenant(callers, rule=DART_RULE | {"comparison": 1})
    assert await role(old, await old.person(roles=[WIDE])) == "member"


async def test_an_edit_and_its_preview(owner: Connection, acme: Tenant) -> None:
    """Nothing changes until the rule is edited to say so; the preview names whom it changes, and cases open."""
    await from_before(owner, acme)
    wide = await acme.person(roles=[WIDE])
    torn = await acme.person(roles=[HIDDEN, "dart-admins"])
    member = await acme.person()
    made = await acme.scim.post(
        "/Groups", json={"schemas": [GROUP], "displayName": HIDDEN, "members": [{"value": member["id"]}]}
    )
    assert made.status_code == 201
    roles = [await role(acme, each) for each in (wide, torn, member)]
    assert roles == ["member", "admin", "member"]

    assert (await edited(acme, default="member"))["changed"] is False, "a rule that says nothing keeps the first"
    seen = await edited(acme, path="/preview", comparison=2)
    assert (seen["changed"], seen["conflicts"]) == (2, 1)
    assert {each["person"]: (each["before"], each["after"], each["conflict"]) for each in seen["people"]} == {
        wide["id"]: ("member", "admin", False),
        torn["id"]: ("admin", "admin", True),
        member["id"]: ("member", "guest", False),
    }
    assert [await role(acme, each) for each in (wide, torn, member)] == roles

    assert (await edited(acme, comparison=2))["changed"] is True
    assert [await role(acme, each) for each in (wide, torn, member)] == ["admin", "admin", "guest"]
    cases = (await acme.callers.operator.get(f"{acme.v1}/conflict-cases")).json()["data"]
    assert [case["user_name"] for case in cases] == [torn["userName"]]
    rule = (await acme.callers.operator.get(f"{acme.v1}/role-rule")).json()["rule"]
    assert rule["comparison"] == 2
    again = await acme.callers.operator.put(f"{acme.v1}/role-rule", json=rule)
    assert again.json()["changed"] is False
    assert (await edited(acme, comparison=1))["changed"] is True, "there is a way back"


async def test_taking_away_by_the_rule(acme: Tenant) -> None:
    """Whoever takes a role away by another spelling of its name has taken it away."""
    wide = await acme.person(roles=[WIDE])
    operation = {"op": "remove", "path": 'roles[value eq "dart-admins"]'}
    answer = await acme.scim.patch(
        f"/Users/{wide['id']}",
        json={"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]},
    )
    assert answer.status_code == 200, answer.text
    assert await role(acme, wide) == "member"


async def test_the_command(owner: Connection, acme: Tenant, settings: Settings) -> None:
    """It shows whom it would change, then changes them."""
    shell = Shell(settings)
    await from_before(owner, acme)
    wide = await acme.person(roles=[WIDE])
    said = (await shell("roles", "compare", acme.slug, "2", "--dry-run")).well
    assert wide["userName"] in said
    assert await role(acme, wide) == "member"
    await shell("roles", "compare", acme.slug, "2")
    assert await role(acme, wide) == "admin"


@pytest.mark.parametrize(("said", "before", "after"), [(None, 1, 1), (None, 2, 2), (2, 1, 2), (1, 2, 1)])
def test_what_a_rule_keeps(said: int | None, before: int, after: int) -> None:
    """A rule that does not say how it compares names does it as the one before."""
    rule = RoleRule.model_validate(DART_RULE | {"comparison": said})
    assert rule.following(RoleRule.model_validate(DART_RULE | {"comparison": before})).comparison == after


async def test_a_file_says_nothing_of_it(owner: Connection, acme: Tenant) -> None:
    """Applying a file that leaves the comparison out changes nothing; one that says it is an edit."""
    await from_before(owner, acme)
    for said, changes in (("", []), ("comparison = 2", [f"~ tenant {acme.slug} role rule: comparison 1 -> 2"])):
        async with open_fleet(acme.callers.database, SYSTEM, ORIGIN) as fleet:
            manifest = parse_manifest(FILE.format(slug=acme.slug, name=acme.slug.title(), said=said))
            assert [str(each) for each in await compare(fleet, manifest)] == changes


FILE = """
[tenants.{slug}]
name = "{name}"
plan = "business"
[tenants.{slug}.roles]
prefix = "dart-"
default = "member"
{said}
[tenants.{slug}.roles.roles]
admin = {{ label = "Admin", admin = true, names = ["admins"] }}
member = {{ label = "Member", names = ["members"] }}
guest = {{ label = "Guest", names = ["guests"] }}
technical-admin = {{ label = "Technical admin", names = ["technical-admins"] }}
financial-admin = {{ label = "Financial admin", names = ["financial-admins"] }}
"""
