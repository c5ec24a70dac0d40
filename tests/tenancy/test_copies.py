"""Copies of a tenant's terms: all that decides how its provider is answered, and nothing by which it is known."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from factories import ORIGIN, Callers, a_tenant
from rollcall.tenancy import copies, seats
from rollcall.tenancy.models import Tenant
from rollcall.work import SYSTEM, TenantRef, open_fleet

OWN = {"id", "slug", "external_id", "customer", "metadata", "rate_per_second", "deputy_id", "break_glass"}
"""What a copy has of its own."""


class Undone(Exception):
    """Ends the transaction."""


async def test_a_copy(callers: Callers) -> None:
    """A copy has every term of the tenant but its names, its limit and its people, of whom as many are counted."""
    terms: dict[str, Any] = {
        "external_id": "crm-77",
        "metadata": {"region": "eu"},
        "rate_per_second": 60,
        "break_glass": ["ada"],
    }
    acme = await a_tenant(callers, **terms)
    await acme.person()
    override = {"value": 3, "reason": "for the test"}
    assert (await callers.operator.put(f"{acme.v1}/overrides/seats", json=override)).status_code == 200
    columns = [column.name for column in Tenant.__table__.columns]

    with pytest.raises(Undone):
        async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
            copy = await copies.copied(fleet, TenantRef(UUID(acme.id), acme.slug))
            rows = (
                await fleet.db.execute(select(Tenant.__table__).where(Tenant.id.in_([UUID(acme.id), copy.id])))
            ).all()
            real, made = sorted(rows, key=lambda row: row.id == copy.id)
            differing = {name for name in columns if getattr(real, name) != getattr(made, name)}
            assert differing == OWN - {"customer", "deputy_id"}
            assert (made.external_id, made.metadata, made.rate_per_second, made.break_glass) == (None, {}, 0, [])
            async with fleet.within(copy) as work:
                assert (await seats.own(work)).used == 2
            raise Undone


async def test_every_column_is_a_term_or_its_own() -> None:
    """Somebody who adds a column to tenants that names it to others says so here: it is copied unless it is listed."""
    columns = {column.name for column in Tenant.__table__.columns}
    unique = {column.name for column in Tenant.__table__.columns if column.unique or column.primary_key}
    assert unique <= OWN <= columns
