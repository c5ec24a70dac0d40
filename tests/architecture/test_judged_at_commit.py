"""Nothing is changed by a key that was judged only when the call arrived."""

import re
from pathlib import Path
from uuid import UUID

import pytest

import rollcall
from rollcall.db import Database
from rollcall.provisioning import statements
from rollcall.work import Actor, ActorKind, RequestOrigin, TenantRef, open_fleet, open_work

READING = {
    *("gate", "still_good", "read_user", "own_user", "find_user_name", "find_users", "page_users"),
    *("read_group", "find_groups", "few_members", "touched_people"),
}
REFUSING = {"note_call", "refuse_group", "keep_refused_departures"}
"""What they write is that a call was refused, or changed nothing; the last one judges the token by itself."""


def functions_of_provisioning() -> set[str]:
    """The functions of the database that take a token: what identity providers' calls are carried out by."""
    folder = Path(rollcall.__file__).parent / "provisioning" / "sql"
    declared = "\n".join(file.read_text() for file in folder.glob("*.sql"))
    return set(re.findall(r"CREATE FUNCTION fn\.(\w+)\(\s*p_tenant uuid, p_token uuid", declared))


def test_writing_statements_ask_again() -> None:
    """Every function of the database by which SCIM writes is called by a statement that asks the gate once more."""
    asked = [text for text in vars(statements).values() if isinstance(text, str)]
    writing = functions_of_provisioning() - READING - REFUSING
    assert {"create_user", "save_user", "delete_user", "save_group", "delete_group", "settle_group"} <= writing
    for name in writing:
        calls = [text for text in asked if re.search(rf"\.{name}\(", text)]
        assert calls, f"nobody calls {name}"
        assert all("still_good(" in text for text in calls), f"{name} is called without still_good: use _changed()"


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
