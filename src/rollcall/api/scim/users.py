"""``/scim/v2/Users``: people, as identity providers handle them (RFC 7644 §3)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from litestar import Request, Response, delete, get, patch, post, put
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from rollcall import errors
from rollcall.api.receiving import BodyBrokenOff, BodyTooSlow, incoming
from rollcall.api.requests import LARGEST_BODY, header, header_list, origin
from rollcall.api.scim.answers import Selection, patched, read_selection, resource
from rollcall.provisioning import gate, users
from rollcall.provisioning.calls import ReadPayload, payload_in
from rollcall.provisioning.context import Call
from rollcall.scim.conditions import Conditions
from rollcall.scim.errors import InvalidSyntax, PayloadTooLarge, RequestTimeout, SCIMException, TooManyRequests

AnyRequest = Request[Any, Any, Any]


def call_of(request: AnyRequest, action: str, *, asked: str | None = None) -> Call:
    """The SCIM call a request is; its token has been read and nothing else.

    A caller who is remembered is let through to the body, so the gate is asked if that does not come at once. Its
    parameters can be the mark of a provider: *asked*.
    """
    call = gate.present(
        request.app.state.context,
        header(request.scope, b"authorization"),
        origin(request),
        f"scim.{action}",
        conditions=Conditions(header_list(request.scope, b"if-match"), header_list(request.scope, b"if-none-match")),
        agent=header(request.scope, b"user-agent"),
        asked=asked,
    )
    if (body := incoming(request.scope)) is not None:
        body.judge = partial(gate.ended, call)
    return call


def payload_of(request: AnyRequest) -> ReadPayload:
    """How the body is read; what is too large, too slow or broken off is refused in the protocol's own words."""

    async def read() -> bytes:
        try:
            return await request.body()
        except HTTPException as exception:
            if exception.status_code != 413:
                raise
            raise PayloadTooLarge(LARGEST_BODY) from exception
        except errors.TooManyRequests as refusal:
            raise TooManyRequests(refusal.retry_after) from refusal
        except BodyTooSlow as refusal:
            raise RequestTimeout(detail=refusal.detail) from refusal
        except BodyBrokenOff as refusal:
            raise InvalidSyntax(detail=refusal.detail) from refusal

    return payload_in(read, header(request.scope, b"content-type"), request.app.state.context.reading_large)


async def selection_of(call: Call, needs: str, parameters: Mapping[str, str]) -> Selection:
    """Which attributes are to be answered; judged before anything is changed, and after the caller has been."""
    try:
        return read_selection(parameters)
    except SCIMException as refusal:
        raise await users.refuse_unread(call, needs, refusal) from refusal


@get(["/Users/{user_id:str}", "/users/{user_id:str}"], name="scim_get_user")
async def get_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Read one person."""
    call = call_of(request, "users.read")
    selection = await selection_of(call, "read", request.query_params)
    return resource(await users.read(call, user_id), selection)


@post(["/Users", "/users"], name="scim_create_user")
async def create_user(request: AnyRequest) -> Response[bytes]:
    """Take a person in."""
    call = call_of(request, "users.create")
    selection = await selection_of(call, "write", request.query_params)
    created = await users.create(call, payload_of(request))
    return resource(created, selection, status=201)


@put(["/Users/{user_id:str}", "/users/{user_id:str}"], name="scim_replace_user")
async def replace_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Replace a person's attributes."""
    call = call_of(request, "users.replace")
    selection = await selection_of(call, "write", request.query_params)
    replaced = await users.replace(call, user_id, payload_of(request))
    return resource(replaced, selection)


@patch(["/Users/{user_id:str}", "/users/{user_id:str}"], name="scim_patch_user")
async def patch_user(request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Change some of a person's attributes; ``active=false`` closes every way in."""
    call = call_of(request, "users.patch")
    selection = await selection_of(call, "write", request.query_params)
    answer = await users.patch(call, user_id, payload_of(request))
    return patched(answer, selection)


@delete(["/Users/{user_id:str}", "/users/{user_id:str}"], name="scim_delete_user")
async def delete_user(request: AnyRequest, user_id: FromPath[str]) -> None:
    """Take the person's resource away and close every way in."""
    await users.delete(call_of(request, "users.delete"), user_id)
