"""The page of the management API in a real browser: it shows and sends calls, under a policy that it never breaks."""

import json
import re
from urllib.parse import urlsplit

import httpx

from browser.chromium import Tab
from browser.served import Served

TOKEN, TRY = ".scalar-password-input", "Test Request (get /v1/plans)"


def opened(tab: Tab, installation: Served) -> str:
    """Open the page; returns the installation's address."""
    base: str = installation.ready["base_url"]
    tab.open(f"{base}/v1/docs")
    tab.until(f"!!{button(TRY)}", within=30)
    return base


def button(words: str) -> str:
    """A button that says *words*, as an expression."""
    said = "it.innerText.replace(/\\s+/g, ' ')"
    return f"[...document.querySelectorAll('button')].find((it) => {said}.startsWith({json.dumps(words)}))"


def within_policy(tab: Tab, base: str) -> None:
    """Nothing was asked of anybody else, and neither policy nor browser had anything to say."""
    asked = [each for each in tab.requested() if not each.startswith("data:")]
    assert {urlsplit(each).netloc for each in asked} == {urlsplit(base).netloc}, asked
    assert tab.violations() == []
    assert tab.complaints() == []


def test_every_call_is_shown(tab: Tab, installation: Served) -> None:
    """Opened group by group, the page names every call and every webhook of the document, and asks nobody else."""
    base = opened(tab, installation)
    document = httpx.get(f"{base}/v1/openapi.json").json()
    calls = {each["summary"] for item in document["paths"].values() for each in item.values()}
    calls |= {each["summary"] for item in document["webhooks"].values() for each in item.values()}

    closed = "[...document.querySelectorAll('button')].filter((it) => it.innerText.startsWith('Open Group'))"
    while tab.ask(f"{closed}.length"):
        tab.ask(f"{closed}[0].click()")
        tab.ask("new Promise((done) => setTimeout(done, 50))")
    links = "[...document.querySelectorAll('aside a, nav a')].map((it) => it.innerText)"
    shown = {re.split(r"HTTP Method|[^ -~]", each)[0].strip() for each in tab.ask(links)}

    assert calls <= shown, calls - shown
    assert document["info"]["description"].splitlines()[0][:40] in tab.ask("document.body.innerText")
    within_policy(tab, base)


def test_trying_a_call(tab: Tab, installation: Served) -> None:
    """With a key typed into the page a call is sent from it and its answer shown; the key is kept nowhere."""
    base = opened(tab, installation)
    tab.type(TOKEN, installation.ready["operator_key"])

    tab.ask(f"{button(TRY)}.click()")
    tab.until(f"!!{button('Send')}")
    tab.ask(f"{button('Send')}.click()")

    tab.until("document.body.innerText.includes('200 OK')")
    tab.until("document.body.innerText.includes('retention_days')")
    assert f"{base}/v1/plans?limit=50" in tab.requested()
    within_policy(tab, base)
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert "rc_" not in tab.ask(kept)
    assert tab.ask("indexedDB.databases().then((all) => all.length)") == 0


def test_changing_something(tab: Tab, installation: Served) -> None:
    """A call with a body and a parameter is sent as the page shows it, found by searching, with samples in Python."""
    base = opened(tab, installation)
    tab.type(TOKEN, installation.ready["operator_key"])
    tab.ask(f"{button('Python')}.click()")
    tab.until("document.body.innerText.includes('http.client')")

    tab.ask(f"{button('Open Search')}.click()")
    tab.until("!!document.querySelector('[role=combobox]')")
    tab.type("[role=combobox]", "create tenant")
    found = "[...document.querySelectorAll('[role=option]')].find((it) => it.innerText.includes('/v1/tenants'))"
    tab.until(f"!!{found}")
    tab.ask(f"{found}.click()")
    tab.until(f"!!{button('Test Request (post /v1/tenants)')}")
    tab.ask(f"{button('Test Request (post /v1/tenants)')}.click()")
    tab.until(f"!!{button('Send')}")
    tab.ask(f"{button('Send')}.click()")

    tab.until("document.body.innerText.includes('201 Created')")
    with installation.operator() as operator:
        assert operator.get("/v1/tenants/acme").json()["name"] == "Acme"
    within_policy(tab, base)


def test_without_scripts(tab: Tab, installation: Served) -> None:
    """Without scripts the page says so, and where all that it shows can be read."""
    tab.scripts(on=False)
    tab.open(f"{installation.ready['base_url']}/v1/docs")

    assert "needs JavaScript" in tab.ask("document.body.innerText")
    assert tab.ask("document.querySelector('noscript a').getAttribute('href')") == "/v1/openapi.json"


def test_codes_of_refusals(tab: Tab, installation: Served) -> None:
    """The page of codes keeps to the policy too, and is styled."""
    base: str = installation.ready["base_url"]
    tab.open(f"{base}/v1/errors")

    assert "Codes of refusals" in tab.text()
    assert tab.ask("getComputedStyle(document.body).marginTop") == "0px"
    within_policy(tab, base)
