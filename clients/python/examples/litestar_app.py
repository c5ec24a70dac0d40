"""A product on Litestar whose pages are for people that Rollcall knows.

ROLLCALL_ADDRESS=http://127.0.0.1:8000 APPLICATION_KEY=rc_app_… WEBHOOK_SECRET=whsec_… \\
        granian --interface asgi litestar_app:app
"""

import os
from typing import Any

from litestar import Litestar, Request, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.types import ASGIApp

from rollcall_client import Rollcall, RollcallMiddleware, Visitor, WebhookNotVerified, verify

rollcall = Rollcall(os.environ["ROLLCALL_ADDRESS"], os.environ["APPLICATION_KEY"])
webhook_secret = os.environ["WEBHOOK_SECRET"]
departed: dict[str, str] = {}
"""Who has left, by the webhook that told us; a real product clears its own caches here."""


@get("/")
async def home() -> dict[str, str]:
    """Anybody may see this."""
    return {"product": "example"}


@get("/me")
async def me(request: Request[Any, Any, Any]) -> dict[str, str | None]:
    """Who is asking, as of now."""
    visitor: Visitor = request.scope["rollcall"]  # type: ignore[typeddict-item]
    return {"user_name": visitor.user_name, "tenant": visitor.tenant, "role": visitor.role}


@post("/sign-out", status_code=204)
async def sign_out(request: Request[Any, Any, Any]) -> None:
    """End the session that was used to ask."""
    visitor: Visitor = request.scope["rollcall"]  # type: ignore[typeddict-item]
    await rollcall.close_session(visitor.token)


@post("/hooks/rollcall", status_code=204)
async def hook(request: Request[Any, Any, Any]) -> None:
    """What Rollcall tells; a call may come twice."""
    try:
        told = verify(await request.body(), request.headers, webhook_secret)
    except WebhookNotVerified as error:
        raise NotAuthorizedException(str(error)) from error
    if told.type == "user.deactivated":
        departed[told.id] = told.data["person"]["user_name"]


def only_with_a_session(app: ASGIApp) -> ASGIApp:
    """Rollcall's middleware around the whole application."""
    return RollcallMiddleware(app, rollcall, public=("/", "/hooks/"))  # type: ignore[return-value, arg-type]


application = Litestar([home, me, sign_out, hook], on_shutdown=[rollcall.aclose])
app = only_with_a_session(application)
