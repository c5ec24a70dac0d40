"""New tenants of a file, made many at a time, and overrides: what is set, what is refused, and what stays apart."""

import pytest
from sqlalchemy import text

from factories import Callers, a_tenant
from rollcall.errors import Taken
from rollcall.manifest import statements
from rollcall.tenancy import tenants
from rollcall.tenancy.seats import SeatsExhausted

from .conftest import Ops, undone


def _tenant(slug: str, *parts: str, plan: str = "business", more: str = "") -> str:
    head = f'[tenants.{slug}]\nname = "{slug.title()}"\nplan = "{plan}"\n{more}\n'
    return head + "".join(part.format(slug=slug) for part in parts)


OVERRIDES = """
[tenants.{slug}.overrides.seats]
value = 7
reason = "until the new contract"
by = "maria"
[tenants.{slug}.overrides.scim]
value = true
reason = "a trial"
ends_at = 2099-01-31
"""


async def test_overrides(ops: Ops, slug: str) -> None:
    """Overrides are set, changed and ended by the file, all of them or none; one whose end has come is left out."""
    free = _tenant(slug, OVERRIDES, plan="free")
    new = [
        f"~ tenant {slug}: override seats 7, until somebody ends it (until the new contract)",
        f"~ tenant {slug}: override scim true, until 2099-01-31T00:00:00+00:00 (a trial)",
    ]
    assert (await ops.apply(free))[1:] == new
    assert await ops.apply(free) == await ops.apply(_tenant(slug, plan="free")) == []
    v1 = f"/v1/tenants/{slug}"
    listed = {each["key"]: each for each in (await ops.callers.operator.get(f"{v1}/overrides")).json()["data"]}
    assert (listed["seats"]["value"], listed["seats"]["by"]) == (7, "maria")
    assert (listed["scim"]["by"], listed["scim"]["ends_at"]) == ("rollcall", "2099-01-31T00:00:00Z")
    assert (await ops.callers.operator.get(v1)).json()["lapse"]["state"] == "active"

    edited = free.replace("value = 7", "value = 9").replace('"maria"', '"ben"').replace("2099-01-31", "2020-01-31")
    said = [
        f"~ tenant {slug}: override seats: value 7 -> 9, by maria -> ben",
        f"~ tenant {slug}: override scim ends",
    ]
    assert await ops.compare(edited) == said
    assert await ops.apply(edited) == said
    assert await ops.apply(edited) == []
    assert await ops.apply(_tenant(slug, plan="free", more="overrides = {}")) == [
        f"~ tenant {slug}: override seats ends"
    ]


async def test_within_each_sees_nobody(callers: Callers) -> None:
    """Between tenants nobody's rows are seen, the fleet's rights are gone, and afterwards they are back."""
    acme = await a_tenant(callers)
    async with undone(callers.database) as fleet:
        row = await tenants.find(fleet, acme.slug)
        assert len(await statements.admins_of(fleet, [row.id])) == 1
        assert await fleet.db.scalar(text("SELECT current_setting('rollcall.tenant', true)")) == ""
        async with fleet.within_each() as db:
            assert await db.scalar(text("SELECT count(*) FROM accounts")) == 0
            assert await db.scalar(text("SELECT count(*) FROM tenants")) == 0
        assert (await tenants.find(fleet, acme.slug)).id == row.id


async def test_more_admins_than_seats(callers: Callers, ops: Ops, slug: str) -> None:
    """A new tenant with more admins than its plan has seats is refused with all of the file, but not in overage."""
    plan = f'[plans.{slug}]\nname = "One seat"\nfeatures = ["scim"]\nseats = 1\n'
    file = _tenant(f"{slug}-a") + _tenant(slug, plan=slug)
    admins = "".join(f'[[tenants.{slug}.admins]]\nuser_name = "{name}"\n' for name in ("ada", "ben"))
    with pytest.raises(SeatsExhausted, match="The plan One seat has 1 seats, and 1 people are active"):
        await ops.apply(plan + file + admins)
    assert (await callers.operator.get(f"/v1/tenants/{slug}-a")).status_code == 404
    made = await ops.apply(plan + 'seat_policy = "overage"\n' + file + admins)
    assert f"+ admin ben in {slug} (role admin)" in made
    seated = (await callers.operator.get(f"/v1/tenants/{slug}/seats")).json()
    assert (seated["used"], seated["allowed"]) == (2, 1)


async def test_made_by_somebody_else_meanwhile(callers: Callers, slug: str) -> None:
    """A tenant that another makes between the comparison and the change is named, and nothing is applied."""
    wanted = [tenants.NewTenant(f"{slug}-{at}", tenants.TenantTerms(name="T", plan="free"), {}) for at in range(3)]
    async with undone(callers.database) as fleet:
        await tenants.create_all(fleet, wanted[1:2])
        with pytest.raises(Taken, match=f"There is a tenant “{slug}-1” already"):
            await tenants.create_all(fleet, wanted)
        assert {each.slug for each in await tenants.every(fleet)} & {f"{slug}-0", f"{slug}-2"} == set()
