"""/v1/tenants/{tenant}/destinations and /v1/destinations: registered, changed, tested, rotated, removed, replayed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from api.expect import turned_down
from factories import Callers, Tenant, a_tenant
from rollcall.db import Connection, Database
from rollcall.events import deliveries, fanout
from rollcall.work import Actor, ActorKind, RequestOrigin, open_fleet
from rows import tables_with

OUTSIDE = "https://93.184.215.14/hook?key=of-theirs"


def ok(answer: httpx.Response) -> httpx.Response:
    """Check that a call was carried out."""
    assert answer.status_code == 200, answer.text
    return answer


async def ada_of(tenant: Tenant) -> httpx.AsyncClient:
    """The tenant's admin, with a token for the management API."""
    issued = await tenant.issue_token(label="ada's own", scopes=["admin"], owner=tenant.admin["id"])
    return tenant.callers.bearer(issued["token"])


async def a_hook(tenant: Tenant, **wanted: Any) -> dict[str, Any]:
    """Register a webhook as ops; returns the answer that shows its secret."""
    answer = await tenant.callers.operator.post(
        f"{tenant.v1}/destinations", json={"url": OUTSIDE, "label": "hook", **wanted}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_an_admin_registers_one(acme: Tenant) -> None:
    """A tenant's admin registers a destination; its secret is in that answer and in no other."""
    async with await ada_of(acme) as ada:
        made = await ada.post(
            f"{acme.v1}/destinations", json={"url": OUTSIDE, "label": "CRM", "topics": ["user.deactivated"]}
        )
        assert made.status_code == 201, made.text
        assert made.json()["secret"].startswith("whsec_")
        listed = ok(await ada.get(f"{acme.v1}/destinations"))
        (one,) = listed.json()["data"]
        shown = ok(await ada.get(f"{acme.v1}/destinations/{one['id']}"))
    assert shown.json() == one
    assert one["url"] == OUTSIDE
    assert made.json()["secret"] not in listed.text
    assert "secret" not in one


async def test_the_audit_names_the_host_alone(acme: Tenant, owner: Connection) -> None:
    """What stands in a URL beside the host may be a secret: it is in the destination's row and nowhere else."""
    await a_hook(acme)
    (entry,) = await acme.audit(action="destination.created")
    assert entry["payload"]["host"] == "93.184.215.14"
    assert "audit_payloads" not in await tables_with(owner, "of-theirs")


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f000001/",
        "https://10.0.0.1:8443/",
        "https://[::ffff:192.168.0.1]/",
        "https://user:pw@93.184.215.14/",
    ],
    ids=range(9),
)
async def test_addresses_inside_are_refused(acme: Tenant, url: str) -> None:
    """A destination in one's own network, or without TLS, is refused when it is registered and when it is changed."""
    path = f"{acme.v1}/destinations"
    hook = await a_hook(acme)
    turned_down(await acme.callers.operator.post(path, json={"url": url, "label": "x"}), 400, "destination_refused")
    turned_down(
        await acme.callers.operator.patch(f"{path}/{hook['id']}", json={"url": url}), 400, "destination_refused"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"topics": ["user.exploded"]},
        {"topics": ["destination.tested"]},
        {"audience": "client"},
        {"kind": "logout"},
        {"kind": "logout", "audience": "client", "topics": ["user.updated"]},
        {"kind": "pigeon"},
        {"label": ""},
        {"url": OUTSIDE + "x" * 2000},
    ],
    ids=range(8),
)
async def test_what_can_not_be(acme: Tenant, wanted: dict[str, Any]) -> None:
    """Topics nobody announces, an audience out of place and a URL without end are refused."""
    body = {"url": OUTSIDE, "label": "x"} | wanted
    turned_down(await acme.callers.operator.post(f"{acme.v1}/destinations", json=body), 400, "invalid")


async def test_a_logout_destination(acme: Tenant) -> None:
    """A logout destination has no secret, and hears what ends sessions and nothing else."""
    made = await a_hook(acme, kind="logout", audience="client-1")
    assert made["secret"] is None
    assert made["topics"] == ["user.deactivated", "session.closed"]
    path = f"{acme.v1}/destinations/{made['id']}/rotate-secret"
    turned_down(await acme.callers.operator.post(path), 400, "invalid")


async def test_twenty(acme: Tenant) -> None:
    """A tenant has twenty destinations at most, also when they are registered at the same moment."""
    for _ in range(18):
        await a_hook(acme)
    answers = await asyncio.gather(
        *(acme.callers.operator.post(f"{acme.v1}/destinations", json={"url": OUTSIDE, "label": "x"}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_another_tenants(acme: Tenant, callers: Callers) -> None:
    """Another tenant's destination, and the installation's, are not found by anybody's admin, whatever is asked."""
    other = await a_tenant(callers)
    theirs = await a_hook(other)
    made = await callers.operator.post("/v1/destinations", json={"url": OUTSIDE, "label": "fleet"})
    assert made.status_code == 201, made.text
    async with await ada_of(acme) as ada:
        assert (await ada.get(f"{acme.v1}/destinations")).json()["data"] == []
        for identifier in (theirs["id"], made.json()["id"], str(uuid4()), "nonsense"):
            one = f"{acme.v1}/destinations/{identifier}"
            for method, path in [
                ("GET", ""),
                ("PATCH", ""),
                ("DELETE", ""),
                ("POST", "/rotate-secret"),
                ("POST", "/enable"),
                ("POST", "/disable"),
                ("POST", "/test"),
                ("GET", "/deliveries"),
                ("POST", f"/deliveries/{uuid4()}/replay"),
                ("POST", "/replay-dead"),
            ]:
                body = {"label": "mine"} if method == "PATCH" else None
                turned_down(await ada.request(method, one + path, json=body), 404, "not_found")
        turned_down(await ada.get("/v1/destinations"), 403, "forbidden")
    assert (await callers.operator.delete(f"/v1/destinations/{made.json()['id']}")).status_code == 204


async def test_disabled_and_enabled(acme: Tenant) -> None:
    """A disabled destination is sent no test; enabled again it is, and both stand in the audit."""
    hook = await a_hook(acme)
    one = f"{acme.v1}/destinations/{hook['id']}"
    operator = acme.callers.operator
    assert ok(await operator.post(f"{one}/disable")).json()["state"] == "disabled"
    turned_down(await operator.post(f"{one}/test"), 409, "destination_disabled")
    turned_down(await operator.post(f"{one}/replay-dead"), 409, "destination_disabled")
    assert ok(await operator.post(f"{one}/enable")).json()["state"] == "enabled"
    assert (await operator.post(f"{one}/test")).status_code == 202
    actions = {entry["action"] for entry in await acme.audit(action="destination")}
    assert actions == {f"destination.{what}" for what in ("created", "disabled", "enabled", "tested")}


async def test_the_log(acme: Tenant, owner: Connection) -> None:
    """The log has every delivery, newest first, by page and by state; what is dead is replayed, what waits is not."""
    hook = await a_hook(acme)
    operator, one = acme.callers.operator, f"{acme.v1}/destinations/{hook['id']}"
    sent = [(await operator.post(f"{one}/test")).json()["delivery_id"] for _ in range(3)]
    first = ok(await operator.get(f"{one}/deliveries", params={"limit": 2})).json()
    rest = ok(await operator.get(f"{one}/deliveries", params={"cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == sent[::-1]
    assert rest["next_cursor"] is None
    turned_down(await operator.get(f"{one}/deliveries", params={"cursor": "x"}), 400, "invalid")
    turned_down(await operator.post(f"{one}/deliveries/{sent[0]}/replay"), 409, "still_pending")

    await owner.execute(
        "UPDATE deliveries SET state = 'dead', ended_at = now(), attempts = 9 WHERE id::text = ANY ($1)", sent[:2]
    )
    dead = ok(await operator.get(f"{one}/deliveries", params={"state": "dead"})).json()["data"]
    assert [each["id"] for each in dead] == sent[1::-1]
    again = await operator.post(f"{one}/deliveries/{sent[0]}/replay")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "pending", 0)
    assert (await operator.post(f"{one}/replay-dead")).json() == {"replayed": 1}
    assert (await operator.post(f"{one}/replay-dead")).json() == {"replayed": 0}


ENDED = """
UPDATE deliveries SET state = 'delivered', ended_at = now(), created_at = now() - make_interval(hours => $2)
 WHERE id::text = ANY ($1)
"""


async def test_replaying_since(acme: Tenant, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended since a moment is made again, some a call; the next goes on where that ended."""
    monkeypatch.setattr(deliveries, "REPLAY_AT_MOST", 2)
    hook = await a_hook(acme)
    operator, one = acme.callers.operator, f"{acme.v1}/destinations/{hook['id']}"
    sent = [(await operator.post(f"{one}/test")).json()["delivery_id"] for _ in range(5)]
    await owner.execute(ENDED, sent[:1], 48)
    await owner.execute(ENDED, sent[1:4], 1)
    since = {"since": (datetime.now(UTC) - timedelta(hours=24)).isoformat()}

    first = (await operator.post(f"{one}/replay-since", json=since)).json()
    assert first == {"replayed": 2, "next_after": sent[2]}
    await owner.execute(ENDED, sent[1:2], 1)  # it is taken while the rest is still asked for
    rest = await operator.post(f"{one}/replay-since", json={**since, "after": first["next_after"]})
    assert (rest.status_code, rest.json()) == (202, {"replayed": 1, "next_after": None})

    states = {row["id"]: row["state"] for row in (await operator.get(f"{one}/deliveries")).json()["data"]}
    assert [states[each] for each in sent] == ["delivered", "delivered", "pending", "pending", "pending"]
    turned_down(await operator.post(f"{one}/replay-since", json={"since": "yesterday"}), 400, "invalid")


async def test_what_a_receipt_has_still_to_say(acme: Tenant, owner: Connection) -> None:
    """Who was told of a departure is not told again before its receipt can say when they were told first."""
    first, other = await a_hook(acme), await a_hook(acme, label="other")
    maria = await acme.person("maria")
    ok(await acme.callers.operator.post(f"{acme.v1}/people/{maria['id']}/deactivate", json={}))
    async with open_fleet(acme.callers.database, Actor(ActorKind.SYSTEM, "relay"), RequestOrigin("test")) as fleet:
        await fanout.fan_out(fleet, limit=10_000, handled=("user.deactivated", "user.updated"))
    one = f"{acme.v1}/destinations/{first['id']}"
    told = "state = 'delivered', ended_at = now() WHERE destination_id::text = $1 AND topic = 'user.deactivated'"
    (sent,) = await owner.fetch(f"UPDATE deliveries SET {told} RETURNING id, message_id", first["id"])
    since = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    replay = f"{one}/deliveries/{sent['id']}/replay"

    async def is_refused() -> None:
        turned_down(await acme.callers.operator.post(replay), 409, "receipt_waits")
        assert (await acme.callers.operator.post(f"{one}/replay-since", json=since)).json()["replayed"] == 0

    await is_refused()
    await owner.execute("UPDATE outbox SET done_at = now() WHERE id = $1", sent["message_id"])  # it is settled
    await is_refused()
    await owner.execute(f"UPDATE deliveries SET {told}", other["id"])
    assert (await acme.callers.operator.post(replay)).status_code == 202


async def test_the_installations(callers: Callers, owner: Connection) -> None:
    """Ops register destinations of the installation, see what they were told of every tenant, and replay it."""
    operator = callers.operator
    made = await operator.post("/v1/destinations", json={"url": OUTSIDE, "label": "SIEM"})
    assert made.status_code == 201, made.text
    one = f"/v1/destinations/{made.json()['id']}"
    changed = ok(await operator.patch(one, json={"label": "our SIEM", "topics": ["user.deactivated"]}))
    assert changed.json()["label"] == "our SIEM"
    rotated = ok(await operator.post(f"{one}/rotate-secret", json={"overlap_seconds": 60})).json()
    assert rotated["live_secrets"] == 2
    assert rotated["secret"] != made.json()["secret"]
    sent = (await operator.post(f"{one}/test")).json()["delivery_id"]
    (told,) = ok(await operator.get(f"{one}/deliveries")).json()["data"]
    assert told["id"] == sent
    await owner.execute("UPDATE deliveries SET state = 'dead', ended_at = now() WHERE id::text = $1", sent)
    assert (await operator.post(f"{one}/deliveries/{sent}/replay")).status_code == 202
    assert (await operator.post(f"{one}/replay-dead")).json() == {"replayed": 0}
    assert ok(await operator.post(f"{one}/disable")).json()["disabled_because"] == "disabled by ops"
    assert ok(await operator.post(f"{one}/enable")).json()["state"] == "enabled"
    assert ok(await operator.get(one)).json()["id"] in [
        each["id"] for each in (await operator.get("/v1/destinations")).json()["data"]
    ]
    assert (await operator.delete(one)).status_code == 204
    turned_down(await operator.get(one), 404, "not_found")


async def test_a_topic_that_can_not_be_stored(acme: Tenant) -> None:
    """A NUL in a topic is refused like any other unknown word, and the refusal is written down."""
    topics = {"url": OUTSIDE, "label": "hook", "topics": ["user.\x00"]}
    answer = await acme.callers.operator.post(f"{acme.v1}/destinations", json=topics)
    assert answer.status_code == 400, answer.text


async def test_slow_names_hold_no_connection(acme: Tenant, app: Litestar, database: Database) -> None:
    """While a name is looked up no transaction is open: slow name servers do not keep others from the database."""
    rules, waiting, go_on = app.state.address_rules, 0, asyncio.Event()

    async def resolve(_host: str, _port: int) -> list[str]:
        nonlocal waiting
        waiting += 1
        await go_on.wait()
        return ["93.184.215.14"]

    made = await a_hook(acme)
    app.state.address_rules = replace(rules, resolve=resolve)
    try:
        wanted = {"url": "https://slow.example/", "label": "slow"}
        one = f"{acme.v1}/destinations/{made['id']}"
        calls = [
            asyncio.create_task(acme.callers.operator.post(f"{acme.v1}/destinations", json=wanted)),
            asyncio.create_task(acme.callers.operator.patch(one, json={"url": "https://moved.example/"})),
        ]
        async with asyncio.timeout(60):
            while waiting < len(calls):
                await asyncio.sleep(0.01)
        assert cast("Any", database.engine.pool).checkedout() == 0
        go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [201, 200]
    finally:
        app.state.address_rules = rules
