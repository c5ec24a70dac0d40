"""The SCIM routes for a caller inside the process: the same handlers, found by the same addresses, and no network.

What stands around the routes for callers from outside is not there: no access log, no pace, nothing is counted.
"""

from typing import Any, cast

from litestar import Litestar
from litestar.types import HTTPScope

from rollcall.api.receiving import CarefulRequest
from rollcall.api.requests import LARGEST_BODY, head_and_options, request_ids
from rollcall.api.scim import errors, router
from rollcall.provisioning.context import GateContext
from rollcall.provisioning.rehearsals.performing import Received, Sent


class Inside:
    """The routes, put together when they are first called. One call at a time: each names what it finds there."""

    def __init__(self, **state: object) -> None:
        self._state = state
        self._app: Litestar | None = None

    async def __call__(self, context: GateContext, sent: Sent) -> Received:
        """Have a call answered."""
        app = self._app = self._app or _made(self._state)
        app.state.context = context
        pieces: list[bytes] = []
        status = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": sent.body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                pieces.append(message.get("body", b""))

        await app(_scope_of(sent), receive, send)
        return Received(status, b"".join(pieces))


def _made(state: dict[str, object]) -> Litestar:
    app = Litestar(
        route_handlers=[router],
        exception_handlers={Exception: errors.answer_exception},
        request_class=CarefulRequest,
        request_max_body_size=LARGEST_BODY,
        openapi_config=None,
        logging_config=None,
    )
    app.state.update(state)
    app.asgi_handler = request_ids(head_and_options(app, app.asgi_handler), https=False)
    return app


def _scope_of(sent: Sent) -> HTTPScope:
    length = (b"content-length", str(len(sent.body)).encode())
    scope: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": sent.path,
        "raw_path": sent.path.encode(),
        "root_path": "",
        "query_string": sent.query.encode(),
        "headers": [*sent.headers, length],
        "client": None,
        "server": None,
    }
    return cast("HTTPScope", scope)
