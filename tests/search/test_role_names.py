"""Whoever has a role by a name is found by that name: for storing, judging and searching a name is one thing."""

# ruff: noqa: RUF001  # letters that look alike are what it is about

import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ARRAY, Text, bindparam, func, select, text

from factories import DART_RULE, Callers, Tenant, a_tenant
from rollcall.functions import qualified
from rollcall.scim.name_keys import name_key
from rollcall.scim.role_names import names_of
from rollcall.search.role_names import present_key
from search.scratch import scratch

SOME = settings(max_examples=50)
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ADMINS = "dart-admins"
SPELLED = [
    *[ADMINS, "DART-Admins", "  dart-admins", "dart-admins\u00a0", "\u3000dart-admins\t"],
    *["ｄａｒｔ-admins", "dart-ＡＤＭＩＮＳ", "dart\u200b-admins", "\ufeffdart-admins", "Ｄart\u2060-adm\u00adinｓ "],
]
OTHERS = ["dart-guests", "ｄａｒｔ-guests", "dart-\u200bguests", "an admin", "\u200bdart"]
SHAPES = ("value", "json", "json as it is", "json in json", "json list", "display")


def shaped(shape: str, name: str) -> dict[str, Any]:
    """An entry that says a name."""
    match shape:
        case "value":
            return {"value": name, "display": "dart-guests"}
        case "json":
            return {"value": json.dumps({"id": "1", "value": name, "displayName": "dart-guests"})}
        case "json as it is":
            return {"value": json.dumps({"displayName": name}, ensure_ascii=False)}
        case "json in json":
            return {"value": json.dumps(json.dumps({"value": "", "display": name}))}
        case "json list":
            return {"value": json.dumps([[], name])}
        case _:
            return {"display": name, "primary": True}


@dataclass(frozen=True)
class Cast:
    """The people of a tenant: what they are called, and the role that each of them has."""

    tenant: Tenant
    names: dict[str, str]
    roles: dict[str, str]

    @property
    def admins(self) -> set[str]:
        return {name for name, role in self.roles.items() if role == "admin"}

    async def found(self, asked: str) -> set[str]:
        """Whom a filter finds, asked in both ways."""
        wanted = {"filter": asked, "count": 200}
        got = await self.tenant.scim.get("/Users", params=wanted)
        sent = await self.tenant.scim.post("/Users/.search", json={"schemas": [SEARCH], **wanted})
        assert got.status_code == sent.status_code == 200, got.text
        one, other = ({each["id"] for each in answer.json()["Resources"]} for answer in (got, sent))
        assert one == other
        return {self.names[each] for each in one if each in self.names}


async def a_cast(callers: Callers, comparison: int) -> Cast:
    tenant = await a_tenant(callers, rule=DART_RULE | {"comparison": comparison})
    names: dict[str, str] = {}
    for shape in SHAPES:
        for role in (*SPELLED, *OTHERS):
            person = await tenant.person(roles=[shaped(shape, role)])
            names[person["id"]] = f"{shape}: {role!r}"
    names[(await tenant.person())["id"]] = "no role"
    people = await callers.operator.get(f"{tenant.v1}/people", params={"limit": 200})
    roles = {names[each["id"]]: each["role"] for each in people.json()["data"] if each["id"] in names}
    assert roles.keys() == set(names.values())
    return Cast(tenant, names, roles)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_present(callers: Callers) -> Cast:
    """A tenant whose rule compares names by the second comparison."""
    return await a_cast(callers, 2)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_first(callers: Callers) -> Cast:
    """A tenant from before there was one."""
    return await a_cast(callers, 1)


ALIKE = [
    *[f"roles.value eq {json.dumps(each)}" for each in (*SPELLED, "dart-admins\ufeff")],
    *['roles eq "Dart-Admins"', 'roles[value eq "dart-admins"]', 'roles[value eq "dart-admins" and value pr]'],
    *['roles.value sw "dart-a"', 'roles.value sw "ｄａ\u200bRT-a"', 'roles[value sw "dart-admin"]'],
    *['roles.value co "t-adm"', 'roles.value co "ｔ-Ａ"', 'roles.value ew "-admins"', 'roles.value ew "-ＡＤＭＩＮＳ"'],
]
"""What each mean the admins, and nobody else."""


@pytest.mark.parametrize("asked", ALIKE)
async def test_whoever_has_the_role(by_present: Cast, asked: str) -> None:
    """All spellings of a name, in whatever shape it is stored, are found by all spellings of it, and nobody else."""
    with_value = {name for name in by_present.admins if "value pr" not in asked or not name.startswith("display")}
    assert len(by_present.admins) == len(SPELLED) * len(SHAPES)
    assert await by_present.found(asked) == with_value


@pytest.mark.parametrize(
    "asked", ['roles.value eq "dart-admins"', 'roles.value sw "dart-a"', 'roles[value co "T-Adm"]']
)
async def test_whoever_has_none(by_present: Cast, asked: str) -> None:
    """Not is everybody else, those without roles too."""
    assert await by_present.found(f"not ({asked})") == set(by_present.names.values()) - by_present.admins


@pytest.mark.parametrize("asked", ['roles.value ne "dart-admins"', 'roles[value ne "ｄａｒｔ-admins"]'])
async def test_whoever_has_another(by_present: Cast, asked: str) -> None:
    """So is not equal; a selection is of those who have a role."""
    without = {"no role"} if "[" in asked else {*""}
    assert await by_present.found(asked) == set(by_present.names.values()) - by_present.admins - without


async def test_whoever_has_any(by_present: Cast) -> None:
    """A role is there however it is spelled; a value is not where there is only a display."""
    somebody = set(by_present.names.values()) - {"no role"}
    assert await by_present.found("roles pr") == somebody
    assert await by_present.found("roles.value pr") == {name for name in somebody if not name.startswith("display")}


async def test_what_nobody_can_see(by_present: Cast) -> None:
    """A part of which nothing can be seen is in no name, and only in what is written so."""
    found = await by_present.found('roles.value co "\u200b"')
    assert found
    assert all(r"\u200b" in name or "\u200b" in name for name in found)
    assert await by_present.found('roles.value eq "\u2060"') == set()


@pytest.mark.parametrize(
    "asked", ['roles.value eq "dart-admins"', 'roles.value sw "DART-a"', 'roles.value ew "admins "']
)
async def test_a_rule_from_before(by_first: Cast, asked: str) -> None:
    """By the first comparison width and invisible characters count, for the search as for the role."""
    if asked.endswith('admins "'):
        assert await by_first.found(asked) == set()
        return
    assert 0 < len(by_first.admins) < len(SPELLED) * len(SHAPES)
    assert await by_first.found(asked) == by_first.admins


async def test_a_removal(callers: Callers) -> None:
    """What a search finds by a part of the name, a removal by that part takes away; the role goes with it."""
    tenant = await a_tenant(callers)
    for asked in ('roles[value sw "dart-a"]', 'roles[value co "ｔ-adm" and not (value ew "guests")]'):
        for role in SPELLED:
            person = await tenant.person(roles=[{"value": role}, {"value": "reader"}])
            operation = {"op": "remove", "path": asked}
            body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
            answer = await tenant.scim.patch(f"/Users/{person['id']}", json=body)
            assert (answer.status_code, answer.json()["roles"]) == (200, [{"value": "reader"}]), repr(role)
            shown = await callers.operator.get(f"{tenant.v1}/people/{person['id']}")
            assert shown.json()["role"] == "member"


texts = st.sampled_from(["", " ", "a", " a\u3000", "0", "{", '"', "[]", "{}", "null", "[1]", '"a', "é", "\u200b"])
said = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 0.0, 1, 2.5]) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "displayName", "display", "name", "id"]), inner, max_size=4)
        | inner.map(json.dumps)
        | inner.map(lambda each: f" {json.dumps(each)}\n")
    ),
    max_leaves=12,
)
ENTRIES = st.dictionaries(st.sampled_from(["value", "displayName", "display", "name", "type"]), said, max_size=4)
NAMES = text(qualified("SELECT ARRAY(SELECT fn.names_of(CAST(:entry AS jsonb)))"))


@SOME
@given(st.lists(ENTRIES, min_size=10, max_size=30))
async def test_names_are_read_alike(by_first: Cast, entries: list[dict[str, Any]]) -> None:
    """SQL reads the names that Python reads, however deep they are hidden."""
    async with scratch(by_first.tenant) as directory:
        for entry in entries:
            names = (await directory.db.execute(NAMES, {"entry": json.dumps(entry)})).scalar_one()
            assert tuple(dict.fromkeys(names)) == names_of(entry), entry


@pytest.mark.parametrize("deep", range(1, 12))
async def test_depth(by_first: Cast, deep: int) -> None:
    """They are read equally deep."""
    value: object = "a"
    for _ in range(deep):
        value = json.dumps([value])[:1024]
    entry = {"value": value}
    async with scratch(by_first.tenant) as directory:
        names = (await directory.db.execute(NAMES, {"entry": json.dumps(entry)})).scalar_one()
    assert tuple(names) == names_of(entry)


async def test_brackets_without_end(by_first: Cast) -> None:
    """What can't be read as JSON is a name, and nothing fails, however deep it would go."""
    for value in ("[" * 1024, '{"value":' * 100, '"' * 1024):
        async with scratch(by_first.tenant) as directory:
            names = (await directory.db.execute(NAMES, {"entry": json.dumps({"value": value})})).scalar_one()
        assert tuple(names) == names_of({"value": value}) == (value,)


async def keys(tenant: Tenant, names: Sequence[str]) -> list[str]:
    """The keys of names as SQL makes them."""
    given = (
        func.unnest(bindparam("names", type_=ARRAY(Text)))
        .table_valued("name", with_ordinality="place", joins_implicitly=True)
        .render_derived()
    )
    asked = select(present_key(given.c.name)).order_by(given.c.place)
    made: list[str] = []
    async with scratch(tenant) as directory:
        for some in batched(names, 10_000):
            made += (await directory.db.execute(asked, {"names": some})).scalars()
    return made


def batched(names: Sequence[str], many: int) -> Iterator[list[str]]:
    """Names, so many at a time."""
    for first in range(0, len(names), many):
        yield [*names[first : first + many]]


def is_known(character: str) -> bool:
    """Whether the frozen tables may know it: a newer Python knows some that they don't, and those stay as they are."""
    if unicodedata.category(character) in ("Cn", "Cs"):
        return False
    return unicodedata.unidata_version <= "15.1.0" or name_key(character) != character


async def test_keys_are_made_alike(by_first: Cast) -> None:
    """SQL makes the present key of every character as Python does, alone and inside a name."""
    known = [each for each in map(chr, range(1, sys.maxunicode + 1)) if is_known(each)]
    names = [*known, *(f"Dart-{each}A" for each in known if each not in known[:127])]

    made = await keys(by_first.tenant, names)

    assert [(name, own) for name, own in zip(names, made, strict=True) if own != name_key(name)] == []


@SOME
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\x00")), min_size=20))
async def test_keys_of_texts_are_made_alike(by_first: Cast, names: list[str]) -> None:
    """And of whole names, whose characters compose."""
    names = [name for name in names if all(map(is_known, name))]
    assert await keys(by_first.tenant, names) == [name_key(name) for name in names]
