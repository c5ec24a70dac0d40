"""What was so before a transaction changed it, for the judgement of its key at the end."""

from uuid import UUID

from factories import Tenant
from rollcall.db import Connection
from rollcall.functions import qualified

MANY = 300
"""More than have room in the text of the version before, and than there are texts."""

_MADE = """
INSERT INTO accounts (tenant_id, user_name, active, role, is_admin, role_state)
SELECT a.tenant_id, 'boss ' || n, true, 'admin', n % 3 > 0, a.role_state
  FROM accounts a, generate_series(1, $2::integer) n WHERE a.id::text = $1 RETURNING id, is_admin
"""
_TURN = "UPDATE accounts SET is_admin = NOT is_admin WHERE id = ANY ($1)"
_NOTED = qualified("SELECT fn.noted($2, id) FROM unnest($1::uuid[]) WITH ORDINALITY i (id, n) ORDER BY n")
_HAS_NOTES = qualified("SELECT fn.has_notes()")


async def test_of_many_admins(acme: Tenant, owner: Connection) -> None:
    """Of everybody who becomes an admin or stops being one it is known what they were at first."""
    made = await owner.fetch(_MADE, acme.admin["id"], MANY)
    ids: list[UUID] = [row["id"] for row in made]

    async def noted(*, before: bool) -> list[str]:
        return [row["noted"] for row in await owner.fetch(_NOTED, ids, before)]

    async with owner.transaction():
        assert not await owner.fetchval(_HAS_NOTES)
        assert await noted(before=True) == [""] * MANY
        await owner.execute(_TURN, ids)
        await owner.execute(_TURN, ids[: MANY // 2])  # what they are at last is not what they were
        assert await owner.fetchval(_HAS_NOTES)
        assert await noted(before=True) == ["+" if row["is_admin"] else "-" for row in made]
        assert await noted(before=False) == [""] * MANY
    assert not await owner.fetchval(_HAS_NOTES)
    assert await noted(before=True) == [""] * MANY


async def test_what_is_undone_is_not_noted(acme: Tenant, owner: Connection) -> None:
    """What a savepoint has undone leaves no note."""
    (made,) = await owner.fetch(_MADE, acme.admin["id"], 1)
    async with owner.transaction():
        await owner.execute("SAVEPOINT here")
        await owner.execute(_TURN, [made["id"]])
        assert await owner.fetchval(_HAS_NOTES)
        await owner.execute("ROLLBACK TO here")
        assert not await owner.fetchval(_HAS_NOTES)


async def test_of_the_first_for_the_version_before(acme: Tenant, owner: Connection) -> None:
    """The functions of the version before find the first hundred notes where they look for them, and no more."""
    ids = [row["id"] for row in await owner.fetch(_MADE, acme.admin["id"], MANY)]
    async with owner.transaction():
        await owner.execute(_TURN, ids)
        noted = await owner.fetchval("SELECT current_setting('rollcall.before')")
        assert len(noted) == 100 * 37
        assert sum(noted.count(f"+{each}") + noted.count(f"-{each}") for each in ids) == 100
