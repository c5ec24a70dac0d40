"""A pooler before PostgreSQL: seen, and told when it loses named statements."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from installations import Installation
from rollcall.checks.model import State
from rollcall.engines.processes import free_port

PGBOUNCER = shutil.which("pgbouncer")


@asynccontextmanager
async def pooled(installation: Installation, folder: Path, mode: str, **options: int) -> AsyncGenerator[SecretStr]:
    """The address of a PgBouncer before this database."""
    assert PGBOUNCER is not None
    server, port = urlsplit(installation.settings.database_url.get_secret_value()), free_port(None)
    (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
    lines = [
        "[databases]",
        f"pooled = host={server.hostname} port={server.port} dbname={server.path.strip('/')}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = trust",
        f"auth_file = {folder / 'users'}",
        f"pool_mode = {mode}",
        *(f"{name} = {value}" for name, value in options.items()),
    ]
    (folder / "pgbouncer.ini").write_text("\n".join(lines))
    unprivileged = ["-u", "nobody"] if os.geteuid() == 0 else []
    for each in (folder, *folder.parents):
        with suppress(PermissionError):
            if each.is_relative_to(folder.parent.parent):
                each.chmod(0o755)
    process = await asyncio.create_subprocess_exec(PGBOUNCER, "-q", *unprivileged, str(folder / "pgbouncer.ini"))
    try:
        for _ in range(100):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)
        yield SecretStr(f"postgresql://{server.username}:{server.password}@127.0.0.1:{port}/pooled")
    finally:
        process.terminate()
        await process.wait()


def keeps_statements() -> bool:
    """Whether the PgBouncer of this machine can keep named statements."""
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"(\d+)\.(\d+)", said)
    assert number is not None
    return (int(number[1]), int(number[2])) >= (1, 21)


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer on this machine")
async def test_statements_are_lost(installation: Installation, tmp_path: Path) -> None:
    """A pool by transactions that keeps no statements is told, with what to set; a pool by sessions is well."""
    options = {"max_prepared_statements": 0} if keeps_statements() else {}
    async with pooled(installation, tmp_path, "transaction", **options) as url:
        found = (await installation.ask(database_url=url))["pooler"]
    assert found.state is State.FAILED
    assert "max_prepared_statements" in (found.remedy or "")
    async with pooled(installation, tmp_path, "session") as url:
        found = (await installation.ask(database_url=url))["pooler"]
    assert (found.state, found.said) == (State.OK, "a pooler stands before PostgreSQL, and keeps named statements")


@pytest.mark.skipif(PGBOUNCER is None or not keeps_statements(), reason="there is no PgBouncer 1.21 on this machine")
async def test_statements_are_kept(installation: Installation, tmp_path: Path) -> None:
    """A pool by transactions that keeps statements is well, and so is everything else behind it."""
    async with pooled(installation, tmp_path, "transaction", max_prepared_statements=200) as url:
        found = await installation.ask(database_url=url)
    assert {name for name, each in found.items() if each.state is not State.OK} == set()


async def test_none(installation: Installation) -> None:
    """PostgreSQL itself is told from a pooler."""
    assert (await installation.ask())["pooler"].said == "no pooler stands before PostgreSQL"
