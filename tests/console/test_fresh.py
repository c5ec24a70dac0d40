"""Grave acts want a fresh sign-in, and lead back to themselves; a session that nobody uses ends."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from console.conftest import Browser, a_code, a_device, signed_in
from console.test_passwords import RIGHT, WRONG, with_password
from console.test_portal import a_link, entered
from factories import Tenant
from rollcall.db import Connection

Browsers = Callable[[], Browser]
PAGE = "/console/confirm"
ASKS = "Confirm that it is you"


async def aged(owner: Connection, tenant: Tenant, minutes: int = 16) -> None:
    """The tenant's people signed in so long ago, and have used their sessions just now."""
    since = f"created_at - interval '{minutes} minutes'"
    await owner.execute(
        f"UPDATE sessions SET created_at = {since}, proved_at = NULL, seen_at = clock_timestamp() WHERE tenant_id = $1",
        UUID(tenant.id),
    )


@pytest_asyncio.fixture
async def ada(browser: Browser, acme: Tenant, owner: Connection) -> Browser:
    """An admin who signed in a quarter of an hour ago."""
    await signed_in(browser, acme, acme.admin)
    await aged(owner, acme)
    return browser


def carried(page: httpx.Response) -> dict[str, str]:
    """What the form of a page brings back."""
    return dict(re.findall(r'<input type="hidden" name="([^"_][^"]*)" value="([^"]*)"', page.text))


async def test_a_page_asks_and_leads_back(ada: Browser, acme: Tenant, owner: Connection) -> None:
    """A page that begins something grave asks first, and is there once a code was entered; then others ask no more."""
    act = f"/console/tokens/{acme.token['id']}/rotate"
    asked = await ada.open(act)
    assert (asked.status_code, asked.headers["location"]) == (303, f"{PAGE}?act={quote(act, safe='')}")
    assert ASKS in (await ada.follow(asked)).text

    done = await ada.send(PAGE, act=act, code=await a_code(acme, acme.admin))

    assert (done.status_code, done.headers["location"]) == (303, act)
    assert (await ada.follow(done)).status_code == 200
    assert (await ada.open(f"{PAGE}?act={act}")).headers["location"] == act
    (entry,) = await acme.audit(action="console.confirmed")
    assert (entry["person_id"], entry["payload"]["way"]) == (acme.admin["id"], "code")
    assert not [each for each in await acme.audit() if each["outcome"] == "refused"]
    assert (await ada.open("/console/account/password/remove")).status_code == 404, "there is none, and it is not asked"


async def test_what_a_form_said_is_carried(ada: Browser, acme: Tenant) -> None:
    """A form that is sent too late does nothing until it was confirmed, and says then what it said before."""
    await ada.open("/console/tokens")
    asked = await ada.send("/console/tokens", label='Okta "prod"', use="scim:read", lives="90")
    assert (asked.status_code, ASKS in asked.text) == (403, True)
    assert len((await acme.callers.operator.get(f"{acme.v1}/tokens")).json()["data"]) == 1
    fields = {name: value.replace("&#34;", '"') for name, value in carried(asked).items()}
    assert fields["field:label"] == 'Okta "prod"'
    wanted = {name: value for name, value in fields.items() if name == "act" or name.startswith("field:")}

    go_on = await ada.send(PAGE, code=await a_code(acme, acme.admin), **wanted)

    assert (go_on.status_code, 'action="/console/tokens"' in go_on.text) == (200, True)
    said = {name: value.replace("&#34;", '"') for name, value in carried(go_on).items()}
    assert said == {"label": 'Okta "prod"', "use": "scim:read", "lives": "90"}
    made = await ada.send("/console/tokens", **said)
    assert re.search(r"rc_scim_\w+", made.text)


async def grave(acme: Tenant, person: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """Every act that wants a fresh sign-in: how, where, and what its form says."""
    token, team = f"/console/tokens/{acme.token['id']}", f"/console/team/{person['id']}/appoint"
    role = f"/console/people/{person['id']}/role"
    return [
        ("POST", "/console/tokens", {"label": "x", "use": "scim"}),
        ("POST", "/console/setup/token", {"provider": "okta"}),
        ("GET", f"{token}/rotate", {}),
        ("POST", f"{token}/rotate", {"overlap": "0"}),
        ("GET", f"{token}/take-over", {}),
        ("POST", f"{token}/take-over", {}),
        ("GET", team, {}),
        ("POST", team, {}),
        ("GET", f"{role}?role=admin", {}),
        ("POST", role, {"role": "admin"}),
        ("POST", "/console/people/new", {"user_name": "new@acme.test", "role": "admin"}),
        ("POST", "/console/team/links", {"label": "Kim", "days": "7"}),
        ("GET", "/console/account/password", {}),
        ("POST", "/console/account/password", {"password": RIGHT, "again": RIGHT}),
        ("GET", "/console/account/password/remove", {}),
        ("POST", "/console/account/password/remove", {}),
        ("GET", f"/console/account/passkeys/{person['id']}/remove", {}),
        ("POST", f"/console/account/passkeys/{person['id']}/remove", {}),
    ]


async def test_all_that_is_grave(ada: Browser, acme: Tenant, owner: Connection) -> None:
    """Tokens, admins, links, passwords and passkeys: each asks, and has done nothing; a password is never shown."""
    maria = await acme.person()
    await aged(owner, acme)
    before = len(await acme.audit())
    await ada.open("/console/tokens")
    for method, path, fields in await grave(acme, maria):
        answer = await (ada.open(path) if method == "GET" else ada.send(path, **fields))
        if answer.status_code == 303:
            assert answer.headers["location"].startswith(f"{PAGE}?act="), path
        else:
            assert (answer.status_code, ASKS in answer.text) == (403, True), path
        assert RIGHT not in answer.text
    assert len(await acme.audit()) == before
    assert (await ada.open(f"/console/people/{maria['id']}/role?role=guest")).status_code == 200, "others do not ask"


async def test_by_password(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A password confirms; another's, a wrong one and somebody else's code do not."""
    await with_password(acme)
    ada = await signed_in(browsers(), acme, acme.admin)
    maria = await acme.person()
    await aged(owner, acme)
    await ada.open(PAGE, act="/console/tokens")
    for fields in ({"password": WRONG}, {"code": await a_code(acme, maria)}, {"code": "AAAAA-AAAAA"}, {"code": ""}):
        refused = await ada.send(PAGE, act="/console/tokens", **fields)
        assert (refused.status_code, ASKS in refused.text) == (403, True), fields

    done = await ada.send(PAGE, act="/console/tokens", password=RIGHT)

    assert (done.status_code, done.headers["location"]) == (303, "/console/tokens")


async def test_by_passkey(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A passkey of one's own confirms, once; one of somebody else, or what was signed to sign in, does not."""
    maria = await acme.person()
    theirs = await (await signed_in(browsers(), acme, maria)).add_passkey()
    ada = await signed_in(browsers(), acme, acme.admin)
    device = await ada.add_passkey()
    await aged(owner, acme)
    assert (await ada.call("/console/account/passkeys/begin")).json()["code"] == "not_fresh"
    begin, finish = f"{PAGE}/passkey/begin", f"{PAGE}/passkey?act=/console/account"

    async def tried(holder: Any, begun: dict[str, Any]) -> httpx.Response:
        return await ada.call(finish, challenge=begun["challenge"], credential=holder.get(begun["options"]))

    assert (await tried(theirs, (await ada.call(begin)).json())).status_code == 403
    assert (await tried(a_device(), (await ada.call(begin)).json())).status_code == 403
    of_sign_in = (await ada.call("/console/sign-in/passkey/begin")).json()
    assert (await tried(device, of_sign_in)).status_code == 403
    begun = (await ada.call(begin)).json()
    answers = await asyncio.gather(*(tried(device, begun) for _ in range(3)))
    assert sorted(each.status_code for each in answers) == [200, 403, 403]
    (right,) = [each for each in answers if each.status_code == 200]
    assert right.json() == {"next": "/console/account"}
    assert (await ada.call("/console/account/passkeys/begin")).status_code == 200


@pytest.mark.parametrize(
    "act", ["https://evil.test/", "//evil.test", "/console/../v1", "/console//evil.test", "/v1", ""]
)
async def test_it_leads_nowhere_else(ada: Browser, acme: Tenant, act: str) -> None:
    """Whatever an address says, the page leads on within the console."""
    page = await ada.open(PAGE, act=act)
    assert "evil" not in page.text
    done = await ada.send(PAGE, act=act, code=await a_code(acme, acme.admin))
    assert done.headers["location"] == "/console/"


async def test_a_portal_link_is_its_own_sign_in(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """Whoever came by a link some time ago opens it again; no code and no password of theirs confirms it."""
    browser = browsers()
    await entered(browser, await a_link(acme, "tokens"))
    await aged(owner, acme)
    await browser.open("/console/tokens")
    asked = await browser.send("/console/tokens", label="x", use="scim", lives="90")
    assert (asked.status_code, "Open your link again" in asked.text) == (403, True)
    assert 'name="code"' not in asked.text
    assert (await browser.send(PAGE, act="/console/tokens", code=await a_code(acme, acme.admin))).status_code == 403

    await entered(browser, await a_link(acme, "tokens"))

    made = await browser.send("/console/tokens", label="x", use="scim", lives="90")
    assert re.search(r"rc_scim_\w+", made.text)


@pytest.mark.parametrize("by_link", [True, False], ids=["portal", "console"])
async def test_a_session_idles_out(browsers: Browsers, acme: Tenant, owner: Connection, by_link: bool) -> None:
    """After half an hour without use a session is over; what is used goes on, and its own end stays."""
    browser, page = browsers(), "/console/activity"
    if by_link:
        await entered(browser, await a_link(acme))
    else:
        await signed_in(browser, acme, acme.admin)
    ends = await owner.fetchval("SELECT max(expires_at) FROM sessions WHERE tenant_id = $1", UUID(acme.id))
    idle = "UPDATE sessions SET seen_at = clock_timestamp() - make_interval(mins => $2) WHERE tenant_id = $1"
    await owner.execute(idle, UUID(acme.id), 29)
    assert (await browser.open(page)).status_code == 200
    ago = "SELECT min(clock_timestamp() - seen_at) FROM sessions WHERE tenant_id = $1"
    assert await owner.fetchval(ago, UUID(acme.id)) < timedelta(minutes=5), "it counts as used"
    assert await owner.fetchval("SELECT max(expires_at) FROM sessions WHERE tenant_id = $1", UUID(acme.id)) == ends

    await owner.execute(idle, UUID(acme.id), 31)

    over = await browser.open(page)
    assert (over.status_code, "Your session has ended" in over.text) == (403, True)


async def test_one_that_was_never_used(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """A session from before this was noted is idle since it was opened."""
    await signed_in(browser, acme, acme.admin)
    never = "UPDATE sessions SET seen_at = NULL, created_at = created_at - interval '31 minutes' WHERE tenant_id = $1"
    await owner.execute(never, UUID(acme.id))
    assert (await browser.open("/console/account")).status_code == 403


async def test_a_page_that_asks_by_itself(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """What the set-up asks for every two seconds keeps nobody signed in."""
    await signed_in(browser, acme, acme.admin)
    idle = "UPDATE sessions SET seen_at = clock_timestamp() - interval '20 minutes' WHERE tenant_id = $1"
    await owner.execute(idle, UUID(acme.id))

    assert (await browser.open("/console/setup/live")).status_code == 200

    ago = "SELECT min(clock_timestamp() - seen_at) FROM sessions WHERE tenant_id = $1"
    assert await owner.fetchval(ago, UUID(acme.id)) >= timedelta(minutes=20)


async def test_used_once_a_minute(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """What is used all the time is written once a minute, and never while somebody else has the row."""
    await signed_in(browser, acme, acme.admin)
    seen = "SELECT max(seen_at) FROM sessions WHERE tenant_id = $1"
    lately = "UPDATE sessions SET seen_at = clock_timestamp() + interval '10 minutes' WHERE tenant_id = $1"
    await owner.execute(lately, UUID(acme.id))  # however long the next line takes
    first = await owner.fetchval(seen, UUID(acme.id))
    await browser.open("/console/account")
    assert await owner.fetchval(seen, UUID(acme.id)) == first

    idle = "UPDATE sessions SET seen_at = clock_timestamp() - interval '20 minutes' WHERE tenant_id = $1"
    await owner.execute(idle, UUID(acme.id))
    async with owner.transaction():
        await owner.execute("SELECT FROM sessions WHERE tenant_id = $1 FOR UPDATE", UUID(acme.id))
        assert (await browser.open("/console/account")).status_code == 200


async def test_an_operator_sets_both(console_app: Litestar, browser: Browser, acme: Tenant, owner: Connection) -> None:
    """How long is a setting: five minutes unused is over where an operator says so, and an hour may be fresh."""
    usual = console_app.state.console
    await signed_in(browser, acme, acme.admin)
    await aged(owner, acme)
    try:
        console_app.state.console = replace(usual, fresh=timedelta(hours=1))
        assert (await browser.open(f"/console/tokens/{acme.token['id']}/rotate")).status_code == 200
        console_app.state.console = replace(usual, idle=timedelta(minutes=5))
        idle = "UPDATE sessions SET seen_at = clock_timestamp() - interval '6 minutes' WHERE tenant_id = $1"
        await owner.execute(idle, UUID(acme.id))
        assert (await browser.open("/console/account")).status_code == 403
    finally:
        console_app.state.console = usual


async def test_a_mailed_code_is_offered_to_whom_it_reaches(
    console_app: Litestar, browsers: Browsers, acme: Tenant, owner: Connection
) -> None:
    """Who is no admin, or has no address, gets no mail, so it is not offered to them and says so."""
    offered, act = "Mail me a code", "/console/account/password"
    maria = await acme.person(f"maria@{acme.slug}.test")
    nameless = await acme.person("zoe", roles=["dart-admins"], emails=[])
    people = [await signed_in(browsers(), acme, each) for each in (acme.admin, maria, nameless)]
    await aged(owner, acme)
    usual = console_app.state.console
    try:
        console_app.state.console = replace(usual, sends_mail=True)
        pages = [await each.open(PAGE, act=act) for each in people]
        assert [offered in page.text for page in pages] == [True, False, False]
        wrong = [await each.send(PAGE, act=act, code="AAAAA-AAAAA") for each in people]
        assert [offered in page.text for page in wrong] == [True, False, False]
        sent = await people[0].send("/console/people/new", user_name="new", role="admin")
        assert (sent.status_code, offered in sent.text) == (403, True)
        sent = await people[2].send("/console/people/new", user_name="new", role="admin")
        assert (sent.status_code, offered in sent.text) == (403, False)
        asked = [await each.send(PAGE, act=act, mail="me") for each in people]
        assert [page.status_code for page in asked] == [200, 403, 403]
        assert "No code is mailed to you" in asked[1].text
    finally:
        console_app.state.console = usual
