"""``rollcall destinations`` and ``rollcall outbox``: registered, tested, rotated, replayed and removed by hand."""

import re
from uuid import UUID, uuid4

import pytest

from cli.shell import Shell
from factories import Callers, a_tenant
from rollcall.db import Connection
from rollcall.events import deliveries
from rollcall.settings import Settings

OUTSIDE = "https://93.184.215.14/hook"


async def test_by_hand(settings: Settings, callers: Callers, owner: Connection) -> None:
    """Ops do with a tenant's destination, and with the installation's, what the management API does."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    # What other tests left waiting; only so many destinations are listed.
    await owner.execute(
        "UPDATE deliveries SET state = 'cancelled', ended_at = now() WHERE state IN ('pending', 'dead')"
    )
    for tenant, owner_id in ((acme.slug, UUID(acme.id)), ("@all", UUID(int=0))):
        made = await rollcall("destinations", "create", tenant, "--url", OUTSIDE, "--label", "by hand")
        assert re.search(r"^secret  whsec_\S+$", made.out, re.MULTILINE), made.err
        identifier = re.findall(r"^id      (\S+)$", made.out, re.MULTILINE)[0]
        assert "by hand" in (await rollcall("destinations", "list", tenant)).out

        assert (await rollcall("destinations", "test", tenant, identifier)).code == 0
        told = (await rollcall("destinations", "deliveries", tenant, identifier)).out
        assert "destination.tested" in told
        assert "pending" in told

        await owner.execute(
            "UPDATE deliveries SET state = 'dead', ended_at = now() WHERE destination_id = $1", UUID(identifier)
        )
        waiting = (await rollcall("outbox")).out
        assert identifier in waiting
        assert "by hand" in waiting
        replayed = await rollcall("outbox", "--replay")
        assert re.search(r"replayed: \d+ messages, [1-9]\d* deliveries", replayed.out), replayed.err
        state = await owner.fetchval("SELECT state FROM deliveries WHERE destination_id = $1", UUID(identifier))
        assert state == "pending"

        assert (await rollcall("destinations", "remove", tenant, identifier, "--yes")).code == 0
        again = await rollcall("destinations", "enable", tenant, identifier)
        assert (again.code, again.err.strip()) == (1, "There is no such destination.")
        removed = "SELECT deleted_at IS NOT NULL AND secrets = '[]' FROM destinations WHERE tenant_id = $1 AND id = $2"
        assert await owner.fetchval(removed, owner_id, UUID(identifier))


async def test_replaying_since(
    callers: Callers, settings: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything since a moment is made again by one command, however many calls that takes, and each once."""
    monkeypatch.setattr(deliveries, "REPLAY_AT_MOST", 2)
    rollcall, acme = Shell(settings), await a_tenant(callers)
    made = await callers.operator.post(f"{acme.v1}/destinations", json={"url": OUTSIDE, "label": "x"})
    hook = made.json()["id"]
    for _ in range(5):
        await callers.operator.post(f"{acme.v1}/destinations/{hook}/test")
    await owner.execute("UPDATE deliveries SET state = 'dead', ended_at = now() WHERE destination_id = $1", UUID(hook))

    again = ("destinations", "replay", acme.slug, hook, "--since")
    assert (await rollcall(*again, "9999-01-01")).well == "Made again: 0\n"
    assert (await rollcall(*again, "2026-01-01T10:00:00")).well == "Made again: 5\n"
    assert (await rollcall(*again, "2026-01-01")).well == "Made again: 0\n"
    assert "not both" in (await rollcall(*again, "2026-01-01", str(uuid4()))).misuse


async def test_inside(settings: Settings) -> None:
    """An address in one's own network is refused with the reason."""
    said = await Shell(settings)("destinations", "create", "@all", "--url", "https://127.0.0.1/", "--label", "x")
    assert said.code == 1
    assert "not public" in said.err


async def test_queues_are_apart(settings: Settings) -> None:
    """No worker takes from the queue of departures and from those of deliveries, nor from one that is none."""
    for queues in ("revocation,delivery", "revocation,delivery-slow", "nonsense"):
        said = await Shell(settings)("worker", "--queues", queues)
        assert said.code == 2
        assert "queue" in said.err or "run one worker" in said.err


async def test_a_label_does_not_drive_the_terminal(callers: Callers, settings: Settings) -> None:
    """A control character that a tenant's admin put into a label is made visible to ops."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    wanted = {"url": OUTSIDE, "label": "\x1b[2Jnone\nrow"}
    assert (await callers.operator.post(f"{acme.v1}/destinations", json=wanted)).status_code == 201
    listed = (await rollcall("destinations", "list", acme.slug)).out
    assert "\\x1b[2Jnone\\nrow" in listed
