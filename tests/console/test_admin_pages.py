"""The pages of a tenant's admins: what they show, what they do, and that no other tenant's is among it."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import Tenant, deactivation
from rollcall.access.token_states import TokenState
from rollcall.console.activity_words import worded
from rollcall.console.tokens import TONES
from rollcall.db import Connection
from rollcall.journal.events import TOPICS
from rollcall.journal.models import AuditEntry
from rollcall.proof import receipts
from rollcall.work import Work

PAGES = ("/", "/setup", "/tokens", "/people", "/roles", "/activity", "/departures")
INTENTS = {
    "setup": "/setup",
    "tokens": "/tokens",
    "roles": "/roles",
    "activity": "/activity",
    "departures": "/departures",
}


@pytest.mark.parametrize("page", PAGES)
async def test_each_page_opens(browser: Browser, acme: Tenant, page: str) -> None:
    """Every page opens for an admin, is marked in the navigation, and has one heading above all."""
    maria = await acme.person("maria@acme.test")
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    await signed_in(browser, acme, acme.admin)

    shown = await browser.open(f"/console{page}")

    assert shown.status_code == 200, shown.text
    assert shown.text.count("<h1") == 1
    assert shown.text.count('aria-current="page"') == 1
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?! src)", shown.text)


@pytest.mark.parametrize("intent", INTENTS)
async def test_a_link_shows_its_part_alone(browser: Browser, acme: Tenant, intent: str) -> None:
    """Who came by a link sees its part in the navigation and no other, and is refused there."""
    answer = await entered(browser, await a_link(acme, intent))
    assert answer.headers["location"] == f"/console{INTENTS[intent]}"
    shown = await browser.open(answer.headers["location"])
    assert shown.status_code == 200, shown.text

    nav = shown.text[shown.text.index('<nav class="main"') : shown.text.index("</nav>")]
    assert re.findall(r'href="([^"]+)"', nav) == [f"/console{INTENTS[intent]}"]
    for path in {*PAGES, "/account"} - {"/", INTENTS[intent]}:
        assert (await browser.open(f"/console{path}")).status_code == 403, path


async def of_another(other: Tenant) -> list[str]:
    """Addresses of what another tenant has."""
    noor = await other.person()
    (entry, *_) = await other.audit()
    return [
        f"/console/people/{noor['id']}",
        f"/console/people/{noor['id']}/deactivate",
        f"/console/tokens/{other.token['id']}/revoke",
        f"/console/tokens/{other.token['id']}/rotate",
        f"/console/activity/{entry['request_id']}",
    ]


async def test_nothing_of_another_tenant(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """What is another tenant's is not found by its id, in the words for what never existed, and can't be changed."""
    await signed_in(browser, acme, acme.admin)
    for address in await of_another(other):
        page = await browser.open(address)
        never = await browser.open(re.sub(r"(?<=/)[0-9a-f-]{32,36}", str(uuid4()), address))
        assert page.status_code == never.status_code == 404, address
        strip = r"<code>[0-9a-f]+</code>|value=\"\w+\""
        assert re.sub(strip, "", page.text) == re.sub(strip, "", never.text)
        if address.endswith(("deactivate", "revoke", "rotate")):
            assert (await browser.send(address)).status_code == 404, address
    assert other.slug not in (await browser.open("/console/activity")).text
    async with other.callers.bearer(other.token["token"], path="/scim/v2") as provider:
        assert (await provider.get("/Users")).status_code == 200


async def test_issuing_a_token(browser: Browser, acme: Tenant) -> None:
    """A token is issued, works, and is shown once; without a name the form says so at the field."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/tokens")
    wrong = await browser.send("/console/tokens", label=" ", use="scim", lives="90")
    assert wrong.status_code == 400
    assert 'aria-invalid="true"' in wrong.text
    assert 'role="alert"' in wrong.text

    page = await browser.send("/console/tokens", label="Okta", use="scim", lives="90")

    (token,) = re.findall(r"rc_scim_\w+", page.text)
    async with acme.callers.bearer(token, path="/scim/v2") as provider:
        assert (await provider.get("/Users")).status_code == 200
    listed = await browser.open("/console/tokens")
    assert "rc_scim_" not in listed.text
    assert "in 89 days" in listed.text or "in 90 days" in listed.text


async def token_of(browser: Browser, label: str) -> str:
    """The id of the token of that name on the page of tokens."""
    page = (await browser.open("/console/tokens")).text
    found = re.search(rf"/console/tokens/([0-9a-f-]+)/revoke\">Revoke<span class=\"unseen\"> {label}<", page)
    assert found is not None
    return found[1]


async def test_rotating_a_token(browser: Browser, acme: Tenant) -> None:
    """A rotated token goes on for as long as was chosen, beside the new one."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/tokens")
    old = re.findall(r"rc_scim_\w+", (await browser.send("/console/tokens", label="Okta", use="scim")).text)[0]
    address = f"/console/tokens/{await token_of(browser, 'Okta')}/rotate"
    await browser.open(address)

    new = re.findall(r"rc_scim_\w+", (await browser.send(address, overlap="3600")).text)[0]

    assert new != old
    for token in (old, new):
        async with acme.callers.bearer(token, path="/scim/v2") as provider:
            assert (await provider.get("/Users")).status_code == 200
    assert "Being replaced" in (await browser.open("/console/tokens")).text


async def test_revoking_a_token(browser: Browser, acme: Tenant) -> None:
    """The page before says whom it concerns, in numbers; afterwards the provider is refused."""
    await signed_in(browser, acme, acme.admin)
    address = f"/console/tokens/{acme.token['id']}/revoke"
    asked = await browser.open(address)
    assert "The identity provider that uses it is refused" in asked.text
    assert "1 person stays as they are" in asked.text

    done = await browser.follow(await browser.send(address))

    assert "data-toast" in done.text
    assert (await acme.scim.get("/Users")).status_code == 401


async def test_revoking_a_token_in_use(browser: Browser, acme: Tenant) -> None:
    """The name of a token that is in use has to be typed before it is revoked; without it nothing is done."""
    assert (await acme.scim.get("/Users")).status_code == 200
    await acme.callers.app.state.context.batched_entries.flush()
    await signed_in(browser, acme, acme.admin)
    address = f"/console/tokens/{acme.token['id']}/revoke"
    (row,) = [each for each in await tokens_of(acme) if each["id"] == acme.token["id"]]
    assert "To confirm, enter its name" in (await browser.open(address)).text

    wrong = await browser.send(address, typed="another")
    assert (wrong.status_code, "Nothing was done" in wrong.text) == (400, True)
    assert (await acme.scim.get("/Users")).status_code == 200

    assert (await browser.send(address, typed=row["label"])).status_code == 303
    assert (await acme.scim.get("/Users")).status_code == 401


@pytest.mark.parametrize(
    ("label", "typed"), [("e\u0301" * 260, "\xe9" * 260), ("Okta \xa0 é", "Okta e\u0301"), ("\xa0\u200b", "confirm")]
)
async def test_typing_an_odd_name(browser: Browser, acme: Tenant, owner: Connection, label: str, typed: str) -> None:
    """A long name fits, an accent is the same however it is written, and for a blank name a word of ours is asked."""
    assert (await acme.scim.get("/Users")).status_code == 200
    await acme.callers.app.state.context.batched_entries.flush()
    await owner.execute("UPDATE tokens SET label = $2 WHERE id = $1", UUID(acme.token["id"]), label)
    await signed_in(browser, acme, acme.admin)
    address = f"/console/tokens/{acme.token['id']}/revoke"
    asked = await browser.open(address)
    assert 'maxlength="600"' in asked.text
    assert (f"the word: {typed}" in asked.text) == (typed == "confirm")
    assert (await browser.send(address, typed="")).status_code == 400
    assert (await browser.send(address, typed=typed)).status_code == 303
    assert (await acme.scim.get("/Users")).status_code == 401


async def tokens_of(tenant: Tenant) -> list[dict[str, Any]]:
    """The tenant's tokens, as the management API lists them."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/tokens")).json()["data"]


async def test_an_auditors_token(browser: Browser, acme: Tenant) -> None:
    """A token for auditors is shown without the address for SCIM, and says whom its end concerns: no provider."""
    await signed_in(browser, acme, acme.admin)
    address = "SCIM base URL"
    await browser.open("/console/tokens")
    assert address in (await browser.send("/console/tokens", label="Reads", use="scim:read")).text

    shown = (await browser.send("/console/tokens", label="Auditor", use="auditor")).text

    assert "rc_pat_" in shown
    assert address not in shown
    which = f"/console/tokens/{await token_of(browser, 'Auditor')}"
    asked = (await browser.open(f"{which}/revoke")).text
    assert "Whoever reads the audit, receipts and alerts with it is refused" in asked
    assert "identity provider that uses it" not in asked
    await browser.open(f"{which}/rotate")
    rotated = (await browser.send(f"{which}/rotate", overlap="0")).text
    assert "rc_pat_" in rotated
    assert address not in rotated


async def test_other_tokens(browser: Browser, acme: Tenant) -> None:
    """What a person uses with the product is no token of this page."""
    await acme.personal_token(acme.admin)
    (row,) = (await acme.callers.product.get(f"{acme.v1}/people/{acme.admin['id']}/tokens")).json()["data"]
    await signed_in(browser, acme, acme.admin)

    assert (await browser.open(f"/console/tokens/{row['id']}/revoke")).status_code == 404


async def test_a_person(browser: Browser, acme: Tenant) -> None:
    """One person's page says why they have their role, and what happened to them."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "dart-guests"}], displayName="Maria <b>Silva</b>")
    await signed_in(browser, acme, acme.admin)
    listed = await browser.open("/console/people", q="maria")
    assert "Maria &lt;b&gt;Silva" in listed.text

    page = (await browser.open(f"/console/people/{maria['id']}")).text

    assert "Role: Guest" in page
    assert "dart-guests" in page
    assert "maria@acme.test got access" in page
    assert "<b>Silva" not in page


async def test_ending_and_giving_access(browser: Browser, acme: Tenant) -> None:
    """An admin ends somebody's access, told before what that closes, and gives it again."""
    maria = await acme.person("maria@acme.test")
    session = await acme.session(maria)
    await signed_in(browser, acme, acme.admin)
    asked = await browser.open(f"/console/people/{maria['id']}/deactivate")
    assert "closes 1 session of 1 person" in asked.text

    for typed in ({}, {"typed": "noor@acme.test"}):
        wrong = await browser.send(f"/console/people/{maria['id']}/deactivate", **typed)
        assert (wrong.status_code, 'aria-invalid="true"' in wrong.text) == (400, True)
    assert await acme.callers.is_live(session)

    left = {"typed": "  maria@acme.test "}
    done = await browser.follow(await browser.send(f"/console/people/{maria['id']}/deactivate", **left))
    assert "They are out" in done.text
    assert not await acme.callers.is_live(session)

    again = await browser.follow(await browser.send(f"/console/people/{maria['id']}/reactivate"))
    assert "They may come in again" in again.text


async def test_ending_ones_own_access(browser: Browser, acme: Tenant) -> None:
    """An admin may end their own access, and is out."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(f"/console/people/{acme.admin['id']}/deactivate")
    name = {"typed": acme.admin["user_name"]}
    assert (await browser.send(f"/console/people/{acme.admin['id']}/deactivate", **name)).status_code == 303
    assert (await browser.open("/console/people")).status_code == 403


async def test_activity_in_words(browser: Browser, acme: Tenant) -> None:
    """Calls are told in words; refused ones say why, and one request is shown whole without secrets."""
    maria = await acme.person("maria@acme.test")
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert (await acme.scim.post("/Users", json={"userName": ""})).status_code == 400
    await signed_in(browser, acme, acme.admin)

    page = (await browser.open("/console/activity")).text
    assert "maria@acme.test lost access" in page
    refused = (await browser.open("/console/activity", outcome="refused")).text
    assert "maria@acme.test lost access" not in refused
    assert "Refused 400" in refused
    one = re.findall(r'href="(/console/activity/[0-9a-f]+)"', page)
    for address in one[:5]:
        assert (await browser.open(address)).status_code == 200
    assert (await browser.open("/console/activity", cursor="nonsense")).status_code == 400


async def test_roles_and_cases(browser: Browser, acme: Tenant) -> None:
    """The rule is told in words, a name can be tried, and an open case says who and what to do."""
    noor = await acme.person("noor@acme.test")
    names: list[dict[str, Any]] = [{"value": "dart-guests"}, {"value": "dart-members"}]
    assert (await acme.scim.put(f"/Users/{noor['id']}", json={**noor, "roles": names})).status_code == 400
    await signed_in(browser, acme, acme.admin)

    page = (await browser.open("/console/roles")).text
    assert "dart-technical-admins" in page
    assert "Conflict" in page
    assert "noor@acme.test" in page
    assert "It means Guest" in (await browser.open("/console/roles", name="DART_GUEST")).text
    assert "begins like a role and is none" in (await browser.open("/console/roles", name="dart-wizards")).text
    assert "does not concern roles" in (await browser.open("/console/roles", name="Players")).text


async def test_the_first_page(browser: Browser, acme: Tenant) -> None:
    """The first page says who called when, and what needs attention; with no token it leads to the set-up."""
    await acme.scim.get("/Users")
    await acme.callers.app.state.context.batched_entries.flush()
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open("/console/")).text
    assert "last called" in page
    assert "have access" in page or "has access" in page

    await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")
    assert "No token is live" in (await browser.open("/console/")).text


async def test_departures(browser: Browser, acme: Tenant) -> None:
    """Who left is listed with what was closed in numbers; another tenant's receipt is not there."""
    maria = await acme.person("maria@acme.test")
    await acme.session(maria)
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    async with acme.work() as work:
        await settled(work)
    await signed_in(browser, acme, acme.admin)

    page = (await browser.open("/console/departures")).text

    assert "maria@acme.test" in page
    assert "1 session<" in page
    assert "Being signed" in page
    assert (await browser.open(f"/console/departures/{uuid4()}/receipt")).status_code == 404
    assert (await browser.open("/console/departures/x/receipt")).status_code == 404


async def settled(work: Work) -> None:
    """Have the worker's part of departures done that makes receipts."""
    question = text("SELECT id FROM outbox WHERE topic = 'user.deactivated' AND done_at IS NULL")
    await receipts.settle(work, *(await work.db.scalars(question)).all())


def test_every_state_of_a_token_has_words() -> None:
    """Whatever the gate says of a token, its page has a word for it."""
    assert set(TONES) == set(TokenState)


def test_every_event_has_words() -> None:
    """Whatever happens in a tenant is told in words by its activity; what happens to the installation is not shown."""
    of_the_installation = ("plan.", "prices.", "installation_key.", "signing_key.", "operator.", "outbox.")
    elsewhere = {topic for topic in TOPICS if topic.startswith(of_the_installation)}
    told = {topic: worded(AuditEntry(action=topic, events=[topic], account_id=None), {}) for topic in TOPICS}
    assert {topic for topic, said in told.items() if said == topic} == elsewhere
