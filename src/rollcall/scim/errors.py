"""What the protocol refuses, one class for each thing that is true, and the body that says so.

They are scim2-models' own exceptions, so whatever the library raises and whatever we raise is caught,
logged and rendered in one place.
"""

from collections.abc import Iterable
from typing import Final

import orjson
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from scim2_models import ConflictException as Conflict
from scim2_models import (
    EnterpriseUser,
    Error,
    NotFoundException,
    PayloadTooLargeException,
    SCIMException,
    UnauthorizedException,
    UniquenessException,
)
from scim2_models import ExpiredCursorException as ExpiredCursor
from scim2_models import ForbiddenException as Forbidden
from scim2_models import InvalidCountException as InvalidCount
from scim2_models import InvalidCursorException as InvalidCursor
from scim2_models import InvalidFilterException as InvalidFilter
from scim2_models import InvalidPathException as InvalidPath
from scim2_models import InvalidSyntaxException as InvalidSyntax
from scim2_models import InvalidValueException as InvalidValue
from scim2_models import MutabilityException as Mutability
from scim2_models import NoTargetException as NoTarget
from scim2_models import PreconditionFailedException as PreconditionFailed
from scim2_models import TooManyException as TooMany

__all__ = [
    "Conflict",
    "ExpiredCursor",
    "Forbidden",
    "InternalError",
    "InvalidCount",
    "InvalidCursor",
    "InvalidFilter",
    "InvalidPath",
    "InvalidSyntax",
    "InvalidValue",
    "MethodNotAllowed",
    "Mutability",
    "NoSuchAddress",
    "NoTarget",
    "NobodysToken",
    "NotBegun",
    "NotFound",
    "PayloadTooLarge",
    "PreconditionFailed",
    "RequestTimeout",
    "SCIMException",
    "Suspended",
    "TakenUserName",
    "TooMany",
    "TooManyOperations",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Uniqueness",
    "UnknownAttribute",
    "UnsupportedMediaType",
    "error_body",
    "from_validation",
    "shown",
]

LONGEST_DETAIL: Final = 1_000
"""Characters of a detail that are sent; what a client wrote may be quoted in it, at any length."""

LONGEST_NAME: Final = 80
"""Characters of a client's own words that a detail quotes."""


_ENTERPRISE: Final = str(EnterpriseUser.__schema__)


class Unauthorized(UnauthorizedException):
    """Nobody we know is calling, or nobody who still may."""


class NotFound(NotFoundException):
    """There is no such resource in this tenant.

    It takes no detail: but for the request's id, the answer for another tenant's row has to be, byte for byte, the
    answer for an id that never existed.
    """

    def __init__(self) -> None:
        super().__init__(
            detail="No such resource: it was deleted, or never was here. "
            "Let the provider look for it anew (by userName or displayName), and create it where it is missing"
        )


class NoSuchAddress(NotFoundException):
    """Nothing can be at this address, whoever asks: most likely the base URL is not what the provider was given."""

    def __init__(self, path: str, base_url: str) -> None:
        super().__init__(detail=f"The SCIM base URL is {base_url}; {_where(path)}")


_PLACES: Final = "/Users, /Groups, /Me, /Bulk, /.search, /ServiceProviderConfig, /ResourceTypes and /Schemas"


def _where(path: str) -> str:
    """What is wrong with an address outside of all that there are, and what to change."""
    given = shown(path)
    before, base, below = path.rstrip("/").partition("/scim/v2")
    if before or not base or below[:1] not in ("", "/"):
        return (
            "put it as it is, with nothing after it, into the provider's field for the address (Tenant URL, Base URL, "
            f"SCIM connector base URL): this request went to {given}"
        )
    if not below:
        return f"nothing is answered at it, only below it: at {_PLACES}. Put it into the provider as it is"
    if "/scim/v2" in below:
        return (
            f"this request went to {given}, which has /scim/v2 twice: the provider adds it by itself, so leave it out "
            "of the address there"
        )
    return f"there is no {given}, only {_PLACES} below it, and what these hold"


class NobodysToken(NotFoundException):
    """The token belongs to the tenant and to nobody in it, so there is nobody at ``/Me``.

    404, and not the 501 of RFC 7644 §3.11: that is for those who don't have ``/Me``. It keeps no secret, so it tells.
    """

    def __init__(self) -> None:
        super().__init__(
            detail="/Me is the owner of the token, and nobody owns this one: it belongs to the tenant. "
            "Ask for /Users and an id, or use a token that somebody owns"
        )


class MethodNotAllowed(SCIMException):
    """The address exists and does not take this verb; *allow* lists those it takes."""

    status = 405
    _default_detail = "This address does not take this method"

    def __init__(self, allow: tuple[str, ...]) -> None:
        self.allow = allow
        super().__init__(detail=f"{self._default_detail}; it takes {', '.join(allow)}")


class Uniqueness(UniquenessException):
    """Somebody else in the tenant has this value already."""

    def __init__(self, attribute: str) -> None:
        super().__init__(
            attribute=attribute,
            detail=f"{attribute} is already in use here: look for it with a filter and "
            "change that one, or choose another",
        )


class TakenUserName(UniquenessException):
    """Somebody in the tenant has this userName; a provider can't see why a person whom it removed is in its way."""

    def __init__(self, user_name: str, holder: object, *, active: bool) -> None:
        name = shown(user_name)
        if holder is None:  # they were there a moment ago
            detail = f"{name} is in use here; try again"
        elif active:
            detail = f"{name} exists already, with the id {holder}: change that user, or give this one another userName"
        else:
            detail = f"{name} exists and is inactive: PATCH active=true on the id {holder}, instead of creating it anew"
        super().__init__(attribute="userName", detail=f"userName: {detail}")


class PayloadTooLarge(PayloadTooLargeException):
    """The body has more bytes than are read."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(detail=f"The body is larger than {limit} bytes: send less at a time, in several requests")


class TooManyOperations(PayloadTooLargeException):
    """A bulk request has more operations than are carried out (RFC 7644 §3.7.4)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(detail=f"The request has more than {limit} operations: send them in several requests")


class UnknownAttribute(InvalidFilter):
    """A filter names an attribute that resources of this kind don't have."""


class UnsupportedMediaType(SCIMException):
    """The body is declared to be something other than SCIM or JSON in UTF-8."""

    status = 415
    _default_detail = "Send application/scim+json or application/json, in UTF-8"


class TooManyRequests(SCIMException):
    """The tenant's rate limit is used up for the next *retry_after* seconds."""

    status = 429
    _default_detail = "Too many requests; wait for the seconds that Retry-After says"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__()


class RequestTimeout(SCIMException):
    """The body did not come within its time."""

    status = 408
    _default_detail = "The body came too slowly; send the request again"


class Unavailable(SCIMException):
    """The database is away, or has no room, for the next *retry_after* seconds or so.

    *may_be_done* says that nobody knows whether the request was carried out: the connection was lost on the way.
    """

    status = 503
    _default_detail = (
        "The database is away or too busy, and the request was not carried out. Send it again in {seconds} seconds"
    )
    _lost = (
        "The database went away in the middle, and the request may have been carried out. "
        "Look for what it should change in {seconds} seconds, and send it again if nothing was changed"
    )

    def __init__(self, retry_after: int, *, may_be_done: bool = False) -> None:
        self.retry_after = retry_after
        detail = self._lost if may_be_done else self._default_detail
        super().__init__(detail=detail.format(seconds=retry_after))


class Suspended(Forbidden):
    """The tenant is suspended. *kept*: a departure was; *has_permit*: the rate limit let the call be looked at."""

    def __init__(self, *, kept: bool = False, has_permit: bool = True) -> None:
        self.has_permit = has_permit
        later = "Whoever leaves by this call is taken out as that is done. " if kept else ""
        super().__init__(
            detail=f"This tenant is suspended; ask the vendor's support to resume it. {later}The token stays as it is."
        )


class Paused(SCIMException):
    """The tenant is paused for the next *retry_after* seconds or so, and takes only what takes away."""

    status = 503

    def __init__(self, detail: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail=detail)


class NotBegun(SCIMException):
    """An operation of a bulk request that was not begun, because one before it failed on our side with *status*."""

    _default_detail = "This operation was not begun, because one before it failed on our side. Send it again later"

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class InternalError(SCIMException):
    """We failed. What happened is in the log, never in the answer."""

    status = 500
    _default_detail = (
        "Something went wrong on our side, and the request may not have been carried out. "
        "Try again; if that is no help, tell the vendor's support this request's id"
    )


def error_body(exception: SCIMException, request_id: str | None = None) -> bytes:
    """The body of RFC 7644 §3.12, whose `status` is a string.

    The detail ends with the request's id: what a provider logs of a refusal is its body, and no header.
    """
    body: dict[str, object] = {"schemas": [str(Error.__schema__)], "status": str(exception.status)}
    if exception.scim_type:
        body["scimType"] = exception.scim_type
    detail, request = _encodable(str(exception)), "" if request_id is None else f" (request {request_id})"
    body["detail"] = detail[: LONGEST_DETAIL - len(request)] + request
    return orjson.dumps(body)


def shown(text: str) -> str:
    """A client's own words as a detail may quote them: printable, and not at any length."""
    printable = "".join(character if character.isprintable() else "\ufffd" for character in text[:LONGEST_NAME])
    return f"'{printable}…'" if len(text) > LONGEST_NAME else f"'{printable}'"


def from_validation(exc: ValidationError) -> SCIMException:
    """The one refusal that tells a client most about what a model refused.

    It names the attribute by its SCIM path and never carries a value, so no password can be echoed.
    """
    error = min(exc.errors(include_url=False, include_input=False), key=_weight)
    reported = Error.from_validation_error({**error, "loc": ()})
    path = attribute_path(error["loc"])
    message = "the value is not acceptable" if "password" in path.lower() else _sentence(error)
    reported.detail = f"{path}: {message}" if path and path not in message else message
    if error["type"] == "extra_forbidden":
        reported.scim_type = "invalidSyntax"
    return SCIMException.from_error(reported)


def attribute_path(location: Iterable[str | int]) -> str:
    """Where pydantic found an error, as SCIM writes a path (RFC 7644 §3.10), entries by their index."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif "(" not in part and "[" not in part:
            path = _joined(path, part)
    return path


def _joined(path: str, part: str) -> str:
    if part == EnterpriseUser.__name__:
        return _ENTERPRISE
    name = part if part.startswith("urn:") or part[:1].isupper() else to_camel(part)
    if not path:
        return name
    return f"{path}:{name}" if path == _ENTERPRISE else f"{path}.{name}"


def _weight(error: ErrorDetails) -> int:
    """Our own refusals and missing attributes tell more than a type that did not fit."""
    if error["type"].startswith("scim_"):
        return 0
    return 1 if error["type"] in ("required_error", "primary_uniqueness_error") else 2


def _sentence(error: ErrorDetails) -> str:
    message = error["msg"]
    # A ValueError's text may quote what was sent; the first clause is the library's own.
    return message.removeprefix("Value error, ").split(":", 1)[0] if error["type"] == "value_error" else message


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
