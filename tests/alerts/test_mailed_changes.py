"""What admins are mailed beside alerts: what the vendor does, mass changes, and who becomes an admin."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from alerts.test_mail import a_mail_server, html, nothing_is_due, plain, send
from factories import Callers, Tenant, a_tenant, deactivation
from rollcall.alerts import changes, judging, mail
from rollcall.alerts.refusing_mail import MailKey, refuse
from rollcall.db import Connection
from rollcall.journal.events import TOPICS
from rollcall.proof import receipts
from rollcall.settings import Settings


async def said(callers: Callers, settings: Settings, tenant: Tenant) -> list[str]:
    """What the mail says that is due to people of a tenant; each mail says it in HTML too."""
    async with a_mail_server() as server:
        await send(callers, settings, server)
    for each in server.to(tenant):
        first = plain(each).splitlines()[0]
        assert first[:30].replace("“", "") in html(each).replace("“", ""), html(each)
    return [" ".join(plain(each).partition("-- ")[0].split()) for each in server.to(tenant)]


async def test_what_the_vendor_does(callers: Callers, owner: Connection, settings: Settings) -> None:
    """A pause, its end, an override, its end and other dates are mailed, in words with dates that people read."""
    acme = await a_tenant(callers)
    await nothing_is_due(owner)
    await callers.operator.post(f"{acme.v1}/pause", json={"seconds": 3600})
    await callers.operator.post(f"{acme.v1}/unpause")
    override = {"value": 5000, "reason": "a courtesy week"}
    await callers.operator.put(f"{acme.v1}/overrides/seats", json=override)
    await callers.operator.delete(f"{acme.v1}/overrides/seats")
    await callers.operator.patch(acme.v1, json={"plan": "free"})
    closes = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    await callers.operator.patch(f"{acme.v1}/lapse", json={"closes_at": closes})
    found = await said(callers, settings, acme)
    for words in (
        "paused your identity provider until 20",
        "ended the pause of your identity provider",
        "set seats to 5,000, otherwise than your plan says, until somebody ends it.",
        "taken away what you had otherwise than your plan says: seats",
        "changed your plan from business to free",
        f"only what takes away, until {closes[:10]}",
    ):
        assert len([each for each in found if words in each]) == 1, (words, found)
    assert len(found) == 6


async def test_an_override_that_runs_out(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Its end is told once: an event, a line in the audit and a mail; set anew, it is told anew."""
    acme = await a_tenant(callers)
    told = "SELECT payload FROM outbox WHERE tenant_id = $1 AND topic = 'tenant.override_ran_out' ORDER BY id"
    for turn in (1, 2):
        ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        override = {"value": True, "reason": "a trial", "ends_at": ends}
        answer = await callers.operator.put(f"{acme.v1}/overrides/events", json=override)
        assert answer.status_code == 200, answer.text
        await judging.judge(callers.database)
        assert len(await owner.fetch(told, UUID(acme.id))) == turn - 1, "it holds"
        await nothing_is_due(owner)
        over = (
            "UPDATE tenants SET overrides = jsonb_set(overrides, '{events,ends_at}', to_jsonb($2::text)) WHERE id = $1"
        )
        await owner.execute(over, UUID(acme.id), (datetime.now(UTC) - timedelta(seconds=1)).isoformat())
        await asyncio.gather(*(judging.judge(callers.database) for _ in range(3)))
        await judging.judge(callers.database)  # whom others had was left to the next look
        assert len(await owner.fetch(told, UUID(acme.id))) == turn
        assert len(await acme.audit(action="tenant.override_ran_out")) == turn
        found = [
            each for each in await said(callers, settings, acme) if "otherwise than your plan says has ended" in each
        ]
        assert len(found) == 1
        assert "events, on." in found[0]
    (listed,) = (await callers.operator.get(f"{acme.v1}/overrides")).json()["data"]
    assert not listed["holds"]


async def test_a_mass_change(callers: Callers, owner: Connection, settings: Settings) -> None:
    """That it is held back and that it is released is mailed once each, as mail of one kind."""
    acme = await a_tenant(callers, mass_change_threshold=1)
    people = [await acme.person() for _ in range(3)]
    await nothing_is_due(owner)
    for person in people:
        await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    left = "SELECT id FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'"
    messages = [row["id"] for row in await owner.fetch(left, UUID(acme.id))]
    for _ in range(2):
        async with acme.work() as work:
            await receipts.settle(work, *messages)
    (found,) = await said(callers, settings, acme)
    assert "people left within an hour; more than 1 are an alert." in found
    assert "what can't be undone waits" in found
    (alert,) = (await callers.operator.get(f"{acme.v1}/alerts", params={"only_open": True})).json()["data"]
    for _ in range(2):
        await callers.operator.post(f"{acme.v1}/alerts/{alert['id']}/release")
    (released,) = await said(callers, settings, acme)
    assert "was released" in released


async def test_who_becomes_an_admin(callers: Callers, owner: Connection, settings: Settings) -> None:
    """The other admins hear of it, whoever it is that was appointed does not; nor does anybody of another role."""
    acme = await a_tenant(callers)
    await nothing_is_due(owner)
    zoe = await callers.operator.post(f"{acme.v1}/people", json={"user_name": f"zoe@{acme.slug}.test", "role": "admin"})
    max_ = await acme.person(f"max@{acme.slug}.test")
    await callers.operator.post(f"{acme.v1}/people/{max_['id']}/role", json={"role": "guest"})
    assert len(await said(callers, settings, acme)) == 1
    await callers.operator.post(f"{acme.v1}/people/{max_['id']}/appoint")
    await callers.operator.post(f"{acme.v1}/people/{max_['id']}/appoint")
    async with a_mail_server() as server:
        await send(callers, settings, server)
    assert {mail["To"] for mail in server.to(acme)} == {acme.admin["user_name"], zoe.json()["user_name"]}
    assert len(server.to(acme)) == 2
    assert f"max@{acme.slug}.test was made an admin, by " in plain(server.to(acme)[0])


async def test_products_tokens_are_not_mailed(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Of tokens for the product there may be thousands; only those that open Rollcall are mailed."""
    acme = await a_tenant(callers)
    await nothing_is_due(owner)
    await acme.personal_token(await acme.person())
    assert await said(callers, settings, acme) == []
    await acme.issue_token(scopes=["auditor"], label="the auditors")
    assert ["“the auditors”" in each for each in await said(callers, settings, acme)] == [True]


PAYLOADS: dict[str, dict[str, Any]] = {
    "alert.opened": {"kind": "without_admin", "stage": "", "facts": {}},
    "tenant.mass_change": {"departures": 3, "threshold": 2},
    "tenant.mass_change_released": {},
}
FACTS: dict[str, Any] = {
    **dict.fromkeys(("ends_at", "until", "rotate_by", "offboarding_from", "closes_at"), "2026-12-01T10:00:00+00:00"),
    **dict.fromkeys(("label", "user_name", "by", "before", "after", "key", "reason", "overlap_seconds"), "x"),
    "value": 7,
}


@pytest.mark.parametrize("topic", sorted(mail.TOPICS))
async def test_each_kind_ends_alone(callers: Callers, owner: Connection, settings: Settings, topic: str) -> None:
    """Whatever is mailed has words, and comes no more to who refused its kind, who still gets the others."""
    acme = await a_tenant(callers)
    await nothing_is_due(owner)
    payload = PAYLOADS.get(topic, FACTS)
    kind = mail.wording(topic, payload, "").kind
    other = next(each for each in (changes.TOKENS, changes.VENDOR) if each != kind)
    async with acme.work() as work:
        await refuse(work, MailKey(UUID(acme.id), UUID(acme.admin["id"]), other))
    put = "INSERT INTO notices (tenant_id, topic, payload) VALUES ($1, $2, $3::jsonb)"
    await owner.execute(put, UUID(acme.id), topic, json.dumps(payload))
    assert len(await said(callers, settings, acme)) == 1
    async with acme.work() as work:
        await refuse(work, MailKey(UUID(acme.id), UUID(acme.admin["id"]), kind))
    await owner.execute(put, UUID(acme.id), topic, json.dumps(payload))
    assert await said(callers, settings, acme) == []


def test_what_is_mailed_has_words() -> None:
    """Each event that is mailed has words for it."""
    assert {topic for topic, event in TOPICS.items() if event.mailed} <= mail.TOPICS


async def test_of_a_later_version(callers: Callers, owner: Connection, settings: Settings) -> None:
    """What a later version wants mailed waits for its worker, and holds nothing else up."""
    acme = await a_tenant(callers)
    await nothing_is_due(owner)
    put = "INSERT INTO notices (tenant_id, topic, payload) VALUES ($1, $2, '{}')"
    await owner.execute(put, UUID(acme.id), "tenant.of_tomorrow")
    await owner.execute(put, UUID(acme.id), "tenant.suspended")
    assert len(await said(callers, settings, acme)) == 1
    assert await owner.fetchval("SELECT count(*) FROM notices WHERE tenant_id = $1 AND sent_at IS NULL", UUID(acme.id))
