"""Alerts: each opens once, says what is the matter and what to do, and closes itself."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from api.expect import refused
from factories import USER, Callers, Tenant, a_tenant, deactivation
from rollcall.alerts import judging
from rollcall.alerts.kinds import Kind, remedy
from rollcall.db import Connection
from rollcall.proof import receipts


async def judge(callers: Callers) -> None:
    """What beat has a worker do every five minutes."""
    await judging.judge(callers.database)


async def alerts(tenant: Tenant, *kinds: str, only_open: bool = True) -> list[dict[str, Any]]:
    """The tenant's alerts of these kinds, newest first."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/alerts", params={"only_open": only_open, "limit": 500})
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["data"] if not kinds or each["kind"] in kinds]


async def ends_in(owner: Connection, tenant: Tenant, interval: str) -> None:
    statement = f"UPDATE tokens SET expires_at = now() + interval '{interval}' WHERE id = $1"
    await owner.execute(statement, UUID(tenant.token["id"]))


async def last_used(owner: Connection, tenant: Tenant, ago: str) -> None:
    await tenant.callers.app.state.context.batched_entries.flush()
    statement = f"UPDATE tokens SET last_used_at = now() - interval '{ago}' WHERE tenant_id = $1"
    await owner.execute(statement, UUID(tenant.id))


async def test_a_token_that_ends(callers: Callers, owner: Connection) -> None:
    """It is told at 30, 20, 7 days and one, once each; the one before closes; rotated, nothing is left."""
    acme = await a_tenant(callers)
    await ends_in(owner, acme, "31 days")
    await judge(callers)
    assert await alerts(acme, "token_ends") == []
    for days, stage in (("29 days", "30"), ("19 days", "20"), ("6 days", "7"), ("23 hours", "1")):
        await ends_in(owner, acme, days)
        await judge(callers)
        await judge(callers)
        (alert,) = await alerts(acme, "token_ends")
        assert (alert["stage"], alert["subject"]) == (stage, acme.token["id"])
        assert "identity provider" in alert["says"]
        assert alert["remedy"].startswith("Rotate it")
    assert len(await alerts(acme, "token_ends", only_open=False)) == 4
    rotated = await callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": 600})
    assert rotated.status_code == 201, rotated.text
    await owner.execute("UPDATE tokens SET expires_at = NULL WHERE id = $1", UUID(rotated.json()["id"]))
    await judge(callers)
    assert await alerts(acme, "token_ends") == []


async def test_where_it_stands(callers: Callers, owner: Connection) -> None:
    """An alert stands in the tenant's list, in that of all tenants, in the audit, in the outbox and in the figures."""
    acme = await a_tenant(callers)
    await ends_in(owner, acme, "5 days")
    await judge(callers)
    (alert,) = await alerts(acme, "token_ends")
    everywhere = (await callers.operator.get("/v1/alerts", params={"limit": 500})).json()["data"]
    assert [each["tenant"] for each in everywhere if each["id"] == alert["id"]] == [acme.slug]
    assert [entry["target"] for entry in await acme.audit(action="alert.opened")].count(alert["id"]) == 1
    told = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND topic = $2 AND payload ->> 'alert_id' = $3"
    assert await owner.fetchval(told, UUID(acme.id), "alert.opened", alert["id"]) == 1
    figures = (await callers.operator.get("/metrics")).text
    number = next(line for line in figures.splitlines() if line.startswith('rollcall_alerts_open{kind="token_ends"}'))
    assert float(number.split()[-1]) >= 1
    assert 'rollcall_alerts_open{kind="mass_change"}' in figures
    await ends_in(owner, acme, "1 year")
    await judge(callers)
    await judge(callers)
    assert await owner.fetchval(told, UUID(acme.id), "alert.closed", alert["id"]) == 1
    (over,) = await alerts(acme, "token_ends", only_open=False)
    assert over["closed_at"] is not None


async def test_two_at_once(callers: Callers, owner: Connection) -> None:
    """However many judge at the same moment, an alert is opened once and told once."""
    acme = await a_tenant(callers)
    await ends_in(owner, acme, "5 days")
    await asyncio.gather(*(judge(callers) for _ in range(4)))
    assert len(await alerts(acme, "token_ends", only_open=False)) == 1
    assert len(await acme.audit(action="alert.opened")) == len(await alerts(acme, only_open=False))
    await ends_in(owner, acme, "1 year")
    await asyncio.gather(*(judge(callers) for _ in range(4)))
    assert len(await acme.audit(action="alert.closed")) == 1


async def test_owners(callers: Callers, owner: Connection) -> None:
    """A connection that hangs on one admin, one without an owner, one handed over, and nobody who is an admin."""
    acme = await a_tenant(callers, owner_leaves="offboarding_only")
    of_owners = ("only_admin", "owner_gone", "without_admin", "token_rotation")
    await acme.person()
    await acme.callers.app.state.context.batched_entries.flush()
    await judge(callers)
    (alert,) = await alerts(acme, *of_owners)
    assert (alert["kind"], alert["subject"]) == ("only_admin", acme.admin["id"])
    assert acme.admin["user_name"] in alert["says"]

    await callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
    await judge(callers)
    assert {each["kind"] for each in await alerts(acme, *of_owners)} == {"owner_gone", "without_admin"}

    answer = await callers.operator.post(f"{acme.v1}/people", json={"user_name": "zoe", "role": "admin"})
    handed = f"{acme.v1}/tokens/{acme.token['id']}/hand-over"
    assert (await callers.operator.post(handed, json={"owner": answer.json()["id"]})).status_code == 200
    await judge(callers)
    assert {each["kind"] for each in await alerts(acme, *of_owners)} == {"only_admin", "token_rotation"}
    await callers.operator.post(f"{acme.v1}/people", json={"user_name": "max", "role": "admin"})
    await callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": 600})
    await judge(callers)
    assert await alerts(acme, *of_owners) == []


QUIET = [("entra", "2 hours", "4 hours"), ("okta", "13 days", "15 days"), ("default", "29 days", "31 days")]


@pytest.mark.parametrize(("profile", "well", "quiet"), QUIET)
async def test_a_quiet_provider(callers: Callers, owner: Connection, profile: str, well: str, quiet: str) -> None:
    """How long a provider may say nothing is its profile's to say; it closes with its next call."""
    acme = await a_tenant(callers, profile=profile)
    await judge(callers)
    assert await alerts(acme, "provider_quiet") == [], "it has not been connected yet"
    await acme.person()
    await last_used(owner, acme, well)
    await judge(callers)
    assert await alerts(acme, "provider_quiet") == []
    await last_used(owner, acme, quiet)
    await judge(callers)
    (alert,) = await alerts(acme, "provider_quiet")
    assert "has not called since 20" in alert["says"]
    await acme.scim.get("/Users")
    await acme.callers.app.state.context.batched_entries.flush()
    await judge(callers)
    assert await alerts(acme, "provider_quiet") == []


async def test_failures(callers: Callers, owner: Connection) -> None:
    """Many refused calls and few that were carried out are told; what is not found is none of them."""
    acme = await a_tenant(callers)
    for _ in range(25):
        assert (await acme.scim.get("/Users/nobody")).status_code == 404
    await judge(callers)
    assert await alerts(acme, "failures") == []
    for tried in range(10):
        refused(
            await acme.scim.post("/Users", json={"schemas": [USER], "roles": "dart-guests", "number": tried}),
            400,
            "invalidValue",
        )
        answer = await acme.scim.post("/Users", json={"schemas": [USER], "userName": acme.admin["user_name"]})
        refused(answer, 409, "uniqueness")
    await judge(callers)
    (alert,) = await alerts(acme, "failures")
    assert (alert["facts"]["refused"], alert["says"][:2]) == (20, "20")
    for _ in range(21):
        await acme.person()
    await judge(callers)
    assert await alerts(acme, "failures") == []


async def test_a_lapse(callers: Callers, owner: Connection) -> None:
    """What is left of SCIM is told, the end as it comes nearer, and it is over with the plan that includes it."""
    acme = await a_tenant(callers)
    await callers.operator.patch(acme.v1, json={"plan": "free"})
    await judge(callers)
    (alert,) = await alerts(acme, "lapse")
    assert (alert["stage"], "only reads work" in alert["says"]) == ("offboarding_only", True)
    for days, stage in ((29, "closes_30"), (6, "closes_7"), (0.5, "closes_1")):
        statement = "UPDATE tenants SET closes_at = now() + make_interval(secs => $2::float * 86400) WHERE id = $1"
        await owner.execute(statement, UUID(acme.id), days)
        await judge(callers)
        assert [each["stage"] for each in await alerts(acme, "lapse")] == [stage]
    await callers.operator.patch(acme.v1, json={"plan": "business"})
    await judge(callers)
    assert await alerts(acme, "lapse") == []


async def test_grace(callers: Callers, owner: Connection) -> None:
    """While everything still works, it is said until when."""
    acme = await a_tenant(callers)
    await callers.operator.patch(acme.v1, json={"plan": "free"})
    await owner.execute("UPDATE tenants SET offboarding_from = now() + interval '9 days' WHERE id = $1", UUID(acme.id))
    await judge(callers)
    (alert,) = await alerts(acme, "lapse")
    assert (alert["stage"], "everything works until" in alert["says"]) == ("grace", True)


async def test_seats(callers: Callers) -> None:
    """Nearly full, full and over are told as they come, once each; what was told is not told again on the way back."""
    acme = await a_tenant(callers)

    async def seats(allowed: int, stages: set[str]) -> dict[str, dict[str, Any]]:
        override = {"value": allowed, "reason": "a test of seats"}
        assert (await callers.operator.put(f"{acme.v1}/overrides/seats", json=override)).status_code == 200
        for _ in range(2):
            await judge(callers)
        found = {each["stage"]: each for each in await alerts(acme, "seats")}
        assert set(found) == stages, allowed
        return found

    people = [await acme.person() for _ in range(8)]  # nine with the admin
    await seats(11, set())
    assert (await seats(10, {"nearly"}))["nearly"]["says"] == "9 of the 10 seats of the plan Business are taken."
    full = (await seats(9, {"nearly", "full"}))["full"]
    assert full["says"] == "All 9 seats of the plan Business are taken: nobody more is let in."
    assert full["remedy"].startswith("Deactivate whoever has left")
    over = (await seats(5, {"nearly", "full", "over"}))["over"]
    assert "9 people are active, and the plan Business has 5 seats" in over["says"]
    assert (await seats(9, {"nearly", "full"}))["full"]["id"] == full["id"]
    await acme.scim.patch(f"/Users/{people[0]['id']}", json=deactivation())
    await seats(9, {"nearly"})  # 89 %
    await seats(10, set())
    assert len(await alerts(acme, "seats", only_open=False)) == 3
    assert len(await acme.audit(action="alert.opened")) == len(await alerts(acme, only_open=False))


async def test_mass_changes_stand_beside_them(callers: Callers, owner: Connection) -> None:
    """A mass change is in the same lists, and the only one that is released."""
    acme = await a_tenant(callers, mass_change_threshold=1)
    await ends_in(owner, acme, "5 days")
    for person in [await acme.person() for _ in range(2)]:
        await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    messages = await owner.fetch(
        "SELECT id FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'", UUID(acme.id)
    )
    async with acme.work() as work:
        await receipts.settle(work, *(row["id"] for row in messages))
    await judge(callers)
    found = {each["kind"]: each for each in await alerts(acme)}
    assert {"token_ends", "mass_change"} <= set(found)
    assert (found["mass_change"]["count"], found["mass_change"]["departures"]) == (2, 2)
    release = f"{acme.v1}/alerts/{found['token_ends']['id']}/release"
    assert (await callers.operator.post(release)).status_code == 404
    release = f"{acme.v1}/alerts/{found['mass_change']['id']}/release"
    assert (await callers.operator.post(release)).json()["closed_at"] is not None
    assert await alerts(acme, "mass_change") == []


async def test_paging(callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tenants are looked at, however few at once, and a list is read page by page."""
    monkeypatch.setattr(judging, "AT_ONCE", 2)
    tenants = [await a_tenant(callers) for _ in range(3)]
    for tenant in tenants:
        await ends_in(owner, tenant, "5 days")
    await judge(callers)
    for tenant in tenants:
        assert len(await alerts(tenant, "token_ends")) == 1
    first = (await callers.operator.get("/v1/alerts", params={"limit": 1})).json()
    second = (await callers.operator.get("/v1/alerts", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert first["data"][0]["id"] != second["data"][0]["id"]


async def test_what_was_over_long_ago_is_forgotten(callers: Callers, owner: Connection) -> None:
    """An alert that closed more than ninety days ago goes; one that is open stays however old it is."""
    acme = await a_tenant(callers)
    await ends_in(owner, acme, "5 days")
    await judge(callers)
    await owner.execute("UPDATE alerts SET opened_at = now() - interval '1 year' WHERE tenant_id = $1", UUID(acme.id))
    await judge(callers)
    assert len(await alerts(acme, "token_ends")) == 1
    await ends_in(owner, acme, "1 year")
    await judge(callers)
    await owner.execute(
        "UPDATE alerts SET closed_at = now() - interval '91 days' WHERE tenant_id = $1 AND closed_at IS NOT NULL",
        UUID(acme.id),
    )
    await judge(callers)
    assert await alerts(acme, "token_ends", only_open=False) == []


def test_each_kind_has_a_remedy() -> None:
    """No kind is without what to do about it."""
    assert all(remedy(kind) for kind in Kind)
