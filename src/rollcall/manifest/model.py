"""The tables of ``tenants.toml``, as they may be written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from rollcall.directory.people import Draft
from rollcall.directory.rules import Name, NameOrNothing, RoleRule
from rollcall.manifest.problems import Source
from rollcall.scim.reader import unholdable
from rollcall.tenancy import features
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.tenancy.tenants import SLUG, TenantTerms, break_glass_fault, external_id_fault, metadata_fault

_PLAN_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_UUID = re.compile(r"(?:[0-9a-f]-*){32}")
_SLOWEST = 25
MOST_ADMINS = 1_000
"""Admins of a tenant that a file can name."""


def _slug(text: str) -> str:
    if not SLUG.fullmatch(text):
        raise ValueError("can't be a slug: use at most 63 lower-case letters, digits and -, e.g. acme-corp")
    if _UUID.fullmatch(text):
        raise ValueError("can't be a slug: it reads as the id of a tenant; use a name, e.g. acme-corp")
    return text


def _plan_key(text: str) -> str:
    if not _PLAN_KEY.fullmatch(text):
        raise ValueError("can't be the key of a plan: use at most 63 lower-case letters, digits, - and _")
    return text


def _feature(text: str) -> str:
    if (fault := features.fault(text)) is not None:
        raise ValueError(fault)
    return text


def _different(features: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({feature for feature in features if features.count(feature) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} more than once")
    return features


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f'"{text}" is no e-mail address')
    return text


def _rate(rate: int | None) -> int | None:
    if rate is not None and 0 < rate < _SLOWEST:
        raise ValueError(f"should be 0, which means no limit, or at least {_SLOWEST} calls a second")
    return rate


def _storable(text: str) -> str:
    if (found := unholdable(text)) is not None:
        raise ValueError(f"holds {found}; leave it out")
    return text


def _external_id(text: str) -> str:
    if (fault := external_id_fault(text)) is not None:
        raise ValueError(fault)
    return text


def _metadata(metadata: dict[str, str]) -> dict[str, str]:
    if (fault := metadata_fault(metadata)) is not None:
        raise ValueError(fault)
    return metadata


def _break_glass(names: tuple[str, ...]) -> tuple[str, ...]:
    if (fault := break_glass_fault(names)) is not None:
        raise ValueError(fault)
    return names


def _moment(given: object) -> object:
    """A moment as TOML has it; a day is its beginning in UTC."""
    if isinstance(given, datetime) and given.tzinfo is not None:
        return given.astimezone(UTC)
    if type(given) is date:
        return datetime.combine(given, time(), UTC)
    raise ValueError("should be a moment with its offset and without quotes, e.g. 2027-01-31T00:00:00Z, or a day")


def _plans_own(given: object) -> object:
    return None if given == "plan" else given


Rate = Annotated[StrictInt, Field(ge=0, le=100_000), AfterValidator(_rate)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Burst = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Feature = Annotated[Name, AfterValidator(_feature)]
OwnRate = Annotated[Rate | None, BeforeValidator(_plans_own)]
OwnBurst = Annotated[Burst | None, BeforeValidator(_plans_own)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LapseTable(_Table):
    """``[plans.<key>.lapse]``: what becomes of a tenant that had the plan and loses SCIM."""

    grace_days: Annotated[StrictInt, Field(ge=0, le=3_650)] = 0
    offboarding_only_days: Annotated[StrictInt, Field(ge=0, le=3_650)] | Literal["unlimited"] = "unlimited"

    def terms(self) -> LapseTerms:
        """The same as a plan has it."""
        days = self.offboarding_only_days
        return LapseTerms(self.grace_days, None if days == "unlimited" else days)


class PlanTable(_Table):
    """``[plans.<key>]``: all that a plan includes. What is left out has the default of every plan."""

    name: Name
    features: Annotated[tuple[Feature, ...], Field(max_length=100), AfterValidator(_different)] = ()
    seats: Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None = None
    seat_policy: Literal["refuse", "overage"] | None = None
    rate_per_second: Rate | None = None
    rate_burst: Burst | None = None
    retention_days: Annotated[StrictInt, Field(ge=1, le=36_500)] | None = None
    lapse: LapseTable | None = None
    closed: StrictBool | None = None
    """Whether no tenant is put on it any more."""

    def terms(self) -> PlanTerms:
        """The plan's terms."""
        terms = PlanTerms(**self.model_dump(exclude_unset=True, exclude_none=True, exclude={"lapse"}))
        return terms if self.lapse is None else replace(terms, lapse=self.lapse.terms())


class OverrideTable(_Table):
    """``[tenants.<slug>.overrides.<key>]``: what a tenant has otherwise than its plan says."""

    value: StrictBool | StrictInt | StrictStr
    reason: str
    by: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Who decided it; left out, whoever applies the file."""
    ends_at: Moment | None = None
    """Once it has passed, the override is as good as left out."""


class AdminTable(_Table):
    """``[[tenants.<slug>.admins]]``: a person who is an admin. Their names count when they are taken in, not later."""

    user_name: Name
    given_name: Name | None = None
    family_name: Name | None = None
    display_name: Name | None = None
    email: Annotated[Name, AfterValidator(_address)] | None = None
    external_id: Name | None = None
    role: str | None = None
    """The key of an admin role; the first that the rule has if it is left out."""

    def draft(self) -> Draft:
        """The person as they are taken in."""
        return Draft(**self.model_dump(exclude={"role"}))


class TenantTable(_Table):
    """``[tenants.<slug>]``: a customer. What is left out stays as it is; a new tenant begins with the defaults."""

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
    """Any that a tenant can have, so that those of all tenants can be written back."""
    plan: str
    status: Literal["active", "suspended"] | None = None
    tokens: Literal["self_service", "ops"] | None = None
    owner_leaves: Literal["stop", "offboarding_only"] | None = None
    last_admin: Literal["obey", "keep_one"] | None = None
    deputy: NameOrNothing | None = None
    """The userName of somebody who is there; empty: nobody."""
    break_glass: Annotated[tuple[StrictStr, ...], AfterValidator(_break_glass)] | None = None
    """All of them: one that is left out may have a password no more."""
    profile: Literal["auto", "default", "entra", "okta", "onelogin", "jumpcloud", "strict"] | None = None
    """As it is chosen: where ``auto`` has taken a provider's profile, saying ``auto`` again changes nothing."""
    rate_per_second: OwnRate = None
    rate_burst: OwnBurst = None
    mass_change_threshold: Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None = None
    external_id: Annotated[str, AfterValidator(_external_id)] | None = None
    customer: Annotated[str, AfterValidator(_external_id)] | None = None
    """What the payment provider calls it; then *plan* is the one it has without payment."""
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] | None = None
    """All of it: a key that is left out is taken away."""
    overrides: dict[str, OverrideTable] | None = None
    """All of them: one that is left out ends."""
    roles: RoleRule | None = None
    admins: Annotated[tuple[AdminTable, ...], Field(max_length=MOST_ADMINS)] = ()

    def terms(self, before: TenantTerms | None) -> TenantTerms:
        """The tenant's terms, *before* being those it has already."""
        terms = replace(before or TenantTerms(name=self.name, plan=self.plan), name=self.name, plan=self.plan)
        if self.tokens is not None:
            terms = replace(terms, token_issuing=self.tokens)
        if self.owner_leaves is not None:
            terms = replace(terms, owner_leaves=self.owner_leaves)
        if self.last_admin is not None:
            terms = replace(terms, last_admin=self.last_admin)
        if self.break_glass is not None:
            terms = replace(terms, break_glass=self.break_glass)
        if self.profile is not None:
            terms = replace(terms, profile=self.profile)
        if self.mass_change_threshold is not None:
            terms = replace(terms, mass_change_threshold=self.mass_change_threshold)
        if self.external_id is not None:
            terms = replace(terms, external_id=self.external_id)
        if self.customer is not None:
            terms = replace(terms, customer=self.customer)
        if self.metadata is not None:
            terms = replace(terms, metadata=self.metadata)
        own = self.model_dump(include={"rate_per_second", "rate_burst"}, exclude_unset=True)
        return replace(terms, **own)


class PriceTable(_Table):
    """One line of ``[billing.prices]``: what a price at the payment provider stands for."""

    plan: str | None = None
    seats: Literal["quantity"] | None = None
    """``quantity``: so many as are bought; else those of the plan."""

    @model_validator(mode="after")
    def _stands_for_something(self) -> "PriceTable":
        if self.plan is None and self.seats is None:
            raise ValueError('should have a plan, or seats = "quantity"')
        return self

    def terms(self) -> PriceTerms:
        """The same as it is kept."""
        return PriceTerms(self.plan, self.seats == "quantity")


class BillingTable(_Table):
    """``[billing]``: what is bought, in our words."""

    prices: dict[Annotated[str, AfterValidator(_external_id)], PriceTable] | None = None
    """All of them, by id or lookup key: a price that is left out is taken away. Without the table they stay."""


class Contents(_Table):
    """The whole file."""

    billing: BillingTable = BillingTable()
    plans: dict[Annotated[str, AfterValidator(_plan_key)], PlanTable] = {}
    tenants: dict[Annotated[str, AfterValidator(_slug)], TenantTable] = {}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Plans and tenants as a file describes them, and where it does so."""

    plans: Mapping[str, PlanTable]
    tenants: Mapping[str, TenantTable]
    source: Source
    prices: Mapping[str, PriceTable] | None = None
    """All prices; None where the file says nothing of them."""
