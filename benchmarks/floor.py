"""The floors: the least that a request with one statement can cost on the same server, loop, pool and machine."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath

from rollcall import db
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
    row = await request.app.state.pool.fetchrow("SELECT body FROM things WHERE id = $1", UUID(thing_id))
    return Response(row["body"].encode(), media_type="application/json")


@post("/things", status_code=201)
async def write_thing(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Floor W: one insert, committed, answered as bytes."""
    body = await request.body()
    await request.app.state.pool.fetchrow("INSERT INTO things (body) VALUES ($1) RETURNING id", body.decode())
    return Response(body, media_type="application/json")


def web() -> Litestar:
    """The floor's application, as the server loads it."""

    @asynccontextmanager
    async def pool(app: Litestar) -> AsyncGenerator[None]:
        database = await db.connect(read_settings())
        app.state.pool = database.pool
        yield
        await database.close()

    return Litestar([live, read_thing, write_thing], lifespan=[pool], openapi_config=None, logging_config=None)


def serve(port: int) -> None:
    """Serve the floors as ``rollcall serve`` serves Rollcall."""
    Granian(
        "benchmarks.floor:web",
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
