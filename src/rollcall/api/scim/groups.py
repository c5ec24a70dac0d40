"""``/scim/v2/Groups``: groups, as identity providers handle them (RFC 7644 §3)."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath

from rollcall.access.gate import Call
from rollcall.api.scim.answers import Selection, message, page, resource
from rollcall.api.scim.users import body_of, call_of, selection_of
from rollcall.directory import groups, users
from rollcall.scim.errors import SCIMException

AnyRequest = Request[Any, Any, Any]


def wants_members(selection: Selection) -> bool:
    """Whether the members are to be answered: leaving them out spares a large group's reading."""
    if selection.attributes:
        return "members" in selection.attributes.casefold()
    return "members" not in (selection.excluded or "").casefold()


async def listed(call: Call, parameters: Mapping[str, str]) -> Response[bytes]:
    """The page of groups that *parameters* ask for."""
    try:
        query = groups.read_query(parameters)
    except SCIMException as refusal:
        raise await users.refuse_unread(call, "read", refusal) from refusal
    selection = await selection_of(call, "read", parameters)
    return message(page(await groups.find(call, query, members=wants_members(selection)), selection))


@get("/Groups", name="scim_list_groups")
async def list_groups(request: AnyRequest) -> Response[bytes]:
    """List groups, or find some of them with ``filter``."""
    return await listed(call_of(request, "groups.list"), request.query_params)


@post("/Groups/.search", name="scim_search_groups", status_code=200)
async def search_groups(request: AnyRequest) -> Response[bytes]:
    """Do what a list does, with the parameters in the body (RFC 7644 §3.4.3)."""
    call = call_of(request, "groups.search")
    return await listed(call, await users.posted_query(call, body_of(request), request.headers.get("content-type")))


@get("/Groups/{group_id:str}", name="scim_get_group")
async def get_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Read one group."""
    call = call_of(request, "groups.read")
    selection = await selection_of(call, "read", request.query_params)
    return resource(await groups.read(call, group_id, members=wants_members(selection)), selection)


@post("/Groups", name="scim_create_group")
async def create_group(request: AnyRequest) -> Response[bytes]:
    """Make a group."""
    call = call_of(request, "groups.create")
    selection = await selection_of(call, "write", request.query_params)
    created = await groups.create(call, body_of(request), request.headers.get("content-type"))
    return resource(created, selection, status=201)


@put("/Groups/{group_id:str}", name="scim_replace_group")
async def replace_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Replace a group's attributes and members."""
    call = call_of(request, "groups.replace")
    selection = await selection_of(call, "write", request.query_params)
    replaced = await groups.replace(call, group_id, body_of(request), request.headers.get("content-type"))
    return resource(replaced, selection)


@patch("/Groups/{group_id:str}", name="scim_patch_group")
async def patch_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Change a group's name, or some of its members.

    Answers 204 for a group of many members: a change of a few never reads or sends them all.
    """
    call = call_of(request, "groups.patch")
    selection = await selection_of(call, "write", request.query_params)
    patched = await groups.patch(call, group_id, body_of(request), request.headers.get("content-type"))
    if patched is None:
        return Response(b"", status_code=204)
    return resource(patched, selection)


@delete("/Groups/{group_id:str}", name="scim_delete_group")
async def delete_group(request: AnyRequest, group_id: FromPath[str]) -> None:
    """Take a group away; whoever had a role through it is judged anew."""
    await groups.delete(call_of(request, "groups.delete"), group_id)
