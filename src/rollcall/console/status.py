"""The first page: what is running."""

from litestar import Response, get


@get("/", name="console_status")
async def status_page() -> Response[str]:
    """What is running."""
    return Response("<!doctype html><title>Rollcall</title>", media_type="text/html; charset=utf-8")
