"""What happens when a part of the machinery is away at the moment somebody leaves: it is later, and never lost."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest

from journeys.conftest import Customer, Product, eventually


@asynccontextmanager
async def owning(url: str) -> AsyncGenerator[Any]:
    """A connection that is closed as the block ends."""
    connection = await cast("Any", asyncpg).connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.slow
def test_a_worker_is_killed_in_the_middle(product: Product, customer: Customer) -> None:
    """The lease of the killed worker runs out, the message comes again, and there is one receipt."""
    maria = customer.create("maria@acme.test")
    session = customer.session(maria).json()["token"]

    async def kill_while_it_settles() -> None:
        url = product.engines.postgres.superuser_url.removesuffix("/postgres") + "/rollcall"
        async with owning(url) as holder, owning(url) as watcher, holder.transaction():
            # Whoever writes the receipt now has to wait for this lock, in the middle of its work.
            await holder.execute("LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE")
            left = await asyncio.to_thread(customer.deactivate, maria)
            assert left.status_code == 200
            assert not await asyncio.to_thread(product.is_live, session)
            waiting = "SELECT true FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%settle_dep%'"
            async with asyncio.timeout(20):
                while not await watcher.fetchval(waiting):
                    await asyncio.sleep(0.05)
            for process in reversed(product.processes("worker")):
                process.send_signal(signal.SIGKILL)

    asyncio.run(kill_while_it_settles())
    (receipt,) = eventually(lambda: customer.receipts(maria), within=40)
    assert receipt["closed"] == {"sessions": 1, "tokens": 0, "passkeys": 0, "external": 0, "passwords": 0}
    assert eventually(lambda: product.processes("worker"))


def test_valkey_is_away_while_somebody_leaves(product: Product, customer: Customer) -> None:
    """The SCIM answer does not wait, the session is refused at once, and the receipt follows when Valkey is back."""
    people = [customer.create(f"leaver-{number}@acme.test") for number in range(20)]
    sessions = [customer.session(person).json()["token"] for person in people]

    product.engines.valkey.stop()
    try:
        took: list[float] = []
        for person, session in zip(people, sessions, strict=True):
            left = customer.deactivate(person)
            assert left.status_code == 200
            took.append(left.elapsed.total_seconds())
            assert not product.is_live(session)
        assert median(took) < 2, took  # the machine may be busy for one of them or another
        assert product.operator.get("/health/ready").json()["checks"]["broker"].startswith("degraded")
    finally:
        product.engines.valkey.start()

    for person in people:
        (receipt,) = eventually(lambda person=person: customer.receipts(person), within=60)
        assert receipt["closed"] == {"sessions": 1, "tokens": 0, "passkeys": 0, "external": 0, "passwords": 0}
        assert receipt["purged"]["sessions"] == 1


def test_no_secret_is_in_any_log(product: Product, customer: Customer) -> None:
    """Nothing that opens a door stands in what the processes wrote, whatever was called with it."""
    maria = customer.create("maria@acme.test", password="correct horse battery")
    session = customer.session(maria).json()["token"]
    wrong = customer.token["token"][:-9] + "a" * 2 + customer.token["token"][-7:]
    product.provider(wrong).get("/Users")
    product.provider(customer.token["token"]).get("/Users", params={"filter": f'userName eq "{session}"'})
    product.operator.get(f"/v1/tenants/{session}")
    customer.deactivate(maria)
    eventually(lambda: customer.receipts(maria))

    written = "".join(path.read_text() for path in (product.data_dir / "logs").iterdir())
    assert maria["id"] in written or "departure settled" in written, "the logs are where we look for them"
    assert "correct horse battery" not in written
    keys = (product.ready["operator_key"], product.ready["application_key"])
    for token in (session, wrong, customer.token["token"], *keys):
        secret = token.split("_")[4]
        assert secret not in written
