"""Operators as people: invited once, in by a passkey of their own, out as soon as they are none or change roles."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from console.conftest import Browser, a_device
from console.operating import FLEET, OperatorAtWork, accept, at_work, invited, register, removed, sign_in
from factories import ORIGIN, Callers, Tenant
from rollcall.access import operator_sessions, operators
from rollcall.db import Connection
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import SYSTEM, open_fleet


@pytest_asyncio.fixture
async def ops(callers: Callers, browser: Browser) -> OperatorAtWork:
    """An operator who may do everything."""
    return await at_work(callers.database, browser, OperatorRole.OPS)


async def test_from_invitation_to_fleet(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """The link shows a button, the button leads to the passkey, the passkey signs in: now, and from then on alone."""
    link = await invited(callers.database, "grace@vendor.test", OperatorRole.SUPPORT)
    shown = await browser.open(f"{FLEET}/invitation", link=link)
    assert "You are invited as an operator" in shown.text
    assert shown.headers["referrer-policy"] == "no-referrer"

    page = await browser.follow(await browser.send(f"{FLEET}/invitation", link=link))
    assert "Make a passkey, grace@vendor.test" in page.text
    assert (await browser.open(FLEET)).status_code == 303, "without a passkey nobody is in"
    await browser.open(f"{FLEET}/passkey")
    device = a_device()
    made = await register(browser, device)
    fleet = await browser.open(made.json()["next"])
    assert "Operators · support" in fleet.text
    found = await browser.open(FLEET, q=acme.slug)
    assert f"{FLEET}/tenants/{acme.slug}" in found.text
    assert acme.slug in (await browser.open(f"{FLEET}/tenants/{acme.slug}")).text

    left = await browser.follow(await browser.send(f"{FLEET}/sign-out"))
    assert "You have signed out." in left.text
    assert (await browser.open(FLEET)).headers["location"] == f"{FLEET}/sign-in"
    assert (await sign_in(browser, device)).json()["next"] == FLEET
    assert (await browser.open(FLEET)).status_code == 200


async def test_an_invitation_is_good_once(callers: Callers, browsers: Callable[[], Browser], owner: Connection) -> None:
    """Looking spends nothing; the second who presses the button, a replaced link and one that is over open nothing."""
    link = await invited(callers.database, "once@vendor.test", OperatorRole.OPS)
    for _ in range(3):
        assert (await browsers().open(f"{FLEET}/invitation", link=link)).status_code == 200
    assert (await accept(browsers(), link)).status_code == 303
    second = await accept(browsers(), link)
    assert second.status_code == 403
    assert "opens nothing any more" in second.text

    older = await invited(callers.database, "twice@vendor.test", OperatorRole.OPS)
    newer = await invited(callers.database, "twice@vendor.test", OperatorRole.OPS)
    assert (await accept(browsers(), older)).status_code == 403
    await owner.execute(
        "UPDATE operator_sessions SET expires_at = now() WHERE purpose = 'invitation' AND closed_at IS NULL"
    )
    assert (await accept(browsers(), newer)).status_code == 403
    assert (await accept(browsers(), newer[:-1] + ("0" if newer[-1] != "0" else "1"))).status_code == 403


async def test_two_at_the_same_moment(callers: Callers, browsers: Callable[[], Browser]) -> None:
    """Of two who press the button of one invitation at the same moment one gets in."""
    link = await invited(callers.database, "race@vendor.test", OperatorRole.OPS)
    answers = await asyncio.gather(*(accept(browsers(), link) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [303, 403, 403, 403]


async def test_removed(callers: Callers, ops: OperatorAtWork, browsers: Callable[[], Browser]) -> None:
    """Whoever is removed is out at the next click, and neither passkey nor invitation lets them in again."""
    link = await invited(callers.database, ops.name, ops.role)
    await removed(callers.database, ops.name)

    gone = await ops.browser.open(FLEET)
    assert gone.status_code == 403
    assert "Your session has ended" in gone.text
    assert (await sign_in(browsers(), ops.device)).status_code == 403
    assert (await accept(browsers(), link)).status_code == 403


async def test_another_role(callers: Callers, ops: OperatorAtWork) -> None:
    """Whoever is given another role is signed out, and has it as they sign in."""
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        await operators.change_role(fleet, ops.name, OperatorRole.BILLING)

    assert (await ops.browser.open(FLEET)).status_code == 403
    assert (await sign_in(ops.browser, ops.device)).status_code == 200
    assert "Operators · billing" in (await ops.browser.open(FLEET)).text


async def test_idle(ops: OperatorAtWork, owner: Connection) -> None:
    """A session that was not used for half an hour is over; one that is used is put off."""
    mine = "FROM operators o WHERE o.id = s.operator_id AND o.name = $1"
    await owner.execute(f"UPDATE operator_sessions s SET idle_at = now() + interval '10 minutes' {mine}", ops.name)
    assert (await ops.browser.open(FLEET)).status_code == 200
    left = await owner.fetchval(
        "SELECT min(s.idle_at) > now() + interval '15 minutes' FROM operator_sessions s JOIN operators o "
        "ON o.id = s.operator_id WHERE o.name = $1 AND s.purpose = 'console'",
        ops.name,
    )
    assert left
    await owner.execute(f"UPDATE operator_sessions s SET idle_at = now() {mine}", ops.name)
    assert (await ops.browser.open(FLEET)).status_code == 403


async def test_a_challenge_is_answered_once(ops: OperatorAtWork, browsers: Callable[[], Browser]) -> None:
    """What somebody signed lets in once; a passkey whose count goes back, or of another, opens nothing."""
    browser = browsers()
    await browser.open(f"{FLEET}/sign-in")
    begun = (await browser.call(f"{FLEET}/sign-in/begin")).json()
    said = {"challenge": begun["challenge"], "credential": ops.device.get(begun["options"])}
    assert (await browser.call(f"{FLEET}/sign-in", **said)).status_code == 200
    assert (await browsers_call(browsers(), said)).status_code == 403

    ops.device.count = 0
    assert (await sign_in(browsers(), ops.device)).status_code == 403
    stranger = a_device()
    stranger.user_handle = ops.device.user_handle
    assert (await sign_in(browsers(), stranger)).status_code == 403


async def browsers_call(browser: Browser, said: dict[str, Any]) -> httpx.Response:
    """Answer a challenge from another browser."""
    await browser.open(f"{FLEET}/sign-in")
    return await browser.call(f"{FLEET}/sign-in", **said)


async def test_forms_need_their_token(ops: OperatorAtWork) -> None:
    """A form without the token of the page is refused, and nothing happens."""
    ops.browser.csrf = "0" * 64
    refused = await ops.browser.send(f"{FLEET}/sign-out")
    assert refused.status_code == 403
    assert (await ops.browser.open(FLEET)).status_code == 200


async def test_strangers(browser: Browser, console_app: Litestar) -> None:
    """Nobody who is not signed in sees a page for operators, and what can't be a session is none."""
    for page in ("", "/tenants/acme"):
        asked = await browser.open(f"{FLEET}{page}")
        assert (asked.status_code, asked.headers["location"]) == (303, f"{FLEET}/sign-in")
    browser.http.cookies.set("__Host-rollcall-operator", "rc_ops_nonsense")
    assert (await browser.open(FLEET)).status_code == 403
    with pytest.raises(operator_sessions.OperatorNotSignedIn):
        await operator_sessions.who(console_app.state.database.access_pool, "rc_ops_nonsense")
