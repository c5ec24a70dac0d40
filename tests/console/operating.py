"""Operators under test: ``ops = await at_work(callers.database, browser, OperatorRole.OPS)``."""

from dataclasses import dataclass
from itertools import count

import httpx

from authenticator import Authenticator
from console.conftest import Browser, a_device
from factories import ORIGIN
from rollcall.access import operators
from rollcall.db import Database
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import SYSTEM, open_fleet

_NUMBERS = count(1)
FLEET = "/console/operators"


@dataclass
class OperatorAtWork:
    """An operator, their browser and their device."""

    name: str
    role: OperatorRole
    browser: Browser
    device: Authenticator


async def invited(database: Database, name: str, role: OperatorRole) -> str:
    """A link's secret, as the command makes one."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return (await operators.invite(fleet, name, role)).text


async def removed(database: Database, name: str) -> None:
    """Somebody removes an operator."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await operators.remove(fleet, name)


async def accept(browser: Browser, link: str) -> httpx.Response:
    """Open an invitation and press its button."""
    await browser.open(f"{FLEET}/invitation", link=link)
    return await browser.send(f"{FLEET}/invitation", link=link)


async def register(browser: Browser, device: Authenticator) -> httpx.Response:
    """Make a passkey on the page that an invitation leads to; the answer to the second half."""
    begun = await browser.call(f"{FLEET}/passkey/begin")
    assert begun.status_code == 200, begun.text
    challenge, credential = begun.json()["challenge"], device.create(begun.json()["options"])
    return await browser.call(f"{FLEET}/passkey", challenge=challenge, credential=credential, label="Laptop")


async def sign_in(browser: Browser, device: Authenticator) -> httpx.Response:
    """Sign in with a passkey; the answer to the second half."""
    await browser.open(f"{FLEET}/sign-in")
    begun = await browser.call(f"{FLEET}/sign-in/begin")
    assert begun.status_code == 200, begun.text
    challenge, credential = begun.json()["challenge"], device.get(begun.json()["options"])
    return await browser.call(f"{FLEET}/sign-in", challenge=challenge, credential=credential)


async def at_work(database: Database, browser: Browser, role: OperatorRole) -> OperatorAtWork:
    """An operator of this role who is signed in, and looks at the fleet."""
    name = f"{role.value}-{next(_NUMBERS)}@vendor.test"
    device = a_device()
    await browser.follow(await accept(browser, await invited(database, name, role)))
    made = await register(browser, device)
    assert made.status_code == 200, made.text
    page = await browser.open(made.json()["next"])
    assert page.status_code == 200, page.text
    return OperatorAtWork(name, role, browser, device)
