"""``/scim/v2/Users``: people, as identity providers handle them (RFC 7644 §3)."""

from typing import Any

from litestar import Request, Response, delete, get, patch, post, put
from litestar.params import FromPath

from rollcall.access import gate
from rollcall.access.gate import Call
from rollcall.api.requests import origin
from rollcall.api.scim.answers import message, resource
from rollcall.directory import search, users
from rollcall.scim.errors import SCIMException

AnyRequest = Request[Any, Any, Any]


def call_of(request: AnyRequest, action: str) -> Call:
    """The SCIM call a request is; its token has been read and nothing else."""
    return gate.present(request.app.state.door, request.headers.get("authorization"), origin(request), f"scim.{action}")


@get("/Users", name="scim_list_users")
async def list_users(request: AnyRequest) -> Response[bytes]:
    """List people, or find some of them with ``filter``."""
    call = call_of(request, "users.list")
    try:
        query = search.read_query(dict(request.query_params))
    except SCIMException as refusal:
        raise await users.refuse_unread(call, "read", refusal) from refusal
    return message(await users.find(call, query))


@get("/Users/{user_id:str}", name="scim_get_user")
async def get_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Read one person."""
    return resource(await users.read(call_of(request, "users.read"), user_id))


@post("/Users", name="scim_create_user")
async def create_user(request: AnyRequest) -> Response[bytes]:
    """Take a person in."""
    call = call_of(request, "users.create")
    return resource(await users.create(call, request.body, request.headers.get("content-type")), status=201)


@put("/Users/{user_id:str}", name="scim_replace_user")
async def replace_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Replace a person's attributes."""
    call = call_of(request, "users.replace")
    return resource(await users.replace(call, user_id, request.body, request.headers.get("content-type")))


@patch("/Users/{user_id:str}", name="scim_patch_user")
async def patch_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Change some of a person's attributes; ``active=false`` closes every way in."""
    call = call_of(request, "users.patch")
    return resource(await users.patch(call, user_id, request.body, request.headers.get("content-type")))


@delete("/Users/{user_id:str}", name="scim_delete_user")
async def delete_user(request: AnyRequest, user_id: FromPath[str]) -> None:
    """Take the person's resource away and close every way in."""
    await users.delete(call_of(request, "users.delete"), user_id)
