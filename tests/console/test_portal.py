"""Portal links: the product lets an admin in, once, for one intent, and leaving closes that like everything else."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar

from console.conftest import Browser, signed_in
from factories import Callers, Tenant
from rollcall.access import portal_links
from rollcall.db import Connection

Browsers = Callable[[], Browser]
ORIGINS = frozenset({"https://app.acme.test", "http://localhost:3000"})
SESSION = "__Host-rollcall-session"


@pytest.fixture(autouse=True)
def _origins(console_app: Litestar, app: Litestar) -> None:
    """An operator has said where links may lead back to."""
    console_app.state.portal_return_origins = app.state.portal_return_origins = ORIGINS


async def a_link(tenant: Tenant, intent: str = "activity", **wanted: Any) -> str:
    """The text of a link, made as the product makes one."""
    body = {"intent": intent, "person": tenant.admin["id"], **wanted}
    answer = await tenant.callers.product.post(f"{tenant.v1}/portal-links", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["url"].partition("?link=")[2]


async def entered(browser: Browser, link: str) -> Any:
    """The answer to the button of the page that a link leads to."""
    page = await browser.open("/console/portal", link=link)
    assert page.status_code == 200
    return await browser.send("/console/portal", link=link)


async def test_a_link_lets_in(browser: Browser, acme: Tenant) -> None:
    """The page has a button, which leads to what the link is for, with a way back to the product."""
    link = await a_link(acme, return_url="https://app.acme.test/settings?tab=identity")

    answer = await entered(browser, link)

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/activity")
    assert SESSION in browser.http.cookies
    assert link not in answer.headers["location"]
    (entry,) = await acme.audit(action="console.portal_entered")
    assert (entry["person_id"], entry["actor_kind"]) == (acme.admin["id"], "person")
    assert entry["payload"]["intent"] == "activity"
    (made,) = await acme.audit(action="console.portal_link_issued")
    assert (made["person_id"], made["actor_kind"]) == (acme.admin["id"], "application")


async def test_looking_spends_nothing(browser: Browser, acme: Tenant) -> None:
    """Whoever only follows a link, as scanners of mail do, has spent nothing and is nobody."""
    link = await a_link(acme)
    for _ in range(3):
        assert (await browser.open("/console/portal", link=link)).status_code == 200
        assert SESSION not in browser.http.cookies

    assert (await entered(browser, link)).status_code == 303


async def test_used_twice(browsers: Browsers, acme: Tenant) -> None:
    """A link that was used opens nothing, and says what to do; the session that it opened stays."""
    link = await a_link(acme)
    first, second = browsers(), browsers()
    assert (await entered(first, link)).status_code == 303

    answer = await entered(second, link)

    assert answer.status_code == 403
    assert "This link opens nothing any more" in answer.text
    assert SESSION not in second.http.cookies
    assert link not in answer.text
    assert SESSION in first.http.cookies


async def test_two_at_the_same_moment(browsers: Browsers, acme: Tenant) -> None:
    """Of several who use one link at the same moment one gets in."""
    link = await a_link(acme)
    answers = await asyncio.gather(*(entered(browsers(), link) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 403, 403, 403]


@pytest.mark.parametrize("scope", ["admin", "auditor"])
async def test_no_token_beyond_the_link(browser: Browser, acme: Tenant, scope: str) -> None:
    """By a link for tokens only a provider's are made and rotated: one for the management API would outlive it."""
    theirs = await acme.issue_token(scopes=[scope], owner=acme.admin["id"])
    address = f"/console/tokens/{theirs['id']}/rotate"
    await entered(browser, await a_link(acme, "tokens"))
    page = (await browser.open("/console/tokens")).text
    assert 'value="scim:read"' in page
    assert f'value="{scope}"' not in page
    assert address not in page

    made = await browser.send("/console/tokens", label="Theirs", use=scope, lives="90")
    rotated = await browser.send(address, overlap="0")

    assert (made.status_code, rotated.status_code) == (403, 403)
    assert (await browser.open(address)).status_code == 403
    assert "rc_" not in made.text + rotated.text
    listed = (await acme.callers.operator.get(f"{acme.v1}/tokens")).json()["data"]
    assert sorted(each["id"] for each in listed) == sorted([acme.token["id"], theirs["id"]])
    assert f"/console/tokens/{acme.token['id']}/rotate" in page


LATE = "UPDATE sessions SET expires_at = clock_timestamp() WHERE purpose = 'portal_link' AND account_id = $1"
DEMOTED = "UPDATE accounts SET is_admin = false WHERE id = $1"
OF_AN_OLDER_EPOCH = "UPDATE accounts SET epoch = epoch + 1 WHERE id = $1"


@pytest.mark.parametrize("meanwhile", [LATE, DEMOTED, OF_AN_OLDER_EPOCH], ids=["late", "no admin", "older epoch"])
async def test_not_good_any_more(browser: Browser, acme: Tenant, owner: Connection, meanwhile: str) -> None:
    """A link that is five minutes old, or whose person is no admin or was out since, opens nothing."""
    link = await a_link(acme)
    await owner.execute(meanwhile, UUID(acme.admin["id"]))

    assert (await entered(browser, link)).status_code == 403


async def test_the_person_left_meanwhile(browser: Browser, acme: Tenant) -> None:
    """A deactivation closes links and sessions of the portal, counts them, and a reactivation brings none back."""
    unused, used = await a_link(acme), await a_link(acme)
    assert (await entered(browser, used)).status_code == 303

    left = await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
    assert left.status_code == 200
    (entry,) = await acme.audit(action="user.deactivated")
    assert entry["payload"]["closed"]["sessions"] == 2
    assert (await browser.open("/console/")).status_code == 403
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/reactivate")

    assert (await entered(browser, unused)).status_code == 403


async def test_no_longer_an_admin(browser: Browser, acme: Tenant) -> None:
    """Who came by a link and is not an admin any more is out at their next request."""
    assert (await entered(browser, await a_link(acme))).status_code == 303
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")

    assert (await browser.open("/console/")).status_code == 403


async def test_suspended(browser: Browser, acme: Tenant) -> None:
    """A suspended tenant's links are not made and open nothing."""
    link = await a_link(acme)
    await acme.callers.operator.post(f"{acme.v1}/suspend")
    body = {"intent": "setup", "person": acme.admin["id"]}

    assert (await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)).status_code == 403
    assert (await entered(browser, link)).status_code == 403


async def test_only_what_it_is_for(browser: Browser, acme: Tenant) -> None:
    """A session of one intent opens no other part of the console, and none of one's own account, by page or by form."""
    assert (await entered(browser, await a_link(acme))).status_code == 303

    for path in ("/console/account", "/console/account/sessions/others"):
        page = await browser.open(path)
        assert page.status_code == 403, path
        assert "The link you came by opens another part" in page.text
    for path in ("/console/account/sessions/others", "/console/account/passkeys/begin"):
        assert (await browser.send(path)).status_code == 403
    assert (await browser.open("/console/")).headers["location"] == "/console/activity"


async def test_another_tenant(acme: Tenant, other: Tenant) -> None:
    """A person of another tenant is nobody here."""
    body = {"intent": "setup", "person": other.admin["id"]}
    assert (await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)).status_code == 404


async def test_other_credentials(browser: Browser, acme: Tenant) -> None:
    """Neither a session of the product, nor one of the console, nor nonsense is a link; a link is no session."""
    link = await a_link(acme)
    browser.http.cookies.set(SESSION, link, domain="rollcall.test")
    assert (await browser.open("/console/account")).status_code == 403
    browser.http.cookies.delete(SESSION)
    assert not await acme.callers.is_live(link)
    for text in (await acme.session(acme.admin), acme.token["token"], "nonsense", "", "\u20ac" * 300):
        assert (await browser.send("/console/portal", link=text)).status_code == 403


async def test_sessions_of_the_portal_are_no_products(browser: Browser, acme: Tenant) -> None:
    """Introspection and revocation know nothing of a session of the portal; the list of sessions does."""
    assert (await entered(browser, await a_link(acme))).status_code == 303
    token = browser.http.cookies[SESSION]

    assert not await acme.callers.is_live(token)
    await acme.callers.product.post("/oauth/revoke", data={"token": token})
    assert (await browser.open("/console/")).status_code == 303
    listed = (await acme.callers.product.get(f"{acme.v1}/people/{acme.admin['id']}/sessions")).json()["data"]
    assert [each["purpose"] for each in listed] == ["portal"]


async def test_named_by_user_name(acme: Tenant) -> None:
    """The admin may be named by userName, however it is capitalised."""
    assert await a_link(acme, person=acme.admin["user_name"].upper())


async def test_who_may_be_named(acme: Tenant) -> None:
    """Only an active admin can be sent to the console; the refusal says what to do."""
    maria = await acme.person()
    answer = await acme.callers.product.post(f"{acme.v1}/portal-links", json={"intent": "setup", "person": maria["id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_an_admin")


async def test_tokens_by_ops(acme: Tenant) -> None:
    """Where ops issue the tokens there is no link for them."""
    await acme.callers.operator.patch(acme.v1, json={"token_issuing": "ops"})
    body = {"intent": "tokens", "person": acme.admin["id"]}
    answer = await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "ops_issue_tokens")


@pytest.mark.parametrize(
    "address",
    [
        "https://app.acme.test.evil.test/",
        "https://evil.test/?https://app.acme.test",
        "https://app.acme.test@evil.test/",
        "https://app.acme.test\\@evil.test/",
        "https://app.acme.test:444/",
        "http://app.acme.test/",
        "//app.acme.test/",
        "/settings",
        "javascript:alert(1)//https://app.acme.test",
        "https://app.acme.test/\n",
        "https://[",
        " https://app.acme.test/",
    ],
)
async def test_where_it_may_lead_back(acme: Tenant, address: str) -> None:
    """A link leads back to where an operator has allowed it, and an address that only looks so is refused."""
    body = {"intent": "setup", "person": acme.admin["id"], "return_url": address}
    answer = await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)
    assert (answer.status_code, answer.json()["param"]) == (400, "return_url")


def test_allowed_returns() -> None:
    """Any address at an origin that was named will do, its port and path included."""
    for address in ("https://app.acme.test", "https://app.acme.test/a?b=c#d", "http://localhost:3000/x"):
        assert portal_links.may_return(ORIGINS, address)


async def test_too_many(acme: Tenant) -> None:
    """The twenty-first link for one person within five minutes is refused; another person's is not."""
    for _ in range(portal_links.MOST_LINKS):
        await a_link(acme)
    body = {"intent": "setup", "person": acme.admin["id"]}
    answer = await acme.callers.product.post(f"{acme.v1}/portal-links", json=body)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0

    noor = await acme.person()
    await acme.callers.operator.post(f"{acme.v1}/people/{noor['id']}/appoint")
    assert await a_link(acme, person=noor["id"])


async def test_who_may_make_one(acme: Tenant, callers: Callers) -> None:
    """A tenant's own admin makes no links: that is the product's."""
    token = await acme.issue_token(scopes=["admin"], owner=acme.admin["id"])
    async with callers.bearer(token["token"]) as admin:
        answer = await admin.post(f"{acme.v1}/portal-links", json={"intent": "setup", "person": acme.admin["id"]})
    assert answer.status_code == 403


async def test_the_link_is_kept_nowhere(
    browser: Browser, acme: Tenant, capfd: pytest.CaptureFixture[str], owner: Connection
) -> None:
    """Neither audit nor log has the secret, and no page that the link leads to sends it on."""
    link = await a_link(acme)
    page = await browser.open("/console/portal", link=link)
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    await browser.send("/console/portal", link=link)
    await browser.send("/console/portal", link=link)

    said = capfd.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "httpx" not in line]
    assert not [line for line in lines if link in line]
    assert link not in str(await acme.audit())
    assert not await owner.fetchval(
        "SELECT count(*) FROM sessions s WHERE s.account_id = $1 AND s::text LIKE '%' || $2 || '%'",
        UUID(acme.admin["id"]),
        link,
    )


async def test_it_replaces_a_session(browser: Browser, acme: Tenant) -> None:
    """Who is signed in to the whole console and comes by a link sees what the link is for."""
    await signed_in(browser, acme, acme.admin)
    assert (await entered(browser, await a_link(acme))).status_code == 303
    assert (await browser.open("/console/account")).status_code == 403


async def test_signing_out(browser: Browser, acme: Tenant) -> None:
    """Who came by a link may sign out, and the session is closed."""
    assert (await entered(browser, await a_link(acme, "setup"))).status_code == 303
    token = browser.http.cookies[SESSION]
    await browser.open("/console/setup")

    assert (await browser.send("/console/sign-out")).headers["location"].startswith("/console/sign-in")

    browser.http.cookies.set(SESSION, token, domain="rollcall.test")
    assert (await browser.open("/console/setup")).status_code == 403
    assert len(await acme.audit(action="console.portal_left")) == 1
