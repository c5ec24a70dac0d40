"""Every refusal under ``/oauth`` in the shape that OAuth clients read (RFC 6749 §5.2, RFC 7009 §2.2.1)."""

import re

from litestar import Response

from rollcall.api import errors
from rollcall.api.requests import AnyRequest

_ERRORS = {401: "invalid_client", 403: "unauthorized_client", 500: "server_error", 503: "temporarily_unavailable"}
"""What the RFCs call a refusal with this status; any other is ``invalid_request``, or what the refusal itself says."""

_OWN = frozenset({"unsupported_token_type"})
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def answer(request: AnyRequest, exception: Exception) -> Response[dict[str, str]]:
    """Say no: ``error`` for programs, ``error_description`` for people; the request's id is in its header."""
    meant = errors.logged(request, exception)
    headers = {**_HEADERS, **meant.headers}
    if meant.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="rollcall", Basic realm="rollcall"'
    code = meant.code if meant.code in _OWN else _ERRORS.get(meant.status, "invalid_request")
    body = {"error": code, "error_description": _description(meant.detail)}
    return Response(body, status_code=meant.status, headers=headers, media_type="application/json")


def _description(detail: str) -> str:
    """*detail* in the characters that the RFC allows there: printable ASCII without quotation marks and backslashes."""
    plain = re.sub(r'["“”\\]', "'", detail).replace("…", "...").replace("\n", " ")
    return plain.encode("ascii", "replace").decode()
