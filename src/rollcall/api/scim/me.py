"""``/scim/v2/Me``: the person who owns the token, under an address that says so (RFC 7644 §3.11).

Everything goes through the doors of ``/scim/v2/Users``, and the answer says where the person really is.
"""

from typing import Any

from litestar import Request, Response, delete, get, patch, put

from rollcall.api.scim.answers import patched, resource
from rollcall.api.scim.users import call_of, payload_of, selection_of
from rollcall.provisioning import users

AnyRequest = Request[Any, Any, Any]


@get("/Me", name="scim_get_me")
async def get_me(request: AnyRequest) -> Response[bytes]:
    """Read the token's owner."""
    call = call_of(request, "users.read")
    selection = await selection_of(call, "read", request.query_params)
    call, user_id = await users.me(call, "read")
    return resource(await users.read(call, user_id), selection)


@put("/Me", name="scim_replace_me")
async def replace_me(request: AnyRequest) -> Response[bytes]:
    """Replace the attributes of the token's owner."""
    call = call_of(request, "users.replace")
    selection = await selection_of(call, "write", request.query_params)
    call, user_id = await users.me(call, "write")
    return resource(await users.replace(call, user_id, payload_of(request)), selection)


@patch("/Me", name="scim_patch_me")
async def patch_me(request: AnyRequest) -> Response[bytes]:
    """Change some attributes of the token's owner; ``active=false`` ends the token too."""
    call = call_of(request, "users.patch")
    selection = await selection_of(call, "write", request.query_params)
    call, user_id = await users.me(call, "write")
    answer = await users.patch(call, user_id, payload_of(request))
    return patched(answer, selection)


@delete("/Me", name="scim_delete_me")
async def delete_me(request: AnyRequest) -> None:
    """Take the resource of the token's owner away, and the token with it."""
    await users.delete(*await users.me(call_of(request, "users.delete"), "write"))
