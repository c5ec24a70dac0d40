"""``rollcall doctor`` on processes that really run: who lives is known, and who is killed is missed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cli.shell import rollcall
from installations import Installation
from rollcall.settings import Settings

PROCESSES = {
    "relay": ["relay"],
    "worker": ["worker"],
    "delivery": ["worker", "--queues", "delivery,delivery-slow", "--concurrency", "2"],
    "beat": ["beat"],
}


@contextmanager
def running(settings: Settings, folder: Path, words: list[str]) -> Generator["subprocess.Popen[bytes]"]:
    """A process of the installation."""
    environment = os.environ | {
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": settings.secret_keys[0].get_secret_value(),
    }
    command = [sys.executable, "-m", "rollcall", *words]
    with (folder / f"{words[0]}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def asked(settings: Settings) -> tuple[int, dict[str, Any]]:
    """What the command says in JSON."""
    said = await asyncio.to_thread(rollcall, settings, "doctor", "--json")
    assert not said.stderr
    return said.returncode, {each["name"]: each for each in json.loads(said.stdout)["checks"]}


async def until(settings: Settings, wanted: dict[str, str]) -> dict[str, Any]:
    """Ask again until these answers are as wanted, for two minutes at most."""
    found: dict[str, Any] = {}
    for _ in range(60):
        code, found = await asked(settings)
        if {name: found[name]["state"] for name in wanted} == wanted:
            assert code == (1 if "failed" in {each["state"] for each in found.values()} else 0)
            return found
        await asyncio.sleep(1)
    pytest.fail(f"waited two minutes for {wanted}; found {found}")


@pytest.mark.slow
async def test_who_lives(installation: Installation, tmp_path: Path) -> None:
    """Relay, both workers and beat are known to live; a worker that is killed is missed, by its queues."""
    installation.alive()
    settings = installation.settings
    with ExitStack() as stack:
        started = {name: stack.enter_context(running(settings, tmp_path, words)) for name, words in PROCESSES.items()}
        await until(settings, {"relay": "ok", "workers": "ok", "beat": "ok", "backlog": "ok"})
        started["delivery"].kill()
        found = await until(settings, {"relay": "ok", "workers": "failed", "beat": "ok"})
        assert found["workers"]["said"] == "no worker takes from delivery, delivery-slow"


async def test_in_words(installation: Installation) -> None:
    """For people each answer is a line, and advice stands only under what is wrong; nothing ends in a traceback."""
    said = await asyncio.to_thread(rollcall, installation.settings, "doctor")
    assert (said.returncode, said.stderr) == (0, "")
    assert "ok       postgresql: PostgreSQL is 18" in said.stdout.splitlines()
    assert "→" not in said.stdout

    nowhere = SecretStr("redis://127.0.0.1:1/0")
    said = await asyncio.to_thread(rollcall, installation.settings.model_copy(update={"redis_url": nowhere}), "doctor")
    assert (said.returncode, said.stderr) == (1, "")
    assert said.stdout.count("→") == 1
    assert "unknown  relay: can't be told while the broker is away" in said.stdout.splitlines()
