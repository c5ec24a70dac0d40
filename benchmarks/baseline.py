"""The baselines, called floors: what a request with a single statement costs on the same server, loop and machine.

Their pool is asyncpg's as it comes. Rollcall's own differs from it (see `rollcall.db`), so that the same read through
Rollcall's pool is there too: measured against it, everything looks worse.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath

from rollcall import db
from rollcall.db import Pool
from rollcall.settings import read_settings

DATABASE = "floor"
TABLE = """
CREATE TABLE things (id uuid PRIMARY KEY DEFAULT uuidv7(), body text NOT NULL);
"""


@get("/live")
async def live() -> bytes:
    """The floor is there; only asked for before anything is measured."""
    return b"{}"


@get("/things/{thing_id:str}")
async def read_thing(request: Request[Any, Any, Any], thing_id: FromPath[str]) -> Response[bytes]:
    """Floor R: one look-up by primary key, answered as bytes."""
    return await _read(request.app.state.pool, thing_id)


@get("/fast-things/{thing_id:str}")
async def read_thing_fast(request: Request[Any, Any, Any], thing_id: FromPath[str]) -> Response[bytes]:
    """The same through the pool that Rollcall uses."""
    return await _read(request.app.state.rollcall_pool, thing_id)


async def _read(pool: Pool, thing_id: str) -> Response[bytes]:
    body = await pool.fetchval("SELECT body FROM things WHERE id = $1", UUID(thing_id))
    return Response(body.encode(), media_type="application/json")


@post("/things", status_code=201)
async def write_thing(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Floor W: one insert, committed, answered as bytes."""
    body = await request.body()
    await request.app.state.pool.fetchrow("INSERT INTO things (body) VALUES ($1) RETURNING id", body.decode())
    return Response(body, media_type="application/json")


def web() -> Litestar:
    """The floor's application, as the server loads it."""

    @asynccontextmanager
    async def pools(app: Litestar) -> AsyncGenerator[None]:
        settings = read_settings()
        database = await db.connect(settings)
        pool: Any = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            settings.database_url.get_secret_value(), min_size=1, max_size=settings.database_pool_size
        )
        app.state.rollcall_pool = database.pool
        app.state.pool = pool
        yield
        await pool.close()
        await database.close()

    routes = [live, read_thing, read_thing_fast, write_thing]
    return Litestar(routes, lifespan=[pools], openapi_config=None, logging_config=None)


def serve(port: int) -> None:
    """Serve the floors as ``rollcall serve`` serves Rollcall."""
    Granian(
        "benchmarks.baseline:web",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        workers=1,
        loop=Loops.uvloop,
        factory=True,
        websockets=False,
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    ).serve()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
