"""The tables of what is proved: receipts of departures, the keys that sign them, and mass changes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")
_ACCOUNT = ["accounts.tenant_id", "accounts.id"]


class Receipt(Base):
    """What the worker found and did after a person left; one for each deactivation."""

    __tablename__ = "receipts"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        Index("ix_receipts_person", "tenant_id", "account_id", "closed_at"),
        Index("ix_receipts_closed", "tenant_id", "closed_at"),
        Index("ix_receipts_waiting", "tenant_id", "id", postgresql_where=text("completed_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    transaction_id: Mapped[str] = mapped_column(Text)
    arrived_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed: Mapped[dict[str, Any]] = mapped_column(JSONB)
    restricted: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What outlives its owner for what only takes away, as the tenant has chosen; None where nothing does."""
    settled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    purged: Mapped[dict[str, Any]] = mapped_column(JSONB)
    destinations: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """What became of each destination; None until the last of them is dealt with."""
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    statement: Mapped[str | None] = mapped_column(Text)
    """The whole receipt as a signed compact JWS."""


class SigningKey(Base):
    """A key that signs what outsiders verify. The installation's: it belongs to no tenant."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    sealed_private_key: Mapped[str] = mapped_column(Text)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    active_from: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """It is published at once and signs from this moment on, so that caches of the JWKS know it by then."""
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When its successor takes over."""
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When somebody said that others may have it: nothing signed with it is believed, whenever that was."""


class MassChange(Base):
    """More departures within an hour than a tenant is used to; it holds back what can't be undone until released."""

    __tablename__ = "mass_changes"
    __table_args__ = (
        Index("uq_mass_changes_open", "tenant_id", unique=True, postgresql_where=text("released_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When the first of the departures that were counted happened."""
    noticed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    count: Mapped[int] = mapped_column(Integer)
    """How many there were when it was noticed."""
    threshold: Mapped[int] = mapped_column(Integer)
    released_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    released_by: Mapped[str | None] = mapped_column(Text)
