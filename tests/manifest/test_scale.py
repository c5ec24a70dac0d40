"""Ten thousand tenants in one file: applied by one transaction, killed in the middle and applied again, compared."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from cli.shell import environment_of
from installations import Installation, an_installation
from rollcall.cli.embedded import Engines
from rollcall.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.bound(900)]

TENANTS = 10_000
MOST_SECONDS = 240
"""That a run may take on a machine where others work too; on a quiet one it takes ten."""
MOST_CPU_SECONDS = 60
"""That the command itself may compute, however busy the machine is; on a quiet one it is eight."""

OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
PLAN = '[plans.business]\nname = "Business"\nfeatures = ["scim"]\nseats = 250\n'
ONE = """
[tenants.{slug}]
name = "Number {number}"
plan = "business"
external_id = "cus-{number}"
[[tenants.{slug}.admins]]
user_name = "ada@{slug}.test"
[[tenants.{slug}.admins]]
user_name = "ben@{slug}.test"
given_name = "Ben"
"""


@pytest_asyncio.fixture
async def installation(engines: Engines, settings: Settings) -> AsyncGenerator[Installation]:
    """An installation of its own, for others would have to list its tenants."""
    async with an_installation(engines, settings) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ten thousand tenants with two admins each."""
    path = tmp_path / "tenants.toml"
    tables = (ONE.format(slug=f"tenant-{number:05}", number=number) for number in range(TENANTS))
    path.write_text(PLAN + "".join(tables))
    return path


async def started(installation: Installation, *words: str) -> asyncio.subprocess.Process:
    """A command, as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "rollcall", "tenants", *words),
        env=os.environ | environment_of(installation.settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> str:
    """What a command prints that goes well, in time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    async with asyncio.timeout(MOST_SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err[-2_000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert computed < MOST_CPU_SECONDS
    return out.decode()


async def hear(process: asyncio.subprocess.Process, words: str) -> None:
    """Wait until a command says how far it is."""
    assert process.stderr is not None
    async with asyncio.timeout(MOST_SECONDS):
        async for line in process.stderr:
            if words in line.decode():
                return
    raise AssertionError(f"it ended without saying {words}")


async def test_applied_killed_and_applied_again(installation: Installation, file: Path) -> None:
    """A run that is killed has changed nothing, the next one makes everything, and one after that changes nothing."""
    owner, rival = (
        installation.owner,
        "INSERT INTO tenants (slug, name, plan, role_rule) VALUES ($1, 'R', 'free', '{}')",
    )
    await owner.execute("INSERT INTO plans (key, name, features) VALUES ('free', 'Free', '{}')")
    async with owner.transaction():  # another run makes one of them at this moment, and it waits
        await owner.execute(rival, f"tenant-{TENANTS // 2:05}")
        process = await started(installation, "apply", str(file), "--yes")
        await hear(process, f"applied {TENANTS // 2:,} of {TENANTS:,} tenants")
        await owner.execute("SELECT FROM plans FOR NO KEY UPDATE NOWAIT")
        process.kill()
        await process.wait()
        await owner.execute("DELETE FROM tenants")
    assert process.returncode in (-signal.SIGKILL, 1)
    async with asyncio.timeout(MOST_SECONDS):
        while await owner.fetchval(OTHERS):  # PostgreSQL notices that whoever it worked for is gone
            await asyncio.sleep(0.1)
    assert await owner.fetchval("SELECT count(*) FROM tenants") == 0

    said = await ended(await started(installation, "apply", str(file), "--yes"))
    assert said.endswith(f"{3 * TENANTS + 1:,} changes made.\n")
    assert await owner.fetchval("SELECT count(*) FROM tenants WHERE plan = 'business'") == TENANTS
    admins = (
        "SELECT count(*) FROM (SELECT FROM accounts WHERE active AND is_admin GROUP BY tenant_id HAVING count(*) = 2)"
    )
    assert await owner.fetchval(admins) == TENANTS
    entries = await owner.fetchval("SELECT count(*) FROM audit_entries")
    assert entries >= 3 * TENANTS + 1

    assert await ended(await started(installation, "apply", str(file), "--yes")) == "Nothing to change.\n"
    assert await owner.fetchval("SELECT count(*) FROM audit_entries") == entries

    written = file.with_name("written.toml")
    await ended(await started(installation, "export", "--output", str(written)))
    assert await ended(await started(installation, "apply", str(written), "--yes")) == "Nothing to change.\n"
