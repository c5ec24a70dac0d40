"""An operator sees a tenant's pages as its admins do: the tenant's audit says so, and no form of them does anything."""

from collections.abc import Callable

import pytest
import pytest_asyncio

from console.conftest import Browser
from console.operating import FLEET, OperatorAtWork, at_work, removed
from factories import Callers, Tenant
from rollcall.console.frame import SECTIONS
from rollcall.tenancy.operators import OperatorRole


@pytest_asyncio.fixture
async def support(callers: Callers, browser: Browser) -> OperatorAtWork:
    """An operator who may look."""
    return await at_work(callers.database, browser, OperatorRole.SUPPORT)


async def look(browser: Browser, tenant: Tenant) -> str:
    """Begin to look at a tenant's pages; the first one."""
    asked = await browser.open(f"{FLEET}/tenants/{tenant.slug}/view")
    assert "stands in the tenant&#39;s audit" in asked.text
    begun = await browser.send(f"{FLEET}/tenants/{tenant.slug}/view")
    return (await browser.follow(begun)).text


async def test_every_page_with_a_banner(support: OperatorAtWork, acme: Tenant) -> None:
    """Each page of the tenant's console is shown, says that it is only looked at, and the audit says by whom."""
    await acme.person("maria")
    await look(support.browser, acme)
    for section in SECTIONS:
        page = await support.browser.open(section.address)
        assert page.status_code == 200, section.address
        assert "Nothing can be changed." in page.text
    assert "maria" in (await support.browser.open("/console/people")).text
    (entry,) = await acme.audit(action="console.viewed")
    assert entry["actor_label"] == support.name

    fleet = await support.browser.follow(await support.browser.send(f"{FLEET}/stop-viewing"))
    assert "Fleet" in fleet.text
    assert (await support.browser.open("/console/people")).status_code == 303


async def test_every_form_is_refused(support: OperatorAtWork, acme: Tenant) -> None:
    """No form of the tenant's pages does anything, and its own person's account is nobody's to open."""
    maria = await acme.person("maria")
    await look(support.browser, acme)
    await support.browser.open("/console/tokens")
    for form, fields in (
        ("/console/tokens", {"label": "x"}),
        (f"/console/people/{maria['id']}/deactivate", {}),
        ("/console/people/new", {"user_name": "new"}),
        ("/console/setup/token", {"provider": "okta"}),
        (f"/console/team/{maria['id']}/appoint", {}),
        ("/console/webhooks/new", {"label": "x", "url": "https://93.184.215.14/"}),
        ("/console/sign-out", {}),
    ):
        answer = await support.browser.send(form, **fields)
        assert (answer.status_code, "nothing was changed" in answer.text) == (403, True), form
    assert (await support.browser.open("/console/account")).status_code == 403
    assert (await acme.callers.operator.get(f"{acme.v1}/people/{maria['id']}")).json()["active"]
    assert len((await acme.callers.operator.get(f"{acme.v1}/tokens")).json()["data"]) == 1


async def test_files_are_not_taken_out(support: OperatorAtWork, acme: Tenant) -> None:
    """Whoever only looks takes no file of a company's people out."""
    await look(support.browser, acme)
    for file in (
        "people/export/csv",
        "activity/export/jsonl",
        "departures/export/csv",
        "departures/bundle?month=2026-10",
    ):
        answer = await support.browser.open(f"/console/{file}")
        assert answer.status_code == 403, file
        assert "look at these pages as an operator" in answer.text
    assert await acme.audit(action="console.exported") == []


async def test_who_may_not(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """Billing does not look at a tenant's people, and is not offered to."""
    await at_work(callers.database, browser, OperatorRole.BILLING)
    assert "/view" not in (await browser.open(f"{FLEET}/tenants/{acme.slug}")).text
    assert (await browser.open(f"{FLEET}/tenants/{acme.slug}/view")).status_code == 403
    assert (await browser.send(f"{FLEET}/tenants/{acme.slug}/view")).status_code == 403


async def test_removed_while_looking(support: OperatorAtWork, acme: Tenant) -> None:
    """Whoever is removed sees nothing more at the next click."""
    await look(support.browser, acme)
    await removed(acme.callers.database, support.name)
    assert (await support.browser.open("/console/people")).status_code != 200


@pytest.mark.parametrize("shown", ["", "nonsense"])
async def test_the_cookie_is_of_one_session(
    support: OperatorAtWork, callers: Callers, browsers: Callable[[], Browser], acme: Tenant, shown: str
) -> None:
    """Another operator's cookie, and what is none, shows nothing: whoever looks has said so."""
    await look(support.browser, acme)
    theirs = next(each for each in support.browser.http.cookies.jar if each.name == "__Host-rollcall-view").value
    other = await at_work(callers.database, browsers(), OperatorRole.OPS)
    for value in (theirs or "", shown):
        other.browser.http.cookies.set("__Host-rollcall-view", value)
        assert (await other.browser.open("/console/people")).status_code == 303
