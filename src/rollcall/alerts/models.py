"""The tables of alerts, and of who wants no mail about them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")


class AlertRow(Base):
    """One alert, open or over. Mass changes, which somebody has to release, stand in ``mass_changes``."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_open",
            *("tenant_id", "kind", "subject", "stage"),
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_alerts_newest", "tenant_id", "opened_at", "id"),
        Index("ix_alerts_closed", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    kind: Mapped[str] = mapped_column(Text)
    """One of `kinds.Kind`."""
    subject: Mapped[str] = mapped_column(Text)
    """What it is about, where a tenant can have several of a kind: the id of a token or of a person."""
    stage: Mapped[str] = mapped_column(Text)
    """How near it is, where a kind comes nearer; each stage is an alert of its own."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """What was so as it opened."""
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MailRefusal(Base):
    """Somebody who wants no more mail of a kind. No foreign key to the account: each row would lock it."""

    __tablename__ = "mail_refusals"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    """The kind of an alert, ``tokens`` or ``vendor``."""
    refused_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
