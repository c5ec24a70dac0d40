"""The broker, then the database, goes away in the middle of a thousand departures."""

import signal
import threading
import time
from collections.abc import Sequence

import psutil

from faults.departures import Leaver, a_company
from faults.installation import CLAIM_SECONDS, Installation
from faults.receivers import Receivers
from journeys.conftest import eventually

PEOPLE = 1000
OUTAGE_SECONDS = 60.0
A_SECOND = 15
"""So slow that people are still leaving when the broker comes back."""


def test_the_broker_is_away(installation: Installation, receivers: Receivers) -> None:
    """While Valkey is away people leave as fast as ever and are refused at once; when it is back all is told, once."""
    company = a_company(installation, receivers.listen("hook"))
    people = company.hire(PEOPLE)
    valkey = installation.engines.valkey
    begun = time.monotonic()
    dismissal = threading.Thread(target=company.dismiss, args=[people], kwargs={"per_second": A_SECOND})
    dismissal.start()
    eventually(lambda: company.completed() > 20)
    valkey.stop()
    try:
        time.sleep(OUTAGE_SECONDS)
        told = company.completed()
    finally:
        valkey.start()
    dismissal.join()
    assert time.monotonic() - begun < PEOPLE / A_SECOND + 5, "nobody had to wait for the broker"
    assert told < 100, "it was away"
    figures = company.settle(f"the broker away for {OUTAGE_SECONDS:.0f} s", within=120)
    assert figures.tried_again == 0
    assert figures.slowest_answer < 2


def test_the_database_is_restarted(installation: Installation, receivers: Receivers) -> None:
    """PostgreSQL is restarted, and later one of its processes is killed: whatever was answered stands, and is told."""
    company = a_company(installation, receivers.listen("hook"))
    people = company.hire(PEOPLE)
    dismissal = threading.Thread(target=company.dismiss, args=[people], kwargs={"per_second": 60})
    dismissal.start()
    postgres = installation.engines.postgres
    eventually(lambda: answered(people) >= PEOPLE // 5, within=60)
    postgres.restart()
    eventually(lambda: answered(people) >= PEOPLE // 2, within=60)
    crash(psutil.Process(postgres.process.pid))
    assert answered(people) < PEOPLE
    dismissal.join()
    figures = company.settle("the database restarted, then crashed", within=120 + CLAIM_SECONDS, once=False)
    assert figures.tried_again > 0, "somebody noticed"


def answered(people: Sequence[Leaver]) -> int:
    """How many departures have been answered."""
    return sum(leaver.answered_at > 0 for leaver in people)


def crash(postmaster: psutil.Process) -> None:
    """Kill one of PostgreSQL's processes; it ends all others then, and recovers as after a crash."""
    serving = [each for each in postmaster.children() if "rollcall_web" in " ".join(each.cmdline())]
    serving[0].send_signal(signal.SIGKILL)
