"""Nothing is left behind in a connection of the server's: a pooler may lend it to somebody else a moment later."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LEFT_BEHIND = {
    "roles": re.compile(r"\bSET\s+(SESSION\s+)?(ROLE|AUTHORIZATION)\b"),
    "settings": re.compile(
        r"[\"';]\s*SET\s+(SESSION\s+)?(\w+_timeout|search_path|jit|timezone|work_mem|rollcall\.\w+)\b"
    ),
    "settings by function": re.compile(r"set_config\([^)]*,\s*false\s*\)", re.IGNORECASE),
    "locks": re.compile(r"pg_(try_)?advisory_(un)?lock(_shared)?\b"),
    "channels": re.compile(r"""["'(;]\s*(UN)?LISTEN\s+\w"""),
    "names": re.compile(r"""["'(;]\s*(PREPARE|DEALLOCATE)\s+\w"""),
    "tables": re.compile(r"CREATE\s+TEMP", re.IGNORECASE),
    "cursors": re.compile(r"WITH\s+HOLD"),
}
"""What outlives a transaction, by what it leaves."""

BY_THE_OWNER = {("src/rollcall/tables.py", "locks")}
"""The migration's lock; it takes the owner's address, which leads to PostgreSQL itself."""

SOURCES = sorted([*(ROOT / "src/rollcall").rglob("*.py"), *(ROOT / "migrations").rglob("*.sql")])


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_left_behind(what: str) -> None:
    """Roles, settings, locks and names are the transaction's own."""
    found = {
        (str(source.relative_to(ROOT)), what) for source in SOURCES if LEFT_BEHIND[what].search(source.read_text())
    }
    assert found <= BY_THE_OWNER


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("roles", "'SET ROLE x'"),
        ("settings", '"SET statement_timeout = 5"'),
        ("settings by function", "set_config('a', 'b', false)"),
        ("locks", "SELECT pg_advisory_lock(1)"),
        ("channels", "'LISTEN people'"),
        ("names", "'PREPARE x AS'"),
        ("tables", "create temp table"),
        ("cursors", "CURSOR WITH HOLD"),
    ],
)
def test_seen(what: str, statement: str) -> None:
    """The patterns see what they are for."""
    assert LEFT_BEHIND[what].search(statement)
    assert not LEFT_BEHIND[what].search(
        "'SET LOCAL ROLE x'; SELECT pg_advisory_xact_lock(1), set_config('a', 'b', true)"
    )
