"""What is answered when the database goes away, refuses or has no room: 503 everywhere, and what became of the call."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from api.expect import done, refused, turned_down, turned_down_by_oauth
from api.scim.test_bulk import bulk, change, person, statuses, title
from factories import Tenant, a_tenant, alive, deactivation, in_process, make_callers
from installations import an_installation
from rollcall import db
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.db import Database
from rollcall.pool import HotPool
from rollcall.settings import Settings
from rollcall.turns import Turns
from rows import connected, until_waiting

TERMINATE = "pg_terminate_backend"
CANCEL = "pg_cancel_backend"

NOT_DONE = "was not carried out"
PERHAPS_DONE = "may have been carried out"

REFUSALS = {
    "08006": True,
    "57P01": True,
    "57P02": True,
    "53100": False,
    "53200": False,
    "53300": False,
    "57014": False,
    "55P03": False,
    "40P01": False,
    "40001": False,
    "25006": False,
    "58030": False,
}
"""What a server says when it can't, and whether the statement may have been carried out all the same."""


@asynccontextmanager
async def ended_in_the_middle(engines: Engines, how: str, waiting: Callable[[], Awaitable[Any]]) -> AsyncGenerator[Any]:
    """The answer to a call whose statement waits for the lock of somebody's account, and is ended there."""
    url = engines.postgres.superuser_url.removesuffix("/postgres") + "/rollcall"
    async with connected(url) as holder, connected(url) as watcher:
        async with holder.transaction():
            await holder.execute("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE")
            call = asyncio.ensure_future(waiting())
            await until_waiting(watcher, call)
            await watcher.fetch(f"SELECT {how}(pid) FROM pg_locks WHERE NOT granted")
            answer = await call
        yield answer


@pytest.mark.parametrize(("how", "said"), [(TERMINATE, PERHAPS_DONE), (CANCEL, NOT_DONE)])
async def test_scim(acme: Tenant, engines: Engines, how: str, said: str) -> None:
    """A departure whose connection is lost may have been carried out; one that is cancelled was not. Both go again."""
    maria = await acme.person("maria")

    async def leave() -> httpx.Response:
        return await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())

    async with ended_in_the_middle(engines, how, leave) as answer:
        refused(answer, 503, None, said)
        assert int(answer.headers["retry-after"]) > 0
        assert done(await leave())["active"] is False


@pytest.mark.parametrize(("how", "said"), [(TERMINATE, "may have been done or not"), (CANCEL, "nothing was done")])
async def test_management(acme: Tenant, engines: Engines, how: str, said: str) -> None:
    """The same for the management API."""
    maria = await acme.person("maria")

    async def leave() -> httpx.Response:
        return await acme.callers.operator.post(f"{acme.v1}/people/{maria['id']}/deactivate", json={})

    async with ended_in_the_middle(engines, how, leave) as answer:
        turned_down(answer, 503, "unavailable", said)
        assert int(answer.headers["retry-after"]) > 0
        assert (await leave()).status_code == 200


@pytest.mark.parametrize(("how", "said"), [(TERMINATE, PERHAPS_DONE), (CANCEL, NOT_DONE)])
async def test_bulk(acme: Tenant, engines: Engines, how: str, said: str) -> None:
    """Each operation says what became of it, and those behind the one that failed are not begun."""
    maria, first = await acme.person("maria"), change(f"/Users/{(await acme.person('otto'))['id']}", title("Dr"))
    second = change(f"/Users/{maria['id']}", {"op": "replace", "path": "active", "value": False})
    await acme.person("warm")

    async def send() -> httpx.Response:
        return await acme.scim.post("/Bulk", json=bulk(first, second, person("new"), person("newer")))

    async with ended_in_the_middle(engines, how, send) as answer:
        found = done(answer)["Operations"]
        failed = statuses(found).index("503")
        assert statuses(found) == ["200"] * failed + ["503"] * (4 - failed)
        assert said in found[failed]["response"]["detail"]
        assert all("was not begun" in each["response"]["detail"] for each in found[failed + 1 :])
        assert statuses(done(await send())["Operations"]) == ["200", "200", "201", "201"]


@pytest.mark.parametrize(("state", "perhaps"), REFUSALS.items())
async def test_what_a_server_says(engines: Engines, database: Database, state: str, perhaps: bool) -> None:
    """Each of a server's refusals is known by both drivers."""
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
    for error in (await raised(database.pool.fetchval(raising)), await raised(management(database, raising))):
        assert (db.is_away(error), db.may_be_done(error)) == (True, perhaps), error


async def test_too_slow(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes too long may be carried out; a connection that takes too long has asked nothing."""
    monkeypatch.setattr("rollcall.pool.LONGEST_STATEMENT", 0.2)
    pool = HotPool(engines.database_url, Turns(1))
    slow = await raised(pool.fetchval("SELECT pg_sleep(5)"))
    await pool.close()
    assert (db.is_away(slow), db.may_be_done(slow)) == (True, True)

    monkeypatch.setattr("rollcall.pool.LONGEST_CONNECTING", 0.2)
    async with silent_server() as url:
        silent = await raised(HotPool(url, Turns(1)).fetchval("SELECT 1"))
    assert (db.is_away(silent), db.may_be_done(silent)) == (True, False)


async def test_nobody_is_let_in(engines: Engines, settings: Settings) -> None:
    """A server that takes no more connections: every surface says so in its own words, and recovers by itself."""
    async with an_installation(engines, settings) as there, connected(engines.postgres.superuser_url) as superuser:
        name = urlsplit(there.settings.database_url.get_secret_value()).path.strip("/")
        async with alive(create_app(there.settings)) as app:
            url = there.settings.public_url
            async with (
                make_callers(app, app.state.database, url) as callers,
                httpx.AsyncClient(transport=in_process(app), base_url=url) as anybody,
            ):
                acme = await a_tenant(callers)
                session = await acme.session(acme.admin)
                await superuser.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
                await superuser.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = $1 AND usename = 'rollcall_web'",
                    name,
                )
                await asyncio.sleep(0.2)
                refused(await acme.scim.post("/Users", json={"userName": "new"}), 503, None, NOT_DONE)
                turned_down(await callers.operator.get("/v1/tenants"), 503, "unavailable", "nothing was done")
                asked = await callers.product.post("/oauth/introspect", data={"token": acme.token["token"]})
                turned_down_by_oauth(asked, 503, "temporarily_unavailable", "nothing was done")
                page = await anybody.get("/console/account", headers={"Cookie": f"rollcall-session={session}"})
                assert (page.status_code, page.headers["retry-after"]) == (503, "5"), page.text
                assert "nothing was done" in page.text
                await superuser.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
                done(await acme.scim.post("/Users", json={"userName": "new"}), 201)


async def raised(asked: Awaitable[object]) -> BaseException:
    """What it ends in."""
    try:
        await asked
    except Exception as error:
        return error
    raise AssertionError("it was answered")


async def management(database: Database, statement: str) -> None:
    """Run a statement as management work does."""
    async with database.sessions() as session:
        await session.execute(text(statement))


@asynccontextmanager
async def silent_server() -> AsyncGenerator[str]:
    """The address of somebody who lets others connect, and says nothing."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://nobody@127.0.0.1:{port}/nothing?sslmode=disable"
