"""All questions about an installation, in the order in which one failure explains another."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from redis.asyncio import Redis

from rollcall import broker, db
from rollcall.checks import (
    backlog,
    configuration,
    database,
    housekeeping,
    keys,
    lapses,
    payment,
    processes,
    role_changes,
)
from rollcall.checks.asking import AWAY, SECONDS, Grounds, ask, reason, unasked
from rollcall.checks.model import Check, State, failed, ok
from rollcall.journal.health import Revisions
from rollcall.settings import Settings, SettingsRead

DATABASE = "database"

OF_THE_BROKER: Mapping[str, Callable[[Redis], Awaitable[Check]]] = {
    processes.RELAYS: processes.relay,
    processes.WORKERS: processes.workers,
    processes.BEATS: processes.beat,
    processes.PROXIES: processes.proxies,
}
OF_THE_DATABASE: Mapping[str, Callable[[Grounds], Awaitable[Check]]] = {
    database.VERSION: database.version,
    database.POOLER: database.pooler,
    database.CLOCK: database.clock,
    database.TABLES: database.tables,
    database.ROLE: database.role,
}
OF_THE_TABLES: Mapping[str, Callable[[Grounds], Awaitable[Check]]] = {
    database.WRITES: database.writes,
    database.PARTITIONS: database.partitions,
    housekeeping.HOUSEKEEPING: housekeeping.housekeeping,
    backlog.BACKLOG: backlog.backlog,
    keys.KEYS: keys.keys,
    lapses.LAPSES: lapses.lapses,
    role_changes.ROLE_CHANGES: role_changes.role_changes,
    payment.PAYMENT: payment.payment,
}


async def examine(reading: SettingsRead, revisions: Revisions) -> list[Check]:
    """Ask everything; a failure keeps no other question from being asked but those that hang on it."""
    found = configuration.readable(reading)
    if reading.settings is None:
        names = [DATABASE, *OF_THE_DATABASE, *OF_THE_TABLES, processes.BROKER, *OF_THE_BROKER]
        return [*found, *unasked(names, "until the settings are right")]
    found += configuration.fit(reading.settings)
    redis = broker.connect(reading.settings, patience=2)
    try:
        found += await _of_the_database(reading.settings, redis, revisions)
        return [*found, *await of_the_broker(redis)]
    finally:
        await redis.aclose()


async def _of_the_database(settings: Settings, redis: Redis, revisions: Revisions) -> list[Check]:
    try:
        async with asyncio.timeout(SECONDS):
            # However a pooler treats named statements, the questions come through.
            opened = await db.connect(settings.model_copy(update={"database_named_statements": False}), whoever=True)
    except AWAY as error:
        away = failed(
            DATABASE,
            f"PostgreSQL can't be reached ({reason(error)}): every request is refused",
            "see that the server runs and that ROLLCALL_DATABASE_URL leads to it",
        )
        return [away, *unasked([*OF_THE_DATABASE, *OF_THE_TABLES], "while the database is away")]
    try:
        grounds = Grounds(settings, opened, redis, revisions)
        found = [await ask(name, question(grounds)) for name, question in OF_THE_DATABASE.items()]
        if any(each.name == database.TABLES and each.state is not State.OK for each in found):
            found += unasked([*OF_THE_TABLES], "until the tables are current")
        else:
            found += [await ask(name, question(grounds)) for name, question in OF_THE_TABLES.items()]
        return [ok(DATABASE, "PostgreSQL answers"), *found]
    finally:
        await opened.close()


async def of_the_broker(redis: Redis) -> list[Check]:
    """What is known by the broker alone."""
    answers = await ask(processes.BROKER, processes.answers(redis))
    if answers.state is not State.OK:
        return [answers, *unasked([*OF_THE_BROKER], "while the broker is away")]
    return [answers, *[await ask(name, question(redis)) for name, question in OF_THE_BROKER.items()]]
