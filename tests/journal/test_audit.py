"""The audit: one entry for each call, whatever became of it, and a payload that stands apart from its digest."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from factories import ORIGIN, USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.crypto import TokenKind, new_token
from rollcall.db import Connection, Database
from rollcall.errors import Conflict
from rollcall.journal import record
from rollcall.journal.events import TenantSuspended, UserUpdated
from rollcall.work import SYSTEM, open_fleet

JSON = {"Content-Type": "application/scim+json"}


@pytest_asyncio.fixture
async def tenant(callers: Callers) -> Tenant:
    """A fresh tenant."""
    return await a_tenant(callers)


async def entry_of(tenant: Tenant, method: str, path: str, **more: Any) -> tuple[httpx.Response, dict[str, Any]]:
    """Make one SCIM call; returns its answer and the one entry it left."""
    name = uuid4().hex
    headers = more.pop("headers", {}) | {"X-Request-Id": name}
    answer = await tenant.scim.request(method, path, headers=headers, **more)
    assert answer.headers["x-request-id"] == name
    (entry,) = await tenant.audit(request_id=name)
    assert (entry["method"], entry["path"]) == (method, f"/scim/v2{path.partition('?')[0]}")
    assert (entry["actor_kind"], entry["actor_id"]) == ("scim_token", tenant.token["id"])
    assert (entry["actor_label"], entry["owner_id"]) == ("identity provider", tenant.admin["id"])
    assert entry["source"] == "127.0.0.1"
    assert entry["outcome"] == ("done" if answer.is_success else "refused")
    return answer, entry


async def test_read(tenant: Tenant) -> None:
    """A successful read leaves one entry that names the person read."""
    maria = await tenant.person()
    _, entry = await entry_of(tenant, "GET", f"/Users/{maria['id']}")
    assert (entry["action"], entry["status"], entry["target"]) == ("scim.users.read", 200, maria["id"])
    assert entry["payload"] is None


async def test_list(tenant: Tenant) -> None:
    """A list leaves one entry, not one for each person in it."""
    await tenant.person()
    _, entry = await entry_of(tenant, "GET", "/Users?count=10")
    assert (entry["action"], entry["status"], entry["target"]) == ("scim.users.list", 200, None)


async def test_create(tenant: Tenant) -> None:
    """A creation's entry has what was sent, who came of it, and the event it was."""
    body = {"schemas": [USER], "userName": "maria", "title": "Dr."}
    answer, entry = await entry_of(tenant, "POST", "/Users", json=body)
    assert (entry["action"], entry["status"]) == ("scim.users.create", 201)
    assert entry["person_id"] == entry["target"] == answer.json()["id"]
    assert entry["payload"] == body
    assert entry["events"] == ["user.provisioned"]


async def test_patch(tenant: Tenant) -> None:
    """A change's entry has the operations as they were sent."""
    maria = await tenant.person()
    body = patch_op({"op": "Replace", "path": "title", "value": "Dr."})
    _, entry = await entry_of(tenant, "PATCH", f"/Users/{maria['id']}", json=body)
    assert (entry["action"], entry["status"], entry["person_id"]) == ("scim.users.patch", 200, maria["id"])
    assert entry["payload"] == body
    assert entry["events"] == ["user.updated"]


async def test_change_that_changes_nothing(tenant: Tenant) -> None:
    """A change that asks for what is so already leaves an entry too, with no event."""
    maria = await tenant.person()
    body = patch_op({"op": "replace", "path": "userName", "value": maria["userName"]})
    _, entry = await entry_of(tenant, "PATCH", f"/Users/{maria['id']}", json=body)
    assert (entry["outcome"], entry["events"]) == ("done", [])


async def test_replace(tenant: Tenant) -> None:
    """So does a PUT."""
    maria = await tenant.person()
    body = {"schemas": [USER], "userName": "other name"}
    _, entry = await entry_of(tenant, "PUT", f"/Users/{maria['id']}", json=body)
    assert (entry["action"], entry["status"], entry["payload"]) == ("scim.users.replace", 200, body)


async def test_deactivation(tenant: Tenant) -> None:
    """A deactivation's entry names it and what it closed."""
    maria = await tenant.person()
    await tenant.session(maria)
    _, entry = await entry_of(tenant, "PATCH", f"/Users/{maria['id']}", json=deactivation())
    assert "user.deactivated" in entry["events"]
    assert json.loads(entry["detail"])["sessions"] == 1


async def test_delete(tenant: Tenant) -> None:
    """A deletion's entry names the person, who can no longer be read."""
    maria = await tenant.person()
    _, entry = await entry_of(tenant, "DELETE", f"/Users/{maria['id']}")
    assert (entry["action"], entry["status"], entry["person_id"]) == ("scim.users.delete", 204, maria["id"])
    assert entry["events"] == ["user.deactivated", "user.removed"]


async def test_refused_for_uniqueness(tenant: Tenant) -> None:
    """A taken userName is written down with what was sent."""
    body = {"schemas": [USER], "userName": tenant.admin["user_name"]}
    answer, entry = await entry_of(tenant, "POST", "/Users", json=body)
    assert answer.status_code == entry["status"] == 409
    assert entry["payload"] == body


async def test_refused_for_conflicting_roles(tenant: Tenant) -> None:
    """Conflicting roles are written down with their case, and nobody was created."""
    body = {"schemas": [USER], "userName": "torn", "roles": ["dart-admins", "dart-guests"]}
    answer, entry = await entry_of(tenant, "POST", "/Users", json=body)
    assert answer.status_code == entry["status"] == 400
    assert (entry["target"], entry["events"]) == ("torn", ["conflict.opened"])
    assert entry["payload"] == body


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_not_found(tenant: Tenant, method: str) -> None:
    """A call on somebody who is not there is written down."""
    body = {"PUT": {"schemas": [USER], "userName": "x"}, "PATCH": deactivation()}.get(method)
    answer, entry = await entry_of(tenant, method, f"/Users/{uuid4()}", json=body)
    assert answer.status_code == entry["status"] == 404
    assert entry["payload"] == body


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b'{"a": 1, "A": 2}', JSON, 400),
        (b'{"a": "\\u0000"}', JSON, 400),
        (b"{}", {"Content-Type": "text/csv"}, 415),
        (b"x" * 1_100_000, JSON, 413),
        (b'{"schemas": [], "userName": 3}', JSON, 400),
    ],
)
async def test_unreadable(tenant: Tenant, body: bytes, headers: dict[str, str], status: int) -> None:
    """A body that can't be read is written down without it; the call is known all the same."""
    answer, entry = await entry_of(tenant, "POST", "/Users", content=body, headers=headers)
    assert answer.status_code == entry["status"] == status
    assert answer.json()["detail"] == f"{entry['detail']} (request {answer.headers['x-request-id']})"


async def test_bad_filter(tenant: Tenant) -> None:
    """So is a filter that can't be read."""
    answer, entry = await entry_of(tenant, "GET", "/Users?filter=userName eq")
    assert answer.status_code == entry["status"] == 400


async def test_known_token_refused(tenant: Tenant) -> None:
    """A call with a token that is known and no longer good is written down singly, with the token's name."""
    await tenant.callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    answer, entry = await entry_of(tenant, "GET", "/Users")
    assert answer.status_code == entry["status"] == 401


async def test_wrong_plan(callers: Callers) -> None:
    """So is one whose tenant's plan has no SCIM."""
    answer, entry = await entry_of(await a_tenant(callers, plan="free"), "POST", "/Users", json={"userName": "x"})
    assert answer.status_code == entry["status"] == 403
    assert entry["payload"] is None


async def test_guessed_secret_is_nameless(tenant: Tenant, owner: Connection) -> None:
    """A wrong secret for a known token leaves no entry in its tenant's audit: anybody can send those."""
    guess = new_token(TokenKind.SCIM, UUID(tenant.id), UUID(tenant.token["id"]))
    count = "SELECT count(*) FROM audit_entries WHERE tenant_id = $1"
    before = await owner.fetchval(count, UUID(tenant.id))
    async with tenant.callers.bearer(guess, path="/scim/v2") as client:
        for _ in range(5):
            assert (await client.get("/Users")).status_code == 401
    assert len(await tenant.audit()) == before


async def test_other_surfaces(tenant: Tenant) -> None:
    """What ops do through the management API stands in the tenant's audit under their key's name."""
    await tenant.callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/demote")
    (entry,) = await tenant.audit(action="user.role_changed")
    assert (entry["actor_kind"], entry["actor_label"]) == ("operator", "ops under test")
    assert entry["person_id"] == tenant.admin["id"]
    assert entry["payload"]["after"] == "member"


async def test_refused_by_management(tenant: Tenant) -> None:
    """A refusal of the management API is written down; what the call had done by then is undone."""
    gone = await tenant.person()
    await tenant.callers.operator.post(f"{tenant.v1}/people/{gone['id']}/deactivate")
    wanted = {"label": "x", "owner": gone["id"]}
    refused = await tenant.callers.operator.post(f"{tenant.v1}/tokens", json=wanted)
    assert refused.status_code == 409
    (entry,) = await tenant.audit(outcome="refused")
    assert (entry["action"], entry["status"]) == ("v1.issue_token", 409)
    assert entry["detail"] == refused.json()["detail"]


async def test_digest(tenant: Tenant, owner: Connection) -> None:
    """An entry's digest is the SHA-256 of its payload's text as PostgreSQL writes it."""
    await tenant.person("Zoë", nickName="ظ", emails=[{"value": "z@x.test", "primary": True}])
    rows = await owner.fetch(
        "SELECT e.payload_digest = sha256(convert_to(p.payload::text, 'UTF8')) AS fits FROM audit_entries e "
        "JOIN audit_payloads p ON p.tenant_id = e.tenant_id AND p.at = e.at AND p.entry_id = e.id "
        "WHERE e.tenant_id = $1",
        UUID(tenant.id),
    )
    assert len(rows) >= 4
    assert all(row["fits"] for row in rows)
    lonely = "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND payload_digest IS NOT NULL"
    assert await owner.fetchval(lonely, UUID(tenant.id)) == len(rows)


async def test_erased_payload(tenant: Tenant, owner: Connection) -> None:
    """When a payload is erased the entry and its digest stay, and reading shows that there is nothing to show."""
    await tenant.person()
    await owner.execute("DELETE FROM audit_payloads WHERE tenant_id = $1", UUID(tenant.id))
    (entry,) = await tenant.audit(action="scim.users.create")
    assert entry["payload"] is None
    digests = "SELECT count(payload_digest) FROM audit_entries WHERE tenant_id = $1 AND action = 'scim.users.create'"
    assert await owner.fetchval(digests, UUID(tenant.id)) == 1


async def test_record_tells_both(tenant: Tenant, owner: Connection) -> None:
    """An event is entered and handed to the outbox from the same value."""
    async with tenant.work() as work:
        await record.record(work, UserUpdated(), account_id=UUID(tenant.admin["id"]))
    (entry,) = await tenant.audit(action="user.updated")
    message = await owner.fetchrow(
        "SELECT account_id, request_id FROM outbox WHERE tenant_id = $1 AND topic = 'user.updated'", UUID(tenant.id)
    )
    assert message is not None
    assert str(message["account_id"]) == entry["person_id"] == tenant.admin["id"]
    assert message["request_id"] == entry["request_id"]


async def test_undone_together(tenant: Tenant, owner: Connection) -> None:
    """When the work is refused, neither the entry nor the message of what it had done remains."""
    with pytest.raises(Conflict):
        async with tenant.work() as work:
            await record.record(work, UserUpdated())
            msg = "no"
            raise Conflict(msg)
    assert await tenant.audit(action="user.updated") == []
    messages = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND topic = 'user.updated'"
    assert await owner.fetchval(messages, UUID(tenant.id)) == 0


async def test_fleet_writes_for_tenants(callers: Callers, database: Database, tenant: Tenant) -> None:
    """Work across tenants enters what it does into each tenant's own audit."""
    assert (await callers.operator.post(f"{tenant.v1}/suspend")).status_code == 200
    (entry,) = await tenant.audit(action=TenantSuspended.topic)
    assert entry["target"] == tenant.id


async def test_installation(database: Database, owner: Connection, tenant: Tenant) -> None:
    """What concerns no tenant is entered for the installation, where no tenant's audit shows it."""
    before = len(await tenant.audit())
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await record.record_for_installation(fleet, UserUpdated(), target="everybody")
    entry = await owner.fetchrow("SELECT tenant_id FROM audit_entries WHERE target = 'everybody'")
    assert entry is not None
    assert entry["tenant_id"] == record.INSTALLATION
    assert len(await tenant.audit()) == before


async def test_at_the_same_moment(tenant: Tenant) -> None:
    """Calls at the same moment each leave their entry."""
    await asyncio.gather(*(tenant.person() for _ in range(20)))
    assert len(await tenant.audit(action="scim.users.create")) == 20
