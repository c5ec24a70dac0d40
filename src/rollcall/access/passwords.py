"""Passwords for emergencies: for those whom the tenant's setting names, when passkeys, mail and ops are out of reach.

A person has one at most. What is kept is its hash (`hashing`), which nobody computes while a transaction is open.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from rollcall.access import sessions
from rollcall.access.accounts import locked_for_issuing
from rollcall.access.models import Account, Password
from rollcall.access.sessions import NewSession, Purpose
from rollcall.errors import Conflict, Forbidden, Invalid, NotFound, PersonInactive, Refusal
from rollcall.journal.console_events import PasswordRemoved, PasswordSet
from rollcall.journal.record import record
from rollcall.scim.name_keys import name_key
from rollcall.tenancy import tenants
from rollcall.work import Work

SHORTEST, LONGEST = 15, 200
"""Characters; three or four words at random are longer than the shortest."""


class PasswordNotAllowed(Conflict):
    """Somebody who may not have a password for the console."""

    code = "password_not_allowed"
    advice = "Have ops name the person: 'rollcall tenants break-glass TENANT PERSON', or break_glass in tenants.toml."

    def __init__(self) -> None:
        super().__init__(
            "Passwords are for emergencies, and for those alone whom ops have named for it (break_glass of the tenant)."
        )


class PasswordRefused(Refusal):
    """No session for this password. Why is not told, so that nobody learns who there is and who has one."""

    status = 403
    code = "password_refused"
    advice = "Check all three fields, or sign in another way."

    def __init__(self) -> None:
        super().__init__(
            "These open nothing: the workspace, the userName or the password is mistyped, or there is no password. "
            "Try again, or sign in another way."
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A password that is open, and whose."""

    id: UUID
    account_id: UUID
    hash: str


def plain(password: str) -> str:
    """A password as it is hashed, whichever keyboard it was typed on.

    Of one that is too long only so much is left that `check` refuses it and no hash fits it: strangers send thousands
    of marks, and to compose those takes seconds.
    """
    return unicodedata.normalize("NFC", password) if len(password) <= LONGEST else password[: LONGEST + 1]


def check(password: str) -> None:
    """Refuse what can't be a password.

    Raises:
        Invalid: it is too short or too long, or no text.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        msg = f"password: choose {SHORTEST} to {LONGEST} characters; four words at random do"
        raise Invalid(msg, param="password")
    if "\x00" in password:
        msg = "password: holds NUL; leave it out"
        raise Invalid(msg, param="password")


async def may_have(work: Work, account: Account) -> bool:
    """Whether the tenant's setting names this person."""
    return _is_named((await tenants.own(work)).break_glass, account.user_name)


async def check_may_have(work: Work, account_id: UUID) -> None:
    """Refuse whoever may have no password.

    Raises:
        NotFound, PersonInactive: there is nobody to have one.
        PasswordNotAllowed: the tenant's setting does not name them.
    """
    if not await may_have(work, await locked_for_issuing(work, account_id)):
        raise PasswordNotAllowed


async def keep(work: Work, account_id: UUID, hashed: str) -> Password:
    """Keep a password by its hash; the one that was before opens nothing any more.

    Raises:
        NotFound, PersonInactive, PasswordNotAllowed: as for `check_may_have`.
        Forbidden: the tenant is suspended.
    """
    await sessions.check_tenant(work)
    await check_may_have(work, account_id)
    await _close(work, account_id, "replaced")
    account = await locked_for_issuing(work, account_id)
    row = Password(tenant_id=work.tenant.id, account_id=account.id, epoch=account.epoch, hash=hashed)
    work.db.add(row)
    await work.db.flush()  # its id is wanted
    await record(work, PasswordSet(password_id=row.id), account_id=account.id, target=str(row.id))
    return row


async def remove(work: Work, account_id: UUID) -> None:
    """End a person's password. Doing it twice is the same as doing it once."""
    for closed in await _close(work, account_id, "removed"):
        await record(work, PasswordRemoved(password_id=closed), account_id=account_id, target=str(closed))


async def of_person(work: Work, account_id: UUID) -> Password | None:
    """A person's password; None if they have none."""
    return await work.db.scalar(select(Password).where(*_open(work), Password.account_id == account_id))


async def find(work: Work, user_name: str) -> Kept | None:
    """The password of whoever is called so; the same statement where nobody is, or has none."""
    rows = await work.db.execute(
        select(Password.id, Password.account_id, Password.hash, Account.user_name)
        .join(Account, (Account.tenant_id == Password.tenant_id) & (Account.id == Password.account_id))
        .where(*_open(work))
    )
    wanted = name_key(user_name)
    named = (Kept(row.id, row.account_id, row.hash) for row in rows if name_key(row.user_name) == wanted)
    return next(named, None)


async def enter(
    work: Work, kept: Kept, *, renewed: str | None, lifetime: timedelta, label: str | None = None
) -> NewSession:
    """Open a session of the console for whoever's password was right, if it still is one.

    Raises:
        PasswordRefused: it was closed or changed meanwhile, or they may have none any more.
    """
    try:
        await prove(work, kept, renewed=renewed)
        return await sessions.open_session(
            work, kept.account_id, lifetime=lifetime, label=label, purpose=Purpose.CONSOLE, way="password"
        )
    except (NotFound, PersonInactive, Forbidden):
        raise PasswordRefused from None


async def prove(work: Work, kept: Kept, *, renewed: str | None) -> None:
    """Make sure that the password which was right is still one, and keep its renewed hash if there is one.

    Raises:
        PasswordRefused: it is none.
    """
    try:
        account = await locked_for_issuing(work, kept.account_id)
    except (NotFound, PersonInactive):
        raise PasswordRefused from None
    if not await may_have(work, account):
        raise PasswordRefused
    still = await work.db.scalar(
        update(Password)
        .where(*_open(work), Password.id == kept.id, Password.hash == kept.hash, Password.epoch == account.epoch)
        .values(last_used_at=work.now, hash=renewed or kept.hash)
        .returning(Password.id)
        .execution_options(synchronize_session=False)
    )
    if still is None:
        raise PasswordRefused


async def _close(work: Work, account_id: UUID, because: str) -> Sequence[UUID]:
    """Close what a person has; nothing is left to guess at."""
    return (
        await work.db.scalars(
            update(Password)
            .where(*_open(work), Password.account_id == account_id)
            .values(closed_at=work.now, closed_because=because, hash="")
            .returning(Password.id)
            .execution_options(synchronize_session=False)
        )
    ).all()


def _open(work: Work) -> tuple[ColumnElement[bool], ...]:
    return Password.tenant_id == work.tenant.id, Password.closed_at.is_(None)


def _is_named(names: Sequence[str], user_name: str) -> bool:
    wanted = name_key(user_name)
    return any(name_key(each) == wanted for each in names)
