"""Celery's tasks: each opens its work, calls a domain function, and is done. All of them may run twice."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollcall.access import receipts
from rollcall.db import Database, DatabaseError
from rollcall.events import delivering, endings
from rollcall.events import housekeeping as events_housekeeping
from rollcall.events.delivering import Tally, Workshop
from rollcall.journal import housekeeping, outbox
from rollcall.work import SYSTEM, Origin, TenantRef, open_fleet, open_work
from rollcall.worker.runtime import Runtime

log = structlog.get_logger(__name__)

_AWAY = (SQLAlchemyError, OSError, *DatabaseError)
"""What is raised while the database is away, or when it refuses."""

SETTLE_DEPARTURE = "rollcall.settle_departure"
DELIVER = "rollcall.deliver"
KEEP_HOUSE = "rollcall.keep_house"

LISTENERS = {"user.deactivated": SETTLE_DEPARTURE}
"""Which task hears of which event; what nobody listens to is done as soon as it has been fanned out."""


def register(app: Any) -> None:
    """Make the tasks known to *app*."""
    app.task(name=SETTLE_DEPARTURE)(settle_departure)
    app.task(name=DELIVER)(deliver)
    app.task(name=KEEP_HOUSE)(keep_house)


def settle_departure(tenant_id: str, message_id: str, request_id: str) -> None:
    """Purge what a departed person left and write the receipt."""
    structlog.contextvars.bind_contextvars(request_id=request_id, message_id=message_id)
    tenant, message = TenantRef(UUID(tenant_id), ""), UUID(message_id)
    origin = Origin(request_id=request_id)

    async def settle(database: Database) -> bool:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            settled = await receipts.settle(work, message)
            await endings.complete_receipt(work, message, runtime().means)
            return settled

    async def note(database: Database) -> None:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            await outbox.fail(work, message, failure)

    failure = ""

    try:
        settled = runtime().run(settle)
        log.info("departure settled" if settled else "departure had been settled before")
    except Exception as error:
        log.warning("departure not settled; it will be tried again", exc_info=True)
        failure = f"{type(error).__name__}: {error}"
        with suppress(*_AWAY):  # then the lease runs out, and the relay hands the message out again
            runtime().run(note)
    finally:
        structlog.contextvars.clear_contextvars()


def deliver(owner_id: str, destination_id: str) -> None:
    """Deliver what is due for one destination."""
    structlog.contextvars.bind_contextvars(destination_id=destination_id)

    async def work(shop: Workshop) -> Tally:
        return await delivering.deliver(shop, UUID(owner_id), UUID(destination_id))

    try:
        log.info("delivered", **asdict(runtime().deliver(work)))
    except _AWAY as error:
        # What was claimed is due again when its claim runs out.
        log.warning("not delivered; it will be tried again", error=str(error))
    finally:
        structlog.contextvars.clear_contextvars()


def keep_house() -> None:
    """Make the coming months' partitions, forget what has long been dealt with, complete receipts left open."""

    async def keep(database: Database) -> dict[str, int]:
        async with open_fleet(database, SYSTEM, Origin(request_id="keep house")) as fleet:
            kept = await housekeeping.keep(fleet)
            kept |= await events_housekeeping.keep(fleet)
        return kept | {"receipts_completed": await events_housekeeping.complete_receipts(database, runtime().means)}

    log.info("house kept", **runtime().run(keep))


def runtime() -> Runtime:
    """The runtime of this process."""
    current = Runtime.current
    assert current is not None, "a task runs in a worker process, which has a runtime"
    return current
