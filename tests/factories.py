"""Test data in one readable line: ``acme = await a_tenant(callers)``; ``maria = await acme.person("maria")``."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, cast
from uuid import UUID

import httpx
from litestar import Litestar

from rollcall.crypto import TokenKind
from rollcall.db import Database
from rollcall.tenancy import operators, plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, Work, open_fleet, open_work

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ORIGIN = RequestOrigin(request_id="test", source="192.0.2.1")

DART_RULE: dict[str, Any] = {
    "prefix": "dart-",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "member": {"label": "Member", "names": ["members"]},
        "guest": {"label": "Guest", "names": ["guests"]},
        "technical-admin": {"label": "Technical admin", "names": ["technical-admins"]},
        "financial-admin": {"label": "Financial admin", "names": ["financial-admins"]},
    },
    "default": "member",
}
_NUMBERS = count(1)


def in_process(app: Litestar) -> httpx.ASGITransport:
    """A way to call *app* without a network; httpx and Litestar write ASGI's types differently."""
    return httpx.ASGITransport(app=cast("Any", app))


@asynccontextmanager
async def alive(app: Litestar) -> AsyncGenerator[Litestar]:
    """An application that is started, and stopped when the block ends.

    Both happen in one task, as a server does it; the two halves of a fixture run in different ones.
    """
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        await life
    yield app
    over.set()
    await life


def patch_op(*operations: dict[str, Any]) -> dict[str, Any]:
    """The body of a PATCH."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def deactivation() -> dict[str, Any]:
    """The PATCH that providers send when somebody leaves."""
    return patch_op({"op": "replace", "path": "active", "value": False})


@dataclass(frozen=True)
class Tenant:
    """A tenant under test: its admin, its SCIM token, and whoever calls for it."""

    callers: "Callers"
    id: str
    slug: str
    admin: dict[str, Any]
    token: dict[str, Any]
    scim: httpx.AsyncClient
    """The tenant's identity provider; addresses are relative to ``/scim/v2``."""

    @property
    def v1(self) -> str:
        """The tenant's address in the management API."""
        return f"/v1/tenants/{self.slug}"

    def work(self) -> Any:
        """Open a `Work` for this tenant, as Rollcall itself: ``async with acme.work() as work``."""
        return open_work(self.callers.database, TenantRef(UUID(self.id), self.slug), SYSTEM, ORIGIN)

    async def person(self, user_name: str = "", **attributes: Any) -> dict[str, Any]:
        """Create a person through SCIM; returns the resource."""
        name = user_name or f"person{next(_NUMBERS)}@{self.slug}.test"
        answer = await self.scim.post("/Users", json={"schemas": [USER], "userName": name, **attributes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def session(self, person: dict[str, Any]) -> str:
        """Open a session for a person, as the product does; returns its token."""
        answer = await self.callers.product.post("/v1/sessions", json={"tenant": self.slug, "person": person["id"]})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    async def issue_token(self, **wanted: Any) -> dict[str, Any]:
        """Issue a token as ops; returns the answer that shows it."""
        answer = await self.callers.operator.post(f"{self.v1}/tokens", json={"label": "test", **wanted})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def personal_token(self, person: dict[str, Any]) -> str:
        """Issue a person a token of their own, as the product does; returns its text."""
        address = f"{self.v1}/people/{person['id']}/tokens"
        answer = await self.callers.product.post(address, json={"label": "laptop", "scopes": ["repo:read"]})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    async def external(self, person: dict[str, Any], name: str = "", kind: str = "ssh_key") -> dict[str, Any]:
        """Register an external credential of a person, as the product does."""
        address = f"{self.v1}/people/{person['id']}/external-credentials"
        wanted = {"kind": kind, "name": name or f"key {next(_NUMBERS)}"}
        answer = await self.callers.product.post(address, json=wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def is_good(self, credential: dict[str, Any]) -> bool:
        """What the product hears about an external credential."""
        named = {name: credential[name] for name in ("kind", "name")}
        answer = await self.callers.product.get(f"{self.v1}/external-credentials/state", params=named)
        assert answer.status_code == 200, answer.text
        return answer.json()["active"]

    async def audit(self, **question: Any) -> list[dict[str, Any]]:
        """The tenant's audit, newest first; reads that are still in memory are written down before."""
        await self.callers.app.state.context.batched_entries.flush()
        answer = await self.callers.operator.get(f"{self.v1}/audit", params={"limit": 500, **question})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@dataclass(frozen=True)
class Callers:
    """Who can call this application."""

    app: Litestar
    database: Database
    base_url: str
    operator: httpx.AsyncClient
    product: httpx.AsyncClient

    def bearer(self, token: str, *, path: str = "") -> httpx.AsyncClient:
        """Somebody who presents *token*."""
        return httpx.AsyncClient(
            transport=in_process(self.app),
            base_url=self.base_url + path,
            headers={"Authorization": f"Bearer {token}"},
        )

    async def is_live(self, token: str) -> bool:
        """What introspection says of a credential."""
        answer = await self.product.post("/oauth/introspect", data={"token": token})
        assert answer.status_code == 200, answer.text
        return answer.json()["active"]


async def whole(client: httpx.AsyncClient, address: str, **parameters: Any) -> list[dict[str, Any]]:
    """All that a list of the management API has, a page after the other."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await client.get(address, params=parameters)
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found
        parameters["cursor"] = cursor


@asynccontextmanager
async def make_callers(app: Litestar, database: Database, base_url: str) -> AsyncGenerator[Callers]:
    """Make the plans ``free``, ``business`` and ``enterprise``, an operator key and an application key."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "free", PlanTerms(name="Free", features=("events",)))
        await plans.define(
            fleet, "business", PlanTerms(name="Business", features=("scim", "events"), rate_per_second=0)
        )
        await plans.define(fleet, "enterprise", PlanTerms(name="Enterprise", features=("scim", "events")))
        operator_key = await operators.issue_key(fleet, TokenKind.OPERATOR, label="ops under test")
        application_key = await operators.issue_key(fleet, TokenKind.APPLICATION, label="product under test")

    def client(token: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=in_process(app),
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
        )

    async with client(operator_key) as operator, client(application_key) as product:
        yield Callers(app, database, base_url, operator, product)


async def a_tenant(
    callers: Callers, *, plan: str = "business", rule: dict[str, Any] | None = None, slug: str = "", **terms: Any
) -> Tenant:
    """A fresh tenant with the dart- rule, an admin called ada, and a SCIM token that ada owns."""
    slug = slug or f"tenant-{next(_NUMBERS)}"
    made = await callers.operator.post(
        "/v1/tenants",
        json={
            "slug": slug,
            "name": slug.title(),
            "plan": plan,
            "role_rule": rule or DART_RULE,
            "profile": "default",  # what a test sends could be some provider's, and taken for it
            **terms,
        },
    )
    assert made.status_code == 201, made.text
    rule_roles = (rule or DART_RULE)["roles"]
    admin_role = next(key for key, definition in rule_roles.items() if definition.get("admin"))
    admin = await callers.operator.post(
        f"/v1/tenants/{slug}/people", json={"user_name": f"ada@{slug}.test", "role": admin_role}
    )
    assert admin.status_code == 201, admin.text
    token = await callers.operator.post(
        f"/v1/tenants/{slug}/tokens", json={"label": "identity provider", "owner": admin.json()["id"]}
    )
    assert token.status_code == 201, token.text
    return Tenant(
        callers=callers,
        id=made.json()["id"],
        slug=slug,
        admin=admin.json(),
        token=token.json(),
        scim=callers.bearer(token.json()["token"], path="/scim/v2"),
    )


__all__ = [
    "DART_RULE",
    "PATCH_OP",
    "USER",
    "Callers",
    "Tenant",
    "Work",
    "a_tenant",
    "alive",
    "deactivation",
    "in_process",
    "make_callers",
    "patch_op",
    "whole",
]
