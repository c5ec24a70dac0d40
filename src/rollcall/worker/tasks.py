"""Celery's tasks: each opens its work, calls a domain function, and is done. All of them may run twice."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollcall.access import receipts
from rollcall.db import Database
from rollcall.journal import housekeeping, outbox
from rollcall.work import SYSTEM, Origin, TenantRef, open_fleet, open_work
from rollcall.worker.runtime import Runtime

log = structlog.get_logger(__name__)

T = TypeVar("T")

SETTLE_DEPARTURE = "rollcall.settle_departure"
KEEP_HOUSE = "rollcall.keep_house"

LISTENERS = {"user.deactivated": SETTLE_DEPARTURE}
"""Which task hears of which event; what nobody listens to is done as soon as the relay sees it."""


def register(app: Any) -> None:
    """Make the tasks known to *app*."""
    app.task(name=SETTLE_DEPARTURE)(settle_departure)
    app.task(name=KEEP_HOUSE)(keep_house)


def settle_departure(tenant_id: str, message_id: str, request_id: str) -> None:
    """Purge what a departed person left and write the receipt."""
    structlog.contextvars.bind_contextvars(request_id=request_id, message_id=message_id)
    tenant, message = TenantRef(UUID(tenant_id), ""), UUID(message_id)
    origin = Origin(request_id=request_id)

    async def settle(database: Database) -> bool:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            return await receipts.settle(work, message)

    async def note(database: Database) -> None:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            await outbox.fail(work, message, failure)

    failure = ""

    try:
        settled = _run(settle)
        log.info("departure settled" if settled else "departure had been settled before")
    except (SQLAlchemyError, OSError) as error:
        # The database is away or refused: the lease runs out and the relay hands the message out again.
        log.warning("departure not settled; it will be tried again", error=str(error))
    except Exception as error:
        log.exception("departure not settled; it will be tried again")
        failure = f"{type(error).__name__}: {error}"
        _run(note)
    finally:
        structlog.contextvars.clear_contextvars()


def keep_house() -> None:
    """Make the coming months' partitions and forget what has long been dealt with."""

    async def keep(database: Database) -> dict[str, int]:
        async with open_fleet(database, SYSTEM, Origin(request_id="keep house")) as fleet:
            return await housekeeping.keep(fleet)

    log.info("house kept", **_run(keep))


def _run(work: Callable[[Database], Awaitable[T]]) -> T:
    runtime = Runtime.current
    assert runtime is not None, "a task runs in a worker process, which has a runtime"
    return runtime.run(work)
