"""Plan, team, acts on one person, alerts on the first page, and taking a token over."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from alerts.test_alerts import alerts, ends_in, judge
from console.conftest import Browser, signed_in
from console.test_admin_pages import settled
from console.test_role_edit import role_of
from factories import ORIGIN, USER, Callers, Tenant, a_tenant, deactivation
from rollcall.alerts.kinds import Kind
from rollcall.console import branding, plan
from rollcall.console.alerts import WHERE
from rollcall.console.plan import INCLUDES
from rollcall.db import Connection
from rollcall.settings import Settings
from rollcall.tenancy import payment, plans, tenants
from rollcall.tenancy.features import FEATURES
from rollcall.tenancy.lapse import LapseTerms
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.seats import SeatPolicy, Seats
from rollcall.tenancy.standing import Standing
from rollcall.work import SYSTEM, open_fleet


async def a_plan(callers: Callers, key: str, **terms: Any) -> str:
    """Define a plan; returns its key."""
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, key, PlanTerms(name=key.title(), rate_per_second=0, **terms))
    return key


async def test_the_plan(browser: Browser, callers: Callers) -> None:
    """The page says seats used of allowed, and what is included and what not."""
    tenant = await a_tenant(callers, plan=await a_plan(callers, "small", features=("scim",), seats=3))
    await tenant.person()
    await signed_in(browser, tenant, tenant.admin)

    page = (await browser.open("/console/plan")).text

    assert "<h1>Small</h1>" in page
    assert "of 3 seats taken" in page
    assert "1 seat is left" in page
    assert page.count("Not included") == 1
    assert "400 days" in page


GROWN = """
INSERT INTO seat_usage (tenant_id, month, peak, active, person_seconds, counted_from, counted_at)
SELECT $1, (date_trunc('month', now()) - make_interval(months => back))::date, $2, 1, 0,
       date_trunc('month', now()) - make_interval(months => back),
       date_trunc('month', now()) - make_interval(months => back) + interval '1 second'
  FROM generate_series(1, 4) AS back
ON CONFLICT DO NOTHING
"""


async def test_a_forecast_of_seats(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """A company that grows is told when its seats are full, and one with too little history is not."""
    for _ in range(9):
        await acme.person()
    allowed = {"value": 12, "reason": "trial"}
    assert (await acme.callers.operator.put(f"{acme.v1}/overrides/seats", json=allowed)).status_code == 200
    await signed_in(browser, acme, acme.admin)
    assert "At the rate of" not in (await browser.open("/console/plan")).text
    await owner.execute(GROWN, UUID(acme.id), 1)
    page = (await browser.open("/console/plan")).text
    assert re.search(r"At the rate of the last [456] months they are full in about \d+ weeks\.", page)


async def test_a_plan_that_lost_scim(browser: Browser, callers: Callers) -> None:
    """A lapse is told in plain words with its dates, and which stage is now."""
    terms = LapseTerms(grace_days=7, offboarding_only_days=30)
    had = await a_plan(callers, "had-scim", features=("scim", "events"), lapse=terms)
    tenant = await a_tenant(callers, plan=had)
    await callers.operator.patch(tenant.v1, json={"plan": "free"})
    await signed_in(browser, tenant, tenant.admin)

    page = (await browser.open("/console/plan")).text

    assert "Your plan no longer includes provisioning" in page
    assert page.index("Now, until") < page.index("Everything works as before")
    assert "It can add nobody and change no role" in page
    assert "Your provider is refused" in page
    assert page.count('aria-current="step"') == 1
    first = (await browser.open("/console/")).text
    assert first.count("Your plan no longer includes SCIM; everything works for a while yet") == 1


async def test_a_plan_without_scim(browser: Browser, callers: Callers) -> None:
    """Where there never was SCIM the page says what it would bring, and whom to ask."""
    await a_plan(callers, "never-scim", features=("events",))
    terms = {"slug": "no-scim", "name": "No SCIM", "plan": "never-scim"}
    assert (await callers.operator.post("/v1/tenants", json=terms)).status_code == 201
    wanted = {"user_name": "ada@no-scim.test", "role": "admin"}
    admin = (await callers.operator.post("/v1/tenants/no-scim/people", json=wanted)).json()
    found = (await callers.operator.get("/v1/tenants/no-scim")).json()
    tenant = Tenant(callers, found["id"], "no-scim", admin, {}, callers.product)
    await signed_in(browser, tenant, admin)

    page = (await browser.open("/console/plan")).text

    assert "What a plan with provisioning brings" in page
    assert "Ask the support of Rollcall" in page
    assert "Your plan does not include SCIM" in (await browser.open("/console/setup")).text


def test_how_seats_are_told() -> None:
    """Each state of the seats has its sentence."""
    stands: tuple[tuple[int | None, SeatPolicy, int], ...] = (
        (None, "refuse", 5),
        (100, "refuse", 50),
        (100, "refuse", 97),
        (100, "refuse", 100),
        (100, "overage", 103),
    )
    told = [plan.said_of_seats(Seats("x", *each, None, None)) for each in stands]
    assert [tone for tone, _ in told] == ["good", "good", "notice", "bad", "notice"]
    assert "3 more than your plan has" in told[-1][1]
    assert set(INCLUDES) == set(FEATURES)


def test_where_another_plan_is_asked_for(settings: Settings) -> None:
    """The setting stands in the brand that every page knows."""
    brand = branding.of_settings(settings.model_copy(update={"upgrade_url": "https://acme.example/plans"}))
    assert brand.upgrade_url == "https://acme.example/plans"


async def test_a_second_admin(browser: Browser, acme: Tenant) -> None:
    """Somebody is appointed by userName, told before what they may do; who can't be is said at the field."""
    maria = await acme.person("maria@acme.test")
    await signed_in(browser, acme, acme.admin)
    assert "There is one admin only" in (await browser.open("/console/team")).text
    for name, said in (
        ("nobody@x.test", "Nobody here has this userName"),
        (acme.admin["user_name"], "an admin already"),
    ):
        wrong = await browser.send("/console/team/appoint", person=name)
        assert wrong.status_code == 400
        assert said in wrong.text
        assert 'aria-invalid="true"' in wrong.text

    asked = await browser.follow(await browser.send("/console/team/appoint", person="Maria@acme.test"))
    assert "They may open all of these pages" in asked.text
    address = f"/console/team/{maria['id']}/appoint"
    assert address in str(asked.url)
    done = await browser.follow(await browser.send(address))

    assert "They are an admin now" in done.text
    assert await role_of(acme, maria) == "admin"
    assert "2 admins" in (await browser.open("/console/team")).text


async def test_the_deputy(browser: Browser, acme: Tenant, callers: Callers) -> None:
    """The page says what a deputy is for; one is named, told before what it means, and is dismissed."""
    maria, noor = await acme.person("maria@acme.test"), await acme.person("noor@acme.test")
    await signed_in(browser, acme, acme.admin)
    assert "It does not count yet" in (await browser.open("/console/team")).text
    await callers.operator.patch(acme.v1, json={"last_admin": "keep_one"})
    page = (await browser.open("/console/team")).text
    assert "the deputy becomes one in the same moment" in page
    assert "You are the only admin" in page
    wrong = await browser.send("/console/team/deputy", deputy=acme.admin["user_name"])
    assert (wrong.status_code, "They are an admin already." in wrong.text) == (400, True)

    asked = await browser.follow(await browser.send("/console/team/deputy", deputy="Maria@acme.test"))
    assert "Until then nothing changes for them." in asked.text
    named = await browser.follow(await browser.send(f"/console/team/{maria['id']}/deputy"))
    assert "They are the deputy now." in named.text
    assert "Ready" in named.text
    assert (await callers.operator.get(acme.v1)).json()["deputy_id"] == maria["id"]
    assert "maria@acme.test is the deputy no more" in (await browser.open(f"/console/team/{noor['id']}/deputy")).text

    assert "appoints one" in (await browser.open("/console/team/no-deputy")).text
    assert "There is no deputy any more." in (await browser.follow(await browser.send("/console/team/no-deputy"))).text
    assert (await callers.operator.get(acme.v1)).json()["deputy_id"] is None
    assert await role_of(acme, maria) == "member"


async def test_a_deputy_who_cannot_be_it(browser: Browser, acme: Tenant, callers: Callers) -> None:
    """A deputy who is an admin by now, or has no access, is said to be none."""
    maria = await acme.person("maria@acme.test")
    await signed_in(browser, acme, acme.admin)
    await callers.operator.put(f"{acme.v1}/deputy", json={"person": maria["id"]})
    await browser.open(f"/console/team/{maria['id']}/appoint")
    await browser.send(f"/console/team/{maria['id']}/appoint")
    assert "They are an admin now, so nobody would take over" in (await browser.open("/console/team")).text
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert "They may not come in, so nobody would take over" in (await browser.open("/console/team")).text


async def test_the_team_page(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """It lists the open sessions and what was done, of this company alone."""
    await signed_in(browser, other, other.admin)
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open("/console/team")).text
    assert "Current session" in page
    assert f"{acme.admin['user_name']} signed in to this console" in page
    assert other.admin["user_name"] not in page


async def test_roles_by_hand(browser: Browser, acme: Tenant) -> None:
    """A role is given by hand over the provider's, and lifted again; each page before says what comes of it."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "dart-guests"}])
    await signed_in(browser, acme, acme.admin)
    address = f"/console/people/{maria['id']}"
    asked = await browser.open(f"{address}/role", role="admin")
    assert "Your provider says Guest" in asked.text
    assert "They become an admin" in asked.text
    assert (await browser.open(f"{address}/role", role="wizard")).status_code == 400

    done = await browser.follow(await browser.send(f"{address}/role", role="admin"))
    assert "They have that role now" in done.text
    assert await role_of(acme, maria) == "admin"
    down = await browser.open(f"{address}/role", role="member")
    assert "They are no longer an admin: 0 tokens they own stop" in down.text

    lifted = await browser.open(f"{address}/lift")
    assert "They are Guest then" in lifted.text
    assert "The override is lifted" in (await browser.follow(await browser.send(f"{address}/lift"))).text
    assert await role_of(acme, maria) == "guest"


async def test_closing_a_way_in(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """A person's page lists what they have open; one token or credential is closed, and nobody else's is known."""
    maria = await acme.person("maria@acme.test")
    token, session = await acme.personal_token(maria), await acme.session(maria)
    credential = await acme.external(maria, "SHA256:abc")
    noor = await other.person()
    theirs = await other.external(noor, "SHA256:def")
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open(f"/console/people/{maria['id']}")).text
    assert "laptop" in page
    assert "1 open session" in page
    addresses = browser.addresses("/close")
    assert len(addresses) == 2

    for address in addresses:
        assert "end their access" in (await browser.open(address)).text
        done = await browser.follow(await browser.send(address))
        assert "lets nobody in any more" in done.text
        assert (await browser.open(address)).status_code == 404

    assert not await acme.callers.is_live(token)
    assert not await acme.is_good(credential)
    assert await acme.callers.is_live(session)
    for path in (f"credential/{theirs['id']}", f"session/{theirs['id']}", "credential/x", "nonsense/x"):
        assert (await browser.send(f"/console/people/{maria['id']}/ways-in/{path}/close")).status_code == 404
    assert await other.is_good(theirs)


async def test_a_person_by_hand(browser: Browser, acme: Tenant) -> None:
    """Somebody is taken in by hand with a role; a userName that is taken is said, with what was typed still there."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/people/new")
    assert (await browser.send("/console/people/new", user_name=" ")).status_code == 400
    made = await browser.send("/console/people/new", user_name="noor@acme.test", display_name="Noor", role="guest")
    assert "They are here now" in (await browser.follow(made)).text
    await browser.open("/console/people/new")
    taken = await browser.send("/console/people/new", user_name="NOOR@acme.test", display_name="Other", role="guest")
    assert taken.status_code == 409
    assert "There is somebody with the userName" in taken.text
    assert 'value="Other"' in taken.text


async def test_linking_a_former_account(browser: Browser, acme: Tenant) -> None:
    """Whoever was removed and comes back by the same userName can be linked to their former account."""
    maria = await acme.person("maria@acme.test", externalId="one")
    await acme.scim.delete(f"/Users/{maria['id']}")
    again = await acme.person("maria@acme.test", externalId="two")
    await signed_in(browser, acme, acme.admin)
    page = await browser.open(f"/console/people/{again['id']}")
    assert "Were they here before?" in page.text
    (address,) = {each for each in browser.addresses("") if "/link?former=" in each}
    asked = await browser.open(address)
    assert "This can&#39;t be undone" in asked.text
    former = address.rpartition("=")[2]
    done = await browser.send(address.partition("?")[0], former=former)
    assert done.headers["location"].startswith(f"/console/people/{former}")
    assert "They have their former account back" in (await browser.follow(done)).text


async def test_alerts_on_the_first_page(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """Open alerts stand on the first page, each once, with where it is seen to."""
    await ends_in(owner, acme, "6 days")
    await judge(acme.callers)
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open("/console/")).text
    assert page.count("The token “identity provider” ends") == 1
    assert "Rotate it" in page
    opened = await alerts(acme)
    assert "token_ends" in {each["kind"] for each in opened}
    assert all(each["says"] in page for each in opened)
    assert set(WHERE) == set(Kind)


async def test_a_mass_change(browser: Browser, callers: Callers) -> None:
    """A held mass change is on the first page; the page before its release says how many left."""
    tenant = await a_tenant(callers, mass_change_threshold=2)
    for person in [await tenant.person() for _ in range(3)]:
        await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    async with tenant.work() as work:
        await settled(work)
    (noticed,) = await alerts(tenant, "mass_change")
    await signed_in(browser, tenant, tenant.admin)
    assert f"/console/alerts/{noticed['id']}/release" in (await browser.open("/console/")).text
    asked = await browser.open(f"/console/alerts/{noticed['id']}/release")
    assert "3 people have left since it began" in asked.text

    wrong = await browser.send(f"/console/alerts/{noticed['id']}/release", typed="Some other company")
    assert (wrong.status_code, "Nothing was done" in wrong.text) == (400, True)
    named = re.search(r"the name of your company: ([^<]+)<", asked.text)
    assert named is not None

    done = await browser.follow(await browser.send(f"/console/alerts/{noticed['id']}/release", typed=named[1]))

    assert "It is released" in done.text
    assert f"/console/alerts/{noticed['id']}/release" not in done.text
    assert (await browser.open("/console/alerts/nonsense/release")).status_code == 404


async def test_taking_a_token_over(browser: Browser, callers: Callers) -> None:
    """A token whose owner left is taken over on its page, and works in the new owner's name."""
    tenant = await a_tenant(callers, owner_leaves="offboarding_only")
    maria = await tenant.person("maria@acme.test", roles=[{"value": "dart-admins"}])
    await callers.operator.post(f"{tenant.v1}/people/{tenant.admin['id']}/deactivate")
    await signed_in(browser, tenant, maria)
    page = (await browser.open("/console/tokens")).text
    assert "takes away only" in page
    assert "rollcall tokens" not in page
    address = f"/console/tokens/{tenant.token['id']}/take-over"
    asked = await browser.open(address)
    assert "it ends within 7 days" in asked.text

    done = await browser.follow(await browser.send(address))

    assert "The token is yours" in done.text
    assert "Taken over: replace it" in done.text
    assert (await tenant.scim.post("/Users", json={"userName": "x@acme.test", "schemas": [USER]})).status_code == 201
    assert (await browser.open(address)).status_code == 409


async def test_what_is_another_tenants(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """No act on another tenant's people, tokens or alerts is known here."""
    noor = await other.person()
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/team")
    person = f"/console/people/{noor['id']}"
    for address in (f"{person}/role?role=guest", f"{person}/lift", f"{person}/link?former={noor['id']}"):
        assert (await browser.open(address)).status_code == 404, address
    for address, fields in (
        (f"{person}/role", {"role": "guest"}),
        (f"{person}/lift", {}),
        (f"{person}/link", {"former": noor["id"]}),
        (f"/console/team/{noor['id']}/appoint", {}),
        (f"/console/team/{noor['id']}/deputy", {}),
        (f"/console/tokens/{other.token['id']}/take-over", {}),
        (f"/console/alerts/{noor['id']}/release", {}),
    ):
        assert (await browser.send(address, **fields)).status_code == 404, address


async def test_what_is_paid_for_beside_the_plan(browser: Browser, callers: Callers) -> None:
    """A feature that is paid for beside the plan is said to be so, until its end."""
    tenant = await a_tenant(callers, plan=await a_plan(callers, "without-events", features=("scim",)))
    ends = datetime.now(UTC) + timedelta(days=40)
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        row = await tenants.find(fleet, tenant.slug)
        await payment.apply(fleet, row, Standing(features=("events",), ends_at=ends), provider="entitlements")
    await signed_in(browser, tenant, tenant.admin)

    page = (await browser.open("/console/plan")).text

    assert page.count("Not included") == 0
    assert "Allowed beside the plan" in page
