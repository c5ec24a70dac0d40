"""RFC 7644 §3.5: the examples of PUT and PATCH that concern Users."""

from typing import Any

import pytest
from scim2_models import PatchOp

from rollcall.scim.documents import document, replaced, work_out
from rollcall.scim.errors import Mutability, NoTarget
from rollcall.scim.profiles import read_patch, read_user
from rollcall.scim.resources import USER_SCHEMA

PATCH = str(PatchOp.__schema__)
BABS: dict[str, Any] = {
    "schemas": [USER_SCHEMA],
    "userName": "bjensen",
    "externalId": "bjensen",
    "name": {"formatted": "Ms. Barbara J Jensen III", "familyName": "Jensen", "givenName": "Barbara"},
    "emails": [{"value": "bjensen@example.com", "type": "work"}],
    "addresses": [
        {"type": "work", "streetAddress": "100 Universal City Plaza", "country": "USA", "primary": True},
        {"type": "home", "streetAddress": "456 Hollywood Blvd", "country": "USA"},
    ],
    "nickName": "Babs",
    "active": True,
}


def change(*operations: dict[str, object]) -> dict[str, Any]:
    read = read_patch({"schemas": [PATCH], "Operations": list(operations)})
    return work_out(document(read_user(BABS).user), read.operations).document


def test_3_5_1_replacing() -> None:
    """A PUT makes the resource what it says; `roles: []` and what it doesn't name are cleared."""
    body = {
        "schemas": [USER_SCHEMA],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "userName": "bjensen",
        "externalId": "bjensen",
        "name": {
            "formatted": "Ms. Barbara J Jensen III",
            "familyName": "Jensen",
            "givenName": "Barbara",
            "middleName": "Jane",
        },
        "roles": [],
        "emails": [{"value": "bjensen@example.com"}, {"value": "babs@jensen.org"}],
    }
    expected = {name: value for name, value in body.items() if name not in ("id", "roles")}
    assert replaced(document(read_user(BABS).user), read_user(body).user) == {**expected, "active": True}


def test_3_5_2_1_adding_without_a_path() -> None:
    """Attributes of an add's value are added: lists grow, single values are set."""
    added: dict[str, object] = {
        "emails": [{"value": "babs@jensen.org", "type": "home"}],
        "nickName": "Babs J",
    }
    after = change({"op": "add", "value": added})
    assert after == {
        **BABS,
        "emails": [*BABS["emails"], {"value": "babs@jensen.org", "type": "home"}],
        "nickName": "Babs J",
    }


def test_3_5_2_1_adding_what_is_there() -> None:
    """Adding a value that is there already changes nothing."""
    assert change({"op": "add", "path": "emails", "value": BABS["emails"]}) == BABS


def test_3_5_2_2_removing() -> None:
    """A removal takes the attribute, the entries its filter selects, or one part of them."""
    assert "nickName" not in change({"op": "remove", "path": "nickName"})
    assert "emails" not in change({"op": "remove", "path": 'emails[type eq "work" and value ew "example.com"]'})
    assert change({"op": "remove", "path": 'addresses[type eq "home"]'})["addresses"] == BABS["addresses"][:1]
    assert change({"op": "remove", "path": "name.givenName"})["name"] == {
        "formatted": "Ms. Barbara J Jensen III",
        "familyName": "Jensen",
    }


def test_3_5_2_2_refusals() -> None:
    """A removal without a path has no target, and what is required can't be removed."""
    with pytest.raises(NoTarget):
        change({"op": "remove"})
    with pytest.raises(Mutability):
        change({"op": "remove", "path": "userName"})


def test_3_5_2_3_replacing_a_selected_entry() -> None:
    """The attributes given replace those of the entry that the filter selects."""
    after = change(
        {
            "op": "replace",
            "path": 'addresses[type eq "work"]',
            "value": {
                "type": "work",
                "streetAddress": "911 Universal City Plaza",
                "locality": "Hollywood",
                "region": "CA",
                "postalCode": "91608",
                "country": "US",
                "formatted": "911 Universal City Plaza\nHollywood, CA 91608 US",
                "primary": True,
            },
        }
    )
    assert after["addresses"][0]["streetAddress"] == "911 Universal City Plaza"
    assert after["addresses"][0]["region"] == "CA"
    assert after["addresses"][1] == BABS["addresses"][1]


def test_3_5_2_3_replacing_one_part() -> None:
    """A part of a selected entry is replaced and the rest of it stays."""
    path = 'addresses[type eq "work"].streetAddress'
    after = change({"op": "replace", "path": path, "value": "1010 Broadway Ave"})
    assert after["addresses"][0] == {**BABS["addresses"][0], "streetAddress": "1010 Broadway Ave"}


def test_3_5_2_3_replacing_without_a_path() -> None:
    """Each attribute of the value replaces the one there is, lists as a whole."""
    emails = [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.org", "type": "home"},
    ]
    assert change({"op": "replace", "value": {"emails": emails, "nickName": "Babs J"}}) == {
        **BABS,
        "emails": emails,
        "nickName": "Babs J",
    }


def test_3_5_2_3_no_match_describes_an_entry() -> None:
    """Where the standard has noTarget for a filter without a match, the entry it describes is added.

    That is Entra's deviation, and it can't be misread; a filter that describes no one entry is noTarget still.
    """
    after = change({"op": "replace", "path": 'addresses[type eq "other"].country', "value": "FR"})
    assert after["addresses"][2] == {"type": "other", "country": "FR"}
    with pytest.raises(NoTarget):
        change({"op": "replace", "path": 'addresses[type eq "other" or type eq "x"].country', "value": "FR"})


def test_3_5_2_primary_moves() -> None:
    """When a patch marks an entry as primary, the one that was is no more."""
    after = change({"op": "replace", "path": 'addresses[type eq "home"].primary', "value": True})
    assert [entry["primary"] for entry in after["addresses"]] == [False, True]
