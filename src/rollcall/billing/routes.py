"""``/billing``: where payment providers tell what has happened. 200 is answered once that is committed.

An address whose secret is not set is closed: it is answered as one that does not exist.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Router, post
from litestar.exceptions import NotFoundException

from rollcall.access import origins
from rollcall.billing import inbox
from rollcall.billing.provider import Provider
from rollcall.tenancy.customers import OWN, STRIPE
from rollcall.work import SYSTEM, open_fleet


@post("/stripe", status_code=200, include_in_schema=False)
async def take_stripe_event(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """Take an event of Stripe's."""
    return await _take(request, STRIPE)


@post("/entitlements", status_code=200, include_in_schema=False)
async def take_entitlements(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """Take what a billing system of one's own says of a customer."""
    return await _take(request, OWN)


async def _take(request: Request[Any, Any, Any], name: str) -> dict[str, bool]:
    provider: Provider = request.app.state.payment_providers[name]
    if not provider.is_open:
        raise NotFoundException
    body = await request.body()
    headers = {key.lower(): value for key, value in request.headers.items()}
    # Beside the loop: the first event has Stripe's package imported, which takes most of a second.
    hint = await asyncio.to_thread(provider.read, headers, body, datetime.now(UTC))
    origin = origins.origin_of(request.scope, request.app.state.trusted_proxies)
    async with open_fleet(request.app.state.database, SYSTEM, origin) as fleet:
        is_new = await inbox.take(fleet, name, hint)
    return {"received": True, "new": is_new}


router = Router("/billing", route_handlers=[take_stripe_event, take_entitlements])
