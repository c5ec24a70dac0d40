"""An installation to which payment providers speak: a stand-in of Stripe, and a billing system of one's own."""

import base64
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from litestar import Litestar
from pydantic import SecretStr
from standardwebhooks import Webhook

import stripe_stand_in
from factories import ORIGIN, Callers, Tenant, a_tenant, alive, in_process, make_callers
from rollcall.app import create_app
from rollcall.billing import asking
from rollcall.db import Database
from rollcall.settings import Settings
from rollcall.tenancy import prices
from rollcall.tenancy.prices import PriceTerms
from rollcall.work import SYSTEM, open_fleet
from stripe_stand_in import Stripe, stripe_api

SECRET = "whsec_" + base64.b64encode(b"a billing system of one's own....").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret that it had before....").decode()
PUBLIC_URL = "http://rollcall.test"
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def stripe() -> Generator[Stripe]:
    """Stripe's API."""
    with stripe_api() as there:
        yield there


@pytest.fixture(scope="session")
def paid_settings(settings: Settings, stripe: Stripe) -> Settings:
    """The settings with both providers; of one's own billing system there are two secrets, as one is being replaced."""
    more = {
        "billing_webhook_secrets": (SecretStr(SECRET), SecretStr(OLD_SECRET)),
        "stripe_webhook_secrets": (SecretStr(stripe_stand_in.SECRET),),
        "stripe_api_key": SecretStr(stripe_stand_in.API_KEY),
        "stripe_api_url": stripe.url,
    }
    return settings.model_copy(update=more)


@pytest_asyncio.fixture(scope="session")
async def paid_app(paid_settings: Settings) -> AsyncGenerator[Litestar]:
    """A web process with them."""
    async with alive(create_app(paid_settings)) as app:
        yield app


@dataclass(frozen=True)
class OwnBilling:
    """A billing system that says what is so."""

    client: httpx.AsyncClient
    providers: asking.Providers
    database: Database

    async def post(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Send exactly this."""
        return await self.client.post("/billing/entitlements", headers=headers, content=body)

    async def say(self, *, at: datetime | None = None, identifier: str = "", **said: Any) -> httpx.Response:
        """Say what is paid for, signed now or *at* another moment."""
        return await self.post(*signed(said, at=at, identifier=identifier))

    async def settle(self) -> None:
        """Have a worker ask about everybody who is due."""
        await asking.ask_due(self.database, self.providers)


def signed(
    said: dict[str, Any], *, at: datetime | None = None, identifier: str = "", secret: str = SECRET
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a call, by the package that others sign with."""
    at, identifier = at or datetime.now(UTC), identifier or f"msg_{next(_NUMBERS)}"
    body = orjson.dumps(said)
    signature = Webhook(secret).sign(identifier, at, body.decode())
    seconds = str(int(at.timestamp()))
    return {"webhook-id": identifier, "webhook-timestamp": seconds, "webhook-signature": signature}, body


@pytest_asyncio.fixture(scope="session")
async def paid_callers(paid_app: Litestar) -> AsyncGenerator[Callers]:
    """Ops and the product of that installation."""
    async with make_callers(paid_app, paid_app.state.database, PUBLIC_URL) as callers:
        yield callers


@pytest_asyncio.fixture(scope="session")
async def own_billing(paid_app: Litestar, paid_settings: Settings) -> AsyncGenerator[OwnBilling]:
    """The billing system."""
    database = paid_app.state.database
    async with httpx.AsyncClient(transport=in_process(paid_app), base_url=PUBLIC_URL) as client:
        yield OwnBilling(client, asking.providers(paid_settings, database), database)


@dataclass(frozen=True)
class Payment:
    """Stripe, with an installation that hears of it."""

    stripe: Stripe
    client: httpx.AsyncClient
    providers: asking.Providers
    callers: Callers

    async def post(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Send exactly this."""
        return await self.client.post("/billing/stripe", headers=headers, content=body)

    async def tell(self, kind: str, about: dict[str, Any]) -> None:
        """Have Stripe send an event."""
        answer = await self.post(*stripe_stand_in.event(kind, about))
        assert answer.status_code == 200, answer.text

    async def settle(self) -> None:
        """Have a worker ask about everybody who is due."""
        await asking.ask_due(self.callers.database, self.providers)

    async def a_customer(self, *, plan: str = "free") -> tuple[Tenant, str]:
        """A tenant that is a customer of Stripe's."""
        customer = self.stripe.customer()
        return await a_tenant(self.callers, plan=plan, customer=customer), customer


@pytest_asyncio.fixture(scope="session")
async def payment(
    paid_app: Litestar, paid_settings: Settings, paid_callers: Callers, stripe: Stripe
) -> AsyncGenerator[Payment]:
    """Both."""
    async with httpx.AsyncClient(transport=in_process(paid_app), base_url=PUBLIC_URL) as client:
        yield Payment(stripe, client, asking.providers(paid_settings, paid_callers.database), paid_callers)


async def has(tenant: Tenant) -> tuple[str, str]:
    """The plan that a tenant has, and what is left of SCIM to it."""
    answer = await tenant.callers.operator.get(tenant.v1)
    assert answer.status_code == 200, answer.text
    return answer.json()["plan"], answer.json()["lapse"]["state"]


async def define(callers: Callers, bought: dict[str, PriceTerms]) -> None:
    """Say what prices stand for, beside those there are; tests share a database."""
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        await prices.define(fleet, {**await prices.every(fleet), **bought})
