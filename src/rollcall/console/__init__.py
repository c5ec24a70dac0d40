"""The console's pages."""

from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from rollcall.console import errors
from rollcall.console.assets import asset
from rollcall.console.status import status_page
from rollcall.errors import Refusal


@get("/{rest:path}", name="console_nothing")
async def nothing(rest: FromPath[str]) -> None:
    """Whatever has no page, so that people who look for one are told so by a page."""
    raise NotFoundException(rest)


router = Router(
    "/console",
    route_handlers=[status_page, asset, nothing],
    exception_handlers={Refusal: errors.answer_refusal, Exception: errors.answer_exception},
    include_in_schema=False,
)
