"""A company with a past, written by bulk statements: a million audit entries, leavers, cases, webhooks, alerts."""

from uuid import UUID

from benchmarks.pages.bulk import statements
from rollcall.db import Connection

STATEMENTS = statements(__file__)

DAYS = 40
"""How far back its audit goes."""

LEFT = 5
"""Every so manieth person has left."""

BATCH = 100_000
ALERTS, CASES, TOKENS, DESTINATIONS = 400, 900, 60, 12


async def add_past(connection: Connection, tenant_id: UUID, *, people: int, entries: int) -> None:
    """Give a tenant that has people a past of so many *entries*."""
    await connection.execute(STATEMENTS["partitions"])
    await connection.execute(STATEMENTS["numbers"])
    await connection.execute(STATEMENTS["numbered"], tenant_id)
    await connection.execute("ANALYZE numbered")
    await connection.execute(STATEMENTS["leavers"], tenant_id, LEFT)
    for first in range(0, entries, BATCH):
        until = min(first + BATCH, entries)
        await connection.execute(STATEMENTS["entries"], tenant_id, first, until, entries, people, DAYS)
    await connection.execute(STATEMENTS["receipts"], tenant_id, DAYS)
    await connection.execute(STATEMENTS["cases"], tenant_id, min(CASES, people // 4))
    await connection.execute(STATEMENTS["tokens"], tenant_id, TOKENS)
    await connection.execute(STATEMENTS["destinations"], tenant_id, DESTINATIONS)
    await connection.execute(STATEMENTS["messages"], tenant_id, entries // 30, DAYS)
    await connection.execute(STATEMENTS["deliveries"], tenant_id, DAYS)
    await connection.execute(STATEMENTS["alerts"], tenant_id, ALERTS)
    await connection.execute(STATEMENTS["mass_change"], tenant_id)
    await connection.execute(STATEMENTS["seats"], tenant_id, people)
    await connection.execute(STATEMENTS["marks"], tenant_id)
    await connection.execute(STATEMENTS["ways_in"], tenant_id)
