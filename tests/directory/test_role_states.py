"""What becomes of a person's role as the provider, admins and edits of the rule speak."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.directory.role_states import (
    ConflictingRoles,
    RoleOrigin,
    RoleState,
    UnknownRole,
    explanation,
    fresh,
    given_by_hand,
    held,
    override_lifted,
    provider_says,
    rule_changed,
)
from rollcall.directory.rules import Reading, RoleRule, Seen
from rollcall.errors import Refusal


def a_rule(default: str = "member", *, prefix: str = "dart-", without: str = "") -> RoleRule:
    roles: dict[str, Any] = {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "member": {"label": "Member", "names": ["members"]},
        "guest": {"label": "Guest", "names": ["guests"]},
        "owner": {"label": "Owner", "admin": True},
    }
    roles.pop(without, None)
    return RoleRule.model_validate({"prefix": prefix, "default": default, "roles": roles})


rule = a_rule()


def names(*sent: str, by: RoleRule = rule) -> Reading:
    return by.read(Seen(name, "roles") for name in sent)


def told(*readings: Reading, after: RoleState | None = None) -> RoleState:
    """The role state after the provider has said *readings*, one after the other."""
    role_state = after or fresh(rule)
    for reading in readings:
        role_state = provider_says(rule, role_state, reading)
    return role_state


def shown(role_state: RoleState) -> tuple[str, RoleOrigin]:
    return role_state.role, role_state.origin


by_hand_admin = given_by_hand(rule, fresh(rule), "admin")
conflict = names("dart-admins", "dart-guests")


def test_fresh():
    """Somebody about whom nothing was said has the default role."""
    assert fresh(rule) == RoleState("member", RoleOrigin.DEFAULT, None, False, None, None)


@pytest.mark.parametrize(
    ("sent", "role", "origin", "managed"),
    [
        (["dart-admins"], "admin", RoleOrigin.PROVIDER, True),
        (["DART_MEMBER"], "member", RoleOrigin.PROVIDER, True),
        (["dart-bosses"], "member", RoleOrigin.DEFAULT, True),
        (["Dart Players"], "member", RoleOrigin.DEFAULT, False),
        ([], "member", RoleOrigin.DEFAULT, False),
    ],
)
def test_first_word_of_the_provider(sent: list[str], role: str, origin: RoleOrigin, managed: bool):
    """A prefixed name puts the provider in charge, and without a valid one the default applies."""
    role_state = told(names(*sent))

    assert (*shown(role_state), role_state.managed) == (role, origin, managed)


@pytest.mark.parametrize("sent", [[], ["Dart Players"], ["everyone", "Finance"]])
def test_first_sync_demotes_nobody(sent: list[str]):
    """A role given by hand stays while the provider names nothing that counts."""
    assert told(names(*sent), names(*sent), after=by_hand_admin) == by_hand_admin


@pytest.mark.parametrize(("sent", "role"), [(["dart-guests"], "guest"), (["dart-bosses"], "member")])
def test_provider_takes_over(sent: list[str], role: str):
    """The first prefixed name for a person ends what was given by hand."""
    assert told(names(*sent), after=by_hand_admin).role == role


@pytest.mark.parametrize("start", [fresh(rule), by_hand_admin], ids=["fresh", "by hand"])
@pytest.mark.parametrize("rest", [[], ["Dart Players"], ["dart-bosses"]])
def test_role_taken_away(start: RoleState, rest: list[str]):
    """Once the provider has named a role, taking it away means the default, not what was given by hand."""
    role_state = told(names("dart-admins"), names(*rest), after=start)

    assert (*shown(role_state), role_state.managed) == ("member", RoleOrigin.DEFAULT, True)


def test_conflict_is_refused():
    """Contradicting names change nothing, and the refusal says what they are."""
    with pytest.raises(ConflictingRoles, match=r'"admin".*dart-admins in roles.*"guest"') as refusal:
        provider_says(rule, by_hand_admin, conflict)

    assert isinstance(refusal.value, Refusal)
    assert refusal.value.reading is conflict


@pytest.mark.parametrize(
    "role_state",
    [
        fresh(rule),
        by_hand_admin,
        given_by_hand(rule, fresh(rule), "member"),
        told(names("dart-guests")),
        told(names("dart-guests"), names()),
        given_by_hand(rule, told(names("dart-guests")), "owner"),
    ],
)
def test_held(role_state: RoleState):
    """A held conflict keeps the role whatever it came from, and puts the provider in charge."""
    kept = held(rule, role_state)

    assert (kept.role, kept.managed, kept.override) == (role_state.role, True, role_state.override)
    assert held(rule, kept) == kept
    assert override_lifted(rule, told(names(), after=kept)).role == "member"


@pytest.mark.parametrize(
    ("role_state", "origin"),
    [
        (fresh(rule), RoleOrigin.DEFAULT),
        (told(names("dart-guests"), names()), RoleOrigin.DEFAULT),
        (told(names("dart-members")), RoleOrigin.PROVIDER),
        (by_hand_admin, RoleOrigin.PROVIDER),
        (given_by_hand(rule, told(names("dart-guests")), "owner"), RoleOrigin.OVERRIDE),
    ],
)
def test_origin_of_a_held_role(role_state: RoleState, origin: RoleOrigin):
    """A held role is the provider's, unless it was the default or an override before."""
    assert held(rule, role_state).origin is origin


def test_held_beneath_an_override():
    """An override over held names gives way to the role the provider named before the conflict."""
    overridden = given_by_hand(rule, told(names("dart-guests")), "owner")

    assert override_lifted(rule, held(rule, overridden)).role == "guest"


def test_given_by_hand():
    """By hand, before the provider has spoken, the last word counts and is no override."""
    role_state = given_by_hand(rule, by_hand_admin, "guest")

    assert role_state == RoleState("guest", RoleOrigin.HAND, "guest", False, None, None)


def test_override():
    """By hand, over the provider, a role takes effect at once and holds until it is lifted."""
    overridden = given_by_hand(rule, told(names("dart-guests")), "admin")

    assert shown(overridden) == ("admin", RoleOrigin.OVERRIDE)
    assert shown(told(names("dart-members"), names(), names("dart-guests"), after=overridden)) == (
        "admin",
        RoleOrigin.OVERRIDE,
    )
    assert shown(override_lifted(rule, overridden)) == ("guest", RoleOrigin.PROVIDER)
    assert override_lifted(rule, told(names("dart-members"), after=overridden)) == told(names("dart-members"))


def test_override_with_the_same_role():
    """A role pinned by hand holds even if the provider said the same at that moment."""
    pinned = given_by_hand(rule, told(names("dart-guests")), "guest")

    assert shown(told(names("dart-admins"), after=pinned)) == ("guest", RoleOrigin.OVERRIDE)


@pytest.mark.parametrize("role_state", [fresh(rule), by_hand_admin, told(names("dart-guests"))])
def test_nothing_to_lift(role_state: RoleState):
    """Lifting an override that is not there changes nothing."""
    assert override_lifted(rule, role_state) == role_state


def test_unknown_role():
    """A role that the tenant does not have is refused with those it has."""
    with pytest.raises(UnknownRole, match='no role "chief"; the roles are admin, member, guest, owner') as refusal:
        given_by_hand(rule, fresh(rule), "chief")

    assert (refusal.value.role, refusal.value.known) == ("chief", ("admin", "member", "guest", "owner"))


def test_rule_changed():
    """An edited rule reads the stored names anew."""
    role_state = told(names("dart-admins"))
    edited = a_rule(prefix="acme-")

    assert rule_changed(edited, role_state, names("acme-guests", by=edited)).role == "guest"
    assert shown(rule_changed(edited, role_state, names("dart-admins", by=edited))) == (
        "member",
        RoleOrigin.DEFAULT,
    )


def test_new_default():
    """A new default reaches those who have the default, and nobody else."""
    edited = a_rule("guest")

    assert rule_changed(edited, fresh(rule), names()).role == "guest"
    assert rule_changed(edited, told(names("dart-members")), names("dart-members", by=edited)).role == "member"
    assert rule_changed(edited, by_hand_admin, names()).role == "admin"


@pytest.mark.parametrize(
    "role_state",
    [
        given_by_hand(rule, fresh(rule), "guest"),
        told(names("dart-guests")),
        given_by_hand(rule, told(names("dart-admins")), "guest"),
        held(rule, told(names("dart-guests"))),
    ],
    ids=["by hand", "provider", "override", "held"],
)
@pytest.mark.parametrize("sent", [[], ["dart-guests"], ["dart-admins", "dart-members"]])
def test_role_that_no_longer_exists(role_state: RoleState, sent: list[str]):
    """Whoever had a role that the rule lost gets the default or what the provider says, unless overridden."""
    edited = a_rule(without="guest")

    assert rule_changed(edited, role_state, names(*sent, by=edited)).role == "member"


def test_lost_override_gives_no_more():
    """An override that took a role away does not give it back because the rule was edited."""
    demoted = given_by_hand(rule, told(names("dart-admins")), "guest")
    edited = a_rule(without="guest")
    role_state = rule_changed(edited, demoted, names("dart-admins", by=edited))

    assert shown(role_state) == ("member", RoleOrigin.OVERRIDE)
    assert override_lifted(edited, role_state).role == "admin"


@pytest.mark.parametrize(
    ("role_state", "role"),
    [
        (fresh(rule), "member"),
        (told(names("dart-members")), "member"),
        (by_hand_admin, "admin"),
        (given_by_hand(rule, told(names("dart-members")), "owner"), "owner"),
    ],
)
def test_conflict_by_an_edited_rule(role_state: RoleState, role: str):
    """People whose names conflict under the edited rule keep the role they had, the old default too."""
    edited = a_rule("guest")

    assert rule_changed(edited, role_state, names("dart-admins", "dart-members", by=edited)).role == role


@pytest.mark.parametrize(
    ("role_state", "sent", "why"),
    [
        (
            fresh(rule),
            ["Dart Players"],
            "Neither the provider nor anybody by hand has named a role, so the default applies.",
        ),
        (by_hand_admin, [], "Given by hand; the provider has not named a role yet."),
        (
            told(names("DART_GUEST")),
            ["DART_GUEST"],
            'The provider names one role: "guest" (DART_GUEST in roles).',
        ),
        (
            told(names("dart-guests"), names()),
            [],
            "The provider decides and names no role, so the default applies.",
        ),
        (
            told(names("dart-bosses")),
            ["dart-bosses"],
            (
                "The provider decides and names no valid role: dart-bosses in roles, which is not a role "
                "here, so the default applies."
            ),
        ),
        (
            given_by_hand(rule, told(names("dart-guests")), "admin"),
            ["dart-guests"],
            (
                'Given by hand, over what the provider says (one role: "guest" (dart-guests in roles)), '
                "until it is lifted."
            ),
        ),
        (
            held(rule, by_hand_admin),
            ["dart-admins", "dart-guests"],
            (
                'The role from before is kept, because the provider names more than one role: "admin" '
                '(dart-admins in roles) and "guest" (dart-guests in roles).'
            ),
        ),
    ],
)
def test_why(role_state: RoleState, sent: list[str], why: str):
    """The explanation says in one sentence where the role comes from."""
    explained = explanation(rule, role_state, names(*sent))

    assert explained["why"] == why
    assert (explained["role"], explained["origin"]) == (role_state.role, role_state.origin.value)


def test_explanation():
    """An explanation shows every name, its place, how it was read, and what came of it."""
    reading = rule.read(
        [
            Seen("dart-guests", "group Visitors"),
            Seen("dart-bosses", "roles"),
            Seen("Dart Players", "roles"),
            Seen("dart-admins", "claim"),
        ]
    )

    assert explanation(rule, held(rule, by_hand_admin), reading) == {
        "role": "admin",
        "label": "Admin",
        "admin": True,
        "origin": "provider",
        "why": f"The role from before is kept, because the provider names {reading.describe()}.",
        "managed": True,
        "by_hand": "admin",
        "provider_role": "admin",
        "override": None,
        "conflict": reading.describe(),
        "names": [
            {
                "name": "dart-guests",
                "source": "group Visitors",
                "kind": "role",
                "role": "guest",
                "why": 'Means the role "Guest".',
            },
            {
                "name": "dart-bosses",
                "source": "roles",
                "kind": "ungrantable",
                "role": None,
                "why": 'Begins with "dart-", but is no role here.',
            },
            {
                "name": "Dart Players",
                "source": "roles",
                "kind": "ignored",
                "role": None,
                "why": 'Does not begin with "dart-", so it is none of ours.',
            },
            {
                "name": "dart-admins",
                "source": "claim",
                "kind": "ignored",
                "role": None,
                "why": "The rule does not look for roles there.",
            },
        ],
    }


def test_explanation_without_a_prefix():
    """Where only exact names count, an ignored one is said to be none of them."""
    exact = RoleRule.model_validate(
        {"default": "member", "roles": {"admin": {"label": "A", "admin": True}, "member": {"label": "M"}}}
    )

    why = explanation(exact, fresh(exact), names("dart-admins", by=exact))["names"][0]["why"]

    assert why == "Is none of the exact names that mean a role."


def test_explanation_during_an_edit():
    """A person whom an edit of the rule has not reached yet can still be explained."""
    explained = explanation(a_rule(without="guest"), told(names("dart-guests")), names())

    assert (explained["role"], explained["label"], explained["admin"]) == ("guest", "guest", False)


rules = st.builds(
    a_rule,
    st.just("member"),
    prefix=st.sampled_from(["dart-", "acme-"]),
    without=st.sampled_from(["", "guest", "owner"]),
)
some_names = st.lists(
    st.sampled_from(["dart-admins", "DART_MEMBER", "dart-guests", "dart-bosses", "acme-guests", "everyone"]),
    max_size=3,
)
some_role = st.sampled_from(["admin", "member", "guest", "owner"])
Event = tuple[str, RoleRule, list[str], str]
events: st.SearchStrategy[list[Event]] = st.lists(
    st.tuples(st.sampled_from(["provider", "hand", "lift", "rule"]), rules, some_names, some_role),
    max_size=12,
)


def after(event: Event, current: RoleRule, role_state: RoleState) -> tuple[RoleRule, RoleState]:
    kind, edited, sent, role = event
    reading = names(*sent, by=edited if kind == "rule" else current)
    match kind:
        case "rule":
            return edited, rule_changed(edited, role_state, reading)
        case "hand" if role in current.roles:
            return current, given_by_hand(current, role_state, role)
        case "lift":
            return current, override_lifted(current, role_state)
        case "provider" if not reading.conflict:
            return current, provider_says(current, role_state, reading)
        case _:
            return current, held(current, role_state)


@given(events)
def test_any_history(history: list[Event]):
    """Whatever happens in whatever order, a person has one role of the rule, and the memory fits it."""
    current, role_state = rule, fresh(rule)
    for event in history:
        was_managed = role_state.managed
        current, role_state = after(event, current, role_state)

        remembered = {role_state.by_hand, role_state.provider_role, role_state.override} - {None}
        said = role_state.provider_role if role_state.managed else role_state.by_hand
        assert role_state.role in current.roles
        assert remembered <= set(current.roles)
        assert role_state.role == (role_state.override or said or current.default)
        assert role_state.managed or not was_managed
        assert (role_state.origin is RoleOrigin.OVERRIDE) == (role_state.override is not None)
        assert role_state.managed or role_state.override is None


@given(events, rules, some_names)
def test_nothing_depends_on_saying_it_once(history: list[Event], edited: RoleRule, sent: list[str]):
    """Saying the same twice, as providers do, is the same as saying it once."""
    current, role_state = rule, fresh(rule)
    for event in history:
        current, role_state = after(event, current, role_state)
    reading = names(*sent, by=edited)

    once = rule_changed(edited, role_state, reading)

    assert rule_changed(edited, once, reading) == once
    assert override_lifted(edited, override_lifted(edited, once)) == override_lifted(edited, once)


@given(events, rules)
def test_conflict_never_moves_anybody(history: list[Event], edited: RoleRule):
    """A conflict, however it arose, leaves each person the role they had, as long as it exists."""
    current, role_state = rule, fresh(rule)
    for event in history:
        current, role_state = after(event, current, role_state)

    kept = rule_changed(edited, role_state, names("dart-admins", "dart-bosses", "acme-admins", "acme-x", by=edited))

    assert kept.role == (role_state.role if role_state.role in edited.roles else edited.default)
