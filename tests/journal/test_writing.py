"""A database that can be read and not be written: a disk that is really full, and a server that is read-only."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Litestar

from api.expect import done, refused
from architecture.databases import scratch
from factories import USER, Tenant, a_tenant, alive, deactivation, in_process, make_callers
from installations import Installation, an_installation
from rollcall import revisions, tables
from rollcall.app import create_app
from rollcall.checks import everything
from rollcall.checks.model import State
from rollcall.cli.embedded import Engines
from rollcall.db import Database, Pool
from rollcall.journal import health, writing
from rollcall.pool import HotPool
from rollcall.settings import Settings, SettingsRead
from rollcall.turns import Turns
from rows import connected

DISK = 96 * 1024 * 1024
"""Bytes of the disk that becomes full."""


@pytest.fixture
def disk(engines: Engines, tmp_path: Path) -> Generator[Path]:
    """A small disk of its own, on which PostgreSQL may write."""
    place = Path("/tmp") / f"rollcall-disk-{os.getpid()}"  # whoever PostgreSQL runs as has to reach it
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("no disk can be mounted here: it takes root's rights")
    try:
        (place / "tables").mkdir()
        owner = (engines.postgres.data_dir / "postgres").stat()
        os.chown(place / "tables", owner.st_uid, owner.st_gid)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


@asynccontextmanager
async def served(settings: Settings) -> AsyncGenerator[tuple[Litestar, Tenant, httpx.AsyncClient]]:
    """A web process on this database, a tenant, and whoever asks whether it is well."""
    async with (
        alive(create_app(settings)) as app,
        make_callers(app, app.state.database, settings.public_url) as callers,
        httpx.AsyncClient(transport=in_process(app), base_url=settings.public_url) as http,
    ):
        yield app, await a_tenant(callers), http


async def doctor(settings: Settings, expected: State) -> None:
    """Have the check say this of writing."""
    found = await everything.examine(SettingsRead(settings, {}, (), ()), revisions.known())
    assert next(each for each in found if each.name == "writes").state is expected, found


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have readiness try whenever it is asked, and wait for what comes of it, however busy the machine is."""
    monkeypatch.setattr(writing, "EVERY", 0.0)
    monkeypatch.setattr(writing, "PATIENCE", 60.0)
    monkeypatch.setattr(health, "PATIENCE", 60.0)


def fill(disk: Path) -> None:
    """Leave no page free."""
    with (disk / "filler").open("ab", buffering=0) as filler:
        for size in (65_536, 4_096):
            with suppress(OSError):
                while True:
                    filler.write(bytes(size))


async def test_a_full_disk(engines: Engines, settings: Settings, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness and doctor say that the disk is full, calls are 503 and not carried out, and room is all it takes."""
    at_once(monkeypatch)
    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"CREATE TABLESPACE tight LOCATION '{disk / 'tables'}'")
        try:
            async with scratch(engines, settings, where="tight") as there:
                await tables.migrate(there)
                async with served(there) as (_, acme, http):
                    assert (await http.get("/health/ready")).status_code == 200
                    maria = await acme.person("maria")
                    fill(disk)

                    ready = await http.get("/health/ready")
                    assert ready.status_code == 503, ready.text
                    assert ready.json()["checks"]["database"].startswith("takes no writes: its disk is full")
                    await doctor(there, State.FAILED)
                    assert await statuses_until_refused(acme) <= {201, 503}
                    done(await acme.scim.get(f"/Users/{maria['id']}"))

                    (disk / "filler").unlink()
                    assert (await http.get("/health/ready")).status_code == 200
                    await doctor(there, State.OK)
                    assert done(await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation()))["active"] is False
        finally:
            await superuser.execute("DROP TABLESPACE tight")


async def statuses_until_refused(acme: Tenant) -> set[int]:
    """Create people until there is no room for one; what is left in the pages takes a few."""
    seen: set[int] = set()
    for number in range(200):
        body = {"schemas": [USER], "userName": f"person-{number}", "title": os.urandom(2_000).hex()}
        answer = await acme.scim.post("/Users", json=body)
        seen.add(answer.status_code)
        if answer.status_code != 201:
            refused(answer, 503, None, "was not carried out")
            assert int(answer.headers["retry-after"]) > 0
            return seen
    raise AssertionError("there was room for everybody")


async def test_read_only(engines: Engines, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that has become read-only, as a standby is, is told likewise."""
    at_once(monkeypatch)
    async with an_installation(engines, settings) as there, served(there.settings) as (_, acme, http):
        maria = await acme.person("maria")
        await read_only(there, engines, on=True)
        ready = await http.get("/health/ready")
        assert ready.json()["checks"]["database"].startswith("takes no writes: it is read-only")
        left = await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
        refused(left, 503, None, "was not carried out")
        await read_only(there, engines, on=False)
        assert (await http.get("/health/ready")).status_code == 200


async def read_only(there: Installation, engines: Engines, *, on: bool) -> None:
    """Have every new connection to this database begin read-only, or not; and end those that there are."""
    name = urlsplit(there.settings.database_url.get_secret_value()).path.strip("/")
    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if on else 'off'}")
        await superuser.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'rollcall_web'",
            name,
        )
    await asyncio.sleep(0.2)


async def test_now_and_then(engines: Engines, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a process is asked, it tries once in a few seconds."""
    assert await writing.refusal_now(database.pool, patience=60) is None  # the tables are there
    tried: list[Pool] = []
    really = writing.refusal_now

    async def counted(pool: Pool, *, patience: float) -> str | None:
        tried.append(pool)
        return await really(pool, patience=patience)

    monkeypatch.setattr(writing, "refusal_now", counted)
    pool = HotPool(engines.database_url, Turns(2))  # one that nobody has asked yet
    assert await asyncio.gather(*(writing.refusal(cast("Pool", pool)) for _ in range(50))) == [None] * 50
    assert len(tried) == 1
    monkeypatch.setattr(writing, "EVERY", 0.0)
    assert await writing.refusal(cast("Pool", pool)) is None
    assert len(tried) == 2
    await pool.close()
