"""Writing a manifest back: applying what was written changes nothing, whatever the database holds."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.shell import Shell
from factories import Callers, a_tenant, deactivation
from fuzz.bounds import bounded
from rollcall.directory import people
from rollcall.directory.people import Draft
from rollcall.directory.rules import RoleRule
from rollcall.errors import Invalid, Taken
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.parsing import parse_manifest
from rollcall.manifest.writing import export
from rollcall.settings import Settings
from rollcall.tenancy import overrides, plans, tenants
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.tenants import TenantTerms
from rollcall.work import Fleet

from .conftest import Ops, undone

_NUMBERS = count(1)


async def written(fleet: Fleet, *slugs: str) -> str:
    """What an export writes."""
    return "".join([part async for part in export(fleet, slugs)])


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)
RATES = st.none() | st.just(0) | st.integers(25, 100_000)
BURSTS = st.none() | st.integers(1, 1_000_000)

PLANS = st.builds(
    PlanTerms,
    name=st.sampled_from(["Team", 'The "best"', "Ürün № 7", "a\\b"]),
    features=st.sampled_from([(), ("scim",), ("events",), ("scim", "events"), ("events", "scim")]),
    seats=st.none() | st.integers(50, 100_000_000),
    seat_policy=st.sampled_from(["refuse", "overage"]),
    rate_per_second=st.just(0) | st.integers(25, 100_000),
    rate_burst=st.integers(1, 1_000_000),
    retention_days=st.integers(1, 36_500),
    lapse=st.builds(LapseTerms, st.integers(0, 3_650), st.none() | st.integers(0, 3_650)),
)

TERMS = st.builds(
    TenantTerms,
    name=TEXTS,
    plan=st.just(""),
    token_issuing=st.sampled_from(["self_service", "ops"]),
    owner_leaves=st.sampled_from(["stop", "offboarding_only"]),
    profile=st.sampled_from(["auto", "default", "entra", "okta", "strict"]),
    rate_per_second=RATES,
    rate_burst=BURSTS,
    mass_change_threshold=st.integers(1, 100_000_000),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=4),
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A role rule, with or without a prefix."""
    prefix = draw(st.none() | st.sampled_from(["dart-", "Ünit_", 'q"']))
    roles: dict[str, Any] = {"member": {"label": "Member"}}
    for key in draw(
        st.lists(st.sampled_from(["admin", "owner", "z-lead", "technical_admin"]), min_size=1, unique=True)
    ):
        names = draw(st.sampled_from([[], [f"{key}s"]])) if prefix else []
        roles[key] = {"label": draw(st.sampled_from(["Boss", 'a \\ "b"'])), "admin": True, "names": names}
        roles[key]["aliases"] = [f"{key} çok"] if draw(st.booleans()) else []
    sources = draw(st.sets(st.sampled_from(["roles", "groups", "claim"])))
    held = {"on_conflict": draw(st.sampled_from(["reject", "hold"])), "comparison": draw(st.sampled_from([1, 2]))}
    return {"prefix": prefix, "default": "member", "sources": sorted(sources), "roles": roles, **held}


@dataclass(frozen=True)
class Made:
    """A tenant to be made: what is set for it, and whom it has."""

    terms: TenantTerms
    rule: dict[str, Any]
    has_id: bool
    suspended: bool
    overrides: dict[str, tuple[Any, str, str, int | None]]
    """Each with its value, reason, author, and the seconds until its end."""
    people: list[tuple[Draft, bool, bool]]
    """Each with whether they are an admin, and whether they left."""


ENDS = st.none() | st.integers(60, 10**8)
WORDS = st.tuples(TEXTS.filter(str.strip), TEXTS)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "scim": st.tuples(st.just(True), TEXTS.filter(str.strip), TEXTS, st.integers(60, 10**8)),
        "seats": st.tuples(st.integers(50, 10**8), TEXTS.filter(str.strip), TEXTS, ENDS),
        "seat_policy": st.tuples(st.sampled_from(["refuse", "overage"]), TEXTS.filter(str.strip), TEXTS, ENDS),
    },
)
DRAFTS = st.builds(
    Draft,
    user_name=TEXTS | st.sampled_from(["ada@acme.test", "ADA@acme.test", "Şule", "ß", "ss", " x ", "x", "x" * 201]),
    given_name=st.none() | TEXTS,
    display_name=st.none() | TEXTS,
    email=st.none() | st.sampled_from(["ada@acme.test", "none", "a b@c"]),
    external_id=st.none() | TEXTS,
)
TENANTS = st.builds(
    Made,
    terms=TERMS,
    rule=rules(),
    has_id=st.booleans(),
    suspended=st.booleans(),
    overrides=OVERRIDES,
    people=st.lists(st.tuples(DRAFTS, st.booleans(), st.booleans()), max_size=5),
)


async def make(fleet: Fleet, slug: str, plan: str, made: Made) -> None:
    """Make a tenant by the doors that everybody uses; of its people those who can be."""
    terms = replace(made.terms, plan=plan, external_id=f"cus {slug}" if made.has_id else None)
    row = await tenants.create(fleet, slug, terms, role_rule=RoleRule.model_validate(made.rule).model_dump(mode="json"))
    for key, (value, reason, by, seconds) in made.overrides.items():
        ends_at = None if seconds is None else fleet.now + timedelta(seconds=seconds)
        await overrides.put(fleet, row, key, value, reason=reason, ends_at=ends_at, by=by)
    admin_role = next(key for key in made.rule["roles"] if key != "member")
    async with fleet.within(tenants.ref(row)) as work:
        for draft, is_admin, left in made.people:
            try:
                person = await people.take_in(work, draft, role=admin_role if is_admin else None)
            except (Invalid, Taken):
                continue
            if left:
                await people.deactivate(work, person.account.id, reason="left")
    if made.suspended:
        await tenants.suspend(fleet, await tenants.find(fleet, slug))


@given(terms=st.lists(PLANS, min_size=1, max_size=2), made=st.lists(TENANTS, min_size=1, max_size=3))
@bounded(40)
async def test_applying_what_was_written_changes_nothing(
    callers: Callers, terms: list[PlanTerms], made: list[Made]
) -> None:
    """Whatever plans, tenants, rules, overrides and admins there are, the file says them all, and nothing else."""
    number = next(_NUMBERS)
    async with undone(callers.database) as fleet:
        keys = [f"written-{number}-{at}" for at in range(len(terms))]
        for key, each in zip(keys, terms, strict=True):
            await plans.define(fleet, key, each)
        slugs = [f"written-{number}-{at}" for at in range(len(made))]
        for at, each in enumerate(made):
            await make(fleet, slugs[at], keys[at % len(keys)], each)
        text = await written(fleet, *slugs)
        manifest = parse_manifest(text)
        assert list(manifest.tenants) == slugs
        assert manifest.plans.keys() >= set(keys)
        assert await compare(fleet, manifest) == [], text
        assert await apply(fleet, manifest) == []
        assert await written(fleet, *slugs) == text


async def test_all_that_is_there(callers: Callers, ops: Ops) -> None:
    """Without names all tenants are written; who is an admin is, by whichever way, and who left or is none is not."""
    acme = await a_tenant(callers, metadata={"crm": "7"}, external_id=f"cus-written-{next(_NUMBERS)}")
    await acme.person("by-provider", roles=[{"value": "dart-admins"}], externalId="hr-1", displayName="By Provider")
    gone = await acme.person("gone", roles=[{"value": "dart-admins"}])
    await acme.scim.patch(f"/Users/{gone['id']}", json=deactivation())
    await acme.person("nobody")
    async with undone(callers.database) as fleet:
        text = await written(fleet)
        everybody = [tenant.slug for tenant in await tenants.every(fleet)]
    manifest = parse_manifest(text)
    assert list(manifest.tenants) == everybody
    table = manifest.tenants[acme.slug]
    assert [(each.user_name, each.external_id, each.display_name, each.role) for each in table.admins] == [
        (f"ada@{acme.slug}.test", None, None, "admin"),
        ("by-provider", "hr-1", "By Provider", "admin"),
    ]
    assert acme.token["token"] not in text
    assert await ops.compare(text) == []


async def test_into_an_empty_place(callers: Callers, slug: str) -> None:
    """What is written is whole: where a tenant is not, applying it makes the same one, and writes the same again."""
    ends = datetime(2099, 1, 31, 10, 30, 0, 123456, tzinfo=UTC)
    terms = TenantTerms(name="Whole", plan="business", metadata={"a b": "c"}, rate_per_second=0, profile="okta")
    texts: list[str] = []
    async with undone(callers.database) as fleet:
        row = await tenants.create(fleet, slug, terms, role_rule=RoleRule.model_validate(RULE).model_dump(mode="json"))
        await overrides.put(fleet, row, "seats", 7, reason="a week's courtesy", ends_at=ends, by="maria")
        async with fleet.within(tenants.ref(row)) as work:
            await people.take_in(work, Draft(user_name="ada", email="ada@whole.test", external_id="1"), role="owner")
        texts.append(await written(fleet, slug))
    async with undone(callers.database) as fleet:
        await apply(fleet, parse_manifest(texts[0]))
        texts.append(await written(fleet, slug))
        (seats,) = overrides.of(await tenants.find(fleet, slug))
    assert texts[0].split("\n")[2:] == texts[1].split("\n")[2:], "but for the moment at the head"
    assert (seats.value, seats.reason, seats.by, seats.ends_at) == (7, "a week's courtesy", "maria", ends)


RULE = {"default": "member", "roles": {"owner": {"label": "Owner", "admin": True}, "member": {"label": "Member"}}}


async def test_the_deputy(callers: Callers) -> None:
    """The deputy is written as long as they could be named anew, and applying what was written changes nothing."""
    acme = await a_tenant(callers)
    deputy = await acme.person("maria@acme.test")
    assert (await callers.operator.put(f"{acme.v1}/deputy", json={"person": deputy["id"]})).status_code == 200
    async with undone(callers.database) as fleet:
        text = await written(fleet, acme.slug)
        assert '\ndeputy = "maria@acme.test"\n' in text
        assert await compare(fleet, parse_manifest(text)) == []
    await acme.scim.patch(f"/Users/{deputy['id']}", json=deactivation())
    async with undone(callers.database) as fleet:
        text = await written(fleet, acme.slug)
        assert "deputy = " not in text
        assert await compare(fleet, parse_manifest(text)) == []


async def test_admins_that_cannot_stand_there(callers: Callers) -> None:
    """An admin whose userName no file can hold is counted in a comment, and the rest is written."""
    acme = await a_tenant(callers)
    await acme.person("x" * 300, roles=[{"value": "dart-admins"}])
    async with undone(callers.database) as fleet:
        text = await written(fleet, acme.slug)
        assert "\n# 1 more of its active admins can't stand in a file" in text
        assert await compare(fleet, parse_manifest(text)) == []


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Nobody is at the keyboard."""
    return Shell(settings)


async def test_typed(shell: Shell, callers: Callers, tmp_path: Any) -> None:
    """The command prints the file, or writes it where it is told to; a tenant that is none is named."""
    acme = await a_tenant(callers)
    printed = (await shell("tenants", "export", acme.slug)).well
    file = tmp_path / "written.toml"
    said = await shell("tenants", "export", acme.id, "--output", str(file))
    assert "compares it" in said.err
    assert file.read_text().split("\n")[2:] == printed.split("\n")[2:]
    assert (await shell("tenants", "apply", str(file))).well == "Nothing to change.\n"
    assert "There is no tenant “nobody-here”" in (await shell("tenants", "export", "nobody-here")).refusal
    refused = await shell("tenants", "export", acme.slug, "--output", str(tmp_path / "none" / "x.toml"))
    assert "can't be written: No such file or directory. Choose another --output." in refused.refusal
