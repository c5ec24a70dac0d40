"""Rollcall behind a pooler that lends a server's connection for one transaction and keeps no named statements."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import httpx
import pytest

from api.scim.test_groups import GROUP
from factories import USER, Tenant, a_tenant, alive, deactivation, make_callers, patch_op
from poolers import PGBOUNCER, keeps_statements, pooled
from rollcall.app import create_app
from rollcall.db import Connection
from rollcall.proof import receipts
from rollcall.settings import Settings

AT_ONCE = 8
ROUNDS = 4

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer on this machine")


@asynccontextmanager
async def behind_a_pooler(
    settings: Settings, folder: Path, *, named_statements: bool
) -> AsyncGenerator[tuple[Tenant, Tenant]]:
    """Two tenants of an installation whose eight connections take turns on four of the server's."""
    options = {"max_prepared_statements": 0} if keeps_statements() else {}
    async with pooled(settings.database_url, folder, "transaction", default_pool_size=4, **options) as url:
        there = settings.model_copy(
            update={
                "database_url": url,
                "database_pool_size": AT_ONCE,
                "database_pool_share": AT_ONCE // 2,
                "database_named_statements": named_statements,
            }
        )
        async with (
            alive(create_app(there)) as app,
            make_callers(app, app.state.database, settings.public_url) as callers,
        ):
            yield await a_tenant(callers), await a_tenant(callers)


async def conversation(acme: Tenant, number: int) -> list[httpx.Response]:
    """What a provider, the product and ops say about one person, from their first day to their last."""
    scim, operator, product = acme.scim, acme.callers.operator, acme.callers.product
    answers: list[httpx.Response] = []

    def keep(answer: httpx.Response) -> dict[str, str]:
        answers.append(answer)
        return answer.json() if answer.status_code < 300 and answer.content else {}

    name = f"person-{number}@acme.test"
    person = keep(await scim.post("/Users", json={"schemas": [USER], "userName": name, "externalId": name}))
    address = f"/Users/{person.get('id')}"
    found = keep(await scim.get("/Users", params={"filter": f'userName eq "{name}"'}))
    group = keep(await scim.post("/Groups", json={"schemas": [GROUP], "displayName": f"group {number}"}))
    members = {"op": "add", "path": "members", "value": [{"value": person.get("id")}]}
    keep(await scim.patch(f"/Groups/{group.get('id')}", json=patch_op(members)))
    keep(await scim.patch(address, json=patch_op({"op": "replace", "path": "title", "value": "Dr"})))
    keep(await scim.put(address, json={"schemas": [USER], "userName": name, "externalId": name, "active": True}))
    keep(await scim.get(address))
    keep(await operator.get(f"{acme.v1}/people"))
    session = keep(await product.post("/v1/sessions", json={"tenant": acme.slug, "person": person.get("id")}))
    question = {"token": session.get("token", "none")}
    good = keep(await product.post("/oauth/introspect", data=question))
    keep(await scim.patch(address, json=deactivation()))
    over = keep(await product.post("/oauth/introspect", data=question))
    keep(await operator.get(f"{acme.v1}/audit"))
    keep(await scim.delete(address))
    if all(answer.status_code < 500 for answer in answers):
        assert found.get("totalResults") == 1, "the other tenant has somebody of this name too"
        assert (good.get("active"), over.get("active")) == (True, False)
    return answers


async def conversations(tenants: Sequence[Tenant], number: int) -> list[httpx.Response]:
    """Eight conversations at once, of people whose names both tenants have."""
    each = -(-AT_ONCE // len(tenants))
    said = await asyncio.gather(*(conversation(to, number * each + turn) for to in tenants for turn in range(each)))
    return [answer for answers in said for answer in answers]


async def test_without_names(settings: Settings, owner: Connection, tmp_path: Path) -> None:
    """With statements that have no names every call is answered, and so is what the workers do afterwards."""
    async with behind_a_pooler(settings, tmp_path, named_statements=False) as tenants:
        found: Counter[int] = Counter()
        for number in range(ROUNDS):
            found.update(answer.status_code for answer in await conversations(tenants, number))
        settled = [await departures_settled(tenant, owner) for tenant in tenants]
    assert set(found) == {200, 201, 204}, found
    assert found.total() == AT_ONCE * ROUNDS * 14
    assert settled == [AT_ONCE * ROUNDS // 2] * 2


async def departures_settled(tenant: Tenant, owner: Connection) -> int:
    """Write the receipts of a tenant's departures, as a worker does; returns how many."""
    messages = await owner.fetch(
        "SELECT id FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'", UUID(tenant.id)
    )
    for message in messages:
        async with tenant.work() as work:
            assert await receipts.settle(work, message["id"])
    return len(messages)


async def test_with_names(settings: Settings, tmp_path: Path) -> None:
    """With names some calls fail: the pooler of this test is one that loses them."""
    failed = 0
    try:
        async with behind_a_pooler(settings, tmp_path, named_statements=True) as tenants:
            failed = sum(answer.status_code == 500 for answer in await conversations(tenants, 0))
    except* asyncpg.PostgresError as lost:  # it may come to it before there is a tenant, or as the process ends
        failed += len(lost.exceptions)
    assert failed > 0
