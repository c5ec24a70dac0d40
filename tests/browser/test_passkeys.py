"""A passkey in a real browser: made, used, taken away; with the keyboard alone, and without scripts."""

import json

import httpx

from browser.chromium import Tab
from browser.served import Served

ADA = "ada@juniper.example"


def let_in(tab: Tab, installation: Served) -> None:
    """Sign in with a code, by the keyboard."""
    tab.open(f"{installation.console}/sign-in?workspace=juniper")
    tab.type("#code", installation.code())
    tab.follow(lambda: tab.press("Enter"))
    tab.follow(lambda: tab.click('a[href="/console/account"]'))
    assert ADA in tab.text()


def test_from_code_to_passkey(tab: Tab, installation: Served) -> None:
    """Somebody gets in with a code, adds a passkey, signs out, and from then on signs in with the passkey alone."""
    tab.plug_in_authenticator()
    let_in(tab, installation)
    tab.type("#label", "Ada's laptop")
    tab.follow(lambda: tab.press("Enter"))
    assert "The passkey is added." in tab.text()
    assert "Ada's laptop" in tab.text()

    tab.follow(lambda: tab.click('form[action="/console/sign-out"] button'))
    assert "You have signed out." in tab.text()
    assert tab.ask("document.querySelector('#workspace').value") == "juniper"
    tab.ask("document.querySelector('[data-passkey-button]').focus()")
    tab.follow(lambda: tab.press("Enter"))

    assert tab.ask("location.pathname") == "/console/"
    tab.follow(lambda: tab.click('a[href="/console/account"]'))
    assert "Last used" in tab.text()
    assert tab.complaints() == []


def test_after_leaving(tab: Tab, installation: Served) -> None:
    """The click after a deactivation shows the page to sign in, and the passkey opens nothing any more."""
    tab.plug_in_authenticator()
    let_in(tab, installation)
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    assert "The passkey is added." in tab.text()
    with installation.operator() as operator:
        found = operator.get("/v1/tenants/juniper/people").json()["data"]
        (ada,) = [each["id"] for each in found if each["user_name"] == ADA]
        try:
            assert operator.post(f"/v1/tenants/juniper/people/{ada}/deactivate").status_code == 200

            tab.follow(lambda: tab.click('a[href="/console/account"]'))
            assert "Your session has ended. Sign in again." in tab.text()
            tab.click("[data-passkey-button]")
            said = tab.until("document.querySelector('[data-message]').classList.contains('bad')")
            assert said
            assert "opens nothing here" in tab.text()
            assert tab.ask("document.activeElement.hasAttribute('data-passkey-button')")
        finally:
            operator.post(f"/v1/tenants/juniper/people/{ada}/reactivate")


def test_called_off(tab: Tab, installation: Served) -> None:
    """With no passkey at hand the page says that nothing was done, and can be tried again."""
    tab.plug_in_authenticator()
    tab.open(f"{installation.console}/sign-in?workspace=juniper")

    tab.click("[data-passkey-button]")

    tab.until("document.querySelector('[data-message]').classList.contains('bad')")
    assert "Nothing was done" in tab.text()
    assert not tab.ask("document.querySelector('[data-passkey-button]').disabled")


def test_a_second_on_one_device(tab: Tab, installation: Served) -> None:
    """A device that holds a passkey of somebody's makes no second one, and the page says so."""
    tab.plug_in_authenticator()
    let_in(tab, installation)
    tab.follow(lambda: tab.click("[data-passkey-button]"))

    tab.click("[data-passkey-button]")

    tab.until("document.querySelector('[data-message]').classList.contains('bad')")
    assert "holds a passkey of yours already" in tab.text()


def test_without_scripts(tab: Tab, installation: Served) -> None:
    """Without scripts the page says what needs them, and the code works."""
    tab.scripts(on=False)
    tab.open(f"{installation.console}/sign-in?workspace=juniper")
    assert "Passkeys need scripts" in tab.text()
    assert "Sign in with a passkey" not in tab.text()

    tab.type("#code", installation.code())
    tab.follow(lambda: tab.press("Enter"))
    tab.follow(lambda: tab.click('a[href="/console/account"]'))

    assert ADA in tab.text()
    assert "Adding a passkey needs scripts" in tab.text()


def test_by_number(tab: Tab, installation: Served) -> None:
    """Opened by this machine's number the console leads to its name, where passkeys work."""
    number = installation.ready["base_url"]
    assert "127.0.0.1" in number

    tab.open(f"{number}/console/sign-in?workspace=juniper")

    assert tab.ask("location.href") == f"{installation.console}/sign-in?workspace=juniper"
    assert tab.ask("!document.querySelector('[data-needs-passkeys]').hidden")


def test_by_keyboard(tab: Tab, installation: Served) -> None:
    """The Tab key goes through everything that can be used, in order, and each shows that it has the focus."""
    tab.plug_in_authenticator()
    tab.open(f"{installation.console}/sign-in?workspace=juniper")
    reached: list[str] = []
    for _ in range(9):
        tab.press("Tab")
        reached.append(tab.ask("document.activeElement.innerText || document.activeElement.id"))
        assert tab.ask("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]

    assert reached == [
        "Skip to the content",
        "Rollcall",
        "Sign in with a passkey",
        "email",
        "Mail me a code",
        "workspace",
        "code",
        "Sign in with the code",
        "Sign in with a password",
    ]


def test_the_policy_blocks_nothing(tab: Tab, installation: Served) -> None:
    """The browser has nothing to complain of on any page."""
    tab.plug_in_authenticator()
    tab.open(f"{installation.console}/")
    let_in(tab, installation)
    tab.open(f"{installation.console}/account/sessions/others")
    tab.open(f"{installation.console}/account")

    assert tab.complaints() == []
    assert httpx.get(f"{installation.console}/assets/passkeys.js").status_code == 200


def ask_who(tab: Tab, **said: str) -> None:
    """Come to the page that asks who one is, as somebody whose form wants a fresh sign-in."""
    fields = {"code": "wrong", **said}
    form = """(fields => {
        const form = document.querySelector('form[action="/console/sign-out"]');
        form.action = "/console/confirm";
        for (const [name, value] of Object.entries(fields)) {
            const field = document.createElement("input");
            Object.assign(field, {type: "hidden", name, value});
            form.append(field);
        }
        form.requestSubmit();
    })"""
    tab.follow(lambda: tab.ask(f"{form}({json.dumps(fields)}); 0"))
    assert "Confirm that it is you" in tab.text()


def test_confirming(tab: Tab, installation: Served) -> None:
    """A passkey confirms who somebody is, and what their form had said is done; so it is with a code, by one button."""
    tab.plug_in_authenticator()
    let_in(tab, installation)
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    wanted = {"act": "/console/account/sessions/others"}
    ask_who(tab, **wanted)
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    assert "Sign out everywhere else?" in tab.text()

    ask_who(tab, **wanted, **{"field:page": "1"})
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    assert "You are signed out everywhere else." in tab.text()

    ask_who(tab, **wanted, **{"field:page": "1"})
    tab.type("#code", installation.code())
    tab.follow(lambda: tab.press("Enter"))
    assert "It is you" in tab.text()
    tab.follow(lambda: tab.press("Enter"))
    assert "You are signed out everywhere else." in tab.text()
    assert tab.violations() == []
