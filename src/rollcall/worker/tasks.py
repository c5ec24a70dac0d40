"""Celery's tasks: each opens its work, calls a domain function, and is done. All of them may run twice."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollcall import metrics
from rollcall.db import Database, DatabaseError
from rollcall.events import delivering, departure_receipts
from rollcall.events import housekeeping as events_housekeeping
from rollcall.events.delivering import DeliveryContext, Tally
from rollcall.journal import housekeeping, outbox
from rollcall.work import SYSTEM, Origin, TenantRef, open_fleet, open_work
from rollcall.worker.runtime import Runtime

log = structlog.get_logger(__name__)

_AWAY = (SQLAlchemyError, OSError, *DatabaseError)
"""What is raised while the database is away, or when it refuses."""

SETTLE_DEPARTURES = "rollcall.settle_departures"
DELIVER = "rollcall.deliver"
KEEP_HOUSE = "rollcall.keep_house"

LISTENERS = {"user.deactivated": SETTLE_DEPARTURES}
"""Which task hears of which event; what nobody listens to is done as soon as it has been fanned out."""


def register(app: Any) -> None:
    """Make the tasks known to *app*."""
    app.task(name=SETTLE_DEPARTURES)(settle_departures)
    app.task(name=DELIVER)(deliver)
    app.task(name=KEEP_HOUSE)(keep_house)


def settle_departures(tenant_id: str, departures: Sequence[tuple[str, str]]) -> None:
    """Purge what departed people of a tenant left, and write their receipts.

    Each departure is given by its message and the request it came from. They are settled together; when that does not
    work, each by itself, so that one that can't be settled holds up no other.
    """
    tenant = TenantRef(UUID(tenant_id), "")
    try:
        _settle(tenant, departures)
    except Exception:
        log.warning("departures not settled together; each is tried by itself", exc_info=True)
        with suppress(*_AWAY):  # then the leases run out, and the relay hands the messages out again
            for each in departures:
                _settle_alone(tenant, each)


def _settle(tenant: TenantRef, departures: Sequence[tuple[str, str]]) -> None:
    origin = Origin(request_id=departures[-1][1])

    async def settle(database: Database) -> Sequence[UUID]:
        async with open_work(database, tenant, SYSTEM, origin) as work:
            return await departure_receipts.settle(
                work, [UUID(message) for message, _ in departures], runtime().signing
            )

    settled = {str(message) for message in runtime().run(settle)}
    for message, request_id in departures:
        said = "departure settled" if message in settled else "departure had been settled before"
        log.info(said, request_id=request_id, message_id=message)


def _settle_alone(tenant: TenantRef, departure: tuple[str, str]) -> None:
    message, request_id = departure

    async def note(database: Database) -> None:
        async with open_work(database, tenant, SYSTEM, Origin(request_id=request_id)) as work:
            await outbox.fail(work, UUID(message), failure)

    try:
        _settle(tenant, [departure])
    except Exception as error:
        log.warning(
            "departure not settled; it will be retried", request_id=request_id, message_id=message, exc_info=True
        )
        failure = f"{type(error).__name__}: {error}"
        runtime().run(note)


def deliver(owner_id: str, destination_id: str) -> None:
    """Deliver what is due for one destination."""
    structlog.contextvars.bind_contextvars(destination_id=destination_id)

    async def work(context: DeliveryContext) -> Tally:
        return await delivering.deliver(context, UUID(owner_id), UUID(destination_id))

    try:
        told = asdict(runtime().deliver(work))
        for outcome, number in told.items():
            metrics.figures().deliveries.labels(outcome).inc(number)
        log.info("delivered", **told)
    except _AWAY as error:
        # The lease runs out, and the relay hands the destination out again.
        log.warning("not delivered; it will be retried", error=str(error))
    finally:
        structlog.contextvars.clear_contextvars()


def keep_house() -> None:
    """Make the coming months' partitions, delete what is past its retention, complete receipts left open."""

    async def keep(database: Database) -> dict[str, int]:
        async with open_fleet(database, SYSTEM, Origin(request_id="keep house")) as fleet:
            kept = await housekeeping.keep(fleet)
            kept |= await events_housekeeping.keep(fleet)
        return kept | {"receipts_completed": await events_housekeeping.complete_receipts(database, runtime().signing)}

    log.info("house kept", **runtime().run(keep))


def runtime() -> Runtime:
    """The runtime of this process."""
    current = Runtime.current
    assert current is not None, "a task runs in a worker process, which has a runtime"
    return current
