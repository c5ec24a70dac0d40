"""``/scim/v2/Bulk``: many operations in one call (RFC 7644 §3.7)."""

from functools import partial
from typing import Any

from litestar import Request, Response, post

from rollcall.api.abandoned import is_gone
from rollcall.api.scim.answers import message
from rollcall.api.scim.users import call_of, payload_of
from rollcall.provisioning import bulk


@post("/Bulk", name="scim_bulk", status_code=200)
async def carry_out_bulk(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Carry many operations out, and say what became of each."""
    gone = partial(is_gone, request.scope)
    return message(await bulk.carry_out(call_of(request, "bulk"), payload_of(request), gone=gone))
