"""The management API, for the product, ops and tenants' admins."""

from litestar import Router

from rollcall.api import errors
from rollcall.api.requests import LARGEST_BODY
from rollcall.api.v1 import (
    alerts,
    audit,
    billing,
    deputies,
    destinations,
    external,
    history,
    lapse,
    overrides,
    passkeys,
    pauses,
    people,
    personal_tokens,
    plan_questions,
    portal_links,
    providers,
    receipts,
    roles,
    seats,
    sessions,
    tenants,
    tokens,
    usage,
)
from rollcall.api.v1.lists import LISTED
from rollcall.api.v1.queries import check_query

router = Router(
    "/v1",
    route_handlers=[
        tenants.router,
        deputies.router,
        lapse.router,
        pauses.router,
        seats.router,
        overrides.router,
        plan_questions.router,
        usage.router,
        providers.router,
        people.router,
        history.router,
        tokens.router,
        external.router,
        passkeys.router,
        personal_tokens.router,
        roles.router,
        sessions.router,
        portal_links.router,
        destinations.router,
        audit.router,
        receipts.router,
        alerts.router,
        billing.router,
    ],
    before_request=check_query,
    dependencies=LISTED,
    exception_handlers={Exception: errors.answer},
    request_max_body_size=LARGEST_BODY,
    security=[{"key": []}],
)
