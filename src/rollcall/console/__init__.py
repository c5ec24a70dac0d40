"""The console's pages."""

from litestar import Router

from rollcall.console.status import status_page

router = Router("/console", route_handlers=[status_page], include_in_schema=False)
