"""The embedded engines made ready: two roles and a database in PostgreSQL, a broker in Valkey, as settings."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall.engines import Postgres, Valkey, lock

DATABASE = "rollcall"
OWNER = "rollcall_owner"
RUNNER = "rollcall_web"


@dataclass(frozen=True, slots=True)
class Engines:
    """Both engines, running, and the addresses everything else is given."""

    postgres: Postgres
    valkey: Valkey
    database_url: str
    migration_database_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The addresses as the environment variables that settings are read from."""
        return {
            "ROLLCALL_DATABASE_URL": self.database_url,
            "ROLLCALL_MIGRATION_DATABASE_URL": self.migration_database_url,
            "ROLLCALL_REDIS_URL": self.valkey.url,
        }


@contextmanager
def running(data_dir: Path, *, durable: bool = True) -> Generator[tuple[Postgres, Valkey]]:
    """Start both engines on *data_dir* and stop them as the block ends; nobody else can use the folder meanwhile.

    Raises:
        EngineFailed: one of them does not start; the message says why and what to do.
        AlreadyRunning: another process holds the folder.
    """
    with lock(data_dir), started(data_dir, durable=durable) as engines:
        yield engines


@contextmanager
def started(data_dir: Path, *, durable: bool = True) -> Generator[tuple[Postgres, Valkey]]:
    """Start both engines on *data_dir*, which this process has locked, and stop them as the block ends.

    Raises:
        EngineFailed: one of them does not start; the message says why and what to do.
    """
    with Postgres(data_dir, durable=durable) as postgres, Valkey(data_dir) as valkey:
        yield postgres, valkey


async def prepare(postgres: Postgres, valkey: Valkey, *, database: str = DATABASE) -> Engines:
    """Make the roles and the database, or find them made; their passwords are new with every start."""
    connection = await cast("Any", asyncpg).connect(postgres.superuser_url)
    passwords = {OWNER: secrets.token_urlsafe(24), RUNNER: secrets.token_urlsafe(24)}
    try:
        for role, rights in ((OWNER, "CREATEROLE"), (RUNNER, "")):
            if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
                await connection.execute(f"CREATE ROLE {role} LOGIN {rights}")
            await connection.execute(f"ALTER ROLE {role} PASSWORD '{passwords[role]}'")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await connection.execute(f'CREATE DATABASE "{database}" OWNER {OWNER}')
    finally:
        await connection.close()
    return Engines(
        postgres,
        valkey,
        database_url=postgres.url(RUNNER, passwords[RUNNER], database),
        migration_database_url=postgres.url(OWNER, passwords[OWNER], database),
    )
