"""A pooler before PostgreSQL: seen, and told when it loses named statements."""

from pathlib import Path

import pytest

from installations import Installation
from poolers import PGBOUNCER, keeps_statements, pooled
from rollcall.checks.model import State


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer on this machine")
async def test_statements_are_lost(installation: Installation, tmp_path: Path) -> None:
    """A pool by transactions that keeps no statements is told, with what to set; a pool by sessions is well."""
    options = {"max_prepared_statements": 0} if keeps_statements() else {}
    async with pooled(installation.settings.database_url, tmp_path, "transaction", **options) as url:
        found = (await installation.ask(database_url=url))["pooler"]
    assert found.state is State.FAILED
    assert "ROLLCALL_DATABASE_NAMED_STATEMENTS=false" in (found.remedy or "")
    assert "max_prepared_statements" in (found.remedy or "")
    async with pooled(installation.settings.database_url, tmp_path, "session") as url:
        found = (await installation.ask(database_url=url))["pooler"]
    assert (found.state, found.said) == (State.OK, "a pooler stands before PostgreSQL, and keeps named statements")


@pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer on this machine")
async def test_statements_without_names(installation: Installation, tmp_path: Path) -> None:
    """The same pool is well, and everything behind it, once statements have no names."""
    options = {"max_prepared_statements": 0} if keeps_statements() else {}
    async with pooled(installation.settings.database_url, tmp_path, "transaction", **options) as url:
        found = await installation.ask(database_url=url, database_named_statements=False)
    assert {name for name, each in found.items() if each.state is not State.OK} == set()


@pytest.mark.skipif(PGBOUNCER is None or not keeps_statements(), reason="there is no PgBouncer 1.21 on this machine")
async def test_statements_are_kept(installation: Installation, tmp_path: Path) -> None:
    """A pool by transactions that keeps statements is well, and so is everything else behind it."""
    async with pooled(installation.settings.database_url, tmp_path, "transaction", max_prepared_statements=200) as url:
        found = await installation.ask(database_url=url)
    assert {name for name, each in found.items() if each.state is not State.OK} == set()


async def test_none(installation: Installation) -> None:
    """PostgreSQL itself is told from a pooler."""
    assert (await installation.ask())["pooler"].said == "no pooler stands before PostgreSQL"
