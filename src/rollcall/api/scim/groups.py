"""``/scim/v2/Groups``: groups, as identity providers handle them (RFC 7644 §3)."""

from dataclasses import replace
from typing import Any

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath

from rollcall.api.scim.answers import patched, resource
from rollcall.api.scim.users import call_of, payload_of, selection_of
from rollcall.provisioning import groups
from rollcall.scim.conditions import UNCONDITIONAL

AnyRequest = Request[Any, Any, Any]


@get(["/Groups/{group_id:str}", "/groups/{group_id:str}"], name="scim_get_group")
async def get_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Read one group."""
    call = call_of(request, "groups.read")
    selection = await selection_of(call, "read", request.query_params)
    return resource(await groups.read(call, group_id, members=selection.of_members), selection)


@post(["/Groups", "/groups"], name="scim_create_group")
async def create_group(request: AnyRequest) -> Response[bytes]:
    """Make a group."""
    call = call_of(request, "groups.create")
    selection = await selection_of(call, "write", request.query_params)
    created = await groups.create(call, payload_of(request))
    return resource(created, selection, status=201)


@put(["/Groups/{group_id:str}", "/groups/{group_id:str}"], name="scim_replace_group")
async def replace_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Replace a group's attributes and members."""
    call = call_of(request, "groups.replace")
    selection = await selection_of(call, "write", request.query_params)
    replaced = await groups.replace(call, group_id, payload_of(request))
    return resource(replaced, selection)


@patch(["/Groups/{group_id:str}", "/groups/{group_id:str}"], name="scim_patch_group")
async def patch_group(request: AnyRequest, group_id: FromPath[str]) -> Response[bytes]:
    """Change a group's name, or some of its members.

    Answers 204 for a group of many members, unless attributes are asked for: a change of a few members never reads or
    sends them all. Who asks for them is sent them (RFC 7644 §3.5.2).
    """
    call = call_of(request, "groups.patch")
    selection = await selection_of(call, "write", request.query_params)
    answer = await groups.patch(call, group_id, payload_of(request), members=selection.of_members)
    if answer.quiet and selection.of_members and not selection.of_everything:
        again = replace(call, conditions=UNCONDITIONAL, has_permit=True)
        answer = await groups.read(again, group_id, members=True)
    return patched(answer, selection)


@delete(["/Groups/{group_id:str}", "/groups/{group_id:str}"], name="scim_delete_group")
async def delete_group(request: AnyRequest, group_id: FromPath[str]) -> None:
    """Take a group away; whoever had a role through it is judged anew."""
    await groups.delete(call_of(request, "groups.delete"), group_id)
