"""One transaction, for one tenant: what it keeps, what it undoes, and what it leaves on its connection."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from factories import ORIGIN, Callers, Tenant, a_tenant
from rollcall.db import Database
from rollcall.errors import Conflict, Refusal
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, Work, open_fleet, open_work

RENAME = text("UPDATE accounts SET user_name = :name WHERE id = :id")


@pytest_asyncio.fixture
async def tenant(callers: Callers) -> Tenant:
    """A fresh tenant."""
    return await a_tenant(callers)


async def rename(work: Work, tenant: Tenant, name: str) -> None:
    await work.db.execute(RENAME, {"name": name, "id": UUID(tenant.admin["id"])})


async def name_of(tenant: Tenant) -> str:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{tenant.admin['id']}")
    return answer.json()["user_name"]


async def test_commits(tenant: Tenant) -> None:
    """What the block did is committed as it ends."""
    async with tenant.work() as work:
        await rename(work, tenant, "renamed")
        assert await name_of(tenant) != "renamed"
    assert await name_of(tenant) == "renamed"


async def test_refused(database: Database, tenant: Tenant) -> None:
    """A refusal undoes the block; what is written about it is committed; and the refusal goes on to the caller."""
    before = await name_of(tenant)
    heard: list[Refusal] = []

    async def write_down(work: Work, refusal: Refusal) -> None:
        heard.append(refusal)
        await work.db.execute(
            text("UPDATE accounts SET deactivated_because = 'noted' WHERE id = :id"), {"id": UUID(tenant.admin["id"])}
        )

    ref = TenantRef(UUID(tenant.id), tenant.slug)
    msg = "no"
    with pytest.raises(Conflict) as raised:
        async with open_work(database, ref, SYSTEM, ORIGIN, on_refusal=write_down) as work:
            await rename(work, tenant, "renamed")
            raise Conflict(msg)
    assert heard == [raised.value]
    person = (await tenant.callers.operator.get(f"{tenant.v1}/people/{tenant.admin['id']}")).json()
    assert (person["user_name"], person["deactivated_because"]) == (before, "noted")


async def test_crashed(tenant: Tenant) -> None:
    """Any other exception leaves nothing behind."""
    before = await name_of(tenant)
    with pytest.raises(LookupError):
        async with tenant.work() as work:
            await rename(work, tenant, "renamed")
            raise LookupError
    assert await name_of(tenant) == before


async def test_the_database_objects(tenant: Tenant) -> None:
    """Nor does a statement that PostgreSQL refuses."""
    before = await name_of(tenant)
    with pytest.raises(DBAPIError):
        async with tenant.work() as work:
            await rename(work, tenant, "renamed")
            await work.db.execute(text("SELECT 1/0"))
    assert await name_of(tenant) == before


async def test_one_tenant(callers: Callers, tenant: Tenant) -> None:
    """Work for one tenant finds no row of another one, and can't change any."""
    other = await a_tenant(callers)
    async with tenant.work() as work:
        found = await work.db.scalar(
            text("SELECT count(*) FROM accounts WHERE id = :id"), {"id": UUID(other.admin["id"])}
        )
        assert found == 0
        await rename(work, other, "taken over")
    assert await name_of(other) == other.admin["user_name"]


async def test_nothing_stays_on_the_connection(database: Database, tenant: Tenant) -> None:
    """Whoever gets the connection next sees no tenant and has no other role, also after a refusal and a crash."""
    for ending in (None, Conflict("no"), LookupError()):
        try:
            async with tenant.work():
                if ending is not None:
                    raise ending
        except (Conflict, LookupError):
            pass
        try:
            async with open_fleet(database, SYSTEM, ORIGIN):
                if ending is not None:
                    raise ending
        except (Conflict, LookupError):
            pass
        for _ in range(6):
            async with database.sessions() as db:
                row = (
                    await db.execute(
                        text("SELECT current_setting('rollcall.tenant', true), current_user = session_user")
                    )
                ).one()
                assert row[0] in (None, "")
                assert row[1] is True


async def test_the_time(tenant: Tenant) -> None:
    """A work has one time, with its zone, and it is now."""
    async with tenant.work() as work:
        assert work.now.tzinfo is UTC
        assert timedelta(0) <= datetime.now(UTC) - work.now < timedelta(seconds=5)


def test_origins_can_be_stored() -> None:
    """What PostgreSQL can't hold in a path is replaced, and the rest of the path is as it was."""
    facts = RequestOrigin("r", None, "GET", "/a\x00b/\ud800/é").facts()
    assert facts == {"request_id": "r", "source": None, "method": "GET", "path": "/a\ufffdb/?/é"}
    assert RequestOrigin("r").facts()["path"] is None
