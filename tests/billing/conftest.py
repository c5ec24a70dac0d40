"""An installation to which payment providers speak, and a billing system of one's own that does."""

import base64
from collections.abc import AsyncGenerator
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

from factories import Callers, alive, in_process, make_callers
from rollcall.app import create_app
from rollcall.billing import asking
from rollcall.db import Database
from rollcall.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"a billing system of one's own....").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret that it had before....").decode()
PUBLIC_URL = "http://rollcall.test"
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def paid_settings(settings: Settings) -> Settings:
    """The settings with secrets of a billing system of one's own, two while one is being replaced."""
    return settings.model_copy(update={"billing_webhook_secrets": (SecretStr(SECRET), SecretStr(OLD_SECRET))})


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
