"""Signing in with an address: a code is mailed to whoever is an admin by it; nobody else learns anything."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from alerts.test_mail import MailServer, a_mail_server, plain, post_of
from console.conftest import Browser, a_device, signed_in
from console.test_strangers import statements
from factories import Callers, Tenant
from rollcall.access import attempts, mail_codes
from rollcall.access.attempts import Attempts
from rollcall.alerts import mailing_codes
from rollcall.crypto import Sealer
from rollcall.db import Connection
from rollcall.errors import TooManyRequests
from rollcall.settings import Settings

Browsers = Callable[[], Browser]
SESSION = "__Host-rollcall-session"
ASK, ENTER, CHOOSE = "/console/sign-in/mail", "/console/sign-in/mail/code", "/console/sign-in/mail/tenant"


@pytest.fixture(autouse=True)
def _with_mail(console_app: Litestar) -> Any:
    """This installation has a mail server."""
    usual = console_app.state.console
    console_app.state.console = replace(usual, sends_mail=True)
    yield
    console_app.state.console = usual


@pytest_asyncio.fixture
async def mails(owner: Connection) -> AsyncGenerator[MailServer]:
    """The mail server; what other tests asked for is not sent."""
    await owner.execute("DELETE FROM mail_codes")
    async with a_mail_server() as server:
        yield server


class Worker:
    """A worker that mails codes."""

    def __init__(self, callers: Callers, settings: Settings, server: MailServer) -> None:
        self.callers, self.post, self.server = callers, post_of(settings, server), server

    async def deliver(self) -> int:
        """What a worker does every few seconds; returns how many mails went."""
        return await mailing_codes.send(self.callers.database, self.post, "Dart")

    def code(self, address: str) -> str:
        """The code in the newest mail to an address."""
        mail = [each for each in self.server.taken if each["To"] == address][-1]
        found = re.match(r"[0-9A-Z]{5}-[0-9A-Z]{5}", plain(mail))
        assert found is not None
        return found[0]


@pytest.fixture
def worker(callers: Callers, settings: Settings, mails: MailServer) -> Worker:
    return Worker(callers, settings, mails)


def address_of(tenant: Tenant) -> str:
    return str(tenant.admin["user_name"])


async def asked(browser: Browser, address: str) -> str:
    """Ask for a code; returns what the page has to bring back with it."""
    await browser.open("/console/sign-in")
    page = await browser.send(ASK, email=address)
    assert page.status_code == 200, page.text
    found = re.search(r'name="asked" value="([\w-]+)"', page.text)
    assert found is not None
    return found[1]


async def enter(browser: Browser, ticket: str, code: str) -> httpx.Response:
    return await browser.send(ENTER, asked=ticket, email="x", code=code)


async def an_admin(tenant: Tenant, user_name: str, **more: Any) -> dict[str, Any]:
    """One more admin of a tenant, whom its provider calls so."""
    return await tenant.person(user_name, roles=["dart-admins"], **more)


async def test_from_address_to_console(browser: Browser, acme: Tenant, worker: Worker, mails: MailServer) -> None:
    """Whoever enters the code that was mailed to them is signed in, and the audit says how."""
    ticket = await asked(browser, f" {address_of(acme).upper()} ")
    assert await worker.deliver() == 1
    assert await worker.deliver() == 0
    (mail,) = mails.taken
    code = worker.code(address_of(acme))
    assert mail["Subject"] == f"Dart: {code} is your code to sign in"
    assert acme.slug.title() not in plain(mail).replace(address_of(acme), "")

    answer = await enter(browser, ticket, code.lower().replace("-", " "))

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    assert address_of(acme) in (await browser.open("/console/account")).text
    (entry,) = await acme.audit(action="console.signed_in")
    assert (entry["payload"]["way"], entry["person_id"]) == ("mail", acme.admin["id"])


async def test_good_once(browsers: Browsers, acme: Tenant, worker: Worker) -> None:
    """A code that was entered opens nothing more, nor does it for two at the same moment."""
    browser = browsers()
    ticket = await asked(browser, address_of(acme))
    await worker.deliver()
    code = worker.code(address_of(acme))

    answers = await asyncio.gather(*(enter(browser, ticket, code) for _ in range(4)))

    assert sorted(each.status_code for each in answers) == [303, 403, 403, 403]
    assert (await enter(browser, ticket, code)).status_code == 403


async def test_in_that_browser_alone(browsers: Browsers, acme: Tenant, worker: Worker) -> None:
    """A code opens nothing for whoever asked in another browser for the same address, and stays good."""
    mine, thiefs = browsers(), browsers()
    ticket, another = await asked(mine, address_of(acme)), await asked(thiefs, address_of(acme))
    await worker.deliver()
    mailed = re.findall(r"Dart: (\S+) is", " ".join(str(mail["Subject"]) for mail in worker.server.taken))
    assert len(set(mailed)) == 2

    for each, code in ((another, "AAAAA-AAAAA"), (str(uuid4()), mailed[0]), ("nonsense", mailed[0])):
        assert (await enter(thiefs, each, code)).status_code == 403
    opened = [(await enter(mine, ticket, code)).status_code for code in mailed]

    assert sorted(opened) == [303, 403]


async def test_guessing_is_bounded(browsers: Browsers, acme: Tenant, worker: Worker, owner: Connection) -> None:
    """After five wrong codes the right one is none either, whatever Redis counts."""
    browser = browsers()
    ticket = await asked(browser, address_of(acme))
    await worker.deliver()
    for _ in range(mail_codes.MOST_WRONG):
        assert (await enter(browser, ticket, "AAAAA-AAAAA")).status_code == 403

    assert (await enter(browser, ticket, worker.code(address_of(acme)))).status_code == 403
    assert await owner.fetchval("SELECT wrong FROM mail_codes WHERE id = $1", UUID(ticket)) > mail_codes.MOST_WRONG


async def test_late(browser: Browser, acme: Tenant, worker: Worker, owner: Connection) -> None:
    """A code that is ten minutes old opens nothing, and one that was asked for then is not mailed any more."""
    ticket, unsent = await asked(browser, address_of(acme)), await asked(browser, f"x{address_of(acme)}")
    await worker.deliver()
    older = "UPDATE mail_codes SET created_at = created_at - interval '10 minutes', sent_at = NULL, due_at = now()"
    await owner.execute(f"{older} WHERE id = ANY($1)", [UUID(ticket), UUID(unsent)])

    assert (await enter(browser, ticket, worker.code(address_of(acme)))).status_code == 403
    assert await worker.deliver() == 0


async def test_a_stranger_learns_nothing(
    browsers: Browsers, acme: Tenant, worker: Worker, console_app: Litestar, mails: MailServer
) -> None:
    """An admin's address, a member's, one of who left and nobody's: one answer, the same work, and no mail."""
    member, gone = await acme.person(), await an_admin(acme, f"gone@{acme.slug}.test")
    await acme.callers.operator.post(f"{acme.v1}/people/{gone['id']}/deactivate")
    found: list[tuple[int, str, list[str]]] = []
    wrong: list[tuple[int, str, int]] = []
    for address in (address_of(acme), member["userName"], gone["userName"], "nobody@nowhere.test"):
        browser = browsers()
        await browser.open("/console/sign-in")
        with statements(console_app) as made:
            page = await browser.send(ASK, email=address)
        ticket = re.search(r'name="asked" value="([\w-]+)"', page.text)
        assert ticket is not None
        unsaid = page.text.replace(address, "").replace(ticket[1], "").replace(browser.csrf, "")
        found.append((page.status_code, unsaid, made))
        await worker.deliver()
        with statements(console_app) as made:
            page = await browser.send(ENTER, asked=ticket[1], email=address, code="AAAAA-AAAAA")
        unsaid = page.text.replace(address, "").replace(ticket[1], "").replace(browser.csrf, "")
        wrong.append((page.status_code, unsaid, len(made)))

    assert found == [found[0]] * 4
    assert wrong == [wrong[0]] * 4
    assert [mail["To"] for mail in mails.taken] == [address_of(acme)]


async def test_several_tenants(browsers: Browsers, acme: Tenant, other: Tenant, worker: Worker) -> None:
    """Whoever has the code sees the tenants of the address by name, and gets into the one they choose, once."""
    shared = f"lena@{acme.slug}.test"
    await an_admin(acme, shared)
    await an_admin(other, "lena", emails=[{"value": shared.upper(), "primary": True}])
    browser = browsers()
    ticket = await asked(browser, shared)
    await worker.deliver()

    page = await enter(browser, ticket, worker.code(shared))

    assert page.status_code == 200
    assert SESSION not in browser.http.cookies
    assert {acme.slug.title(), other.slug.title()} <= set(re.findall(r">([\w-]+)</button>", page.text))
    sealed = re.search(r'name="choice" value="([^"]+)"', page.text)
    accounts = re.findall(r'name="tenant" value="([\w-]+)"', page.text)
    assert sealed is not None
    assert len(accounts) == 2
    assert (await browser.send(CHOOSE, choice=sealed[1], tenant=acme.admin["id"])).status_code == 403
    answers = await asyncio.gather(*(browser.send(CHOOSE, choice=sealed[1], tenant=each) for each in accounts))
    assert sorted(each.status_code for each in answers) == [303, 403]
    assert "/console/account" in (await browser.open("/console/account")).text


async def test_foreign_addresses(browsers: Browsers, acme: Tenant, other: Tenant, worker: Worker) -> None:
    """A tenant that says somebody else's address is its admin's gains nothing: the code goes to whose address it is."""
    await an_admin(other, "mallory", emails=[{"value": address_of(acme)}])
    browser = browsers()
    ticket = await asked(browser, address_of(acme))
    await worker.deliver()
    assert [str(mail["To"]) for mail in worker.server.taken] == [address_of(acme)]

    page = await enter(browser, ticket, worker.code(address_of(acme)))

    assert page.status_code == 200
    assert SESSION not in browser.http.cookies
    assert acme.slug.title() in page.text


@pytest.mark.parametrize("meanwhile", ["deactivate", "demote"])
async def test_not_an_admin_any_more(browser: Browser, acme: Tenant, worker: Worker, meanwhile: str) -> None:
    """Whoever left, or is no admin any more, as they enter the code is refused."""
    ticket = await asked(browser, address_of(acme))
    await worker.deliver()
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/{meanwhile}")

    assert (await enter(browser, ticket, worker.code(address_of(acme)))).status_code == 403


async def test_sealed_for_something_else(browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """A choice that was made up, is too old, or was sealed for something else opens nothing."""
    sealer: Sealer = console_app.state.sealer
    await asked(browser, address_of(acme))
    theirs = [mail_codes.Theirs(UUID(acme.id), UUID(acme.admin["id"]))]
    never_entered = mail_codes.sealed(sealer, uuid4(), theirs)
    for text in ("", "nonsense", sealer.seal(b"[1]"), sealer.seal(b'{"for": "x"}'), never_entered):
        answer = await browser.send(CHOOSE, choice=text, tenant=acme.admin["id"])
        assert answer.status_code == 403, text
    assert SESSION not in browser.http.cookies


async def test_so_many_mails(browsers: Browsers, acme: Tenant, worker: Worker) -> None:
    """One address is mailed so many codes within an hour, known or not, and from one source so many are asked for."""
    for address in (address_of(acme), "nobody@nowhere.test"):
        for _ in range(attempts.MOST_MAILS_TO_AN_ADDRESS):
            await asked(browsers(), address)
        browser = browsers()
        await browser.open("/console/sign-in")
        refused = await browser.send(ASK, email=address.upper())
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= attempts.MAIL_SECONDS
        assert "Too many codes" in refused.text


async def test_without_redis(console_app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Redis is away each process bounds by itself what is mailed."""
    counting = Attempts(console_app.state.redis)
    monkeypatch.setattr(counting, "_redis_back_at", float("inf"))
    for _ in range(attempts.MOST_MAILS_TO_AN_ADDRESS - 1):
        await counting.check_mail("192.0.2.7", "a@b.test")
    with pytest.raises(TooManyRequests):
        for _ in range(2 * attempts.MOST_MAILS_TO_AN_ADDRESS):
            await counting.check_mail("192.0.2.7", "a@b.test")


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b c", "\u00e4@b.test", "a@b\n.test", "<a@b.test>", "a@" + "b" * 254, "a,b@c.test"]
)
async def test_what_is_no_address(browser: Browser, address: str, owner: Connection, mails: MailServer) -> None:
    """What can't be an address is said at the field, and nothing is kept."""
    await browser.open("/console/sign-in")
    answer = await browser.send(ASK, email=address)
    assert answer.status_code == 400
    assert "Enter an e-mail address" in answer.text
    assert await owner.fetchval("SELECT count(*) FROM mail_codes") == 0


async def test_the_mail_server_is_away(browser: Browser, acme: Tenant, worker: Worker, owner: Connection) -> None:
    """A code that could not be sent is sent later, with another code."""
    ticket = await asked(browser, address_of(acme))
    worker.server.answer = "451 later"
    assert await worker.deliver() == 0
    worker.server.answer = "250 OK"
    later = "SELECT due_at - created_at >= interval '20 seconds' FROM mail_codes"
    assert await owner.fetchval(later), "it is not due at once"
    await owner.execute("UPDATE mail_codes SET due_at = now()")
    assert await worker.deliver() == 1
    assert (await enter(browser, ticket, worker.code(address_of(acme)))).status_code == 303


async def test_a_greylisted_address(browser: Browser, acme: Tenant, worker: Worker, owner: Connection) -> None:
    """An address that is refused for now is written to again; one that is refused for good is not."""
    ticket = await asked(browser, address_of(acme))
    worker.server.refuses, worker.server.refusal = {address_of(acme)}, "451 come again"
    assert await worker.deliver() == 0
    await owner.execute("UPDATE mail_codes SET due_at = now()")
    worker.server.refuses = set()
    assert await worker.deliver() == 1
    assert (await enter(browser, ticket, worker.code(address_of(acme)))).status_code == 303

    await asked(browser, address_of(acme))
    worker.server.refuses, worker.server.refusal = {address_of(acme)}, "550 nobody"
    await worker.deliver()
    assert await owner.fetchval("SELECT count(*) FROM mail_codes WHERE sent_at IS NULL") == 0


async def test_a_slow_mail_server(
    browsers: Browsers, acme: Tenant, worker: Worker, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one worker still sends, another mails nothing of it again, and what was taken is marked at once."""
    others, count = f"lena@{acme.slug}.test", "SELECT count(*) FROM mail_codes WHERE sent_at IS NOT NULL"
    await an_admin(acme, others)
    mine = browsers()
    ticket = await asked(mine, address_of(acme))
    await asked(browsers(), others)
    marked: list[int] = []
    overtaking: list[int] = []
    usual = worker.server.handle_DATA

    async def slow(server: Any, session: Any, envelope: Any) -> str:
        marked.append(await owner.fetchval(count))
        if len(marked) == 2:
            overtaking.append(await worker.deliver())
            task_may_run = (
                "SELECT min(due_at - created_at) > interval '100 seconds' FROM mail_codes WHERE sent_at IS NULL"
            )
            assert await owner.fetchval(task_may_run)
        return await usual(server, session, envelope)

    monkeypatch.setattr(worker.server, "handle_DATA", slow)

    assert await worker.deliver() == 2

    assert (marked, overtaking) == ([0, 1], [0])
    assert len(worker.server.taken) == 2
    assert (await enter(mine, ticket, worker.code(address_of(acme)))).status_code == 303


async def test_without_a_mail_server(browser: Browser, acme: Tenant, console_app: Litestar, owner: Connection) -> None:
    """Where no mail is sent the page says so, offers what there is, and takes no address."""
    console_app.state.console = replace(console_app.state.console, sends_mail=False)
    page = (await browser.open("/console/sign-in")).text
    assert 'name="email"' not in page
    assert "no codes are mailed here" in page
    answer = await browser.send(ASK, email=address_of(acme))
    assert (answer.status_code, "sends no mail" in answer.text) == (403, True)


async def test_a_passkey_says_whose_it_is(browsers: Browsers, acme: Tenant, other: Tenant) -> None:
    """With a passkey nobody says a workspace; one that is nobody's, or says it is somebody else's, opens nothing."""
    device = await (await signed_in(browsers(), acme, acme.admin)).add_passkey()
    browser = browsers()
    assert (await browser.use("", device)).status_code == 200
    assert address_of(acme) in (await browser.open("/console/account")).text

    device.user_handle = UUID(other.admin["id"]).bytes
    assert (await browsers().use("", device)).status_code == 403
    stranger = a_device()
    stranger.user_handle = UUID(acme.admin["id"]).bytes
    assert (await browsers().use("", stranger)).status_code == 403
