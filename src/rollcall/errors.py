"""Our refusals: one class for each thing that can be true; they carry facts, and each surface words them."""

import inspect
from typing import ClassVar


class Refusal(Exception):
    """A request that is understood and not granted. It is not a crash: no traceback, one log line."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    """The kind of refusal, for programs; it does not change."""
    advice: ClassVar[str] = "Read what the detail says."
    """What to do about it, for the page that lists the codes; the detail of an answer is more exact."""
    param: str | None = None
    """The field of the body or the parameter that is at fault, a path with dots; None where it is none of them."""

    def __init__(self, detail: str = "", *, param: str | None = None) -> None:
        super().__init__(detail)
        if param is not None:
            self.param = param

    @classmethod
    def title(cls) -> str:
        """What is true of every refusal with this code: the first line about its class."""
        named = next(each for each in cls.__mro__ if issubclass(each, Refusal) and "code" in vars(each))
        return inspect.cleandoc(named.__doc__ or named.code).partition("\n")[0].removesuffix(".")

    @property
    def detail(self) -> str:
        """What is wrong and what to do about it, for the one who asked."""
        return str(self)


class Unauthenticated(Refusal):
    """No key, or none that is live."""

    status = 401
    code = "unauthenticated"
    advice = "Send a live key as Authorization: Bearer …; the detail says what is wrong with the one sent."


class KeyEnded(Unauthenticated):
    """The key was live when the call arrived, and ended before what it asked for was committed."""

    def __init__(self) -> None:
        super().__init__(
            "This key ended while the request was under way, so nothing of it was done: the key was revoked or "
            "expired, or its owner or tenant was stopped. Use another one."
        )


class Forbidden(Refusal):
    """The key is live and does not reach this far."""

    status = 403
    code = "forbidden"
    advice = "Use a key that reaches this far, or ask whoever has one; the detail names the kind that is needed."


class NotFound(Refusal):
    """There is no such row, or it is another tenant's, which is the same."""

    status = 404
    code = "not_found"
    advice = "Check the address and the ids in it; a tenant's key finds what is that tenant's and nothing else."

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class Conflict(Refusal):
    """What was asked for does not fit the present state."""

    status = 409
    code = "conflict"
    advice = "Read the present state again, and decide anew."


class Taken(Conflict):
    """Another row has this name already."""

    code = "taken"
    advice = "Choose another name, or change what has this one."


class Unavailable(Refusal):
    """What is needed to answer is away or too busy just now."""

    status = 503
    code = "unavailable"
    advice = "Wait as many seconds as Retry-After says and do what the detail says; if it stays, see /health/ready."

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooManyRequests(Refusal):
    """So much of this is under way that more has to wait.

    *retry_after* says for how many seconds.
    """

    status = 429
    code = "too_many_requests"
    advice = "Wait as many seconds as Retry-After says, and send it again."

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class IdempotencyRefused(Refusal):
    """An ``Idempotency-Key`` does not fit the call; nothing has been done."""


class IdempotencyKeyReused(IdempotencyRefused):
    """The key has been used for another call within the day."""

    status = 422
    code = "idempotency_key_reused"
    advice = "Send a new key for a new call, and the old one only with exactly the old call."

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used within the last 24 hours for another call (another address or body); "
            "send a new key for a new call, and the old key only with exactly the old call."
        )


class IdempotencyKeyInUse(IdempotencyRefused):
    """The first call with this key is still being worked on."""

    status = 409
    code = "idempotency_key_in_use"
    advice = "Repeat the call when Retry-After has passed."
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("The first call with this Idempotency-Key is still under way; send it again in a second.")


class Invalid(Refusal):
    """What was sent can't be read as what it should be."""

    status = 400
    code = "invalid"
    advice = "Correct what param names; the detail says what it may be."


class PersonInactive(Conflict):
    """The person may not come in, so nothing is issued to them."""

    code = "person_inactive"
    advice = "Reactivate the person before anything is issued to them."

    def __init__(self) -> None:
        super().__init__("The person is not active; reactivate them before issuing anything to them.")


class NotAnAdmin(Conflict):
    """Only an active admin of the tenant can own a token."""

    code = "not_an_admin"
    advice = "Appoint the owner as an admin, or choose another owner."

    def __init__(self) -> None:
        super().__init__("The owner is not an active admin of this tenant; appoint them or choose another owner.")


class TooManyTokens(Conflict):
    """The tenant has as many live tokens as it may have."""

    code = "too_many_tokens"
    advice = "Revoke a token that is no longer used."

    def __init__(self, limit: int) -> None:
        super().__init__(f"The tenant has {limit} live tokens already; revoke one that is no longer used.")
        self.limit = limit


class TooMany(Conflict):
    """The person has as many of these as one person may have."""

    code = "too_many"
    advice = "Close one that the person no longer uses."

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"The person has {limit} {what} already; close one that is no longer used.")
        self.limit = limit


class TokenEnded(Conflict):
    """The token has been revoked or has expired, so it can't be rotated."""

    code = "token_ended"
    advice = "Issue a new token."

    def __init__(self) -> None:
        super().__init__("This token has ended already; issue a new one instead.")
