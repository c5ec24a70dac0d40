"""External credentials: what the product gave somebody, and registers here by name so that leaving closes it too.

A grant, a key, a scheduled job: the product keeps the credential and asks here whether it is still good. Only its name
is known here, never what opens it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from rollcall import paging
from rollcall.access.accounts import lock_name, locked_for_issuing
from rollcall.access.models import Account, ExternalCredential
from rollcall.errors import Forbidden, Invalid, NotFound, Taken, TooMany
from rollcall.journal.events import ExternalCredentialClosed, ExternalCredentialRegistered
from rollcall.journal.record import record
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work

MOST_LIVE = 1000
"""Live external credentials a person may have."""

KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Good:
    """A credential that is good at this moment: whose it is and the role they have now."""

    id: UUID
    account_id: UUID
    role: str
    expires_at: datetime | None


async def register(
    work: Work,
    account_id: UUID,
    *,
    kind: str,
    name: str,
    label: str | None = None,
    expires_at: datetime | None = None,
) -> ExternalCredential:
    """Let a credential of the product end when its person leaves. Doing it twice is the same as doing it once.

    Among the open ones of a tenant and kind a name stands once, and nothing about the one that has it is changed here.
    One that is over gives its name free: registered anew it is another credential, and the old one stays closed.

    Raises:
        Invalid: the kind is no short lower-case word, the name is empty or too long, the expiry lies in the past.
        Forbidden: the tenant is suspended.
        NotFound, PersonInactive: the person can't be given one.
        Taken: somebody else's credential has this name.
        TooMany: they have 1,000.
    """
    _check(work, kind, name, expires_at)
    if (await tenants.own(work)).status != "active":
        msg = "This tenant is suspended; nothing is registered in it until it is resumed."
        raise Forbidden(msg)
    account = await locked_for_issuing(work, account_id)
    await lock_name(work, f"external {account.id}")
    await _close_expired(work, kind, name)
    if await _open(work, kind, name) is None:
        await _check_room(work, account)
        row = await _insert(work, account, kind=kind, name=name, label=label, expires_at=expires_at)
        if row is not None:
            event = ExternalCredentialRegistered(credential_id=row.id, kind=kind, name=name)
            await record(work, event, account_id=account.id, target=str(row.id))
            return row
    present = await _open(work, kind, name)
    if present is None or present.account_id != account.id:
        msg = f"Another person's {kind} is called “{name}”; close that one first, or give this one its own name."
        raise Taken(msg, param="name")
    return present


async def is_good(work: Work, kind: str, name: str) -> Good | None:
    """Whether the credential of this kind and name is good at this moment; None when it is not, whatever the reason."""
    row = (
        await work.db.execute(
            select(ExternalCredential.id, Account.id.label("account_id"), Account.role, ExternalCredential.expires_at)
            .join(
                Account,
                (Account.tenant_id == ExternalCredential.tenant_id) & (Account.id == ExternalCredential.account_id),
            )
            .join(Tenant, Tenant.id == ExternalCredential.tenant_id)
            .where(
                *_called(work, kind, name),
                (ExternalCredential.expires_at.is_(None)) | (ExternalCredential.expires_at > func.clock_timestamp()),
                Account.active,
                Account.epoch == ExternalCredential.epoch,
                Tenant.status == "active",
            )
        )
    ).one_or_none()
    return None if row is None else Good(row.id, row.account_id, row.role, row.expires_at)


async def page(
    work: Work, account_id: UUID, *, limit: int = paging.USUAL, cursor: str | None = None
) -> Page[ExternalCredential]:
    """Some of a person's live external credentials, newest first.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(ExternalCredential).where(*_live(work, account_id))
    by = (ExternalCredential.created_at, ExternalCredential.id)
    return await paging.page(work.db, rows, *by, limit=limit, cursor=cursor, descending=True)


async def close(work: Work, credential_id: UUID) -> None:
    """Close one, from the commit on. Doing it twice is the same as doing it once.

    Raises:
        NotFound: this tenant has no such credential.
    """
    row = await work.db.scalar(
        select(ExternalCredential)
        .where(ExternalCredential.tenant_id == work.tenant.id, ExternalCredential.id == credential_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("external credential")
    if row.closed_at is None:
        row.closed_at = work.now
        row.closed_because = "closed"
        event = ExternalCredentialClosed(credential_id=row.id, kind=row.kind, name=row.name)
        await record(work, event, account_id=row.account_id, target=str(row.id))


def _check(work: Work, kind: str, name: str, expires_at: datetime | None) -> None:
    if not KIND.fullmatch(kind):
        msg = "kind: use a short word in lower case, such as oauth_grant, ssh_key, api_key or scheduled_job"
        raise Invalid(msg, param="kind")
    if not 1 <= len(name) <= 500:
        msg = "name: use 1 to 500 characters; it is the product's own name for the credential, not what opens it"
        raise Invalid(msg, param="name")
    if expires_at is not None and expires_at <= work.now:
        msg = "expires_at: lies in the past"
        raise Invalid(msg, param="expires_at")


async def _check_room(work: Work, account: Account) -> None:
    live = await work.db.scalar(select(func.count()).select_from(ExternalCredential).where(*_live(work, account.id)))
    if int(live or 0) >= MOST_LIVE:
        raise TooMany("external credentials", MOST_LIVE)


async def _insert(
    work: Work, account: Account, *, kind: str, name: str, label: str | None, expires_at: datetime | None
) -> ExternalCredential | None:
    """The new row; None if somebody else has written this name at the same moment, which the index decides."""
    return await work.db.scalar(
        insert(ExternalCredential)
        .values(
            tenant_id=work.tenant.id,
            id=uuid4(),
            account_id=account.id,
            epoch=account.epoch,
            kind=kind,
            name=name,
            label=label,
            created_at=work.now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing()
        .returning(ExternalCredential)
    )


async def _close_expired(work: Work, kind: str, name: str) -> None:
    """One that has expired is over; its row makes room for the next of this name."""
    await work.db.execute(
        update(ExternalCredential)
        .where(*_called(work, kind, name), ExternalCredential.expires_at <= work.now)
        .values(closed_at=work.now, closed_because="expired")
        .execution_options(synchronize_session=False)
    )


async def _open(work: Work, kind: str, name: str) -> ExternalCredential | None:
    return await work.db.scalar(select(ExternalCredential).where(*_called(work, kind, name)))


def _live(work: Work, account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        ExternalCredential.tenant_id == work.tenant.id,
        ExternalCredential.account_id == account_id,
        ExternalCredential.closed_at.is_(None),
        or_(ExternalCredential.expires_at.is_(None), ExternalCredential.expires_at > work.now),
    )


def _called(work: Work, kind: str, name: str) -> tuple[ColumnElement[bool], ...]:
    return (
        ExternalCredential.tenant_id == work.tenant.id,
        ExternalCredential.kind == kind,
        ExternalCredential.name == name,
        ExternalCredential.name != "",  # as the index of open names has it
        ExternalCredential.closed_at.is_(None),
    )
