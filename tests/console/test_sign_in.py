"""Signing in to the console, and every way of not getting in."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from authenticator import Authenticator, decoded, registered, sign_in_begun
from console.conftest import CONSOLE_URL, Browser, a_code, a_device, signed_in
from factories import Callers, Tenant, deactivation, in_process
from rollcall.access import sign_in_codes
from rollcall.access.attempts import MOST_AT_A_WORKSPACE
from rollcall.app import create_app
from rollcall.db import Connection
from rollcall.settings import Settings

Browsers = Callable[[], Browser]
SESSION = "__Host-rollcall-session"


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    """The cookies that an answer sets."""
    jar = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return jar


def kept_out(answer: httpx.Response) -> str:
    """What a page says that lets nobody in; without what differs from one browser to the next."""
    assert answer.status_code == 403, answer.text
    assert SESSION not in cookies_of(answer)
    return re.sub(r'value="[^"]*"', "", answer.text)


async def test_a_code_lets_in(browser: Browser, acme: Tenant) -> None:
    """A code opens a session of the console that is bound to the host, and that no script and no other site can use."""
    entered = await browser.enter(acme, await a_code(acme, acme.admin))

    assert (entered.status_code, entered.headers["location"]) == (303, "/console/")
    assert entered.headers["cache-control"] == "no-store"
    cookie = cookies_of(entered)[SESSION]
    assert (cookie["path"], cookie["domain"], cookie["samesite"].lower()) == ("/", "", "lax")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert int(cookie["max-age"]) == 12 * 3600
    account = await browser.follow(entered)
    assert account.status_code == 200
    assert acme.admin["user_name"] in account.text
    done = [entry["action"] for entry in await acme.audit()]
    assert {"console.code_issued", "console.signed_in"} <= set(done)


async def test_who_signed_in_stands_in_the_audit(browser: Browser, acme: Tenant) -> None:
    """The entry about a sign-in names the person, what they used, and where they came from."""
    await signed_in(browser, acme, acme.admin)

    (entry,) = await acme.audit(action="console.signed_in")
    (made,) = await acme.audit(action="console.code_issued")
    assert (entry["actor_kind"], entry["actor_label"]) == ("person", acme.admin["user_name"])
    assert entry["payload"]["code_id"] == made["payload"]["code_id"]
    assert (entry["method"], entry["path"]) == ("POST", "/console/sign-in")


async def test_as_people_type_it(browser: Browser, acme: Tenant) -> None:
    """Case, spaces and hyphens of a code do not matter, nor the letters that look like digits."""
    code = await a_code(acme, acme.admin)
    typed = f" {code.replace('-', ' ').replace('0', 'o').replace('1', 'l').lower()} "

    await browser.open("/console/sign-in")
    entered = await browser.send("/console/sign-in", workspace=f" {acme.slug.upper()} ", code=typed)

    assert entered.status_code == 303


async def test_without_https(http: httpx.AsyncClient, acme: Tenant) -> None:
    """At an address without https the cookie is plain, since a browser would keep no other."""
    plain = Browser(http)
    entered = await plain.enter(acme, await a_code(acme, acme.admin))

    cookie = cookies_of(entered)["rollcall-session"]
    assert not cookie["secure"]
    assert cookie["httponly"]
    http.cookies.clear()


async def used(tenant: Tenant, browsers: Browsers, _owner: Connection) -> str:
    code = await a_code(tenant, tenant.admin)
    await browsers().enter(tenant, code)
    return code


async def expired(tenant: Tenant, _browsers: Browsers, owner: Connection) -> str:
    code = await a_code(tenant, tenant.admin)
    await owner.execute(
        "UPDATE sessions SET expires_at = clock_timestamp() WHERE tenant_id = $1 AND purpose = 'console_code'",
        UUID(tenant.id),
    )
    return code


async def replaced(tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    code = await a_code(tenant, tenant.admin)
    await a_code(tenant, tenant.admin)
    return code


async def withdrawn(tenant: Tenant, browsers: Browsers, _owner: Connection) -> str:
    browser = await signed_in(browsers(), tenant, tenant.admin)
    code = await a_code(tenant, tenant.admin)
    await browser.open("/console/account/sessions/others")
    await browser.send("/console/account/sessions/others")
    return code


async def left(tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    maria = await tenant.person()
    code = await a_code(tenant, maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    return code


async def came_back(tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    maria = await tenant.person()
    code = await a_code(tenant, maria)
    for verb in ("deactivate", "reactivate"):
        answer = await tenant.callers.operator.post(f"{tenant.v1}/people/{maria['id']}/{verb}")
        assert answer.status_code == 200
    return code


async def older_epoch(tenant: Tenant, _browsers: Browsers, owner: Connection) -> str:
    maria = await tenant.person()
    code = await a_code(tenant, maria)
    await owner.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", UUID(maria["id"]))
    return code


async def suspended(tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    code = await a_code(tenant, tenant.admin)
    await tenant.callers.operator.post(f"{tenant.v1}/suspend")
    return code


async def never_made(_tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    return "AAAAA-AAAAA-AAAAA-AAAAA"


async def no_code(_tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    return "\x00'; \ud7ff %00"


async def a_session_of_the_product(tenant: Tenant, _browsers: Browsers, _owner: Connection) -> str:
    return await tenant.session(await tenant.person())


@pytest.mark.parametrize(
    "make",
    [
        used,
        expired,
        replaced,
        withdrawn,
        left,
        came_back,
        older_epoch,
        suspended,
        never_made,
        no_code,
        a_session_of_the_product,
    ],
)
async def test_codes_that_open_nothing(
    browsers: Browsers,
    acme: Tenant,
    owner: Connection,
    make: Callable[[Tenant, Browsers, Connection], Awaitable[str]],
) -> None:
    """Whatever is wrong with a code, the answer is the one that a workspace which does not exist gives."""
    code = await make(acme, browsers, owner)

    answer = kept_out(await browsers().enter(acme, code))

    nowhere = browsers()
    await nowhere.open("/console/sign-in")
    assert answer == kept_out(await nowhere.send("/console/sign-in", workspace="nowhere", code=code))
    assert code not in answer


async def test_in_another_workspace(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """A code of one workspace opens nothing in another, and is still good in its own."""
    code = await a_code(acme, acme.admin)

    kept_out(await browser.enter(other, code))

    assert (await browser.enter(acme, code)).status_code == 303


async def test_two_at_the_same_moment(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """Of several who enter a code at the same moment one gets in."""
    for _ in range(5):
        code = await a_code(acme, acme.admin)
        several = [browsers() for _ in range(4)]
        for each in several:
            await each.open("/console/sign-in")

        answers = await asyncio.gather(
            *(each.send("/console/sign-in", workspace=acme.slug, code=code) for each in several)
        )

        assert sorted(answer.status_code for answer in answers) == [303, 403, 403, 403]
    opened = "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND purpose = 'console'"
    assert await owner.fetchval(opened, UUID(acme.id)) == 5


async def test_leaving_at_the_same_moment(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """Whoever signs in while they are deactivated is out afterwards, whichever was first."""
    for _ in range(5):
        maria = await acme.person()
        code, browser = await a_code(acme, maria), browsers()
        await browser.open("/console/sign-in")

        await asyncio.gather(
            browser.send("/console/sign-in", workspace=acme.slug, code=code),
            acme.scim.patch(f"/Users/{maria['id']}", json=deactivation()),
        )

        assert (await browser.open("/console/account")).status_code in {303, 403}
        still_open = "SELECT count(*) FROM sessions WHERE account_id = $1 AND closed_at IS NULL"
        assert await owner.fetchval(still_open, UUID(maria["id"])) == 0


async def test_a_code_is_kept_as_a_digest(acme: Tenant, owner: Connection) -> None:
    """Nothing that opens anything stands in the row of a code, in the audit or in the outbox."""
    code = await a_code(acme, acme.admin)

    for text in (code, code.replace("-", "")):
        for table in ("sessions", "audit_entries", "audit_payloads", "outbox"):
            found = await owner.fetchval(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE $1", f"%{text}%")
            assert found == 0, table


async def test_codes_are_not_announced(acme: Tenant, browser: Browser, owner: Connection) -> None:
    """The console's codes and sessions are nobody's outside: no webhook and no logout token tells of them."""
    await signed_in(browser, acme, acme.admin)
    await browser.send("/console/sign-out")

    told = await owner.fetch("SELECT topic FROM outbox WHERE tenant_id = $1", UUID(acme.id))
    assert not {row["topic"] for row in told} & {"session.opened", "session.closed"}
    assert not [row["topic"] for row in told if row["topic"].startswith("console.")]


async def test_a_passkey_lets_in(browsers: Browsers, acme: Tenant) -> None:
    """Somebody adds a passkey, signs out, and signs in with it, naming nothing but their workspace."""
    browser = await signed_in(browsers(), acme, acme.admin)
    device = await browser.add_passkey("Laptop")
    await browser.open("/console/account")
    assert "Laptop" in browser.page.text
    await browser.send("/console/sign-out")

    entered = await browser.use(acme.slug, device)

    assert (entered.status_code, entered.json()) == (200, {"next": "/console/"})
    assert cookies_of(entered)[SESSION]["httponly"]
    account = await browser.open("/console/account")
    assert acme.admin["user_name"] in account.text
    assert "Last used" in account.text
    (entry, _) = await acme.audit(action="console.signed_in")
    assert entry["actor_label"] == acme.admin["user_name"]
    assert entry["payload"]["code_id"] is None


async def test_what_begins_is_alike(browser: Browser, acme: Tenant) -> None:
    """A sign-in begins alike in every workspace, and in one that does not exist; its second half is refused alike."""
    device = a_device()
    await browser.open("/console/sign-in")
    begun = [
        (await browser.call("/console/sign-in/passkey/begin", workspace=name)).json()
        for name in (acme.slug, "nowhere", "", "no such\x00name", str(uuid4()))
    ]

    for each in begun:
        assert len(decoded(each["options"].pop("challenge"))) == 32
        assert each.pop("challenge")
    assert all(each == begun[0] for each in begun)
    device.user_handle = uuid4().bytes
    answers = [await browser.use(name, device) for name in (acme.slug, "nowhere")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert [{**answer.json(), "request_id": ""} for answer in answers] == [
        {**answers[0].json(), "request_id": ""},
    ] * 2
    assert answers[0].json()["code"] == "sign_in_refused"


async def no_passkey_of(tenant: Tenant, browser: Browser, device: Authenticator) -> None:
    answer = await browser.use(tenant.slug, device)
    assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_refused"), answer.text
    assert SESSION not in cookies_of(answer)


async def test_passkeys_that_open_nothing(browsers: Browsers, acme: Tenant, other: Tenant) -> None:
    """Removed, of a suspended or of another workspace, or of somebody who left: it is refused in the one way."""
    browser = await signed_in(browsers(), acme, acme.admin)
    kept, removed = await browser.add_passkey(), await browser.add_passkey("other")
    await browser.open("/console/account")
    address = browser.addresses("/remove")[0]
    await browser.open(address)
    assert (await browser.send(address)).status_code == 303
    maria = await acme.person()
    gone = await registered(acme, maria, Authenticator())
    gone.origin = CONSOLE_URL
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())

    stranger = browsers()
    await no_passkey_of(acme, stranger, removed)
    await no_passkey_of(acme, stranger, gone)
    await no_passkey_of(other, stranger, kept)
    assert (await stranger.use(acme.slug, kept)).status_code == 200
    await acme.callers.operator.post(f"{acme.v1}/suspend")
    await no_passkey_of(acme, stranger, kept)


async def test_signed_on_another_page(browsers: Browsers, acme: Tenant) -> None:
    """What was signed on the product's own pages opens no session of the console, though the passkey is the same."""
    browser = await signed_in(browsers(), acme, acme.admin)
    device = await browser.add_passkey()
    device.origin = "http://rollcall.test"

    await no_passkey_of(acme, browsers(), device)


async def test_begun_by_the_product(browser: Browser, acme: Tenant, callers: Callers) -> None:
    """A sign-in that the product began is none to the console, and is refused in the one way."""
    maria = await acme.person()
    device = await registered(acme, maria)
    device.origin = CONSOLE_URL
    ceremony = await sign_in_begun(callers, acme)
    await browser.open("/console/sign-in")

    async def answer(credential: dict[str, Any]) -> httpx.Response:
        return await browser.call(
            "/console/sign-in/passkey",
            workspace=acme.slug,
            challenge=ceremony["challenge"],
            credential=credential,
        )

    assert (await answer({"id": "no such"})).status_code == 403
    assert (await answer(device.get(ceremony["options"]))).status_code == 403


async def test_a_copied_passkey(browsers: Browsers, acme: Tenant) -> None:
    """A passkey that counts backwards opens nothing, and the audit says that it may have been copied."""
    browser = await signed_in(browsers(), acme, acme.admin)
    device = await browser.add_passkey()
    device.count = 5
    assert (await browsers().use(acme.slug, device)).status_code == 200
    device.count = 2

    await no_passkey_of(acme, browsers(), device)

    assert len(await acme.audit(action="passkey.copy_suspected")) == 1


async def test_no_more_than_so_many(browser: Browser, acme: Tenant) -> None:
    """Attempts at a workspace from one address are limited, and it is said when to try again; others go on."""
    await browser.open("/console/sign-in")
    for _ in range(MOST_AT_A_WORKSPACE):
        await browser.call("/console/sign-in/passkey/begin", workspace=acme.slug)

    assert (await browser.call("/console/sign-in/passkey/begin", workspace="nowhere")).status_code == 200
    begun = await browser.call("/console/sign-in/passkey/begin", workspace=acme.slug)
    entered = await browser.enter(acme, await a_code(acme, acme.admin))

    assert (begun.status_code, begun.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(begun.headers["retry-after"]) <= 60
    assert entered.status_code == 429
    assert 0 < int(entered.headers["retry-after"]) <= 60
    assert "wait a minute" in entered.text


async def test_refusals_are_counted(browser: Browser, acme: Tenant, console_app: Litestar, owner: Connection) -> None:
    """A stranger who is refused is counted, and fills nobody's audit."""
    before = len(await acme.audit())
    await console_app.state.context.batched_entries.flush()
    count = "SELECT coalesce(sum(calls), 0) FROM refused_calls"
    earlier = await owner.fetchval(count)

    for _ in range(3):
        await browser.enter(acme, "AAAAA-AAAAA-AAAAA-AAAAA")
    await console_app.state.context.batched_entries.flush()

    assert await owner.fetchval(count) == earlier + 3
    assert len(await acme.audit()) == before


async def test_the_workspace_is_remembered(browser: Browser, acme: Tenant) -> None:
    """The page knows the workspace from its address, or from the last time somebody signed in here."""
    assert f'value="{acme.slug}"' in (await browser.open("/console/sign-in", workspace=acme.slug)).text
    assert f'value="{acme.slug}"' not in (await browser.open("/console/sign-in")).text

    await signed_in(browser, acme, acme.admin)
    await browser.send("/console/sign-out")

    assert f'value="{acme.slug}"' in (await browser.open("/console/sign-in")).text


async def test_what_an_address_says_is_text(browser: Browser) -> None:
    """Markup in an address is shown as what was typed."""
    page = await browser.open("/console/sign-in", workspace='"><script>alert(1)</script>', done="<b>")

    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_signed_in_already(browser: Browser, acme: Tenant) -> None:
    """Whoever is signed in is led on from the page to sign in; whoever is not is led there from any other."""
    for path in ("/console/account", "/console/account/sessions/others"):
        answer = await browser.open(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")

    await signed_in(browser, acme, acme.admin)

    answer = await browser.open("/console/sign-in")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_signing_out(browser: Browser, acme: Tenant) -> None:
    """Signing out closes the session for good: its cookie, kept by somebody, opens nothing."""
    await signed_in(browser, acme, acme.admin)
    kept = browser.http.cookies[SESSION]

    left = await browser.send("/console/sign-out")

    assert cookies_of(left)[SESSION]["max-age"] == "0"
    assert "You have signed out." in (await browser.follow(left)).text
    browser.http.cookies.set(SESSION, kept, domain="rollcall.test")
    again = await browser.open("/console/account")
    assert again.status_code == 403
    assert "Your session has ended" in again.text
    assert len(await acme.audit(action="console.signed_out")) == 1


async def test_passkeys_need_a_name(settings: Settings, callers: Callers) -> None:
    """Opened by a number of this machine the page leads to its name; other numbers offer codes alone and say so."""
    here = create_app(settings.model_copy(update={"public_url": "http://127.0.0.1:8000"}))
    async with here.lifespan(), httpx.AsyncClient(transport=in_process(here)) as client:
        for host in ("127.0.0.1:8000", "[::1]:8000"):
            led = await client.get(f"http://{host}/console/sign-in?workspace=acme")
            assert led.status_code == 307
            assert led.headers["location"] == "http://localhost:8000/console/sign-in?workspace=acme"
        page = await client.get("http://localhost:8000/console/sign-in")
        assert 'data-origin="http://localhost:8000"' in page.text
        begun = await Browser(client).http.get("http://localhost:8000/console/sign-in")
        assert begun.status_code == 200

    there = create_app(settings.model_copy(update={"public_url": "http://192.0.2.7:8000"}))
    async with there.lifespan(), httpx.AsyncClient(transport=in_process(there)) as client:
        page = await client.get("http://192.0.2.7:8000/console/sign-in")
        assert page.status_code == 200
        assert re.search("Passkeys don.t work at this address", page.text)
        assert "script-src" not in page.headers["content-security-policy"]
        assert "<script" not in page.text


async def test_codes_are_for_who_may_come_in(acme: Tenant) -> None:
    """A code has 100 bits, reads well, and stands for one row that ends within ten minutes."""
    async with acme.work() as work:
        new = await sign_in_codes.issue(work, UUID(acme.admin["id"]))
        assert new.row.expires_at - work.now == sign_in_codes.PATIENCE
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}", new.text)
