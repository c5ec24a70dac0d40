"""RFC 7643 §8.4: the example of a group."""

from rollcall.scim.groups import read_group

EXAMPLE: dict[str, object] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
    "id": "e9e30dba-f08f-4109-8486-d5c6a331660a",
    "displayName": "Tour Guides",
    "members": [
        {
            "value": "2819c223-7f76-453a-919d-413861904646",
            "$ref": "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
            "display": "Babs Jensen",
        },
        {
            "value": "902c246b-6245-4190-8e05-00816be7344a",
            "$ref": "https://example.com/v2/Users/902c246b-6245-4190-8e05-00816be7344a",
            "display": "Mandy Pepperidge",
        },
    ],
    "meta": {
        "resourceType": "Group",
        "created": "2010-01-23T04:56:22Z",
        "lastModified": "2011-05-13T04:42:34Z",
        "version": 'W/"3694e05e9dff592"',
        "location": "https://example.com/v2/Groups/e9e30dba-f08f-4109-8486-d5c6a331660a",
    },
}


def test_example() -> None:
    """The example is read whole, and nothing about it is unusual."""
    read = read_group(EXAMPLE)
    assert read.display_name == "Tour Guides"
    assert read.members == ("2819c223-7f76-453a-919d-413861904646", "902c246b-6245-4190-8e05-00816be7344a")
    assert read.deviations == ()
