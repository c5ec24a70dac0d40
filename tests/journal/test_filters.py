"""Questions to the audit are answered from a small part of it, however long it is."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy.dialects import postgresql

from journal.houses import TENANT, House, a_house
from rollcall.cli.embedded import Engines
from rollcall.functions import qualified
from rollcall.journal import partitions
from rollcall.journal.models import AuditEntry
from rollcall.journal.queries import BY_SUMMARIES, AuditQuestion, asked, read
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_work

ENTRIES = 120_000
RARE, NOBODY, PROVIDER = UUID(int=11), UUID(int=12), UUID(int=13)

FILL = """
INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_id, actor_label, target, outcome,
                           status, method, path, source)
SELECT $1, $2::timestamptz + make_interval(secs => n * 10), md5(n::text),
       CASE WHEN n % 10000 = 7 THEN 'token.issued' WHEN n % 10 < 8 THEN 'scim.users.read' ELSE 'scim.users.patch' END,
       'scim_token', CASE WHEN n = 77777 THEN $4::uuid ELSE $5 END, 'identity provider', md5(n::text),
       CASE WHEN n % 10000 = 8 THEN 'refused' ELSE 'done' END, 200, 'GET', '/scim/v2/Users/' || md5(n::text),
       '192.0.2.1'
  FROM generate_series(1, $3::integer) n ORDER BY n
"""


@pytest_asyncio.fixture(scope="module")
async def house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A long audit of one tenant: what is read, and now and then something else."""
    async with a_house(engines, settings) as house:
        begins = partitions.month_after(datetime.now(UTC), 1)  # prepared by the migration
        await house.owner.execute(FILL, TENANT, begins, ENTRIES, RARE, PROVIDER)
        await house.owner.execute("VACUUM (ANALYZE) audit_entries")
        yield house


MONTHS = qualified("SELECT name, begins FROM fn.audit_partitions('audit_entries')")
SUMMARISED = "SELECT brin_summarize_range($1::text::regclass, 0)"
"""How many ranges were summarised by this: none where the first one had its summary."""

QUESTIONS = {
    "a request": (AuditQuestion(request_id="f1981e4bd8a0d6d8462016d2fc6276b3"), 1),
    "no request": (AuditQuestion(request_id="none of ours"), 0),
    "an actor": (AuditQuestion(actor_id=RARE), 1),
    "no actor": (AuditQuestion(actor_id=NOBODY), 0),
    "refused": (AuditQuestion(outcome="refused"), 12),
    "an action": (AuditQuestion(action="token.issued"), 12),
    "actions": (AuditQuestion(action="token"), 12),
    "no action": (AuditQuestion(action="tenant"), 0),
    "a person": (AuditQuestion(account_id=NOBODY), 0),
}


async def blocks(house: House, question: AuditQuestion) -> int:
    """The blocks that a page costs."""
    query = asked(TENANT, question).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(51)
    compiled = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    text = str(compiled).replace("%%", "%")
    async with house.owner.transaction():
        if question.request_id is not None:
            await house.owner.execute(str(BY_SUMMARIES))
        plan: Any = json.loads(await house.owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}"))
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


@pytest.mark.parametrize("name", QUESTIONS)
async def test_bounded(house: House, name: str) -> None:
    """A rare answer, and that there is none, costs a small part of the blocks that all entries take."""
    question, number = QUESTIONS[name]
    async with open_work(house.database, TenantRef(TENANT, "x"), SYSTEM, RequestOrigin("test")) as work:
        assert len((await read(work, question, limit=50)).rows) == number
    whole = await house.owner.fetchval(
        "SELECT sum(pg_relation_size(inhrelid)) / 8192 FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass"
    )
    assert await blocks(house, question) < whole / 8


async def test_writes_pay_little(house: House) -> None:
    """What the filters need takes a few hundredths of the room of the entries."""
    sizes = await house.owner.fetchrow(
        "SELECT sum(pg_indexes_size(inhrelid)) AS indexes, sum(pg_relation_size(inhrelid)) AS entries"
        " FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass"
    )
    assert sizes is not None
    own = await house.owner.fetchval(
        "SELECT sum(pg_relation_size(i.inhrelid)) FROM pg_inherits i WHERE i.inhparent = ANY (ARRAY["
        "'ix_audit_entries_request', 'ix_audit_entries_actor', 'ix_audit_entries_refused', "
        "'ix_audit_entries_action']::regclass[])"
    )
    assert own < sizes["entries"] / 20


async def test_new_months_have_them(house: House) -> None:
    """A month that is made later has the same indexes."""
    await partitions.make(house.database)
    (first, *_, last) = await house.partitions()
    counts = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass"
    assert await house.owner.fetchval(counts, last) == await house.owner.fetchval(counts, first) == 6


async def test_first_blocks(engines: Engines, settings: Settings) -> None:
    """No month begins with blocks that have a summary: each entry written into them would pay for it."""
    async with a_house(engines, settings) as house:
        made_before = await house.partitions()
        await partitions.make(house.database)
        assert len(await house.partitions()) > len(made_before)
        for month in await house.owner.fetch(MONTHS):
            name = str(month["name"])
            await house.entered(month["begins"])
            for index in ("_request_id_idx", "_actor_id_idx"):
                assert await house.owner.fetchval(SUMMARISED, name + index) == 1, name


async def test_since_narrows(house: House) -> None:
    """What has no index of its own, a rare action over SCIM, is bounded by a time."""
    later = partitions.month_after(datetime.now(UTC), 1) + timedelta(seconds=(ENTRIES - 1000) * 10)
    question = AuditQuestion(action="scim.users.delete")
    assert await blocks(house, replace(question, since=later)) < await blocks(house, question) / 8


async def test_many_names(house: House) -> None:
    """However many requests and actors a range of blocks has, what summarises it has room for them."""
    everybody = FILL.replace("ELSE $5 END", "ELSE gen_random_uuid() END").replace("md5(n::text),", "md5('x' || n),", 1)
    async with house.owner.transaction():
        await house.owner.execute(everybody, TENANT, partitions.month_after(datetime.now(UTC), 3), 40_000, RARE)
