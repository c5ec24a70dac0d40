"""What operators do to a tenant in their console: by the same doors as everywhere, by name, and by their role alone."""

import json
import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute

from console.conftest import Browser
from console.operating import FLEET, OperatorAtWork, at_work, removed
from factories import ORIGIN, Callers, Tenant, a_tenant
from proof.test_mass_changes import left
from rollcall.access import operator_sessions, operators
from rollcall.db import Connection, Database
from rollcall.errors import KeyEnded
from rollcall.tenancy import tenants
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import SYSTEM, Actor, open_fleet


@pytest_asyncio.fixture
async def ops(callers: Callers, browser: Browser) -> OperatorAtWork:
    """An operator who may do everything."""
    return await at_work(callers.database, browser, OperatorRole.OPS)


def page_of(tenant: Tenant) -> str:
    """Where operators see this tenant."""
    return f"{FLEET}/tenants/{tenant.slug}"


def hidden(browser: Browser, name: str) -> str:
    """What a form of the open page hands on."""
    found = re.search(rf'name="{name}" value="([^"]*)"', browser.page.text)
    assert found is not None, browser.page.text
    return found[1]


async def test_plan(ops: OperatorAtWork, acme: Tenant) -> None:
    """A plan is changed by its preview, in the operator's name; a preview that holds no more is shown anew."""
    browser, page = ops.browser, page_of(acme)
    preview = await browser.open(f"{page}/plan", plan="enterprise")
    assert "Nothing has been changed yet" in preview.text
    shown = hidden(browser, "shown")
    await acme.person()  # one more seat is taken

    again = await browser.send(f"{page}/plan", plan="enterprise", shown=shown)
    assert again.status_code == 409
    assert "changed since the preview" in again.text
    assert (await acme.callers.operator.get(acme.v1)).json()["plan"] != "enterprise"

    done = await browser.follow(await browser.send(f"{page}/plan", plan="enterprise", shown=hidden(browser, "shown")))
    assert "The plan is changed" in done.text
    assert (await acme.callers.operator.get(acme.v1)).json()["plan"] == "enterprise"
    (entry,) = await acme.audit(action="tenant.plan_changed")
    assert entry["actor_label"] == ops.name


async def test_overrides(ops: OperatorAtWork, acme: Tenant) -> None:
    """An override is set with reason and end, and ended; what is wrong is said at its field, and nothing is set."""
    browser, page = ops.browser, page_of(acme)
    await browser.open(page)
    wanted = {"override": "seats", "seats": "many", "reason": "a pilot", "ends": ""}
    wrong = await browser.send(f"{page}/overrides", **wanted)
    assert wrong.status_code == 400
    assert 'id="seats-wrong"' in wrong.text
    wrong = await browser.send(f"{page}/overrides", **{**wanted, "seats": "40", "ends": "2001-01-01"})
    assert 'id="ends-wrong"' in wrong.text
    wrong = await browser.send(f"{page}/overrides", override="scim", reason="a pilot")
    assert 'id="ends-wrong"' in wrong.text

    done = await browser.follow(await browser.send(f"{page}/overrides", **{**wanted, "seats": "4,000"}))
    assert "Seats: 4000" in done.text
    (given,) = (await acme.callers.operator.get(f"{acme.v1}/overrides")).json()["data"]
    assert (given["key"], given["value"], given["by"], given["reason"]) == ("seats", 4000, ops.name, "a pilot")

    asked = await browser.open(f"{page}/overrides/seats/end")
    assert "a pilot" in asked.text
    await browser.follow(await browser.send(f"{page}/overrides/seats/end"))
    assert (await acme.callers.operator.get(f"{acme.v1}/overrides")).json()["data"] == []
    assert (await browser.open(f"{page}/overrides/seats/end")).status_code == 404


async def test_suspended_and_resumed(ops: OperatorAtWork, acme: Tenant) -> None:
    """Suspending says in numbers what stops, and does it once the slug was typed; resuming lets them in again."""
    browser, page = ops.browser, page_of(acme)
    asked = await browser.open(f"{page}/suspend")
    assert "1 active person, 0 open sessions, 1 live token" in asked.text

    for typed in ("", "another"):
        wrong = await browser.send(f"{page}/suspend", typed=typed)
        assert (wrong.status_code, "Nothing was done" in wrong.text) == (400, True)
    assert (await acme.scim.get("/Users")).status_code == 200

    done = await browser.follow(await browser.send(f"{page}/suspend", typed=acme.slug))
    assert "It is suspended" in done.text
    assert (await acme.scim.get("/Users")).status_code == 403
    await browser.open(f"{page}/resume")
    await browser.follow(await browser.send(f"{page}/resume"))
    assert (await acme.scim.get("/Users")).status_code == 200
    assert [each["actor_label"] for each in await acme.audit(action="tenant.suspended")] == [ops.name]


async def test_paused(ops: OperatorAtWork, acme: Tenant) -> None:
    """A pause says what it does, lasts as long as was chosen, and is ended."""
    browser, page = ops.browser, page_of(acme)
    asked = await browser.open(f"{page}/pause", minutes="240")
    assert "for 4 hours?" in asked.text
    done = await browser.follow(await browser.send(f"{page}/pause", minutes=hidden(browser, "minutes")))
    assert "Paused until" in done.text
    assert (await acme.scim.get("/Users")).status_code == 200
    await browser.follow(await browser.send(f"{page}/unpause"))
    assert (await acme.callers.operator.get(acme.v1)).json()["paused_until"] is None


async def test_token(ops: OperatorAtWork, acme: Tenant) -> None:
    """A token is issued for an admin or the tenant, shown once, and works; without a name it is asked for."""
    browser, page = ops.browser, page_of(acme)
    await browser.open(page)
    wrong = await browser.send(f"{page}/tokens", label="")
    assert 'id="label-wrong"' in wrong.text
    shown = await browser.send(f"{page}/tokens", label="Okta", use="scim", owner=acme.admin["id"], lives="90")
    token = re.search(r"rc_scim_\w+", shown.text)
    assert token is not None
    async with acme.callers.bearer(token[0], path="/scim/v2") as provider:
        assert (await provider.get("/Users")).status_code == 200
    assert token[0] not in (await browser.open(page)).text
    own = await browser.send(f"{page}/tokens", label="Okta", use="scim", owner="", lives="")
    assert "rc_scim_" in own.text
    assert {each["actor_label"] for each in await acme.audit(action="token.issued")} >= {ops.name}


async def test_admin(ops: OperatorAtWork, acme: Tenant) -> None:
    """Somebody is made an admin after what that means was said; who can't be is said at the field."""
    browser, page = ops.browser, page_of(acme)
    maria = await acme.person("maria")
    await browser.open(page)
    nobody = await browser.send(f"{page}/admins", user_name="nobody")
    assert "Nobody there has this userName" in nobody.text
    assert "an admin already" in (await browser.send(f"{page}/admins", user_name=acme.admin["user_name"])).text

    asked = await browser.follow(await browser.send(f"{page}/admins", user_name="maria"))
    assert "Make maria an admin" in asked.text
    await browser.follow(await browser.send(str(asked.url.path)))
    assert (await acme.callers.operator.get(f"{acme.v1}/people/{maria['id']}")).json()["is_admin"]


async def test_link(ops: OperatorAtWork, acme: Tenant, browsers: Callable[[], Browser]) -> None:
    """A link lets the admin it names in, to the part it was made for."""
    await ops.browser.open(page_of(acme))
    shown = await ops.browser.send(f"{page_of(acme)}/links", person=acme.admin["id"], intent="activity")
    link = re.search(r"rc_ses_\w+", shown.text)
    assert link is not None
    admins = browsers()
    await admins.open("/console/portal", link=link[0])
    entered = await admins.send("/console/portal", link=link[0])
    assert entered.headers["location"] == "/console/activity"


async def test_mass_change(ops: OperatorAtWork, callers: Callers, owner: Connection) -> None:
    """A mass change is released after its numbers were said and the slug was typed, in the operator's name."""
    tenant = await a_tenant(callers, mass_change_threshold=1)
    await left(tenant, owner, 2)
    page = page_of(tenant)
    shown = await ops.browser.open(page)
    (address,) = ops.browser.addresses("/release")
    assert "2 people left within an hour" in shown.text
    assert "2 people have left" in (await ops.browser.open(address)).text
    wrong = await ops.browser.send(address, typed="another")
    assert (wrong.status_code, "Nothing was done" in wrong.text) == (400, True)
    (alert,) = (await callers.operator.get(f"{tenant.v1}/alerts")).json()["data"]
    assert alert["released_at"] is None
    await ops.browser.follow(await ops.browser.send(address, typed=tenant.slug))
    (alert,) = (await callers.operator.get(f"{tenant.v1}/alerts")).json()["data"]
    assert alert["released_by"] == ops.name


ACTS = {
    "/plan": {"plan": "enterprise", "shown": ""},
    "/overrides": {"override": "seats", "seats": "5", "reason": "x"},
    "/overrides/seats/end": {},
    "/suspend": {},
    "/resume": {},
    "/pause": {"minutes": "15"},
    "/unpause": {},
    "/alerts/x/release": {},
    "/tokens": {"label": "x"},
    "/links": {"intent": "setup"},
    "/admins": {"user_name": "x"},
    "/admins/x": {},
}
THEIRS = {
    OperatorRole.BILLING: {"/plan", "/overrides", "/overrides/seats/end"},
    OperatorRole.SUPPORT: {"/tokens", "/links"},
}


@pytest.mark.parametrize("role", THEIRS)
async def test_no_role_does_what_is_anothers(
    callers: Callers, browser: Browser, acme: Tenant, role: OperatorRole
) -> None:
    """What a role has no right to is refused, naming the role that has it, and its page shows no form for it."""
    somebody = await at_work(callers.database, browser, role)
    page = page_of(acme)
    shown = (await browser.open(page)).text
    for act, fields in ACTS.items():
        answer = await browser.send(f"{page}{act}", **fields)
        refused = answer.status_code == 403 and f"yours is {role}" in answer.text
        assert refused == (act not in THEIRS[role]), (act, answer.status_code)
        if act in {"/overrides", "/tokens", "/links", "/admins"}:
            assert (f'action="{page}{act}"' in shown) == (act in THEIRS[role]), act
    for asked in ("/suspend", "/pause", "/resume"):
        assert (await browser.open(f"{page}{asked}")).status_code == 403
        assert f"{page}{asked}" not in shown
    after = (await callers.operator.get(acme.v1)).json()
    assert (after["status"], after["paused_until"]) == ("active", None)
    assert somebody.name


async def test_nul_names_nothing(callers: Callers, browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """An address or a plan with NUL in it is refused with a word on it, and fails nowhere."""
    await at_work(callers.database, browser, OperatorRole.OPS)
    tried = 0
    for route in console_app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/console/operators/") and route.path_parameters:
            address = re.sub(r"\{[^}]+\}", "a%00", route.path_format)
            for method in route.methods & {"GET", "POST"}:
                answer = await (browser.open(address) if method == "GET" else browser.send(address))
                assert (answer.status_code, "NUL" in answer.text) == (400, True), (method, address)
                tried += 1
    assert tried >= 2 * len(ACTS)
    plan = f"{page_of(acme)}/plan"
    assert (await browser.open(f"{plan}?plan=%00")).status_code == 404
    for field in ("plan", "shown"):
        answer = await browser.send(plan, **({"plan": "enterprise", "shown": "x"} | {field: "\x00"}))
        assert answer.status_code in (404, 409), field
    for parameter in ("q", "show", "plan", "by", "after", "done"):
        assert (await browser.open(f"{FLEET}?{parameter}=a%00")).status_code in (200, 400, 404), parameter
    for act in ("/overrides", "/tokens", "/links", "/admins"):
        for name in ("label", "owner", "use", "lives", "intent", "person", "user_name", "reason", "override"):
            answer = await browser.send(f"{page_of(acme)}{act}", **(ACTS[act] | {name: "a\x00"}))
            assert answer.status_code < 500, (act, name)


async def test_support_gives_nothing_by_a_link(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """A link by which tokens or roles are given is ops' alone, as in the management API."""
    await at_work(callers.database, browser, OperatorRole.SUPPORT)
    page = page_of(acme)
    shown = await browser.open(page)
    assert '<option value="tokens"' not in shown.text
    for intent in ("tokens", "roles"):
        answer = await browser.send(f"{page}/links", person=acme.admin["id"], intent=intent)
        assert answer.status_code == 403


async def test_billing_sees_what_plans_need(
    callers: Callers, browser: Browser, acme: Tenant, owner: Connection
) -> None:
    """In the fleet billing sees alerts of lapses and seats alone, and on a tenant's page no token and no alert."""
    for kind in ("seats", "provider_quiet"):
        await owner.execute(
            "INSERT INTO alerts (tenant_id, kind, subject, stage, facts) VALUES ($1, $2, '', 'full', $3)",
            UUID(acme.id),
            kind,
            json.dumps(
                {"plan": "x", "allowed": 1, "used": 1, "policy": "refuse", "profile": "okta"}
                | {"last_call_at": "2026-01-01T00:00:00+00:00"}
            ),
        )
    await at_work(callers.database, browser, OperatorRole.BILLING)
    shown = (await browser.open(FLEET, q=acme.slug)).text
    assert "</svg>Seats</span>" in shown
    assert "Provider quiet" not in shown
    assert "rc_scim" not in (await browser.open(page_of(acme))).text
    assert "Tokens for SCIM" not in browser.page.text
    assert "Needs attention" not in browser.page.text


async def test_judged_at_the_commit(callers: Callers, acme: Tenant) -> None:
    """What an operator does who is removed, or given another role, before it is committed, is not done."""
    for end in (remove, demote):
        name = f"{end.__name__}@vendor.test"
        actor = await an_actor(callers.database, name)
        with pytest.raises(KeyEnded):
            async with open_fleet(callers.database, actor, ORIGIN) as fleet:
                await tenants.suspend(fleet, await tenants.find(fleet, acme.slug))
                await end(callers.database, name)
        assert (await callers.operator.get(acme.v1)).json()["status"] == "active"


async def an_actor(database: Database, name: str) -> Actor:
    """An operator as they act who is signed in."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        made = await operators.invite(fleet, name, OperatorRole.OPS)
        session = await operator_sessions.open_console(fleet, made.operator, uuid4(), None)
    return (await operator_sessions.who(database.access_pool, session.text)).actor


async def remove(database: Database, name: str) -> None:
    """Somebody removes them."""
    await removed(database, name)


async def demote(database: Database, name: str) -> None:
    """Somebody gives them another role."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await operators.change_role(fleet, name, OperatorRole.SUPPORT)


async def test_removed_in_between(callers: Callers, ops: OperatorAtWork, acme: Tenant) -> None:
    """Whoever was removed does nothing any more with the page that is still open."""
    await ops.browser.open(f"{page_of(acme)}/suspend")
    await removed(callers.database, ops.name)
    assert (await ops.browser.send(f"{page_of(acme)}/suspend")).status_code == 403
    assert (await callers.operator.get(acme.v1)).json()["status"] == "active"


async def test_nowhere(ops: OperatorAtWork) -> None:
    """A tenant that there is not has a page that says so, and leads on."""
    page = await ops.browser.open(f"{FLEET}/tenants/no-such-tenant")
    assert page.status_code == 404
    assert "Go to Fleet" in page.text
