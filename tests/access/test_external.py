"""External credentials: the product registers by name what it gave somebody, and hears whether it is still good."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.expect import turned_down
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.access import external, revocation
from rollcall.db import Connection
from rows import until_waiting

REACTIVATION = patch_op({"op": "replace", "path": "active", "value": True})


async def register(tenant: Tenant, person: dict[str, Any], **wanted: Any) -> httpx.Response:
    """Register a credential; the answer as it is."""
    return await tenant.callers.product.post(
        f"{tenant.v1}/people/{person['id']}/external-credentials", json={"kind": "ssh_key", "name": "k"} | wanted
    )


async def state(tenant: Tenant, kind: str = "ssh_key", name: str = "k") -> dict[str, Any]:
    """Everything the product hears about a credential."""
    params = {"kind": kind, "name": name}
    answer = await tenant.callers.product.get(f"{tenant.v1}/external-credentials/state", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return {name: value for name, value in answer.json().items() if value is not None}


async def test_registered_is_good(callers: Callers) -> None:
    """A registered credential is good, with whose it is and the role they have now; an unknown one is just not."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    credential = (await register(tenant, maria, label="laptop")).json()
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/role", json={"role": "guest"})

    assert await state(tenant) == {"active": True, "id": credential["id"], "sub": maria["id"], "role": "guest"}
    assert await state(tenant, name="other") == await state(tenant, kind="api_key") == {"active": False}
    (listed,) = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/external-credentials")).json()["data"]
    assert listed == credential


async def test_twice_is_once(callers: Callers) -> None:
    """Registering again, also at the same moment, answers with the one there is; somebody else's name is taken."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    answers = await asyncio.gather(*(register(tenant, maria) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await tenant.audit(action="external_credential.registered")) == 1
    turned_down(await register(tenant, noor), 409, "taken", "“k”")
    assert (await register(tenant, noor, kind="api_key")).status_code == 201


async def test_one_name_for_two_people_at_once(callers: Callers) -> None:
    """Of two people who are given the same name at the same moment one gets it."""
    tenant = await a_tenant(callers)
    people = [await tenant.person() for _ in range(5)]
    answers = await asyncio.gather(*(register(tenant, person) for person in people))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_tenants_do_not_meet(callers: Callers) -> None:
    """Two tenants use the same name, and neither hears of, lists or closes the other's."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria, noor = await tenant.person(), await other.person()
    theirs = (await register(other, noor)).json()
    assert await state(tenant) == {"active": False}
    assert (await register(tenant, maria)).status_code == 201
    assert (await state(tenant))["sub"] == maria["id"]
    turned_down(await callers.product.delete(f"{tenant.v1}/external-credentials/{theirs['id']}"), 404, "not_found")
    assert (await state(other))["active"] is True


async def test_closing(callers: Callers) -> None:
    """A closed one is not good, closing twice is once; its name is free, and what is registered anew is another one."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    first = (await register(tenant, maria)).json()
    for _ in range(2):
        assert (await callers.product.delete(f"{tenant.v1}/external-credentials/{first['id']}")).status_code == 204
    assert await state(tenant) == {"active": False}
    assert len(await tenant.audit(action="external_credential.closed")) == 1
    again = (await register(tenant, noor)).json()
    assert again["id"] != first["id"]
    assert (await state(tenant))["sub"] == noor["id"]


async def test_leaving_closes_it_for_good(callers: Callers, owner: Connection) -> None:
    """It ends with its person and does not come back with them; nothing is registered for who is inactive."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    first = await register(tenant, maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert await state(tenant) == {"active": False}
    turned_down(await register(tenant, maria), 409, "person_inactive")
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    assert await state(tenant) == {"active": False}
    assert (await register(tenant, maria)).json()["id"] != first.json()["id"]
    assert (
        await owner.fetchval("SELECT count(*) FROM external_credentials WHERE account_id = $1", UUID(maria["id"])) == 2
    )


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "active = false"])
async def test_open_row_is_not_enough(callers: Callers, owner: Connection, change: str) -> None:
    """An open row of another epoch, or of an account that is not active, is not good."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await register(tenant, maria)
    await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", UUID(maria["id"]))
    assert await state(tenant) == {"active": False}


async def test_suspended_tenant(callers: Callers) -> None:
    """In a suspended tenant nothing is good, and nothing is registered."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await register(tenant, maria)
    await callers.operator.post(f"{tenant.v1}/suspend")
    assert await state(tenant) == {"active": False}
    turned_down(await register(tenant, maria, name="second"), 403, "forbidden", "suspended")


async def test_expiry(callers: Callers, owner: Connection) -> None:
    """An expired one is neither good nor listed nor counted, and gives its name free to anybody."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    first = await register(tenant, maria, expires_at=soon)
    assert first.status_code == 201
    assert (await state(tenant))["active"] is True
    await owner.execute("UPDATE external_credentials SET expires_at = now() WHERE id = $1", UUID(first.json()["id"]))
    assert await state(tenant) == {"active": False}
    assert (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/external-credentials")).json()["data"] == []
    async with tenant.work() as work:
        closed = await revocation.end_all(work, UUID(maria["id"]), reason="test")
    assert closed is not None
    assert closed["external"] == 0
    assert (await register(tenant, noor)).status_code == 201


async def test_registered_first(callers: Callers, owner: Connection) -> None:
    """A deactivation waits for a credential that is just being registered, and closes it."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    async with tenant.work() as work:
        await external.register(work, UUID(maria["id"]), kind="ssh_key", name="k")
        leaving = asyncio.create_task(tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()))
        await until_waiting(owner, leaving)
    assert (await leaving).status_code == 200
    assert await state(tenant) == {"active": False}


async def test_a_thousand_at_most(callers: Callers, owner: Connection) -> None:
    """A person has 1,000 live ones at most."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await owner.execute(
        "INSERT INTO external_credentials (tenant_id, id, account_id, epoch, kind, name) "
        f"SELECT '{tenant.id}', gen_random_uuid(), '{maria['id']}', 1, 'api_key', n::text "
        "FROM generate_series(1, 999) n"
    )
    assert (await register(tenant, maria)).status_code == 201
    turned_down(await register(tenant, maria, name="one more"), 409, "too_many", "1000")
    assert (await register(tenant, maria)).status_code == 201


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "SSH"},
        {"kind": "x" * 33},
        {"kind": ""},
        {"name": ""},
        {"name": "x" * 501},
        {"name": "a\x00b"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"secret": "x"},
    ],
    ids=["upper", "long", "empty", "nameless", "long name", "nul", "past", "secret"],
)
async def test_what_is_none(callers: Callers, wanted: dict[str, Any]) -> None:
    """A credential that can't be registered is refused, and the detail names the field."""
    tenant = await a_tenant(callers)
    turned_down(await register(tenant, await tenant.person(), **wanted), 400, "invalid", next(iter(wanted)))


async def test_who_may(callers: Callers, http: httpx.AsyncClient) -> None:
    """The product registers and asks; a tenant's admin sees and closes; another tenant's finds nothing."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria = await tenant.person()
    credential = (await register(tenant, maria)).json()
    people, one = f"{tenant.v1}/people/{maria['id']}/external-credentials", f"{tenant.v1}/external-credentials"
    issued = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    strangers = await other.issue_token(scopes=["admin"], owner=other.admin["id"])
    async with callers.bearer(issued["token"]) as ada, callers.bearer(strangers["token"]) as stranger:
        assert (await ada.post(people, json={})).status_code == 403
        assert (await ada.get(f"{one}/state", params={"kind": "a", "name": "b"})).status_code == 403
        assert (await stranger.get(people)).status_code == 404
        assert (await stranger.delete(f"{one}/{credential['id']}")).status_code == 404
        assert (await http.post(people, content=b"{")).status_code == 401
        assert len((await ada.get(people)).json()["data"]) == 1
        assert (await ada.delete(f"{one}/{uuid4()}")).status_code == 404
        assert (await ada.delete(f"{one}/{credential['id']}")).status_code == 204
    turned_down(await callers.product.get(f"{one}/state", params={"kind": "a"}), 400, "invalid", "name")
