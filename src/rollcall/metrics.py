"""Figures for Prometheus: what is counted and timed, and how it is added up over the processes of one command.

No label ever names a tenant or a person: figures are read by more people than the audit is, and each value of a label
is a series of its own. What labels say comes from lists of ours: addresses as declared, codes, names of tasks.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4"

_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Bounds of what is timed: a read, a write, a page, a wait somebody notices, one they complain of, a deadline."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"})
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The folder in which processes share their figures, as prometheus_client names it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be told, and since when, of one kind."""

    kind: str
    waiting: int
    dead: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class SeatFigures:
    """Where all tenants together stand with their seats."""

    used: int
    """Active people of tenants whose plan has a number of seats."""
    allowed: int
    full: int
    """Tenants without a seat left."""
    over: int
    """Tenants with more people than seats."""
    longest_full_seconds: float


@dataclass(frozen=True, slots=True)
class PaymentFigures:
    """Where all customers of payment providers together stand."""

    customers: int
    """Those that are tenants."""
    parked: int
    """Those that are none."""
    waiting: int
    """Customers of whom something was heard that was not asked about yet."""
    oldest_waiting_seconds: float
    """How long the oldest of that has waited."""
    failing: int
    """Tenants' customers that could not be asked about the last time."""
    oldest_answer_seconds: float
    """How long ago the tenant's customer was asked about for whom that is longest."""


@dataclass(frozen=True, slots=True)
class OfDatabase:
    """What the database alone can say; None is nothing of that."""

    lag: Sequence[Waiting] | None = None
    seats: SeatFigures | None = None
    alerts: Mapping[str, int] | None = None
    payment: PaymentFigures | None = None


class Figures:
    """All figures of a process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        call = ("method", "route", "outcome", "profile")
        self.calls = Counter("rollcall_calls", "Calls answered.", call, registry=registry)
        self.call_seconds = Histogram(
            "rollcall_call_seconds",
            "Seconds from a call's arrival to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "rollcall_refusals", "Refused calls by reason.", ("surface", "reason"), registry=registry
        )
        self.verdicts = Counter(
            "rollcall_gate_refusals",
            "SCIM calls that ended at the gate, by its verdict.",
            ("verdict",),
            registry=registry,
        )
        self.pool_wait_seconds = Histogram(
            "rollcall_pool_wait_seconds",
            "Seconds that a hot statement waited for a connection; one that need not wait is not counted.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.stall_seconds = Histogram(
            "rollcall_loop_stall_seconds",
            "Seconds that the event loop stood still, of the times it did for more than 25 ms.",
            buckets=(0.05, 0.1, 0.25, 1.0, 5.0),
            registry=registry,
        )
        self.traces_dropped = Counter("rollcall_traces_dropped", "Entries of reads that were lost.", registry=registry)
        self.tasks_started = Counter("rollcall_tasks_started", "Tasks begun.", ("task",), registry=registry)
        self.tasks = Counter("rollcall_tasks", "Tasks by what became of them.", ("task", "outcome"), registry=registry)
        self.task_seconds = Histogram(
            "rollcall_task_seconds",
            "Seconds that a task took.",
            ("task",),
            buckets=(*_SECONDS, 60.0),
            registry=registry,
        )
        self.deliveries = Counter(
            "rollcall_deliveries", "Attempts to tell a destination, by outcome.", ("outcome",), registry=registry
        )
        self.payment = Counter(
            "rollcall_billing_asked",
            "Times that a payment provider was asked about a customer, by outcome.",
            ("outcome",),
            registry=registry,
        )
        self._of_relay(registry)
        self.lag: Sequence[Waiting] | None = None
        """What this process last learned of the backlog, if it asks; that is nobody's to add up."""
        self._by_call: dict[tuple[str, str, str, str], Counter] = {}
        self._by_route: dict[tuple[str, str], Histogram] = {}

    def _of_relay(self, registry: CollectorRegistry) -> None:
        self.handed_over = Counter(
            "rollcall_relay_tasks", "Tasks that the relay handed to the broker.", ("queue",), registry=registry
        )
        self.rounds = Counter("rollcall_relay_rounds", "Rounds of the relay.", ("outcome",), registry=registry)
        self.last_round = Gauge(
            "rollcall_relay_last_round_timestamp_seconds",
            "When the relay last ended a round that went well.",
            multiprocess_mode="mostrecent",
            registry=registry,
        )

    def call(self, method: str, route: str, status: int, profile: str, seconds: float) -> None:
        """Count a call that was answered with *status*; 0 is one whose caller went away before."""
        if method not in _METHODS:
            method = "other"
        key = (method, route, _OUTCOMES[status // 100], profile)
        counted = self._by_call.get(key)
        if counted is None:
            counted = self._by_call[key] = self.calls.labels(*key)
        timed = self._by_route.get(key[:2])
        if timed is None:
            timed = self._by_route[key[:2]] = self.call_seconds.labels(*key[:2])
        counted.inc()
        timed.observe(seconds)


_OUTCOMES = ("aborted", "answered", "answered", "answered", "refused", "failed")
"""What became of a call, by the first digit of its status."""

_current: list[Figures] = []


class _Uncounted:
    """Figures that take everything and count nothing."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_args: object, **_kwargs: object) -> Any:
        return self


_aside: ContextVar[Figures | None] = ContextVar("figures aside", default=None)


@contextmanager
def uncounted() -> Generator[None]:
    """Have what is done in the block, and in tasks that it starts, count in no figure: it is a rehearsal."""
    before = _aside.set(cast("Figures", _Uncounted()))
    try:
        yield
    finally:
        _aside.reset(before)


def figures() -> Figures:
    """The figures of this process, made when they are first needed."""
    if (aside := _aside.get()) is not None:
        return aside
    if not _current:
        _current.append(Figures())
    return _current[0]


@contextmanager
def shared() -> Generator[None]:
    """Have this process and all that it forks or starts add up their figures, until the block ends.

    Each process writes to files of its own in a folder that is gone afterwards.
    """
    with TemporaryDirectory(prefix="rollcall-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[_MULTIPROCESS] = folder
        # What prometheus_client does when it is imported with the variable set; a fork finds it imported already.
        cast("Any", values).ValueClass = cast("Any", values).MultiProcessValue()
        _current.clear()
        try:
            yield
        finally:
            del os.environ[_MULTIPROCESS]


class _Lag(Collector):
    """What waits in the database."""

    def __init__(self, lag: Iterable[Waiting]) -> None:
        self._lag = lag

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("rollcall_outbox_waiting", "What is not told yet.", labels=["kind"])
        dead = GaugeMetricFamily("rollcall_outbox_dead", "What was given up after three days.", labels=["kind"])
        oldest = GaugeMetricFamily(
            "rollcall_outbox_oldest_seconds", "How long the oldest of what is not told yet has waited.", labels=["kind"]
        )
        for each in self._lag:
            waiting.add_metric([each.kind], each.waiting)
            dead.add_metric([each.kind], each.dead)
            oldest.add_metric([each.kind], each.oldest_seconds)
        return (waiting, dead, oldest)


class _Seats(Collector):
    """Seats, over all tenants; who is full is said by ``/v1`` and by commands."""

    def __init__(self, seats: SeatFigures) -> None:
        self._seats = seats

    def collect(self) -> Iterable[Metric]:
        seats = self._seats
        yield GaugeMetricFamily("rollcall_seats_used", "Active people of tenants that have seats.", seats.used)
        yield GaugeMetricFamily("rollcall_seats_allowed", "Seats of all tenants that have some.", seats.allowed)
        yield GaugeMetricFamily("rollcall_tenants_full", "Tenants without a seat left.", seats.full)
        yield GaugeMetricFamily("rollcall_tenants_over_seats", "Tenants with more people than seats.", seats.over)
        said = "How long the tenant that is full for longest has been so."
        yield GaugeMetricFamily("rollcall_seats_full_seconds", said, seats.longest_full_seconds)


class _Alerts(Collector):
    """Alerts that are open in the database."""

    def __init__(self, number: Mapping[str, int]) -> None:
        self._number = number

    def collect(self) -> Iterable[Metric]:
        alerts = GaugeMetricFamily("rollcall_alerts_open", "Alerts that are open, of all tenants.", labels=["kind"])
        for kind, number in self._number.items():
            alerts.add_metric([kind], number)
        return (alerts,)


class _Payment(Collector):
    """Customers of payment providers, over all tenants; which they are is said by ``/v1`` and by commands."""

    def __init__(self, payment: PaymentFigures) -> None:
        self._payment = payment

    def collect(self) -> Iterable[Metric]:
        found = self._payment
        for name, said, value in (
            ("customers", "Customers of payment providers that are tenants.", found.customers),
            ("parked", "Customers of payment providers that are no tenant's.", found.parked),
            ("waiting", "Customers of whom something was heard that was not asked about yet.", found.waiting),
            ("oldest_waiting_seconds", "How long the oldest of that has waited.", found.oldest_waiting_seconds),
            ("failing", "Customers that could not be asked about the last time.", found.failing),
            ("oldest_answer_seconds", "How old the oldest answer about a customer is.", found.oldest_answer_seconds),
        ):
            yield GaugeMetricFamily(f"rollcall_billing_{name}", said, value)


def exposition(asked_of: OfDatabase | None = None) -> bytes:
    """All figures as Prometheus reads them: of every process that shares them, or of this one if none does.

    It reads files; on an event loop call it in a thread. What the database alone knows is said where it was asked.
    """
    if os.environ.get(_MULTIPROCESS):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    else:
        registry = figures().registry
    text = generate_latest(registry)
    found = asked_of or OfDatabase()
    lag = figures().lag if found.lag is None else found.lag
    asked: list[Collector] = [] if lag is None else [_Lag(lag)]
    asked += [] if found.seats is None else [_Seats(found.seats)]
    asked += [] if found.alerts is None else [_Alerts(found.alerts)]
    asked += [] if found.payment is None else [_Payment(found.payment)]
    for collector in asked:
        of_database = CollectorRegistry()
        of_database.register(collector)
        text += generate_latest(of_database)
    return text
