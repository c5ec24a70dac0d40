"""A billing system of one's own: it says by itself what is so, in calls that are signed as Standard Webhooks are.

It can't be asked: what counts is what it said last, by the moment at which that was so.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from standardwebhooks import Webhook

from rollcall.billing import inbox
from rollcall.billing.provider import TOLERANCE, Hint, SignatureRefused, check_moment, storable
from rollcall.db import Database
from rollcall.errors import Invalid
from rollcall.scim.reader import check_shape
from rollcall.settings import Settings
from rollcall.tenancy.standing import LATEST, Standing
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
DEEPEST = 8

_ORIGIN = RequestOrigin(request_id="payment")
_Text = Annotated[str, Field(min_length=1, max_length=255)]


def _in_time(moment: datetime) -> datetime:
    if moment > LATEST:
        msg = f"lies after the year {LATEST.year}; leave it out where no end is known"
        raise ValueError(msg)
    return moment


_Moment = Annotated[AwareDatetime, AfterValidator(_in_time)]
"""Up to `standing.LATEST`."""


class Statement(BaseModel):
    """What is paid for, all of it: what is left out is not paid for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    customer: _Text | None = None
    tenant: _Text | None = None
    plan: _Text | None = None
    features: Annotated[list[_Text], Field(max_length=100)] = []
    seats: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    ends_at: _Moment | None = None
    grace_until: _Moment | None = None
    as_of: _Moment | None = None
    """When this was so; the moment of the signature if it is left out."""

    @model_validator(mode="after")
    def _names_one(self) -> "Statement":
        if (self.customer is None) == (self.tenant is None):
            msg = "name the customer or the tenant, one of the two"
            raise ValueError(msg)
        return self

    def standing(self) -> Standing:
        """The same as every provider says it."""
        return Standing(
            plan=self.plan,
            features=tuple(sorted(set(self.features))),
            seats=self.seats,
            ends_at=_utc(self.ends_at),
            grace_until=_utc(self.grace_until),
        )


class OwnBilling:
    """A `Provider` whose words are signed, and kept."""

    def __init__(self, secrets: Sequence[str], database: Database | None = None) -> None:
        self._secrets = secrets
        self._database = database

    @classmethod
    def of(cls, settings: Settings, database: Database | None = None) -> "OwnBilling":
        """That of an installation."""
        return cls([each.get_secret_value() for each in settings.billing_webhook_secrets], database)

    @property
    def is_open(self) -> bool:
        """Whether a secret is set."""
        return bool(self._secrets)

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        """What was said, and signed with one of the secrets; see `Provider`."""
        identifier, said_at, signature = (headers.get(name, "") for name in HEADERS)
        if not (identifier and said_at and signature):
            msg = f"The headers {', '.join(HEADERS)} are needed; see Standard Webhooks. Nothing was done."
            raise SignatureRefused(msg)
        signed_at = _moment(said_at)
        if not any(_is_signed(secret, identifier, signed_at, signature, body) for secret in self._secrets):
            msg = (
                "The signature is none of this body with the present secret: sign 'ID.TIMESTAMP.BODY' over the exact "
                "bytes that are sent, with the bytes that ROLLCALL_BILLING_WEBHOOK_SECRETS holds behind whsec_. "
                "Nothing was done."
            )
            raise SignatureRefused(msg)
        check_moment(signed_at, now)
        said = _statement(body)
        as_of = _utc(said.as_of) or signed_at
        if as_of - now > TOLERANCE:
            msg = "as_of: lies in the future; say when this was so, or leave it out"
            raise Invalid(msg, param="as_of")
        names = {name: getattr(said, name) for name in ("customer", "tenant", "plan")}
        for name, value in [*names.items(), *(("features", each) for each in said.features)]:
            if value is not None:
                storable(value, name)
        return Hint(
            id=storable(identifier, "webhook-id"),
            kind="entitlements",
            customer=said.customer,
            tenant=said.tenant,
            happened_at=as_of,
            said=said.standing(),
        )

    async def ask(self, customer: str) -> Standing | None:
        """What was said last; see `Provider`."""
        assert self._database is not None, "whoever asks has the database"
        async with open_fleet(self._database, SYSTEM, _ORIGIN) as fleet:
            return await inbox.newest_said(fleet, customer)


def _is_signed(secret: str, identifier: str, signed_at: datetime, signature: str, body: bytes) -> bool:
    try:
        right = Webhook(secret).sign(identifier, signed_at, body.decode())
    except UnicodeDecodeError:
        return False
    return any(hmac.compare_digest(each.encode(), right.encode()) for each in signature.split(" "))


def _moment(said: str) -> datetime:
    try:
        seconds = int(said)
        if str(seconds) != said:
            raise ValueError
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        msg = "webhook-timestamp: is no number of seconds since 1970. Nothing was done."
        raise SignatureRefused(msg) from None


def _statement(body: bytes) -> Statement:
    check_shape(body, depth=DEEPEST, lists=True)
    try:
        return Statement.model_validate_json(body)
    except ValidationError as error:
        found: list[Any] = list(error.errors(include_url=False, include_input=False, include_context=False))
        said = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in found[:5])
        first = ".".join(map(str, found[0]["loc"])) or None
        raise Invalid(said, param=first) from None


def _utc(moment: datetime | None) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        msg = "a moment lies outside the years 1 to 9999"
        raise Invalid(msg) from None
