"""Names from identity providers, read by a tenant's rule."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rollcall.directory.rules import Reading, RoleRule, Seen

DART: dict[str, Any] = {
    "prefix": "dart-",
    "default": "member",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"], "aliases": ["acme-it-bosses"]},
        "member": {"label": "Member", "names": ["members"]},
        "guest": {"label": "Guest", "names": ["guests"]},
        "technical-admin": {"label": "Technical admin", "names": ["technical-admins"]},
        "financial-admin": {"label": "Financial admin", "names": ["financial-admins"]},
    },
}
DACARD: dict[str, Any] = {
    "prefix": "dacard-",
    "default": "member",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "lead": {"label": "Lead", "names": ["leads"]},
        "member": {"label": "Member", "names": ["members"]},
    },
}
EXACT: dict[str, Any] = {
    "default": "member",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "aliases": ["Acme IT Bosses", "Straße-admins", "Équipe"]},
        "member": {"label": "Member"},
    },
}

dart = RoleRule.model_validate(DART)
dacard = RoleRule.model_validate(DACARD)
exact = RoleRule.model_validate(EXACT)


def with_prefix(prefix: str) -> RoleRule:
    return dart.model_copy(update={"prefix": prefix})


def in_roles(rule: RoleRule, *names: str) -> Reading:
    return rule.read(Seen(name, "roles") for name in names)


def variants(name: str) -> st.SearchStrategy[str]:
    """Spellings of a prefixed plural *name* that the documents permit."""

    def spell(flips: list[tuple[bool, bool]], plural: bool, spaces: tuple[str, str]) -> str:
        spelled = "".join(
            {"-": "_" if other else "-"}.get(character, character.upper() if upper else character)
            for character, (upper, other) in zip(name, flips, strict=True)
        )
        return spaces[0] + (spelled if plural else spelled[:-1]) + spaces[1]

    flips = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=len(name), max_size=len(name))
    blank = st.sampled_from(["", " ", "\t", "\u00a0"])
    return st.builds(spell, flips, st.booleans(), st.tuples(blank, blank))


a_name = st.one_of(
    st.sampled_from(["dart-admins", "DART_MEMBER", "dart-guests", "acme-it-bosses", "dart-owners", "dart-"]),
    st.sampled_from(["Dart Players", "dartboard", "everyone", ""]),
    st.text(max_size=12).map("dart-".__add__),
    st.text(max_size=12),
)
a_source = st.sampled_from(["roles", "claim", "group Visitors", "group "])
some_seen = st.lists(st.builds(Seen, a_name, a_source), max_size=8)


@pytest.mark.parametrize(
    ("rule", "name", "role"),
    [
        (dart, "dart-admins", "admin"),
        (dart, "dart-members", "member"),
        (dart, "dart-guests", "guest"),
        (dart, "dart-technical-admins", "technical-admin"),
        (dart, "dart-financial-admins", "financial-admin"),
        (dart, "DART_MEMBER", "member"),
        (dart, "Dart-Technical_Admins", "technical-admin"),
        (dart, "DART_TECHNICAL_ADMIN", "technical-admin"),
        (dart, "  dart-member\n", "member"),
        (dart, "acme-it-bosses", "admin"),
        (dart, "ACME-IT-Bosses", "admin"),
        (dacard, "dacard-admins", "admin"),
        (dacard, "dacard-leads", "lead"),
        (dacard, "dacard-members", "member"),
        (exact, "acme it bosses", "admin"),
        (exact, "STRASSE-ADMINS", "admin"),
        (exact, "e\u0301quipe", "admin"),
    ],
)
def test_valid_name(rule: RoleRule, name: str, role: str):
    """The documents' names, their permitted variants and exact custom names give the role."""
    reading = in_roles(rule, name)

    assert (reading.role, reading.managed, reading.conflict) == (role, True, False)


@pytest.mark.parametrize(
    "name",
    [
        "Dart Players",
        "dart members",
        "dart",
        "dartmembers",
        "members",
        "my-dart-members",
        "",
        " ",
        "acme-it-boss",
        "acme_it_bosses",
    ],
)
def test_name_of_no_concern(name: str):
    """A name without the prefix, where a space is no separator, says nothing about a person's role."""
    reading = in_roles(dart, name)

    assert [(read.kind, read.role) for read in reading.names] == [("ignored", None)]
    assert (reading.role, reading.managed, reading.conflict) == (None, False, False)


@pytest.mark.parametrize(
    "name",
    ["dart-owners", "dart-", "DART_", "dart-s", "dart--members", "dart-memberss", "dart-technicals-admin"],
)
def test_ungrantable_name(name: str):
    """A prefixed name that no role has, the prefix alone too, counts and means no valid role."""
    reading = in_roles(dart, name)

    assert [(read.kind, read.role) for read in reading.names] == [("ungrantable", None)]
    assert (reading.role, reading.managed, reading.conflict) == (None, True, False)
    assert reading.describe() == f"no valid role: {name} in roles, which is not a role here"


@pytest.mark.parametrize(
    ("names", "conflict"),
    [
        (["dart-admins", "dart-guests"], True),
        (["dart-admins", "dart-technical-admins"], True),
        (["dart-admins", "acme-it-bosses"], False),
        (["dart-guests", "acme-it-bosses"], True),
        (["dart-admins", "DART_ADMIN", "Dart-Admin"], False),
        (["dart-admins", "Dart Players", "everyone"], False),
        (["dart-admins", "dart-owners"], True),
        (["dart-owners", "DART_OWNER"], False),
        (["dart-owners", "dart-bosses"], True),
        (["dart-", "dart-s"], True),
        ([], False),
    ],
)
def test_conflict(names: list[str], conflict: bool):
    """More than one different prefixed name is a conflict; spellings of one name are one."""
    reading = in_roles(dart, *names)

    assert reading.conflict is conflict
    assert conflict is False or reading.role is None


@pytest.mark.parametrize("prefix", ["dart-", "DART_", "Dart-", "dart_"])
def test_spelling_of_the_prefix(prefix: str):
    """The prefix is compared like the names, however the tenant wrote it."""
    rule = with_prefix(prefix)

    assert in_roles(rule, "dart-members", "DART_MEMBER").role == "member"
    assert rule.published_values()[0] == f"{prefix}admins"


def test_prefix_without_separator():
    """A prefix that ends in a letter matches words that go on."""
    rule = with_prefix("dart")

    assert in_roles(rule, "dartmember").role == "member"
    assert in_roles(rule, "dartboard").names[0].kind == "ungrantable"


@pytest.mark.parametrize(
    ("name", "same", "different"),
    [
        ("boss", ["boss", "BOSS"], ["bosses", "bos", "bosss"]),
        ("bosses", ["bosses", "bosse"], ["boss"]),
        ("staff", ["staff", "staffs"], ["staf"]),
        ("s", ["s", "ss"], ["", "sss"]),
    ],
)
def test_plural(name: str, same: list[str], different: list[str]):
    """Plural means one s more or less, whatever the language would do."""
    rule = dart.model_copy(
        update={"roles": {**DART["roles"], "chief": {"label": "Chief", "names": [name]}}},
    )

    assert [in_roles(rule, f"dart-{spelling}").role for spelling in same] == ["chief"] * len(same)
    assert [in_roles(rule, f"dart-{spelling}").role for spelling in different] == [None] * len(different)


def test_alias_beside_the_prefix():
    """An exact name that begins with the prefix means its role; its other spellings stay unknown."""
    roles = {**DART["roles"], "guest": {"label": "Guest", "aliases": ["dart-vis"]}}
    rule = dart.model_copy(update={"roles": roles})

    assert in_roles(rule, "DART-vis").role == "guest"
    assert in_roles(rule, "dart-visitors").names[0].kind == "ungrantable"
    assert in_roles(rule, "dart_vis").names[0].kind == "ungrantable"


@pytest.mark.parametrize(
    ("sources", "source", "kind"),
    [
        (None, "roles", "role"),
        (None, "group Visitors", "role"),
        (None, "claim", "ignored"),
        (["claim"], "claim", "role"),
        (["claim"], "roles", "ignored"),
        (["roles"], "group roles", "ignored"),
        (["groups"], "group claim", "role"),
        ([], "roles", "ignored"),
    ],
)
def test_sources(sources: list[str] | None, source: str, kind: str):
    """A name counts only where the rule looks for it; by default in roles and groups."""
    rule = dart if sources is None else dart.model_copy(update={"sources": sources})

    assert rule.read([Seen("dart-guests", source)]).names[0].kind == kind


def test_unknown_source():
    """A place that no rule could look in is a mistake of ours, found at once."""
    with pytest.raises(ValueError, match='"role" is no source'):
        Seen("dart-guests", "role")


def test_detail_of_a_conflict():
    """A refusal names each role and where it comes from, attribute or group."""
    reading = dart.read(
        [
            Seen("DART_GUEST", "group Visitors"),
            Seen("dart-owners", "roles"),
            Seen("dart-admins", "roles"),
            Seen.in_group("Dart-Admins"),
            Seen("everyone", "roles"),
        ]
    )

    assert reading.describe() == (
        'more than one role: "admin" (dart-admins in roles, group "Dart-Admins"), '
        '"guest" (DART_GUEST in group "Visitors") and dart-owners in roles, which is not a role here'
    )


@pytest.mark.parametrize(
    ("seen", "detail"),
    [
        ([], "no role"),
        ([Seen("everyone", "roles")], "no role"),
        ([Seen("dart-guests", "roles")], 'one role: "guest" (dart-guests in roles)'),
        (
            [Seen("dart-admins", "roles"), Seen("DART_GUEST", "group Visitors")],
            'more than one role: "admin" (dart-admins in roles) and "guest" (DART_GUEST in group "Visitors")',
        ),
        (
            [Seen("dart-x", "roles"), Seen("dart-y", "roles")],
            (
                "more than one role: dart-x in roles, which is not a role here and dart-y in roles, "
                "which is not a role here"
            ),
        ),
    ],
)
def test_description(seen: list[Seen], detail: str):
    """Every reading can be said in a sentence."""
    assert dart.read(seen).describe() == detail


def test_claim_in_a_detail():
    """A name from sign-in is said to come from the groups claim."""
    rule = dart.model_copy(update={"sources": ["claim"]})

    assert "dart-guests in the groups claim" in rule.read([Seen("dart-guests", "claim")]).describe()


def test_length_of_a_detail():
    """A refusal stays short when the provider sends thousands of long names."""
    names = [f"dart-{number}-{'x' * 5000}" for number in range(1000)]
    groups = [Seen("dart-admins", f"group {number}{'y' * 5000}") for number in range(1000)]

    detail = dart.read([*(Seen(name, "roles") for name in names), *groups]).describe()

    assert len(detail) < 4000
    assert "and 995 more" in detail
    assert "and 991 more" in detail


def change(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda rule: {**rule, **fields}


def give(role: str, **fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda rule: {**rule, "roles": {**rule["roles"], role: {"label": role, **fields}}}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change(prefix=""), 'the prefix "" would match too much'),
        (change(prefix="d"), 'the prefix "d" would match too much'),
        (change(prefix="--"), 'the prefix "--" would match too much'),
        (change(prefix="dart- "), '"dart- " begins or ends with white space'),
        (change(prefix="da\x00rt-"), "contains a control character"),
        (change(prefix="d" * 101), "at most 100 characters"),
        (change(prefix=None), 'the name "admins" needs a prefix'),
        (change(default="owner"), 'the default role "owner" is none of the roles: admin, member, guest'),
        (change(default="admin"), 'the default role "admin" is an admin role, so everybody'),
        (give("admin", names=["admins"]), "no role is an admin role"),
        (give("Chief"), '"Chief" can\'t be the key of a role'),
        (give("2nd"), '"2nd" can\'t be the key of a role'),
        (give("chief\n"), "can't be the key of a role"),
        (give("c" * 64), "can't be the key of a role"),
        (give(""), "can't be the key of a role"),
        (give("chief", names=["Guest"]), 'the name "Guest" is given to two roles, "guest" and "chief"'),
        (give("chief", names=["technical_admin"]), '"technical-admin" and "chief"'),
        (
            give("chief", aliases=["ACME-it-bosses"]),
            '"ACME-it-bosses" is given to two roles, "admin" and "chief"',
        ),
        (give("chief", aliases=["DART_GUEST"]), '"dart_guest" is given to two roles, "guest" and "chief"'),
        (give("chief", names=["DART_chiefs"]), 'the name "DART_chiefs" repeats the prefix "dart-"'),
        (give("chief", names=[""]), "at least 1 character"),
        (give("chief", names=["x" * 201]), "at most 200 characters"),
        (give("chief", names=[" chiefs"]), '" chiefs" begins or ends with white space'),
        (give("chief", names=["x"] * 101), "at most 100 items"),
        (give("chief", names="chiefs"), "valid tuple"),
        (give("chief", admin="yes"), "valid boolean"),
        (give("chief", power=1), "Extra inputs are not permitted"),
        (change(power=1), "Extra inputs are not permitted"),
        (change(sources=["mail"]), "Input should be 'roles', 'groups' or 'claim'"),
        (change(on_conflict="guess"), "Input should be 'reject' or 'hold'"),
        (change(roles={}), "at least 1 item"),
        (change(roles={f"r{number}": {"label": "R"} for number in range(101)}), "at most 100 items"),
    ],
)
def test_refused_rule(edit: Callable[[dict[str, Any]], dict[str, Any]], message: str):
    """A rule that would be ambiguous, open or out of proportion is refused with the reason."""
    with pytest.raises(ValidationError, match=re.escape(message)):
        RoleRule.model_validate(edit(DART))


def test_name_that_melts_into_the_prefix():
    """A name whose first sign would change the prefix's last letter is refused, as it could never match."""
    with pytest.raises(ValidationError, match="melts into the prefix"):
        RoleRule.model_validate(give("chief", names=["\u0301s"])(change(prefix="cafe")(DART)))


def test_names_that_are_permitted():
    """One role may have several spellings of a name, or none at all; a name may begin like a short prefix."""
    rule = give("chief", names=["chief", "Chiefs"], aliases=["dart-chief"])(give("owner")(DART))

    assert in_roles(RoleRule.model_validate(rule), "dart-chiefs", "dart-chief").role == "chief"
    assert in_roles(RoleRule.model_validate(change(prefix="me")(DART)), "memember").role == "member"


def test_published_values():
    """Each role that the provider can name is published once, by its first name as the tenant wrote it."""
    assert dart.published_values() == (
        "dart-admins",
        "dart-members",
        "dart-guests",
        "dart-technical-admins",
        "dart-financial-admins",
    )
    assert exact.published_values() == ("Acme IT Bosses",)


@pytest.mark.parametrize("rule", [dart, dacard, exact], ids=["dart", "dacard", "exact"])
def test_published_values_are_valid(rule: RoleRule):
    """What is published as a role's name is read as a role."""
    assert [in_roles(rule, name).role for name in rule.published_values()].count(None) == 0


def test_admin_roles():
    """The admin roles are those marked so, whatever their names suggest."""
    assert dart.admin_roles == {"admin"}


def test_stored_rule():
    """A rule comes back from JSON as it was, and equal rules have equal texts."""
    reversed_sources = change(sources=["groups", "claim", "roles"])(DART)
    sources = change(sources=["roles", "groups", "claim"])(DART)
    text = RoleRule.model_validate(sources).model_dump_json()

    assert RoleRule.model_validate(reversed_sources).model_dump_json() == text
    assert RoleRule.model_validate_json(text) == RoleRule.model_validate(sources)


def test_copy():
    """A copy with changes reads by the changes, and is refused if they are wrong; the original stays."""
    copy = dart.model_copy(update={"prefix": "acme-"})

    assert in_roles(copy, "acme-guests", "dart-admins").role == "guest"
    assert in_roles(dart, "dart-guests").role == "guest"
    assert in_roles(dart.model_copy(deep=True), "dart-guests").role == "guest"
    with pytest.raises(ValidationError, match="none of the roles"):
        dart.model_copy(update={"default": "owner"})


@given(
    st.sampled_from(sorted(dart.roles)).flatmap(
        lambda role: st.lists(variants(f"dart-{dart.roles[role].names[0]}"), min_size=1).map(lambda n: (role, n))
    )
)
def test_spellings_of_one_role(case: tuple[str, list[str]]):
    """Any number of spellings of one role is that role and never a conflict."""
    role, names = case

    assert in_roles(dart, *names).role == role


@given(variants("dart-admins"), variants("dart-technical-admins"))
def test_spellings_of_two_roles(one: str, other: str):
    """No spelling of one role hides that another one is named too."""
    assert in_roles(dart, one, other).roles == ("admin", "technical-admin")
    assert in_roles(dart, one, other).conflict


@given(some_seen.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_order_of_names(case: tuple[list[Seen], list[Seen]]):
    """The order in which the provider sends names changes neither the result nor the words for it."""
    one, other = dart.read(case[0]), dart.read(case[1])

    assert (one.roles, one.ungrantable, one.role) == (other.roles, other.ungrantable, other.role)
    assert (one.managed, one.conflict, one.describe()) == (other.managed, other.conflict, other.describe())


@given(some_seen)
def test_reading_is_deterministic(seen: list[Seen]):
    """A rule that went through storage reads the same names in the same way, each of them once."""
    stored = RoleRule.model_validate_json(dart.model_dump_json())

    assert dart.read(seen) == stored.read(seen)
    assert [(name.name, name.source) for name in dart.read(seen).names] == [(s.name, s.source) for s in seen]


@given(some_seen)
def test_results_agree(seen: list[Seen]):
    """A role comes only from an unambiguous reading, is one of the rule's, and what counts is managed."""
    reading = dart.read(seen)

    assert reading.role is None or (reading.role in dart.roles and not reading.conflict)
    assert reading.managed == bool(reading.roles or reading.ungrantable)
    assert all((name.kind == "role") == (name.role is not None) for name in reading.names)


def test_time():
    """Reading five names costs a small part of a request, whatever the size of the rule."""
    roles = {f"r{number}": {"label": "R", "names": [f"r{number}x{n}" for n in range(100)]} for number in range(95)}
    rule = dart.model_copy(update={"roles": {**DART["roles"], **roles}})
    seen = [
        Seen("everyone", "roles"),
        Seen("DART_MEMBER", "roles"),
        *map(Seen.in_group, ["a", "dart-members", "b"]),
    ]

    def once() -> float:
        start = time.process_time()
        for _ in range(100):
            rule.read(seen)
        return (time.process_time() - start) / 100

    assert min(once() for _ in range(20)) < 15e-6 * 4  # the goal is 15 µs; other work shares a test machine


def test_spelling() -> None:
    """All spellings of a prefixed name have one in common, known or not; of other names only case is passed over."""
    rule = with_prefix("dart-")
    assert {rule.spelling(name) for name in ("dart-admins", " DART_ADMIN ", "Dart-Admin")} == {"dart-admin"}
    assert rule.spelling("It_Bosses") == "it_bosses" != rule.spelling("it-boss")
