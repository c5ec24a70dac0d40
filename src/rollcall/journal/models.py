"""The journal's tables: what happened, and what still has to be delivered."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")


class AuditEntry(Base):
    """One call or change: who, what, to whom, when, and how it ended. Append-only, a partition a month."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_person", "tenant_id", "account_id", "at"),
        Index(
            "ix_audit_entries_request",
            "request_id",
            postgresql_using="brin",
            postgresql_ops={"request_id": "text_bloom_ops"},
            postgresql_with={"autosummarize": "on"},
        ),
        Index(
            "ix_audit_entries_actor",
            "actor_id",
            postgresql_using="brin",
            postgresql_ops={"actor_id": "uuid_bloom_ops"},
            postgresql_with={"autosummarize": "on"},
        ),
        Index("ix_audit_entries_refused", "tenant_id", "at", "id", postgresql_where=text("outcome = 'refused'")),
        Index(
            "ix_audit_entries_action",
            *("tenant_id", "action", "at", "id"),
            postgresql_where=text("action NOT LIKE 'scim.%'"),
        ),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=_NOW)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    request_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None] = mapped_column(Uuid)
    actor_label: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)
    account_id: Mapped[UUID | None] = mapped_column(Uuid)
    target: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None] = mapped_column(Integer)
    detail: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    method: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    payload_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    commitment: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Room for what will prove that nothing is missing; empty until then."""


class AuditPayload(Base):
    """What an entry's request carried, secrets masked; apart, so that a person's data can be erased."""

    __tablename__ = "audit_payloads"
    __table_args__ = ({"postgresql_partition_by": "RANGE (at)"},)

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Notice(Base):
    """What a tenant's admins are to be mailed, if this installation sends mail; forgotten after three days."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_due", "due_at", postgresql_where=text("sent_at IS NULL")),
        Index("ix_notices_age", "created_at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    told: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    """The accounts that have been written to."""
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RefusedCalls(Base):
    """Calls nobody can be named for, counted per minute and source so that a flood can't fill the disk."""

    __tablename__ = "refused_calls"

    minute: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    calls: Mapped[int] = mapped_column(Integer)


class Deviation(Base):
    """How often a tenant's provider departed from the standard in one way on one day."""

    __tablename__ = "deviations"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    deviation: Mapped[str] = mapped_column("habit", Text, primary_key=True)
    times: Mapped[int] = mapped_column(Integer)


class ProviderMark(Base):
    """Something by which a tenant's provider can be recognised; `scim.recognising` says of whom each is a mark."""

    __tablename__ = "provider_marks"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    mark: Mapped[str] = mapped_column(Text, primary_key=True)
    first_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    times: Mapped[int] = mapped_column(BigInteger)


class OutboxMessage(Base):
    """An event that still has to be delivered; leases and attempts live here, not in the broker."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "next_try_at",
            postgresql_where=text("done_at IS NULL AND dead_at IS NULL AND fanned_out_at IS NOT NULL"),
        ),
        Index("ix_outbox_done", "done_at", postgresql_where=text("done_at IS NOT NULL")),
        Index("ix_outbox_dead", "dead_at", postgresql_where=text("dead_at IS NOT NULL")),
        Index("ix_outbox_new", "id", postgresql_where=text("fanned_out_at IS NULL")),
        Index(
            "ix_outbox_new_departures",
            "id",
            postgresql_where=text("fanned_out_at IS NULL AND topic = 'user.deactivated'"),
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    topic: Mapped[str] = mapped_column(Text)
    account_id: Mapped[UUID | None] = mapped_column(Uuid)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    next_try_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    fanned_out_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a delivery had been made for each destination subscribed to it."""
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    dead_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_error: Mapped[str | None] = mapped_column(Text)


class KeptAnswer(Base):
    """What a creation was answered, for whoever repeats it with the same ``Idempotency-Key``; sealed for them alone."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("ix_idempotency_keys_age", "created_at"),
        Index("ix_idempotency_keys_secret", "created_at", postgresql_where=text("whole_answer IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """The tenant that was worked on; all zeroes for work across tenants."""
    caller_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """The key or token that was presented."""
    name: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """What the header said, derived with what the caller presented."""
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """What was asked for, by which another request under the same key is recognised."""
    status: Mapped[int] = mapped_column(Integer)
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    """The answer without what is shown once."""
    has_secret: Mapped[bool] = mapped_column(Boolean)
    whole_answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The answer with it, for ten minutes."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)


class WriteTrial(Base):
    """A row that is written and taken away at once, to see whether that can be done; never any is left."""

    __tablename__ = "write_trials"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    filler: Mapped[bytes] = mapped_column(LargeBinary)


class Housekeeping(Base):
    """A part of what is done regularly: who has it now, and how it ended last."""

    __tablename__ = "housekeeping"

    part: Mapped[str] = mapped_column(Text, primary_key=True)
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    leased_by: Mapped[UUID | None] = mapped_column(Uuid)
    done_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    did: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """How much was done, by what it was."""
    failed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)
