"""``/v1/…/destinations``: who outside hears what happens, their secrets, and what they were told.

One set of handlers for two owners: a tenant, and the installation, whose destinations hear of every tenant.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, SkipValidation

from rollcall.api.requests import origin
from rollcall.api.v1.callers import (
    ADMINS,
    OF,
    OPS,
    Guard,
    TenantWork,
    actor_of,
    fleet_work,
    refusal_writer,
    tenant_named,
    tenant_work,
    uuid_of,
)
from rollcall.api.v1.destination_views import (
    DeliveryView,
    DestinationChange,
    DestinationView,
    DestinationWanted,
    Replayed,
    ReplayedSince,
    ReplayWanted,
    SecretRotation,
    SecretShown,
    StateName,
    TestSent,
    delivery_view,
    destination_view,
    secret_shown,
)
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.events import deliveries, destination_secrets, destinations
from rollcall.events.addresses import AddressRules
from rollcall.events.deliveries import DeliveryState
from rollcall.events.destinations import Change, Wanted
from rollcall.work import ActorKind, Fleet, TenantRef, Work, open_work

AnyCall = Request[Any, Any, Any]
AnyWork = Callable[..., AsyncGenerator[Work] | AsyncGenerator[Fleet]]

Owner = NamedDependency[TenantRef]
"""Whose destinations are meant."""

Reach = NamedDependency[SkipValidation[Work | Fleet]]
"""Work on deliveries: on one tenant's, or for the installation's destinations on those of all."""


async def look_up(request: AnyCall, url: str | None) -> None:
    """Look the address of a destination up and keep what was found with the request.

    It is done before the work begins: a stranger's name server may take seconds, and work holds a connection.
    """
    rules: AddressRules = request.app.state.address_rules
    request.state.address_rules = rules if url is None else await rules.ahead(url)


async def tenant_owner(request: AnyCall, tenant: FromPath[str]) -> TenantRef:
    """The tenant that a request names, whose destinations are meant."""
    return await tenant_named(request, tenant)


async def installation_owner() -> TenantRef:
    """The installation, whose own rows are those of a tenant that is all zeroes."""
    return destinations.WHOLE_INSTALLATION


async def owned_work(request: AnyCall, owner: Owner) -> AsyncGenerator[Work]:
    """The work of a request on an owner's destinations."""
    async with _work(request, owner) as work:
        yield work


async def new_work(request: AnyCall, owner: Owner, data: JSONBody[DestinationWanted]) -> AsyncGenerator[Work]:
    """The work of a request that registers a destination."""
    await look_up(request, data.url)
    async with _work(request, owner) as work:
        yield work


async def change_work(request: AnyCall, owner: Owner, data: JSONBody[DestinationChange]) -> AsyncGenerator[Work]:
    """The work of a request that changes one."""
    await look_up(request, data.url)
    async with _work(request, owner) as work:
        yield work


def _work(request: AnyCall, owner: TenantRef) -> AbstractAsyncContextManager[Work]:
    return open_work(
        request.app.state.database, owner, actor_of(request), origin(request), on_refusal=refusal_writer(request)
    )


def id_of(destination: str) -> UUID:
    """The id of a destination, from a path."""
    return uuid_of(destination, "destination")


_ONE = "/{destination:str}"
_NEW = {"work": new_work}
_CHANGE = {"work": change_work}


@get("/")
async def list_destinations(work: TenantWork, part: Part) -> Listing[DestinationView]:
    """The destinations, oldest first."""
    page = await destinations.page(work, limit=part.limit, cursor=part.cursor)
    return part.listing(page, lambda row: destination_view(row, work.now))


@post("/", dependencies=_NEW)
@idempotent(shows="secret")
async def create_destination(request: AnyCall, work: TenantWork, data: JSONBody[DestinationWanted]) -> SecretShown:
    """Register a destination. Its secret is in this answer and nowhere else."""
    wanted = Wanted(data.kind, data.url, data.label, data.topics, data.audience)
    rules, sealer = request.state.address_rules, request.app.state.sealer
    return secret_shown(await destinations.create(work, wanted, rules, sealer), work.now)


@get(_ONE)
async def get_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """One destination."""
    return destination_view(await destinations.find(work, id_of(destination)), work.now)


@patch(_ONE, dependencies=_CHANGE)
async def change_destination(
    request: AnyCall, work: TenantWork, destination: FromPath[str], data: JSONBody[DestinationChange]
) -> DestinationView:
    """Change where a destination is or what it hears; its secret stays."""
    wanted = Change(data.url, data.label, data.topics, data.audience)
    row = await destinations.change(work, id_of(destination), wanted, request.state.address_rules)
    return destination_view(row, work.now)


@delete(_ONE)
async def remove_destination(work: TenantWork, destination: FromPath[str]) -> None:
    """Take a destination away; what still waits for it is cancelled."""
    await destinations.remove(work, id_of(destination))


@post(f"{_ONE}/rotate-secret", status_code=200)
@idempotent(shows="secret")
async def rotate_destination_secret(
    request: AnyCall, work: TenantWork, destination: FromPath[str], data: JSONBody[SecretRotation | None] = None
) -> SecretShown:
    """Give a webhook a new secret; until the overlap is over, calls are signed with both."""
    overlap = timedelta(seconds=(data or SecretRotation()).overlap_seconds)
    new = await destination_secrets.rotate(work, id_of(destination), request.app.state.sealer, overlap=overlap)
    return secret_shown(new, work.now)


@post(f"{_ONE}/enable", status_code=200)
async def enable_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """Let a disabled destination hear again, from now on."""
    return destination_view(await destinations.enable(work, id_of(destination)), work.now)


@post(f"{_ONE}/disable", status_code=200)
async def disable_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """Tell a destination nothing more; what still waits for it is cancelled."""
    who = "ops" if work.actor.kind is ActorKind.OPERATOR else "an admin"
    row = await destinations.disable(work, id_of(destination), because=f"disabled by {who}")
    return destination_view(row, work.now)


@post(f"{_ONE}/test", status_code=202)
@idempotent()
async def test_destination(work: TenantWork, destination: FromPath[str]) -> TestSent:
    """Send a destination the event ``destination.tested``, which nobody else hears."""
    return TestSent(delivery_id=await deliveries.send_test(work, id_of(destination)))


@get(f"{_ONE}/deliveries")
async def list_deliveries(
    reach: Reach,
    destination: FromPath[str],
    part: Part,
    in_state: Annotated[StateName | None, QueryParameter(name="state")] = None,
) -> Listing[DeliveryView]:
    """What a destination was told, newest first; kept for a month. ``state=dead`` finds what was given up."""
    chosen = None if in_state is None else DeliveryState(in_state)
    page = await deliveries.page(reach, id_of(destination), state=chosen, limit=part.limit, cursor=part.cursor)
    return part.listing(page, delivery_view)


@post(f"{_ONE}/deliveries/{{delivery:str}}/replay", status_code=202)
@idempotent()
async def replay_delivery(reach: Reach, destination: FromPath[str], delivery: FromPath[str]) -> DeliveryView:
    """Make a delivery once more, with the same ``webhook-id``."""
    return delivery_view(await deliveries.replay(reach, id_of(destination), uuid_of(delivery, "delivery")))


@post(f"{_ONE}/replay-dead", status_code=202)
@idempotent()
async def replay_dead_deliveries(reach: Reach, destination: FromPath[str]) -> Replayed:
    """Make every dead delivery of a destination once more, oldest first."""
    return Replayed(replayed=await deliveries.replay_dead(reach, id_of(destination)))


@post(f"{_ONE}/replay-since", status_code=202)
@idempotent()
async def replay_deliveries_since(
    reach: Reach, destination: FromPath[str], data: JSONBody[ReplayWanted]
) -> ReplayedSince:
    """Make every delivery since a moment that has ended once more, delivered ones too, oldest first.

    One call makes 10,000 at most; ``next_after`` leads on.
    """
    made = await deliveries.replay_since(reach, id_of(destination), data.since, after=data.after)
    return ReplayedSince(replayed=made.number, next_after=made.last)


def _router(path: str, *, owner: Callable[..., Awaitable[TenantRef]], reach: AnyWork, guard: Guard, of: str) -> Router:
    """The handlers above for the destinations of one owner; deliveries are read as far as *reach* opens them."""
    return Router(
        path,
        route_handlers=[
            list_destinations,
            create_destination,
            get_destination,
            change_destination,
            remove_destination,
            rotate_destination_secret,
            enable_destination,
            disable_destination,
            test_destination,
            list_deliveries,
            replay_delivery,
            replay_dead_deliveries,
            replay_deliveries_since,
        ],
        dependencies={"owner": owner, "work": owned_work, "reach": reach},
        guards=[guard],
        opt={OF: of},
        tags=["destinations"],
    )


router = Router(
    "/",
    route_handlers=[
        _router(
            "/tenants/{tenant:str}/destinations",
            owner=tenant_owner,
            reach=tenant_work,
            guard=ADMINS,
            of="",
        ),
        _router(
            "/destinations",
            owner=installation_owner,
            reach=fleet_work,
            guard=OPS,
            of="installation",
        ),
    ],
)
