"""The resources that are served: scim2-models' own, loosened where providers need it, bounded where we do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, ClassVar, Final, cast

import scim2_models
from pydantic import Field
from scim2_models import (
    CaseExact,
    ComplexAttribute,
    ExtensibleStringEnum,
    Mutability,
    Path,
    Reference,
    Required,
    ScimFilter,
)
from scim2_models.path import FilterNode

from rollcall.scim.attributes import Attribute, attributes_of
from rollcall.scim.errors import InvalidValue
from rollcall.scim.name_keys import name_key, without_case
from rollcall.scim.reader import unholdable

LONGEST_TEXT: Final = 1_024
"""Characters in any string that has no limit of its own."""

LONGEST: Final[Mapping[str, int]] = {
    # These stand in indexes, whose rows PostgreSQL bounds at 2,704 bytes; four bytes a character fit.
    "userName": 512,
    "externalId": 512,
    "displayName": 512,
    "emails.value": 512,
    # These carry more than a name: addresses with parameters, JSON or XML inside a string, certificates.
    "profileUrl": 8_192,
    "photos.value": 8_192,
    "roles.value": 8_192,
    "entitlements.value": 8_192,
    "x509Certificates.value": 32_768,
}
"""Characters in those that have."""

SHORTEST_LIMIT: Final = min(LONGEST_TEXT, *LONGEST.values())

MOST_ENTRIES: Final = 1_000
"""Entries in any multi-valued attribute of one person."""

LARGEST_DOCUMENT: Final = 1_048_576
"""Characters in all the strings of one person; many patches must not add up to more than one body may."""


def _itself(label: ExtensibleStringEnum, _: object) -> ExtensibleStringEnum:
    return label


# Before Python 3.11.4 a member of an enum was copied by looking up its name, and by that a label that no standard lists
# isn't found. A patch begins with copying the person.
if "__deepcopy__" not in vars(Enum):
    ExtensibleStringEnum.__deepcopy__ = _itself  # pyright: ignore[reportAttributeAccessIssue]


class Email(scim2_models.Email):
    """An e-mail address as the provider spells it: many keep people in `.local` and `.test` domains."""

    value: str | None = None
    """Email addresses for the user."""


class Manager(scim2_models.Manager):
    """The person's manager; RFC 7643 §8.7.1 requires neither part, and providers send the value alone."""

    value: Annotated[str | None, CaseExact.true] = None
    """The id of the SCIM resource representing the User's manager."""

    # The override differs in the class that the reference is written for, not in what it holds.
    ref: Reference["User"] | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The URI of the SCIM resource representing the User's manager."""


class EnterpriseUser(scim2_models.EnterpriseUser):
    """Enterprise User"""

    # Narrowed on purpose: a Manager of ours is all it ever holds.
    manager: Manager | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """The User's manager.

    A complex type that optionally allows service providers to represent
    organizational hierarchy by referencing the 'id' attribute of
    another User.
    """


class User(scim2_models.User[EnterpriseUser]):
    """User Account"""

    # Narrowed on purpose, as above.
    emails: list[Email] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """Email addresses for the user."""

    Emails: ClassVar[type[ComplexAttribute]] = Email


class GroupMember(scim2_models.GroupMember):
    """Somebody or some group in a group; what is said of a member follows from its id, but for its name."""

    value: Annotated[str | None, Required.true, Mutability.immutable, CaseExact.true] = None
    """The id of the User or Group that is a member."""

    display: Annotated[str | None, Mutability.immutable] = None
    """What the member is called in the group: as whoever added them said, or else by their own name."""


class Group(scim2_models.Group):
    """Group"""

    # Narrowed on purpose, as above.
    members: list[GroupMember] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """The members of the group; a call has room for about 20,000, and more come by further calls that add to them."""

    Members: ClassVar[type[ComplexAttribute]] = GroupMember


USER_SCHEMA: Final = str(User.__schema__)
ENTERPRISE_SCHEMA: Final = str(EnterpriseUser.__schema__)
GROUP_SCHEMA: Final = str(Group.__schema__)
USER_ATTRIBUTES: Final = attributes_of(User)
GROUP_ATTRIBUTES: Final = attributes_of(Group)
ENTERPRISE_ATTRIBUTES: Final = USER_ATTRIBUTES[ENTERPRISE_SCHEMA.lower()].parts


@dataclass(frozen=True, slots=True, eq=False)
class ResourceKind:
    """A kind of resource, with all that a request about one is read against."""

    name: str
    endpoint: str
    schema: str
    attributes: Mapping[str, Attribute] = field(repr=False)
    path: Callable[[str], Path[Any]] = field(repr=False)
    """Parses a path, bound to the model."""
    filter: Callable[[FilterNode], ScimFilter[Any]] = field(repr=False)
    """Binds the tree of a filter to the model, and judges operators and values against it."""


USERS: Final = ResourceKind("User", "/Users", USER_SCHEMA, USER_ATTRIBUTES, Path[User], ScimFilter[User])
GROUPS: Final = ResourceKind("Group", "/Groups", GROUP_SCHEMA, GROUP_ATTRIBUTES, Path[Group], ScimFilter[Group])


def key(value: str) -> str:
    """*value* as the search columns beside the documents hold it: without case, composed (NFC).

    Applying it twice is the same as applying it once.
    """
    return without_case(value)


def first_key(name: str) -> str | None:
    """A name's key of the first version, `key`, by which one from then is kept; None if `name_key` says the same."""
    first = key(name)
    return None if first == name_key(name) else first


def check_limits(document: Mapping[str, object]) -> None:
    """Refuse what can't be stored or searched, before anything tries.

    It looks at the document rather than at a request, because a patch's filter or many small patches can
    build what no single value held.

    Raises:
        InvalidValue: a string is too long or holds NUL or half a surrogate pair; a list has too many entries;
            all together is too large; or `userName` is blank.
    """
    if not name_key(str(document.get("userName", ""))):
        raise InvalidValue(
            attribute="userName", detail="userName: it must not be blank, nor consist of invisible characters"
        )
    texts: list[str] = []
    _gather(document, texts)
    together = "".join(texts)
    if len(together) > LARGEST_DOCUMENT:
        raise InvalidValue(
            detail=f"The resource would be larger than {LARGEST_DOCUMENT} characters; leave some attributes out "
            "of the provider's mapping"
        )
    # Nearly every document ends here; only one that will be refused, or holds a long text, is walked by name.
    if unholdable(together) or any(len(text) > SHORTEST_LIMIT for text in texts):
        _check_each(document, "")


def _gather(value: object, texts: list[str]) -> None:
    """Collect every string, and refuse lists that are too long on the way."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for part in cast("dict[str, object]", value).values():
            _gather(part, texts)
    elif isinstance(value, list):
        entries = cast("list[object]", value)
        if len(entries) > MOST_ENTRIES:
            raise InvalidValue(detail=f"An attribute would have more than {MOST_ENTRIES} entries; leave some out")
        for entry in entries:
            _gather(entry, texts)


def _check_each(value: object, path: str) -> None:
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, dict):
        for name, part in cast("dict[str, object]", value).items():
            separator = ":" if path == ENTERPRISE_SCHEMA else "."
            _check_each(part, f"{path}{separator}{name}" if path else name)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            _check_each(entry, path)


def check_text(text: str, path: str) -> None:
    """Refuse a text that is too long for the attribute at *path*, or can't be stored anywhere.

    Raises:
        InvalidValue: it is one of the two.
    """
    if len(text) > (longest := LONGEST.get(path, LONGEST_TEXT)):
        raise InvalidValue(attribute=path, detail=f"{path}: longer than {longest} characters")
    if (found := unholdable(text)) is not None:
        raise InvalidValue(attribute=path, detail=f"{path}: it holds {found}")
