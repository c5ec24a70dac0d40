"""From a document to what is stored of a person, and the role that their names give."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest

from factories import DART_RULE, USER
from rollcall.directory import mapping, role_states
from rollcall.directory.mapping import Cause, Former, Judged, Stored
from rollcall.directory.role_states import ConflictingRoles, RoleOrigin
from rollcall.directory.rules import RoleRule
from rollcall.directory.user_changes import UserChange

RULE = RoleRule.model_validate(DART_RULE)
HOLDING = RoleRule.model_validate({**DART_RULE, "on_conflict": "hold"})
CAUSE = Cause("request", datetime(2030, 1, 1, tzinfo=UTC), "left")
CONFLICT = ["dart-admins", "dart-guests"]
GUEST = mapping.judge(RULE, role_states.fresh(RULE), {"roles": [{"value": "dart-guests"}]}).role_state


def document(*roles: str, active: bool = True, **attributes: object) -> dict[str, object]:
    """A stored document with these roles."""
    named: dict[str, object] = {"roles": [{"value": role} for role in roles]} if roles else {}
    return {"schemas": [USER], "userName": "Maria", "active": active, **named, **attributes}


def stored(*roles: str, active: bool = True) -> Stored:
    """Somebody who is a guest, whose document has these roles."""
    return Stored(UUID(int=1), UUID(int=2), document(*roles, active=active), 3, active, GUEST, RULE, 1)


def topics(change: UserChange) -> list[str]:
    """The events of a change."""
    return [event["topic"] for event in change.events]


def test_one_role_is_the_providers() -> None:
    """One name gives its role, by the provider."""
    judged = mapping.judge(RULE, role_states.fresh(RULE), document("dart-admins"))

    assert (judged.role_state.role, judged.role_state.origin) == ("admin", RoleOrigin.PROVIDER)
    assert judged == Judged(judged.role_state)


def test_conflict_is_refused() -> None:
    """Names that contradict each other are refused, for somebody new and for somebody there."""
    with pytest.raises(ConflictingRoles):
        mapping.judge(RULE, role_states.fresh(RULE), document(*CONFLICT))
    with pytest.raises(ConflictingRoles):
        mapping.judge(RULE, GUEST, document(*CONFLICT), before=stored("dart-guests"))


@pytest.mark.parametrize(("rule", "active"), [(RULE, False), (HOLDING, True), (HOLDING, False)])
def test_conflict_is_held(rule: RoleRule, *, active: bool) -> None:
    """Who is inactive afterwards, or whose tenant holds, keeps the role from before, and the case opens."""
    judged = mapping.judge(rule, GUEST, document(*CONFLICT, active=active), before=stored("dart-guests"))

    assert judged.role_state.role == "guest"
    assert judged.conflict is not None
    assert judged.conflict.roles == ("admin", "guest")


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, False)])
def test_conflict_that_is_not_touched(*, before: bool, after: bool) -> None:
    """A conflict from before that a change leaves alone is no reason against it, and its case stays as it is."""
    judged = mapping.judge(
        RULE, GUEST, document(*CONFLICT, active=after, title="Dr"), before=stored(*CONFLICT, active=before)
    )

    assert judged == Judged(judged.role_state, keep_case=True)
    assert judged.role_state.role == "guest"


def test_conflict_bars_the_way_back() -> None:
    """Nobody is reactivated while their names contradict each other."""
    with pytest.raises(ConflictingRoles):
        mapping.judge(RULE, GUEST, document(*CONFLICT), before=stored(*CONFLICT, active=False))


def test_roles_that_are_not_read() -> None:
    """Where the rule does not read `roles`, what stands there is nobody's business."""
    rule = RoleRule.model_validate({**DART_RULE, "sources": ["groups"]})

    assert mapping.judge(rule, role_states.fresh(rule), document(*CONFLICT)).role_state.role == "member"


def test_search_columns() -> None:
    """Beside the document stands what is searched: without case and composed, externalId with its case."""
    person = document(
        displayName="Zoe\N{COMBINING DIAERESIS} STRASSE",
        externalId="Zoe\N{COMBINING DIAERESIS}",
        emails=[{"value": "Z@Acme.test"}, {"value": "z@acme.test"}, {"type": "home"}, {"value": "a@b.c"}],
    )

    change = mapping.new_user(person, RULE, 7, Judged(GUEST), CAUSE)

    assert change.user_name_key == "maria"
    assert change.display_name_key == "zoë strasse"
    assert change.external_id == "Zoë"
    assert change.emails == ("a@b.c", "z@acme.test")
    assert (change.role, change.is_admin, change.rule_version) == ("guest", False, 7)
    assert change.document == person
    assert change.account_id is None


def test_what_is_not_there_is_null() -> None:
    """Somebody without externalId, displayName and addresses has none in the columns either."""
    change = mapping.new_user(document(), RULE, 1, Judged(GUEST), CAUSE)

    assert (change.external_id, change.display_name_key, change.emails) == (None, None, ())


def test_events_of_a_new_person() -> None:
    """A new person is provisioned, with their role, and relinked when they had an account."""
    new = mapping.new_user(document(), RULE, 1, Judged(GUEST), CAUSE)
    back = mapping.new_user(document(), RULE, 1, Judged(GUEST), CAUSE, former=Former(UUID(int=9), GUEST))

    assert new.events == ({"topic": "user.provisioned", "role": "guest", "relinked": False},)
    assert back.events == ({"topic": "user.provisioned", "role": "guest", "relinked": True},)
    assert (back.account_id, back.former_role_state) == (UUID(int=9), GUEST)


def test_events_of_a_change() -> None:
    """A change tells what it was: an update always, the role and the way back only where they changed."""
    admin = mapping.judge(RULE, GUEST, document("dart-admins")).role_state
    gone = stored("dart-guests", active=False)

    assert topics(mapping.changed_user(stored(), document(), Judged(GUEST), CAUSE)) == ["user.updated"]
    assert topics(mapping.changed_user(stored(), document(), Judged(admin), CAUSE)) == [
        "user.updated",
        "user.role_changed",
    ]
    assert topics(mapping.changed_user(gone, document(), Judged(GUEST), CAUSE)) == ["user.updated", "user.reactivated"]
    assert topics(mapping.changed_user(gone, document(active=False), Judged(GUEST), CAUSE)) == ["user.updated"]


def test_change_knows_what_it_began_from() -> None:
    """A change carries the version and the role state that it was worked out from, so it can be told if it is late."""
    change = mapping.changed_user(stored(), document(), Judged(GUEST), CAUSE)

    assert change.version == 3
    assert change.was_role_state == GUEST


def test_case_of_a_conflict() -> None:
    """A held conflict carries its case, with the names and where they come from, and says so."""
    judged = mapping.judge(HOLDING, GUEST, document(*CONFLICT), before=stored())

    change = mapping.changed_user(stored(), document(*CONFLICT), judged, CAUSE)

    assert "conflict.opened" in topics(change)
    assert change.case is not None
    assert (change.case["user_name"], change.case["user_name_key"]) == ("Maria", "maria")
    assert change.case["roles"] == ["admin", "guest"]
    assert [name["source"] for name in change.case["names"]] == ["roles", "roles"]


def test_role_state_survives_storage() -> None:
    """A role state is read back as it was stored, from text and from what the driver has decoded."""
    columns = mapping.with_role(RULE, GUEST)

    assert mapping.read_role_state(orjson.dumps(columns["role_state"]).decode()) == GUEST
    assert mapping.read_role_state(columns["role_state"]) == GUEST


def test_what_a_second_life_inherits() -> None:
    """Who comes back does not inherit a role given by hand, and does inherit an override."""
    hand = role_states.given_by_hand(RULE, role_states.fresh(RULE), "admin")
    override = role_states.given_by_hand(RULE, GUEST, "financial-admin")

    assert mapping.judge(RULE, mapping.taken_up_again(hand), document()).role_state.role == "member"
    assert mapping.judge(RULE, mapping.taken_up_again(override), document("dart-guests")).role_state.role == (
        "financial-admin"
    )
    assert mapping.taken_up_again(GUEST) == replace(GUEST, by_hand=None)


def test_rules_are_read_once() -> None:
    """The same text is the same rule."""
    text = orjson.dumps(RULE.model_dump(mode="json")).decode()

    assert mapping.read_rule(text) is mapping.read_rule(text)
    assert mapping.read_rule(text) == RULE
