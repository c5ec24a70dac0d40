"""What providers do otherwise than the standard, in one table, and the reading of their requests.

Nearly every line here is read the same way whoever calls, because it can't be misread. What is ambiguous, or
contradicts another provider, is read so only where a tenant's profile says so, and its line names that profile.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from pydantic import ValidationError
from scim2_models import Context, PatchOp, ScimFilter

from rollcall.scim.bodies import read_message, read_schemas
from rollcall.scim.edits import edits_of
from rollcall.scim.errors import InvalidValue, from_validation
from rollcall.scim.operations import read_operations
from rollcall.scim.patching import PATCH_SCHEMA, POLICY, Message, Patch
from rollcall.scim.plain import PlainUser, plain_user
from rollcall.scim.resources import (
    ENTERPRISE_ATTRIBUTES,
    ENTERPRISE_SCHEMA,
    USER_ATTRIBUTES,
    USERS,
    User,
)
from rollcall.scim.values import Deviation, Reading, Unknown, read_object

_ENTRA: Final = "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/"
_ENTRA_ISSUES: Final = _ENTRA + "application-provisioning-config-problem-scim-compatibility"
_ENTRA_SCIM: Final = _ENTRA + "use-scim-to-provision-users-and-groups"
_ENTRA_ROLES: Final = _ENTRA + "customize-application-attributes#provisioning-a-role-to-a-scim-app"
_NOWHERE: Final = "not documented by those who do it"
_OKTA: Final = "https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20/"


@dataclass(frozen=True, slots=True)
class DeviationLine:
    """One deviation: whose it is, what it looks like, how it is read, and where that is written down."""

    provider: str
    sends: str
    read_as: str
    documented: str
    profile: str | None = None
    """The only profile that reads it so; None if all do."""


DEVIATIONS: Final[Mapping[Deviation, DeviationLine]] = {
    Deviation.STRING_BOOLEAN: DeviationLine(
        "Entra", '"active": "False", "primary": "True"', "the boolean; no other word or number is", _ENTRA_ISSUES
    ),
    Deviation.CAPITALISED_OP: DeviationLine("Entra", '"op": "Replace"', "the operation in any case", _ENTRA_SCIM),
    Deviation.BARE_STRING: DeviationLine(
        "Entra, bridges",
        '"roles": ["admin"], "manager": "26118915", "members": ["2819c223"]',
        'the object {"value": …}, wherever an attribute has a `value`',
        _NOWHERE,
    ),
    Deviation.JSON_IN_STRING: DeviationLine(
        "Entra",
        'roles whose value is "{\\"id\\": …, \\"value\\": \\"admin\\", …}"',
        "kept as sent; `role_names.names_of` reads the name inside",
        _ENTRA_ROLES,
    ),
    Deviation.ROLE_DETAILS: DeviationLine(
        "Entra", "roles with `displayName` and `id`", "`displayName` as `display`; its id is left out", _ENTRA_ROLES
    ),
    Deviation.STRING_IN_FILTER: DeviationLine(
        "Entra", 'roles[primary eq "True"].value', "the comparison with the boolean", _ENTRA_ROLES
    ),
    Deviation.REMOVE_WITH_VALUE: DeviationLine(
        "Entra",
        '"op": "Remove", "path": "roles", "value": [{"value": "admin"}]',
        "the removal of the entries with these values, and of no others; with a single value, its removal",
        _ENTRA_ISSUES,
    ),
    Deviation.UNMATCHED_FILTER: DeviationLine(
        "Entra",
        'emails[type eq "work"].value for a person who has no such address',
        "the entry is added, if the filter is equality on `type` and `primary`; else 400 noTarget",
        _ENTRA + "customize-application-attributes#provisioning-a-multi-value-attribute",
    ),
    Deviation.PATH_IN_KEY: DeviationLine(
        "Entra",
        'a value without a path whose keys are paths: {"name.givenName": "Ada"}',
        "one operation for each such key",
        _ENTRA_ISSUES,
    ),
    Deviation.NO_PATH: DeviationLine(
        "Okta",
        '"op": "replace", "value": {"active": false}',
        "each attribute of the value; RFC 7644 §3.5.2.3 allows it",
        _OKTA,
    ),
    Deviation.UNKNOWN_ATTRIBUTE: DeviationLine(
        "any",
        "attributes of POST and PUT bodies that nobody declares",
        "left out; in a PATCH 400 invalidPath, unless the profile is Entra's",
        _NOWHERE,
    ),
    Deviation.UNKNOWN_SCHEMA: DeviationLine(
        "any", "schema URNs that nobody declares", "left out, with the attributes under them", _NOWHERE
    ),
    Deviation.NO_SCHEMAS: DeviationLine(
        "bridges", "a body without `schemas`", "the resource of the address it is sent to", _NOWHERE
    ),
    Deviation.PASSWORD: DeviationLine(
        "Okta", "a random password for each new person", "accepted, never kept: nobody signs in by it", _OKTA
    ),
    Deviation.LIST_FOR_ONE: DeviationLine(
        "Entra", 'a single value as a list of one: "manager": [{"value": "1"}]', "the one value", _NOWHERE
    ),
    Deviation.ONE_FOR_LIST: DeviationLine(
        "Okta, bridges", '"emails": {"value": "ada@example.com"}', "the list of one", _NOWHERE
    ),
    Deviation.WRAPPED_VALUE: DeviationLine(
        "Entra", 'a simple value as {"$ref": null, "value": "Ada"}', "the value inside", _NOWHERE
    ),
    Deviation.EXTRA_MEMBER: DeviationLine(
        "Entra", 'further members in an operation, as "name": "addMember"', "left out", _NOWHERE
    ),
    Deviation.EMPTY_STRING: DeviationLine(
        "Entra, bridges",
        '"manager": "", "profileUrl": "", for what can\'t be an empty text',
        "no value; `active` is never read so",
        _NOWHERE,
    ),
    Deviation.NO_URN: DeviationLine(
        "Entra, bridges",
        'attributes of the enterprise extension by themselves: "path": "department"',
        "the attribute of that name in the extension",
        _NOWHERE,
    ),
    Deviation.READ_ONLY_PART: DeviationLine(
        "Entra, Okta", "`manager.displayName`, which is ours to say", "left out", "RFC 7644 §3.5.1"
    ),
    Deviation.OWN_ID: DeviationLine(
        "Okta",
        'a group\'s new name with the id it has: {"id": "…", "displayName": "…"}',
        "the new name; an id that is not its own is refused",
        _OKTA,
    ),
    Deviation.BRACKETED_LIST: DeviationLine(
        "Entra",
        'attributes=[userName,emails], attributes=emails[type eq "work"]',
        "the list inside the brackets; the whole attribute",
        _NOWHERE,
    ),
    Deviation.MEMBER_NAME: DeviationLine(
        "Entra",
        'members with `displayName`: {"value": "2819c223", "displayName": "Ada"}',
        "`displayName` as `display`",
        _ENTRA_SCIM,
    ),
    Deviation.BULK_SPELLING: DeviationLine(
        "bridges",
        'operations of a Bulk request as {"method": "post", "path": "users"}',
        "the method and the endpoint in any case, with a slash in front or without",
        _NOWHERE,
    ),
    Deviation.STRANGER: DeviationLine(
        "test suites, bridges",
        'a member whose id can\'t be anybody\'s here: {"value": "fake-member-id"}',
        "kept and shown as sent, and of no effect; an id that could be somebody's, and is not, is refused",
        _NOWHERE,
    ),
    Deviation.UNKNOWN_ROLE: DeviationLine(
        "any",
        "a role or a group whose name begins with the tenant's prefix and is no role's: dart-emperors",
        "no valid role, so the default; a case tells the tenant's admins",
        _NOWHERE,
    ),
    Deviation.LEFT_OUT: DeviationLine(
        "any",
        "active=false, beside something that can't be taken: a wrong shape, an unknown path, a taken userName",
        "the person is out; all else is left out, and the audit says why",
        _NOWHERE,
    ),
    Deviation.UNQUOTED_VALUE: DeviationLine(
        "Entra",
        "filter=userName eq ada@example.com",
        "the value up to the next `and`, `or` or closing bracket, as a string",
        _NOWHERE,
        profile="Entra",
    ),
}
"""Every deviation that is understood. A line of the ledger begins with one of these names."""

_QUOTED_OR_NOT: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?'
    r"|(?<=\s)(?P<operator>(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)"
    r'(?!(?:true|false|null)(?:[\s()\[\]]|$))(?P<value>[^\s"()\[\]]+(?:\s+(?!(?:and|or)\s)[^\s"()\[\]]+)*)',
    re.IGNORECASE | re.DOTALL,
)
"""A string, which stays as it is, or a comparison with a value that is none.

What follows white space is never white space itself, so there is one way to divide a text, and nothing to try again.
"""

_REQUIRED: Final = tuple(
    attribute.name for attribute in USER_ATTRIBUTES.values() if attribute.required and attribute.name != "schemas"
)


def quoted(text: str) -> str:
    """A filter with quotes around the values that lack them; true, false and null are no strings.

    Numbers are taken for strings too, as no attribute is a number. It takes as long as *text* is, whatever it holds.
    """
    return _QUOTED_OR_NOT.sub(_quoted_value, text)


def _quoted_value(found: re.Match[str]) -> str:
    return found[0] if found["value"] is None else f"{found['operator']}{ScimFilter.quote(found['value'])}"


@dataclass(frozen=True, slots=True)
class ReadUser:
    """The body of a POST or PUT: the person it describes, and what was unusual about it."""

    user: User | PlainUser
    deviations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadPatch:
    """The body of a PATCH, checked as far as it can be without the resource."""

    operations: Patch
    deviations: tuple[str, ...]


def read_user(payload: Mapping[str, object]) -> ReadUser:
    """Read the body of a POST or a PUT; `documents.document` and `documents.replaced` judge how large it is.

    `id`, `meta` and `groups` are ignored, being ours to say (RFC 7644 §3.5.1), and so is `password`.

    Raises:
        InvalidSyntax: `schemas` says it is something other than a User.
        InvalidValue: an attribute is missing or has a value that does not fit.
    """
    reading = Reading(Unknown.IGNORED)
    read_schemas(reading, payload, USERS)
    if any(name.lower() == "password" for name in payload):
        reading.note(Deviation.PASSWORD)
    rest = {name: value for name, value in payload.items() if name.lower() not in ("schemas", "password")}
    clean = read_object(reading, USER_ATTRIBUTES, _with_extension(reading, rest))
    for name in _REQUIRED:
        if clean.get(name) in (None, []):
            raise InvalidValue(attribute=name, detail=f"{name}: it is required")
    if (plain := plain_user(clean)) is not None:
        return ReadUser(plain, reading.deviations)
    try:
        # What a request's own context would check has been checked above, at a fifth of the cost.
        user = User.model_validate(clean, scim_policy=POLICY)
    except ValidationError as exc:
        raise from_validation(exc) from exc
    return ReadUser(user, reading.deviations)


def _with_extension(reading: Reading, payload: dict[str, object]) -> dict[str, object]:
    """*payload* with the enterprise attributes that stand in it by themselves where they belong."""
    alone = [name for name in payload if name.lower() not in USER_ATTRIBUTES and name.lower() in ENTERPRISE_ATTRIBUTES]
    if not alone:
        return payload
    for name in alone:
        reading.note(Deviation.NO_URN, name)
    urn = next((name for name in payload if name.lower() == ENTERPRISE_SCHEMA.lower()), ENTERPRISE_SCHEMA)
    extension = payload.get(urn)
    given: dict[str, object] = cast("dict[str, object]", extension) if isinstance(extension, dict) else {}
    there = {name.lower() for name in given}
    found = {name: payload[name] for name in alone if name.lower() not in there}
    rest = {name: value for name, value in payload.items() if name not in alone}
    return rest if extension is not None and not given else {**rest, urn: {**given, **found}}


def read_patch(payload: Mapping[str, object], unknown: Unknown = Unknown.REFUSED) -> ReadPatch:
    """Read the body of a PATCH.

    *unknown* says what becomes of attributes nobody has. If they are ignored, no operation may be left.

    Raises:
        InvalidSyntax: it is not a PatchOp message.
        InvalidPath: an operation names an attribute nobody has, in its path or as a key of its value. RFC
            7644 leaves keys to `invalidValue`; to whoever reads the answer, the name is what is wrong.
        InvalidValue: a value is missing, or does not fit the operation or its target.
        Mutability: an operation would change what is ours to say, or unassign what has to be there.
        NoTarget: a remove has no path.
    """
    reading = Reading(unknown)
    members = read_message(reading, payload, PATCH_SCHEMA)
    operations = read_operations(reading, members.get("operations"))
    edits = edits_of(operations)
    judged = _judged(operations) if edits is None else None
    patch = Patch(operations, edits, judged, tuple(reading.claims), strict=reading.strict)
    return ReadPatch(patch, reading.deviations)


def _judged(operations: list[dict[str, object]]) -> PatchOp[User]:
    message = {"schemas": [PATCH_SCHEMA], "Operations": operations}
    try:
        return Message.model_validate(message, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY)
    except ValidationError as exc:
        raise from_validation(exc) from exc
