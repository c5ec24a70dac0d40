"""RFC 7644 §3.9: the example of asking for some attributes."""

from rollcall.scim.projection import project


def test_example() -> None:
    """Asking for userName answers it with `id` and `schemas`, and no `meta`."""
    resource: dict[str, object] = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "userName": "bjensen",
        "displayName": "Babs Jensen",
        "meta": {"resourceType": "User"},
    }
    assert project(resource, "userName", None) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "userName": "bjensen",
    }
