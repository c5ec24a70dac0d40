"""Answers whose bytes are ready, for the paths that are called all day."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Receive, Scope, Send

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Prepared(Response[bytes]):
    """An answer that is sent as it is, past the framework's rendering: that would cost as much as writing it did.

    Only its content, status, media type and headers count; who needs cookies or background tasks takes a `Response`.
    """

    def __init__(
        self, content: bytes, *, media_type: str, status_code: int = 200, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        self.content = content
        self.media_type = media_type
        self.status_code = status_code
        self.headers = dict(headers)
        self.cookies = []
        self.background = None
        self.response_type_encoders = {}

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
            *[(name.lower().encode(), str(value).encode("latin-1")) for name, value in self.headers.items()],
        ]

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # ASGI's interface
            await send({"type": "http.response.start", "status": self.status_code, "headers": head})
            await send({"type": "http.response.body", "body": self.content, "more_body": False})

        return cast("ASGIResponse", cast("ASGIApp", answer))
