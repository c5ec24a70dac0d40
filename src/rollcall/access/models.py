"""The tables of the ways in: accounts, tokens, sessions, and the receipts of their closing."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
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
_ACCOUNT = ["accounts.tenant_id", "accounts.id"]


class Account(Base):
    """A person as the product knows them; it outlives their SCIM resource."""

    __tablename__ = "accounts"
    __table_args__ = (
        Index(
            "ix_accounts_detached",
            "tenant_id",
            "external_id",
            postgresql_where=text("detached_at IS NOT NULL AND external_id IS NOT NULL"),
        ),
        Index("ix_accounts_admins", "tenant_id", postgresql_where=text("active AND is_admin")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    user_name: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    active: Mapped[bool]
    epoch: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    role: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool]
    standing: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    deactivated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deactivated_because: Mapped[str | None] = mapped_column(Text)
    detached_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    facts: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    """Counts changes of the group names that decide the role, so that no change is worked out from older ones."""


class Token(Base):
    """A personal access token; a SCIM token is one with a SCIM scope. Without an owner it is ops-issued."""

    __tablename__ = "tokens"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "owner_id"], _ACCOUNT),
        Index("ix_tokens_live", "tenant_id", "owner_id", postgresql_where=text("revoked_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    label: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    owner_id: Mapped[UUID | None] = mapped_column(Uuid)
    epoch: Mapped[int | None] = mapped_column(Integer)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    issued_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_because: Mapped[str | None] = mapped_column(Text)
    replaced_by: Mapped[UUID | None] = mapped_column(Uuid)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_from: Mapped[str | None] = mapped_column(Text)


class Session(Base):
    """A person's session in the product."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        Index("ix_sessions_open", "tenant_id", "account_id", postgresql_where=text("closed_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)


class Receipt(Base):
    """What the worker found and did after a person left; one for each deactivation."""

    __tablename__ = "receipts"
    __table_args__ = (ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),)

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
    settled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    purged: Mapped[dict[str, Any]] = mapped_column(JSONB)
