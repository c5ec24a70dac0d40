"""What calls cost of a tenant's rate limit: the work they ask for."""

from typing import Any

import httpx
import pytest

from api.expect import done, refused, turned_down
from factories import Callers, Tenant, a_tenant
from rollcall.provisioning import listing

TIGHT: dict[str, Any] = {"plan": "enterprise", "rate_per_second": 25, "rate_burst": 25}


@pytest.fixture
async def tight(callers: Callers) -> Tenant:
    """A tenant that may make 25 calls at once, and as many a second."""
    return await a_tenant(callers, **TIGHT)


def bulk(operations: int) -> dict[str, object]:
    """A Bulk of so many operations that are soon done: there are no such people."""
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "DELETE", "path": f"/Users/01a2299f-0000-7000-8000-{number:012}"} for number in range(operations)
        ],
    }


async def test_a_bulk_costs_its_operations(tight: Tenant) -> None:
    """A Bulk larger than the burst passes whole; its tenant's next call has to wait for what it owes."""
    answer = done(await tight.scim.post("/Bulk", json=bulk(1000)))
    assert {each["status"] for each in answer["Operations"]} == {"404"}
    after = await tight.scim.get("/Users", params={"count": 1})
    refused(after, 429, None, "")
    assert 1 <= int(after.headers["retry-after"]) <= 39


async def test_a_search_costs_its_terms(tight: Tenant) -> None:
    """A search by many terms costs as many permits, one by an indexed name one."""
    for _ in range(10):
        done(await tight.scim.get("/Users", params={"filter": 'userName eq "x"'}))
    wide = " or ".join(f'title co "{n}"' for n in range(97))
    done(await tight.scim.get("/Users", params={"filter": f'not ({wide}) and (emails[value co "x" or type eq "y"])'}))
    after = await tight.scim.get("/Users", params={"filter": 'userName eq "x"'})
    refused(after, 429, None, "")
    assert 1 <= int(after.headers["retry-after"]) <= 4


async def test_a_search_costs_what_it_looks_at(tight: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusual search owes for the database's time as well; a look-up by an indexed name does not."""
    monkeypatch.setattr(listing, "SECONDS_A_PERMIT", 1e-6)
    for _ in range(10):
        done(await tight.scim.get("/Users", params={"filter": 'userName eq "x"'}))
    done(await tight.scim.get("/Users", params={"filter": 'title co "x"'}))
    refused(await tight.scim.get("/Users", params={"filter": 'userName eq "x"'}), 429, None, "")


@pytest.fixture
async def admin(tight: Tenant) -> httpx.AsyncClient:
    """The tenant's admin, with a token of their own."""
    token = (await tight.issue_token(scopes=["admin"], owner=tight.admin["id"]))["token"]
    return tight.callers.bearer(token)


async def test_admins_have_a_limit(tight: Tenant, admin: httpx.AsyncClient, callers: Callers) -> None:
    """A tenant's admin may make so many calls of the management API; long pages cost more, and ops have no limit."""
    answers = [await admin.get(f"{tight.v1}/people", params={"limit": 200}) for _ in range(120)]
    statuses = [answer.status_code for answer in answers]
    passed = statuses.count(200)
    assert 50 <= passed < 120, statuses
    assert set(statuses) == {200, 429}
    turned_down(answers[statuses.index(429)], 429, "too_many_requests", "calls a second")
    assert int(answers[statuses.index(429)].headers["retry-after"]) > 0
    assert (await callers.operator.get(f"{tight.v1}/people", params={"limit": 200})).status_code == 200
