"""A filter finds in SQL whom scim2-models' own evaluator matches in memory, whatever the filter and the people."""

import re
import sys
import unicodedata
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter
from sqlalchemy import text

from factories import USER, Callers, Tenant, a_tenant
from rollcall.functions import qualified
from rollcall.scim.filters import read_filter
from rollcall.scim.name_keys import unstripped
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUPS, USERS, ResourceKind, key
from search.scratch import AS_WE_COMPARE, BASE, Made, MadeGroup, scratch

E = ENTERPRISE_SCHEMA
SOME = settings(max_examples=100)

WORDS = [
    *["", "a", "A", "b", "ab", "z", "Maria", "MARIA", "work", "home", "a@x.test", "A@X.TEST", "@x"],
    *["%", "_", "a%b", "a_b", "axb", "\\", '"', "'"],
    *["ß", "ss", "STRASSE", "straße", "ς", "Σ", "ﬁ", "fi", "İ"],
    *["é", "e\N{COMBINING ACUTE ACCENT}", "\N{COMBINING ACUTE ACCENT}", "\U0010ffff", "\ud7ff", "\ue000"],
]
"""What people are called and filters look for: the same, nearly the same, parts of one another."""

characters = st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\x00")
words = st.sampled_from(WORDS) | st.text(characters, max_size=3)
plain = words.filter(lambda word: unstripped(word) == key(word) == key(word.strip()))
"""What names are compared by as any text is: roles, userNames, groups. Their own tests have the others."""
labels = st.sampled_from(["work", "Work", "home", "other", "x"])
links = st.sampled_from(["http://a.test/x", "http://a.test/X", "http://b.test/%"])
certificates = st.sampled_from([b"a", b"b", b"a" * 60]).map(lambda data: b64encode(data).decode())
moments = st.sampled_from(
    [
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 123_999, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 124_000, tzinfo=UTC),
    ]
)
times = st.sampled_from(
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.123Z",
        "2026-01-01T14:00:00.123+02:00",
        "2026-01-01T12:00:00.1234Z",
        "2026-01-01T12:00:00.1239999Z",
        "2026-01-01T12:00:00.124",
        "2026-01-01",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
    ]
)


def maybe(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that has some of these parts."""
    return st.fixed_dictionaries({}, optional=parts)


def entries(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A list of a few objects, no two of them primary."""

    def one_primary(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
        primary = [entry for entry in drawn if entry.get("primary")]
        return [entry if entry not in primary[1:] else entry | {"primary": False} for entry in drawn]

    return st.lists(maybe(**parts), max_size=3, unique_by=repr).map(one_primary)


payloads = maybe(
    displayName=words,
    nickName=words,
    title=words,
    externalId=words,
    profileUrl=links,
    name=maybe(givenName=words, familyName=words),
    active=st.booleans(),
    emails=entries(value=words, type=labels, display=words, primary=st.booleans()),
    roles=entries(value=plain.filter(lambda word: len(word) < 2 or word[0] not in '{["'), primary=st.booleans()),
    addresses=entries(locality=words, type=labels),
    photos=entries(value=links, type=labels),
    x509Certificates=entries(value=certificates, display=words),
    **{E: maybe(department=words, manager=maybe(value=words))},
)
people = st.lists(st.builds(Made, payloads, created=moments, modified=moments), min_size=1, max_size=5)
places = st.frozensets(st.integers(0, 4), max_size=3)
groups = st.lists(
    st.builds(
        MadeGroup,
        words,
        external_id=st.none() | words,
        version=st.integers(1, 3),
        people=places,
        under=places,
        created=moments,
        modified=moments,
    ),
    max_size=4,
)

ids = st.sampled_from(["USER0", "USER1", "GROUP0", "GROUP1", "GROUP2", "0", "USER0x", "maria"])
"""Names that the ids take the place of, once they are known."""


def compared(path: str, operators: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A comparison of an attribute."""
    return st.tuples(st.just(path), st.sampled_from(operators.split()), values).map(" ".join)


def of_text(*paths: str, values: st.SearchStrategy[str] = words) -> st.SearchStrategy[str]:
    """What can be asked of attributes that hold text."""
    everything = values.map(ScimFilter.quote)
    return st.sampled_from(paths).flatmap(
        lambda path: (
            compared(path, "eq ne co sw ew gt ge lt le", everything)
            | compared(path, "eq ne gt", st.just("null"))
            | st.just(f"{path} pr")
        )
    )


def of_others(**paths: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What can be asked of attributes that are only equal or not."""
    return st.sampled_from(sorted(paths)).flatmap(
        lambda path: compared(path, "eq ne", paths[path] | st.just("null")) | st.just(f"{path} pr")
    )


def composed_of(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Terms under and, or, not."""

    def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        two = st.tuples(inner, st.sampled_from(["and", "or"]), inner)
        return inner.map("not ({})".format) | two.map(lambda drawn: f"({drawn[0]}) {drawn[1]} ({drawn[2]})")

    return st.recursive(terms, combined, max_leaves=4)


def chosen(path: str, inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A selection of entries."""
    return composed_of(inner).map(lambda condition: f"{path}[{condition}]")


booleans = st.sampled_from(["true", "false"])
instants = st.sampled_from(["meta.created", "meta.lastModified"]).flatmap(
    lambda path: compared(path, "eq ne gt ge lt le sw", times.map(ScimFilter.quote)) | st.just(f"{path} pr")
)
common = (
    of_text("externalId", "schemas")
    | of_text("displayName", values=plain)
    | of_text("id", values=ids)
    | of_text("meta.resourceType", values=st.sampled_from(["User", "Group", "user"]))
    | of_text("meta.version", values=st.sampled_from(['W/"1"', 'W/"2"', "W/"]))
    | of_text("meta.location", values=st.sampled_from([f"{BASE}/Users/USER0", "HTTP://", "GROUP0"]))
    | instants
)
user_filters = composed_of(
    common
    | of_text("userName", "USERNAME", values=plain)
    | of_text("nickName", f"{USER}:title", f"{USER}:name.givenName", "name.familyName")
    | of_text("emails", "emails.value", "email", "emails.type", "emails.display", "addresses.locality")
    | of_text("roles", values=plain)
    | of_text(f"{E}:department", f"{E}:manager.value", "manager")
    | of_text("groups.value", "groups", values=ids)
    | of_text("groups.display", values=plain)
    | of_text("groups.type", values=st.sampled_from(["direct", "INDIRECT", "in"]))
    | of_text("groups.$ref", values=ids.map(lambda name: f"{BASE}/Groups/{name}"))
    | of_text("profileUrl", "photos.value", "photos", values=links)
    | of_others(active=booleans, **{"emails.primary": booleans, "roles.primary": booleans})
    | of_others(**{"x509Certificates.value": certificates.map(ScimFilter.quote)})
    | st.sampled_from(["name", "emails", "addresses", "groups", "meta", "roles", "schemas", f"{E}:manager"]).map(
        "{} pr".format
    )
    | chosen("emails", of_text("value", "type", "display") | of_others(primary=booleans))
    | chosen("roles", of_text("value", values=plain) | of_others(primary=booleans))
    | chosen("addresses", of_text("locality", "type"))
    | chosen("x509Certificates", of_text("display") | of_others(value=certificates.map(ScimFilter.quote)))
    | chosen(
        "groups",
        of_text("value", values=ids) | of_text("display", values=plain) | of_text("type", values=st.just("direct")),
    )
)
group_filters = composed_of(
    common
    | of_text("members.value", "members", values=ids)
    | of_text("members.display")
    | of_text("members.type", values=st.sampled_from(["User", "group", "us"]))
    | of_text("members.$ref", values=ids.map(lambda name: f"{BASE}/Users/{name}"))
    | st.sampled_from(["members pr", "meta pr"])
    | chosen(
        "members",
        of_text("value", values=ids) | of_text("display") | of_text("type", values=st.sampled_from(["User", "group"])),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenant(callers: Callers) -> Tenant:
    """A tenant for this module; what the tests make there goes with their transactions."""
    return await a_tenant(callers)


def numbered(made: list[Made]) -> list[Made]:
    """The same people with a userName each."""
    return [Made({**each.payload, "userName": str(n)}, each.created, each.modified) for n, each in enumerate(made)]


async def agree(
    tenant: Tenant, kind: ResourceKind, made: list[Made], made_groups: list[MadeGroup], filters: list[str]
) -> None:
    """Ask each filter in both ways."""
    async with scratch(tenant) as directory:
        users, group_ids = await directory.make(numbered(made), made_groups)
        resources = await directory.resources(kind)
        names = {f"USER{n}": str(own) for n, own in enumerate(users)}
        names |= {f"GROUP{n}": str(own) for n, own in enumerate(group_ids)}
        for asked in filters:
            written = re.sub("|".join(names), lambda name: names[name[0]], asked)
            tree = read_filter(written, kind)
            with AS_WE_COMPARE:
                expected = {str(each.id) for each in resources if kind.filter(tree).match(each)}
            assert await directory.found(tree, kind) == expected, written


@SOME
@given(people, groups, st.lists(user_filters, min_size=1, max_size=6))
async def test_people_are_found_as_they_match(
    tenant: Tenant, made: list[Made], made_groups: list[MadeGroup], filters: list[str]
) -> None:
    """SQL finds the people whom the evaluator matches."""
    await agree(tenant, USERS, made, made_groups, filters)


@SOME
@given(people, groups, st.lists(group_filters, min_size=1, max_size=6))
async def test_groups_are_found_as_they_match(
    tenant: Tenant, made: list[Made], made_groups: list[MadeGroup], filters: list[str]
) -> None:
    """SQL finds the groups that the evaluator matches."""
    await agree(tenant, GROUPS, made, made_groups, filters)


FOLDED = text(
    qualified(
        "SELECT array_agg(fn.folded(each) ORDER BY place) "
        "FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS given (each, place)"
    )
)


async def test_case_is_folded_alike(tenant: Tenant) -> None:
    """PostgreSQL folds every character that Python knows as Python does."""
    known = [each for each in map(chr, range(1, sys.maxunicode + 1)) if unicodedata.category(each) not in ("Cn", "Cs")]
    async with scratch(tenant) as directory:
        folded = (await directory.db.execute(FOLDED, {"texts": known})).scalar_one()

    assert [each for each, theirs in zip(known, folded, strict=True) if key(each) != theirs] == []


@SOME
@given(st.lists(st.text(characters), min_size=20))
async def test_texts_are_folded_alike(tenant: Tenant, texts: list[str]) -> None:
    """It folds whole texts alike too, whose characters compose."""
    async with scratch(tenant) as directory:
        folded = (await directory.db.execute(FOLDED, {"texts": texts})).scalar_one()

    assert folded == [key(each) for each in texts]


TEAM = [
    Made(
        {
            "userName": "maria",
            "displayName": "Maria Straße",
            "title": "100% Ärztin_1",
            "externalId": "Ext-1",
            "emails": [{"value": "Maria@Acme.test", "type": "work", "primary": True}, {"value": "m@home.test"}],
            "roles": [{"value": "dart-members"}],
            E: {"department": "Tour", "manager": {"value": "77"}},
        },
        modified=datetime(2026, 2, 1, 12, 0, 0, 123_456, tzinfo=UTC),
    ),
    Made({"userName": "zoe", "title": "1000 Ärztin-1", "active": False, "emails": [{"value": "zoe@acme.test"}]}),
    Made({"userName": "pedro", "emails": [{"type": "work", "display": "Pedro"}], "name": {"givenName": "Pedro"}}),
]
GROUPS_OF_TEAM = [
    MadeGroup("Everybody", people=frozenset({1})),
    MadeGroup("Doctors", external_id="d", people=frozenset({0}), under=frozenset({0})),
    MadeGroup("Nobody"),
]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('displayName eq "MARIA STRASSE"', ["maria"]),
        ('title eq "100% a\N{COMBINING DIAERESIS}rztin_1"', ["maria"]),
        ('title sw "100%"', ["maria"]),
        ('title ew "n_1"', ["maria"]),
        ('title co "ärztin"', ["maria", "zoe"]),
        ('title ne "1000 ärztin-1"', ["maria", "pedro"]),
        ("not (title pr)", ["pedro"]),
        ("title eq null", ["pedro"]),
        ('externalId eq "ext-1"', []),
        ('emails.value eq "maria@acme.test"', ["maria"]),
        ('emails ne "maria@acme.test"', ["zoe", "pedro"]),
        ('emails co "@ACME"', ["maria", "zoe"]),
        ('emails.type eq "work" and emails.value co "@home"', ["maria"]),
        ('emails[type eq "work" and value co "@home"]', []),
        ('emails[type eq "work" and not (value pr)]', ["pedro"]),
        ("emails.primary eq true", ["maria"]),
        ('active eq "False" or name.givenName eq "pedro"', ["zoe", "pedro"]),
        (f'{E}:department eq "tour" and manager eq "77"', ["maria"]),
        (f"not ({E}:manager pr)", ["zoe", "pedro"]),
        ('meta.lastModified eq "2026-02-01T13:00:00.123+01:00"', ["maria"]),
        ('meta.lastModified gt "2026-02-01T12:00:00.123Z"', []),
        ('meta.lastModified ge "2026-02-01T12:00:00.123Z"', ["maria"]),
        ('groups.display eq "everybody"', ["maria", "zoe"]),
        ('groups[display eq "everybody" and type eq "direct"]', ["zoe"]),
        ("groups pr", ["maria", "zoe"]),
        ('userName gt "maria" and userName le "zoe"', ["zoe", "pedro"]),
    ],
)
async def test_people_by_example(tenant: Tenant, written: str, names: list[str]) -> None:
    """Case and composition don't count but in ids; a value that is missing differs from every other."""
    async with scratch(tenant) as directory:
        await directory.db.execute(text("DELETE FROM users"))
        users, _ = await directory.make(TEAM, GROUPS_OF_TEAM)
        named = {str(user): made.payload["userName"] for user, made in zip(users, TEAM, strict=True)}

        assert {named[each] for each in await directory.found(read_filter(written))} == set(names)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('displayName sw "DOC"', ["Doctors"]),
        ('externalId eq "D"', []),
        ('members.display eq "maria strasse"', ["Doctors"]),
        ('members.type eq "group"', ["Everybody"]),
        ('members[type eq "User" and display co "zo"]', ["Everybody"]),
        ("not (members pr)", ["Nobody"]),
        (f'schemas eq "{GROUPS.schema}" and displayName ne "nobody"', ["Everybody", "Doctors"]),
    ],
)
async def test_groups_by_example(tenant: Tenant, written: str, names: list[str]) -> None:
    """Groups are found by what they are called and by who is directly in them."""
    async with scratch(tenant) as directory:
        _, made = await directory.make(TEAM, GROUPS_OF_TEAM)
        named = {str(group): made.name for group, made in zip(made, GROUPS_OF_TEAM, strict=True)}

        assert {named[each] for each in await directory.found(read_filter(written, GROUPS), GROUPS)} == set(names)


EDGES = [
    Made({"userName": "\ud7ff1", "emails": [{"value": ""}]}),
    Made({"userName": "\U0010ffff1", "emails": [{"value": "a"}]}),
    Made({"userName": "\ue0001"}),
]


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ('userName sw "\ud7ff"', [0]),
        ('userName sw "\ue000"', [2]),
        ('userName sw "\U0010ffff"', [1]),
        ('userName sw ""', [0, 1, 2]),
        ('emails eq ""', [0]),
        ('emails co ""', [0, 1]),
        ('emails ne ""', [1, 2]),
        ('emails[value eq ""]', [0]),
        ('not (emails.value gt "")', [0, 2]),
    ],
)
async def test_edges(tenant: Tenant, written: str, places: list[int]) -> None:
    """Neither the ends of the character set nor empty values are passed over."""
    async with scratch(tenant) as directory:
        await directory.db.execute(text("DELETE FROM users"))
        users, _ = await directory.make(EDGES)

        assert await directory.found(read_filter(written)) == {str(users[place]) for place in places}


@pytest.mark.parametrize(
    "written", ["emails pr", "emails[type pr]", 'emails.value co "x"', "name pr", "title pr", "manager pr"]
)
async def test_documents_of_another_make(tenant: Tenant, written: str) -> None:
    """A document that holds something else than this version would write there is passed over."""
    strange = '{"emails": "x", "name": [{"givenName": {}}], "title": {"a": 1}, "' + E + '": 7}'
    async with scratch(tenant) as directory:
        users, _ = await directory.make(TEAM[1:2])
        await directory.db.execute(
            text("UPDATE users SET document = document || CAST(:strange AS jsonb) WHERE id = :id"),
            {"strange": strange, "id": users[0]},
        )

        assert len(await directory.found(read_filter(written))) <= 1


NAMED_OTHERWISE: dict[str, dict[str, Any]] = {
    "plain": {"value": "Dart-Admins", "display": "dart-members"},
    "json": {"value": ' {"id": "1", "value": "dart-admins", "displayName": "dart-members"}'},
    "json display": {"value": '{"id": "1", "value": "", "displayName": "dart-admins"}'},
    "json list": {"value": '["dart-readers", {"value": "dart-admins"}]'},
    "json string": {"value": '"dart-admins"'},
    "display": {"display": "dart-admins"},
    "display beside nothing": {"value": "", "display": "dart-admins"},
    "not json": {"value": "{dart-admins"},
    "another": {"value": "dart-members", "display": "dart-admins"},
    "no name": {"primary": True},
}
NAMED = [name for name in NAMED_OTHERWISE if name not in ("not json", "another", "no name")]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('roles.value eq "dart-ADMINS"', NAMED),
        ('roles eq "dart-admins"', NAMED),
        ('roles[value eq "dart-admins"]', NAMED),
        ('roles.value sw "dart-adm"', NAMED),
        ('roles.value ew "-admins"', [*NAMED, "not json"]),
        ('not (roles.value eq "dart-admins")', ["not json", "another", "no name"]),
        ('roles.value ne "dart-admins"', ["not json", "another", "no name"]),
        ('roles[value ne "dart-admins"]', ["not json", "another", "no name"]),
        ('roles.value eq "dart-readers"', ["json list"]),
        ('roles.value eq "dart-members"', ["another"]),
        ('roles.value eq "{dart-admins"', ["not json"]),
        ("not (roles.value pr)", ["display", "display beside nothing", "no name"]),
    ],
)
async def test_people_by_the_name_of_a_role(tenant: Tenant, written: str, names: list[str]) -> None:
    """A role is found by its name in whatever shape it is stored: what counts for a rule counts for a search."""
    team = [Made({"userName": name, "roles": [entry]}) for name, entry in NAMED_OTHERWISE.items()]
    async with scratch(tenant) as directory:
        await directory.db.execute(text("DELETE FROM users"))
        users, _ = await directory.make(team, [])
        named = {str(user): made.payload["userName"] for user, made in zip(users, team, strict=True)}

        assert {named[each] for each in await directory.found(read_filter(written))} == set(names)
