"""RFC 7643 §8: the representations of a User, read and kept."""

from typing import Any

import pytest

from rollcall.scim.documents import document
from rollcall.scim.profiles import read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA

MINIMAL: dict[str, Any] = {
    "schemas": [USER_SCHEMA],
    "id": "2819c223-7f76-453a-919d-413861904646",
    "userName": "bjensen@example.com",
    "meta": {
        "resourceType": "User",
        "created": "2010-01-23T04:56:22Z",
        "lastModified": "2011-05-13T04:42:34Z",
        "version": 'W/"3694e05e9dff590"',
        "location": "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
    },
}
"""§8.1."""

FULL: dict[str, Any] = {
    **MINIMAL,
    "externalId": "701984",
    "name": {
        "formatted": "Ms. Barbara J Jensen, III",
        "familyName": "Jensen",
        "givenName": "Barbara",
        "middleName": "Jane",
        "honorificPrefix": "Ms.",
        "honorificSuffix": "III",
    },
    "displayName": "Babs Jensen",
    "nickName": "Babs",
    "profileUrl": "https://login.example.com/bjensen",
    "emails": [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.org", "type": "home"},
    ],
    "addresses": [
        {
            "type": "work",
            "streetAddress": "100 Universal City Plaza",
            "locality": "Hollywood",
            "region": "CA",
            "postalCode": "91608",
            "country": "USA",
            "formatted": "100 Universal City Plaza\nHollywood, CA 91608 USA",
            "primary": True,
        },
        {
            "type": "home",
            "streetAddress": "456 Hollywood Blvd",
            "locality": "Hollywood",
            "region": "CA",
            "postalCode": "91608",
            "country": "USA",
            "formatted": "456 Hollywood Blvd\nHollywood, CA 91608 USA",
        },
    ],
    "phoneNumbers": [
        {"value": "555-555-5555", "type": "work"},
        {"value": "555-555-4444", "type": "mobile"},
    ],
    "ims": [{"value": "someaimhandle", "type": "aim"}],
    "photos": [
        {"value": "https://photos.example.com/profilephoto/72930000000Ccne/F", "type": "photo"},
        {"value": "https://photos.example.com/profilephoto/72930000000Ccne/T", "type": "thumbnail"},
    ],
    "userType": "Employee",
    "title": "Tour Guide",
    "preferredLanguage": "en-US",
    "locale": "en-US",
    "timezone": "America/Los_Angeles",
    "active": True,
    "password": "t1meMa$heen",
    "groups": [
        {"value": "e9e30dba-f08f-4109-8486-d5c6a331660a", "$ref": "../Groups/e9e30dba", "display": "Tour Guides"}
    ],
    "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UE"}],
}
"""§8.2, with one certificate cut short."""

ENTERPRISE: dict[str, Any] = {
    **FULL,
    "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
    ENTERPRISE_SCHEMA: {
        "employeeNumber": "701984",
        "costCenter": "4130",
        "organization": "Universal Studios",
        "division": "Theme Park",
        "department": "Tour Operations",
        "manager": {
            "value": "26118915-6090-4610-87e4-49d8ca9f808d",
            "$ref": "../Users/26118915-6090-4610-87e4-49d8ca9f808d",
            "displayName": "John Smith",
        },
    },
}
"""§8.3."""


@pytest.mark.parametrize("example", [MINIMAL, FULL, ENTERPRISE], ids=["8.1", "8.2", "8.3"])
def test_examples_are_kept(example: dict[str, Any]) -> None:
    """All of an example is kept, except what is ours to say and the password."""
    expected = {name: value for name, value in example.items() if name not in ("id", "meta", "groups", "password")}
    if ENTERPRISE_SCHEMA in expected:
        manager = {**expected[ENTERPRISE_SCHEMA]["manager"]}
        del manager["displayName"]
        expected[ENTERPRISE_SCHEMA] = {**expected[ENTERPRISE_SCHEMA], "manager": manager}
    assert document(read_user(example).user) == {"active": True, **expected}


def test_unassigned() -> None:
    """Null and the empty list are unassigned values (RFC 7643 §2.5)."""
    person: dict[str, object] = {**MINIMAL, "nickName": None, "emails": [], "name": {"givenName": None}}
    assert document(read_user(person).user) == document(read_user(MINIMAL).user)
