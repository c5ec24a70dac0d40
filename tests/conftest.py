"""The real engines, the real application, and callers chosen in a word."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from litestar import Litestar
from pydantic import SecretStr

from factories import Callers, Tenant, a_tenant, alive, in_process, make_callers
from rollcall import logging, tables
from rollcall.access.dead_tokens import DeadTokens
from rollcall.app import create_app
from rollcall.cli.embedded import Engines, prepare, running
from rollcall.crypto import new_secret_key
from rollcall.db import Connection, Database
from rollcall.journal.refusals import Refusals
from rollcall.settings import Settings
from rows import connected

# How long examples take says how busy the machine is.
hypothesis_settings.register_profile(
    "rollcall", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("rollcall")

PUBLIC_URL = "http://rollcall.test"


@pytest.fixture(scope="session", autouse=True)
def readable_logs() -> None:
    """Logs as developers read them, so that a failing test shows them."""
    logging.configure(environment="development", level="INFO")


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Generator[Engines]:
    """PostgreSQL and Valkey, real, one pair for each test process."""
    with running(Path(tmp_path_factory.mktemp("engines")), durable=False) as (postgres, valkey):
        yield asyncio.run(prepare(postgres, valkey))


@pytest.fixture(scope="session")
def settings(engines: Engines) -> Settings:
    """Settings that point at the engines, on a migrated database."""
    settings = Settings(
        database_url=SecretStr(engines.database_url),
        migration_database_url=SecretStr(engines.migration_database_url),
        redis_url=SecretStr(engines.valkey.url),
        secret_keys=(SecretStr(new_secret_key()),),
        public_url=PUBLIC_URL,
        environment="development",
    )
    asyncio.run(tables.migrate(settings))
    return settings


@pytest_asyncio.fixture(scope="session")
async def app(settings: Settings) -> AsyncGenerator[Litestar]:
    """The web process's application, started."""
    async with alive(create_app(settings)) as app:
        yield app


@pytest.fixture(autouse=True)
def no_refusals_before(request: pytest.FixtureRequest) -> None:
    """Nobody was refused before the test; those who share a key would use up what is kept one by one."""
    for name in {"app", "console_app"}.intersection(request.fixturenames):
        if not isinstance(application := request.getfixturevalue(name), Litestar):
            continue
        application.state.context.batched_entries.refusals = Refusals()
        application.state.context = replace(application.state.context, dead_tokens=DeadTokens())


@pytest.fixture(scope="session")
def database(app: Litestar) -> Database:
    """The application's own ways to PostgreSQL, as the running role."""
    return app.state.database


@pytest_asyncio.fixture(scope="session")
async def http(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody with no key at all."""
    async with httpx.AsyncClient(transport=in_process(app), base_url=PUBLIC_URL) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def callers(app: Litestar, database: Database) -> AsyncGenerator[Callers]:
    """An operator, the product, and plans to put tenants on."""
    async with make_callers(app, database, PUBLIC_URL) as callers:
        yield callers


@pytest.fixture(scope="session")
def operator(callers: Callers) -> httpx.AsyncClient:
    """Ops of the SaaS company."""
    return callers.operator


@pytest.fixture(scope="session")
def product(callers: Callers) -> httpx.AsyncClient:
    """The SaaS product itself."""
    return callers.product


@pytest_asyncio.fixture(scope="session")
async def second_app(settings: Settings) -> AsyncGenerator[Litestar]:
    """Another web process of the same installation: it shares engines with the first one and nothing else."""
    async with alive(create_app(settings)) as app:
        yield app


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant on a plan with SCIM, with the dart- rule and an admin called ada."""
    return await a_tenant(callers)


@pytest_asyncio.fixture(scope="session")
async def owner(engines: Engines, settings: Settings) -> AsyncGenerator[Connection]:
    """A connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def rival(engines: Engines) -> AsyncGenerator[Connection]:
    """Somebody else at work in the database: a second connection as the role that owns the tables."""
    async with connected(engines.migration_database_url) as connection:
        yield connection


@pytest_asyncio.fixture
async def watcher(engines: Engines) -> AsyncGenerator[Connection]:
    """A third one, which sees who waits for whom."""
    async with connected(engines.migration_database_url) as connection:
        yield connection
