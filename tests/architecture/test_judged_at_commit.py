"""Nothing is changed by a key that was judged only when the call arrived."""

import ast
from pathlib import Path
from uuid import UUID

import pytest

import rollcall
from rollcall.db import Database
from rollcall.work import Actor, ActorKind, RequestOrigin, TenantRef, open_fleet, open_work

READING = {
    *("scim_admit", "scim_me", "scim_find", "scim_find_user_name", "scim_page"),
    *("scim_admit_group", "scim_find_groups", "scim_members", "scim_touched"),
}
REFUSING = {"scim_note", "scim_refuse_group"}
"""What they write is that a call was refused, or changed nothing."""


def texts() -> list[str]:
    """Every text in the source that is not a docstring and names one of the database's SCIM functions."""
    found: list[str] = []
    for file in Path(rollcall.__file__).parent.rglob("*.py"):
        found += [
            node.value
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "scim_" in node.value
        ]
    return found


async def test_writing_statements_ask_again(database: Database) -> None:
    """Every function of the database by which SCIM writes is called by a statement that asks the gate once more."""
    rows = await database.pool.fetch("SELECT DISTINCT proname FROM pg_proc WHERE proname LIKE 'scim\\_%'")
    writing = {row["proname"] for row in rows} - READING - REFUSING
    assert "scim_create_user" in writing
    for name in writing:
        calls = [text for text in texts() if f"{name}(" in text]
        assert all("still_good(" in text for text in calls), f"{name} is called without still_good: use calls.writing()"


@pytest.mark.parametrize("kind", [kind for kind in ActorKind if kind is not ActorKind.SYSTEM])
async def test_nobody_works_without_a_key(database: Database, kind: ActorKind) -> None:
    """Work is opened for nobody but Rollcall itself without the key that is judged again at its end."""
    actor, origin = Actor(kind, "somebody"), RequestOrigin(request_id="test")
    with pytest.raises(AssertionError, match="acts without a key"):
        async with open_work(database, TenantRef(UUID(int=1), "x"), actor, origin):
            pass
    with pytest.raises(AssertionError, match="acts without a key"):
        async with open_fleet(database, actor, origin):
            pass
