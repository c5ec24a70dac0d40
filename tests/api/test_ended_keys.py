"""A key that ends while its call is under way does nothing: with a body that is held back, and with a lock that is."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.v1.rights import ADMINS, ANYBODY, NOBODY, OPS, PERSON, PRODUCT, ROUTES, TENANT, Route, body_of, ids
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.crypto import TokenKind, read_token
from rollcall.db import Connection
from rollcall.functions import qualified
from rollcall.tenancy import operators
from rollcall.work import SYSTEM, RequestOrigin, open_fleet
from rows import until_waiting

ENDINGS = {
    "revoked": "UPDATE tokens SET revoked_at = clock_timestamp(), revoked_because = 'revoked' "
    "WHERE tenant_id = $1 AND id = $2",
    "expired": "UPDATE tokens SET expires_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2",
    "owner demoted": "UPDATE accounts SET is_admin = false WHERE tenant_id = $1 AND id = ("
    "SELECT owner_id FROM tokens WHERE id = $2)",
    "owner gone": qualified(
        "SELECT fn.leave($1, owner_id, 'left', 'ending', now()) FROM tokens WHERE tenant_id = $1 AND id = $2"
    ),
    "tenant suspended": "UPDATE tenants SET status = 'suspended' WHERE id = $1 AND $2::uuid IS NOT NULL",
}
"""What ends an admin's token; $1 is the tenant and $2 the token."""

KEY_REVOKED = "UPDATE installation_keys SET revoked_at = clock_timestamp() WHERE id = $2 AND $1::uuid IS NOT NULL"

IDLE = {
    f"DELETE {PERSON}/role-override",  # there is no override
    f"POST {PERSON}/passkeys/begin",  # a challenge opens nothing and is not entered
    f"POST {TENANT}/passkeys/sign-in/begin",
    f"DELETE {TENANT}/deputy",  # there is none
    "POST /v1/billing/reconcile",  # it asks somebody, and what that changes is entered then
    f"POST {TENANT}/role-rule/preview",  # it only says what an edit would change
}
"""What changes nothing that would be entered into the audit, so that it does not come to wait there."""

WRITING = [
    route
    for route in ROUTES
    if route.method != "GET"
    and route.refused is None
    and f"{route.method} {route.address}" not in IDLE
    and not route.address.endswith(("replay-dead", "replay-since"))  # nothing has ended
]
OF_ADMINS = [route for route in WRITING if route.who in (ADMINS, ANYBODY)]
OF_OTHERS = [route for route in WRITING if route.who in (OPS, PRODUCT, ANYBODY)]

SCIM_WRITES: dict[str, Callable[["Tenant", str, str], tuple[str, str, Any]]] = {
    "create": lambda _t, _p, _g: ("POST", "/Users", {"userName": "new"}),
    "create with externalId": lambda _t, _p, _g: ("POST", "/Users", {"userName": "new", "externalId": "7"}),
    "replace": lambda _t, p, _g: ("PUT", f"/Users/{p}", {"userName": "maria", "title": "Dr"}),
    "rename": lambda _t, p, _g: ("PUT", f"/Users/{p}", {"userName": "mary"}),
    "patch": lambda _t, p, _g: ("PATCH", f"/Users/{p}", patch_op({"op": "add", "path": "title", "value": "Dr"})),
    "role": lambda _t, p, _g: (
        "PATCH",
        f"/Users/{p}",
        patch_op({"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]}),
    ),
    "deactivate": lambda _t, p, _g: ("PATCH", f"/Users/{p}", deactivation()),
    "delete": lambda _t, p, _g: ("DELETE", f"/Users/{p}", None),
    "create group": lambda _t, _p, _g: ("POST", "/Groups", {"displayName": "new"}),
    "create role group": lambda _t, p, _g: (
        "POST",
        "/Groups",
        {"displayName": "dart-admins", "members": [{"value": p}]},
    ),
    "replace group": lambda _t, p, g: ("PUT", f"/Groups/{g}", {"displayName": "g", "members": [{"value": p}]}),
    "add a member": lambda _t, p, g: (
        "PATCH",
        f"/Groups/{g}",
        patch_op({"op": "add", "path": "members", "value": [{"value": p}]}),
    ),
    "rename group": lambda _t, _p, g: (
        "PATCH",
        f"/Groups/{g}",
        patch_op({"op": "replace", "path": "displayName", "value": "dart-guests"}),
    ),
    "delete group": lambda _t, _p, g: ("DELETE", f"/Groups/{g}", None),
}


async def nothing_done(owner: Connection, request_id: str) -> None:
    """Check that nothing of a request was carried out: what is, stands in the audit, and what is told in the outbox."""
    done = await owner.fetch(
        "SELECT action FROM audit_entries WHERE request_id = $1 AND outcome = 'done' "
        "UNION ALL SELECT topic FROM outbox WHERE request_id = $1",
        request_id,
    )
    assert not done


def held(body: Any) -> tuple[AsyncGenerator[bytes], asyncio.Event, asyncio.Event]:
    """A body of which five bytes come at once and the rest when it is let go: the body, "begun", and "go on"."""
    text = json.dumps(body).encode()
    begun, go = asyncio.Event(), asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes]:
        yield text[:5]
        begun.set()
        await go.wait()
        yield text[5:]

    return chunks(), begun, go


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("route", [route for route in OF_ADMINS if route.body], ids=str)
async def test_held_body(acme: Tenant, owner: Connection, route: Route, ending: str) -> None:
    """An admin's token that ends while the body of its call is held back does nothing any more."""
    known = await ids(acme, route)
    key = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    body, begun, go = held(route.body)
    address = route.address.format_map(dict.fromkeys(route.names, NOBODY) | known)
    headers = {"Content-Type": "application/json", "X-Request-Id": f"held-{acme.slug}"}
    async with acme.callers.bearer(key) as ada:
        call = asyncio.create_task(ada.request(route.method, address, content=body, headers=headers))
        async with asyncio.timeout(10):
            await begun.wait()
        await end(owner, acme, key, ENDINGS[ending])
        go.set()
        answer = await call

    assert answer.status_code == 401, answer.text
    await nothing_done(owner, f"held-{acme.slug}")


@pytest.mark.parametrize("route", OF_ADMINS, ids=str)
async def test_held_lock(acme: Tenant, owner: Connection, watcher: Connection, route: Route) -> None:
    """An admin's token that ends while its call waits for a lock does nothing when the lock is free."""
    key = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    async with acme.callers.bearer(key) as ada:
        answer = await while_waiting(owner, watcher, acme, ada, route, (key, ENDINGS["revoked"]))

    assert answer.status_code == 401, answer.text
    assert "ended while the request was under way" in answer.json()["detail"]
    await nothing_done(owner, f"held-{acme.slug}")
    refusals = await acme.audit(outcome="refused")
    assert [entry["status"] for entry in refusals if entry["request_id"] == f"held-{acme.slug}"] == [401]


@pytest.mark.parametrize("route", OF_OTHERS, ids=str)
async def test_held_lock_of_installation_keys(
    callers: Callers, acme: Tenant, owner: Connection, watcher: Connection, route: Route
) -> None:
    """The key of an operator, or of the product, that ends while its call waits does nothing."""
    kind = "operator" if route.who == OPS else "application"
    key = await installation_key(callers, kind)
    async with acme.callers.bearer(key) as client:
        answer = await while_waiting(owner, watcher, acme, client, route, (key, KEY_REVOKED))

    assert answer.status_code == 401, answer.text
    await nothing_done(owner, f"held-{acme.slug}")


HOLDING_THE_TENANT = {"create role group", "rename group"}
"""What moves roles through groups holds the tenant's row: whoever suspends it, or changes its plan, waits for that."""


@pytest.mark.parametrize(
    ("write", "ending"),
    [
        (write, ending)
        for write in SCIM_WRITES
        for ending in (*ENDINGS, "plan without SCIM")
        if write not in HOLDING_THE_TENANT or ending not in ("tenant suspended", "plan without SCIM")
    ],
)
async def test_scim_held_lock(acme: Tenant, owner: Connection, watcher: Connection, write: str, ending: str) -> None:
    """A SCIM change that waits for a lock while its token, owner, tenant or plan ends is refused, and says why."""
    person = await acme.person("maria")
    group = (await acme.scim.post("/Groups", json={"displayName": "g"})).json()
    method, address, body = SCIM_WRITES[write](acme, person["id"], group["id"])
    statement = ENDINGS.get(ending, "UPDATE tenants SET plan = 'free' WHERE id = $1 AND $2::uuid IS NOT NULL")
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit_entries IN SHARE MODE")
        call = asyncio.create_task(
            acme.scim.request(method, address, json=body, headers={"X-Request-Id": f"held-{acme.slug}"})
        )
        await until_waiting(watcher, call)
        await end(owner, acme, acme.token["token"], statement)
    answer = await call

    status = 403 if ending in ("tenant suspended", "plan without SCIM") else 401
    assert answer.status_code == status, answer.text
    await nothing_done(owner, f"held-{acme.slug}")


LAPSED = """
UPDATE tenants SET plan = 'free', lapsed_at = clock_timestamp(), offboarding_from = clock_timestamp()
 WHERE id = $1 AND $2::uuid IS NOT NULL
"""
TAKES = {"deactivate": 200, "delete": 204, "delete group": 204}
"""What only takes away, and what it is answered."""


@pytest.mark.parametrize("write", [write for write in SCIM_WRITES if write not in HOLDING_THE_TENANT])
async def test_scim_held_lock_and_a_lapse(acme: Tenant, owner: Connection, watcher: Connection, write: str) -> None:
    """A change that waits for a lock while the plan loses SCIM gives nothing any more; one that only takes is done."""
    person = await acme.person("maria")
    group = (await acme.scim.post("/Groups", json={"displayName": "g"})).json()
    method, address, body = SCIM_WRITES[write](acme, person["id"], group["id"])
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit_entries IN SHARE MODE")
        call = asyncio.create_task(
            acme.scim.request(method, address, json=body, headers={"X-Request-Id": f"held-{acme.slug}"})
        )
        await until_waiting(watcher, call)
        await end(owner, acme, acme.token["token"], LAPSED)
    answer = await call
    assert answer.status_code == TAKES.get(write, 403), answer.text
    if write not in TAKES:
        assert "does not include SCIM since" in answer.json()["detail"]
        await nothing_done(owner, f"held-{acme.slug}")


async def test_own_end_counts_for_nothing(acme: Tenant) -> None:
    """Deactivating the token's own owner is obeyed, by SCIM and by the owner's own token, and the call after is 401."""
    provider = await acme.scim.patch(f"/Users/{acme.admin['id']}", json=deactivation())
    assert provider.status_code == 200, provider.text
    assert (await acme.scim.get("/Users")).status_code == 401

    other = await a_tenant(acme.callers)
    key = (await other.issue_token(scopes=["admin"], owner=other.admin["id"]))["token"]
    async with other.callers.bearer(key) as ada:
        answer = await ada.post(f"{other.v1}/people/{other.admin['id']}/deactivate", json={"reason": "bye"})
        assert answer.status_code == 200, answer.text
        assert (await ada.get(other.v1)).status_code == 401


async def test_departure_waits_for_no_change_of_somebody_else(
    acme: Tenant, owner: Connection, watcher: Connection
) -> None:
    """The owner of a token leaves at once while a change made with it waits, and that change is refused."""
    person = await acme.person("maria")
    async with owner.transaction():
        await owner.fetchrow("SELECT FROM users WHERE id = $1 FOR UPDATE", UUID(person["id"]))
        title = patch_op({"op": "add", "path": "title", "value": "Dr"})
        slow = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=title))
        await until_waiting(watcher, slow)
        async with asyncio.timeout(5):
            left = await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
        assert left.status_code == 200, left.text
    answer = await slow

    assert answer.status_code == 401, answer.text
    assert "no longer an active admin" in answer.json()["detail"]
    assert "title" not in (await owner.fetchval("SELECT document FROM users WHERE id = $1", UUID(person["id"])))


async def test_own_token_is_revoked_by_itself(acme: Tenant) -> None:
    """An admin's token may revoke itself."""
    issued = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    async with acme.callers.bearer(issued["token"]) as ada:
        assert (await ada.post(f"{acme.v1}/tokens/{issued['id']}/revoke")).status_code == 200
        assert (await ada.get(acme.v1)).status_code == 401


async def test_own_role_goes_through_a_group(acme: Tenant) -> None:
    """A provider whose change of a group takes the admin role from its token's owner is obeyed, once."""
    boss = await acme.person("boss", roles=[])
    group = (
        await acme.scim.post("/Groups", json={"displayName": "dart-admins", "members": [{"value": boss["id"]}]})
    ).json()
    token = (await acme.issue_token(owner=boss["id"]))["token"]
    async with acme.callers.bearer(token, path="/scim/v2") as scim:
        gone = patch_op({"op": "remove", "path": f'members[value eq "{boss["id"]}"]'})
        answer = await scim.patch(f"/Groups/{group['id']}", json=gone)
        assert answer.status_code in (200, 204), answer.text
        assert (await scim.get("/Users")).status_code == 401


async def test_nobody_gives_themselves_back_what_they_lost(acme: Tenant, owner: Connection) -> None:
    """An admin who is demoted while the body of their own appointment is held back stays demoted."""
    key = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    body, begun, go = held({"role": "admin"})
    headers = {"Content-Type": "application/json", "X-Request-Id": f"held-{acme.slug}"}
    address = f"{acme.v1}/people/{acme.admin['id']}/role"
    async with acme.callers.bearer(key) as ada:
        call = asyncio.create_task(ada.request("POST", address, content=body, headers=headers))
        async with asyncio.timeout(10):
            await begun.wait()
        demoted = await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")
        assert demoted.status_code == 200, demoted.text
        go.set()
        assert (await call).status_code == 401
    await nothing_done(owner, f"held-{acme.slug}")


async def test_token_rotates_itself_without_overlap(acme: Tenant) -> None:
    """An admin's token may replace itself at once."""
    issued = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    async with acme.callers.bearer(issued["token"]) as ada:
        answer = await ada.post(f"{acme.v1}/tokens/{issued['id']}/rotate", json={"overlap_seconds": 0})
        assert answer.status_code == 201, answer.text
        assert (await ada.get(acme.v1)).status_code == 401


async def test_two_admins_end_each_other(acme: Tenant) -> None:
    """Of two admins who deactivate each other at the same moment one does; neither call fails."""
    for round_number in range(10):
        pair = [await acme.person(f"{name}{round_number}", roles=["dart-admins"]) for name in ("eva", "max")]
        keys = [(await acme.issue_token(scopes=["admin"], owner=each["id"]))["token"] for each in pair]
        async with acme.callers.bearer(keys[0]) as eva, acme.callers.bearer(keys[1]) as most:
            answers = await asyncio.gather(
                eva.post(f"{acme.v1}/people/{pair[1]['id']}/deactivate", json={}),
                most.post(f"{acme.v1}/people/{pair[0]['id']}/deactivate", json={}),
            )
        assert sorted(answer.status_code for answer in answers) == [200, 401], [each.text for each in answers]


async def end(owner: Connection, tenant: Tenant, key: str, statement: str) -> None:
    """End what makes a key good, as somebody else's transaction does it."""
    shown = read_token(key)
    assert shown is not None
    await owner.fetchrow(statement, UUID(tenant.id), shown.id)


async def while_waiting(
    owner: Connection,
    watcher: Connection,
    tenant: Tenant,
    client: httpx.AsyncClient,
    route: Route,
    ending: tuple[str, str],
) -> httpx.Response:
    """Call a route, have it wait where it enters into the audit what it did, end its key, and let it go on."""
    known = await ids(tenant, route)
    body = body_of(route, tenant.slug)
    if route.address == "/v1/tenants":  # its own slug may be taken by another test
        body = {**route.body, "slug": f"made-{tenant.slug}"}
    address = route.address.format_map(dict.fromkeys(route.names, NOBODY) | known)
    for verb, first in (("reactivate", "deactivate"), ("enable", "disable"), ("resume", "suspend")):
        if address.endswith(verb):  # or there would be nothing to do
            done = await tenant.callers.operator.post(f"{address.removesuffix(verb)}{first}")
            assert done.status_code == 200, done.text
    async with owner.transaction():
        await owner.execute("LOCK TABLE audit_entries IN SHARE MODE")
        call = asyncio.create_task(
            client.request(route.method, address, json=body, headers={"X-Request-Id": f"held-{tenant.slug}"})
        )
        await until_waiting(watcher, call)
        await end(owner, tenant, *ending)
    return await call


async def installation_key(callers: Callers, kind: str) -> str:
    """A fresh key of the installation."""
    chosen = TokenKind.OPERATOR if kind == "operator" else TokenKind.APPLICATION
    async with open_fleet(callers.database, SYSTEM, RequestOrigin(request_id="test")) as fleet:
        return await operators.issue_key(fleet, chosen, label="to be ended")
