"""Who calls the management API, what their key reaches, and the work opened for them.

A guard reads the key before anything else of the request is looked at; the work is opened for the tenant in the path,
which a tenant's admin can only name if it is their own.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from rollcall.access import statements
from rollcall.api.requests import name_tenant, origin
from rollcall.api.v1.limits import ManagementLimit, cost
from rollcall.api.v1.operator_roles import check_role, roles_for
from rollcall.crypto import TokenKind, read_token
from rollcall.db import Database
from rollcall.errors import Forbidden, Invalid, NotFound, Refusal, Unauthenticated
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, Actor, ActorKind, Fleet, TenantRef, Work, open_fleet, open_work

TenantWork = NamedDependency[Work]
"""A handler's work on the tenant that its request names."""

FleetWork = NamedDependency[Fleet]
"""A handler's work across tenants."""

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

_KINDS = {
    TokenKind.OPERATOR: ActorKind.OPERATOR,
    TokenKind.APPLICATION: ActorKind.APPLICATION,
    TokenKind.PERSONAL: ActorKind.PERSON,
}
_NAMES = {
    ActorKind.OPERATOR: "an operator key",
    ActorKind.APPLICATION: "an application key",
    ActorKind.PERSON: "a token of a tenant admin (scope admin)",
    ActorKind.AUDITOR: "a token for auditors (scope auditor)",
}
_OF_TENANT = frozenset({ActorKind.PERSON, ActorKind.AUDITOR})
"""Whose keys are a tenant's own."""
_ANY_KEY = "an operator key (rc_op_…), an application key (rc_app_…) or an admin's token (rc_pat_…)"


@dataclass(slots=True)
class Caller:
    """What has been found out about a call so far; it stays with the request."""

    actor: Actor | None = None
    home: TenantRef | None = None
    """The tenant that the key is of, and can't leave."""
    tenant: TenantRef | None = None
    """The tenant that the request names, once it is known to be one."""
    written_down: bool = False
    """Whether the work that was refused has entered that already."""


def caller_of(connection: Connection) -> Caller:
    """What is known about the caller of this request."""
    return connection.scope["state"].setdefault("caller", Caller())


async def identify(connection: Connection) -> Actor:
    """Find out whose key a request presents.

    Raises:
        Unauthenticated: there is none, or none that is live.
    """
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        msg = f"A key is needed: send 'Authorization: Bearer …' with {_ANY_KEY}."
        raise Unauthenticated(msg)
    return await identify_key(connection, text.strip())


async def identify_key(connection: Connection, key: str) -> Actor:
    """Find out whose key this is, that a request presents in whichever way.

    Raises:
        Unauthenticated: it is none that is live.
    """
    token = read_token(key)
    kind = None if token is None else _KINDS.get(token.kind)
    if token is None or kind is None:
        msg = f"This is no key of the management API, or it was not copied whole: send {_ANY_KEY}."
        raise Unauthenticated(msg)
    database: Database = connection.app.state.database
    row = await statements.authenticate(database.pool, token)
    if row is None:
        msg = (
            "This key is not live: it is unknown, revoked or expired, or for an admin's token the owner is no longer "
            "an active admin or the tenant is suspended. Use another one."
        )
        raise Unauthenticated(msg)
    caller = caller_of(connection)
    kind = ActorKind.AUDITOR if row["is_auditor"] else kind
    caller.actor = Actor(kind, row["label"], token.id, row["owner_id"], token, row["role"])
    caller.home = None if row["slug"] is None else TenantRef(token.tenant_id, row["slug"])
    if caller.home is not None:
        name_tenant(connection.scope, caller.home.slug)
    return caller.actor


def key_presented(connection: Connection) -> str:
    """The key that a guard has let in, in clear."""
    return connection.headers["authorization"].partition(" ")[2].strip()


def _check_address(connection: Connection) -> None:
    """Refuse an address that names what no row can be called; the database would fail on it."""
    if "\x00" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        msg = "The address holds a NUL character (%00); leave it out."
        raise Invalid(msg)


def only(*kinds: ActorKind) -> Guard:
    """A guard that lets these kinds of keys through: operators by role, an admin only to their own tenant."""

    async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
        actor = await identify(connection)
        if actor.kind not in kinds:
            msg = f"This needs {' or '.join(_NAMES[kind] for kind in kinds)}; the key you sent is {_NAMES[actor.kind]}."
            raise Forbidden(msg)
        check_role(actor, *roles_for(handler))
        _check_address(connection)
        if actor.kind in _OF_TENANT and actor.key is not None:
            limit: ManagementLimit = connection.app.state.management_limit
            await limit.take(actor.key.tenant_id, cost(connection.query_params))
        named, home = connection.path_params.get("tenant"), caller_of(connection).home
        if home is not None and named is not None and named not in (home.slug, str(home.id)):
            raise NotFound("tenant")

    return guard


OPS = only(ActorKind.OPERATOR)
ADMINS = only(ActorKind.OPERATOR, ActorKind.PERSON)
AUDITORS = only(ActorKind.OPERATOR, ActorKind.PERSON, ActorKind.AUDITOR)
PRODUCT = only(ActorKind.OPERATOR, ActorKind.APPLICATION)
ANYBODY = only(ActorKind.OPERATOR, ActorKind.APPLICATION, ActorKind.PERSON)


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """Who calls, as the guard found out."""
    actor = caller_of(request).actor
    assert actor is not None, "a guard has let the call in"
    return actor


OF = "of"
"""The option of a router whose handlers serve another owner elsewhere; its value goes into their names."""


def call_name(handler: BaseRouteHandler, *_: object) -> str:
    """A call is named as its handler is, ``list_people``, with the owner where one handler serves several.

    The OpenAPI document has it, so clients that are generated have a method of that name, and the audit too.
    """
    of = handler.opt.get(OF, "")
    return re.sub(r"_(?=destination|deliver)", f"_{of}_", handler.handler_name, count=1) if of else handler.handler_name


def action_of(request: Request[Any, Any, Any]) -> str:
    """What a request asks for, as the audit names it; ``v1.none`` where there is no such address."""
    return f"v1.{call_name(request.route_handler)}" if "route_handler" in request.scope else "v1.none"


async def tenant_named(request: Request[Any, Any, Any], name: str) -> TenantRef:
    """The tenant a request names by id or slug.

    Raises:
        NotFound: there is none.
    """
    caller = caller_of(request)
    if caller.home is None:
        async with open_fleet(request.app.state.database, SYSTEM, origin(request)) as fleet:
            caller.tenant = tenants.ref(await tenants.find(fleet, name))
    elif name in (caller.home.slug, str(caller.home.id)):
        caller.tenant = caller.home
    else:
        raise NotFound("tenant")
    name_tenant(request.scope, caller.tenant.slug)
    return caller.tenant


async def tenant_work(request: Request[Any, Any, Any], tenant: FromPath[str]) -> AsyncGenerator[Work]:
    """The work of a request on one tenant: committed as the handler ends, refusals written down."""
    async with open_work(
        request.app.state.database,
        await tenant_named(request, tenant),
        actor_of(request),
        origin(request),
        on_refusal=refusal_writer(request),
        judged=changes(request),
    ) as work:
        yield work


def changes(request: Request[Any, Any, Any]) -> bool:
    """Whether a request may change anything; then its key is judged again as that is committed."""
    return request.method != "GET"


def refusal_writer(request: Request[Any, Any, Any]) -> Callable[[Work, Refusal], Awaitable[None]]:
    """What writes a refused request of the management API into the audit."""

    async def write(work: Work, refusal: Refusal) -> None:
        await request.app.state.context.batched_entries.refusals.enter(work, action_of(request), refusal)
        caller_of(request).written_down = True

    return write


async def fleet_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Fleet]:
    """The work of a request across tenants: committed as the handler ends."""
    opened = open_fleet(request.app.state.database, actor_of(request), origin(request), judged=changes(request))
    async with opened as fleet:
        yield fleet


def uuid_of(text: str, what: str) -> UUID:
    """An id from a path; what can't be one is nobody's.

    Raises:
        NotFound: it can't be an id.
    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what) from None
