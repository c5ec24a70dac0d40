"""Lists of people, of groups, and of both (RFC 7644 §3.4.2 and §3.4.3): by GET, and by POST to ``/.search``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, get, post

from rollcall.api.requests import header
from rollcall.api.scim.answers import Selection, message, page
from rollcall.api.scim.users import call_of, payload_of
from rollcall.db import Row
from rollcall.provisioning import groups, listing, users
from rollcall.provisioning.context import Call
from rollcall.scim.errors import NoSuchAddress
from rollcall.scim.query_strings import unambiguous
from rollcall.scim.recognising import query_mark
from rollcall.scim.resources import GROUPS, USERS, ResourceKind
from rollcall.scim.search import Search, read_parameters, read_search

AnyRequest = Request[Any, Any, Any]

_RENDERED: dict[ResourceKind, Callable[[Call, Row], bytes]] = {USERS: users.rendered, GROUPS: groups.rendered}
_BOTH = (USERS, GROUPS)


def _parameters(request: AnyRequest) -> Mapping[str, str]:
    """The parameters of a query, its filter as the sender meant it."""
    query: bytes = request.scope["query_string"]
    meant = unambiguous(query)
    return request.query_params if meant is query else dict(parse_qsl(meant.decode("latin-1"), keep_blank_values=True))


async def _answered(call: Call, wanted: Search) -> Response[bytes]:
    selection = Selection(wanted.attributes, wanted.excluded_attributes)
    render = partial(_RENDERED[wanted.kind], call)
    body = await listing.listed(call, wanted, render, members=selection.of_members)
    return message(page(body, selection))


async def _listed(request: AnyRequest, action: str, kind: ResourceKind) -> Response[bytes]:
    parameters = _parameters(request)
    call, wanted = await listing.asked(
        call_of(request, action, asked=query_mark(parameters, of_groups=kind is GROUPS)),
        lambda unquoted: read_parameters(parameters, kind, unquoted_values=unquoted),
    )
    return await _answered(call, wanted)


async def _searched(request: AnyRequest, action: str, kind: ResourceKind) -> Response[bytes]:
    call, payload = await users.posted(call_of(request, action), payload_of(request))
    call, wanted = await listing.asked(call, lambda unquoted: read_search(payload, kind, unquoted_values=unquoted))
    return await _answered(call, wanted)


@get(["/Users", "/users"], name="scim_list_users")
async def list_users(request: AnyRequest) -> Response[bytes]:
    """List people, or find some of them with ``filter``."""
    return await _listed(request, "users.list", USERS)


@post(["/Users/.search", "/users/.search"], name="scim_search_users", status_code=200)
async def search_users(request: AnyRequest) -> Response[bytes]:
    """Do what a list does, with the parameters in the body."""
    return await _searched(request, "users.search", USERS)


@get(["/Groups", "/groups"], name="scim_list_groups")
async def list_groups(request: AnyRequest) -> Response[bytes]:
    """List groups, or find some of them with ``filter``."""
    return await _listed(request, "groups.list", GROUPS)


@post(["/Groups/.search", "/groups/.search"], name="scim_search_groups", status_code=200)
async def search_groups(request: AnyRequest) -> Response[bytes]:
    """Do what a list does, with the parameters in the body."""
    return await _searched(request, "groups.search", GROUPS)


@post("/.search", name="scim_search", status_code=200)
async def search_everything(request: AnyRequest) -> Response[bytes]:
    """Search people and groups together; an attribute that only one kind has finds none of the other."""
    call, payload = await users.posted(call_of(request, "search"), payload_of(request))
    return await _together(
        call,
        lambda kind: lambda unquoted: read_search(payload, kind, among=_BOTH, unquoted_values=unquoted),
    )


@get("/", name="scim_query")
async def query_everything(request: AnyRequest) -> Response[bytes]:
    """Do what ``/.search`` does, with a query that has a ``filter`` (RFC 7644 §3.4.2.1).

    Without one it is somebody who looks for the base URL, and is told about it; their token, if they have one, is
    judged first.
    """
    parameters = _parameters(request)
    if not any(name.casefold() == "filter" for name in parameters):
        nowhere = NoSuchAddress(request.scope["path"], request.app.state.context.base_url)
        if header(request.scope, b"authorization") is not None:
            raise await users.refuse_unread(call_of(request, "search"), "read", nowhere)
        raise nowhere
    return await _together(
        call_of(request, "search"),
        lambda kind: lambda unquoted: read_parameters(parameters, kind, among=_BOTH, unquoted_values=unquoted),
    )


async def _together(call: Call, read: Callable[[ResourceKind], Callable[[bool], Search]]) -> Response[bytes]:
    asked = [((await listing.asked(call, read(kind)))[1], partial(_RENDERED[kind], call)) for kind in _BOTH]
    selection = Selection(asked[0][0].attributes, asked[0][0].excluded_attributes)
    body = await listing.listed_together(call, asked, members=selection.of_members)
    return message(page(body, selection))
