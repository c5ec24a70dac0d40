"""Queues: what waits and was given up of all tenants is seen by those who may, and sent again by ops in their name."""

import json
import re
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from console.conftest import Browser
from console.operating import FLEET, OperatorAtWork, at_work
from factories import Callers, Tenant, deactivation
from rollcall.alerts.kinds import Kind
from rollcall.alerts.mail import _SUBJECTS  # pyright: ignore[reportPrivateUsage]
from rollcall.console.alerts import WHERE
from rollcall.console.operators.fleet import KINDS
from rollcall.db import Connection
from rollcall.tenancy.operators import OperatorRole

QUEUES = f"{FLEET}/queues"


@pytest_asyncio.fixture
async def ops(callers: Callers, browser: Browser) -> OperatorAtWork:
    """An operator who may do everything."""
    return await at_work(callers.database, browser, OperatorRole.OPS)


async def a_dead_delivery(tenant: Tenant, owner: Connection) -> dict[str, Any]:
    """A destination of the tenant that was not told of something."""
    await owner.execute(  # the list has an end, and other tests leave some behind
        "UPDATE deliveries SET state = 'cancelled', ended_at = now() WHERE state IN ('pending', 'dead')"
    )
    wanted = {"url": "https://93.184.215.14/", "label": f"hook of {tenant.slug}"}
    made = await tenant.callers.operator.post(f"{tenant.v1}/destinations", json=wanted)
    tested = await tenant.callers.operator.post(f"{tenant.v1}/destinations/{made.json()['id']}/test")
    assert tested.status_code == 202
    await owner.execute(
        "UPDATE deliveries SET state = 'dead', ended_at = now() WHERE destination_id = $1", UUID(made.json()["id"])
    )
    return made.json()


async def test_a_dead_delivery_is_made_again(ops: OperatorAtWork, acme: Tenant, owner: Connection) -> None:
    """What a destination could not be told is listed with its tenant, and sent again after its number was said."""
    hook = await a_dead_delivery(acme, owner)
    shown = await ops.browser.open(QUEUES)
    address = f"{QUEUES}/{acme.slug}/{hook['id']}/replay"
    assert hook["label"] in shown.text
    assert address in shown.text

    assert "1 delivery could not be made" in (await ops.browser.open(address)).text
    done = await ops.browser.follow(await ops.browser.send(address))

    assert "tried again" in done.text
    state = "SELECT state FROM deliveries WHERE destination_id = $1"
    assert await owner.fetchval(state, UUID(hook["id"])) == "pending"
    (entry,) = await acme.audit(action="deliveries.replayed")
    assert entry["actor_label"] == ops.name
    assert (await ops.browser.open(address)).status_code == 404


async def test_dead_messages_are_tried_again(
    ops: OperatorAtWork, callers: Callers, acme: Tenant, owner: Connection
) -> None:
    """Messages that were given up are counted, and tried again at once; the installation's audit says by whom."""
    maria = await acme.person()
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    of_acme = "tenant_id = $1 AND topic = 'user.deactivated'"
    await owner.execute(f"UPDATE outbox SET dead_at = now() WHERE {of_acme}", UUID(acme.id))
    assert f"{QUEUES}/replay" in (await ops.browser.open(QUEUES)).text
    asked = await ops.browser.open(f"{QUEUES}/replay")
    assert re.search(r"[1-9][0-9,]* messages? could not be dealt with", asked.text)

    await ops.browser.follow(await ops.browser.send(f"{QUEUES}/replay"))

    assert await owner.fetchval(f"SELECT dead_at IS NULL FROM outbox WHERE {of_acme}", UUID(acme.id))
    entries = (await callers.operator.get("/v1/audit", params={"action": "outbox.revived"})).json()["data"]
    assert entries[0]["actor_label"] == ops.name


async def test_what_is_shown(ops: OperatorAtWork, acme: Tenant, owner: Connection) -> None:
    """Processes, each part of housekeeping with when it was done last, and open alerts with their tenant."""
    await owner.execute(
        "INSERT INTO housekeeping (part, done_at, did) VALUES ('answers', now(), '{\"forgotten\": 12}') "
        "ON CONFLICT (part) DO UPDATE SET done_at = excluded.done_at, did = excluded.did"
    )
    await owner.execute(
        "INSERT INTO alerts (tenant_id, kind, subject, stage, facts) VALUES ($1, 'without_admin', '', '', '{}')",
        UUID(acme.id),
    )
    shown = (await ops.browser.open(QUEUES)).text
    for words in ("Redis or Valkey answers", "12 forgotten", "Partitions", "Retention", "Nobody is an active admin"):
        assert words in shown
    assert f'href="{FLEET}/tenants/{acme.slug}"' in shown


def test_every_kind_has_its_words() -> None:
    """Each kind of alert has a word in the fleet, an address on the first page and a subject for mail."""
    for words in (KINDS, WHERE, _SUBJECTS):
        assert {*words} == {*Kind}


async def test_each_kind_of_alert(ops: OperatorAtWork, acme: Tenant, owner: Connection) -> None:
    """Whichever kind of alert is open, the queues, the fleet and the tenant's page show it."""
    facts: dict[str, object] = {
        **dict.fromkeys(("label", "user_name", "plan"), "x"),
        **dict.fromkeys(("refused", "allowed", "used", "count", "threshold"), 1),
        **dict.fromkeys(("asked_at", "closes_at")),
        "profile": "okta",
        "policy": "refuse",
        **dict.fromkeys(("expires_at", "last_call_at", "offboarding_from"), "2026-01-01T00:00:00+00:00"),
    }
    await owner.execute("UPDATE alerts SET closed_at = now() WHERE closed_at IS NULL")  # as above
    for kind in Kind:
        await owner.execute(
            "INSERT INTO alerts (tenant_id, kind, subject, stage, facts) VALUES ($1, $2, '', '1', $3)",
            *(UUID(acme.id), kind.value, json.dumps(facts)),
        )
    for address, parameters in ((QUEUES, {}), (FLEET, {"q": acme.slug})):
        page = await ops.browser.open(address, **parameters)
        assert page.status_code == 200
        for word in KINDS.values():
            assert f"</svg>{word}</span>" in page.text
    of_acme = (await ops.browser.open(f"{FLEET}/tenants/{acme.slug}")).text
    assert "What is paid for could not be asked about" in of_acme


@pytest.mark.parametrize("role", [OperatorRole.SUPPORT, OperatorRole.BILLING])
async def test_by_role(callers: Callers, browser: Browser, acme: Tenant, owner: Connection, role: OperatorRole) -> None:
    """Support sees the queues and sends nothing again; billing sees neither the page nor the way to it."""
    hook = await a_dead_delivery(acme, owner)
    await at_work(callers.database, browser, role)
    may_look = role is OperatorRole.SUPPORT
    assert (f'href="{QUEUES}"' in browser.page.text) == may_look
    shown = await browser.open(QUEUES)
    assert (shown.status_code == 200) == may_look
    for address in ("/replay", f"/{acme.slug}/{hook['id']}/replay"):
        assert address not in shown.text
        assert (await browser.open(f"{QUEUES}{address}")).status_code == 403
        assert (await browser.send(f"{QUEUES}{address}")).status_code == 403
    state = "SELECT state FROM deliveries WHERE destination_id = $1"
    assert await owner.fetchval(state, UUID(hook["id"])) == "dead"
