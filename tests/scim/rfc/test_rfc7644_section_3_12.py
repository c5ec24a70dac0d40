"""RFC 7644 §3.12: the examples of error responses."""

import orjson

from rollcall.scim.errors import Mutability, NotFound, error_body

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def test_with_a_keyword() -> None:
    """The body has the schema, the keyword, the detail and the status as a string."""
    assert orjson.loads(error_body(Mutability(detail="Attribute 'id' is readOnly"))) == {
        "schemas": [ERROR],
        "scimType": "mutability",
        "detail": "Attribute 'id' is readOnly",
        "status": "400",
    }


def test_not_found() -> None:
    """A 404 has no keyword; unlike the example's, its detail doesn't repeat the id."""
    assert orjson.loads(error_body(NotFound())) == {
        "schemas": [ERROR],
        "detail": "No such resource: it was deleted, or never was here. Let the provider look for it anew (by "
        "userName or "
        "displayName), and create it where it is missing",
        "status": "404",
    }
