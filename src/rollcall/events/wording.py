"""What the messages of a batch say to one destination, asked of its kind; one that can't be worded delays no other."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from rollcall.access.models import Account
from rollcall.db import Database, DatabaseError
from rollcall.events.claims import Claimed
from rollcall.events.kinds import KINDS
from rollcall.events.outgoing import Destination, Message, Outgoing
from rollcall.journal.models import OutboxMessage
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, Work, open_work

log = structlog.get_logger(__name__)

T = TypeVar("T")

ORIGIN = RequestOrigin(request_id="delivery")
DATABASE_AWAY = (SQLAlchemyError, OSError, *DatabaseError)
"""What says that the database is away, and nothing about a message."""

Worded = dict[UUID, Outgoing | Exception | None]
"""What each message of a batch says to the destination, or why that could not be said."""


async def word(database: Database, destination: Destination, due: Sequence[Claimed]) -> Worded:
    """Word a batch, one transaction for each tenant in it; what can't be worded is to delay nothing else."""
    worded: Worded = {}
    for tenant, those in by_tenant(due, lambda claimed: claimed).items():
        async with open_work(database, tenant, SYSTEM, ORIGIN) as work:
            messages = await messages_of(work, [each.message_id for each in those])
            for each in those:
                try:
                    worded[each.message_id] = await KINDS[destination.kind].outgoing(
                        work, destination, messages[each.message_id]
                    )
                except DATABASE_AWAY:
                    raise
                except Exception as error:  # whatever a kind can't do with one message
                    log.exception("a message can't be worded", message_id=str(each.message_id))
                    worded[each.message_id] = error
    return worded


async def messages_of(work: Work, ids: Sequence[UUID]) -> dict[UUID, Message]:
    """These messages of a tenant's, with what their people are called today."""
    rows = await work.db.execute(
        select(OutboxMessage, Account.user_name)
        .outerjoin(Account, (Account.tenant_id == OutboxMessage.tenant_id) & (Account.id == OutboxMessage.account_id))
        .where(OutboxMessage.tenant_id == work.tenant.id, OutboxMessage.id.in_(ids))
    )
    return {
        stored.id: Message(
            id=stored.id,
            topic=stored.topic,
            account_id=stored.account_id,
            user_name=user_name,
            payload=stored.payload,
            request_id=stored.request_id,
            created_at=stored.created_at,
        )
        for stored, user_name in rows
    }


def by_tenant(things: Sequence[T], claimed: Callable[[T], Claimed]) -> dict[TenantRef, list[T]]:
    """*things* apart by the tenant they are about: a transaction is of one tenant."""
    tenants: dict[TenantRef, list[T]] = defaultdict(list)
    for each in things:
        tenants[claimed(each).tenant].append(each)
    return tenants
