"""Two versions at work on one database, while processes are replaced one by one: nobody who calls notices."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest

import rollcall
from architecture.databases import owners_url
from cli.processes import Running
from cli.processes import rollcall as started
from factories import USER, a_tenant, alive, deactivation, in_process, make_callers
from installations import Installation, an_installation
from journeys.conftest import eventually
from rollcall import functions
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.engines.processes import free_port
from rollcall.settings import Settings, migrations_folder

pytestmark = pytest.mark.slow

WARNING = "-- This version says the same in other words.\n"


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The source of a newer version, whose functions have another text; what goes on PYTHONPATH."""
    source = tmp_path / "newer" / "src"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(rollcall.__file__).parent, source / "rollcall", ignore=ignored)
    shutil.copytree(migrations_folder(), source.parent / "migrations", ignore=ignored)
    text = source / "rollcall" / "search" / "sql" / "folded.sql"
    text.write_text(WARNING + text.read_text())
    return source


def environment(there: Installation) -> dict[str, str]:
    """What the processes of an installation are given."""
    settings = there.settings
    return {
        "ROLLCALL_ENVIRONMENT": "development",
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_MIGRATION_DATABASE_URL": owners_url(settings),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": settings.secret_keys[0].get_secret_value(),
    }


@asynccontextmanager
async def calling(port: int, token: str, statuses: dict[str, list[int]]) -> AsyncGenerator[None]:
    """A provider that takes people in, reads them and has them leave, without a pause."""
    over = asyncio.Event()

    async def call() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/scim/v2", headers=headers) as http:
            for number in count():
                if over.is_set():
                    return
                name = f"{port}-{id(http)}-{number}"
                made = await http.post("/Users", json={"schemas": [USER], "userName": name})
                statuses["created"].append(made.status_code)
                address = f"/Users/{made.json().get('id')}"
                statuses["read"].append((await http.get(address)).status_code)
                statuses["left"].append((await http.patch(address, json=deactivation())).status_code)

    callers = [asyncio.create_task(call()) for _ in range(3)]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*callers)


def is_ready(port: int) -> int | None:
    """The status of readiness, or None while nobody listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code
    except httpx.TransportError:
        return None


async def ready(port: int, process: Running) -> None:
    """Wait until a server serves."""

    def served() -> bool:
        assert process.process.poll() is None, process.output.read_text()
        return is_ready(port) == 200

    await asyncio.to_thread(eventually, served, within=60)


def said_by(output: Path, surroundings: Mapping[str, str], *arguments: str) -> str:
    """What a command says that ends well."""
    with started(output, surroundings, *arguments) as command:
        assert command.process.wait(60) == 0, output.read_text()
    return output.read_text()


async def run(output: Path, surroundings: Mapping[str, str], *arguments: str) -> str:
    """The same, while others are served."""
    return await asyncio.to_thread(said_by, output, surroundings, *arguments)


async def test_one_process_after_the_other(engines: Engines, settings: Settings, newer: Path, tmp_path: Path) -> None:
    """While a newer version migrates, starts beside the old one and takes over, not one call fails.

    The old version's functions stay for as long as somebody uses them, and are removed a day after.
    """
    old_port, new_port = free_port(None), free_port(None)
    statuses: dict[str, list[int]] = {"created": [], "read": [], "left": []}
    async with an_installation(engines, settings) as there:
        async with alive(create_app(there.settings)) as app:
            async with make_callers(app, app.state.database, settings.public_url) as callers:
                token = (await a_tenant(callers)).token["token"]
            async with httpx.AsyncClient(transport=in_process(app), base_url=settings.public_url) as http:
                assert (await http.get("/health/ready")).status_code == 200
        old = environment(there)
        new = old | {"PYTHONPATH": str(newer)}
        with started(tmp_path / "old", old, "serve", "--port", str(old_port)) as serving:
            await ready(old_port, serving)
            async with calling(old_port, token, statuses):
                await asyncio.sleep(0.5)
                await run(tmp_path / "migrated", new, "migrate")
                schemas = await there.owner.fetch("SELECT name FROM function_schemas")
                assert len(schemas) == 2
                with started(tmp_path / "new", new, "serve", "--port", str(new_port)) as taking_over:
                    await ready(new_port, taking_over)
                    async with calling(new_port, token, statuses):
                        await asyncio.sleep(0.5)
                    assert is_ready(old_port) == 200
                    assert "were removed" not in await run(tmp_path / "kept", new, "migrate", "--prune")
        assert len(statuses["left"]) > 20
        assert {name: set(seen) for name, seen in statuses.items()} == {"created": {201}, "read": {200}, "left": {200}}

        await there.owner.execute("UPDATE function_schemas SET reported_at = now() - interval '25 hours'")
        said = await run(tmp_path / "pruned", new, "migrate", "--prune")
        assert f"The functions {functions.schema()}, which no process uses, were removed." in said
        assert await there.owner.fetchval("SELECT to_regnamespace($1) IS NULL", functions.schema())
        (left,) = await there.owner.fetch("SELECT name FROM function_schemas")
        assert left["name"] != functions.schema()
