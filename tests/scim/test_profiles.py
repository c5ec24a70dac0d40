"""Bodies of POST and PUT as providers send them, and how they are read."""

import time

import pytest

from rollcall.scim import documents
from rollcall.scim.errors import InvalidSyntax, InvalidValue
from rollcall.scim.profiles import DEVIATIONS, quoted, read_user
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USER_SCHEMA
from rollcall.scim.values import MOST_NOTES, Deviation


def stored(**attributes: object) -> dict[str, object]:
    """What is kept of a body that has these attributes, without what every document has."""
    payload = {"schemas": [USER_SCHEMA], "userName": "ada", **attributes}
    kept = documents.document(read_user(payload).user)
    return {name: value for name, value in kept.items() if name not in ("schemas", "userName", "active")}


def deviations(**attributes: object) -> tuple[str, ...]:
    return read_user({"schemas": [USER_SCHEMA], "userName": "ada", **attributes}).deviations


def test_every_deviation_is_described() -> None:
    """The table has a line for each deviation, and every line says all four things."""
    assert set(DEVIATIONS) == set(Deviation)
    for line in DEVIATIONS.values():
        assert all((line.provider, line.sends, line.read_as, line.documented))


def test_standard_body_has_no_deviations() -> None:
    """A body as the standard has it leaves nothing to note."""
    assert deviations(emails=[{"value": "a@b.c", "primary": True}], id="1", meta={}, groups=[]) == ()


@pytest.mark.parametrize(("word", "meant"), [("True", True), ("false", False), ("FALSE", False)])
def test_string_booleans(word: str, meant: bool) -> None:
    """Entra's strings for booleans are read, for `active` and `primary`."""
    read = read_user({"schemas": [USER_SCHEMA], "userName": "a", "active": word, "roles": [{"primary": word}]})
    kept = documents.document(read.user)
    assert kept["active"] is meant
    assert kept["roles"] == [{"primary": meant}]
    assert read.deviations == ("string-boolean:active", "string-boolean:roles.primary")


@pytest.mark.parametrize("word", ["yes", "1", 1, 0, 1.0, "on", "", [], {}])
def test_other_words_are_no_booleans(word: object) -> None:
    """Nothing else is a boolean: somebody's access hangs on it."""
    with pytest.raises(InvalidValue, match="active"):
        stored(active=word)


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        (["admin", "staff"], [{"value": "admin"}, {"value": "staff"}]),
        ("admin", [{"value": "admin"}]),
        ({"value": "admin"}, [{"value": "admin"}]),
        ([{"value": "admin", "primary": "True"}], [{"value": "admin", "primary": True}]),
        (
            [{"primary": False, "type": "WindowsAzureActiveDirectoryRole", "displayName": "Admin", "value": "admin"}],
            [{"value": "admin", "display": "Admin", "type": "WindowsAzureActiveDirectoryRole", "primary": False}],
        ),
        ([{"id": "06b0", "value": "admin", "display": "A", "displayName": "B"}], [{"value": "admin", "display": "A"}]),
        (['{"value":"admin"}'], [{"value": '{"value":"admin"}'}]),
        ([{"value": '{"id":"1","value":"admin"}'}], [{"value": '{"id":"1","value":"admin"}'}]),
        ([], None),
        (None, None),
        ([None, {"value": None}], None),
    ],
)
def test_shapes_of_roles(roles: object, kept: object) -> None:
    """Roles come as strings, objects, one or many, JSON inside a string; what is stored is what was sent."""
    assert stored(roles=roles).get("roles") == kept


@pytest.mark.parametrize(
    ("emails", "kept"),
    [
        ([{"value": "a@b.c"}, {"value": "A@B.C", "type": "work"}], [{"value": "a@b.c", "type": "work"}]),
        (["a@b.c", "a@b.c", "a@b.c"], [{"value": "a@b.c"}]),
        (
            [
                {"value": "a@b.c", "type": "work", "primary": True},
                {"value": "a@b.c", "type": "WORK", "primary": "True"},
            ],
            [{"value": "a@b.c", "type": "work", "primary": True}],
        ),
        (
            [{"value": "a@b.c", "type": "work"}, {"value": "a@b.c", "type": "home"}],
            [{"value": "a@b.c", "type": "work"}, {"value": "a@b.c", "type": "home"}],
        ),
        ([{"type": "work"}, {"type": "work"}], [{"type": "work"}, {"type": "work"}]),
    ],
)
def test_equal_entries(emails: object, kept: object) -> None:
    """Entries of one value and type are one entry (RFC 7643 §2.4); a type that one lacks tells nothing apart."""
    assert stored(emails=emails)["emails"] == kept


def test_equal_entries_of_what_has_no_value() -> None:
    """Addresses are the same if all that they say is; a value whose case counts is the same in the same case."""
    home = {"locality": "Wien", "country": "AT", "type": "home"}
    assert stored(addresses=[home, {**home, "locality": "WIEN", "primary": True}])["addresses"] == [
        {**home, "locality": "WIEN", "primary": True}
    ]
    photos = [{"value": "https://a.test/x"}, {"value": "https://a.test/X"}, {"value": "https://a.test/x"}]
    assert stored(photos=photos)["photos"] == photos[:2]


def test_enterprise_attributes_without_their_urn() -> None:
    """Attributes of the enterprise extension are found by themselves; what stands under the URN comes first."""
    sent = {"department": "Tour", "Manager": "7", ENTERPRISE_SCHEMA.upper(): {"DEPARTMENT": "Band"}}
    assert stored(**sent) == {ENTERPRISE_SCHEMA: {"department": "Band", "manager": {"value": "7"}}}
    assert deviations(**sent)[:2] == ("no-urn:department", "no-urn:Manager")
    assert stored(costCenter="4711") == {ENTERPRISE_SCHEMA: {"costCenter": "4711"}}


def test_empty_strings() -> None:
    """Where an empty string can't be kept it means no value; where it can it is kept."""
    sent = {"profileUrl": "", "emails": "", "roles": ["", "a"], "name": "", "x509Certificates": [{"value": ""}]}
    assert stored(title="", **sent) == {"title": "", "roles": [{"value": "a"}]}
    assert "empty-string:profileUrl" in deviations(**sent)


def test_bare_manager() -> None:
    """A manager may be a string, and its displayName is ours to say."""
    for manager in ("26118915", {"value": "26118915", "displayName": "Boss"}, [{"value": "26118915"}]):
        assert stored(**{ENTERPRISE_SCHEMA: {"manager": manager}}) == {
            ENTERPRISE_SCHEMA: {"manager": {"value": "26118915"}}
        }


def test_names_in_any_case() -> None:
    """Attribute names and schema URNs have no case (RFC 7643 §2.1)."""
    read = read_user({"SCHEMAS": [USER_SCHEMA.upper()], "USERNAME": "ada", "Name": {"GIVENNAME": "Ada"}})
    kept = documents.document(read.user)
    assert (kept["userName"], kept["name"]) == ("ada", {"givenName": "Ada"})
    assert read.deviations == ()


def test_unknown_attributes_are_ignored_and_noted() -> None:
    """What nobody declares is left out at every level, and the ledger says what it was."""
    sent = {
        "favouriteColour": "blue",
        "name": {"givenName": "Ada", "nick": "A"},
        "urn:example:acme": {"a": 1},
        "user_name": "x",
    }
    assert stored(**sent) == {"name": {"givenName": "Ada"}}
    assert deviations(**sent) == (
        "unknown-attribute:favouriteColour",
        "unknown-attribute:name.nick",
        "unknown-attribute:urn:example:acme",
        "unknown-attribute:user_name",
    )


def test_notes_are_bounded() -> None:
    """A body with a thousand unknown names of any length makes a short ledger."""
    found = deviations(**{f"x{number}" + "y" * 500: 1 for number in range(1_000)})
    assert len(found) == MOST_NOTES
    assert max(map(len, found)) < 120


def test_unknown_schemas() -> None:
    """Schema URNs nobody declares are noted; a body without schemas is the resource of its address."""
    assert read_user({"schemas": [USER_SCHEMA, "urn:x:y"], "userName": "a"}).deviations == ("unknown-schema:urn:x:y",)
    assert read_user({"userName": "a"}).deviations == ("no-schemas",)
    assert read_user({"schemas": [], "userName": "a"}).deviations == ("no-schemas",)


def test_another_resource() -> None:
    """A Group sent to the Users is refused, not stored as a person."""
    with pytest.raises(InvalidSyntax, match="schemas"):
        read_user({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "userName": "a"})


def test_ours_to_say() -> None:
    """`id`, `meta` and `groups` are ignored, whatever they hold (RFC 7644 §3.5.1)."""
    assert stored(id=5, meta="x", groups={"value": 1}) == {}


@pytest.mark.parametrize("password", ["hunter2", None, {"x": 1}])
def test_password_is_dropped(password: object) -> None:
    """Okta's password is accepted and is nowhere afterwards, not even in memory."""
    read = read_user({"schemas": [USER_SCHEMA], "userName": "a", "password": password})
    assert "hunter2" not in repr(read)
    assert "password" not in documents.document(read.user)
    assert read.deviations == ("password",)


@pytest.mark.parametrize(
    "attributes",
    [
        {"userName": None},
        {"userName": ""},
        {"userName": " "},
        {"userName": 5},
        {"userName": "x" * 513},
        {"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": "true"}]},
        {"emails": [{"value": 5}]},
        {"name": "Ada"},
        {"displayName": {"a": 1}},
        {"displayName": ["a", "b"]},
        {"profileUrl": "no address"},
        {"x509Certificates": [{"value": "!!!"}]},
        {ENTERPRISE_SCHEMA: "x"},
    ],
)
def test_values_that_do_not_fit(attributes: dict[str, object]) -> None:
    """A missing or ill-fitting value is 400 invalidValue and names the attribute."""
    with pytest.raises(InvalidValue, match=next(iter(attributes))):
        documents.document(read_user({"schemas": [USER_SCHEMA], "userName": "ada", **attributes}).user)


def test_user_name_is_required() -> None:
    """A body without userName is refused."""
    with pytest.raises(InvalidValue, match="userName: it is required"):
        read_user({"schemas": [USER_SCHEMA]})


def test_certificates_with_line_breaks() -> None:
    """Base64 may be broken into lines."""
    assert stored(x509Certificates=[{"value": "aGVs\nbG8="}]) == {"x509Certificates": [{"value": "aGVsbG8="}]}


def test_labels_in_any_case() -> None:
    """A label from the standard's list is kept in the standard's spelling, any other as it is."""
    kept = stored(emails=[{"value": "a", "type": "Work"}, {"value": "b", "type": "Lab"}])
    assert kept["emails"] == [{"value": "a", "type": "work"}, {"value": "b", "type": "Lab"}]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("userName eq bob@x.com", 'userName eq "bob@x.com"'),
        ("userName eq bob and active eq True", 'userName eq "bob" and active eq True'),
        ("active eq true or title eq null", "active eq true or title eq null"),
        ("userName eq trueman", 'userName eq "trueman"'),
        ("employeeNumber eq 701984", 'employeeNumber eq "701984"'),
        ("displayName eq Tour Guides or (id eq 5)", 'displayName eq "Tour Guides" or (id eq "5")'),
        ("emails[type eq work and value co x].value eq y", 'emails[type eq "work" and value co "x"].value eq "y"'),
        ("not (userName\teq\tbob)", 'not (userName\teq\t"bob")'),
        ("displayName eq a\\b", 'displayName eq "a\\\\b"'),
        ('displayName eq "Rock eq Roll and x eq y"', 'displayName eq "Rock eq Roll and x eq y"'),
        ('userName eq "a\\" eq b"', 'userName eq "a\\" eq b"'),
        ("title pr", "title pr"),
        ("", ""),
    ],
)
def test_filters_without_quotes(sent: str, read: str) -> None:
    """Values without quotes get them; what has them, and what is no string, stays as it is."""
    assert quoted(sent) == read
    assert quoted(read) == read


@pytest.mark.parametrize("piece", ["a eq ", "eq ", " ", '"', "x eq b ", "and ", "x eq a and "])
def test_quoting_takes_as_long_as_the_text(piece: str) -> None:
    """No filter makes the rewriting slow."""
    begun = time.process_time()
    quoted("x eq b" + piece * 50_000)
    assert time.process_time() - begun < 1


def test_wrapped_values() -> None:
    """Entra's lists of one and wrapped values are the value."""
    assert stored(displayName=[{"$ref": None, "value": "Ada"}]) == {"displayName": "Ada"}
