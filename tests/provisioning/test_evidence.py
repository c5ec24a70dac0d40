"""Evidence is gathered in memory: a new mark is written down at once, a known one now and then, and none is lost."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from factories import Callers, a_tenant
from rollcall.db import Connection
from rollcall.pool import HotPool
from rollcall.provisioning import evidence
from rollcall.provisioning.evidence import AGENTS_OF_A_TENANT, Evidence

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACME = uuid4()


def write(gathered: Evidence) -> list[tuple[str, int]]:
    """Have what is due written down; the marks, and how often each was met."""
    due = gathered.due()
    gathered.written(due)
    return [(mark, seen.times) for (_, mark), seen in due.items()]


def test_a_known_mark_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first time a mark is only counted, until a minute has passed."""
    gathered = Evidence()
    gathered.called(ACME, NOW, "Okta", None)
    assert write(gathered) == [("user-agent:Okta", 1)]
    for _ in range(1000):
        gathered.called(ACME, NOW, "Okta", None)
    assert write(gathered) == []
    monkeypatch.setattr(evidence, "WRITTEN_EVERY", 0.0)
    assert write(gathered) == [("user-agent:Okta", 1000)]
    assert write(gathered) == []


def test_what_could_not_be_written_is_kept() -> None:
    """Marks that are put back are written with what came meanwhile, first and last times included."""
    gathered = Evidence()
    gathered.met(ACME, NOW, "capitalised-op")
    gathered.put_back(gathered.due())
    gathered.met(ACME, NOW + timedelta(seconds=5), "capitalised-op")
    ((_, seen),) = gathered.due().items()
    assert (seen.first, seen.last, seen.times) == (NOW, NOW + timedelta(seconds=5), 2)


def test_names_have_an_end() -> None:
    """A caller that calls itself something else each time fills neither memory nor disk."""
    gathered = Evidence()
    for number in range(500):
        gathered.called(ACME, NOW, f"caller {number}", None)
    assert len(write(gathered)) == AGENTS_OF_A_TENANT


def test_only_what_is_new_is_looked_at() -> None:
    """A tenant is looked at when a mark is new to the process, not whenever one is met again."""
    gathered = Evidence()
    gathered.met(ACME, NOW, "capitalised-op")
    write(gathered)
    assert gathered.to_look_at == [ACME]
    gathered.looked_at([ACME])
    gathered.met(ACME, NOW, "capitalised-op")
    write(gathered)
    assert gathered.to_look_at == []


async def test_no_statement_for_a_call(callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that leaves marks asks the database once, as any other; the marks come with the next batch."""
    acme = await a_tenant(callers, profile="auto")
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(HotPool, name, _counting(getattr(HotPool, name), asked))
    for _ in range(3):
        answer = await acme.scim.get("/Users", params={"startIndex": "1", "count": "2"}, headers={"User-Agent": "we"})
        assert answer.status_code == 200
    assert len([each for each in asked if "function_schemas" not in each]) == 3

    await callers.app.state.context.batched_entries.flush()
    marks = await owner.fetch("SELECT mark FROM provider_marks WHERE tenant_id = $1::text::uuid ORDER BY mark", acme.id)
    assert [row["mark"] for row in marks] == ["query:users-1-2", "user-agent:we"]


def _counting(through: Any, asked: list[str]) -> Any:
    async def counting(self: HotPool, query: str, *args: object, **of: Any) -> Any:
        asked.append(query)
        return await through(self, query, *args, **of)

    return counting
