"""``/metrics``: the figures of a web process and those beside it, and what the database knows, for Prometheus.

An operator's key is asked for, because this address is where customers' providers call too. A process answers without
one at the address of its own that ``--metrics`` gives it.
"""

import asyncio

import structlog
from litestar import Response, get
from sqlalchemy.exc import SQLAlchemyError

from rollcall import metrics
from rollcall.alerts import reading
from rollcall.api.requests import AnyRequest, origin
from rollcall.api.v1.callers import OPS, actor_of
from rollcall.db import DatabaseError
from rollcall.events.lag import lag
from rollcall.metrics import OfDatabase
from rollcall.tenancy import customers, seats
from rollcall.work import open_fleet

log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds that the database may take to say what waits; figures do without it then."""


@get("/metrics", name="metrics", guards=[OPS], include_in_schema=False)
async def figures(request: AnyRequest) -> Response[bytes]:
    """All figures, and what waits."""
    text = await asyncio.to_thread(metrics.exposition, await _asked(request))
    return Response(text, media_type=metrics.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


async def _asked(request: AnyRequest) -> OfDatabase:
    """What the database says of the backlog, of seats, open alerts and payment; nothing where it did not."""
    database = request.app.state.database
    try:
        async with asyncio.timeout(PATIENCE), open_fleet(database, actor_of(request), origin(request)) as fleet:
            return OfDatabase(
                lag=await lag(fleet),
                seats=await seats.figures(fleet),
                alerts=await reading.count_open(fleet),
                payment=await customers.figures(fleet),
            )
    except (SQLAlchemyError, OSError, TimeoutError, *DatabaseError) as error:
        log.warning("figures go without what it alone knows: the database did not say", error=str(error))
        return OfDatabase()
