"""Codes by mail: how an admin gets in who knows their address alone.

Whoever asks says an address, and is answered alike whosever it is: nothing is looked up. A worker finds the admins
whom it belongs to, and writes to them (`alerts.mailing_codes`). A code opens something only in the browser that asked
for it, so nobody uses up somebody else's; which tenants the address belongs to is said to whoever entered the code.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select, update

from rollcall.access import sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Account, MailCode
from rollcall.access.sessions import NewSession, Purpose
from rollcall.access.sign_in_codes import plain
from rollcall.crypto import CannotOpen, Sealer, digest
from rollcall.db import fn
from rollcall.errors import Forbidden, NotFound, PersonInactive, Refusal
from rollcall.work import Fleet, Work

PATIENCE = timedelta(minutes=10)
"""How long a code is good for, from when it was asked for."""

CHOICE = timedelta(minutes=5)
"""How long whoever entered it may take to choose a tenant."""

MOST_WRONG = 5
"""Wrong codes after which the right one is none any more. It has 50 random bits."""

LONGEST_ADDRESS = 254
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 10
_FOR = "sign-in by mail"


class MailCodeRefused(Refusal):
    """No session for this code. Why is not told, so that nobody learns whose address it is."""

    status = 403
    code = "mail_code_refused"
    advice = "Enter the code of the newest mail in the browser that asked for it, or ask for a new one."

    def __init__(self) -> None:
        super().__init__(
            "This code opens nothing here: it is mistyped, older than ten minutes, was used before or asked for in "
            "another browser, or five wrong ones came before it. Try again, or ask for a new one."
        )


@dataclass(frozen=True, slots=True)
class Theirs:
    """An admin's account that an address belongs to."""

    tenant_id: UUID
    account_id: UUID


def plain_address(address: str) -> str | None:
    """An address as it is compared; None for what can't be one."""
    found = address.strip().lower()
    name, _, host = found.rpartition("@")
    can_be = name and host and found.isascii() and found.isprintable() and not set(found) & set(' <>",;:\\()[]')
    return found if can_be and len(found) <= LONGEST_ADDRESS else None


def new_code() -> str:
    """A code as it is mailed."""
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return f"{made[:5]}-{made[5:]}"


async def ask(fleet: Fleet, address: str) -> UUID:
    """Have a code mailed to an address; returns what the browser shows with the code."""
    asked = uuid4()
    fleet.db.add(MailCode(id=asked, address=address, created_at=fleet.now))
    return asked


async def enter(fleet: Fleet, asked: UUID, code: str) -> Sequence[Theirs] | None:
    """The accounts that the address of this code belongs to, and the code is spent; None if it is not the one.

    A wrong one is counted: whoever calls lets the transaction commit.
    """
    good = MailCode.id == asked, MailCode.entered_at.is_(None), MailCode.created_at > fleet.now - PATIENCE
    row = await fleet.db.scalar(select(MailCode).where(*good).with_for_update())
    is_right = (
        row is not None
        and row.wrong < MOST_WRONG
        and row.digest is not None
        and secrets.compare_digest(row.digest, digest(plain(code)))
    )
    change: dict[str, Any] = {"entered_at": fleet.now} if is_right else {"wrong": MailCode.wrong + 1}
    await fleet.db.execute(update(MailCode).where(*good).values(**change).execution_options(synchronize_session=False))
    if row is None or not is_right:
        return None
    return [Theirs(UUID(tenant), UUID(account)) for tenant, account in row.found or ()]


async def spend(fleet: Fleet, asked: UUID) -> str | None:
    """The address of a code that was entered, once; None if it was used before, or too long ago."""
    return await fleet.db.scalar(
        delete(MailCode)
        .where(MailCode.id == asked, MailCode.entered_at > fleet.now - CHOICE)
        .returning(MailCode.address)
        .execution_options(synchronize_session=False)
    )


async def sign_in(
    work: Work, account_id: UUID, address: str, *, lifetime: timedelta, label: str | None = None
) -> NewSession:
    """Open a session of the console for an admin of this tenant whose address it still is.

    Raises:
        MailCodeRefused: whatever of it is not so any more.
    """
    try:
        account = await locked_for_issuing(work, account_id)
        if not account.is_admin or not await _is_of(work, account.id, address):
            raise MailCodeRefused
        return await sessions.open_session(
            work, account.id, lifetime=lifetime, label=label, purpose=Purpose.CONSOLE, way="mail"
        )
    except (NotFound, PersonInactive, Forbidden):
        raise MailCodeRefused from None


async def address_of(work: Work, account_id: UUID) -> str | None:
    """Where a person is written to; None where that is nowhere."""
    found = await work.db.scalar(select(fn.address_of(work.tenant.id, account_id)))
    return plain_address(str(found or ""))


def sealed(sealer: Sealer, asked: UUID, theirs: Sequence[Theirs]) -> str:
    """What a browser brings back with its choice, once the code was entered."""
    until = (datetime.now(UTC) + CHOICE).isoformat()
    choices = [[str(each.tenant_id), str(each.account_id)] for each in theirs]
    return sealer.seal(json.dumps({"for": _FOR, "id": str(asked), "of": choices, "until": until}).encode())


def unsealed(sealer: Sealer, text: str) -> tuple[UUID, Sequence[Theirs]] | None:
    """What a browser brings back; None if it is none of ours, or too old."""
    try:
        opened: object = json.loads(sealer.open(text))
    except (CannotOpen, ValueError):
        return None
    said = cast("dict[str, Any]", opened) if isinstance(opened, dict) else {}
    if said.get("for") != _FOR or datetime.fromisoformat(said["until"]) <= datetime.now(UTC):
        return None
    return UUID(said["id"]), [Theirs(UUID(tenant), UUID(account)) for tenant, account in said["of"]]


async def _is_of(work: Work, account_id: UUID, address: str) -> bool:
    said = or_(
        func.lower(Account.user_name) == address,
        func.lower(fn.address_of(work.tenant.id, Account.id)) == address,
    )
    wanted = Account.tenant_id == work.tenant.id, Account.id == account_id, said
    return await work.db.scalar(select(Account.id).where(*wanted)) is not None
