"""Every address of the management API with who may call it, and what has to be there for a call to succeed."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from authenticator import registered
from factories import Tenant
from rollcall.access.models import Passkey
from rollcall.journal.models import OutboxMessage
from rollcall.proof import receipts
from rollcall.proof.models import MassChange

TENANT = "/v1/tenants/{tenant}"
PERSON = f"{TENANT}/people/{{person}}"
NOBODY = "00000000-0000-7000-8000-000000000000"
HOOK = {"url": "https://8.8.8.8/hook", "label": "hook", "topics": ["tenant.resumed"]}

OPS, ADMINS, AUDITORS, PRODUCT, ANYBODY = "ops", "admins", "auditors", "product", "anybody"
"""Operators may call all; ADMINS also a tenant's admins, AUDITORS these and a key for auditors, PRODUCT also the
application, ANYBODY that and a tenant's admins."""


SUPPORTS = frozenset({"support"})
BILLS = frozenset({"billing"})
"""Roles of operators' keys to which a call is open beside ``ops``; what only reads is open to ``support`` anyway."""


@dataclass(frozen=True)
class Route:
    """One way to call the API. What is *refused* for a reason of its own, past the guard, answers with that code."""

    who: str
    method: str
    address: str
    body: Any = None
    refused: str | None = None
    shape: str | None = None
    """The address as it is declared, where something in it is named that is no id."""
    also: frozenset[str] = frozenset()
    """Roles of operators' keys to which it is open beside ``ops``, and ``support`` where it reads."""

    def __str__(self) -> str:
        return re.sub(r"/v1|/tenants/\{tenant\}", "", f"{self.method} {self.address}")

    @property
    def roles(self) -> set[str]:
        """The roles of operators' keys to which it is open."""
        return {"ops"} | self.also | (SUPPORTS if self.method == "GET" else set())

    @property
    def names(self) -> set[str]:
        """What its address names."""
        return set(re.findall(r"\{(\w+)\}", self.address))


_HALF: dict[str, Any] = {"challenge": NOBODY, "credential": {}}
_RULE = {"roles": {"admin": {"label": "A", "admin": True}, "m": {"label": "M"}}, "default": "m"}


def _destination_routes(who: str, base: str, one: str, delivery: str) -> list[Route]:
    return [
        Route(who, "GET", base),
        Route(who, "GET", one),
        Route(who, "PATCH", one, {"label": "renamed"}),
        Route(who, "POST", f"{one}/rotate-secret", {"overlap_seconds": 60}),
        Route(who, "POST", f"{one}/enable"),
        Route(who, "POST", f"{one}/disable"),
        Route(who, "POST", f"{one}/test"),
        Route(who, "GET", f"{one}/deliveries"),
        Route(who, "POST", f"{one}/deliveries/{delivery}/replay", refused="still_pending"),
        Route(who, "POST", f"{one}/replay-dead"),
        Route(who, "POST", f"{one}/replay-since", {"since": "2026-11-30T09:30:00Z"}),
        Route(who, "DELETE", one),
    ]


_OVERRIDE = f"{TENANT}/overrides/{{key}}"

ROUTES = [
    Route(OPS, "GET", "/v1/plans", also=BILLS),
    Route(OPS, "GET", "/v1/audit"),
    Route(OPS, "GET", "/v1/alerts"),
    Route(OPS, "GET", "/v1/tenants", also=BILLS),
    Route(OPS, "POST", "/v1/tenants", {"slug": "made-here", "name": "Made", "plan": "free"}),
    Route(OPS, "PATCH", TENANT, {"plan": "enterprise"}, also=BILLS),
    Route(OPS, "PATCH", f"{TENANT}/lapse", {"closes_at": None}, refused="nothing_lapses", also=BILLS),
    Route(OPS, "POST", f"{TENANT}/lapse/close", refused="nothing_lapses", also=BILLS),
    Route(OPS, "POST", f"{TENANT}/pause", {"seconds": 60}),
    Route(OPS, "POST", f"{TENANT}/unpause"),
    Route(OPS, "POST", f"{TENANT}/suspend"),
    Route(OPS, "POST", f"{TENANT}/resume"),
    Route(OPS, "GET", "/v1/usage", also=BILLS),
    Route(OPS, "GET", f"{TENANT}/plan/explain", also=BILLS),
    Route(OPS, "GET", f"{TENANT}/plan/preview?plan=free", also=BILLS),
    Route(OPS, "GET", f"{TENANT}/overrides", also=BILLS),
    Route(OPS, "PUT", f"{TENANT}/overrides/seats", {"value": 500, "reason": "trial"}, shape=_OVERRIDE, also=BILLS),
    Route(OPS, "DELETE", f"{TENANT}/overrides/seats", refused="not_found", shape=_OVERRIDE, also=BILLS),
    Route(OPS, "GET", "/v1/billing/parked", also=BILLS),
    Route(OPS, "POST", "/v1/billing/reconcile", also=BILLS),
    Route(OPS, "GET", f"{TENANT}/billing", refused="not_found", also=BILLS),
    Route(OPS, "POST", f"{TENANT}/billing/reconcile", refused="not_found", also=BILLS),
    Route(OPS, "POST", "/v1/destinations", {**HOOK, "url": "http://127.0.0.1/"}, refused="destination_refused"),
    *_destination_routes(OPS, "/v1/destinations", "/v1/destinations/{own_destination}", "{own_delivery}"),
    Route(ADMINS, "GET", TENANT, also=BILLS),
    Route(ADMINS, "PUT", f"{TENANT}/deputy", {"person": NOBODY}, refused="not_found"),
    Route(ADMINS, "DELETE", f"{TENANT}/deputy"),
    Route(ADMINS, "GET", f"{TENANT}/provider"),
    Route(ADMINS, "GET", f"{TENANT}/seats", also=BILLS),
    Route(ADMINS, "GET", f"{TENANT}/usage", also=BILLS),
    Route(ANYBODY, "GET", f"{TENANT}/people"),
    Route(ADMINS, "POST", f"{TENANT}/people", {"user_name": "new"}),
    Route(ANYBODY, "GET", PERSON),
    Route(ADMINS, "POST", f"{PERSON}/appoint"),
    Route(ADMINS, "POST", f"{PERSON}/demote"),
    Route(ADMINS, "POST", f"{PERSON}/role", {"role": "guest"}),
    Route(ADMINS, "DELETE", f"{PERSON}/role-override"),
    Route(ADMINS, "POST", f"{PERSON}/deactivate", {"reason": "left"}),
    Route(ADMINS, "POST", f"{PERSON}/reactivate"),
    Route(ADMINS, "POST", f"{PERSON}/link", {"former": NOBODY}, refused="not_found"),
    Route(ADMINS, "GET", f"{PERSON}/explain"),
    Route(ANYBODY, "GET", f"{PERSON}/sessions"),
    Route(AUDITORS, "GET", f"{PERSON}/receipts"),
    Route(ANYBODY, "GET", f"{PERSON}/passkeys"),
    Route(PRODUCT, "POST", f"{PERSON}/passkeys/begin"),
    Route(PRODUCT, "POST", f"{PERSON}/passkeys", _HALF, refused="challenge_spent"),
    Route(ANYBODY, "DELETE", f"{PERSON}/passkeys/{{passkey}}"),
    Route(PRODUCT, "POST", f"{TENANT}/passkeys/sign-in/begin"),
    Route(PRODUCT, "POST", f"{TENANT}/passkeys/sign-in", _HALF, refused="sign_in_refused"),
    Route(ANYBODY, "GET", f"{PERSON}/tokens"),
    Route(PRODUCT, "POST", f"{PERSON}/tokens", {"label": "laptop", "scopes": ["repo:read"]}),
    Route(ANYBODY, "POST", f"{PERSON}/tokens/{{personal_token}}/revoke"),
    Route(ANYBODY, "GET", f"{PERSON}/external-credentials"),
    Route(PRODUCT, "POST", f"{PERSON}/external-credentials", {"kind": "ssh_key", "name": "new"}),
    Route(PRODUCT, "GET", f"{TENANT}/external-credentials/state?kind=ssh_key&name=x"),
    Route(ANYBODY, "DELETE", f"{TENANT}/external-credentials/{{external}}"),
    Route(ADMINS, "GET", f"{TENANT}/conflict-cases"),
    Route(ADMINS, "GET", f"{TENANT}/role-rule"),
    Route(ADMINS, "PUT", f"{TENANT}/role-rule", _RULE),
    Route(ADMINS, "POST", f"{TENANT}/role-rule/preview", _RULE, also=SUPPORTS),
    Route(ADMINS, "GET", f"{TENANT}/tokens"),
    Route(ADMINS, "POST", f"{TENANT}/tokens", {"label": "new"}, also=SUPPORTS),
    Route(ADMINS, "POST", f"{TENANT}/tokens/{{token}}/rotate", {"overlap_seconds": 60}),
    Route(ADMINS, "POST", f"{TENANT}/tokens/{{token}}/hand-over", refused="nothing_to_take_over"),
    Route(ADMINS, "POST", f"{TENANT}/tokens/{{token}}/revoke"),
    Route(ADMINS, "POST", f"{TENANT}/destinations", HOOK),
    *_destination_routes(ADMINS, f"{TENANT}/destinations", f"{TENANT}/destinations/{{destination}}", "{delivery}"),
    Route(AUDITORS, "GET", f"{TENANT}/receipts"),
    Route(AUDITORS, "GET", f"{TENANT}/receipts/bundle?month=2026-11"),
    Route(AUDITORS, "GET", f"{TENANT}/receipts/{{receipt}}"),
    Route(AUDITORS, "GET", f"{TENANT}/receipts/{{receipt}}/statement"),
    Route(AUDITORS, "GET", f"{TENANT}/alerts"),
    Route(ADMINS, "POST", f"{TENANT}/alerts/{{alert}}/release"),
    Route(AUDITORS, "GET", f"{TENANT}/audit"),
    Route(
        AUDITORS, "GET", f"{TENANT}/people-on/2020-02-02", refused="day_not_known", shape=f"{TENANT}/people-on/{{day}}"
    ),
    Route(ADMINS, "GET", f"{TENANT}/deviations"),
    Route(PRODUCT, "POST", f"{TENANT}/portal-links", {"intent": "setup"}, also=SUPPORTS),
    Route(PRODUCT, "GET", f"{TENANT}/portal-links"),
    Route(PRODUCT, "DELETE", f"{TENANT}/portal-links/{{contact_link}}", also=SUPPORTS),
    Route(PRODUCT, "DELETE", f"{TENANT}/sessions/{{session}}"),
    Route(PRODUCT, "POST", "/v1/sessions", {"user_name": "maria"}),
]


def body_of(route: Route, tenant: str) -> Any:
    """What a call sends; some bodies name the tenant, or its admin."""
    if route.address == "/v1/sessions":
        return {**route.body, "tenant": tenant}
    if route.body is not None and route.address.endswith("/portal-links"):
        return {**route.body, "person": f"ada@{tenant}.test"}
    return route.body


async def call(client: httpx.AsyncClient, route: Route, known: dict[str, str]) -> httpx.Response:
    """Call a route with these ids; whatever else it names is nobody's."""
    body = body_of(route, known["tenant"])
    address = route.address.format_map(dict.fromkeys(route.names, NOBODY) | known)
    return await client.request(route.method, address, json=body)


async def ids(tenant: Tenant, route: Route | None = None, user_name: str = "maria") -> dict[str, str]:
    """What stands in the addresses: ids of things that the tenant has, of those the ones that *route* names."""
    person = await tenant.person(user_name)
    known = {"tenant": tenant.slug, "person": person["id"], "token": tenant.token["id"]}
    for name, make in _MAKERS.items():
        if route is not None and name in route.names:
            known[name] = await make(tenant, known)
    return known


Known = dict[str, str]


async def _session(tenant: Tenant, known: Known) -> str:
    wanted = {"tenant": tenant.slug, "person": known["person"]}
    return (await tenant.callers.product.post("/v1/sessions", json=wanted)).json()["id"]


async def _passkey(tenant: Tenant, known: Known) -> str:
    device = await registered(tenant, {"id": known["person"]})
    async with tenant.work() as work:
        return str(await work.db.scalar(select(Passkey.id).where(Passkey.credential_id == device.credential_id)))


async def _personal_token(tenant: Tenant, known: Known) -> str:
    await tenant.personal_token({"id": known["person"]})
    listed = await tenant.callers.product.get(f"{tenant.v1}/people/{known['person']}/tokens")
    return listed.json()["data"][0]["id"]


async def _external(tenant: Tenant, known: Known) -> str:
    return (await tenant.external({"id": known["person"]}))["id"]


async def _contact_link(tenant: Tenant, _known: Known) -> str:
    wanted = {"kind": "contact", "intent": "setup", "label": "Kim", "person": tenant.admin["id"]}
    made = await tenant.callers.product.post(f"{tenant.v1}/portal-links", json=wanted)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _destination(tenant: Tenant, _known: Known) -> str:
    made = await tenant.callers.operator.post(f"{tenant.v1}/destinations", json=HOOK)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _delivery(tenant: Tenant, known: Known) -> str:
    sent = await tenant.callers.operator.post(f"{tenant.v1}/destinations/{known['destination']}/test")
    assert sent.status_code == 202, sent.text
    return sent.json()["delivery_id"]


async def _own_destination(tenant: Tenant, _known: Known) -> str:
    made = await tenant.callers.operator.post("/v1/destinations", json=HOOK)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _own_delivery(tenant: Tenant, known: Known) -> str:
    sent = await tenant.callers.operator.post(f"/v1/destinations/{known['own_destination']}/test")
    assert sent.status_code == 202, sent.text
    return sent.json()["delivery_id"]


async def _receipt(tenant: Tenant, _known: Known) -> str:
    """The complete receipt of somebody who left."""
    gone, state = await tenant.person(), tenant.callers.app.state
    await tenant.callers.operator.post(f"{tenant.v1}/people/{gone['id']}/deactivate")
    async with tenant.work() as work:
        left = select(OutboxMessage.id).where(
            OutboxMessage.topic == "user.deactivated", OutboxMessage.account_id == UUID(gone["id"])
        )
        message = (await work.db.scalars(left)).one()
        assert await receipts.settle(work, message)
        assert await receipts.complete(work, state.sealer, {message: []}, issuer=state.public_url)
    return str(message)


async def _alert(tenant: Tenant, _known: Known) -> str:
    async with tenant.work() as work:
        row = MassChange(tenant_id=work.tenant.id, began_at=work.now, noticed_at=work.now, count=2, threshold=1)
        work.db.add(row)
        await work.db.flush()
        return str(row.id)


_MAKERS: dict[str, Callable[[Tenant, Known], Awaitable[str]]] = {
    "session": _session,
    "passkey": _passkey,
    "personal_token": _personal_token,
    "external": _external,
    "contact_link": _contact_link,
    "destination": _destination,
    "delivery": _delivery,
    "own_destination": _own_destination,
    "own_delivery": _own_delivery,
    "receipt": _receipt,
    "alert": _alert,
}
