"""A tenant whose profile is `auto` takes its provider's once: when it is sure who that is and nothing is against it."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from api.expect import refused
from factories import ORIGIN, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.db import Connection
from rollcall.provisioning import profile_taking
from rollcall.retries import TRIES
from rollcall.scim.resources import GROUP_SCHEMA as GROUP
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, open_fleet

OKTA = "Okta SCIM Client 1.0.0"
ENTRA = "Microsoft Azure AD SCIM provisioning 1.0.0"
PROFILES = ("okta", "default")
TITLE = patch_op({"op": "replace", "path": "title", "value": "Dr"})


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant that waits to recognise its provider."""
    return await a_tenant(callers, profile="auto")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been changed for an hour, however short ago it was."""
    monkeypatch.setattr(profile_taking, "QUIET", timedelta())


async def flush(tenant: Tenant) -> None:
    """Have what was gathered written down, and looked at."""
    await tenant.callers.app.state.context.batched_entries.flush()


async def calls_as(tenant: Tenant, agent: str) -> None:
    """Have the provider call itself so, and ask for something."""
    tenant.scim.headers["User-Agent"] = agent
    assert (await tenant.scim.get("/Users", params={"count": "1"})).status_code == 200
    await flush(tenant)


async def provider_of(tenant: Tenant) -> dict[str, Any]:
    """What the management API says of the provider."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/provider")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def in_effect(tenant: Tenant) -> str:
    """The profile by which the tenant's calls are read."""
    return (await provider_of(tenant))["profile_in_effect"]


async def a_group(tenant: Tenant, name: str) -> dict[str, Any]:
    """A group that the provider makes."""
    made = await tenant.scim.post("/Groups", json={"schemas": [GROUP], "displayName": name})
    assert made.status_code == 201, made.text
    return made.json()


async def look(tenant: Tenant) -> None:
    """Have everybody looked at, as the worker does every few minutes."""
    await profile_taking.look_at(tenant.callers.database.pool)


async def waited_for(rival: Connection, many: int = 1) -> None:
    """Return when so many wait for a lock that *rival* has."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    for _ in range(500):
        if await rival.fetchval(asked) >= many:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody came to wait")


async def enter(rival: Connection, tenant: Tenant, lock: str) -> None:
    """Have somebody else hold the tenant's role rule, as whoever makes a group does, or whoever edits the rule."""
    await rival.execute("SELECT set_config('rollcall.tenant', $1, true)", tenant.id)
    await rival.execute(f"SELECT pg_advisory_xact_{lock}(hashtextextended('role rule ' || $1::text, 0))", tenant.id)


async def test_new_tenants_wait(callers: Callers, owner: Connection) -> None:
    """A new tenant has `auto`, which is `default` until something was recognised; stored is the one in effect."""
    made = await callers.operator.post("/v1/tenants", json={"slug": "waiting", "name": "Waiting", "plan": "business"})
    told = made.json()
    assert (told["profile"], told["profile_in_effect"], told["profile_taken_at"]) == ("auto", "default", None)
    assert await owner.fetchval("SELECT profile FROM tenants WHERE slug = 'waiting'") == "default"


async def test_before_the_first_write(acme: Tenant, owner: Connection) -> None:
    """The first call of a provider that says its name is enough; it is audited, and told to whoever listens."""
    await calls_as(acme, OKTA)

    told = await provider_of(acme)
    assert (told["profile"], told["profile_in_effect"], told["recognised"]) == ("auto", "okta", "okta")
    assert (told["recognised_as"], told["proposed"], told["waits_for"]) == ("Okta", None, None)
    (evidence,) = told["evidence"]
    assert (evidence["mark"], evidence["provider"], evidence["times"]) == (f"user-agent:{OKTA}", "okta", 1)
    (entry,) = await acme.audit(action="tenant.profile_taken")
    assert entry["payload"] == {"profile": "okta", "evidence": [f"user-agent:{OKTA}"]}
    assert (entry["actor_kind"], entry["outcome"]) == ("system", "done")
    told_to = "SELECT payload ->> 'profile' FROM outbox WHERE tenant_id = $1::text::uuid AND topic = $2"
    assert await owner.fetchval(told_to, acme.id, "tenant.profile_taken") == "okta"
    shown = (await acme.callers.operator.get(acme.v1)).json()
    assert (shown["profile"], shown["profile_in_effect"]) == ("auto", "okta")
    assert shown["profile_taken_at"] is not None


async def test_by_the_order_of_calls(acme: Tenant) -> None:
    """Without a name, what is asked in a row as provisioning is switched on recognises a provider as well."""
    await acme.scim.get("/Users", params={"startIndex": "1", "count": "2"})
    await flush(acme)
    assert await in_effect(acme) == "default"
    await acme.scim.get("/Groups", params={"startIndex": "1", "count": "100"})
    await flush(acme)
    assert await in_effect(acme) == "okta"


@pytest.mark.usefixtures("quiet")
async def test_by_what_it_sends(acme: Tenant) -> None:
    """Deviations that one provider alone sends are evidence too; a single one is not enough."""
    person = await acme.person()
    change = {**TITLE, "Operations": [{"op": "Replace", "path": "title", "value": "Dr", "name": "title"}]}
    one = {**TITLE, "Operations": [{"op": "Replace", "path": "title", "value": "Prof"}]}
    for body, effect in ((one, "default"), (change, "entra")):
        assert (await acme.scim.patch(f"/Users/{person['id']}", json=body)).status_code == 200
        await flush(acme)
        assert await in_effect(acme) == effect


@pytest.mark.usefixtures("quiet")
async def test_it_takes_effect_with_the_next_call(acme: Tenant) -> None:
    """Until it is taken a PATCH is answered as `default` has it, then as the provider's profile has it."""
    person = await acme.person()
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=TITLE)).status_code == 200
    await calls_as(acme, ENTRA)
    assert (await acme.scim.patch(f"/Users/{person['id']}", json=TITLE)).status_code == 204


async def test_not_while_it_writes(acme: Tenant) -> None:
    """Once the provider has begun to write, an hour has to pass without a change; why is said."""
    await acme.person()
    await calls_as(acme, ENTRA)
    await look(acme)
    told = await provider_of(acme)
    assert (told["profile_in_effect"], told["recognised"], told["proposed"]) == ("default", "entra", "entra")
    assert "60 minutes" in told["waits_for"]


@pytest.mark.usefixtures("quiet")
async def test_after_a_quiet_hour(acme: Tenant) -> None:
    """When that hour is over, it is taken at the next look."""
    await acme.person()
    await calls_as(acme, ENTRA)
    await look(acme)
    assert await in_effect(acme) == "entra"


async def test_a_refused_write_is_none(acme: Tenant) -> None:
    """What was refused has changed nothing, so it is not waited for."""
    refused(await acme.scim.post("/Users", json={"userName": ""}), 400, "invalidValue")
    await calls_as(acme, ENTRA)
    assert await in_effect(acme) == "entra"


@pytest.mark.usefixtures("quiet")
async def test_groups_have_to_allow_it(acme: Tenant) -> None:
    """Where two groups share a name, a profile that has names unique waits until they don't."""
    await a_group(acme, "Readers")
    twin = await a_group(acme, "READERS")
    await calls_as(acme, ENTRA)
    await look(acme)
    told = await provider_of(acme)
    assert told["profile_in_effect"] == "default"
    assert "groups share a name" in told["waits_for"]

    await acme.scim.delete(f"/Groups/{twin['id']}")
    await look(acme)
    assert await in_effect(acme) == "entra"


@pytest.mark.usefixtures("quiet")
async def test_twins_are_no_matter_to_others(acme: Tenant) -> None:
    """A profile that does not mind is taken beside two groups of one name."""
    await a_group(acme, "Readers")
    await a_group(acme, "Readers")
    await calls_as(acme, OKTA)
    assert await in_effect(acme) == "okta"


@pytest.mark.usefixtures("quiet")
async def test_only_once(acme: Tenant, owner: Connection) -> None:
    """A profile that was taken stays; when another provider is recognised later, its profile is only proposed."""
    await calls_as(acme, OKTA)
    past = "UPDATE provider_marks SET first_seen = now() - interval '40 days', last_seen = now() - interval '40 days'"
    await owner.execute(f"{past} WHERE tenant_id = $1::text::uuid", acme.id)
    await calls_as(acme, ENTRA)
    await look(acme)
    told = await provider_of(acme)
    assert (told["profile_in_effect"], told["recognised"], told["proposed"]) == ("okta", "entra", "entra")
    assert len(await acme.audit(action="tenant.profile_taken")) == 1


async def test_two_voices(acme: Tenant) -> None:
    """Marks of two providers leave it undecided, and both are named."""
    acme.scim.headers["User-Agent"] = OKTA
    await acme.scim.get("/Groups", params={"filter": 'displayName eq "a"', "excludedAttributes": "members"})
    await flush(acme)
    told = await provider_of(acme)
    assert (told["profile_in_effect"], told["recognised"]) == ("default", None)
    assert "Microsoft Entra ID or Okta" in told["waits_for"]


@pytest.mark.parametrize("chosen", ["default", "strict", "entra"])
@pytest.mark.usefixtures("quiet")
async def test_a_choice_stays(callers: Callers, chosen: str) -> None:
    """A profile that somebody has chosen is never replaced; whoever is recognised is proposed beside it."""
    acme = await a_tenant(callers, profile=chosen)
    await calls_as(acme, OKTA)
    await look(acme)
    told = await provider_of(acme)
    assert (told["profile"], told["profile_in_effect"], told["proposed"]) == (chosen, chosen, "okta")
    assert told["waits_for"] is None


async def test_choosing_again(acme: Tenant) -> None:
    """By choosing, what was taken is given up: a profile stays from then on, and `auto` begins anew."""
    await calls_as(acme, OKTA)
    for chosen, effect in (("default", "default"), ("auto", "default")):
        changed = await acme.callers.operator.patch(acme.v1, json={"profile": chosen})
        assert (changed.json()["profile"], changed.json()["profile_in_effect"]) == (chosen, effect)
    await look(acme)
    assert await in_effect(acme) == "okta"


async def test_choosing_what_seems_to_be_so(acme: Tenant) -> None:
    """`default`, chosen by somebody who had read the tenant before a profile was taken, is `default` after it too."""
    async with open_fleet(acme.callers.database, SYSTEM, ORIGIN) as fleet:
        row = await tenants.find(fleet, acme.slug)
        terms = tenants.terms_of(row)
        await calls_as(acme, OKTA)
        assert await in_effect(acme) == "okta"
        await tenants.change(fleet, row, replace(terms, profile="default"))
    assert await in_effect(acme) == "default"


async def test_saying_auto_again(acme: Tenant) -> None:
    """Whoever says `auto` of a tenant that has it undoes nothing of what was taken."""
    await calls_as(acme, OKTA)
    changed = await acme.callers.operator.patch(acme.v1, json={"profile": "auto", "name": "Acme"})
    assert changed.json()["profile_in_effect"] == "okta"


async def test_only_who_may_call_leaves_marks(acme: Tenant, callers: Callers) -> None:
    """Calls without a good token of the tenant say nothing of its provider."""
    token = acme.token["token"]
    stranger = await a_tenant(callers, profile="auto")
    for bearer in ("nothing", token[:-1] + ("a" if token[-1] != "a" else "b"), stranger.token["token"]):
        answer = await acme.scim.get("/Users", headers={"Authorization": f"Bearer {bearer}", "User-Agent": OKTA})
        assert answer.status_code in (200, 401)
    await flush(acme)
    told = await provider_of(acme)
    assert (told["evidence"], told["profile_in_effect"]) == ([], "default")
    assert await in_effect(stranger) == "okta"


@pytest.mark.usefixtures("quiet")
async def test_a_write_under_way_is_waited_for(acme: Tenant, rival: Connection) -> None:
    """What somebody is making while the profile would be taken is seen first: here, a group of a name that there is."""
    await a_group(acme, "Readers")
    async with rival.transaction():
        await enter(rival, acme, "lock_shared")
        await rival.execute(
            "INSERT INTO groups (tenant_id, display_name, display_name_key)"
            " SELECT tenant_id, display_name, display_name_key FROM groups WHERE tenant_id = $1::text::uuid",
            acme.id,
        )
        taking = asyncio.create_task(calls_as(acme, ENTRA))
        await waited_for(rival)
    await taking
    assert await in_effect(acme) == "default"
    assert "groups share a name" in (await provider_of(acme))["waits_for"]


async def test_a_write_that_began_before(acme: Tenant, rival: Connection) -> None:
    """A change that was worked out by one profile, and waited while another was taken, is worked out anew by that."""
    await a_group(acme, "Readers")
    async with rival.transaction():
        await enter(rival, acme, "lock")
        twin = asyncio.create_task(acme.scim.post("/Groups", json={"schemas": [GROUP], "displayName": "Readers"}))
        await waited_for(rival)
        await rival.execute("UPDATE tenants SET profile = 'entra' WHERE id = $1::text::uuid", acme.id)
    refused(await twin, 409, "uniqueness")
    assert (await acme.scim.get("/Groups")).json()["totalResults"] == 1


async def test_a_write_that_is_overtaken_again_and_again(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A change whose profile is another one each time it has waited is refused in the end, and can be sent again."""
    body = {"schemas": [GROUP], "displayName": "Readers"}
    holders = itertools.cycle([rival, watcher])
    now = next(holders)
    await now.execute("BEGIN")
    await enter(now, acme, "lock")
    making = asyncio.create_task(acme.scim.post("/Groups", json=body))
    for each in range(TRIES):
        await waited_for(now)
        before = now
        await before.execute("UPDATE tenants SET profile = $2 WHERE id = $1::text::uuid", acme.id, PROFILES[each % 2])
        now = next(holders)
        await now.execute("BEGIN")
        entering = asyncio.create_task(enter(now, acme, "lock"))  # comes next, once the change has had its turn
        await waited_for(before, many=2)
        await before.execute("COMMIT")
        await entering
    await now.execute("ROLLBACK")
    answer = await making
    assert (answer.status_code, "try again" in answer.json()["detail"]) == (409, True), answer.text
    assert (await acme.audit(action="scim.groups.create"))[0]["status"] == 409
    assert (await acme.scim.post("/Groups", json=body)).status_code == 201


async def test_a_departure_that_began_before(acme: Tenant, rival: Connection) -> None:
    """A departure that waited while another profile was taken is done all the same, and answered as that one has it."""
    person = await acme.person("maria")
    session = await acme.session(person)
    async with rival.transaction():
        await rival.execute("SELECT FROM accounts WHERE tenant_id = $1::text::uuid FOR UPDATE", acme.id)
        leaving = asyncio.create_task(acme.scim.patch(f"/Users/{person['id']}", json=deactivation()))
        await waited_for(rival)
        await rival.execute("UPDATE tenants SET profile = 'entra' WHERE id = $1::text::uuid", acme.id)
    assert (await leaving).status_code == 204
    assert not await acme.callers.is_live(session)
    departures = [entry for entry in await acme.audit() if "user.deactivated" in entry["events"]]
    assert len(departures) == 1


@pytest.mark.usefixtures("quiet")
async def test_two_processes_take_it_once(acme: Tenant) -> None:
    """However many look at the same moment, the profile is taken once, and one entry says so."""
    acme.scim.headers["User-Agent"] = ENTRA
    await acme.person()
    await asyncio.gather(flush(acme), *(look(acme) for _ in range(4)))
    await look(acme)
    assert await in_effect(acme) == "entra"
    assert len(await acme.audit(action="tenant.profile_taken")) == 1
