"""Runs of creations in a Bulk: written together, and in all that can be seen as if each had come by itself."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.expect import done
from api.scim.test_bulk import bulk, change, group, person, removal, results, statuses, title
from api.test_outages import CANCEL, NOT_DONE, PERHAPS_DONE, TERMINATE, ended_in_the_middle
from factories import ORIGIN, Callers, Tenant, a_tenant, deactivation
from fuzz.bounds import bounded
from rollcall.cli.embedded import Engines
from rollcall.db import Connection, Database
from rollcall.provisioning import newcomers, statements
from rollcall.scim.resources import ENTERPRISE_SCHEMA
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.seats import SeatPolicy
from rollcall.work import SYSTEM, open_fleet
from rows import until_waiting

MINUTE = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS = count(1)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)|\(request [0-9a-f]+\)|transaction_id\W+\d+")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OF_TENANT = {
    "accounts": "user_name, external_id, active, role, is_admin, role_state, group_revision, detached_at IS NULL",
    "users": "id, account_id, user_name_key, external_id, display_name_key, active, document, version",
    "user_emails": "value_key, user_id",
    "conflict_cases": "user_id, user_name_key, kind, roles, names, detail, stored, times, closed_because",
    "outbox": "topic, account_id, payload",
    "audit_entries": "action, actor_label, account_id, target, outcome, status, detail, events, method, path",
    "audit_payloads": "payload",
    "seat_marks": "full_since IS NULL, over_since IS NULL",
}
"""What stands in the tables of a tenant, but for what differs by itself, as moments and requests do."""
_ORDERS = {
    "accounts": "id",
    "users": "id",
    "outbox": "id",
    "audit_entries": "at, id",
    "audit_payloads": "at, entry_id",
}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many people came with each run that was sent."""
    sent: list[int] = []
    create = statements.create_users

    async def counted(admitted: Any, changes: Sequence[Any], payloads: Sequence[Any], *, most_refused: int) -> Any:
        sent.append(len(changes))
        return await create(admitted, changes, payloads, most_refused=most_refused)

    monkeypatch.setattr(statements, "create_users", counted)
    return sent


async def a_plan(database: Database, seats: int | None, policy: SeatPolicy = "refuse") -> str:
    """Define a plan with so many seats."""
    key = f"runs-{next(_NUMBERS)}"
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        terms = PlanTerms(name="A plan", features=("scim",), seats=seats, seat_policy=policy, rate_per_second=0)
        await plans.define(fleet, key, terms)
    return key


async def people_of(tenant: Tenant) -> list[str]:
    """The userNames of everybody but the admin."""
    found = done(await tenant.scim.get("/Users", params={"count": 200}))["Resources"]
    return [each["userName"] for each in found if not each["userName"].startswith("ada@")]


async def test_fifty_at_a_time(acme: Tenant, runs: list[int]) -> None:
    """Creations that follow one another are sent by the fifty, and nothing else is with them."""
    many = [person(f"p{number}") for number in range(120)]
    found = await results(acme, bulk(*many, removal("/Users/nobody"), person("alone"), group("Everybody", "p7")))

    assert statuses(found) == ["201"] * 120 + ["404", "201", "201"]
    assert runs == [50, 50, 20]
    assert [each["bulkId"] for each in found[:120]] == [f"p{number}" for number in range(120)]
    assert sorted(await people_of(acme)) == sorted([*(f"p{number}" for number in range(120)), "alone"])
    for result in (found[0], found[119]):
        read = done(await acme.scim.get(result["location"]))
        assert (read["userName"], read["meta"]["version"]) == (result["bulkId"], result["version"])


async def test_what_another_one_needs(acme: Tenant, runs: list[int]) -> None:
    """Whoever refers to somebody in the same request comes after them, in another run."""
    by: dict[str, Any] = {ENTERPRISE_SCHEMA: {"manager": {"value": "bulkId:boss"}}}
    found = await results(
        acme,
        bulk(person("one", **by), person("two", **by), person("boss"), person("three", **by), person("four", **by)),
    )

    assert statuses(found) == ["201"] * 5
    boss = found[2]["location"].rpartition("/")[2]
    for result in (found[0], found[4]):
        assert done(await acme.scim.get(result["location"]))[ENTERPRISE_SCHEMA]["manager"]["value"] == boss
    assert runs == [4]


async def test_one_seat_left(callers: Callers, runs: list[int]) -> None:
    """Of three who come when one seat is left, the first has it; whoever is not active needs none."""
    acme = await a_tenant(callers, plan=await a_plan(callers.database, 2))
    found = await results(
        acme, bulk(person("one"), person("two"), person("three"), person("four", active=False), person("five"))
    )

    assert statuses(found) == ["201", "403", "403", "201", "403"]
    assert "seats" in found[1]["response"]["detail"]
    assert sorted(await people_of(acme)) == ["four", "one"]
    entries = [entry for entry in await acme.audit() if entry["action"] == "scim.users.create"]
    assert [entry["status"] for entry in reversed(entries)] == [201, 403, 403, 201, 403]
    assert runs[0] == 5


async def test_seats_that_run_out(callers: Callers, database: Database, runs: list[int]) -> None:
    """Two Bulks at once have all seats between them, each once, though they begin by taking fifty at a time."""
    most = int(await database.pool.fetchval("SHOW max_connections")) + 130
    acme = await a_tenant(callers, plan=await a_plan(database, most))
    half = most // 2 + 10
    bodies = [bulk(*(person(f"{name}{number}") for number in range(half))) for name in "ab"]
    found = await asyncio.gather(*(results(acme, body) for body in bodies))

    assert Counter(statuses(found[0] + found[1])) == {"201": most - 1, "403": 2 * half - most + 1}
    assert runs[0] == 50
    seats = (await callers.operator.get(f"{acme.v1}/seats")).json()
    assert (seats["allowed"], seats["used"]) == (most, most)


async def test_none_is_tried_again_and_again(callers: Callers, runs: list[int]) -> None:
    """Where one after the other has to come by itself, few are sent in vain."""
    acme = await a_tenant(callers, plan=await a_plan(callers.database, 1))
    found = await results(acme, bulk(*(person(f"p{number}") for number in range(100))))

    assert Counter(statuses(found)) == {"403": 100}
    assert len(runs) < 10


async def test_entries_of_those_refused(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many whose names are taken ten have an entry, within a run and over several; the others are counted."""
    monkeypatch.setattr("rollcall.journal.refusals._this_minute", lambda: MINUTE)
    names = [person(f"p{number}") for number in range(60)]
    assert Counter(statuses(await results(acme, bulk(*names)))) == {"201": 60}
    assert Counter(statuses(await results(acme, bulk(*names)))) == {"409": 60}
    assert Counter(statuses(await results(acme, bulk(*names[:5])))) == {"409": 5}

    entries = [entry for entry in await acme.audit(outcome="refused") if entry["action"] == "scim.users.create"]
    assert [entry["status"] for entry in entries] == [409] * 10
    entered = acme.callers.app.state.context.batched_entries.refusals.entries
    counted = [found.calls for key, found in entered.due(everything=True) if UUID(acme.id) in key]
    assert counted == [55]


async def test_most_errors(acme: Tenant) -> None:
    """After as many errors as failOnErrors says nobody more is taken in, in the middle of a run too."""
    await acme.person("taken")
    found = await results(
        acme,
        bulk(
            person("one"),
            person("taken", bulk_id="1"),
            person("two"),
            person("TAKEN", bulk_id="2"),
            person("three"),
            failOnErrors=2,
        ),
    )

    assert statuses(found) == ["201", "409", "201", "409"]
    assert sorted(await people_of(acme)) == ["one", "taken", "two"]


async def test_a_name_taken_at_that_moment(
    acme: Tenant, rival: Connection, watcher: Connection, runs: list[int]
) -> None:
    """When somebody takes a name of a run while it is written, that one is 409, and the others are taken in."""
    other = await acme.person("other")
    async with rival.transaction():
        await rival.fetch("UPDATE users SET user_name_key = 'two' WHERE id = $1", UUID(other["id"]))
        call = asyncio.ensure_future(results(acme, bulk(person("one"), person("two"), person("three"))))
        await until_waiting(watcher, call)
    found = await call

    assert runs == [3]
    assert statuses(found) == ["201", "409", "201"]
    entries = [entry for entry in await acme.audit() if entry["action"] == "scim.users.create"]
    assert [entry["status"] for entry in reversed(entries)] == [201, 201, 409, 201]


async def test_a_token_that_ends_meanwhile(
    acme: Tenant, rival: Connection, watcher: Connection, runs: list[int]
) -> None:
    """When the token is revoked while a run waits, nobody of it is taken in, and each is 401."""
    other, renamed = await acme.person("other"), "UPDATE users SET user_name_key = $2 WHERE id = $1"
    async with rival.transaction():
        await rival.fetch(renamed, UUID(other["id"]), "two")
        call = asyncio.ensure_future(results(acme, bulk(person("one"), person("two"), person("three"))))
        await until_waiting(watcher, call)
        await rival.fetch("UPDATE tokens SET revoked_at = now() WHERE id = $1", UUID(acme.token["id"]))
        await rival.fetch(renamed, UUID(other["id"]), "other")
    found = await call

    assert runs == [3]
    assert statuses(found) == ["401"] * 3
    assert await rival.fetchval("SELECT count(*) FROM users WHERE tenant_id = $1::uuid", UUID(acme.id)) == 2
    entries = [entry for entry in await acme.audit() if entry["action"] == "scim.users.create"]
    assert [entry["status"] for entry in entries] == [401, 401, 401, 201]


async def test_ended_in_the_middle(acme: Tenant, engines: Engines) -> None:
    """When PostgreSQL goes away under a run, all of it say so, and those behind it are not begun."""
    await acme.person("warm")
    body = bulk(*(person(f"p{number}") for number in range(60)))

    async def send() -> httpx.Response:
        return await acme.scim.post("/Bulk", json=body)

    async with ended_in_the_middle(engines, TERMINATE, send) as answer:
        found = done(answer)["Operations"]
        assert statuses(found) == ["503"] * 60
        assert all(PERHAPS_DONE in each["response"]["detail"] for each in found[:50])
        assert all("was not begun" in each["response"]["detail"] for each in found[50:])
        assert Counter(statuses(done(await send())["Operations"])) == {"201": 60}


async def test_what_is_undone_comes_by_itself(acme: Tenant, engines: Engines) -> None:
    """Of a run that PostgreSQL undoes, as it took too long or waited for a lock, the first is tried by itself."""
    await acme.person("warm")
    body = bulk(*(person(f"p{number}") for number in range(60)))

    async def send() -> httpx.Response:
        return await acme.scim.post("/Bulk", json=body)

    async with ended_in_the_middle(engines, CANCEL, send) as answer:
        first, *rest = done(answer)["Operations"]
        assert NOT_DONE in first["response"]["detail"]
        assert all("was not begun" in each["response"]["detail"] for each in rest)
        assert Counter(statuses(done(await send())["Operations"])) == {"201": 60}


async def test_two_that_overlap(acme: Tenant) -> None:
    """Of two Bulks with the same people the other way round, each person is created by one, and the other is 409."""
    names = [f"p{number}" for number in range(60)]
    one, two = await asyncio.gather(
        results(acme, bulk(*map(person, names))), results(acme, bulk(*map(person, reversed(names))))
    )

    for first, second in zip(one, reversed(two), strict=True):
        assert {first["status"], second["status"]} == {"201", "409"}
    assert sorted(await people_of(acme)) == sorted(names)


NAMES = ("ann", "Ann", "ben", "cleo", "dan", "eve")
EXTERNAL = (None, None, None, "x-1", "x-2", "old-1", "old-2")
ROLES: tuple[Any, ...] = (
    {},
    {},
    {"roles": [{"value": "dart-guests"}]},
    {"roles": [{"value": "dart-admins"}, {"value": "dart-guests"}]},
    {"roles": [{"value": "dart-unheard-of"}]},
)
MORE: tuple[Any, ...] = (
    {},
    {},
    {"emails": [{"value": "one@a.test", "type": "work"}, {"value": "ONE@a.test", "type": "home"}]},
    {"displayName": "Somebody", "password": "hunter2", "shoeSize": 44},
    {"active": False},
    {"active": "True"},
    {"active": "perhaps"},
    {ENTERPRISE_SCHEMA: {"manager": {"value": "bulkId:0"}}},
)


@st.composite
def operations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Creations that get along, or don't, with something else now and then."""
    made: list[dict[str, Any]] = []
    for number in range(draw(st.integers(3, 9))):
        if draw(st.integers(0, 7)) == 0:
            other = st.sampled_from([change("/Users/bulkId:0", title("Dr")), removal("/Users/bulkId:1")])
            made.append(draw(other))
            continue
        external = draw(st.sampled_from(EXTERNAL))
        said = draw(st.sampled_from(ROLES)) | draw(st.sampled_from(MORE))
        said |= {} if external is None else {"externalId": external}
        made.append(person(draw(st.sampled_from(NAMES)), bulk_id=str(number), **said))
    return made


@pytest.mark.bound(300)
@given(
    asked=operations(),
    seats=st.sampled_from([None, None, 3, 5]),
    policy=st.sampled_from(["refuse", "overage"]),
    most=st.sampled_from([None, None, None, 1, 3]),
)
@bounded(10)
async def test_as_if_each_had_come_by_itself(
    callers: Callers,
    owner: Connection,
    asked: list[dict[str, Any]],
    seats: int | None,
    policy: SeatPolicy,
    most: int | None,
) -> None:
    """Answers, rows, messages and entries are the same, in the same order, whether people come together or not."""
    plan = await a_plan(callers.database, seats, policy)
    body = bulk(*asked) if most is None else bulk(*asked, failOnErrors=most)
    told: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        for longest in (newcomers.MOST_OF_A_RUN, 1):
            patch.setattr(newcomers, "MOST_OF_A_RUN", longest)
            tenant = await a_tenant(callers, plan=plan)
            for number in (1, 2):
                former = await tenant.person(f"former-{number}", externalId=f"old-{number}")
                assert (await tenant.scim.delete(f"/Users/{former['id']}")).status_code == 204
            answers = await results(tenant, body)
            told.append(compared(tenant, [answers, *[await stored(owner, tenant, table) for table in _OF_TENANT]]))
    assert told[0] == told[1]


async def stored(owner: Connection, tenant: Tenant, table: str) -> list[list[Any]]:
    """What stands in a table of a tenant."""
    columns = _OF_TENANT[table]
    order = f" ORDER BY {_ORDERS[table]}" if table in _ORDERS else ""
    rows = await owner.fetch(f"SELECT {columns} FROM {table} WHERE tenant_id = $1{order}", UUID(tenant.id))
    found = [[str(value) for value in row] for row in rows]  # type: ignore[attr-defined]
    return found if order else sorted(found, key=lambda row: _ID.sub("", str(row)))


def compared(tenant: Tenant, found: object) -> list[str]:
    """What was found, with the ids numbered as they come, and without moments, transactions and requests."""
    numbers: dict[str, int] = {}
    text = json.dumps(found, indent=1).replace(tenant.slug, "tenant")
    text = _ID.sub(lambda match: f"#{numbers.setdefault(match[0], len(numbers))}", text)
    return _MOMENT.sub("", text).splitlines()


async def test_a_lapse(callers: Callers, runs: list[int]) -> None:
    """While a tenant's plan has no SCIM none of a run is taken in, each is told so, and a departure between is done."""
    acme = await a_tenant(callers)
    leaver = await acme.person("leaver")
    assert (await callers.operator.patch(acme.v1, json={"plan": "free"})).is_success
    dates = {"offboarding_from": "2026-01-01T00:00:00Z"}
    assert (await callers.operator.patch(f"{acme.v1}/lapse", json=dates)).is_success
    leaves = {"method": "PATCH", "path": f"/Users/{leaver['id']}", "data": deactivation()}
    found = await results(acme, bulk(person("one"), person("two"), leaves, person("three")))

    assert statuses(found) == ["403", "403", "200", "403"]
    assert len(runs) < 2, "a caller who may only take away is not remembered"
