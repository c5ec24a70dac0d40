"""``/health``: whether this process lives, and whether it can serve."""

import asyncio
from typing import Any

from litestar import Request, Response, get
from redis.exceptions import RedisError


@get("/health/live", name="health_live", include_in_schema=False)
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@get("/health/ready", name="health_ready", include_in_schema=False)
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """The database answers and its tables are current; a broker that is away is shown, and nothing waits for it."""
    checks = await look(request)
    able = checks["database"] == "ok"
    return Response({"status": "ready" if able else "unable", "checks": checks}, status_code=200 if able else 503)


async def look(request: Request[Any, Any, Any]) -> dict[str, str]:
    """How what this process needs is doing."""
    state = request.app.state
    try:
        async with asyncio.timeout(2):
            revision = await state.door.pool.fetchval("SELECT version_num FROM alembic_version")
        database = "ok" if revision == state.revision else f"migrations are at {revision}: run 'rollcall migrate'"
    except Exception:  # whatever keeps the database from answering, the answer is the same
        database = "away"
    try:
        async with asyncio.timeout(1):
            await state.redis.ping()
        broker = "ok"
    except (RedisError, OSError, TimeoutError):
        broker = "degraded: away; rate limits are kept locally and deliveries wait"
    return {"database": database, "broker": broker}
