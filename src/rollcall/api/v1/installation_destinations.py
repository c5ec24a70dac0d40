"""``/v1/destinations``: the same for ops, whose destinations hear of every tenant."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Annotated

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from rollcall.api.requests import origin
from rollcall.api.v1 import destinations as views
from rollcall.api.v1.callers import OPS, FleetWork, TenantWork, actor_of, fleet_work, refusal_writer, uuid_of
from rollcall.api.v1.destinations import (
    AnyCall,
    DeliveryPage,
    DeliveryView,
    DestinationChange,
    DestinationView,
    DestinationWanted,
    Replayed,
    SecretRotation,
    SecretShown,
    StateName,
    TestSent,
    delivery_view,
    destination_view,
    id_of,
    page_view,
)
from rollcall.api.v1.idempotency import idempotent
from rollcall.events import deliveries, destinations
from rollcall.events.deliveries import State
from rollcall.work import Work, open_work


async def installation_work(request: AnyCall) -> AsyncGenerator[Work]:
    """The work of a request on the installation's own rows, which are those of a tenant that is all zeroes."""
    async with _own_work(request) as work:
        yield work


def _own_work(request: AnyCall) -> AbstractAsyncContextManager[Work]:
    return open_work(
        request.app.state.database,
        destinations.WHOLE_INSTALLATION,
        actor_of(request),
        origin(request),
        on_refusal=refusal_writer(request),
    )


async def new_work(request: AnyCall, data: JSONBody[DestinationWanted]) -> AsyncGenerator[Work]:
    """The work of a request that registers one of the installation's destinations."""
    await views.look_up(request, data.url)
    async with _own_work(request) as work:
        yield work


async def change_work(request: AnyCall, data: JSONBody[DestinationChange]) -> AsyncGenerator[Work]:
    """The work of a request that changes one."""
    await views.look_up(request, data.url)
    async with _own_work(request) as work:
        yield work


_ALL = "/destinations"
_ONE = f"{_ALL}/{{destination:str}}"
_OWN = {"work": installation_work}
_FLEET = {"fleet": fleet_work}


@get(_ALL, guards=[OPS], dependencies=_OWN)
async def list_installation_destinations(work: TenantWork) -> list[DestinationView]:
    """The destinations that hear of every tenant, oldest first."""
    return [destination_view(row, work.now) for row in await destinations.every(work)]


@post(_ALL, guards=[OPS], dependencies={"work": new_work})
@idempotent(shows="secret")
async def create_installation_destination(
    request: AnyCall, work: TenantWork, data: JSONBody[DestinationWanted]
) -> SecretShown:
    """Register a destination that hears of every tenant. Its secret is in this answer and nowhere else."""
    return await views.create(request, work, data)


@get(_ONE, guards=[OPS], dependencies=_OWN)
async def get_installation_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """One destination of the installation."""
    return destination_view(await destinations.find(work, id_of(destination)), work.now)


@patch(_ONE, guards=[OPS], dependencies={"work": change_work})
async def change_installation_destination(
    request: AnyCall, work: TenantWork, destination: FromPath[str], data: JSONBody[DestinationChange]
) -> DestinationView:
    """Change where a destination is or what it hears; its secret stays."""
    return await views.change(request, work, destination, data)


@delete(_ONE, guards=[OPS], dependencies=_OWN)
async def remove_installation_destination(work: TenantWork, destination: FromPath[str]) -> None:
    """Take a destination away; what still waits for it is cancelled."""
    await destinations.remove(work, id_of(destination))


@post(f"{_ONE}/rotate-secret", status_code=200, guards=[OPS], dependencies=_OWN)
@idempotent(shows="secret")
async def rotate_installation_destination_secret(
    request: AnyCall, work: TenantWork, destination: FromPath[str], data: JSONBody[SecretRotation | None] = None
) -> SecretShown:
    """Give a webhook a new secret; until the overlap is over, calls are signed with both."""
    return await views.rotate(request, work, destination, data)


@post(f"{_ONE}/enable", status_code=200, guards=[OPS], dependencies=_OWN)
async def enable_installation_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """Let a disabled destination hear again, from now on."""
    return destination_view(await destinations.enable(work, id_of(destination)), work.now)


@post(f"{_ONE}/disable", status_code=200, guards=[OPS], dependencies=_OWN)
async def disable_installation_destination(work: TenantWork, destination: FromPath[str]) -> DestinationView:
    """Tell a destination nothing more; what still waits for it is cancelled."""
    row = await destinations.disable(work, id_of(destination), because="disabled by ops")
    return destination_view(row, work.now)


@post(f"{_ONE}/test", status_code=202, guards=[OPS], dependencies=_OWN)
@idempotent()
async def test_installation_destination(work: TenantWork, destination: FromPath[str]) -> TestSent:
    """Send a destination the event ``destination.tested``, which nobody else hears."""
    return TestSent(delivery_id=await destinations.send_test(work, id_of(destination)))


@get(f"{_ONE}/deliveries", guards=[OPS], dependencies=_FLEET)
async def list_installation_deliveries(
    fleet: FleetWork,
    destination: FromPath[str],
    in_state: Annotated[StateName | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
    cursor: FromQuery[str | None] = None,
) -> DeliveryPage:
    """What a destination was told, of all tenants, newest first; kept for a month."""
    chosen = None if in_state is None else State(in_state)
    return page_view(await deliveries.page(fleet, id_of(destination), state=chosen, limit=limit, cursor=cursor))


@post(f"{_ONE}/deliveries/{{delivery:str}}/replay", status_code=202, guards=[OPS], dependencies=_FLEET)
@idempotent()
async def replay_installation_delivery(
    fleet: FleetWork, destination: FromPath[str], delivery: FromPath[str]
) -> DeliveryView:
    """Make a delivery once more, with the same ``webhook-id``."""
    return delivery_view(await deliveries.replay(fleet, id_of(destination), uuid_of(delivery, "delivery")))


@post(f"{_ONE}/replay-dead", status_code=202, guards=[OPS], dependencies=_FLEET)
@idempotent()
async def replay_dead_installation_deliveries(fleet: FleetWork, destination: FromPath[str]) -> Replayed:
    """Make every dead delivery of a destination once more, oldest first."""
    return Replayed(replayed=await deliveries.replay_dead(fleet, id_of(destination)))


router = Router(
    "/",
    route_handlers=[
        list_installation_destinations,
        create_installation_destination,
        get_installation_destination,
        change_installation_destination,
        remove_installation_destination,
        rotate_installation_destination_secret,
        enable_installation_destination,
        disable_installation_destination,
        test_installation_destination,
        list_installation_deliveries,
        replay_installation_delivery,
        replay_dead_installation_deliveries,
    ],
    tags=["destinations"],
)
