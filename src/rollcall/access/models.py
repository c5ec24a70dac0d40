"""The tables of the ways in: accounts, tokens, sessions, passkeys and the product's own."""

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
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from rollcall.db import Base, fn

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
        Index(
            "ix_accounts_former",
            *("tenant_id", text("lower(user_name)")),
            postgresql_where=text("detached_at IS NOT NULL AND linked_to IS NULL"),
        ),
        Index("ix_accounts_admins", "tenant_id", postgresql_where=text("active AND is_admin")),
        Index(
            "ix_accounts_departed",
            "tenant_id",
            "deactivated_at",
            postgresql_where=text("deactivated_at IS NOT NULL"),
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """No foreign key: each new person would lock the tenant's row, beside all others who come then. Tenants stay."""
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    user_name: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    active: Mapped[bool]
    epoch: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    role: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool]
    role_state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    deactivated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deactivated_because: Mapped[str | None] = mapped_column(Text)
    detached_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    linked_to: Mapped[UUID | None] = mapped_column(Uuid)
    """The account its person was linked to by hand, and where they are now."""
    group_revision: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    """Counts changes of the group names that decide the role, so that no change is worked out from older ones."""


class AccountHistory(Base):
    """What an account was until a moment; a trigger writes it. No foreign key, as for the tenant above."""

    __tablename__ = "account_history"
    __table_args__ = (Index("ix_account_history_age", "until_at", postgresql_using="brin"),)

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    until_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    active: Mapped[bool]
    deactivated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """If it was not active then, since when; before that it was. None: it never had been."""
    role: Mapped[str] = mapped_column(Text)
    is_admin: Mapped[bool]


class AccountHistoryMark(Base):
    """From when on that is known of a tenant, where it is not from the beginning."""

    __tablename__ = "account_history_marks"

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    known_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))


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
    handed_over_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When another admin took it over with the same secret, which its former owner may know: it ends soon."""
    expires_before: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it would have expired, had it not been handed over."""
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_from: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = column_property(fn.token_state(tenant_id, id, type_=Text))  # noqa: A003  # the column
    """How it stood when it was read, by the gate's own judgement; one of `token_states.TokenState`."""


class Session(Base):
    """A person's session in the product, the console or the portal, or the code or link that opens one once."""

    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        CheckConstraint(
            "purpose IN ('product', 'console', 'console_code', 'portal', 'portal_link', 'contact_link')", name="purpose"
        ),
        CheckConstraint("(intent IS NOT NULL) = (purpose IN ('portal', 'portal_link', 'contact_link'))", name="intent"),
        Index("ix_sessions_expiry", "expires_at"),
        Index("ix_sessions_open", "tenant_id", "account_id", postgresql_where=text("closed_at IS NULL")),
        Index(
            "ix_sessions_console",
            *("tenant_id", "created_at"),
            postgresql_where=text("purpose <> 'product' AND closed_at IS NULL"),
        ),
        Index("ix_sessions_closed", "tenant_id", "account_id", postgresql_where=text("closed_at IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[str] = mapped_column(Text, server_default=text("'product'"))
    """What it opens; one of `sessions.Purpose`."""
    intent: Mapped[str | None] = mapped_column(Text)
    """The one thing that a session of the portal, or the link that opens it, is for; one of `portal_links.Intent`."""
    return_url: Mapped[str | None] = mapped_column(Text)
    """Where the portal leads back to."""
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was last used in the console, to the minute; of a link when it was last opened."""
    proved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When whoever uses it last proved who they are, after they had signed in."""
    link_id: Mapped[UUID | None] = mapped_column(Uuid)
    """The link for somebody without an account that opened it."""


class Password(Base):
    """A person's password for emergencies, as its Argon2id hash; at most one is open."""

    __tablename__ = "passwords"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        Index("ix_passwords_open", "tenant_id", "account_id", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_passwords_closed", "tenant_id", "account_id", postgresql_where=text("closed_at IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=_UUID7)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    hash: Mapped[str] = mapped_column(Text)  # the column
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)


class MailCode(Base):
    """A code that is mailed to an address, whosever it is; forgotten a day later.

    It belongs to no tenant: whoever asks says an address alone, and a worker finds whom it belongs to.
    """

    __tablename__ = "mail_codes"
    __table_args__ = (
        Index("ix_mail_codes_due", "due_at", postgresql_where=text("sent_at IS NULL")),
        Index("ix_mail_codes_age", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """Known to nobody but the browser that asked."""
    address: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The code's, once a mail with it was written."""
    found: Mapped[list[list[str]] | None] = mapped_column(JSONB)
    """The admins' accounts that the address belongs to, each as its tenant's id and its own."""
    wrong: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """How often another code was entered."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    entered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Passkey(Base):
    """A person's WebAuthn credential; the authenticator keeps the private key, here is the public one."""

    __tablename__ = "passkeys"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        UniqueConstraint("tenant_id", "credential_id", name="uq_passkeys_credential_id"),
        Index("ix_passkeys_open", "tenant_id", "account_id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_passkeys_closed", "tenant_id", "account_id", postgresql_where=text("closed_at IS NOT NULL")),
        # Only a question about a credential can use it, as with external credentials.
        Index(
            "ix_passkeys_credential",
            "credential_id",
            postgresql_where=text("closed_at IS NULL AND credential_id <> ''"),
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    aaguid: Mapped[UUID] = mapped_column(Uuid)
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)


class PasskeyChallenge(Base):
    """What an authenticator has to sign, once, within minutes; of a sealed one, that it was answered.

    A sign-in names an account or, where the authenticator is to say whose passkey it is, none; the account named need
    not exist, so that nobody learns from a challenge whether it does.
    """

    __tablename__ = "passkey_challenges"
    __table_args__ = (
        CheckConstraint("purpose IN ('registration', 'sign_in', 'answered')", name="purpose"),
        Index("ix_passkey_challenges_expiry", "tenant_id", "expires_at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tenants.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)
    account_id: Mapped[UUID | None] = mapped_column(Uuid)
    epoch: Mapped[int | None] = mapped_column(Integer)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ExternalCredential(Base):
    """A credential that the product gave somebody and answers for by a name of its own: a grant, a key, a job."""

    __tablename__ = "external_credentials"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "account_id"], _ACCOUNT),
        Index(
            "uq_external_credentials_open_name",
            "tenant_id",
            "kind",
            "name",
            unique=True,
            # Only a question about a name can use it: for a person's, in a table that has not been counted yet, the
            # planner finds it as cheap as the next one, and then reads all that the tenant has.
            postgresql_where=text("closed_at IS NULL AND name <> ''"),
        ),
        Index("ix_external_credentials_open", "tenant_id", "account_id", postgresql_where=text("closed_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    epoch: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text(collation="C"))
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)


class Operator(Base):
    """Somebody who runs the installation: a person of the vendor's, and of no tenant."""

    __tablename__ = "operators"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("role IN ('ops', 'billing', 'support')", name="role"),
        Index("uq_operators_name", "name", unique=True, postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    """What the audit calls them."""
    role: Mapped[str] = mapped_column(Text)
    """One of `tenancy.operators.OperatorRole`."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class OperatorPasskey(Base):
    """An operator's WebAuthn credential."""

    __tablename__ = "operator_passkeys"
    __table_args__ = (
        UniqueConstraint("credential_id", name="uq_operator_passkeys_credential_id"),
        Index("ix_operator_passkeys_open", "operator_id", postgresql_where=text("closed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("operators.id"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(Text))
    aaguid: Mapped[UUID] = mapped_column(Uuid)
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class OperatorSession(Base):
    """What lets an operator in: a link that invites them, the visit on which they make a passkey, or a session.

    It is good for the role they had as it was opened, and for no other.
    """

    __tablename__ = "operator_sessions"
    __table_args__ = (
        CheckConstraint("purpose IN ('invitation', 'registration', 'console')", name="purpose"),
        Index("ix_operator_sessions_open", "operator_id", postgresql_where=text("closed_at IS NULL")),
        Index("ix_operator_sessions_expiry", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("operators.id"))
    purpose: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    label: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    idle_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """When it ends unless it is used before."""
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    closed_because: Mapped[str | None] = mapped_column(Text)
