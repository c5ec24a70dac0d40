"""Operators as people: invited, given another role, removed. `operator_sessions` is how they come in.

Whoever removes one, or gives one another role, locks the operator's row; whoever lets one in holds it. So nothing that
lets them in is made beside that, and what was made before is closed by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError

from rollcall.access.models import Operator, OperatorPasskey, OperatorSession
from rollcall.crypto import NOBODY, TokenKind, digest, new_token
from rollcall.errors import Invalid, NotFound, Refusal
from rollcall.journal.operator_events import OperatorInvited, OperatorRemoved, OperatorRoleChanged
from rollcall.journal.record import record_for_installation
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import Fleet

INVITATION = timedelta(days=1)
"""How long a link is good that invites an operator."""

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link as it is handed out once: the operator it is for, and the text that opens it."""

    operator: Operator
    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """An operator as they are listed."""

    operator: Operator
    passkeys: int
    """Those that open something."""
    last_used_at: datetime | None
    """When one of them did last."""


class NoSuchOperator(NotFound):
    """Nobody of this name is an operator, or not any more."""

    def __init__(self, name: str) -> None:
        Refusal.__init__(self, f"There is no operator “{name}”; 'rollcall operators list' shows all.")


async def invite(fleet: Fleet, name: str, role: OperatorRole) -> Invitation:
    """Make a link with which somebody registers a passkey once, within a day. It is in clear here and nowhere else.

    Whoever is an operator already is given *role*, and a further passkey; a link that was made for them before ends.

    Raises:
        Invalid: nobody can be called so.
    """
    operator = await _present(fleet, _checked(name))
    if operator is None:
        operator = await _made(fleet, name.strip(), role)
    await _give(fleet, operator, role)
    await _close(fleet, operator, "replaced", OperatorSession.purpose == "invitation")
    link_id = uuid4()
    opens = new_token(TokenKind.OPERATOR_SESSION, NOBODY, link_id)
    ends = fleet.now + INVITATION
    fleet.db.add(
        OperatorSession(
            id=link_id,
            operator_id=operator.id,
            purpose="invitation",
            role=role.value,
            digest=digest(opens),
            created_at=fleet.now,
            expires_at=ends,
            idle_at=ends,
        )
    )
    invited = OperatorInvited(operator_id=operator.id, name=operator.name, role=role.value, link_id=link_id)
    await record_for_installation(fleet, invited, target=str(operator.id))
    return Invitation(operator, opens, ends)


async def change_role(fleet: Fleet, name: str, role: OperatorRole) -> Operator:
    """Give an operator another role; they are signed out by it, and sign in to that role with their passkey.

    Raises:
        NoSuchOperator: as it says.
    """
    operator = await _held(fleet, name)
    await _give(fleet, operator, role)
    return operator


async def remove(fleet: Fleet, name: str) -> Operator:
    """End all that lets an operator in, from the commit on.

    Raises:
        NoSuchOperator: as it says; also whoever was removed before.
    """
    operator = await _held(fleet, name)
    operator.removed_at = fleet.now
    await _close(fleet, operator, "removed")
    await fleet.db.execute(
        update(OperatorPasskey)
        .where(OperatorPasskey.operator_id == operator.id, OperatorPasskey.closed_at.is_(None))
        .values(closed_at=fleet.now)
        .execution_options(synchronize_session=False)
    )
    removed = OperatorRemoved(operator_id=operator.id, name=operator.name)
    await record_for_installation(fleet, removed, target=str(operator.id))
    return operator


async def every(fleet: Fleet) -> Sequence[Listed]:
    """All operators by name, but those who were removed."""
    passkeys = (
        select(
            OperatorPasskey.operator_id,
            func.count().label("number"),
            func.max(OperatorPasskey.last_used_at).label("at"),
        )
        .where(OperatorPasskey.closed_at.is_(None))
        .group_by(OperatorPasskey.operator_id)
        .subquery()
    )
    rows = await fleet.db.execute(
        select(Operator, func.coalesce(passkeys.c.number, 0), passkeys.c.at)
        .outerjoin(passkeys, passkeys.c.operator_id == Operator.id)
        .where(Operator.removed_at.is_(None))
        .order_by(Operator.name)
    )
    return [Listed(operator, int(number), used) for operator, number, used in rows]


async def locked(fleet: Fleet, operator_id: UUID) -> Operator | None:
    """An operator who is one, kept from being removed and from having another role until this work is committed."""
    return await fleet.db.scalar(
        select(Operator)
        .where(Operator.id == operator_id, Operator.removed_at.is_(None))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )


def _checked(name: str) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        msg = f"name: choose one of at most {LONGEST_NAME} printable characters, such as ada@vendor.example"
        raise Invalid(msg, param="name")
    return name


async def _present(fleet: Fleet, name: str) -> Operator | None:
    return await fleet.db.scalar(
        select(Operator)
        .where(Operator.name == name, Operator.removed_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def _made(fleet: Fleet, name: str, role: OperatorRole) -> Operator:
    """A new operator, or the one whom somebody else made of this name at the same moment."""
    operator = Operator(id=uuid4(), name=name, role=role.value)
    try:
        async with fleet.db.begin_nested():
            fleet.db.add(operator)
    except IntegrityError:
        return await _held(fleet, name)
    return operator


async def _held(fleet: Fleet, name: str) -> Operator:
    operator = await _present(fleet, name.strip())
    if operator is None:
        raise NoSuchOperator(name)
    return operator


async def _give(fleet: Fleet, operator: Operator, role: OperatorRole) -> None:
    if operator.role == role.value:
        return
    changed = OperatorRoleChanged(operator_id=operator.id, name=operator.name, before=operator.role, after=role.value)
    operator.role = role.value
    await _close(fleet, operator, "role changed")
    await record_for_installation(fleet, changed, target=str(operator.id))


async def _close(fleet: Fleet, operator: Operator, because: str, *which: ColumnElement[bool]) -> None:
    await fleet.db.flush()
    await fleet.db.execute(
        update(OperatorSession)
        .where(OperatorSession.operator_id == operator.id, OperatorSession.closed_at.is_(None), *which)
        .values(closed_at=fleet.now, closed_because=because)
        .execution_options(synchronize_session=False)
    )
