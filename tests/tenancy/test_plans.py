"""Plans: defined once, changed for everybody who has them, and written down."""

import pytest
from sqlalchemy.exc import IntegrityError

from factories import ORIGIN, Callers, a_tenant
from rollcall.db import Connection, Database
from rollcall.errors import NotFound
from rollcall.journal.record import INSTALLATION
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet


async def define(database: Database, key: str, terms: PlanTerms) -> bool:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return await plans.define(fleet, key, terms)


async def test_defined_and_found(database: Database) -> None:
    """A plan is what it was defined to be, to the last term."""
    terms = PlanTerms(
        name="Brass", features=("scim", "events"), seats=7, rate_per_second=30, rate_burst=9, retention_days=3
    )
    assert await define(database, "brass", terms)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert plans.terms_of(await plans.find(fleet, "brass")) == terms
        keys = [plan.key for plan in await plans.every(fleet)]
    assert "brass" in keys
    assert keys == sorted(keys)


async def test_defined_again(database: Database, owner: Connection) -> None:
    """Defining a plan as it is changes nothing and says so; each real change is written down for the installation."""
    assert await define(database, "tin", PlanTerms(name="Tin"))
    assert not await define(database, "tin", PlanTerms(name="Tin"))
    assert await define(database, "tin", PlanTerms(name="Tin", features=("scim",)))
    entries = "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND action = 'plan.defined' AND target = 'tin'"
    assert await owner.fetchval(entries, INSTALLATION) == 2


async def test_change_reaches_tenants(callers: Callers, database: Database) -> None:
    """A plan that gains SCIM lets its tenants in at their next call."""
    await define(database, "iron", PlanTerms(name="Iron"))
    tenant = await a_tenant(callers, plan="iron")
    assert (await tenant.scim.get("/Users")).status_code == 403
    await define(database, "iron", PlanTerms(name="Iron", features=("scim",)))
    assert (await tenant.scim.get("/Users")).status_code == 200


async def test_the_tenants_own_limit_comes_first(callers: Callers, database: Database) -> None:
    """A tenant's own rate takes the place of its plan's, and 0 switches the limit off for it alone."""
    await define(database, "slow", PlanTerms(name="Slow", features=("scim",), rate_per_second=25, rate_burst=1))
    tenant = await a_tenant(callers, plan="slow", rate_per_second=0)
    statuses = {(await tenant.scim.get("/Users", params={"count": 0})).status_code for _ in range(10)}
    assert statuses == {200}


@pytest.mark.parametrize("rate", [1, 24, -5])
async def test_slower_than_providers_need(database: Database, rate: int) -> None:
    """The database itself refuses a limit below 25 calls a second."""
    with pytest.raises(IntegrityError, match="ck_plans_rate"):
        await define(database, "snail", PlanTerms(name="Snail", rate_per_second=rate))


async def test_unknown(database: Database) -> None:
    """A plan that was not defined is not found."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        with pytest.raises(NotFound, match="diamond"):
            await plans.find(fleet, "diamond")
