"""Processes are killed between every two steps of the way from a departure to its receipt; nothing is lost.

PostgreSQL itself stops a process where the story wants it: a trigger waits for a lock that the story holds, in the
middle of the statement that the step is made of. There the process is killed.
"""

import asyncio
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from faults.departures import Company, Leaver, a_company
from faults.installation import CLAIM_SECONDS, DELIVERY, RELAY, SETTLING, Installation, Sql
from faults.receivers import Receiver, Receivers
from journeys.conftest import eventually

PEOPLE = 12
SOON = 3 * CLAIM_SECONDS + 10
"""Seconds within which everything a killed process had is done by another, which takes two to start."""

_LOCK = 4711
_WAIT = f"""
CREATE OR REPLACE FUNCTION wait_for_story() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_advisory_xact_lock({_LOCK});
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$
"""


@dataclass(frozen=True)
class Step:
    """A statement that is stopped in its middle, and whose process is killed there."""

    name: str
    kills: str
    table: str
    statement: str
    when: str = "true"
    told_again: bool = False
    """Whether the call had been taken by then, and nobody here could know."""


STEPS = (
    Step("relay, as it fans out", RELAY, "outbox", "UPDATE", "NEW.fanned_out_at IS DISTINCT FROM OLD.fanned_out_at"),
    Step("relay, fanned out, as it leases departures", RELAY, "outbox", "UPDATE", "NEW.attempts > OLD.attempts"),
    Step("relay, as it leases destinations", RELAY, "destinations", "UPDATE", "NEW.leased_until > now()"),
    Step("worker, as it purges sessions", SETTLING, "sessions", "DELETE"),
    Step("worker, as it writes the receipt", SETTLING, "receipts", "INSERT"),
    Step("worker, as it marks the departure done", SETTLING, "outbox", "UPDATE", "NEW.done_at > OLD.created_at"),
    Step("delivery, as it claims", DELIVERY, "deliveries", "UPDATE", "NEW.attempts > OLD.attempts"),
    Step("delivery, told, as it marks", DELIVERY, "deliveries", "UPDATE", "NEW.state <> OLD.state", told_again=True),
    Step(
        "delivery, marked, as it completes the receipt",
        DELIVERY,
        "receipts",
        "UPDATE",
        "NEW.completed_at IS NOT NULL",
        told_again=True,
    ),
    Step(
        "delivery, done, as it lets the destination go",
        DELIVERY,
        "destinations",
        "UPDATE",
        "NEW.leased_until < OLD.leased_until",
    ),
)


@contextmanager
def stopped_in(sql: Sql, step: Step) -> Generator[None]:
    """Whoever comes to *step* waits until the block ends."""
    sql.execute(_WAIT)
    sql.execute("SELECT pg_advisory_lock($1)", _LOCK)
    sql.execute(
        f"CREATE TRIGGER wait_for_story BEFORE {step.statement} ON {step.table} FOR EACH ROW WHEN ({step.when})"
        " EXECUTE FUNCTION wait_for_story()"
    )
    try:
        yield
    finally:
        sql.execute("SELECT pg_advisory_unlock($1)", _LOCK)
        sql.execute(f"DROP TRIGGER wait_for_story ON {step.table}")


def somebody_waits(sql: Sql) -> bool:
    """Whether a process has come to the step."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
    return sql.fetchval(waiting, _LOCK) > 0


def staffed(installation: Installation, receivers: Receivers) -> tuple[Company, Receiver]:
    """A company with people who will leave, and somebody who wants to know."""
    receiver = receivers.listen("hook")
    return a_company(installation, receiver), receiver


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_killed_in_a_step(installation: Installation, receivers: Receivers, step: Step) -> None:
    """Whoever is killed in a step has done nothing or all of it; another does the rest, and the receipt is true."""
    company, _ = staffed(installation, receivers)
    people = company.hire(PEOPLE)
    with installation.sql() as sql:
        with stopped_in(sql, step):
            company.dismiss(people)
            eventually(lambda: somebody_waits(sql))
            installation.kill(step.kills)
        installation.start(step.kills)
    company.settle(step.name, within=SOON, once=not step.told_again)


def test_killed_between_lease_and_publishing(installation: Installation, receivers: Receivers) -> None:
    """A relay killed with leases in its hand: they run out, and the next relay hands everything over."""
    company, _ = staffed(installation, receivers)
    people = company.hire(PEOPLE)
    with installation.sql() as sql, installation.broker() as broker:
        broker.client_pause(60_000, all=False)  # whoever wants to write waits: the relay, in the middle of publishing
        try:
            dismissal = threading.Thread(target=company.dismiss, args=[people])
            dismissal.start()
            leased = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND attempts > 0 AND next_try_at > now()"
            eventually(lambda: sql.fetchval(leased, company.id))
            installation.kill(RELAY)
            dismissal.join()
        finally:
            broker.client_unpause()
    installation.start(RELAY)
    company.settle("relay, leased, as it publishes", within=SOON)


def test_killed_with_tasks_taken_and_not_begun(installation: Installation, receivers: Receivers) -> None:
    """Workers killed after the broker gave them tasks, before they began: the leases run out."""
    company, _ = staffed(installation, receivers)
    people = company.hire(PEOPLE)
    with with_stopped_workers(installation, company, people):
        installation.kill(SETTLING, DELIVERY)
    installation.start(SETTLING)
    installation.start(DELIVERY)
    company.settle("both workers, tasks taken and not begun", within=SOON)


def test_the_broker_forgets(installation: Installation, receivers: Receivers) -> None:
    """What had been published and not taken is gone with the broker, and is published again."""
    company, _ = staffed(installation, receivers)
    people = company.hire(PEOPLE)
    with with_stopped_workers(installation, company, people):
        installation.engines.valkey.restart()
        installation.signal(signal.SIGCONT, SETTLING, DELIVERY)
    company.settle("the broker, tasks published and not taken", within=SOON)


@contextmanager
def with_stopped_workers(installation: Installation, company: Company, people: list[Leaver]) -> Generator[None]:
    """Have people leave while the workers stand still, up to the moment when all is published."""
    installation.signal(signal.SIGSTOP, SETTLING, DELIVERY)
    company.dismiss(people)
    with installation.broker() as broker:
        eventually(lambda: broker.llen("revocation"))
    with installation.sql() as sql:
        unpublished = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND done_at IS NULL AND attempts = 0"
        eventually(lambda: not sql.fetchval(unpublished, company.id))
    yield


def test_killed_between_claim_and_call(installation: Installation, receivers: Receivers) -> None:
    """A worker killed after its claim, before its call: the claim runs out, and each is told once."""
    company, receiver = staffed(installation, receivers)
    people = company.hire(PEOPLE)
    installation.signal(signal.SIGSTOP, DELIVERY)
    company.dismiss(people)
    with installation.sql() as sql, installation.sql() as watcher:
        settled = "SELECT count(*) FROM receipts WHERE tenant_id = $1"
        eventually(lambda: watcher.fetchval(settled, company.id) == PEOPLE)
        sql.execute("BEGIN")
        sql.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")  # what is claimed can't be worded now
        installation.signal(signal.SIGCONT, DELIVERY)
        wording = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM outbox%'"
        eventually(lambda: watcher.fetchval(wording))
        installation.kill(DELIVERY)
        sql.execute("ROLLBACK")
    assert receiver.heard == []
    installation.start(DELIVERY)
    company.settle("delivery, claimed, before it calls", within=SOON)


def test_killed_in_a_call(installation: Installation, receivers: Receivers) -> None:
    """A worker killed while a receiver is taking its time: it is told again under the same id."""
    release = threading.Event()

    async def take_your_time() -> int:
        while not release.is_set():
            await asyncio.sleep(0.02)
        return 204

    receiver = receivers.listen("hook", take_your_time)
    company = a_company(installation, receiver)
    company.dismiss(company.hire(PEOPLE))
    eventually(lambda: receiver.heard)
    installation.kill(DELIVERY)
    release.set()
    installation.start(DELIVERY)
    figures = company.settle("delivery, in the middle of a call", within=SOON, once=False)
    assert figures.repeats <= 10, "no more than were being called"
