"""``/metrics``: who may read it, what it counts, and that it names nobody."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from factories import Callers, Tenant, deactivation
from rollcall import metrics
from rollcall.db import Database
from rollcall.pool import HotPool
from rollcall.settings import Settings
from rollcall.turns import Turns


@pytest.fixture
def figure(operator: httpx.AsyncClient) -> Callable[..., object]:
    """Reads one figure."""

    async def read(line: str) -> float:
        answer = await operator.get("/metrics")
        assert answer.status_code == 200, answer.text
        found = re.search(rf"^{re.escape(line)} (\S+)$", answer.text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    return read


Figure = Callable[[str], "asyncio.Future[float]"]


async def test_for_operators_only(http: httpx.AsyncClient, product: httpx.AsyncClient, acme: Tenant) -> None:
    """Figures are an operator's: nobody else's key reads them, and nobody without one."""
    assert (await http.get("/metrics")).status_code == 401
    assert (await product.get("/metrics")).status_code == 403
    assert (await acme.scim.get(f"{acme.scim.base_url.copy_with(path='/metrics')}")).status_code == 401


async def test_in_prometheus_words(operator: httpx.AsyncClient) -> None:
    """The answer is Prometheus' text format, and kept by nobody on the way."""
    answer = await operator.get("/metrics")
    assert answer.headers["content-type"] == f"{metrics.CONTENT_TYPE}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "# TYPE rollcall_calls_total counter" in answer.text or "# TYPE rollcall_calls counter" in answer.text


async def test_calls_by_what_became_of_them(acme: Tenant, figure: Figure) -> None:
    """A call counts by method, declared address, outcome and the tenant's profile."""
    one = 'method="GET",outcome="{}",profile="default",route="/scim/v2/Users/{{user_id}}"'
    answered, refused = (f"rollcall_calls_total{{{one.format(each)}}}" for each in ("answered", "refused"))
    person = await acme.person()
    before = await figure(answered), await figure(refused)
    assert (await acme.scim.get(f"/Users/{person['id']}")).status_code == 200
    assert (await acme.scim.get(f"/Users/{acme.id}")).status_code == 404
    assert (await figure(answered), await figure(refused)) == (before[0] + 1, before[1] + 1)
    timed = 'rollcall_call_seconds_count{method="GET",route="/scim/v2/Users/{user_id}"}'
    assert await figure(timed) >= 2


async def test_head_counts_as_itself(acme: Tenant, figure: Figure) -> None:
    """A HEAD is answered like a GET, and is a series of its own beside it, whichever comes first."""
    route = "/scim/v2/Groups/{group_id}"
    lines = [
        f'rollcall_calls_total{{method="{method}",outcome="refused",profile="default",route="{route}"}}'
        for method in ("HEAD", "GET")
    ]
    before = [await figure(line) for line in lines]
    for method in ("HEAD", "GET", "HEAD"):
        assert (await acme.scim.request(method, f"/Groups/{acme.id}")).status_code == 404
    assert [await figure(line) for line in lines] == [before[0] + 2, before[1] + 1]
    assert "HttpMethod" not in metrics.exposition().decode()


async def test_whoever_makes_up_addresses_makes_no_series(http: httpx.AsyncClient, figure: Figure) -> None:
    """Addresses and methods that there are none of are one series each."""
    for number in range(3):
        await http.get(f"/no/such/address/{number}")
        await http.request(f"METHOD{number}", "/health/live")
    text = metrics.exposition().decode()
    assert "such" not in text
    assert "METHOD" not in text
    assert await figure('rollcall_calls_total{method="GET",outcome="refused",profile="",route="none"}') >= 3


async def test_refusals_by_reason(acme: Tenant, http: httpx.AsyncClient, figure: Figure) -> None:
    """Refusals count by a reason from a list of ours, and those of the gate by its verdict."""
    lines = (
        'rollcall_refusals_total{reason="invalidFilter",surface="scim"}',
        'rollcall_refusals_total{reason="Unauthorized",surface="scim"}',
        'rollcall_refusals_total{reason="unauthenticated",surface="management"}',
        'rollcall_gate_refusals_total{verdict="revoked"}',
    )
    before = [await figure(line) for line in lines]
    await acme.scim.get("/Users", params={"filter": "nonsense ?? 1"})
    await http.get("/v1/tenants")
    listed: Any = (await acme.callers.operator.get(f"/v1/tenants/{acme.slug}/tokens")).json()
    tokens = cast("list[dict[str, Any]]", listed["data"] if isinstance(listed, dict) else listed)
    for token in tokens:
        await acme.callers.operator.post(f"/v1/tenants/{acme.slug}/tokens/{token['id']}/revoke")
    assert (await acme.scim.get("/Users")).status_code == 401
    assert [await figure(line) for line in lines] == [number + 1 for number in before]


async def test_what_waits(acme: Tenant, figure: Figure) -> None:
    """A departure that no relay has taken yet is seen to wait, and for how long."""
    before = await figure('rollcall_outbox_waiting{kind="message"}')
    person = await acme.person()
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    assert await figure('rollcall_outbox_waiting{kind="message"}') > before
    assert await figure('rollcall_outbox_oldest_seconds{kind="message"}') > 0
    assert await figure('rollcall_outbox_dead{kind="delivery"}') >= 0


async def test_nobody_is_named(acme: Tenant, callers: Callers, database: Database) -> None:
    """No figure names a tenant, a person or a key."""
    person = await acme.person("named@acme.test")
    await acme.scim.get(f"/Users/{person['id']}")
    text = (await callers.operator.get("/metrics")).text
    for name in (acme.slug, acme.id, person["id"], "named@acme.test", "rc_scim_"):
        assert name not in text
    names = {name for line in text.splitlines() for name in re.findall(r'(\w+)="', line)}
    allowed = {"method", "route", "outcome", "profile", "surface", "reason", "verdict", "kind", "le", "task", "queue"}
    assert names <= allowed


async def test_waits_for_connections(settings: Settings, app: Litestar) -> None:
    """A statement that had to wait for a connection says for how long; one that need not, nothing."""
    waits: list[float] = []
    pool = HotPool(settings.database_url.get_secret_value(), Turns(1, on_wait=waits.append))
    await pool.fetchval("SELECT 1")
    assert waits == []
    await asyncio.gather(pool.fetchval("SELECT pg_sleep(0.2)"), pool.fetchval("SELECT 1"))
    await pool.close()
    assert len(waits) == 1
    assert 0.15 < waits[0] < 5
