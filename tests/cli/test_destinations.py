"""``rollcall destinations`` and ``rollcall outbox``: registered, tested, rotated, replayed and removed by hand."""

import re
from uuid import UUID

from cli.shell import rollcall
from factories import Callers, a_tenant
from rollcall.db import Connection
from rollcall.settings import Settings

OUTSIDE = "https://93.184.215.14/hook"


async def test_by_hand(settings: Settings, callers: Callers, owner: Connection) -> None:
    """Ops do with a tenant's destination, and with the installation's, what the management API does."""
    acme = await a_tenant(callers)
    for tenant, owner_id in ((acme.slug, UUID(acme.id)), ("@all", UUID(int=0))):
        made = rollcall(settings, "destinations", "create", tenant, "--url", OUTSIDE, "--label", "by hand")
        assert re.search(r"^secret  whsec_\S+$", made.stdout, re.MULTILINE), made.stderr
        identifier = re.findall(r"^id      (\S+)$", made.stdout, re.MULTILINE)[0]
        assert "by hand" in rollcall(settings, "destinations", "list", tenant).stdout

        assert rollcall(settings, "destinations", "test", tenant, identifier).returncode == 0
        told = rollcall(settings, "destinations", "deliveries", tenant, identifier).stdout
        assert "destination.tested" in told
        assert "pending" in told

        await owner.execute(
            "UPDATE deliveries SET state = 'dead', ended_at = now() WHERE destination_id = $1", UUID(identifier)
        )
        waiting = rollcall(settings, "outbox").stdout
        assert identifier in waiting
        assert "by hand" in waiting
        replayed = rollcall(settings, "outbox", "--replay")
        assert re.search(r"replayed: \d+ messages, [1-9]\d* deliveries", replayed.stdout), replayed.stderr
        state = await owner.fetchval("SELECT state FROM deliveries WHERE destination_id = $1", UUID(identifier))
        assert state == "pending"

        assert rollcall(settings, "destinations", "remove", tenant, identifier, "--yes").returncode == 0
        again = rollcall(settings, "destinations", "enable", tenant, identifier)
        assert (again.returncode, again.stderr.strip()) == (1, "There is no such destination.")
        removed = "SELECT deleted_at IS NOT NULL AND secrets = '[]' FROM destinations WHERE tenant_id = $1 AND id = $2"
        assert await owner.fetchval(removed, owner_id, UUID(identifier))


def test_inside(settings: Settings) -> None:
    """An address in one's own network is refused with the reason."""
    said = rollcall(settings, "destinations", "create", "@all", "--url", "https://127.0.0.1/", "--label", "x")
    assert said.returncode == 1
    assert "not public" in said.stderr


def test_queues_are_apart(settings: Settings) -> None:
    """No worker takes from the queue of departures and from those of deliveries, nor from one that is none."""
    for queues in ("revocation,delivery", "revocation,delivery-slow", "nonsense"):
        said = rollcall(settings, "worker", "--queues", queues)
        assert said.returncode == 2
        assert "queue" in said.stderr or "run one worker" in said.stderr


async def test_a_label_does_not_drive_the_terminal(callers: Callers, settings: Settings) -> None:
    """A control character that a tenant's admin put into a label is made visible to ops."""
    acme = await a_tenant(callers)
    wanted = {"url": OUTSIDE, "label": "\x1b[2Jnone\nrow"}
    assert (await callers.operator.post(f"{acme.v1}/destinations", json=wanted)).status_code == 201
    listed = rollcall(settings, "destinations", "list", acme.slug).stdout
    assert "\\x1b[2Jnone\\nrow" in listed
