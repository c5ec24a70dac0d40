"""Installations of a test's own: a database beside the others', another part of the broker, nobody running."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from architecture.databases import owners_url, scratch
from rollcall import broker, revisions, tables
from rollcall.broker import BEAT, QUEUES, RELAY
from rollcall.checks import everything
from rollcall.checks.model import Check
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.settings import Settings, SettingsRead
from rollcall.worker.heartbeats import say_alive
from rows import connected

EVERYBODY = (RELAY, BEAT, *QUEUES)


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation to ask questions about."""

    settings: Settings
    owner: Connection
    redis: Any

    async def ask(self, **other: Any) -> dict[str, Check]:
        """What all questions come to, with settings that differ."""
        settings = self.settings.model_copy(update=other)
        found = await everything.examine(SettingsRead(settings, {}, (), ()), revisions.known())
        assert len({each.name for each in found}) == len(found)
        return {each.name: each for each in found}

    def alive(self, *names: str) -> None:
        """Have processes say that they live, and no others."""
        self.redis.delete(*map(broker.heartbeat, EVERYBODY), broker.UNBELIEVED)
        say_alive(self.redis, names, seconds=600)


@asynccontextmanager
async def an_installation(engines: Engines, settings: Settings) -> AsyncGenerator[Installation]:
    """An installation in which all is well."""
    part = SecretStr(f"{engines.valkey.url.rpartition('/')[0]}/7")
    async with scratch(engines, settings.model_copy(update={"redis_url": part})) as there:
        await tables.migrate(there)
        redis = broker.connect_blocking(there)
        async with connected(owners_url(there)) as owner:
            installation = Installation(there, owner, redis)
            installation.alive(*EVERYBODY)
            yield installation
        await asyncio.to_thread(redis.close)
