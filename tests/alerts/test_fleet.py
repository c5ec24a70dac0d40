"""The fleet: who needs attention first, what narrows it, and pages that show each tenant once."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from factories import ORIGIN, USER, Callers, Tenant, a_tenant
from rollcall.alerts import fleet as listing
from rollcall.alerts.fleet import FleetPage, FleetQuestion
from rollcall.alerts.kinds import GRAVE
from rollcall.console.alerts import WHERE
from rollcall.db import Connection
from rollcall.paging import NoSuchCursor
from rollcall.work import SYSTEM, open_fleet


async def asked(callers: Callers, question: FleetQuestion, *, limit: int = 50, after: str | None = None) -> FleetPage:
    """A page of the fleet."""
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        return await listing.page(fleet, question, limit=limit, after=after)


async def opened(owner: Connection, tenant: Tenant, kind: str, subject: str = "", stage: str = "") -> None:
    """An alert is open."""
    await owner.execute(
        "INSERT INTO alerts (tenant_id, kind, subject, stage, facts) VALUES ($1, $2, $3, $4, '{}')",
        UUID(tenant.id),
        kind,
        subject,
        stage,
    )


async def four(callers: Callers, owner: Connection, name: str) -> list[Tenant]:
    """Tenants of one name: a quiet one, one with a role case, one with something to come, one with something amiss."""
    made = [await a_tenant(callers, slug=f"{name}-{place}") for place in "abcd"]
    both = {"schemas": [USER], "userName": "torn", "roles": ["dart-admins", "dart-guests"]}
    assert (await made[1].scim.post("/Users", json=both)).status_code == 400
    await opened(owner, made[2], "token_ends", "x", "30")
    await opened(owner, made[2], "token_ends", "x", "7")
    await opened(owner, made[3], "provider_quiet")
    return made


async def test_who_needs_attention_comes_first(callers: Callers, owner: Connection) -> None:
    """What is amiss comes before what is to come, that before a role case, that before nothing; and each says why."""
    quiet, torn, ending, amiss = await four(callers, owner, "attend")

    found = (await asked(callers, FleetQuestion(search="attend-"))).rows

    assert [each.slug for each in found] == [each.slug for each in (amiss, ending, torn, quiet)]
    assert [(each.grave, each.open, each.conflicts) for each in found] == [(1, 1, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    assert [list(each.kinds) for each in found] == [["provider_quiet"], ["token_ends"], [], []]
    by_name = (await asked(callers, FleetQuestion(search="attend-", by_name=True))).rows
    assert [each.slug for each in by_name] == sorted(each.slug for each in found)


async def test_pages(callers: Callers, owner: Connection) -> None:
    """However small the pages, each tenant is on one of them, in the same order; what is no position is refused."""
    await four(callers, owner, "paged")
    for by_name in (False, True):
        question = FleetQuestion(search="paged-", by_name=by_name)
        whole = await asked(callers, question)
        seen: list[str] = []
        after = None
        while True:
            page = await asked(callers, question, limit=1, after=after)
            assert page.matched == 4
            seen += [each.slug for each in page.rows]
            if (after := page.after) is None:
                break
        assert seen == [each.slug for each in whole.rows]
    for wrong in ("x", "0.", "1.acme", "0.Acme", "-99999999.acme", "0.a'b"):
        with pytest.raises(NoSuchCursor):
            await asked(callers, FleetQuestion(), after=wrong)


async def test_narrowed(callers: Callers, owner: Connection) -> None:
    """By state, by what is open, by plan, and by a part of any name in whichever case."""
    made = await four(callers, owner, "narrow")
    await callers.operator.post(f"{made[0].v1}/suspend")
    await callers.operator.patch(made[1].v1, json={"plan": "enterprise", "external_id": "CRM-77"})
    await callers.operator.post(f"{made[2].v1}/pause", json={"seconds": 3600})

    async def slugs(**question: str) -> list[str]:
        wanted = FleetQuestion(**{"search": "narrow-", **question}, by_name=True)
        return [each.slug[-1] for each in (await asked(callers, wanted)).rows]

    assert await slugs() == ["a", "b", "c", "d"]
    assert await slugs(show="suspended") == ["a"]
    assert await slugs(show="paused") == ["c"]
    assert await slugs(show="attention") == ["b", "c", "d"]
    assert await slugs(show="provider_quiet") == ["d"]
    assert await slugs(show="lapsed") == []
    assert await slugs(plan="enterprise") == ["b"]
    assert await slugs(search="crm-7") == ["b"]
    assert await slugs(search="NARROW-d") == ["d"]
    assert await slugs(search="narrow-%") == []


async def test_what_a_row_says(callers: Callers, owner: Connection) -> None:
    """Calls and how many were refused, the last one, the next end of a token, seats taken and allowed."""
    tenant = await a_tenant(callers, slug="rowed")
    await tenant.person()
    refused = await tenant.scim.post("/Users", json={"schemas": [USER], "userName": ""})
    assert refused.status_code == 400
    assert (await tenant.scim.get("/Users/nobody")).status_code == 404
    ends = datetime.now(UTC) + timedelta(days=20)
    await owner.execute("UPDATE tokens SET expires_at = $1 WHERE tenant_id = $2", ends, UUID(tenant.id))
    await callers.app.state.context.batched_entries.flush()

    (row,) = (await asked(callers, FleetQuestion(search="rowed"))).rows

    assert (row.used, row.refused) == (2, 1)
    assert row.calls >= 2
    assert row.token_ends == ends
    assert row.last_call is not None
    assert (row.status, row.lapse, row.paused) == ("active", "active", False)


def test_grave_is_what_the_console_shows_so() -> None:
    """Operators and a tenant's admins see the same alerts as grave."""
    assert {kind for kind, (tone, *_) in WHERE.items() if tone == "bad"} == GRAVE
