"""Answers whose bytes are ready, for the paths that are called all day."""

from typing import Any, cast

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send


class Prepared(Response[bytes]):
    """An answer that is sent as it is, past the framework's rendering: that would cost as much as writing it did.

    Only its content, status, media type and headers count; who needs cookies or background tasks takes a `Response`.
    """

    def to_asgi_response(
        self,
        app: object,  # noqa: ARG002  # the framework's interface
        request: Request[Any, Any, Any],  # noqa: ARG002  # as above
        **_others: Any,
    ) -> ASGIResponse:
        """How it is sent: two messages, and nothing is looked at again."""
        head = [
            (b"content-type", str(self.media_type).encode()),
            (b"content-length", b"%d" % len(self.content)),
            *((name.lower().encode(), str(value).encode("latin-1")) for name, value in self.headers.items()),
        ]

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI's interface
            await send({"type": "http.response.start", "status": self.status_code or 200, "headers": head})
            await send({"type": "http.response.body", "body": self.content, "more_body": False})

        return cast("ASGIResponse", cast("ASGIApp", answer))
