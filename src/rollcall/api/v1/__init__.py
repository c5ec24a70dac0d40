"""The management API, for the product, ops and tenants' admins."""

from litestar import Router

from rollcall.api import errors
from rollcall.api.requests import LARGEST_BODY
from rollcall.api.v1 import audit, people, roles, sessions, tenants, tokens

router = Router(
    "/v1",
    route_handlers=[tenants.router, people.router, tokens.router, roles.router, sessions.router, audit.router],
    exception_handlers={Exception: errors.answer},
    request_max_body_size=LARGEST_BODY,
    security=[{"key": []}],
)
