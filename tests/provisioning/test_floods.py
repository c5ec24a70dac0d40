"""Floods of refused calls: whatever is refused, and however often, little of it is kept, and the rest is counted."""

import asyncio
import json
import logging
import resource
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest

from factories import DART_RULE, USER, Callers, Tenant, a_tenant, in_process, patch_op
from rollcall.access import dead_tokens
from rollcall.crypto import TokenKind, new_token
from rollcall.db import Connection
from rollcall.journal import refusals
from rollcall.journal.refusals import COUNTED, SINGLY

CALLS = 60
NOBODY = "01890000-0000-7000-8000-000000000000"

Call = Callable[[Tenant], Awaitable[httpx.Response]]


def new_person(user_name: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": user_name, **more}


async def list_users(tenant: Tenant) -> httpx.Response:
    return await tenant.scim.get("/Users")


async def create(tenant: Tenant) -> httpx.Response:
    return await tenant.scim.post("/Users", json=new_person("taken@flood.test"))


async def create_group(tenant: Tenant) -> httpx.Response:
    body = {"displayName": "Loop", "members": [{"value": NOBODY}]}
    return await tenant.scim.post("/Groups", json=body)


async def unreadable(tenant: Tenant) -> httpx.Response:
    return await tenant.scim.post("/Users", content=b"{", headers={"Content-Type": "application/json"})


async def nobody_there(tenant: Tenant) -> httpx.Response:
    return await tenant.scim.delete(f"/Users/{NOBODY}")


async def revoked(tenant: Tenant, _: Connection) -> None:
    await tenant.callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")


async def expired(tenant: Tenant, owner: Connection) -> None:
    await owner.execute("UPDATE tokens SET expires_at = now() WHERE id = $1", UUID(tenant.token["id"]))


async def suspended(tenant: Tenant, _: Connection) -> None:
    await tenant.callers.operator.post(f"{tenant.v1}/suspend")


async def without_plan(tenant: Tenant, _: Connection) -> None:
    await tenant.callers.operator.patch(tenant.v1, json={"plan": "free"})


async def for_reading(tenant: Tenant, owner: Connection) -> None:
    await owner.execute("UPDATE tokens SET scopes = '{scim:read}' WHERE id = $1", UUID(tenant.token["id"]))


async def taken(tenant: Tenant, _: Connection) -> None:
    assert (await create(tenant)).status_code == 201


async def one_group(tenant: Tenant, _: Connection) -> None:
    await tenant.callers.operator.patch(tenant.v1, json={"profile": "strict"})


async def limited(tenant: Tenant, _: Connection) -> None:
    await tenant.callers.operator.patch(tenant.v1, json={"rate_per_second": 25, "rate_burst": 1})


async def nothing(_: Tenant, __: Connection) -> None:
    pass


FLOODS: list[tuple[Callable[[Tenant, Connection], Awaitable[None]], Call, int]] = [
    (revoked, list_users, 401),
    (expired, create, 401),
    (suspended, list_users, 403),
    (without_plan, create, 403),
    (for_reading, create, 403),
    (taken, create, 409),
    (one_group, create_group, 400),
    (nothing, unreadable, 400),
    (nothing, nobody_there, 404),
]


@pytest.mark.parametrize(
    ("before", "call", "status"), FLOODS, ids=[f"{each[0].__name__}-{each[1].__name__}" for each in FLOODS]
)
async def test_flood(
    callers: Callers,
    owner: Connection,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[[Tenant, Connection], Awaitable[None]],
    call: Call,
    status: int,
) -> None:
    """Of sixty refusals of a kind ten are entries and lines of their own; one more entry counts the others."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    monkeypatch.setattr(refusals, "_this_minute", lambda: minute)
    tenant = await a_tenant(callers)
    await before(tenant, owner)
    caplog.clear()

    statuses = [(await call(tenant)).status_code for _ in range(CALLS)]
    minute += timedelta(minutes=1)

    assert statuses == [status] * CALLS
    entries = await tenant.audit(outcome="refused")
    mine = [entry for entry in entries if entry["actor_id"] == tenant.token["id"]]
    assert [entry["action"] for entry in mine].count(COUNTED) == 1
    assert len(mine) == SINGLY + 1
    (counted,) = [entry for entry in mine if entry["action"] == COUNTED]
    assert counted["status"] == status
    assert counted["payload"]["calls"] == CALLS - SINGLY
    assert len(lines(caplog, "refused")) == SINGLY
    assert sum(line["calls"] for line in lines(caplog, "refused, counted")) == CALLS - SINGLY


async def test_over_the_limit(callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls over the rate limit are counted like others, and all there were can be read."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0)
    monkeypatch.setattr(refusals, "_this_minute", lambda: minute)
    tenant = await a_tenant(callers)
    await limited(tenant, owner)

    statuses = [(await list_users(tenant)).status_code for _ in range(CALLS)]
    minute += timedelta(minutes=1)

    assert statuses.count(429) > SINGLY
    entries = [entry for entry in await tenant.audit(outcome="refused") if entry["status"] == 429]
    assert len(entries) == SINGLY + 1
    assert entries[0]["payload"]["calls"] == statuses.count(429) - SINGLY


async def test_without_a_permit(callers: Callers, owner: Connection) -> None:
    """The limit is taken before a refusal is written down: who is over it hears why, and has no entry."""
    tenant = await a_tenant(callers)
    await limited(tenant, owner)
    await suspended(tenant, owner)

    statuses = [(await list_users(tenant)).status_code for _ in range(5)]

    assert set(statuses) == {403}
    entries = [entry for entry in await tenant.audit(outcome="refused") if entry["status"] == 403]
    assert 1 <= len(entries) < 5


async def test_dead_token_again_and_again(callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on with a dead token is told to wait, without the database being asked; its neighbours are not."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    await revoked(tenant, owner)
    monkeypatch.setattr(dead_tokens, "BURST", 5)
    monkeypatch.setattr(dead_tokens, "RATE", 0.001)

    answers = [await list_users(tenant) for _ in range(20)]

    assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 14
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await list_users(other)).status_code == 200
    assert (await list_users(await a_tenant(callers))).status_code == 200


async def test_token_that_works_again(callers: Callers) -> None:
    """That a token did not work a moment ago decides nothing: its owner is appointed again, and it works."""
    tenant = await a_tenant(callers)
    address = f"{tenant.v1}/people/{tenant.admin['id']}"
    await callers.operator.post(f"{address}/demote")
    assert (await list_users(tenant)).status_code == 401

    await callers.operator.post(f"{address}/appoint")

    assert (await list_users(tenant)).status_code == 200


async def test_every_conflict_counts(callers: Callers, owner: Connection) -> None:
    """A refused conflict counts in its case, though it has no entry: cases are no log."""
    tenant = await a_tenant(callers, rule=DART_RULE)
    maria = await tenant.person("maria@flood.test")
    both = patch_op({"op": "replace", "path": "roles", "value": [{"value": "dart-admin"}, {"value": "dart-guest"}]})

    for _ in range(25):
        assert (await tenant.scim.patch(f"/Users/{maria['id']}", json=both)).status_code == 400

    count = "SELECT times FROM conflict_cases WHERE user_id = $1"
    assert await owner.fetchval(count, UUID(maria["id"])) == 25
    assert len(await tenant.audit(outcome="refused")) == SINGLY


async def test_long_payload_of_a_refused_call(callers: Callers) -> None:
    """Of a long body that was refused its size, digest and beginning are kept; of an accepted one all."""
    tenant = await a_tenant(callers)
    long = {"emails": [{"value": f"{number}@flood.test"} for number in range(900)]}
    await tenant.person("long@flood.test", **long)

    again = await tenant.scim.post("/Users", json=new_person("long@flood.test", **long))
    short = await tenant.scim.post("/Users", json=new_person("long@flood.test", displayName="y" * 200))

    assert (again.status_code, short.status_code) == (409, 409)
    whole, cut, accepted = (await tenant.audit(action="scim.users.create"))[:3]
    assert whole["payload"]["displayName"] == "y" * 200
    assert len(accepted["payload"]["emails"]) == 900
    assert cut["payload"]["cut"] is True
    assert cut["payload"]["bytes"] > 20_000
    assert len(cut["payload"]["begins"]) == 1024
    assert len(cut["payload"]["sha256"]) == 64


async def test_management_api(callers: Callers, caplog: pytest.LogCaptureFixture) -> None:
    """An application's key that may not do what it tries has ten entries, and ten lines."""
    tenant = await a_tenant(callers)
    before = len(await tenant.audit(outcome="refused"))
    caplog.clear()

    for _ in range(CALLS):
        assert (await callers.product.post(f"{tenant.v1}/suspend")).status_code == 403
        assert (await callers.operator.get(f"{tenant.v1}/people/{NOBODY}")).status_code == 404

    assert len(await tenant.audit(outcome="refused")) == before + 2 * SINGLY
    assert len(lines(caplog, "refused")) == 2 * SINGLY


async def test_strangers(callers: Callers, owner: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """Three hundred made-up tokens are ten lines and one count, and take no memory that stays."""
    source = "SELECT coalesce(sum(calls), 0) FROM refused_calls WHERE source = '127.0.0.1'"
    traces = callers.app.state.context.batched_entries
    await traces.flush()
    before, began = await owner.fetchval(source), time.monotonic()
    caplog.clear()
    tracemalloc.start()

    async with httpx.AsyncClient(transport=in_process(callers.app), base_url=callers.base_url) as http:
        for _ in range(300):
            token = new_token(TokenKind.SCIM, uuid4(), uuid4())
            answer = await http.get("/scim/v2/Users", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401

    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await traces.flush()
    minutes = 1 + (time.monotonic() - began) // 60
    assert await owner.fetchval(source) == before + 300
    assert len(lines(caplog, "refused")) <= SINGLY * (minutes + 1)
    assert held < 8_000_000


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of our lines that say so."""
    ours = [record.msg for record in caplog.records if record.name.startswith("rollcall")]
    found = [line for line in cast("list[dict[str, Any]]", ours) if line["event"] == event]
    assert all(record.levelno >= logging.INFO for record in caplog.records)
    return found


SECONDS = 1.0
"""How long each flood lasts; the figures in docs/operations.md are of ten seconds."""

AT_ONCE = 8


async def long_body(tenant: Tenant) -> httpx.Response:
    """A body of 900 kB that is refused after it was read."""
    return await tenant.scim.post("/Users", json=new_person("long", nickName=["x" * 900_000]))


async def two_roles(tenant: Tenant) -> httpx.Response:
    both = [{"value": "dart-admin"}, {"value": "dart-guest"}]
    return await tenant.scim.post("/Users", json=new_person("both@flood.test", roles=both))


LASTING = [*FLOODS, (limited, list_users, 429), (nothing, long_body, 400), (nothing, two_roles, 400)]


@pytest.mark.parametrize(
    ("before", "call", "status"), LASTING, ids=[f"{each[0].__name__}-{each[1].__name__}" for each in LASTING]
)
async def test_lasting_flood(
    callers: Callers,
    owner: Connection,
    caplog: pytest.LogCaptureFixture,
    before: Callable[[Tenant, Connection], Awaitable[None]],
    call: Call,
    status: int,
) -> None:
    """Eight callers, refused as fast as they are answered, leave ten entries and lines a minute, in few bytes."""
    tenant = await a_tenant(callers)
    await before(tenant, owner)
    await call(tenant)
    caplog.clear()
    minute, resident, ends = datetime.now(UTC).minute, resident_bytes(), time.monotonic() + SECONDS
    made: Counter[int] = Counter()

    async def go_on() -> None:
        while time.monotonic() < ends:
            made[(await call(tenant)).status_code] += 1

    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))

    grown = resident_bytes() - resident
    minutes = 1 + (datetime.now(UTC).minute - minute) % 60
    entries = [entry for entry in await tenant.audit(outcome="refused") if entry["status"] == status]
    size = sum(len(json.dumps(entry)) for entry in entries)
    logged = len(lines(caplog, "refused"))
    assert made[status] > 0
    assert len(entries) <= (SINGLY + 1 + AT_ONCE) * minutes  # those who come at the same moment pass each other by
    assert size <= len(entries) * 4_000
    assert logged <= 2 * SINGLY * minutes
    assert grown < (200_000_000 if call is long_body else 40_000_000)  # its bodies are sent by this process too


def resident_bytes() -> int:
    """The memory that this process has, engines apart."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
