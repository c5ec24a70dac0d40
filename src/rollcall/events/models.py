"""The tables of delivery: who subscribes to what, and what became of each message for each of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")
_PENDING = text("state = 'pending'")


class DestinationRow(Base):
    """Somebody outside who subscribes: a tenant's, or the installation's, whose tenant is all zeroes."""

    __tablename__ = "destinations"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    kind: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """What they subscribe to; empty for everything that is announced."""
    audience: Mapped[str | None] = mapped_column(Text)
    secrets: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """Sealed, newest first; all but the first say until when they are signed with."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    disabled_because: Mapped[str | None] = mapped_column(Text)
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Removed ones stay until their deliveries have been forgotten."""
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """How often in a row nothing at all could be delivered."""
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Since when its receiver has taken nothing of what it was asked to take."""
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when a receiver that takes nothing is left alone."""
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Delivery(Base):
    """One message for one destination, and what became of it: the queue and the log in one."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'dead', 'cancelled')", name="state"),
        ForeignKeyConstraint(["tenant_id", "message_id"], ["outbox.tenant_id", "outbox.id"], ondelete="CASCADE"),
        Index("ix_deliveries_message", "tenant_id", "message_id", "destination_id", unique=True),
        Index("ix_deliveries_log", "destination_tenant_id", "destination_id", "id"),
        Index(
            "ix_deliveries_due",
            "destination_tenant_id",
            "destination_id",
            "next_try_at",
            "message_id",
            postgresql_where=_PENDING,
        ),
        Index(
            "ix_deliveries_turn",
            "destination_tenant_id",
            "destination_id",
            "tenant_id",
            "line_id",
            "message_id",
            postgresql_where=_PENDING,
        ),
        Index(
            "ix_deliveries_dead",
            "destination_tenant_id",
            "destination_id",
            "id",
            postgresql_where=text("state = 'dead'"),
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """Whose message it is."""
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    destination_tenant_id: Mapped[UUID] = mapped_column(Uuid)
    destination_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text)
    """What the destination was called when the message was fanned out, for a receipt that outlives it."""
    message_id: Mapped[UUID] = mapped_column(Uuid)
    topic: Mapped[str] = mapped_column(Text)
    account_id: Mapped[UUID | None] = mapped_column(Uuid)
    line_id: Mapped[UUID] = mapped_column(Uuid)
    """In whose line it stands: the person's, or all zeroes for what is about nobody. A line is delivered in order."""
    state: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    next_try_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    """When it is due; while somebody has it, when their lease runs out."""
    give_up_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    first_tried_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(Text)
    took_ms: Mapped[int | None] = mapped_column(Integer)
