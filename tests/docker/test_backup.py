"""The backup and the restore that docs/docker.md describes, by its own commands, on a PostgreSQL of their own."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from docker.composed import ROOT
from rollcall.cli.embedded import Engines, prepare, running
from rollcall.crypto import new_secret_key
from rollcall.engines import programs
from rollcall.engines.processes import account_for


def documented(program: str, engines: Engines) -> list[str]:
    """The command that the documentation gives for *program*, asking the server of the test."""
    text = (ROOT / "docs" / "docker.md").read_text()
    said = re.search(rf"exec -T postgres {program} -U postgres (.*?) [<>] rollcall\.dump", text)
    assert said is not None
    server = engines.postgres.superuser_url.rpartition("/")[0]
    named = [re.sub(r"^(?:--dbname=)?(\w+)$", rf"--dbname={server}/\1", word) for word in said[1].split()]
    return [str(programs.postgres(account_for(engines.postgres.data_dir)) / program), *named]


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """A dump restored into an empty, migrated installation has everything, and commands go on with it."""
    key = new_secret_key()
    dump = b""
    for place in ("lost", "new"):
        with running(tmp_path / place, durable=False) as (postgres, valkey):
            engines = asyncio.run(prepare(postgres, valkey))
            environment = {"PATH": os.environ["PATH"], **engines.environment, "ROLLCALL_SECRET_KEYS": key}
            rollcall(environment, "migrate")
            if place == "lost":
                rollcall(environment, "tenants", "apply", str(ROOT / "tenants.example.toml"))
                dump = run(*documented("pg_dump", engines))
            else:
                run(*documented("pg_restore", engines), given=dump)
                assert "juniper" in rollcall(environment, "tenants", "list")
                rollcall(environment, "migrate")
                rollcall(environment, "keys", "issue", "operator", "--label", "after the restore")
                rollcall(environment, "secret", "reseal")


def rollcall(environment: dict[str, str], *arguments: str) -> str:
    """What a command prints."""
    return run(sys.executable, "-m", "rollcall", *arguments, environment=environment).decode()


def run(*command: str, given: bytes = b"", environment: dict[str, str] | None = None) -> bytes:
    """What a program writes; it has to end well."""
    done = subprocess.run(command, input=given, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
