"""No process remembers: what one of them commits holds for the next call on every other one."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from litestar import Litestar

from factories import USER, Callers, Tenant, a_tenant, deactivation, in_process


def through(app: Litestar, token: str, path: str = "/scim/v2") -> httpx.AsyncClient:
    """Somebody who presents *token* to this process."""
    return httpx.AsyncClient(
        transport=in_process(app),
        base_url=f"http://rollcall.test{path}",
        headers={"Authorization": f"Bearer {token}"},
    )


async def revoke(tenant: Tenant) -> httpx.Response:
    return await tenant.callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")


async def rotate(tenant: Tenant) -> httpx.Response:
    return await tenant.callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/rotate", json={})


async def demote(tenant: Tenant) -> httpx.Response:
    return await tenant.callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/demote")


async def leave(tenant: Tenant) -> httpx.Response:
    return await tenant.scim.patch(f"/Users/{tenant.admin['scim_id']}", json=deactivation())


async def suspend(tenant: Tenant) -> httpx.Response:
    return await tenant.callers.operator.post(f"{tenant.v1}/suspend")


async def downgrade(tenant: Tenant) -> httpx.Response:
    return await tenant.callers.operator.patch(tenant.v1, json={"plan": "free"})


@pytest.mark.parametrize(
    ("end", "status"),
    [(revoke, 401), (rotate, 401), (demote, 401), (leave, 401), (suspend, 403), (downgrade, 403)],
)
async def test_scim_at_the_next_request(
    callers: Callers, second_app: Litestar, end: Callable[[Tenant], Awaitable[httpx.Response]], status: int
) -> None:
    """What ends a token in one process ends it at the next request to another, that has just let it through."""
    tenant = await a_tenant(callers)
    async with through(second_app, tenant.token["token"]) as elsewhere:
        assert (await elsewhere.get("/Users")).status_code == 200
        done = await end(tenant)
        assert done.status_code in (200, 201), done.text
        assert (await elsewhere.post("/Users", json={"schemas": [USER], "userName": "late"})).status_code == status


async def test_session_at_the_next_request(callers: Callers, second_app: Litestar) -> None:
    """A session that another process has just called good is not good there after its person was deactivated here."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    session = await tenant.session(maria)
    key = callers.product.headers["authorization"].removeprefix("Bearer ")
    async with through(second_app, key, "") as elsewhere:
        assert (await elsewhere.post("/oauth/introspect", data={"token": session})).json()["active"] is True
        await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
        assert (await elsewhere.post("/oauth/introspect", data={"token": session})).json() == {"active": False}


async def test_role_rule_at_the_next_request(callers: Callers, second_app: Litestar) -> None:
    """A rule edited in one process decides the next person created through another."""
    tenant = await a_tenant(callers)
    async with through(second_app, tenant.token["token"]) as elsewhere:
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "first"}
        await elsewhere.post("/Users", json=body)
        rule = (await callers.operator.get(f"{tenant.v1}/role-rule")).json()["rule"]
        edited = await callers.operator.put(f"{tenant.v1}/role-rule", json=rule | {"default": "guest"})
        assert edited.status_code == 200, edited.text
        await elsewhere.post("/Users", json=body | {"userName": "second"})
    people = (await callers.operator.get(f"{tenant.v1}/people", params={"user_name": "second"})).json()["data"]
    assert people[0]["role"] == "guest"


async def test_limit_is_shared(callers: Callers, second_app: Litestar) -> None:
    """Two processes take from one bucket: together they let through no more than the tenant's limit."""
    tenant = await a_tenant(callers, rate_per_second=25, rate_burst=8)
    redis = callers.app.state.redis
    async with through(second_app, tenant.token["token"]) as elsewhere:
        assert (await tenant.scim.get("/Users")).status_code == 200
        seconds, microseconds = await redis.time()
        await redis.hset(
            f"rollcall:rate:{tenant.id}", mapping={"permits": "-99", "at": f"{seconds}.{microseconds:06d}"}
        )
        assert (await elsewhere.get("/Users")).status_code == 429
