"""The directory's tables: people as their identity provider describes them, and open role conflicts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from rollcall.db import Base

_UUID7 = text("uuidv7()")
_NOW = text("clock_timestamp()")
_HAS_EXTERNAL_ID = text("external_id IS NOT NULL")


class UserRow(Base):
    """A SCIM User: the document as it is given back, and beside it what is searched (NFC, case-folded)."""

    __tablename__ = "users"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], ["accounts.tenant_id", "accounts.id"]),
        Index("uq_users_user_name", "tenant_id", "user_name_key", unique=True),
        Index("uq_users_account", "tenant_id", "account_id", unique=True),
        Index("ix_users_active", "tenant_id", "active", "id"),
        Index("ix_users_display_name", "tenant_id", "display_name_key", "id"),
        Index("ix_users_external_id", "tenant_id", "external_id", postgresql_where=_HAS_EXTERNAL_ID),
        Index("ix_users_last_modified", "tenant_id", "last_modified", "id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    user_name_key: Mapped[str] = mapped_column(Text(collation="C"))
    external_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    display_name_key: Mapped[str | None] = mapped_column(Text(collation="C"))
    active: Mapped[bool]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_modified: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)


class UserNameKey(Base):
    """The present key of a person whose stored key is of the first version (`scim.name_keys`)."""

    __tablename__ = "user_name_keys"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
        Index("ix_user_name_keys_key", "tenant_id", "key"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    first_key: Mapped[str] = mapped_column(Text(collation="C"))
    """The stored key; where the person has another one by now, the row says nothing."""
    key: Mapped[str] = mapped_column(Text(collation="C"))


class UserEmail(Base):
    """An address of a person, for look-ups; the document holds how it was written."""

    __tablename__ = "user_emails"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE"),
        Index("ix_user_emails_user", "tenant_id", "user_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    value_key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class UserCount(Base):
    """How many people a tenant has, and how many are active: the sum of its parts, each kept by other connections.

    Triggers keep them (migrations, `count_people` and `count_active`)."""

    __tablename__ = "user_counts"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    part: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    people: Mapped[int] = mapped_column(BigInteger)
    active: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class GroupRow(Base):
    """A SCIM Group; its members are rows of their own."""

    __tablename__ = "groups"
    __table_args__ = (
        Index("ix_groups_display_name", "tenant_id", "display_name_key"),
        Index("ix_groups_external_id", "tenant_id", "external_id", postgresql_where=_HAS_EXTERNAL_ID),
        Index("ix_groups_last_modified", "tenant_id", "last_modified", "id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    display_name: Mapped[str] = mapped_column(Text)
    display_name_key: Mapped[str] = mapped_column(Text(collation="C"))
    external_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_modified: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)


class GroupNameKey(Base):
    """The present key of a group whose stored key is of the first version, as `UserNameKey`."""

    __tablename__ = "group_name_keys"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "group_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE"),
        Index("ix_group_name_keys_key", "tenant_id", "key"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    group_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    first_key: Mapped[str] = mapped_column(Text(collation="C"))
    key: Mapped[str] = mapped_column(Text(collation="C"))


class GroupUser(Base):
    """A person in a group."""

    __tablename__ = "group_users"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "group_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="group_id"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="CASCADE", name="user_id"
        ),
        Index("ix_group_users_user", "tenant_id", "user_id", "group_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    group_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    display: Mapped[str | None] = mapped_column(Text)
    """What the provider calls the member; None answers the member's own name."""
    display_key: Mapped[str | None] = mapped_column(Text(collation="C"))


class GroupChild(Base):
    """A group in a group."""

    __tablename__ = "group_children"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "group_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="group_id"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "child_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="child_id"
        ),
        Index("ix_group_children_child", "tenant_id", "child_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    group_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    child_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    display: Mapped[str | None] = mapped_column(Text)
    display_key: Mapped[str | None] = mapped_column(Text(collation="C"))


class GroupUnknownMember(Base):
    """A member of a group whose id can't be anybody's here: kept and shown as it was sent, and of no effect."""

    __tablename__ = "group_unknown_members"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "group_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="group_id"
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    group_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    value: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    display: Mapped[str | None] = mapped_column(Text)
    display_key: Mapped[str | None] = mapped_column(Text(collation="C"))


class GroupAncestor(Base):
    """A group above another one, at any distance; worked out from the nesting whenever that changes."""

    __tablename__ = "group_closure"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "descendant_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="descendant_id"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "ancestor_id"], ["groups.tenant_id", "groups.id"], ondelete="CASCADE", name="ancestor_id"
        ),
        Index("ix_group_closure_ancestor", "tenant_id", "ancestor_id", "descendant_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    descendant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    ancestor_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class ConflictCase(Base):
    """What an admin should know of one person's role names, open until its cause is gone.

    A conflict was refused or held. An unknown role is mild: a stored name begins like a role's and is none, so the
    person has the default role.
    """

    __tablename__ = "conflict_cases"
    __table_args__ = (
        Index(
            "uq_conflict_cases_open",
            "tenant_id",
            "user_name_key",
            unique=True,
            postgresql_where=text("closed_at IS NULL AND kind = 'conflict'"),
        ),
        Index(
            "uq_conflict_cases_unknown_role",
            "tenant_id",
            "user_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL AND kind = 'unknown_role'"),
        ),
        Index("ix_conflict_cases_user", "tenant_id", "user_id", postgresql_where=text("closed_at IS NULL")),
        CheckConstraint("kind IN ('conflict', 'unknown_role')", name="kind"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    kind: Mapped[str] = mapped_column(Text, server_default="conflict")
    """``conflict``, or ``unknown_role``."""
    user_name_key: Mapped[str] = mapped_column(Text(collation="C"))
    user_name: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    names: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    detail: Mapped[str] = mapped_column(Text)
    stored: Mapped[bool]
    """Whether the names are what is stored of the person, or only what a refused change asked for."""
    first_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    times: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)


class RoleChange(Base):
    """A tenant's last change of roles that was too large for one transaction: how far it is, and who brings it on."""

    __tablename__ = "role_changes"
    __table_args__ = (Index("ix_role_changes_open", "began_at", postgresql_where=text("ended_at IS NULL")),)

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    request_id: Mapped[str] = mapped_column(Text)
    people: Mapped[int] = mapped_column(Integer)
    """To how many it had to be brought after it was answered."""
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    leased_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RoleChangePerson(Base):
    """Somebody to whom their tenant's last large change of roles has not been brought yet.

    No foreign key to the account: each row would lock it, and whoever leaves would wait for that.
    """

    __tablename__ = "role_change_people"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)


class RefusedDeparture(Base):
    """Who left while their tenant was suspended, and is taken out as it is resumed. No foreign key, as above."""

    __tablename__ = "refused_departures"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer)
    """The account's at that moment: whoever was let in anew since then has another one."""
    token_id: Mapped[UUID] = mapped_column(Uuid)
    token_label: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    refused_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
