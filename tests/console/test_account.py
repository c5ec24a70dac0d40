"""The account page: what is mine, and ending it; nothing of anybody else's."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from authenticator import registered
from authenticator import signed_in as product_signed_in
from console.conftest import Browser, a_code, a_device, signed_in
from factories import Tenant, deactivation
from rollcall.access import console_sessions, sessions
from rollcall.access.sessions import MOST_OF_CONSOLE, Purpose
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rows import connected, until_waiting

Browsers = Callable[[], Browser]
SESSION = "__Host-rollcall-session"


async def leave(tenant: Tenant, person: dict[str, Any]) -> None:
    answer = await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    assert answer.status_code == 200


async def deactivate(tenant: Tenant, person: dict[str, Any], _owner: Connection) -> None:
    await leave(tenant, person)


async def remove(tenant: Tenant, person: dict[str, Any], _owner: Connection) -> None:
    assert (await tenant.scim.delete(f"/Users/{person['id']}")).status_code == 204


async def come_back(tenant: Tenant, person: dict[str, Any], _owner: Connection) -> None:
    for verb in ("deactivate", "reactivate"):
        await tenant.callers.operator.post(f"{tenant.v1}/people/{person['id']}/{verb}")


async def suspend(tenant: Tenant, _person: dict[str, Any], _owner: Connection) -> None:
    await tenant.callers.operator.post(f"{tenant.v1}/suspend")


async def expire(tenant: Tenant, _person: dict[str, Any], owner: Connection) -> None:
    await owner.execute("UPDATE sessions SET expires_at = clock_timestamp() WHERE tenant_id = $1", UUID(tenant.id))


async def raise_epoch(_tenant: Tenant, person: dict[str, Any], owner: Connection) -> None:
    await owner.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", UUID(person["id"]))


async def close(tenant: Tenant, person: dict[str, Any], _owner: Connection) -> None:
    open_ones = (await tenant.callers.product.get(f"{tenant.v1}/people/{person['id']}/sessions")).json()["data"]
    for each in open_ones:
        await tenant.callers.operator.delete(f"{tenant.v1}/sessions/{each['id']}")


@pytest.mark.parametrize("end", [deactivate, remove, come_back, suspend, expire, raise_epoch, close])
async def test_the_next_request(
    browsers: Browsers,
    acme: Tenant,
    owner: Connection,
    end: Callable[[Tenant, dict[str, Any], Connection], Awaitable[None]],
) -> None:
    """Once a session has ended, for whatever reason, the next request is answered by the page to sign in."""
    maria = await acme.person()
    pages = [await signed_in(browsers(), acme, maria) for _ in range(3)]

    await end(acme, maria, owner)

    looked = await pages[0].open("/console/account")
    done = await pages[1].send("/console/account/sessions/others")
    called = await pages[2].call("/console/account/passkeys/begin")
    for page in (looked, done):
        assert page.status_code == 403
        assert "Your session has ended. Sign in again." in page.text
        assert 'name="code"' in page.text
        assert f"{SESSION}=;" in page.headers["set-cookie"].replace('""', "")
        assert maria["userName"] not in page.text
    assert (called.status_code, called.json()["code"]) == (403, "not_signed_in")


async def test_a_form_after_that(browsers: Browsers, acme: Tenant) -> None:
    """The page that says so is one to sign in with, whatever it was an answer to."""
    maria = await acme.person()
    browser = await signed_in(browsers(), acme, maria)
    await leave(acme, maria)
    await browser.send("/console/account/sessions/others")

    noor = await acme.person()
    entered = await browser.send("/console/sign-in", workspace=acme.slug, code=await a_code(acme, noor))

    assert entered.status_code == 303
    assert noor["userName"] in (await browser.open("/console/account")).text


CLOSED = "UPDATE sessions SET closed_at = clock_timestamp() WHERE account_id = $1"
OF_AN_OLDER_EPOCH = "UPDATE accounts SET epoch = epoch + 1 WHERE id = $1"
GONE = "UPDATE accounts SET active = false WHERE id = $1"


@pytest.mark.parametrize("ended", [CLOSED, OF_AN_OLDER_EPOCH, GONE], ids=["closed", "older epoch", "gone"])
@pytest.mark.parametrize("change", ["begin", "add", "remove", "others"])
async def test_ended_in_the_middle(
    browser: Browser, acme: Tenant, owner: Connection, engines: Engines, change: str, ended: str
) -> None:
    """Whoever was let in, and whose session ends before their change is committed, changes nothing."""
    maria = await acme.person()
    await signed_in(browser, acme, maria)
    await browser.add_passkey()
    await browser.open("/console/account")
    (removing,) = browser.addresses("/remove")
    begun = (await browser.call("/console/account/passkeys/begin")).json()
    answer = {"challenge": begun["challenge"], "credential": a_device().create(begun["options"])}
    sent = {
        "begin": lambda: browser.call("/console/account/passkeys/begin"),
        "add": lambda: browser.call("/console/account/passkeys", **answer),
        "remove": lambda: browser.send(removing),
        "others": lambda: browser.send("/console/account/sessions/others"),
    }[change]

    async with connected(engines.migration_database_url) as watcher:
        async with owner.transaction():
            await owner.execute("SELECT FROM accounts WHERE id = $1 FOR UPDATE", UUID(maria["id"]))
            request = asyncio.create_task(sent())
            await until_waiting(watcher, request)
            await owner.execute(ended, UUID(maria["id"]))
        assert (await request).status_code == 403

    left = "SELECT count(*) FROM passkeys WHERE account_id = $1 AND closed_at IS NULL"
    assert await owner.fetchval(left, UUID(maria["id"])) == 1


async def test_a_change_and_leaving_at_once(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A passkey that is added while its person is deactivated is closed afterwards, or was never there."""
    for _ in range(4):
        maria = await acme.person()
        browser = await signed_in(browsers(), acme, maria)
        device = a_device()
        begun = (await browser.call("/console/account/passkeys/begin")).json()
        credential = device.create(begun["options"])

        await asyncio.gather(
            browser.call("/console/account/passkeys", challenge=begun["challenge"], credential=credential),
            leave(acme, maria),
        )

        left = "SELECT count(*) FROM passkeys WHERE account_id = $1 AND closed_at IS NULL"
        assert await owner.fetchval(left, UUID(maria["id"])) == 0


async def test_a_session_of_the_product(browser: Browser, acme: Tenant) -> None:
    """A session of the product opens no page of the console."""
    browser.http.cookies.set(SESSION, await acme.session(acme.admin), domain="rollcall.test")

    answer = await browser.open("/console/account")

    assert answer.status_code == 403
    assert acme.admin["user_name"] not in answer.text


async def test_a_session_of_the_console(browser: Browser, acme: Tenant) -> None:
    """Introspection knows no session of the console, and handing one back as the product's changes nothing."""
    await signed_in(browser, acme, acme.admin)
    token = browser.http.cookies[SESSION]

    assert not await acme.callers.is_live(token)
    batch = await acme.callers.product.post("/oauth/introspect/batch", json={"tokens": [token]})
    assert batch.json() == {"answers": [{"active": False}]}
    handed_back = await acme.callers.product.post("/oauth/revoke", data={"token": token})
    assert handed_back.status_code == 200
    assert (await browser.open("/console/account")).status_code == 200


@pytest.mark.parametrize("shown", ["", "nonsense", "rc_ses_x", "\u00e9", "a" * 5000])
async def test_cookies_that_are_none(browser: Browser, shown: str) -> None:
    """A cookie that somebody made up opens nothing."""
    header = [(b"Cookie", f"{SESSION}={shown}".encode("latin-1"))]

    answer = await browser.http.get("/console/account", headers=header)

    assert answer.status_code in {303, 403}


async def test_who_i_am(browser: Browser, acme: Tenant) -> None:
    """The page says who is signed in, where, and in which role as of now."""
    maria = await acme.person("maria@x.test", roles=["dart-guests"])
    await signed_in(browser, acme, maria)
    page = browser.page.text
    assert ("maria@x.test" in page, acme.slug in page, "<dd>Guest</dd>" in page) == (True, True, True)

    await acme.callers.operator.post(f"{acme.v1}/people/{maria['id']}/role", json={"role": "technical-admin"})

    assert "<dd>Technical admin</dd>" in (await browser.open("/console/account")).text


async def test_nothing_yet(browser: Browser, acme: Tenant) -> None:
    """Lists that are empty say so, and what would be in them."""
    await signed_in(browser, acme, acme.admin)

    page = browser.page.text
    assert "You have no passkey yet." in page
    assert "You are signed in nowhere else." in page
    assert "You have no personal token." in page


async def test_removing_a_passkey(browsers: Browsers, acme: Tenant) -> None:
    """The page before the button says what it does; after it the passkey opens neither console nor product."""
    maria = await acme.person()
    browser = await signed_in(browsers(), acme, maria)
    device = await browser.add_passkey("Old phone")
    await acme.session(maria)
    await browser.open("/console/account")
    (address,) = browser.addresses("/remove")

    asked = await browser.open(address)
    assert "Remove the passkey “Old phone”?" in asked.text
    assert "It is your only passkey" in asked.text
    assert "1 other session" in asked.text
    done = await browser.follow(await browser.send(address))

    assert "The passkey is removed." in done.text
    assert "Old phone" not in done.text
    assert (await browsers().use(acme.slug, device)).status_code == 403
    assert (await product_signed_in(acme, device)).status_code == 403
    assert (await browser.send(address)).status_code == 303, "twice is once"
    assert (await browser.open(address)).status_code == 404
    (entry,) = await acme.audit(action="passkey.closed")
    assert (entry["actor_kind"], entry["actor_label"]) == ("person", maria["userName"])


async def test_a_passkey_of_the_product(browsers: Browsers, acme: Tenant) -> None:
    """A passkey that was made on the product's pages is in the list, and signs in here."""
    maria = await acme.person()
    device = await registered(acme, maria, label="From the product")
    device.origin = "https://rollcall.test"

    browser = browsers()
    assert (await browser.use(acme.slug, device)).status_code == 200

    assert "From the product" in (await browser.open("/console/account")).text


async def test_as_many_passkeys_as_may_be(browser: Browser, acme: Tenant) -> None:
    """With 20 passkeys the page offers no other, and says why; the script is told the same."""
    await signed_in(browser, acme, acme.admin)
    for number in range(20):
        await browser.add_passkey(f"Device {number}")

    page = await browser.open("/console/account")
    begun = await browser.call("/console/account/passkeys/begin")

    assert "as many passkeys as one person may have" in page.text
    assert "data-passkey-button" not in page.text
    assert (begun.status_code, begun.json()["code"]) == (409, "too_many")


async def test_passkeys_that_are_none(browser: Browser, acme: Tenant) -> None:
    """An answer from another page, or to a challenge of somebody else's, makes no passkey, and spends the challenge."""
    await signed_in(browser, acme, acme.admin)
    device = a_device()
    device.origin = "https://elsewhere.test"
    begun = (await browser.call("/console/account/passkeys/begin")).json()

    async def finish(credential: dict[str, Any]) -> tuple[int, str]:
        answer = await browser.call("/console/account/passkeys", challenge=begun["challenge"], credential=credential)
        return answer.status_code, answer.json()["code"]

    assert await finish(device.create(begun["options"])) == (400, "no_passkey")
    assert await finish(a_device().create(begun["options"])) == (409, "challenge_spent")
    assert "You have no passkey yet." in (await browser.open("/console/account")).text
    refusals = [entry["action"] for entry in await acme.audit() if entry["outcome"] == "refused"]
    assert refusals == ["console.add_passkey"] * 2


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("  My <b>laptop</b>  ", "My &lt;b&gt;laptop&lt;/b&gt;"),
        ("a\x00b\u202ec", "abc"),
        ("", "Passkey without a name"),
    ],
    ids=["markup", "invisible", "none"],
)
async def test_names_of_passkeys(browser: Browser, acme: Tenant, label: str, shown: str) -> None:
    """A name is shown as it was typed, without what nobody can see in it."""
    await signed_in(browser, acme, acme.admin)
    await browser.add_passkey(label)

    assert shown in (await browser.open("/console/account")).text


async def test_closing_a_session(browsers: Browsers, acme: Tenant) -> None:
    """A session of the product, closed here, is dead at the product's next question; this one is marked."""
    maria = await acme.person()
    session = await acme.session(maria)
    browser = await signed_in(browsers(), acme, maria)
    assert browser.page.text.count('class="mark"') == 1
    told = (await acme.callers.product.get(f"{acme.v1}/people/{maria['id']}/sessions")).json()["data"]
    (of_product,) = [each["id"] for each in told if each["purpose"] == "product"]
    address = f"/console/account/sessions/{of_product}/close"

    asked = await browser.open(address)
    assert "signed out of the product at their next request" in asked.text
    sent = await browser.send(address)
    assert sent.headers["location"] == "/console/account?done=session-closed#sessions"
    done = await browser.follow(sent)

    assert "The session is closed." in done.text
    assert not await acme.callers.is_live(session)


async def test_closing_this_session(browser: Browser, acme: Tenant) -> None:
    """Closing the session one uses is said to be that, and signs out."""
    await signed_in(browser, acme, acme.admin)
    (address,) = browser.addresses("/close")

    assert "you are signed out here" in (await browser.open(address)).text
    after = await browser.follow(await browser.send(address))

    assert after.status_code == 403
    assert "Your session has ended" in after.text


async def test_everywhere_else(browsers: Browsers, acme: Tenant) -> None:
    """Signing out everywhere else says how many sessions that are, and leaves this one."""
    maria = await acme.person()
    of_product = [await acme.session(maria) for _ in range(2)]
    elsewhere = await signed_in(browsers(), acme, maria)
    browser = await signed_in(browsers(), acme, maria)
    assert "Sign out everywhere else (3)" in browser.page.text

    asked = await browser.open("/console/account/sessions/others")
    assert "3 other sessions" in asked.text
    assert "Close 3 sessions" in asked.text
    done = await browser.follow(await browser.send("/console/account/sessions/others"))

    assert "You are signed out everywhere else." in done.text
    assert "1 open" in done.text
    assert [await acme.callers.is_live(each) for each in of_product] == [False, False]
    assert (await elsewhere.open("/console/account")).status_code == 403
    assert len(await acme.audit(action="session.closed")) == 2
    assert len(await acme.audit(action="console.signed_out")) == 1


async def test_two_who_sign_the_other_out(browsers: Browsers, acme: Tenant) -> None:
    """Two sessions that close each other at the same moment are both closed, or one of them is; nothing fails."""
    for _ in range(4):
        maria = await acme.person()
        two = [await signed_in(browsers(), acme, maria) for _ in range(2)]

        answers = await asyncio.gather(*(each.send("/console/account/sessions/others") for each in two))

        assert {answer.status_code for answer in answers} <= {303, 403}
        assert 303 in {answer.status_code for answer in answers}


async def test_many_sessions(browser: Browser, acme: Tenant) -> None:
    """A long list comes in pages, and an address that names none of them gives the first or the last."""
    maria = await acme.person()
    for number in range(24):
        async with acme.work() as work:
            await sessions.open_session(
                work, UUID(maria["id"]), lifetime=console_sessions.LIFETIME, label=f"Session {number}."
            )
    await signed_in(browser, acme, maria)
    assert "25 open" in browser.page.text
    assert browser.page.text.count("/close") == 10

    last = await browser.open("/console/account", page="3")
    assert "Page 3 of 3" in last.text
    assert last.text.count("/close") == 5
    assert "Session 0." in last.text
    assert "Older" not in last.text
    for page, number in (("99", 3), ("0", 1), ("-1", 1), ("x", 1), ("²", 1), ("9" * 40, 1)):
        assert f"Page {number} of 3" in (await browser.open("/console/account", page=page)).text


async def test_the_oldest_of_many(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A person has 20 sessions of the console at most: with one more the oldest ends, the product's stay."""
    maria = await acme.person()
    session = await acme.session(maria)
    first = await signed_in(browsers(), acme, maria)
    for _ in range(MOST_OF_CONSOLE):
        async with acme.work() as work:
            await sessions.open_session(
                work, UUID(maria["id"]), lifetime=console_sessions.LIFETIME, purpose=Purpose.CONSOLE
            )

    assert (await first.open("/console/account")).status_code == 403
    assert await acme.callers.is_live(session)
    left = "SELECT count(*) FROM sessions WHERE account_id = $1 AND closed_at IS NULL AND purpose = 'console'"
    assert await owner.fetchval(left, UUID(maria["id"])) == MOST_OF_CONSOLE


async def test_closing_a_token(browser: Browser, acme: Tenant) -> None:
    """A personal token is in the list while it is live; closed here it is refused at once."""
    maria = await acme.person()
    token = await acme.personal_token(maria)
    await signed_in(browser, acme, maria)
    assert "repo:read" in browser.page.text
    (address,) = [each for each in browser.addresses("/close") if "/tokens/" in each]

    asked = await browser.open(address)
    assert "Close the token “laptop”?" in asked.text
    done = await browser.follow(await browser.send(address))

    assert "The token is closed." in done.text
    assert "repo:read" not in done.text
    assert not await acme.callers.is_live(token)


async def test_other_peoples(browsers: Browsers, acme: Tenant, other: Tenant, owner: Connection) -> None:
    """What is another person's, in this workspace or another, is not found, and stays as it is."""
    browser = await signed_in(browsers(), acme, acme.admin)
    theirs: list[str] = []
    for tenant in (acme, other):
        maria = await tenant.person()
        await tenant.session(maria)
        await tenant.personal_token(maria)
        await registered(tenant, maria)
        for table, column, address in (
            ("sessions", "account_id", "/console/account/sessions/{}/close"),
            ("tokens", "owner_id", "/console/account/tokens/{}/close"),
            ("passkeys", "account_id", "/console/account/passkeys/{}/remove"),
        ):
            row = await owner.fetchval(f"SELECT id FROM {table} WHERE {column} = $1", UUID(maria["id"]))
            theirs.append(address.format(row))
    none = [re.sub(r"[0-9a-f-]{36}", str(uuid4()), address) for address in theirs[:3]]
    none += [re.sub(r"[0-9a-f-]{36}", "x", address) for address in theirs[:3]]

    for address in theirs + none:
        for answer in (await browser.open(address), await browser.send(address)):
            assert answer.status_code == 404, address
            assert "It is not here" in answer.text
            assert 'href="/console/account"' in answer.text
            assert "Sign out" in answer.text
    for table, closed in (("sessions", "closed_at"), ("passkeys", "closed_at"), ("tokens", "revoked_at")):
        query = f"SELECT count(*) FROM {table} WHERE tenant_id = ANY ($1) AND {closed} IS NOT NULL"
        ended = await owner.fetchval(query, [UUID(acme.id), UUID(other.id)])
        assert ended == (1 if table == "sessions" else 0), "the code that let ada in, and nothing else"


async def test_a_cookie_with_another_tenant(browsers: Browsers, acme: Tenant, other: Tenant) -> None:
    """A session names its tenant by itself; made to name another it opens nothing."""
    mine = (await signed_in(browsers(), acme, acme.admin)).http.cookies[SESSION]
    theirs = (await signed_in(browsers(), other, other.admin)).http.cookies[SESSION]
    mixed = "_".join([*mine.split("_")[:2], theirs.split("_")[2], *mine.split("_")[3:]])
    stranger = browsers()
    stranger.http.cookies.set(SESSION, mixed, domain="rollcall.test")

    assert (await stranger.open("/console/account")).status_code == 403


async def test_leaving_counts_them(browsers: Browsers, acme: Tenant) -> None:
    """A receipt counts the console's sessions, and codes that nobody entered, among the sessions that were closed."""
    maria = await acme.person()
    await signed_in(browsers(), acme, maria)
    await acme.session(maria)
    await a_code(acme, maria)

    await acme.callers.operator.post(f"{acme.v1}/people/{maria['id']}/deactivate")

    (entry,) = await acme.audit(action="user.deactivated")
    assert entry["payload"]["closed"]["sessions"] == 3
