"""Links for somebody without an account: an admin vouches, the set-up alone opens, and all ends with the admin."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from console.conftest import Browser, signed_in
from factories import Callers, Tenant
from rollcall.access import contact_links
from rollcall.db import Connection

Browsers = Callable[[], Browser]
SESSION = "__Host-rollcall-session"


async def a_contact_link(tenant: Tenant, **wanted: Any) -> dict[str, Any]:
    """A link, made as the product makes one."""
    body = {"kind": "contact", "intent": "setup", "label": "Kim", "person": tenant.admin["id"], **wanted}
    answer = await tenant.callers.product.post(f"{tenant.v1}/portal-links", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def text_of(link: dict[str, Any]) -> str:
    """What opens it."""
    return link["url"].partition("?link=")[2]


async def opened(browser: Browser, link: str) -> httpx.Response:
    """The answer to the button of the page that a link leads to."""
    page = await browser.open("/console/contact", link=link)
    assert page.status_code == 200
    return await browser.send("/console/contact", link=link)


async def test_opened_again_and_again(browsers: Browsers, acme: Tenant) -> None:
    """Looking spends nothing, and the link opens the set-up until its end; each opening stands in the audit."""
    link = text_of(await a_contact_link(acme, days=3))
    for _ in range(2):
        browser = browsers()
        assert (await browser.open("/console/contact", link=link)).status_code == 200
        assert SESSION not in browser.http.cookies

        answer = await opened(browser, link)

        assert (answer.status_code, answer.headers["location"]) == (303, "/console/setup")
        page = await browser.open("/console/setup")
        assert (page.status_code, '<p class="who" title="Kim, by a link of ada@' in page.text) == (200, True)
    entries = await acme.audit(action="console.contact_entered")
    assert [entry["actor_label"] for entry in entries] == [f"Kim, by a link of ada@{acme.slug}.test"] * 2
    assert entries[0]["person_id"] == acme.admin["id"]


async def test_opened_at_the_same_moment(browsers: Browsers, acme: Tenant) -> None:
    """Several who open it at the same moment have a session each, and the link is as it was."""
    link = text_of(await a_contact_link(acme))

    answers = await asyncio.gather(*(opened(browsers(), link) for _ in range(4)))

    assert [answer.status_code for answer in answers] == [303] * 4
    assert len(await acme.audit(action="console.contact_entered")) == 4


async def test_what_they_make_is_the_admins(browser: Browser, acme: Tenant) -> None:
    """A token that the contact makes is owned by the admin, made in both names, and ends with the admin."""
    await opened(browser, text_of(await a_contact_link(acme)))

    page = await browser.send("/console/setup/token", provider="okta")

    token = re.search(r"rc_scim_\w+", page.text)
    assert token is not None, page.text
    (entry,) = [each for each in await acme.audit(action="token.issued") if each["actor_kind"] == "person"]
    assert entry["actor_label"].startswith("Kim, by a link of ")
    provider = acme.callers.bearer(token[0], path="/scim/v2")
    assert (await provider.get("/Users")).status_code == 200
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
    assert (await provider.get("/Users")).status_code == 401


async def test_nothing_but_the_setup(browser: Browser, acme: Tenant) -> None:
    """No other page opens, and nothing of the admin's own."""
    await opened(browser, text_of(await a_contact_link(acme)))
    for path in ("/console/tokens", "/console/team", "/console/people", "/console/account", "/console/activity"):
        assert (await browser.open(path)).status_code == 403, path
    assert (await browser.send("/console/team/links", label="Another", days="7")).status_code == 403


LATE = "UPDATE sessions SET expires_at = clock_timestamp() WHERE purpose = 'contact_link' AND account_id = $1"
DEMOTED = "UPDATE accounts SET is_admin = false WHERE id = $1"
OF_AN_OLDER_EPOCH = "UPDATE accounts SET epoch = epoch + 1 WHERE id = $1"


@pytest.mark.parametrize("meanwhile", [LATE, DEMOTED, OF_AN_OLDER_EPOCH], ids=["late", "no admin", "older epoch"])
async def test_not_good_any_more(browser: Browser, acme: Tenant, owner: Connection, meanwhile: str) -> None:
    """A link that is over, or whose admin is none any more or was out since, opens nothing."""
    link = text_of(await a_contact_link(acme))
    await owner.execute(meanwhile, UUID(acme.admin["id"]))

    answer = await opened(browser, link)

    assert answer.status_code == 403
    assert "opens nothing any more" in answer.text


async def test_the_admin_leaves(browser: Browser, acme: Tenant) -> None:
    """From the commit of the departure on the link opens nothing, nor the session that it opened; both are counted."""
    link = text_of(await a_contact_link(acme))
    await opened(browser, link)
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")

    assert (await browser.open("/console/setup")).status_code == 403
    assert (await opened(browser, link)).status_code == 403
    (entry,) = await acme.audit(action="user.deactivated")
    assert entry["payload"]["closed"]["sessions"] == 2
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/reactivate")
    assert (await opened(browser, link)).status_code == 403


async def test_revoked_by_the_product(browser: Browser, acme: Tenant) -> None:
    """Revoking it ends what it opened too, can be done twice, and takes it off the list."""
    link = await a_contact_link(acme, label="Kim at Northwind")
    await opened(browser, text_of(link))
    address = f"{acme.v1}/portal-links"
    (listed,) = (await acme.callers.product.get(address)).json()["data"]
    assert (listed["id"], listed["label"], listed["person_id"]) == (link["id"], "Kim at Northwind", acme.admin["id"])
    assert listed["last_opened_at"] is not None
    assert "rc_" not in str(listed)

    for _ in range(2):
        assert (await acme.callers.product.delete(f"{address}/{link['id']}")).status_code == 204

    assert (await browser.open("/console/setup")).status_code == 403
    assert (await opened(browser, text_of(link))).status_code == 403
    assert (await acme.callers.product.get(address)).json()["data"] == []
    assert len(await acme.audit(action="console.contact_link_withdrawn")) == 1


async def test_made_and_revoked_on_the_page(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """An admin makes a link under Team, where it is shown once, and revokes it there."""
    admin, contact = await signed_in(browsers(), acme, acme.admin), browsers()
    wrong = await admin.send("/console/team/links", label="  ", days="7")
    assert (wrong.status_code, "Say whom it is for" in wrong.text) == (400, True)

    made = await admin.send("/console/team/links", label="Kim <b>", days="1")

    found = re.search(r"/console/contact\?link=(rc_\w+)", made.text)
    assert found is not None, made.text
    assert (await opened(contact, found[1])).status_code == 303
    seconds = "SELECT extract(epoch FROM expires_at - created_at)::integer FROM sessions"
    wanted = "WHERE purpose = 'contact_link' AND tenant_id = $1"
    assert await owner.fetchval(f"{seconds} {wanted}", UUID(acme.id)) == 86400
    page = await admin.open("/console/team")
    assert "Kim &lt;b&gt;" in page.text
    assert found[1] not in page.text
    (revoke,) = admin.addresses("/revoke")
    assert "opens nothing any more" in (await admin.open(revoke)).text
    assert "The link is revoked" in (await admin.follow(await admin.send(revoke))).text
    assert (await contact.open("/console/setup")).status_code == 403


async def test_another_tenants(acme: Tenant, other: Tenant) -> None:
    """Nobody revokes another tenant's link."""
    link = await a_contact_link(acme)
    assert (await other.callers.product.delete(f"{other.v1}/portal-links/{link['id']}")).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"intent": "tokens"},
        {"label": None},
        {"days": 8},
        {"days": 0},
        {"label": "\u200b"},
        {"return_url": "https://app.acme.test/"},
        {"kind": "admin"},
    ],
)
async def test_what_can_not_be_made(acme: Tenant, wanted: dict[str, Any]) -> None:
    """It is for the set-up alone, for somebody, for seven days at most, and leads back nowhere."""
    body = {"kind": "contact", "intent": "setup", "label": "Kim", "person": acme.admin["id"], **wanted}
    assert (await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)).status_code == 400


async def test_so_many(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant has so many good links at most, and room again when one is revoked."""
    monkeypatch.setattr(contact_links, "MOST_LIVE", 2)
    first = await a_contact_link(acme)
    await a_contact_link(acme)
    body = {"kind": "contact", "intent": "setup", "label": "Kim", "person": acme.admin["id"]}
    refused = await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)
    assert (refused.status_code, "retry-after" in refused.headers) == (429, True)

    await acme.callers.product.delete(f"{acme.v1}/portal-links/{first['id']}")

    await a_contact_link(acme)


async def test_other_credentials(browsers: Browsers, acme: Tenant, callers: Callers) -> None:
    """A link of one kind is none of the other, is no session, and introspection knows nothing of it."""
    contact = text_of(await a_contact_link(acme))
    body = {"intent": "setup", "person": acme.admin["id"]}
    made = await callers.product.post(f"{acme.v1}/portal-links", json=body)
    admin = made.json()["url"].partition("?link=")[2]
    browser = browsers()
    await browser.open("/console/portal", link=contact)
    assert (await browser.send("/console/portal", link=contact)).status_code == 403
    assert (await browser.send("/console/contact", link=admin)).status_code == 403
    assert (await browser.send("/console/contact", link=acme.token["token"])).status_code == 403
    assert not await callers.is_live(contact)
    browser.http.cookies.set(SESSION, contact, domain="rollcall.test")
    assert (await browser.open("/console/setup")).status_code == 403


async def test_framing(console_app: Litestar, browser: Browser, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an operator says so the product's pages may show a link's pages in a frame, and no others."""

    def framed(page: httpx.Response) -> str:
        return page.headers["content-security-policy"].partition("frame-ancestors ")[2].partition(";")[0]

    link = text_of(await a_contact_link(acme))
    assert framed(await browser.open("/console/contact", link=link)) == "'none'"
    terms = console_app.state.console
    origins = ("https://app.rollcall.test",)
    changed = {name: getattr(terms, name) for name in ("idle", "fresh", "sends_mail")}
    monkeypatch.setattr(console_app.state, "console", type(terms)(**changed, framed_by=origins), raising=False)

    assert framed(await browser.open("/console/contact", link=link)) == origins[0]
    assert framed(await browser.open("/console/portal", link=link)) == origins[0]
    await opened(browser, link)
    assert framed(await browser.open("/console/setup")) == origins[0]
    assert framed(await browser.open("/console/team")) == origins[0]  # refused, as what it is
    await browser.send("/console/sign-out")
    for page in ("/console/sign-in", "/console/sign-in/password"):
        assert framed(await browser.open(page)) == "'none'"
    await signed_in(browser, acme, acme.admin)
    assert framed(await browser.open("/console/team")) == "'none'"
