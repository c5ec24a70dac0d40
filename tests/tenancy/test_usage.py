"""Usage: what a month comes to, by a clock that is moved."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from factories import ORIGIN, Callers, Tenant, a_tenant, deactivation, whole
from rollcall.cli.usage import csv_field
from rollcall.db import Connection, Database
from rollcall.errors import Invalid
from rollcall.tenancy import usage
from rollcall.tenancy.usage import Usage
from rollcall.work import SYSTEM, Fleet, Work, open_fleet

FIRST = datetime(2041, 3, 1, tzinfo=UTC)
"""Far away from what a running worker would note; all tenants of the test's database are noted by each look."""


async def look(database: Database, at: datetime) -> None:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await usage.note(fleet, at)


async def months(tenant: Tenant, now: datetime) -> list[Usage]:
    async with tenant.work() as work:
        return list(await usage.of_tenant(Work(work.db, work.tenant, work.actor, work.origin, now)))


async def in_month(database: Database, tenant: Tenant, month: str, now: datetime) -> Usage | None:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        moved = Fleet(fleet.db, fleet.actor, fleet.origin, now)
        page = await usage.of_month(moved, usage.month_of(month), limit=500)
        found = list(page.rows)
        while page.next_cursor is not None:
            page = await usage.of_month(moved, usage.month_of(month), limit=500, cursor=page.next_cursor)
            found += page.rows
    return next((each for each in found if each.tenant == tenant.slug), None)


async def test_peak_and_average(callers: Callers, database: Database) -> None:
    """A month has the most there were and the average by time, a month without a change that of the one before."""
    tenant = await a_tenant(callers)
    await look(database, FIRST)  # ada alone
    people = [await tenant.person() for _ in range(3)]
    await look(database, FIRST + timedelta(days=10))  # four
    for person in people[:2]:
        await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    await look(database, FIRST + timedelta(days=20))  # two
    await look(database, FIRST + timedelta(days=25))  # still two
    june = datetime(2041, 6, 1, tzinfo=UTC)
    found = {each.month: each for each in await months(tenant, june)}
    assert list(found) == ["2041-06", "2041-05", "2041-04", "2041-03"]
    march = found["2041-03"]
    assert (march.peak, march.average) == (4, round(Decimal(10 * 1 + 10 * 4 + 11 * 2) / 31, 2))
    assert (march.counted_from, march.counted_until) == (FIRST, datetime(2041, 4, 1, tzinfo=UTC))
    assert (found["2041-04"].peak, found["2041-04"].average) == (2, Decimal(2))
    assert await in_month(database, tenant, "2041-03", june) == march
    assert await in_month(database, tenant, "2041-05", june) == found["2041-05"]
    assert await in_month(database, tenant, "2041-02", june) is None
    assert await in_month(database, tenant, "2041-07", june) is None


async def test_over_the_end_of_a_month(callers: Callers, database: Database) -> None:
    """Whoever is there as a month begins counts in it from its first moment, whenever it was looked."""
    tenant = await a_tenant(callers)
    begins = datetime(2042, 1, 31, tzinfo=UTC)
    await tenant.person()
    await look(database, begins)  # two
    leaver = await tenant.person()
    await tenant.scim.patch(f"/Users/{leaver['id']}", json=deactivation())
    await tenant.person()
    await look(database, begins + timedelta(days=8))  # three, on 8 February
    found = {each.month: each for each in await months(tenant, begins + timedelta(days=15))}
    assert (found["2042-01"].peak, found["2042-01"].average) == (2, Decimal(2))
    february = found["2042-02"]
    assert (february.peak, february.average) == (3, Decimal("2.50"))  # seven days of two, seven of three
    assert february.counted_from == datetime(2042, 2, 1, tzinfo=UTC)
    await look(database, begins)  # a clock that goes back changes nothing
    assert {each.month: each for each in await months(tenant, begins + timedelta(days=15))} == found


@pytest.mark.parametrize("said", ["", "2026", "2026-13", "2026-1", "2026-11-01", "last"])
def test_no_month(said: str) -> None:
    """What is no month is refused with an example."""
    with pytest.raises(Invalid, match="write it as 2026-11"):
        usage.month_of(said)


async def test_read_by_ops_and_admins(callers: Callers, database: Database, owner: Connection) -> None:
    """Ops read the month of all tenants, a page after the other; the tenant has its own months."""
    tenant = await a_tenant(callers, external_id="crm-usage-1")
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        now = fleet.now
    month = f"{now:%Y-%m}"
    row = "INSERT INTO seat_usage VALUES ($1::uuid, date_trunc('month', $2::date), $3, $3, 7, 9, 0)"
    await owner.execute("DELETE FROM seat_usage WHERE tenant_id = $1::uuid", tenant.id)
    await owner.execute(row, tenant.id, now.date(), now)
    listed = await whole(callers.operator, "/v1/usage", limit=2, month=month)
    mine = next(each for each in listed if each["tenant"] == tenant.slug)
    assert (mine["peak"], mine["average"], mine["external_id"]) == (9, 7.0, "crm-usage-1")
    own = (await callers.operator.get(f"{tenant.v1}/usage")).json()["data"]
    assert [each["month"] for each in own] == [month]
    assert (await callers.operator.get("/v1/usage", params={"month": "2026-1"})).status_code == 400
    assert (await callers.product.get("/v1/usage")).status_code == 403


def test_csv_is_no_formula() -> None:
    """A customer's id that a spreadsheet would run is text."""

    out = io.StringIO()
    csv.writer(out).writerow([csv_field("=1+1"), csv_field("crm-1"), csv_field(3)])
    assert out.getvalue().strip() == "'=1+1,crm-1,3"
