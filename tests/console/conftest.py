"""People who look at the console of an installation with https, by browsers that keep cookies and fill in forms."""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from authenticator import Authenticator
from factories import Callers, Tenant, a_tenant, alive, in_process
from rollcall.access import sign_in_codes
from rollcall.app import create_app
from rollcall.settings import Settings

CONSOLE_URL = "https://rollcall.test"


@dataclass
class Browser:
    """Somebody's browser: it keeps cookies, and sends forms as the page it is on has them."""

    http: httpx.AsyncClient
    csrf: str = ""
    page: httpx.Response = field(default_factory=lambda: httpx.Response(0))

    async def open(self, path: str, **parameters: Any) -> httpx.Response:
        """Look at a page."""
        return self._seen(await self.http.get(path, params=parameters or None))

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page that is open."""
        return self._seen(await self.http.post(path, data={"_csrf_token": self.csrf, **fields}))

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where a page leads."""
        assert answer.status_code == 303, answer.text
        return await self.open(answer.headers["location"])

    async def call(self, path: str, **body: Any) -> httpx.Response:
        """Ask something as the script of the page that is open does."""
        headers = {"Accept": "application/json", "X-CSRFToken": self.csrf}
        return await self.http.post(path, json=body, headers=headers)

    async def enter(self, tenant: Tenant, code: str) -> httpx.Response:
        """Sign in with a code."""
        await self.open("/console/sign-in")
        return await self.send("/console/sign-in", workspace=tenant.slug, code=code)

    async def use(self, workspace: str, device: Authenticator) -> httpx.Response:
        """Sign in with a passkey; returns the answer to the second half."""
        await self.open("/console/sign-in")
        begun = await self.call("/console/sign-in/passkey/begin", workspace=workspace)
        assert begun.status_code == 200, begun.text
        return await self.call(
            "/console/sign-in/passkey",
            workspace=workspace,
            challenge=begun.json()["challenge"],
            credential=device.get(begun.json()["options"]),
        )

    async def add_passkey(self, label: str = "", device: Authenticator | None = None) -> Authenticator:
        """Add a passkey on the account page."""
        device = device or a_device()
        await self.open("/console/account")
        begun = (await self.call("/console/account/passkeys/begin")).json()
        added = await self.call(
            "/console/account/passkeys",
            challenge=begun["challenge"],
            credential=device.create(begun["options"]),
            label=label,
        )
        assert added.status_code == 200, added.text
        return device

    def addresses(self, ending: str) -> list[str]:
        """The addresses on the open page that end so."""
        return re.findall(rf'href="([^"]+{re.escape(ending)})"', self.page.text)

    def _seen(self, page: httpx.Response) -> httpx.Response:
        found = re.search(r'name="_csrf_token" value="(\w+)"', page.text)
        self.csrf = found[1] if found else self.csrf
        self.page = page
        return page


def a_device() -> Authenticator:
    """A device whose browser is on the console's pages."""
    return Authenticator(origin=CONSOLE_URL)


@pytest_asyncio.fixture(scope="session")
async def console_app(settings: Settings, callers: Callers) -> AsyncGenerator[Litestar]:
    """A web process of the same installation that is told it is reached by https."""
    async with alive(create_app(settings.model_copy(update={"public_url": CONSOLE_URL}))) as app:
        yield app


@pytest_asyncio.fixture
async def browsers(console_app: Litestar) -> AsyncGenerator[Callable[[], Browser]]:
    """A new browser each time it is called; nobody has made attempts before."""
    clients: list[httpx.AsyncClient] = []
    redis = console_app.state.redis
    for key in await redis.keys("rollcall:attempts:*"):
        await redis.delete(key)

    def one() -> Browser:
        clients.append(httpx.AsyncClient(transport=in_process(console_app), base_url=CONSOLE_URL))
        return Browser(clients[-1])

    yield one
    for client in clients:
        await client.aclose()


@pytest.fixture
def browser(browsers: Callable[[], Browser]) -> Browser:
    """A browser that has been nowhere yet."""
    return browsers()


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant with an admin called ada."""
    return await a_tenant(callers)


@pytest_asyncio.fixture
async def other(callers: Callers) -> Tenant:
    """Somebody else's tenant."""
    return await a_tenant(callers)


async def a_code(tenant: Tenant, person: dict[str, Any]) -> str:
    """A sign-in code, made as ops make one."""
    async with tenant.work() as work:
        return (await sign_in_codes.issue(work, UUID(person["id"]))).text


async def signed_in(browser: Browser, tenant: Tenant, person: dict[str, Any]) -> Browser:
    """The browser, after somebody signed in with a code; it shows their account."""
    entered = await browser.enter(tenant, await a_code(tenant, person))
    assert entered.status_code == 303, entered.text
    page = await browser.open("/console/account")
    assert str(person.get("userName") or person["user_name"]) in page.text
    return browser
