"""The customers' tables: plans, tenants, and the installation's own keys."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from rollcall.db import Base, fn

AUTO = "auto"
"""The choice of a profile that is ``default`` until the provider is recognised, and then takes the provider's once."""

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")


class Plan(Base):
    """What a customer pays for; SCIM is one of its features."""

    __tablename__ = "plans"
    __table_args__ = (
        CheckConstraint("rate_per_second = 0 OR rate_per_second >= 25", name="rate"),
        CheckConstraint("lapse_grace_days >= 0 AND lapse_offboarding_days >= 0", name="lapse"),
        CheckConstraint("seat_policy IN ('refuse', 'overage')", name="seat_policy"),
    )

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    seats: Mapped[int | None] = mapped_column(Integer)
    """How many people may be active; None is any number."""
    seat_policy: Mapped[str] = mapped_column(Text, server_default=text("'refuse'"))
    """What becomes of a newcomer beyond them: one of `seats.SeatPolicy`."""
    rate_per_second: Mapped[int] = mapped_column(Integer, server_default=text("50"))
    rate_burst: Mapped[int] = mapped_column(Integer, server_default=text("200"))
    retention_days: Mapped[int] = mapped_column(Integer, server_default=text("400"))
    lapse_grace_days: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Days for which everything still works, once a tenant that had this plan has lost SCIM."""
    lapse_offboarding_days: Mapped[int | None] = mapped_column(Integer)
    """Days for which what only takes away works after that; None is without an end."""
    closed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    """Whether no tenant is put on it any more; those that are on it stay."""


class Tenant(Base):
    """A customer of the product."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'suspended')", name="status"),
        CheckConstraint("token_issuing IN ('self_service', 'ops')", name="token_issuing"),
        CheckConstraint("owner_leaves IN ('stop', 'offboarding_only')", name="owner_leaves"),
        CheckConstraint("last_admin IN ('obey', 'keep_one')", name="last_admin"),
        CheckConstraint("rate_per_second = 0 OR rate_per_second >= 25", name="rate"),
        CheckConstraint("mass_change_threshold >= 1", name="mass_change_threshold"),
        CheckConstraint("char_length(external_id) BETWEEN 1 AND 255", name="external_id"),
        CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
        CheckConstraint("name_comparison IN (1, 2)", name="name_comparison"),
        CheckConstraint("jsonb_typeof(overrides) = 'object'", name="overrides"),
        CheckConstraint("char_length(customer) BETWEEN 1 AND 255", name="customer"),
        CheckConstraint(
            "(lapsed_at IS NULL) = (offboarding_from IS NULL) "
            "AND (closes_at IS NULL OR closes_at >= offboarding_from AND lapsed_at IS NOT NULL)",
            name="lapse",
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    external_id: Mapped[str | None] = mapped_column(Text(collation="C"), unique=True)
    """What the vendor calls the customer in their own systems."""
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSONB, server_default=text("'{}'"))
    """What else the vendor wants to remember of it."""
    name: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(ForeignKey("plans.key"))
    """The plan in effect."""
    plan_without_payment: Mapped[str | None] = mapped_column(ForeignKey("plans.key"))
    """The plan that was chosen for it, while one that is paid for stands in its place; None while none does."""
    customer: Mapped[str | None] = mapped_column(Text(collation="C"), unique=True)
    """What the payment provider calls it; None where nobody is asked about its payment."""
    status: Mapped[str] = mapped_column(Text, server_default=text("'active'"))
    token_issuing: Mapped[str] = mapped_column(Text, server_default=text("'self_service'"))
    owner_leaves: Mapped[str] = mapped_column(Text, server_default=text("'stop'"))
    """What becomes of a SCIM token whose owner is no longer an active admin: it ends, or goes on taking away."""
    last_admin: Mapped[str] = mapped_column(Text, server_default=text("'obey'"))
    """What becomes of the admin role as the last one stops: nothing, or the deputy has it at that moment."""
    deputy_id: Mapped[UUID | None] = mapped_column(Uuid)
    """The account that becomes an admin then; no foreign key, or each change of an account would look for it."""
    break_glass: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """userNames of those who may sign in to the console with a password."""
    profile: Mapped[str] = mapped_column(Text, server_default=text("'default'"))
    """The profile in effect."""
    profile_auto: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    """Whether it takes itself, once the provider is recognised."""
    profile_taken_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it did."""
    rate_per_second: Mapped[int | None] = mapped_column(Integer)
    rate_burst: Mapped[int | None] = mapped_column(Integer)
    mass_change_threshold: Mapped[int] = mapped_column(Integer, server_default=text("100"))
    role_rule: Mapped[dict[str, Any]] = mapped_column(JSONB)
    role_rule_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    name_comparison: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    """The version of the key by which the role rule compares names; a tenant from before has the first."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    lapsed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When its plan ceased to include SCIM; None while it does, and for a tenant that never had it."""
    offboarding_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """From when on only what takes away passes."""
    closes_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """From when on nothing passes; None is never."""
    paused_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when its provider may only read and take away, and is told to come again later; past or None: it is not."""
    overrides: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What it has otherwise than its plan says, each with its reason, author and end; None for most."""
    lapse_state: Mapped[str] = column_property(fn.lapse_of(id, type_=Text))  # noqa: A003  # the column
    """What held when it was read, by the gate's own judgement; one of `lapse.LapseState`."""

    @property
    def chosen_plan(self) -> str:
        """The plan that was chosen for it, whatever is paid for."""
        return self.plan_without_payment or self.plan

    @property
    def chosen_profile(self) -> str:
        """The profile that was chosen for it: a provider's, or `AUTO`."""
        return AUTO if self.profile_auto else self.profile

    @chosen_profile.setter
    def chosen_profile(self, chosen: str) -> None:
        self.profile_auto = chosen == AUTO
        self.profile = "default" if chosen == AUTO else chosen
        self.profile_taken_at = None
        for name in ("profile", "profile_auto", "profile_taken_at"):
            flag_modified(self, name)  # written though it looks the same: one may have been taken since this was read


class BillingCustomer(Base):
    """A customer of whom a payment provider has spoken, or is to be asked; whichever tenant has its id is it."""

    __tablename__ = "billing_customers"
    __table_args__ = (Index("ix_billing_customers_due", "due_at"),)

    customer: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    provider: Mapped[str] = mapped_column(Text)
    """Who is asked: ``stripe``, or ``entitlements`` for a billing system of one's own."""
    said: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """A `payment.Standing`, as the provider answered last; None until it has."""
    asked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it answered last."""
    heard_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When an event about it came last."""
    applied_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When that was brought to its tenant last."""
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    """When it is asked about next; while somebody asks, when their lease runs out."""
    lease: Mapped[UUID | None] = mapped_column(Uuid)
    """Whose answer counts."""
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """How often asking has failed since it last went well."""
    error: Mapped[str | None] = mapped_column(Text)


class BillingPrice(Base):
    """What a price at the payment provider stands for."""

    __tablename__ = "billing_prices"

    price: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    """Its id or its lookup key there."""
    plan: Mapped[str | None] = mapped_column(ForeignKey("plans.key"))
    seats_by_quantity: Mapped[bool] = mapped_column(Boolean)
    """Whether the quantity that is bought is a number of seats."""


class SeatMark(Base):
    """Since when a tenant has no seat left, and since when it has more people than seats."""

    __tablename__ = "seat_marks"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    full_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    over_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class SeatUsage(Base):
    """How many people of a tenant were active in a month; a month without a row is as the one before it ended."""

    __tablename__ = "seat_usage"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    """Its first day, in UTC."""
    counted_from: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    counted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When `active` last became another number."""
    active: Mapped[int] = mapped_column(BigInteger)
    peak: Mapped[int] = mapped_column(BigInteger)
    person_seconds: Mapped[Decimal] = mapped_column(Numeric)
    """The sum of the seconds that all were active, until `counted_at`."""


class InstallationKey(Base):
    """A key of the installation: an operator's, or the product's own."""

    __tablename__ = "installation_keys"
    __table_args__ = (
        CheckConstraint("kind IN ('op', 'app')", name="kind"),
        CheckConstraint("role IS NULL OR kind = 'op' AND role IN ('ops', 'billing', 'support')", name="role"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    kind: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    """What an operator's key may do, one of `operators.OperatorRole`; None for the product's, and is ops for others."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuditRetention(Base):
    """How long a tenant's audit is kept, the installation's own too; only functions of the database write here."""

    __tablename__ = "audit_retention"
    __table_args__ = (
        CheckConstraint("shorter_days < days AND shorter_from IS NOT NULL OR shorter_days IS NULL", name="shorter"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    days: Mapped[int] = mapped_column(Integer)
    counts_from: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Before this moment nothing of it is deleted."""
    shorter_days: Mapped[int | None] = mapped_column(Integer)
    """What was announced to count from `shorter_from` on."""
    shorter_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
