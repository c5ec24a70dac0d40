"""What the console reads of a request, and how it answers one: by a page, or its own script by JSON."""

from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from rollcall.access import origins
from rollcall.work import RequestOrigin

AnyRequest = Request[Any, Any, Any]

LARGEST_BODY = 65_536
"""Bytes of a form, or of an authenticator's answer, that are read; real ones have a tenth of that."""

_NO_STORE = {"Cache-Control": "no-store"}


def origin(request: AnyRequest) -> RequestOrigin:
    """Where a request came from, as its audit entry says it."""
    return origins.origin_of(request.scope, request.app.state.trusted_proxies)


def source_of(request: AnyRequest) -> str | None:
    """The caller's address."""
    return origins.source_of(request.scope, request.app.state.trusted_proxies)


def asks_for_json(request: AnyRequest) -> bool:
    """Whether it is our script that asks; browsers ask for pages."""
    return request.headers.get("accept", "") == "application/json"


async def form_field(request: AnyRequest, name: str) -> str:
    """A text of the form that was sent; empty where there is none."""
    value: object = (await request.form()).get(name, "")
    return value.strip() if isinstance(value, str) else ""


def see(address: str, *cookies: Cookie) -> Response[Any]:
    """Lead on to a page, after something was done."""
    return Redirect(address, status_code=303, headers=_NO_STORE, cookies=[*cookies])


def json_answer(body: dict[str, Any], *cookies: Cookie, status_code: int = 200) -> Response[dict[str, Any]]:
    """Tell our script something."""
    return Response(body, status_code=status_code, headers=_NO_STORE, cookies=[*cookies], media_type="application/json")
