"""The console in a real browser: from a link in the product to the first person provisioned, and all pages."""

import gzip
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest

from browser.chromium import Tab
from browser.served import Served
from browser.test_passkeys import ask_who
from factories import DART_RULE, USER, deactivation

AXE = Path(__file__).parent / "axe"
NAMES = ("tokens", "people", "people/new", "groups", "roles", "roles/edit", "roles?name=Players", "activity")
MORE_NAMES = (
    "departures",
    "webhooks",
    "webhooks/new",
    "plan",
    "team",
    "people/export",
    "setup/okta/print",
    "setup/okta/rehearse",
)
PAGES = ("/", "/setup?provider=none", "/setup?provider=okta", *(f"/{name}" for name in (*NAMES, *MORE_NAMES)))
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
DOORS = (
    ("sign-in", 'form[action="/console/sign-in/mail"]', {"email": "ada@juniper.example"}),
    ("sign-in/password", "main form", {"workspace": "juniper", "user_name": "ada", "password": "not theirs at all"}),
)
"""Pages with a form for strangers: the form, and what is typed into it."""

CONTINUE = 'form[action="/console/portal"] button'


@dataclass
class Company:
    """A tenant with an admin, and who calls for it."""

    served: Served
    slug: str
    admin: dict[str, Any]
    product: httpx.Client

    def link(self, intent: str) -> str:
        """A portal link for its admin, as the product's settings page has one."""
        body = {"intent": intent, "person": self.admin["id"]}
        answer = self.product.post(f"/v1/tenants/{self.slug}/portal-links", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["url"]

    def provider(self, token: str) -> httpx.Client:
        """Its identity provider."""
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "Okta SCIM Client 1.0.0"}
        return httpx.Client(base_url=f"{self.served.ready['base_url']}/scim/v2", headers=headers)


@pytest.fixture
def company(installation: Served) -> Generator[Company]:
    """A new tenant of the installation."""
    with a_company(installation) as made:
        yield made


@contextmanager
def a_company(installation: Served) -> Generator[Company]:
    """A new tenant, for as long as the block."""
    slug = f"harbour-{token_hex(4)}"
    with installation.operator() as operator:
        made = operator.post("/v1/tenants", json={"slug": slug, "name": "Harbour Rail", "plan": "enterprise"})
        assert made.status_code == 201, made.text
        assert operator.put(f"/v1/tenants/{slug}/role-rule", json=DART_RULE).status_code == 200
        person = {"user_name": f"ada@{slug}.example", "display_name": "Ada Okafor", "role": "admin"}
        admin = operator.post(f"/v1/tenants/{slug}/people", json=person).json()
    key = {"Authorization": f"Bearer {installation.ready['application_key']}"}
    with httpx.Client(base_url=installation.ready["base_url"], headers=key) as product:
        yield Company(installation, slug, admin, product)


def come_in(tab: Tab, company: Company, intent: str) -> None:
    """Follow a link, and go on."""
    tab.open(company.link(intent))
    tab.follow(lambda: tab.click(CONTINUE))


def done(tab: Tab) -> int:
    """How many lines of the list are ticked."""
    return tab.ask("document.querySelectorAll('.checks .done').length")


@contextmanager
def quiet(tab: Tab) -> Generator[None]:
    """Neither policy nor browser have anything to say meanwhile."""
    yield
    assert tab.violations() == []
    assert tab.complaints() == []


def test_from_link_to_first_person(tab: Tab, company: Company) -> None:
    """Four clicks from the product to a token; the list ticks itself as the provider calls, and the page stays."""
    with quiet(tab):
        come_in(tab, company, "setup")
        tab.follow(lambda: tab.click('a[href="/console/setup?provider=okta"]'))
        assert "SCIM connector base URL" in tab.text()
        tab.follow(lambda: tab.click('form[action="/console/setup/token"] button'))
        token = tab.ask("document.querySelector('#token').textContent")
        tab.ask("window.here = true")
        assert done(tab) == 0

        with company.provider(token) as okta:
            okta.get("/Users", params={"filter": 'userName eq "nobody@harbour.example"'}).raise_for_status()
            tab.until("document.querySelectorAll('.checks .done').length === 3", within=60)
            person = {"schemas": [USER], "userName": f"noor@{company.slug}.example", "roles": ["dart-guests"]}
            noor = okta.post("/Users", json=person).raise_for_status().json()
            tab.until("document.querySelectorAll('.checks .done').length === 5", within=60)
            okta.patch(f"/Users/{noor['id']}", json=deactivation()).raise_for_status()
            tab.until("document.querySelectorAll('.checks .done').length === 7", within=120)

        assert "is Guest by what the provider says" in tab.text()
        assert tab.ask("window.here")
        assert tab.ask("document.querySelector('#token').textContent") == token


def test_the_same_without_scripts(tab: Tab, company: Company) -> None:
    """With scripts off the same is done by buttons and links, and the list is brought up to date by one."""
    tab.open(company.link("setup"))
    tab.scripts(on=False)
    tab.follow(lambda: tab.click(CONTINUE))
    tab.follow(lambda: tab.click('a[href="/console/setup?provider=entra"]'))
    assert "Secret Token" in tab.text()
    tab.follow(lambda: tab.click('form[action="/console/setup/token"] button'))
    token = tab.ask("document.querySelector('#token').textContent")
    assert tab.ask("document.querySelector('[data-copy]').hidden")

    with company.provider(token) as entra:
        person = {"schemas": [USER], "userName": f"noor@{company.slug}.example", "roles": ["dart-guests"]}
        entra.post("/Users", json=person).raise_for_status()
    tab.follow(lambda: tab.click('noscript a[href="/console/setup?provider=entra"]'))

    assert "Test person created" in tab.text()
    assert done(tab) >= 4


@dataclass
class Outsider:
    """Somebody who has never seen the console: they click on what a page says, by its words, and copy what it shows."""

    tab: Tab
    clicks: int = 0

    def click(self, words: str) -> None:
        """Click on the link or button that says this, and wait for the page it leads to."""
        self.clicks += 1
        said = json.dumps(words)
        found = f"[...document.querySelectorAll('main a, main button')].find((it) => it.innerText.includes({said}))"
        assert self.tab.ask(f"!!({found})"), f"nothing says {words}; the page says: {self.tab.text()}"
        self.tab.follow(lambda: self.tab.ask(f"({found}).click()"))

    def copy(self, field: str) -> str:
        """Copy what is to be pasted into a field of the provider that is called so."""
        self.clicks += 1
        said = json.dumps(field)
        labels = "[...document.querySelectorAll('.copy-label')]"
        return self.tab.ask(
            f"{labels}.find((it) => it.innerText === {said}).closest('.copy').querySelector('code').textContent"
        )


def test_an_outsider(tab: Tab, company: Company) -> None:
    """From the link to the first person provisioned it takes twelve clicks at most, those to copy among them."""
    outsider = Outsider(tab)
    tab.open(company.link("setup"))
    outsider.click("Continue")
    outsider.click("Okta")
    outsider.click("Create a token")
    address, token = outsider.copy("SCIM connector base URL"), outsider.copy("Authorization")

    headers = {"Authorization": f"Bearer {token}", "User-Agent": "Okta SCIM Client 1.0.0"}
    with httpx.Client(base_url=address, headers=headers) as okta:
        okta.get("/Users", params={"filter": 'userName eq "noor@harbour.example"'}).raise_for_status()
        person = {"schemas": [USER], "userName": f"noor@{company.slug}.example", "roles": ["dart-guests"]}
        okta.post("/Users", json=person).raise_for_status()
    tab.until("document.querySelectorAll('.checks .done').length >= 5", within=60)

    assert f"noor@{company.slug}.example has come in" in tab.text()
    assert outsider.clicks <= 12


@pytest.mark.parametrize("scripts", [True, False])
def test_a_provider_is_rehearsed(tab: Tab, company: Company, *, scripts: bool) -> None:
    """By the keyboard, from the link to what one's own group means; with scripts off it is the same."""
    tab.open(company.link("setup"))
    tab.scripts(on=scripts)
    for words in ("Continue", "Okta", "Rehearse"):
        tabbed_to(tab, words)
        tab.follow(lambda: tab.press("Enter"))
    tab.type("#names", "dart-guests\nDart Players")
    tabbed_to(tab, "Rehearse Okta")
    tab.follow(lambda: tab.press("Enter"))

    assert "Okta gets through" in tab.ask("document.querySelector('h1').textContent")
    assert "Whoever is in it is Guest." in tab.text()
    assert 'Does not begin with "dart-"' in tab.text()
    tabbed_to_summary(tab, "POST /scim/v2/Users")
    tab.press("Enter")
    assert "ana.reyes@rehearsal.example" in tab.ask("document.querySelector('details[open]').innerText")


def tabbed_to_summary(tab: Tab, words: str) -> None:
    """Go by the keyboard to the call that is called so, to see its bodies."""
    reached = (
        f"document.activeElement.matches('summary') && document.activeElement.innerText.includes({json.dumps(words)})"
    )
    for _ in range(90):
        tab.press("Tab")
        if tab.ask(reached):
            return
    assert tab.ask(reached), words


@pytest.mark.parametrize("scripts", [True, False])
def test_a_rule_is_previewed_and_applied(tab: Tab, company: Company, installation: Served, *, scripts: bool) -> None:
    """A group is given a role: the preview says who gets it, and that comes true; with scripts off it is the same."""
    lived_in(company, installation)
    tab.open(company.link("roles"))
    tab.scripts(on=scripts)
    tab.follow(lambda: tab.click(CONTINUE))
    tab.type("#name", "Players")
    tab.follow(lambda: tab.ask("document.querySelector('#name').form.requestSubmit()"))
    assert "It does not concern roles here" in tab.text()
    choose(tab, "#role", "guest")
    tab.follow(lambda: tab.click('form[action="/console/roles/map"] button'))
    assert "1 person gets another role" in tab.text()
    assert f"p2@{company.slug}.example" in tab.text()

    tab.follow(lambda: tab.click(".btn.danger"))

    assert "Players" in tab.ask("document.querySelector('main table').innerText")
    with installation.operator() as operator:
        found = operator.get(f"/v1/tenants/{company.slug}/people", params={"user_name": f"p2@{company.slug}.example"})
        assert found.json()["data"][0]["role"] == "guest"


def test_a_rule_by_keyboard(tab: Tab, company: Company) -> None:
    """The form of the rule is filled in and previewed without a mouse."""
    come_in(tab, company, "roles")
    tabbed_to(tab, "Edit the rule")
    tab.follow(lambda: tab.press("Enter"))
    tab.type("#prefix", "crew-")
    tabbed_to(tab, "Preview the changes")
    tab.follow(lambda: tab.press("Enter"))
    assert "Nothing has been saved yet" in tab.text()
    tabbed_to(tab, "Back to the form")
    tab.follow(lambda: tab.press("Enter"))
    assert tab.ask("document.querySelector('#prefix').value") == "crew-"


def test_a_webhook_is_made_and_tried(tab: Tab, company: Company, installation: Served) -> None:
    """A destination is registered, its secret shown once, and a test sent to it, as its page says."""
    sign_in(tab, company, installation)
    with quiet(tab):
        tab.open(f"{installation.console}/webhooks")
        tab.follow(lambda: tab.click('main a[href="/console/webhooks/new"]'))
        tab.type("#label", "Warehouse")
        tab.type("#url", "http://127.0.0.1:9/hook")
        tab.follow(lambda: tab.ask("document.querySelector('#url').form.requestSubmit()"))
        assert tab.ask("document.querySelector('#secret').textContent").startswith("whsec_")
        tab.follow(lambda: tab.click("main a.btn"))
        assert "whsec_" not in tab.text()
        tab.follow(lambda: tab.click("form[action$='/test'] button"))
    assert "A test is on its way" in tab.ask("document.body.innerText")
    assert "destination.tested" in tab.text()


def tabbed_to(tab: Tab, words: str) -> None:
    """Go by the keyboard to the link or button that says this."""
    reached = f"document.activeElement.textContent.includes({json.dumps(words)})"
    for _ in range(90):
        tab.press("Tab")
        if tab.ask(reached):
            break
    assert tab.ask(f"document.activeElement.matches('a, button') && {reached}"), words
    assert tab.ask("document.activeElement.matches(':focus-visible')")


def test_a_link_used_twice(tab: Tab, company: Company) -> None:
    """A link opens its part of the console once; the second time the page says what to do."""
    link = company.link("activity")
    tab.open(link)
    tab.follow(lambda: tab.click(CONTINUE))
    assert tab.ask("location.pathname") == "/console/activity"
    assert "link=" not in tab.ask("document.referrer")

    tab.open(link)
    tab.follow(lambda: tab.click(CONTINUE))

    assert "This link opens nothing any more" in tab.text()


def test_by_keyboard_alone(tab: Tab, company: Company) -> None:
    """From the link to the issued token nobody needs a mouse."""

    def go(words: str) -> None:
        tabbed_to(tab, words)
        tab.follow(lambda: tab.press("Enter"))

    tab.open(company.link("setup"))
    go("Continue")
    go("Okta")
    go("Create a token")

    assert tab.ask("document.querySelector('#token').textContent").startswith("rc_scim_")


def test_leaving_counts_at_the_next_click(tab: Tab, company: Company, installation: Served) -> None:
    """An admin who is deactivated elsewhere is out of the console at their next click."""
    come_in(tab, company, "tokens")
    with installation.operator() as operator:
        operator.post(f"/v1/tenants/{company.slug}/people/{company.admin['id']}/deactivate").raise_for_status()

    tab.follow(lambda: tab.click('nav.main a[href="/console/tokens"]'))

    assert "Your session has ended" in tab.text()


def test_every_page_for_everybody(tab: Tab, company: Company, installation: Served) -> None:
    """axe finds nothing on any page, light or dark, and no page scrolls sideways at 390 pixels."""
    axe = axe_core()
    lived_in(company, installation)
    tab.open(company.link("setup"))
    found = {"portal": looked_over(tab, axe)}
    for door in doors(tab, installation):
        found[door] = looked_over(tab, axe)
    sign_in(tab, company, installation)
    for page in PAGES:
        tab.open(f"{installation.console}{page}")
        found[page] = looked_over(tab, axe)
    for page in more(tab):
        tab.open(page)
        found[page] = looked_over(tab, axe)
    tab.open(f"{installation.console}/roles?name=Players")
    choose(tab, "#role", "guest")
    tab.follow(lambda: tab.click('form[action="/console/roles/map"] button'))
    found["preview"] = looked_over(tab, axe)
    tab.open(f"{installation.console}/setup/entra/rehearse")
    tab.follow(lambda: tab.click('form[action$="/rehearse"] button'))
    tab.ask("document.querySelectorAll('main details').forEach((each) => (each.open = true))")
    found["rehearsal"] = looked_over(tab, axe)
    for page in ways_in(tab, company, installation):
        found[page] = looked_over(tab, axe)
    tab.open(f"{installation.console}/account")
    found["account"] = looked_over(tab, axe)
    for page in ("status", "verify"):
        tab.open(f"{installation.console.removesuffix('/console')}/{page}")
        found[page] = looked_over(tab, axe)
    tab.type("#statement", "x")
    tab.click("[data-verify] button")
    tab.until("!document.querySelector('#result').hidden")
    found["not genuine"] = looked_over(tab, axe)

    assert {page: wrong for page, wrong in found.items() if wrong} == {}
    assert len(found) >= len(PAGES) + 6


def doors(tab: Tab, installation: Served) -> Iterator[str]:
    """Go to each page for strangers, and to what answers a form there."""
    for door in ("/sign-in", "/sign-in/password", "/contact?link=x", "/contact"):
        tab.open(f"{installation.console}{door}")
        yield door
    for name, selector, words in DOORS:
        tab.open(f"{installation.console}/{name}")
        for field, word in words.items():
            tab.type(f"#{field}", word)
        tab.follow(lambda selector=selector: tab.ask(f"document.querySelector({json.dumps(selector)}).requestSubmit()"))
        yield f"answer of {name}"


def ways_in(tab: Tab, company: Company, installation: Served) -> Iterator[str]:
    """Go to the pages of links for contacts, of confirming and of passwords."""
    tab.open(f"{installation.console}/team")
    tab.type("#label", "Kim at Northwind IT")
    tab.follow(lambda: tab.click('form[action="/console/team/links"] button'))
    yield "link"
    tab.open(f"{installation.console}/team")
    yield "team with a link"
    tab.follow(lambda: tab.click("a[href$='/revoke']"))
    yield "revoke link"
    ask_who(tab, act="/console/tokens", **{"field:label": "Okta"})
    yield "confirm"
    with installation.operator() as operator:
        named = {"break_glass": [company.admin["user_name"]]}
        operator.patch(f"/v1/tenants/{company.slug}", json=named).raise_for_status()
    tab.open(f"{installation.console}/account/password")
    yield "password"


def lived_in(company: Company, installation: Served) -> None:
    """Have people, a departure, a conflict and a refusal in the company."""
    with installation.operator() as operator:
        wanted = {"label": "Okta", "owner": company.admin["id"]}
        made = operator.post(f"/v1/tenants/{company.slug}/tokens", json=wanted).raise_for_status()
    with company.provider(made.json()["token"]) as okta:
        people = [
            okta.post("/Users", json={"schemas": [USER], "userName": f"p{place}@{company.slug}.example"}).json()
            for place in range(3)
        ]
        okta.patch(f"/Users/{people[0]['id']}", json=deactivation()).raise_for_status()
        both = {**people[1], "roles": ["dart-guests", "dart-members"]}
        assert okta.put(f"/Users/{people[1]['id']}", json=both).status_code == 400
        group = {"schemas": [GROUP], "displayName": "Players", "members": [{"value": people[2]["id"]}]}
        okta.post("/Groups", json=group).raise_for_status()
    with installation.operator() as operator:
        wanted: dict[str, Any] = {"label": "Warehouse", "url": "http://127.0.0.1:9/hook", "topics": []}
        made = operator.post(f"/v1/tenants/{company.slug}/destinations", json=wanted).raise_for_status()
        tested = f"/v1/tenants/{company.slug}/destinations/{made.json()['id']}/test"
        operator.post(tested).raise_for_status()


def choose(tab: Tab, selector: str, value: str) -> None:
    """Choose something of a list."""
    tab.ask(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")


def sign_in(tab: Tab, company: Company, installation: Served) -> None:
    """Sign in to the whole console with a code."""
    tab.open(f"{installation.console}/sign-in")
    tab.type("#workspace", company.slug)
    tab.type("#code", installation.code(company.slug, company.admin["user_name"]))
    tab.follow(lambda: tab.ask("document.querySelector('#code').form.requestSubmit()"))


def more(tab: Tab) -> list[str]:
    """A page of each kind that others lead to."""
    found: list[str] = []
    for page, *selectors in (
        ("/console/people", "main td a"),
        ("/console/people", "main td a", "a[href$='/deactivate']"),
        ("/console/activity?outcome=refused", "main td a"),
        ("/console/tokens", "a[href$='/rotate']"),
        ("/console/tokens", "a[href$='/revoke']"),
        ("/console/groups", "main td a"),
        ("/console/team", "a[href*='/role?']"),
        ("/console/webhooks", "main td a"),
        ("/console/webhooks", "main td a", "a[href*='/deliveries/']"),
        ("/console/webhooks", "main td a", "a[href$='/secret']"),
        ("/console/webhooks", "main td a", "a[href$='/delete']"),
    ):
        tab.ask(f"location.assign({json.dumps(page)})")
        tab.until(f"location.href.endsWith({json.dumps(page)}) && document.readyState === 'complete'")
        for selector in selectors[:-1]:
            tab.follow(lambda selector=selector: tab.click(selector))
        found.append(tab.until(f"document.querySelector({json.dumps(selectors[-1])})?.href"))
    return found


def axe_core() -> str:
    """The script of axe-core, as its makers published it."""
    axe = gzip.decompress((AXE / "axe.min.js.gz").read_bytes())
    assert sha256(axe).hexdigest() == (AXE / "SHA256SUMS").read_text().split()[0]
    return axe.decode()


def looked_over(tab: Tab, axe: str) -> list[str]:
    """What is wrong with the open page, in both schemes."""
    wrong: list[str] = []
    for dark in (False, True):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme, motion])
        tab.ask(axe + "; 0")
        found = tab.ask("axe.run().then((it) => it.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html)}`))")
        wrong += [f"{scheme['value']}: {each}" for each in found]
    tab.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=False)
    if tab.ask("document.documentElement.scrollWidth > 390"):
        wrong.append("it scrolls sideways at 390 pixels")
    tab.call("Emulation.clearDeviceMetricsOverride")
    return wrong + tab.violations()
