"""Operators' sessions: who is in, and how a link that invites somebody is spent. `operator_passkeys` opens the others.

A session is asked of PostgreSQL on every request and once more as what it did is committed (`still_good`). It ends
after twelve hours, after half an hour without use, and with its operator or the role they had as it was opened.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from rollcall.access import operators, statements
from rollcall.access.models import Operator, OperatorSession
from rollcall.access.passkey_sign_in import SignInRefused
from rollcall.crypto import NOBODY, TokenKind, TokenText, digest, new_token, read_token
from rollcall.db import Pool
from rollcall.errors import Refusal
from rollcall.journal.event import Event
from rollcall.journal.operator_events import OperatorInvitationUsed, OperatorSignedIn, OperatorSignedOut
from rollcall.journal.record import record_for_installation
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import Actor, ActorKind, Fleet

LIFETIME = timedelta(hours=12)
"""How long a session is good for: a working day, and no night."""

IDLE = timedelta(minutes=30)
"""How long it is good for without being used."""

TO_REGISTER = timedelta(minutes=30)
"""How long whoever came by a link has to make a passkey."""


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    """An operator in the console, as they stand at this moment."""

    key: TokenText
    """The session as its cookie shows it."""
    operator_id: UUID
    name: str
    role: OperatorRole
    purpose: str
    """``console``, or ``registration`` for whoever came by a link and has no passkey yet."""
    opened_at: datetime
    expires_at: datetime

    @property
    def session_id(self) -> UUID:
        """The session's id."""
        return self.key.id

    @property
    def user_name(self) -> str:
        """What the frame of the pages calls them."""
        return self.name

    @property
    def tenant_name(self) -> str:
        """What the frame says instead of a tenant."""
        return f"Operators · {self.role}"

    @property
    def return_url(self) -> None:
        """Operators came from no product."""
        return

    @property
    def actor(self) -> Actor:
        """Who the audit names for what they do."""
        return Actor(ActorKind.OPERATOR, self.name, self.operator_id, key=self.key, role=self.role.value)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as it is handed out once: when it ends, and the text for its cookie."""

    text: str
    expires_at: datetime


class OperatorNotSignedIn(Refusal):
    """No operator is signed in, or not any more."""

    status = 403
    code = "operator_not_signed_in"
    advice = "Sign in to the operators' console with a passkey; 'rollcall operators invite' makes a link for a new one."

    def __init__(self, *, ended: bool) -> None:
        super().__init__("Your session has ended. Sign in again." if ended else "Sign in first.")
        self.ended = ended


class InvitationRefused(Refusal):
    """An invitation opens nothing. Why is not told, so that nobody learns whom there is."""

    status = 403
    code = "invitation_refused"
    advice = "Have another one made: 'rollcall operators invite NAME --role ROLE'."

    def __init__(self) -> None:
        super().__init__(
            "This link opens nothing any more. Each one is good once, for a day. Ask whoever gave it to you for "
            "another."
        )


async def who(pool: Pool, shown: str | None, *, sees: bool = True) -> SignedInOperator:
    """Whose session somebody shows; with *sees* it is used now, and idles from now on.

    Raises:
        OperatorNotSignedIn: it is none, or not good any more.
    """
    if not shown:
        raise OperatorNotSignedIn(ended=False)
    token = read_token(shown)
    if token is None or token.kind is not TokenKind.OPERATOR_SESSION:
        raise OperatorNotSignedIn(ended=True)
    if sees:
        row = await statements.visit_as_operator(pool, token, int(IDLE.total_seconds()))
    else:
        row = await statements.operator_session(pool, token)
    if row is None:
        raise OperatorNotSignedIn(ended=True)
    return SignedInOperator(
        key=token,
        operator_id=row["operator_id"],
        name=row["name"],
        role=OperatorRole(row["role"]),
        purpose=row["purpose"],
        opened_at=row["opened_at"],
        expires_at=row["expires_at"],
    )


async def enter(fleet: Fleet, link: TokenText, *, label: str | None) -> Opened:
    """Spend an invitation, once, and let whoever has it make a passkey.

    Raises:
        InvitationRefused: whatever of it is not right.
    """
    operator = await _of_session(fleet, link.id)
    if operator is None or not await spent(fleet, link, operator, "invitation", "entered"):
        raise InvitationRefused
    used = OperatorInvitationUsed(operator_id=operator.id, link_id=link.id)
    await record_as(fleet, operator, used)
    opened = await _opened(
        fleet, operator, uuid4(), "registration", lifetime=TO_REGISTER, idle=TO_REGISTER, label=label
    )
    assert opened is not None, "a fresh id is nobody's"
    return opened


async def sign_out(fleet: Fleet, somebody: SignedInOperator) -> None:
    """Close a session. Doing it twice is the same as doing it once."""
    closed = await fleet.db.scalar(
        update(OperatorSession)
        .where(OperatorSession.id == somebody.session_id, OperatorSession.closed_at.is_(None))
        .values(closed_at=fleet.now, closed_because="signed out")
        .returning(OperatorSession.id)
        .execution_options(synchronize_session=False)
    )
    if closed is not None:
        left = OperatorSignedOut(operator_id=somebody.operator_id, session_id=somebody.session_id)
        await record_for_installation(fleet, left, target=str(somebody.operator_id))


async def _of_session(fleet: Fleet, session_id: UUID) -> Operator | None:
    """Whose session this is said to be, held before the session, as a removal does it."""
    operator_id = await fleet.db.scalar(select(OperatorSession.operator_id).where(OperatorSession.id == session_id))
    return None if operator_id is None else await operators.locked(fleet, operator_id)


async def spent(fleet: Fleet, shown: TokenText, operator: Operator, purpose: str, because: str) -> bool:
    """Close what is shown if it is good for this purpose; of two at the same moment the second finds it closed."""
    spent = await fleet.db.scalar(
        update(OperatorSession)
        .where(
            OperatorSession.id == shown.id,
            OperatorSession.operator_id == operator.id,
            OperatorSession.purpose == purpose,
            OperatorSession.role == operator.role,
            OperatorSession.digest == shown.digest,
            OperatorSession.closed_at.is_(None),
            OperatorSession.expires_at > fleet.now,
        )
        .values(closed_at=fleet.now, closed_because=because)
        .returning(OperatorSession.id)
        .execution_options(synchronize_session=False)
    )
    return spent is not None


async def open_console(fleet: Fleet, operator: Operator, session_id: UUID, label: str | None) -> Opened:
    """Open a session of the console for an operator who is held, as the one of this id.

    Raises:
        SignInRefused: there was one: the challenge that gave the id was answered before.
    """
    opened = await _opened(fleet, operator, session_id, "console", lifetime=LIFETIME, idle=IDLE, label=label)
    if opened is None:
        raise SignInRefused
    await record_as(fleet, operator, OperatorSignedIn(operator_id=operator.id, session_id=session_id))
    return opened


async def _opened(
    fleet: Fleet,
    operator: Operator,
    session_id: UUID,
    purpose: str,
    *,
    lifetime: timedelta,
    idle: timedelta,
    label: str | None,
) -> Opened | None:
    """Open a session of this id; None if there was one."""
    opens = new_token(TokenKind.OPERATOR_SESSION, NOBODY, session_id)
    made = await fleet.db.scalar(
        insert(OperatorSession)
        .values(
            id=session_id,
            operator_id=operator.id,
            purpose=purpose,
            role=operator.role,
            digest=digest(opens),
            label=label,
            created_at=fleet.now,
            expires_at=fleet.now + lifetime,
            idle_at=fleet.now + idle,
        )
        .on_conflict_do_nothing(index_elements=[OperatorSession.id])
        .returning(OperatorSession.expires_at)
    )
    return None if made is None else Opened(opens, made)


async def record_as(fleet: Fleet, operator: Operator, event: Event) -> None:
    """Enter what an operator did who is about to come in."""
    by = replace(fleet, actor=Actor(ActorKind.OPERATOR, operator.name, operator.id, role=operator.role))
    await record_for_installation(by, event, target=str(operator.id))
