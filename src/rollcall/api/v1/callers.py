"""Who calls the management API, what their key reaches, and the work opened for them.

A guard reads the key before anything else of the request is looked at; the work is opened for the tenant in the path,
which a tenant's admin can only name if it is their own.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from rollcall.api.requests import origin
from rollcall.crypto import TokenKind, read_token
from rollcall.db import Database
from rollcall.errors import Forbidden, Invalid, NotFound, Refusal, Unauthenticated
from rollcall.journal.record import record_refusal
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, Actor, ActorKind, Fleet, TenantRef, Work, open_fleet, open_work

TenantWork = NamedDependency[Work]
"""A handler's work on the tenant that its request names."""

FleetWork = NamedDependency[Fleet]
"""A handler's work across tenants."""

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

_ASK = "SELECT * FROM authenticate($1, $2, $3, $4)"
_KINDS = {
    TokenKind.OPERATOR: ActorKind.OPERATOR,
    TokenKind.APPLICATION: ActorKind.APPLICATION,
    TokenKind.PERSONAL: ActorKind.PERSON,
}
_NAMES = {
    ActorKind.OPERATOR: "an operator key",
    ActorKind.APPLICATION: "an application key",
    ActorKind.PERSON: "a token of a tenant admin (scope admin)",
}


async def _authenticate(connection: Connection) -> tuple[Actor, TenantRef | None]:
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    token = read_token(text.strip()) if scheme.lower() == "bearer" else None
    kind = None if token is None else _KINDS.get(token.kind)
    database: Database = connection.app.state.database
    row = None
    if token is not None and kind is not None:
        row = await database.pool.fetchrow(_ASK, token.kind.value, token.tenant_id, token.id, token.digest)
    if token is None or kind is None or row is None:
        msg = "A live key is needed: send 'Authorization: Bearer <operator key, application key or admin token>'."
        raise Unauthenticated(msg)
    actor = Actor(kind, row["label"], token.id, row["owner_id"])
    return actor, None if row["slug"] is None else TenantRef(token.tenant_id, row["slug"])


def _check_address(connection: Connection) -> None:
    """Refuse an address that names what no row can be called; the database would fail on it."""
    if "\x00" in connection.scope["path"] or b"%00" in connection.scope["query_string"]:
        msg = "The address holds a NUL character (%00); leave it out."
        raise Invalid(msg)


def only(*kinds: ActorKind) -> Guard:
    """A guard that lets these kinds of keys through, and a tenant's admin only to their own tenant."""

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        actor, home = await _authenticate(connection)
        if actor.kind not in kinds:
            msg = f"This needs {' or '.join(_NAMES[kind] for kind in kinds)}."
            raise Forbidden(msg)
        _check_address(connection)
        named = connection.path_params.get("tenant")
        if home is not None and named is not None and named not in (home.slug, str(home.id)):
            raise NotFound("tenant")
        connection.scope["state"]["actor"] = actor
        connection.scope["state"]["home"] = home

    return guard


OPS = only(ActorKind.OPERATOR)
ADMINS = only(ActorKind.OPERATOR, ActorKind.PERSON)
PRODUCT = only(ActorKind.OPERATOR, ActorKind.APPLICATION)
ANYBODY = only(ActorKind.OPERATOR, ActorKind.APPLICATION, ActorKind.PERSON)


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """Who calls, as the guard found out."""
    return request.scope["state"]["actor"]


async def tenant_named(request: Request[Any, Any, Any], name: str) -> TenantRef:
    """The tenant a request names by id or slug.

    Raises:
        NotFound: there is none.
    """
    home: TenantRef | None = request.scope["state"].get("home")
    if home is not None:
        if name not in (home.slug, str(home.id)):
            raise NotFound("tenant")
        return home
    async with open_fleet(request.app.state.database, SYSTEM, origin(request)) as fleet:
        return tenants.ref(await tenants.find(fleet, name))


async def tenant_work(request: Request[Any, Any, Any], tenant: FromPath[str]) -> AsyncGenerator[Work]:
    """The work of a request on one tenant: committed as the handler ends, refusals written down."""
    async with open_work(
        request.app.state.database,
        await tenant_named(request, tenant),
        actor_of(request),
        origin(request),
        on_refusal=refusal_writer(request),
    ) as work:
        yield work


def refusal_writer(request: Request[Any, Any, Any]) -> Callable[[Work, Refusal], Awaitable[None]]:
    """What writes a refused request of the management API into the audit."""

    async def write(work: Work, refusal: Refusal) -> None:
        await record_refusal(work, refusal, action=f"v1.{request.route_handler.handler_name}")

    return write


async def fleet_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Fleet]:
    """The work of a request across tenants: committed as the handler ends."""
    async with open_fleet(request.app.state.database, actor_of(request), origin(request)) as fleet:
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
