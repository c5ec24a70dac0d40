"""What the web process is made of."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Response
from litestar.types import ASGIApp

from rollcall import broker, console, db, installing, metrics, revisions
from rollcall.access.attempts import Attempts
from rollcall.access.authenticators import own_party, relying_party
from rollcall.access.hashing import Hashing
from rollcall.access.introspection import Clients
from rollcall.access.origins import TrustedProxies
from rollcall.api import errors, oauth_errors
from rollcall.api.abandoned import attended
from rollcall.api.access_log import access_log
from rollcall.api.again import again_where_crossed, note_crossed
from rollcall.api.counting import counted
from rollcall.api.docs import errors_page, openapi_config, openapi_document, scim_openapi_document
from rollcall.api.figures import figures
from rollcall.api.health import live, ready
from rollcall.api.jwks import jwks, receipt_keys
from rollcall.api.oauth import router as oauth
from rollcall.api.receiving import CarefulRequest, Pace, in_good_time
from rollcall.api.requests import LARGEST_BODY, AnyRequest, head_and_options, request_ids
from rollcall.api.scim import errors as scim_errors
from rollcall.api.scim import inside
from rollcall.api.scim import router as scim
from rollcall.api.unsubscribing import router as unsubscribing
from rollcall.api.v1 import refusals
from rollcall.api.v1 import router as v1
from rollcall.api.v1.limits import ManagementLimit
from rollcall.billing import asking
from rollcall.billing.routes import router as billing
from rollcall.console import branding
from rollcall.console.terms import ConsoleTerms
from rollcall.crypto import Sealer
from rollcall.events.addresses import AddressRules
from rollcall.provisioning.batched_entries import BatchedEntries
from rollcall.provisioning.context import GateContext
from rollcall.provisioning.limits import RateLimiter
from rollcall.provisioning.rehearsals.playing import Rehearsals
from rollcall.settings import Settings

_WITHOUT_A_KEY = (
    *(openapi_document, errors_page, scim_openapi_document),
    *(live, ready, jwks, receipt_keys, unsubscribing),
)
"""What answers anybody."""


def create_app(settings: Settings, *, lingers: bool = False) -> Litestar:
    """Put the web process together; on a real server it *lingers* over bodies (`in_good_time`)."""

    @asynccontextmanager
    async def engines(app: Litestar) -> AsyncGenerator[None]:
        # Started while the database is away, it is there when that comes back.
        database = db.unopened(settings, on_wait=metrics.figures().pool_wait_seconds.observe)
        redis = broker.connect(settings, patience=0.25)
        entries = BatchedEntries(database.pool)
        entries.start()
        app.state.database = database
        app.state.redis = redis
        app.state.revisions = revisions.known()
        app.state.sealer = Sealer.of(settings)
        app.state.address_rules = AddressRules.of(settings)
        app.state.public_url = settings.public_url
        app.state.portal_return_origins = frozenset(settings.portal_return_origins)
        app.state.console = ConsoleTerms.of(settings)
        app.state.hashing = hashing = Hashing()
        app.state.payment_providers = asking.providers(settings)
        app.state.brand = branding.of_settings(settings)
        app.state.announces_cursors = settings.announce_cursors
        app.state.clients = Clients(database.access_pool)
        app.state.relying_party, app.state.own_party = relying_party(settings), own_party(settings)
        app.state.attempts = Attempts(redis)
        app.state.trusted_proxies = TrustedProxies(settings.trusted_proxies, redis)
        app.state.management_limit = ManagementLimit(
            RateLimiter(redis, "management"), settings.management_rate_per_second, settings.management_burst
        )
        context = GateContext(database, RateLimiter(redis), entries, f"{settings.public_url}/scim/v2")
        app.state.context = context
        app.state.rehearsals = rehearsals = _rehearsals(settings, context, app.state.trusted_proxies)
        try:
            async with installing.reported(database.pool):
                yield
        finally:
            hashing.stop()
            await rehearsals.close()
            await entries.stop()
            await redis.aclose()
            await database.close()

    app = Litestar(
        route_handlers=[scim, v1, oauth, billing, *_WITHOUT_A_KEY, figures, console.make_router(settings)],
        lifespan=[engines],
        exception_handlers={Exception: _answer_exception},
        after_exception=[note_crossed, refusals.write_down],
        request_class=CarefulRequest,
        request_max_body_size=LARGEST_BODY,
        openapi_config=openapi_config(),
        logging_config=None,
    )
    app.asgi_handler = _outermost(app, settings, lingers=lingers)
    return app


def _rehearsals(settings: Settings, context: GateContext, trusted_proxies: TrustedProxies) -> Rehearsals:
    """Rehearsals, by SCIM routes of their own that are found inside the process alone."""
    answers = inside.Inside(trusted_proxies=trusted_proxies, announces_cursors=settings.announce_cursors)
    return Rehearsals(db.lone_engine(settings), answers, context.limiter, context.base_url)


def _outermost(app: Litestar, settings: Settings, *, lingers: bool) -> ASGIApp:
    """What stands around the routes, so that a request which no route takes has an id and is counted too."""
    https = settings.public_url.startswith("https://")
    pace = Pace(settings.body_seconds, settings.body_bytes_per_second)
    answering = attended(head_and_options(app, again_where_crossed(app.asgi_handler)))
    seen = request_ids(counted(access_log(answering) if settings.access_log else answering), https=https)
    return in_good_time(seen, pace, lingers=lingers)


def _answer_exception(request: AnyRequest, exception: Exception) -> Response[Any]:
    """Refuse in the words of the surface that was called; routing fails before any router's own handlers."""
    if scim_errors.is_meant_for_scim(request.scope["path"]):
        return scim_errors.answer_exception(request, exception)
    if request.url.path.startswith("/oauth/"):
        return oauth_errors.answer(request, exception)
    return errors.answer(request, exception)
