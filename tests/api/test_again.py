"""A call of the management API that is a deadlock's victim is done again, with the body that it came with."""

import asyncio
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
from litestar.types import Receive, Scope, Send

from factories import Callers, a_tenant
from rollcall.api import again
from rollcall.db import Connection
from rollcall.retries import TRIES
from rows import until_waiting


async def test_a_deadlock(callers: Callers, owner: Connection, rival: Connection) -> None:
    """Somebody takes the token before its owner, which nothing of ours does; the rotation is undone and done again."""
    tenant = await a_tenant(callers)
    await rival.execute("BEGIN")
    await rival.execute("SELECT FROM tokens WHERE tenant_id = $1 FOR UPDATE", UUID(tenant.id))
    rotation = asyncio.create_task(
        callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/rotate", json={"overlap_seconds": 60})
    )
    await until_waiting(owner, rotation)
    with suppress(asyncpg.DeadlockDetectedError):  # where the machine is so slow that this one is found out first
        await rival.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", UUID(tenant.admin["id"]))
    await rival.execute("ROLLBACK")
    assert (await rotation).status_code == 201
    assert len((await callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]) == 2


@pytest.mark.parametrize("crossed", [0, 1, TRIES - 1, TRIES])
async def test_as_often_as_need_be(crossed: int) -> None:
    """Each try has the whole body, as much as it wants of it; only the last one is heard, and says where it was."""
    pieces = [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.request", "body": b"c"}]
    bodies: list[bytes] = []
    sent: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        state = cast("dict[str, object]", scope["state"])
        assert "crossed" not in state
        scope["path_template"] = "/v1/x"
        wanted = 1 if not bodies else 2  # the first try breaks off in the middle
        bodies.append(b"".join([cast("Any", await receive())["body"] for _ in range(wanted)]))
        status = 200
        if len(bodies) <= crossed:
            error = asyncpg.DeadlockDetectedError()
            await again.note_crossed(error, scope)
            status = 503
        await send(cast("Any", {"type": "http.response.start", "status": status, "headers": []}))
        await send(cast("Any", {"type": "http.response.body", "body": b"x"}))

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = cast("Scope", {"type": "http", "method": "POST", "path": "/v1/x", "state": {}})
    await again.again_where_crossed(app)(scope, cast("Receive", receive), cast("Send", send))
    assert bodies == [b"ab", *[b"abc"] * min(crossed, TRIES - 1)]
    assert [message.get("status") for message in sent] == [200 if crossed < TRIES else 503, None]
    assert scope["path_template"] == "/v1/x"


async def test_what_is_read_or_said_by_a_provider() -> None:
    """Reads begin nothing, and a provider's changes are tried again where they are made: neither is done again here."""
    for method, path in (("GET", "/v1/x"), ("POST", "/scim/v2/Users"), ("POST", "/oauth/introspect")):
        given: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send, given: list[object] = given) -> None:
            given.extend((scope, receive, send))

        scope = cast("Scope", {"type": "http", "method": method, "path": path, "state": {}})
        receive, send = cast("Receive", object()), cast("Send", object())
        await again.again_where_crossed(app)(scope, receive, send)
        assert given == [scope, receive, send]
