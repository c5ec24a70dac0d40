"""``/health``: whether this process lives, and whether it can serve."""

from typing import Any, assert_never

from litestar import Request, Response, get

from rollcall.journal import health
from rollcall.journal.health import DatabaseState, Health


@get("/health/live", name="health_live", include_in_schema=False)
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@get("/health/ready", name="health_ready", include_in_schema=False)
async def ready(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """The database answers, takes writes and has current tables.

    A broker that is away and housekeeping that was not done are shown, and nothing waits for either.
    """
    state = request.app.state
    found = await health.look(state.database.access_pool, state.redis, state.revisions)
    checks = {"database": _database(found), "broker": _broker(found), "housekeeping": _housekeeping(found)}
    body = {"status": "ready" if found.able else "unable", "checks": checks}
    return Response(body, status_code=200 if found.able else 503)


def _database(found: Health) -> str:
    match found.database:
        case DatabaseState.OK:
            return "ok"
        case DatabaseState.BEHIND:
            return f"migrations are at {found.revision}, without this version's functions: run 'rollcall migrate'"
        case DatabaseState.EDITED:
            return f"made by an unreleased version, whose {found.revision} was another: run 'rollcall migrate --check'"
        case DatabaseState.UNWRITABLE:
            return f"takes no writes: {found.because}"
        case DatabaseState.AWAY:
            return "away"
        case _:
            assert_never(found.database)


def _broker(found: Health) -> str:
    return "ok" if found.broker else "degraded: away; rate limits are kept locally and deliveries wait"


def _housekeeping(found: Health) -> str:
    """What was not done regularly."""
    if not found.able:
        return "unknown until the database is well"
    if not found.late:
        return "ok"
    parts = ", ".join(each.part for each in found.late)
    return f"degraded: {parts} not done for hours; see that beat and a worker run, and 'rollcall doctor'"
