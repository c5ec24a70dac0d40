"""Sign-in codes: how somebody gets into the console who has no passkey yet. Ops make one; it is good once, for minutes.

A code is a row of `sessions`, so that leaving closes it with everything else. It is short enough to be read out: 100
random bits. The row's id follows from the code, so that the row is found by its key; the digest decides.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select, update

from rollcall.access import sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Session
from rollcall.access.sessions import NewSession, Purpose
from rollcall.crypto import digest
from rollcall.errors import Forbidden, NotFound, PersonInactive, Refusal
from rollcall.journal.console_events import ConsoleCodeIssued
from rollcall.journal.record import record
from rollcall.work import Work

PATIENCE = timedelta(minutes=10)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter in it looks like a digit."""

_LENGTH, _GROUP = 20, 5
_MEANT = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code as it is handed out once."""

    row: Session
    text: str


class CodeRefused(Refusal):
    """No session for this code. Why is not told, so that nobody learns who there is."""

    status = 403
    code = "code_refused"
    advice = "Ask for a new code, and check the name of the workspace."

    def __init__(self) -> None:
        super().__init__(
            "This code opens nothing in this workspace: one of the two is mistyped, or the code was used before, has "
            "been replaced by a newer one or is older than ten minutes. Ask for a new one."
        )


async def issue(work: Work, account_id: UUID) -> NewCode:
    """Make a code for a person. Earlier ones that nobody entered end; this one is in clear here and nowhere else.

    Raises:
        NotFound: this tenant has no such person.
        PersonInactive: they may not come in.
        Forbidden: the tenant is suspended.
    """
    await sessions.check_tenant(work)
    account = await locked_for_issuing(work, account_id)
    await work.db.execute(
        update(Session)
        .where(
            Session.tenant_id == work.tenant.id,
            Session.account_id == account.id,
            Session.purpose == Purpose.CONSOLE_CODE,
            Session.closed_at.is_(None),
        )
        .values(closed_at=work.now, closed_because="replaced")
        .execution_options(synchronize_session=False)
    )
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    code_id = _id_of(work, made)
    row = sessions.keep(
        work, account, code_id, made, lifetime=PATIENCE, label="Sign-in code", purpose=Purpose.CONSOLE_CODE
    )
    await record(work, ConsoleCodeIssued(code_id=code_id), account_id=account.id, target=str(code_id))
    return NewCode(row, "-".join(made[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP)))


async def enter(work: Work, code: str, *, lifetime: timedelta, label: str | None = None) -> NewSession:
    """Open a session of the console for whoever the code is for, and spend the code, once.

    Raises:
        CodeRefused: whatever of it is not right.
        Invalid: as `sessions.open_session` says.
    """
    code_id, account_id = await spend(work, code)
    try:
        return await sessions.open_session(
            work, account_id, lifetime=lifetime, label=label, purpose=Purpose.CONSOLE, code_id=code_id, way="code"
        )
    except Forbidden:
        raise CodeRefused from None


async def spend(work: Work, code: str) -> tuple[UUID, UUID]:
    """Spend a code, once; returns its id and whose it is.

    Raises:
        CodeRefused: whatever of it is not right.
    """
    entered = plain(code)
    code_id = _id_of(work, entered)
    account_id = await work.db.scalar(
        select(Session.account_id).where(Session.tenant_id == work.tenant.id, Session.id == code_id)
    )
    if account_id is None:
        raise CodeRefused
    try:
        # The account first, as a deactivation does; what that has closed meanwhile is seen closed below.
        account = await locked_for_issuing(work, account_id)
    except (NotFound, PersonInactive):
        raise CodeRefused from None
    spent = await work.db.scalar(
        update(Session)
        .where(
            Session.tenant_id == work.tenant.id,
            Session.id == code_id,
            Session.purpose == Purpose.CONSOLE_CODE,
            Session.digest == digest(entered),
            Session.epoch == account.epoch,
            Session.closed_at.is_(None),
            Session.expires_at > work.now,
        )
        .values(closed_at=work.now, closed_because="entered")
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    )
    if spent is None:
        raise CodeRefused
    return code_id, account.id


def plain(code: str) -> str:
    """A code as it was made, however it was typed."""
    return re.sub(r"[\s-]", "", code).upper().translate(_MEANT)


def _id_of(work: Work, code: str) -> UUID:
    """Where the row of a code is. It gives away as little of the code as its digest does."""
    said = f"sign-in code {work.tenant.id} {code}"
    return UUID(bytes=sha256(said.encode(errors="replace")).digest()[:16])
