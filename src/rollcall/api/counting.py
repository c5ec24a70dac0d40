"""Counts and times every call, whoever answers it, whether a route takes them or not."""

from time import perf_counter

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from rollcall import metrics
from rollcall.current_call import current_call


def counted(app: ASGIApp) -> ASGIApp:
    """Enter each call into the figures by method, declared address, outcome and provider profile.

    An address that no route takes counts as ``none``: whoever makes up addresses makes no series.
    """
    figures = metrics.figures()

    async def with_figures(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        method = scope["method"]  # what follows makes a GET of HEAD
        status = 0

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = perf_counter()
        try:
            await app(scope, receive, send_and_see)
        finally:
            route = scope.get("path_template") or "none"
            call = current_call.get()
            profile = "" if call is None else call.profile
            figures.call(method, route, status, profile, perf_counter() - began)

    return with_figures
