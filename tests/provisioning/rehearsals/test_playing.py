"""Rehearsals: each provider's conversation by real routes, by the tenant's own rule, and nothing left of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from factories import DART_RULE, ORIGIN, Callers, Tenant, a_tenant
from rollcall import metrics
from rollcall.db import Connection, lone_engine
from rollcall.errors import TooManyRequests
from rollcall.provisioning.context import GateContext
from rollcall.provisioning.rehearsals import playing
from rollcall.provisioning.rehearsals.lines import About, Look
from rollcall.provisioning.rehearsals.performing import Looked, Received, Rehearsed, Sent, Step
from rollcall.provisioning.rehearsals.playing import MOST_NAMES, Rehearsals, names_in
from rollcall.provisioning.rehearsals.providers import DIALECTS
from rollcall.provisioning.rehearsals.stage import RehearsalRunning
from rollcall.settings import Settings
from rollcall.work import TenantRef

BY_ATTRIBUTE = DART_RULE | {"sources": ["roles"]}


@pytest_asyncio.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant with the dart- rule, whose profile takes itself."""
    return await a_tenant(callers, profile="auto")


def ref(tenant: Tenant) -> TenantRef:
    """The tenant as a rehearsal needs it."""
    return TenantRef(UUID(tenant.id), tenant.slug)


async def played(tenant: Tenant, provider: str = "other", *names: str) -> Rehearsed:
    """A rehearsal of this tenant."""
    rehearsals: Rehearsals = tenant.callers.app.state.rehearsals
    return await rehearsals.play(ref(tenant), ORIGIN, provider, names)


def steps(rehearsed: Rehearsed, *about: About) -> list[Step]:
    """The calls, or those that are about this."""
    said = [each for chapter in rehearsed.chapters for each in chapter.steps if isinstance(each, Step)]
    return [each for each in said if each.line.about in (about or [*About])]


def only(found: Sequence[Step]) -> Step:
    """The one call there is."""
    (step,) = found
    return step


def seen(rehearsed: Rehearsed) -> dict[Look, Looked]:
    """What Rollcall saw by itself."""
    return {each.look: each for chapter in rehearsed.chapters for each in chapter.steps if isinstance(each, Looked)}


def role_of(step: Step) -> str:
    """The role that the person has after a call."""
    assert step.person is not None
    return step.person.explained["role"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What an installation keeps: how many rows in each table, and the keys in Redis."""

    rows: dict[str, int]
    keys: frozenset[str]


async def as_it_is(tenant: Tenant, owner: Connection) -> Kept:
    """What is kept, once what was gathered before is written down."""
    await tenant.callers.app.state.context.batched_entries.flush()
    names = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition"
    )
    rows = {name["relname"]: await owner.fetchval(f'SELECT count(*) FROM "{name["relname"]}"') for name in names}
    return Kept(rows, frozenset(await tenant.callers.app.state.redis.keys("*")))


def assert_nothing_is_left(before: Kept, after: Kept) -> None:
    """As many rows in each table, and no new key: keys that were there may have come to their own end."""
    assert after.rows == before.rows
    assert after.keys <= before.keys


@pytest.mark.parametrize("provider", DIALECTS)
async def test_each_provider_gets_through(acme: Tenant, provider: str) -> None:
    """Whoever is assigned is here, has their group's role, is refused a second one, and is out when they leave."""
    rehearsed = await played(acme, provider)

    assert not rehearsed.stopped
    refused = [step for step in steps(rehearsed) if step.is_refused]
    assert refused == steps(rehearsed, About.CONTRADICT)
    assert all(step.status is not None for step in steps(rehearsed))
    assert len(steps(rehearsed)) <= 30
    assert only(steps(rehearsed, About.CREATE)).status == 201
    assert role_of(only(steps(rehearsed, About.CREATE))) == "member"
    assert role_of(only(steps(rehearsed, About.JOIN))) == "guest"
    torn = only(steps(rehearsed, About.CONTRADICT))
    assert (torn.status, torn.answer["scimType"], role_of(torn)) == (400, "invalidValue", "guest")
    assert "dart-guests" in torn.answer["detail"]
    gone = only(steps(rehearsed, About.DEACTIVATE))
    assert gone.person is not None
    assert not gone.person.active
    assert gone.says("user.deactivated") is not None
    looked = seen(rehearsed)
    assert [looked[each].is_good for each in (Look.SIGN_IN, Look.SIGNED_OUT)] == [True, False]
    assert looked[Look.RECEIPT].closed["sessions"] == 1


@pytest.mark.parametrize(("provider", "profile", "patched"), [("okta", "okta", 200), ("entra", "entra", 204)])
async def test_profiles_take_themselves(acme: Tenant, provider: str, profile: str, patched: int) -> None:
    """A provider is recognised in a rehearsal as it would be, and answered by its profile from then on."""
    rehearsed = await played(acme, provider)

    assert rehearsed.profile == profile
    assert any(step.says("tenant.profile_taken") for step in steps(rehearsed))
    assert only(steps(rehearsed, About.JOIN)).status == patched
    shown = await acme.callers.operator.get(acme.v1)
    assert shown.json()["profile_in_effect"] == "default"


async def test_the_profile_chosen_by_hand(callers: Callers) -> None:
    """A tenant that takes the standard to the letter refuses a rehearsed provider what it refuses a real one."""
    strict = await a_tenant(callers, profile="strict")

    rehearsed = await played(strict, "entra")

    assert (rehearsed.profile, rehearsed.stopped) == ("strict", True)
    assert "to the letter" in only(steps(rehearsed, About.CREATE)).answer["detail"]


async def test_own_names(acme: Tenant) -> None:
    """The names that somebody gives are pushed as they are, and read as the rule reads them."""
    rehearsed = await played(acme, "okta", "Dart Players", "DART_GUEST", "dart-owners")

    read = {step.line.group: (step.status, step.means) for step in steps(rehearsed, About.PUSH)}
    assert read == {"Dart Players": (201, None), "DART_GUEST": (201, "Guest"), "dart-owners": (201, None)}
    given = only(steps(rehearsed, About.JOIN))
    assert (given.line.group, role_of(given)) == ("DART_GUEST", "guest")
    torn = only(steps(rehearsed, About.CONTRADICT))
    assert (torn.line.group, torn.status) == ("dart-owners", 400)


async def test_names_that_say_nothing(acme: Tenant) -> None:
    """Where no name means a role the first is given all the same, which shows that the default stays."""
    rehearsed = await played(acme, "okta", "Players")

    given = only(steps(rehearsed, About.JOIN))
    assert (given.line.group, given.status, role_of(given)) == ("Players", 200, "member")
    assert steps(rehearsed, About.CONTRADICT) == []


@pytest.mark.parametrize("name", ['say "hi" \\', "<ana>", "ana\u2028 -- '", "x" * 200])
async def test_any_name(acme: Tenant, name: str) -> None:
    """A name is a name, whatever stands in it."""
    rehearsed = await played(acme, "okta", name)

    pushed = only(steps(rehearsed, About.PUSH))
    assert (pushed.status, pushed.answer["displayName"]) == (201, name)
    assert only(steps(rehearsed, About.LOOK_UP_GROUP)).answer["totalResults"] == 0


async def test_conflicts_held(callers: Callers) -> None:
    """Where the rule holds conflicts the second group is taken, the role stays, and a case is opened."""
    acme = await a_tenant(callers, rule=DART_RULE | {"on_conflict": "hold"})

    torn = only(steps(await played(acme), About.CONTRADICT))

    assert (torn.status, role_of(torn)) == (200, "guest")
    assert torn.person is not None
    assert torn.person.explained["conflict"] is not None
    assert torn.says("conflict.opened") is not None


@pytest.mark.parametrize("provider", DIALECTS)
async def test_roles_by_an_attribute(callers: Callers, provider: str) -> None:
    """Where the rule does not look at groups the provider says roles in the person's attribute."""
    acme = await a_tenant(callers, rule=BY_ATTRIBUTE)

    rehearsed = await played(acme, provider)

    assert steps(rehearsed, About.PUSH) == []
    assert role_of(only(steps(rehearsed, About.JOIN))) == "guest"
    assert only(steps(rehearsed, About.CONTRADICT)).status == 400


async def test_a_plan_without_scim(callers: Callers) -> None:
    """A provider of a tenant whose plan has no SCIM hears so at its first call, and goes no further."""
    rehearsed = await played(await a_tenant(callers, plan="free"), "okta")

    assert rehearsed.stopped
    refused = only(steps(rehearsed))
    assert refused.status == 403
    assert "Free" in refused.answer["detail"]


async def test_a_suspended_tenant(acme: Tenant) -> None:
    """A suspended tenant's provider hears that it is."""
    await acme.callers.operator.post(f"{acme.v1}/suspend")

    refused = only(steps(await played(acme, "okta")))

    assert refused.status == 403
    assert "suspended" in refused.answer["detail"]


async def test_no_seat_left(callers: Callers) -> None:
    """As many seats are taken in a rehearsal as are, so that a newcomer hears what they would."""
    acme = await a_tenant(callers)
    answer = await callers.operator.put(
        f"{acme.v1}/overrides/seats", json={"value": 1, "reason": "one admin, and nobody else"}
    )
    assert answer.status_code == 200, answer.text

    rehearsed = await played(acme, "okta")

    refused = only(steps(rehearsed, About.CREATE))
    assert rehearsed.stopped
    assert refused.status == 403
    assert "1" in refused.answer["detail"]


@pytest.mark.parametrize("provider", DIALECTS)
async def test_nothing_is_left(acme: Tenant, owner: Connection, provider: str) -> None:
    """Every table has as many rows after a rehearsal as before, and Redis as many keys."""
    await played(acme, provider)  # whatever a process does once
    before = await as_it_is(acme, owner)

    await played(acme, provider, "dart-admins", "dart-guests", "Everybody")

    assert_nothing_is_left(before, await as_it_is(acme, owner))


class Through:
    """The real routes, with something done before the call of this number."""

    def __init__(self, tenant: Tenant, number: int, act: Any) -> None:
        self._answers = tenant.callers.app.state.rehearsals._answers
        self._number, self._act, self._calls = number, act, 0

    async def __call__(self, context: GateContext, sent: Sent) -> Received:
        self._calls += 1
        if self._calls == self._number:
            await self._act()
        return await self._answers(context, sent)


@pytest_asyncio.fixture
async def process(acme: Tenant, settings: Settings) -> Any:
    """Another process's rehearsals, of which one may be watched in its middle: ``process(number, act)``."""
    made: list[Rehearsals] = []

    def one(number: int, act: Any) -> Rehearsals:
        context = acme.callers.app.state.context
        made.append(Rehearsals(lone_engine(settings), Through(acme, number, act), context.limiter, context.base_url))
        return made[-1]

    yield one
    for each in made:
        await each.close()


async def test_nobody_sees_it(acme: Tenant, owner: Connection, process: Any) -> None:
    """While it runs no other connection sees a row of it: no relay, no page, no fleet."""
    before = await as_it_is(acme, owner)
    during: list[Kept] = []

    async def look() -> None:
        during.append(await as_it_is(acme, owner))

    await process(8, look).play(ref(acme), ORIGIN, "okta", ())

    assert len(during) == 1
    assert_nothing_is_left(before, during[0])


async def test_killed_in_the_middle(acme: Tenant, owner: Connection, process: Any) -> None:
    """A rehearsal whose connection or process ends in its middle leaves nothing, and the next one runs."""
    before = await as_it_is(acme, owner)

    async def kill() -> None:
        killed = await owner.fetchval(
            "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l WHERE l.locktype = 'advisory' "
            "AND (l.classid::bigint << 32) + l.objid::bigint = hashtextextended('rehearsal ' || $1, 0)",
            acme.id,
        )
        assert killed == 1

    rehearsals = process(8, kill)
    with pytest.raises(Exception, match=r"terminat|closed|connection"):
        await rehearsals.play(ref(acme), ORIGIN, "okta", ())

    assert_nothing_is_left(before, await as_it_is(acme, owner))
    assert not (await rehearsals.play(ref(acme), ORIGIN, "okta", ())).stopped
    assert_nothing_is_left(before, await as_it_is(acme, owner))


async def test_it_has_an_end(acme: Tenant, owner: Connection, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal that takes too long is undone, and its turn is free again."""
    before = await as_it_is(acme, owner)
    monkeypatch.setattr(playing, "LONGEST", 1.0)
    rehearsals = process(5, lambda: asyncio.sleep(60))

    with pytest.raises(TimeoutError):
        await rehearsals.play(ref(acme), ORIGIN, "okta", ())

    monkeypatch.undo()
    assert_nothing_is_left(before, await as_it_is(acme, owner))
    assert not (await rehearsals.play(ref(acme), ORIGIN, "okta", ())).stopped


async def test_one_of_a_tenant(acme: Tenant, process: Any) -> None:
    """A second rehearsal of a tenant is refused while one runs, in the same process and in another."""
    refused: list[bool] = []

    async def again() -> None:
        for rehearsals in (here, process(0, None)):
            with pytest.raises(RehearsalRunning):
                await rehearsals.play(ref(acme), ORIGIN, "entra", ())
            refused.append(True)

    here = process(3, again)
    assert not (await here.play(ref(acme), ORIGIN, "okta", ())).stopped
    assert refused == [True, True]


async def test_one_of_a_process(callers: Callers, acme: Tenant, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tenant's rehearsal waits for its turn; beyond a bound, and after some seconds, it is to come again."""
    other = await a_tenant(callers)
    waiting: list[asyncio.Task[Rehearsed]] = []

    async def another() -> None:
        waiting.append(asyncio.create_task(rehearsals.play(ref(other), ORIGIN, "okta", ())))
        await asyncio.sleep(0.1)
        assert not waiting[0].done()
        monkeypatch.setattr(playing, "MOST_WAITING", 1)
        with pytest.raises(TooManyRequests):
            await rehearsals.play(TenantRef(UUID(int=7), "nobody"), ORIGIN, "okta", ())
        monkeypatch.setattr(playing, "MOST_WAITING", 8)
        monkeypatch.setattr(playing, "LONGEST_WAIT", 0.05)
        with pytest.raises(TooManyRequests):
            await rehearsals.play(TenantRef(UUID(int=7), "nobody"), ORIGIN, "okta", ())

    rehearsals = process(3, another)
    assert not (await rehearsals.play(ref(acme), ORIGIN, "okta", ())).stopped
    assert not (await waiting[0]).stopped


async def test_counted_in_no_figure(acme: Tenant) -> None:
    """Refusals that are rehearsed are not in the figures."""
    before = metrics.exposition()

    await played(acme, "okta")

    refused = [line for line in metrics.exposition().splitlines() if line.startswith(b"rollcall_refusals")]
    assert refused == [line for line in before.splitlines() if line.startswith(b"rollcall_refusals")]


def test_names_that_were_written() -> None:
    """Of what somebody wrote each line is a name, once, without what can't be seen, and not more than there may be."""
    assert names_in(" dart-admins \r\n\r\ndart-admins\n\x1aana\x1a\u200bx\n") == ["dart-admins", "anax"]
    assert len(names_in("\n".join(f"group {number}" for number in range(100)))) == MOST_NAMES
    assert len(names_in("x" * 5000)[0]) == playing.LONGEST_NAME
