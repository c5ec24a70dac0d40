"""How long audits are kept: announced first, then deleted, and nothing that is not over, whoever asks."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio

from architecture.databases import owners_url
from journal.houses import House, a_house
from rollcall import upgrades
from rollcall.checks.model import State
from rollcall.cli.embedded import Engines
from rollcall.db import FLEET_ROLE
from rollcall.functions import qualified
from rollcall.journal import partitions
from rollcall.journal.partitions import AuditInUse
from rollcall.journal.record import INSTALLATION
from rollcall.settings import Settings
from rollcall.tenancy import retention
from rows import connected

SHORT, LONG = UUID(int=1), UUID(int=2)
"""Tenants on plans that keep the audit for 30 and for 90 days."""


@pytest_asyncio.fixture
async def house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A database of the test's own, with two plans and a tenant on each."""
    async with a_house(engines, settings) as house:
        await house.owner.execute(
            "INSERT INTO plans (key, name, features, retention_days)"
            " VALUES ('short', 's', '{}', 30), ('long', 'l', '{}', 90)"
        )
        for tenant, plan in ((SHORT, "short"), (LONG, "long")):
            await house.owner.execute(
                "INSERT INTO tenants (id, slug, name, plan, role_rule) VALUES ($1, $2, $2, $2, '{}')", tenant, plan
            )
        yield house


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries follow each other at once."""
    monkeypatch.setattr(retention, "TRY_AGAIN_AFTER", 0.0)


def ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def later(house: House, days: int) -> None:
    """Let time pass for what was announced."""
    await house.owner.execute(
        "UPDATE audit_retention SET counts_from = counts_from - make_interval(days => $1),"
        " shorter_from = shorter_from - make_interval(days => $1)",
        days,
    )


async def counting(house: House) -> None:
    """Have the first run and its seven days behind us."""
    await retention.keep(house.database)
    await later(house, 8)


async def kept(house: House, tenant: UUID = SHORT) -> tuple[int, int | None]:
    """How many days count, and what was announced."""
    row = await house.owner.fetchrow("SELECT days, shorter_days FROM audit_retention WHERE tenant_id = $1", tenant)
    assert row is not None
    return row["days"], row["shorter_days"]


async def plan(house: House, days: int, key: str = "short") -> None:
    """Change a plan, and let housekeeping see it."""
    await house.owner.execute("UPDATE plans SET retention_days = $1 WHERE key = $2", days, key)
    await retention.keep(house.database)


async def test_the_first_run_only_reports(house: House) -> None:
    """The first run deletes nothing and says what will go; seven days later it goes, with its payload."""
    await house.entered(ago(40), 3, tenant=SHORT)
    await house.entered(ago(20), 2, tenant=SHORT)
    await house.entered(ago(40), 4, tenant=LONG)
    assert await retention.judge(house.database) == (0, 3)
    for _ in range(2):
        assert (await retention.keep(house.database))["entries_forgotten"] == 0
    await later(house, 6)
    assert (await retention.keep(house.database))["entries_forgotten"] == 0
    await later(house, 1)
    assert (await retention.keep(house.database))["entries_forgotten"] == 3
    for table in partitions.TABLES:
        assert await house.count(table, f"tenant_id = '{SHORT}'") == 2
        assert await house.count(table, f"tenant_id = '{LONG}'") == 4


async def test_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes goes in batches, each a transaction of its own, until nothing is left of it."""
    monkeypatch.setattr("rollcall.journal.keeping.AT_ONCE", 7)
    await counting(house)
    await house.entered(ago(50), 30, tenant=SHORT)
    before = await house.owner.fetchval("SELECT pg_current_xact_id()::text::bigint")
    assert (await retention.keep(house.database))["entries_forgotten"] == 30
    assert await house.owner.fetchval("SELECT pg_current_xact_id()::text::bigint") - before >= 5
    for table in partitions.TABLES:
        assert await house.count(table, f"tenant_id = '{SHORT}'") == 0


async def test_a_shorter_time_is_announced(house: House) -> None:
    """A shorter time counts after 90 days; meanwhile the audit says so, and whoever subscribes is told, once."""
    await counting(house)
    await house.entered(ago(20), 5, tenant=SHORT)
    await plan(house, 10)
    await plan(house, 10)
    assert await kept(house) == (30, 10)
    entry = await house.owner.fetchrow("SELECT * FROM audit_entries WHERE action = 'audit.retention_shortened'")
    message = await house.owner.fetchrow("SELECT * FROM outbox WHERE topic = 'audit.retention_shortened'")
    assert entry is not None
    assert message is not None
    assert entry["tenant_id"] == message["tenant_id"] == SHORT
    facts = json.loads(message["payload"])
    assert (facts["before"], facts["after"]) == (30, 10)
    assert datetime.fromisoformat(facts["counts_from"]) > datetime.now(UTC) + timedelta(days=89)
    await later(house, 89)
    assert (await retention.keep(house.database))["entries_forgotten"] == 0
    await later(house, 1)
    assert (await retention.keep(house.database))["entries_forgotten"] == 5
    assert await kept(house) == (10, None)


async def test_another_plan_is_a_shorter_time(house: House) -> None:
    """Who comes to a plan that keeps less is told as well, and keeps what there is for 90 days."""
    await counting(house)
    await house.owner.execute("UPDATE tenants SET plan = 'short' WHERE id = $1", LONG)
    assert (await retention.keep(house.database))["audits_shortened"] == 1
    assert await kept(house, LONG) == (90, 30)


async def test_shorter_still_and_longer_again(house: House) -> None:
    """Shorter still begins anew, a little longer keeps its day, and longer again takes it all back at once."""
    await counting(house)
    await plan(house, 20)
    await later(house, 60)
    await plan(house, 10)
    assert await kept(house) == (30, 10)
    await later(house, 89)
    await plan(house, 15)
    assert await kept(house) == (30, 15)
    await later(house, 1)
    await plan(house, 15)
    assert await kept(house) == (15, None)
    await plan(house, 5)
    await plan(house, 60)
    assert await kept(house) == (60, None)
    await later(house, 99)
    await plan(house, 60)
    assert await kept(house) == (60, None)


async def test_new_tenants(house: House) -> None:
    """A tenant that comes later is judged like the others, and holds up no month of theirs."""
    await counting(house)
    new = uuid4()
    await house.owner.execute(
        "INSERT INTO tenants (id, slug, name, plan, role_rule) VALUES ($1, 'new', 'new', 'short', '{}')", new
    )
    await retention.keep(house.database)
    assert await kept(house, new) == (30, None)


async def old_months(house: House) -> None:
    """Entries of two months that are over for everybody, and of one that is over for some."""
    for days, number in ((200, 3), (150, 2), (40, 1)):
        for tenant in (SHORT, LONG, INSTALLATION):
            await house.entered(ago(days), number, tenant=tenant)
    await partitions.make(house.database)


async def test_months_are_dropped(house: House) -> None:
    """A month that is over for everybody is dropped with its payloads; the audits kept longest go with their months."""
    await old_months(house)
    before = await house.partitions()
    await counting(house)
    did = await retention.keep(house.database)
    assert (did["months_dropped"], did["entries_forgotten"]) == (2, 6)
    assert len(await house.partitions()) == len(await house.partitions("audit_payloads")) == len(before) - 2
    for table in partitions.TABLES:
        assert await house.count(table, "at < now() - interval '35 days'") == 2
    assert (await retention.keep(house.database))["months_dropped"] == 0
    left = await house.owner.fetchval(
        "SELECT count(*) FROM pg_class WHERE relname ~ '^audit_(entries|payloads)_2' AND NOT relispartition"
        " AND relkind = 'r'"
    )
    assert left == 0


async def test_export_before_a_month_is_dropped(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each month is written to a file before it is dropped, every entry with its payload; where that fails it stays."""
    monkeypatch.setattr(retention, "_PAGE", 2)
    await old_months(house)
    await counting(house)
    with pytest.raises(FileNotFoundError):
        await retention.keep(house.database, archive=tmp_path / "nowhere")
    wanted = {str(row["id"]) for row in await house.owner.fetch("SELECT id FROM audit_entries WHERE at < $1", ago(120))}
    assert len(wanted) == 10
    assert (await retention.keep(house.database, archive=tmp_path))["months_dropped"] == 2
    files = sorted(await asyncio.to_thread(lambda: [*tmp_path.iterdir()]))
    assert [file.name for file in files] == [f"audit_{ago(days):%Y_%m}.jsonl.gz" for days in (200, 150)]
    lines: list[dict[str, Any]] = [
        json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    assert {line["id"] for line in lines} == wanted
    assert len(lines) == len(wanted)
    assert all(line["payload"] == {"a": 1} and line["action"] == "try.entry" for line in lines)


async def test_beside_a_reader(house: House) -> None:
    """While a dump reads, a month is not dropped and nobody who writes waits long; afterwards it is."""
    await old_months(house)
    await counting(house)
    async with connected(owners_url(house.settings)) as dump:
        async with dump.transaction():
            await dump.execute("LOCK TABLE audit_entries, audit_payloads IN ACCESS SHARE MODE")
            with pytest.raises(AuditInUse, match="pg_stat_activity"):
                await retention.keep(house.database)
            await house.enter()
        assert (await retention.keep(house.database))["months_dropped"] == 2


async def test_nothing_else_goes(house: House) -> None:
    """Neither the owner nor the fleet gets rid of an entry that is not over, in whichever way they try."""
    await old_months(house)
    await house.enter()
    await retention.keep(house.database)
    refusals: list[tuple[str, Any]] = [
        ("DELETE FROM audit_entries", asyncpg.InsufficientPrivilegeError),
        (f"DELETE FROM audit_entries WHERE tenant_id = '{LONG}'", asyncpg.InsufficientPrivilegeError),
        (
            "UPDATE audit_entries SET detail = 'x' WHERE at < now() - interval '99 days'",
            asyncpg.InsufficientPrivilegeError,
        ),
    ]
    for statement, refused in refusals:  # seven days have not passed
        with pytest.raises(refused, match="append-only"):
            await house.owner.execute(statement)
    drop = qualified("SELECT fn.drop_audit_month($1, $2)")
    (first, *_, last) = await house.owner.fetch(qualified("SELECT * FROM fn.audit_partitions('audit_entries')"))
    for month in (first, last):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await house.owner.fetchval(drop, month["begins"], month["ends"])
    await later(house, 8)
    await house.owner.execute(
        f"DELETE FROM audit_entries WHERE tenant_id = '{SHORT}' AND at < now() - interval '30 days'"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await house.owner.execute("DELETE FROM audit_entries WHERE at > now() - interval '30 days'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await house.owner.fetchval(drop, last["begins"], last["ends"])
    await house.owner.fetchval(drop, first["begins"], first["ends"])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_retention SET days = 1",
        "INSERT INTO audit_retention (tenant_id, days, counts_from) VALUES (uuidv7(), 1, now())",
        "DELETE FROM audit_retention",
        "DELETE FROM audit_entries WHERE at < now() - interval '99 days'",
        "DELETE FROM audit_payloads WHERE at < now() - interval '99 days'",
    ],
)
@pytest.mark.parametrize("role", ["", FLEET_ROLE])
async def test_the_running_role_judges_nothing(house: House, statement: str, role: str) -> None:
    """Neither the running role nor the fleet's says how long an audit is kept, or deletes by itself what is over."""
    await counting(house)
    async with connected(house.settings.database_url.get_secret_value()) as runner:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            async with runner.transaction():
                if role:
                    await runner.execute(f"SET LOCAL ROLE {role}")
                await runner.execute("SELECT set_config('rollcall.tenant', $1, true)", str(SHORT))
                await runner.execute(statement)


async def history(house: House) -> tuple[State, str]:
    """What ``migrate --check`` says of what is about to be deleted."""
    found = {each.name: each for each in (await upgrades.examine(house.settings)).checks}["history"]
    return found.state, found.said


async def test_what_an_upgrade_will_delete(house: House) -> None:
    """``migrate --check`` counts what is older than plans keep it until it is deleted, also before the revision."""
    assert (await history(house))[0] is State.OK
    await house.entered(ago(40), 3, tenant=SHORT)
    state, said = await history(house)
    assert state is State.WARNING
    assert said.startswith(f"3 entries of 1 tenants, the oldest of {ago(40):%Y-%m-%d}")
    await house.owner.execute("ALTER TABLE audit_retention RENAME TO later")
    assert "seven days after" in (await history(house))[1]
    await house.owner.execute("ALTER TABLE later RENAME TO audit_retention")
    await retention.keep(house.database)
    assert f"will be deleted from {ago(-7):%Y-%m-%d} on" in (await history(house))[1]
    await later(house, 8)
    await retention.keep(house.database)
    assert (await history(house))[0] is State.OK
