"""Writing down what happened: the audit entry and the outbox message, from one value, in one transaction."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rollcall.functions import qualified
from rollcall.journal.event import Event
from rollcall.journal.models import Notice, OutboxMessage
from rollcall.work import Actor, Fleet, RequestOrigin, Work, storable

INSTALLATION = UUID(int=0)
"""Stands for the tenant in entries about the installation itself."""

_WRITE = text(
    qualified(
        "SELECT fn.audit_write(CAST(:tenant AS uuid), CAST(:call AS jsonb), :outcome, :status, :detail,"
        " CAST(:events AS text[]), CAST(:account AS uuid), :target)"
    )
)


async def record(
    work: Work, event: Event, *, account_id: UUID | None = None, target: str | None = None, mailed: bool = True
) -> None:
    """Enter *event* into the tenant's audit and, if it is announced, into the outbox.

    Admins are mailed some kinds of events, unless *mailed* says that this one is not theirs.
    """
    await enter(work, event, account_id=account_id, target=target)
    if event.announced:
        work.db.add(
            OutboxMessage(
                tenant_id=work.tenant.id,
                topic=event.topic,
                account_id=account_id,
                payload=event.payload(),
                request_id=work.origin.request_id,
            )
        )
    if event.mailed and mailed:
        work.db.add(Notice(tenant_id=work.tenant.id, topic=event.topic, payload=event.payload()))


def have_mailed(work: Work, topic: str, facts: Mapping[str, Any], *, but: Sequence[UUID] = ()) -> None:
    """Have the tenant's admins written to about what is no event of its own, all *but* those who know."""
    work.db.add(Notice(tenant_id=work.tenant.id, topic=topic, payload=dict(facts), told=[*but]))


async def enter(work: Work, event: Event, *, account_id: UUID | None = None, target: str | None = None) -> None:
    """Enter *event* into the audit alone; for what a database function has put into the outbox already."""
    await _enter(work, work.tenant.id, event, account_id, target)


async def record_for_installation(fleet: Fleet, event: Event, *, target: str | None = None) -> None:
    """Enter an event that concerns no single tenant."""
    await _enter(fleet, INSTALLATION, event, None, target)


async def record_refusal(work: Work | Fleet, *, action: str, status: int, detail: str) -> None:
    """Enter that a call was not granted: into the tenant's audit, or the installation's for work across tenants."""
    call = call_of(work.actor, work.origin, action)
    await work.db.execute(
        _WRITE,
        {
            "tenant": work.tenant.id if isinstance(work, Work) else INSTALLATION,
            "call": json.dumps(call),
            "outcome": "refused",
            "status": status,
            "detail": storable(detail),
            "events": [],
            "account": None,
            "target": None,
        },
    )


def call_of(actor: Actor, origin: RequestOrigin, action: str) -> dict[str, Any]:
    """What every entry says about its call."""
    return {
        "action": action,
        "actor_kind": actor.kind.value,
        "actor_id": None if actor.id is None else str(actor.id),
        "actor_label": actor.label,
        "owner_id": None if actor.owner_id is None else str(actor.owner_id),
        **origin.facts(),
    }


async def _enter(
    work: Work | Fleet, tenant_id: UUID, event: Event, account_id: UUID | None, target: str | None
) -> None:
    call = call_of(work.actor, work.origin, event.topic) | {"payload": event.payload()}
    await work.db.execute(
        _WRITE,
        {
            "tenant": tenant_id,
            "call": json.dumps(call),
            "outcome": "done",
            "status": None,
            "detail": None,
            "events": [event.topic],
            "account": account_id,
            "target": target or (None if account_id is None else str(account_id)),
        },
    )
