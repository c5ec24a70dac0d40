"""Discovery (RFC 7644 §4): public; with a token it passes the whole gate and shows the tenant's own role names."""

from dataclasses import replace
from typing import Any

import orjson
from litestar import Request, Response, get
from litestar.params import FromPath

from rollcall.api.requests import LARGEST_BODY
from rollcall.api.scim.answers import message
from rollcall.api.scim.users import call_of
from rollcall.directory import mapping
from rollcall.provisioning import gate, statements
from rollcall.provisioning.bulk import MOST_OPERATIONS
from rollcall.provisioning.listing import CURSOR_LIFE
from rollcall.scim import discovery
from rollcall.scim.discovery import Capabilities
from rollcall.scim.documents import list_page
from rollcall.scim.errors import Forbidden, NotFound
from rollcall.search.queries import MOST_RESULTS, USUAL_RESULTS

AnyRequest = Request[Any, Any, Any]
_ABLE = Capabilities(
    bulk=True,
    most_bulk_operations=MOST_OPERATIONS,
    largest_bulk=LARGEST_BODY,
    etag=True,
    sort=True,
    cursors=True,
    most_results=MOST_RESULTS,
    usual_results=USUAL_RESULTS,
    cursor_seconds=int(CURSOR_LIFE.total_seconds()),
)


async def _role_values(request: AnyRequest) -> tuple[str, ...] | None:
    """The tenant's own role names, when a token says whose."""
    if "authorization" not in request.headers:
        return None
    call = call_of(request, "discovery")
    row = await statements.gate(call, "read")
    await gate.judge(call, row)
    return mapping.read_rule(row["rule"]).published_values()


def _list(resources: list[dict[str, Any]]) -> Response[bytes]:
    return message(list_page([orjson.dumps(each) for each in resources], total=len(resources), start_index=1))


def _refuse_filter(request: AnyRequest) -> None:
    """RFC 7644 §4: a discovery endpoint asked with a filter answers 403."""
    if any(name.casefold() == "filter" for name in request.query_params):
        raise Forbidden(detail="Discovery documents can't be filtered; read them whole.")


def _one(resources: list[dict[str, Any]], name: str) -> Response[bytes]:
    for each in resources:
        if each["id"].casefold() == name.casefold():
            return message(orjson.dumps(each))
    raise NotFound


@get("/ServiceProviderConfig", name="scim_service_provider_config")
async def service_provider_config(request: AnyRequest) -> Response[bytes]:
    """What this service can do."""
    await _role_values(request)
    _refuse_filter(request)
    state = request.app.state
    able = replace(_ABLE, cursors=state.announces_cursors)
    return message(orjson.dumps(discovery.service_provider_config(state.context.base_url, able)))


@get("/ResourceTypes", name="scim_resource_types")
async def resource_types(request: AnyRequest) -> Response[bytes]:
    """Which kinds of resources there are."""
    await _role_values(request)
    _refuse_filter(request)
    return _list(discovery.resource_types(request.app.state.context.base_url))


@get("/ResourceTypes/{name:str}", name="scim_resource_type")
async def resource_type(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """One kind of resource."""
    await _role_values(request)
    return _one(discovery.resource_types(request.app.state.context.base_url), name)


@get("/Schemas", name="scim_schemas")
async def schemas(request: AnyRequest) -> Response[bytes]:
    """Which attributes resources have."""
    roles = await _role_values(request)
    _refuse_filter(request)
    return _list(discovery.schemas(request.app.state.context.base_url, roles))


@get("/Schemas/{urn:str}", name="scim_schema")
async def schema(request: AnyRequest, urn: FromPath[str]) -> Response[bytes]:
    """One schema, by its URN."""
    return _one(discovery.schemas(request.app.state.context.base_url, await _role_values(request)), urn)
