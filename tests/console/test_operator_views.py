"""An operator sees a tenant's pages as its admins do: the tenant's audit says so, and no form of them does anything."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import pytest_asyncio

from console.conftest import Browser, signed_in
from console.operating import FLEET, OperatorAtWork, at_work, removed
from factories import Callers, Tenant
from rollcall.console import viewing
from rollcall.console.frame import SECTIONS
from rollcall.db import Connection
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


async def test_ended_while_looking(
    support: OperatorAtWork, acme: Tenant, other: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form that was meant for a page looked at does nothing in the tenant that the operator is an admin of."""
    monkeypatch.setattr(viewing, "LASTS", timedelta(0))
    browser = await signed_in(support.browser, other, other.admin)
    begun = await browser.send(f"{FLEET}/tenants/{acme.slug}/view")
    shown = next(each for each in begun.headers.get_list("set-cookie") if "rollcall-view=" in each)
    stale = shown.partition("=")[2].partition(";")[0].strip('"')
    browser.http.cookies.set("__Host-rollcall-view", stale, domain="rollcall.test", path="/")
    await browser.open("/console/people/new")

    refused = await browser.send("/console/people/new", user_name="new")

    assert (refused.status_code, "that has ended" in refused.text) == (403, True)
    assert any("rollcall-view=" in each and "Max-Age=0" in each for each in refused.headers.get_list("set-cookie"))
    people = (await other.callers.operator.get(f"{other.v1}/people")).json()["data"]
    assert "new" not in [each["user_name"] for each in people]
    assert (await browser.send("/console/people/new", user_name="new")).status_code == 303


async def test_asking_by_itself_keeps_nobody_in(support: OperatorAtWork, acme: Tenant, owner: Connection) -> None:
    """What a page that is looked at asks for every two seconds does not count as the operator's being there."""
    await look(support.browser, acme)
    whose = "WHERE o.id = s.operator_id AND o.name = $1 AND s.closed_at IS NULL"
    soon = "UPDATE operator_sessions s SET idle_at = now() + interval '10 minutes' FROM operators o"
    await owner.execute(f"{soon} {whose}", support.name)
    left = f"SELECT max(s.idle_at) < now() + interval '15 minutes' FROM operator_sessions s, operators o {whose}"
    assert (await support.browser.open("/console/setup/live")).status_code == 200
    assert await owner.fetchval(left, support.name)
    await support.browser.open("/console/setup")
    assert not await owner.fetchval(left, support.name)


async def test_the_page_again(support: OperatorAtWork, acme: Tenant) -> None:
    """From a form that is not good any more operators are led to a page of theirs, or that they look at."""
    support.browser.csrf = "0" * 64
    refused = await support.browser.send(f"{FLEET}/tenants/{acme.slug}/view")
    assert (refused.status_code, f'href="{FLEET}"' in refused.text) == (403, True)
    assert "Open the page again" in refused.text
    assert 'href="/console/account"' not in refused.text
    await look(support.browser, acme)
    support.browser.csrf = "0" * 64
    refused = await support.browser.send("/console/tokens", label="x")
    assert (refused.status_code, 'href="/console/account"' in refused.text) == (403, False)
