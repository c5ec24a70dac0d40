"""An operator in a real browser: invited, a passkey made, a tenant found and changed; with scripts off as well."""

import json
from collections.abc import Generator

import pytest

from browser.chromium import Tab
from browser.served import Served
from browser.test_console import Company, a_company, axe_core, choose, lived_in, looked_over, quiet

FLEET = "/console/operators"


@pytest.fixture
def company(installation: Served) -> Generator[Company]:
    """A new tenant of the installation."""
    with a_company(installation) as made:
        yield made


def come_in(tab: Tab, installation: Served, name: str, role: str) -> None:
    """Follow an invitation to the fleet, by the keyboard."""
    tab.plug_in_authenticator()
    tab.open(installation.invitation(name, role))
    tab.ask(f"document.querySelector('form[action=\"{FLEET}/invitation\"] button').focus()")
    tab.follow(lambda: tab.press("Enter"))
    assert f"Make a passkey, {name}" in tab.text()
    tab.type("#label", "Grace's laptop")
    tab.follow(lambda: tab.press("Enter"))
    assert tab.ask("location.pathname") == FLEET


def find(tab: Tab, company: Company) -> None:
    """Look a tenant up and open its page."""
    tab.type("#q", company.slug)
    tab.follow(lambda: tab.ask("document.querySelector('#q').form.requestSubmit()"))
    tab.follow(lambda: tab.click("main td a"))
    assert company.slug in tab.text()


def send(tab: Tab, ending: str) -> None:
    """Press the button of the form that is sent to an address with this ending."""
    tab.follow(lambda: tab.click(f"form[action$={json.dumps(ending)}] button"))


@pytest.mark.parametrize("scripts", [True, False])
def test_a_tenant_is_found_and_changed(tab: Tab, company: Company, installation: Served, *, scripts: bool) -> None:
    """From the invitation to another plan by its preview, a suspension that is ended again, and a token."""
    with quiet(tab):
        come_in(tab, installation, f"grace-{scripts}@vendor.example", "ops")
        tab.scripts(on=scripts)
        find(tab, company)
        choose(tab, "#plan", "business")
        send(tab, "/plan")
        assert "Nothing has been changed yet" in tab.text()
        send(tab, "/plan")
        assert "The plan is changed" in tab.text()

        tab.follow(lambda: tab.click("a[href$='/suspend']"))
        assert "1 active person" in tab.text()
        tab.type("#typed", company.slug)
        send(tab, "/suspend")
        assert "It is suspended" in tab.text()
        tab.follow(lambda: tab.click("a[href$='/resume']"))
        send(tab, "/resume")

        tab.type("#label", "Okta")
        send(tab, "/tokens")
        token = tab.ask("document.querySelector('#token').textContent")
        with company.provider(token) as okta:
            assert okta.get("/Users").status_code == 200
    with installation.operator() as operator:
        assert operator.get(f"/v1/tenants/{company.slug}").json()["plan"] == "business"


def test_the_passkey_signs_in(tab: Tab, installation: Served) -> None:
    """Whoever signed out comes in again by the passkey alone, and the link opens nothing any more."""
    tab.plug_in_authenticator()
    link = installation.invitation("lin@vendor.example", "support")
    tab.open(link)
    tab.follow(lambda: tab.click(f"form[action='{FLEET}/invitation'] button"))
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    tab.follow(lambda: tab.click(f"form[action='{FLEET}/sign-out'] button"))
    assert "You have signed out." in tab.text()
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    assert tab.ask("location.pathname") == FLEET
    assert tab.complaints() == []

    tab.open(link)
    tab.follow(lambda: tab.click(f"form[action='{FLEET}/invitation'] button"))
    assert "opens nothing any more" in tab.text()


def test_axe_finds_nothing(tab: Tab, company: Company, installation: Served) -> None:
    """No page for operators has a fault that axe-core knows, in either scheme; none scrolls sideways at 390 pixels."""
    lived_in(company, installation)
    axe = axe_core()
    tab.open(f"{installation.console}/operators/sign-in")
    found = {"sign-in": looked_over(tab, axe)}
    tab.plug_in_authenticator()
    tab.open(installation.invitation("axel@vendor.example", "ops"))
    found["invitation"] = looked_over(tab, axe)
    tab.follow(lambda: tab.click(f"form[action='{FLEET}/invitation'] button"))
    found["passkey"] = looked_over(tab, axe)
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    at = f"/operators/tenants/{company.slug}"
    for page in (
        "/operators",
        "/operators?q=nobody",
        "/operators/queues",
        at,
        f"{at}/plan?plan=free",
        f"{at}/suspend",
        f"{at}/pause",
    ):
        tab.open(f"{installation.console}{page}")
        found[page] = looked_over(tab, axe)
    tab.open(f"{installation.console}{at}")
    tab.type("#reason", "a pilot")
    tab.type("#seats", "many")
    send(tab, "/overrides")
    assert "whole number" in tab.text()
    found["wrong"] = looked_over(tab, axe)
    tab.type("#label", "Okta")
    send(tab, "/tokens")
    found["token"] = looked_over(tab, axe)
    tab.open(f"{installation.console}{at}/view")
    send(tab, "/view")
    found["viewing"] = looked_over(tab, axe)
    send(tab, "/stop-viewing")
    assert tab.ask("location.pathname") == FLEET
    assert {page: wrong for page, wrong in found.items() if wrong} == {}
