"""Measuring: an operation and what it is held against in turns, so that both have the same weather."""

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from statistics import median

import psutil

from benchmarks.goals import Comparison
from benchmarks.load import Load, Outcome, run
from benchmarks.operations import Operation, Target
from benchmarks.servers import Server, cpu_seconds

SETTLING_SECONDS = 0.6
"""What requests leave to be written down later is written by then, and still counts as theirs."""

SHARE_OF_CAPACITY = 0.6
"""Requests arrive at this share of the rate that the closed loop reached, to see how long one takes without a queue."""

MORE_CONNECTIONS = 4
"""So many times the connections for requests that arrive at a rate: they are not to wait for one."""

MOST_CHANGES_A_SECOND = 2_500
"""So many requests are made ready for each second of an operation whose requests can't be repeated."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One operation's turn: how fast it went, and what it took."""

    rate: float
    """Answers a second, or people a second where a request is about several."""
    latency_p50: float
    latency_p99: float
    web_cpu: float
    """Seconds of processor time for each request in the web process and its parent."""
    postgres_cpu: float
    answered: int
    stalls: float
    """How often a minute nothing was answered for more than 25 ms."""
    longest_stall: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An operation and what it is held against, measured one right after the other."""

    operation: Turn
    against: Turn


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rounds of one comparison say together: medians, because noise from outside comes in bursts."""

    comparison: Comparison
    pairs: Sequence[Pair]
    paced_p99: float
    """Seconds that 99 of 100 requests took at most when they came at `SHARE_OF_CAPACITY`."""

    @property
    def ratio(self) -> float:
        """The operation's rate as a share of what it is held against."""
        return median(pair.operation.rate / pair.against.rate for pair in self.pairs)

    @property
    def cpu_ratio(self) -> float:
        """The same in processor time of the web process: what it would be, had this process the machine to itself."""
        return median(pair.against.web_cpu / pair.operation.web_cpu for pair in self.pairs)

    @property
    def reached(self) -> bool | None:
        """Whether the rates meet the goal; ``None`` when there is none."""
        if self.comparison.rate_goal is not None:
            return self.middle(lambda turn: turn.rate) >= self.comparison.rate_goal
        return None if self.comparison.goal is None else self.ratio >= self.comparison.goal

    def middle(self, read: Callable[[Turn], float]) -> float:
        """The median of something about the operation's turns."""
        return median(read(pair.operation) for pair in self.pairs)

    def middle_against(self, read: Callable[[Turn], float]) -> float:
        """The same about what it is held against."""
        return median(read(pair.against) for pair in self.pairs)

    @property
    def longest_stall(self) -> float:
        """The longest of all rounds, in seconds."""
        return max(pair.operation.longest_stall for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers under load, and the process the load comes from."""

    servers: dict[Target, Server]
    postgres: dict[Target, psutil.Process]
    """The PostgreSQL that each server asks; none for one that has its people in memory."""
    generator: ProcessPoolExecutor
    connections: int
    seconds: float

    def turn(self, operation: Operation) -> Turn:
        """Let *operation* have its turn.

        Raises:
            UnexpectedAnswer: a server answered something else than what is being measured.
        """
        web, postgres = self.servers[operation.target].process, self.postgres.get(operation.target)
        load = self._load(operation, MOST_CHANGES_A_SECOND)
        before = cpu_seconds(web), cpu_seconds(postgres)
        outcome = self.generator.submit(run, load).result()
        if operation.target not in (Target.FLOOR, Target.PEER):
            time.sleep(SETTLING_SECONDS)
        after = cpu_seconds(web), cpu_seconds(postgres)
        return Turn(
            rate=outcome.rate * operation.people,
            latency_p50=_percentile(outcome, 0.50),
            latency_p99=_percentile(outcome, 0.99),
            web_cpu=(after[0] - before[0]) / outcome.sent / operation.people,
            postgres_cpu=(after[1] - before[1]) / outcome.sent / operation.people,
            answered=outcome.sent,
            stalls=outcome.stalls / outcome.seconds * 60,
            longest_stall=outcome.longest_stall,
        )

    def paced(self, operation: Operation, rate: float) -> float:
        """Have requests come at *rate*, in people a second; returns the p99 of what they took, in seconds.

        Raises:
            UnexpectedAnswer: as for `turn`.
        """
        requests = max(rate / operation.people, 0.1)
        load = replace(
            self._load(operation, rate * 1.1),
            arrivals=requests,
            connections=(operation.connections or self.connections) * MORE_CONNECTIONS,
        )
        return _percentile(self.generator.submit(run, load).result(), 0.99)

    def _load(self, operation: Operation, people_a_second: float) -> Load:
        return Load(
            port=self.servers[operation.target].port,
            requests=operation.write(
                int(self.seconds * people_a_second / operation.people) + (100 if operation.people == 1 else 10)
            ),
            again=operation.again,
            status=operation.status,
            holds=operation.holds,
            connections=operation.connections or self.connections,
            seconds=self.seconds,
        )

    def compare(self, comparison: Comparison, rounds: int) -> Finding:
        """Measure both sides in turns, each round in the other order."""
        pairs: list[Pair] = []
        for number in range(rounds):
            if number % 2:
                operation = self.turn(comparison.operation)
                pairs.append(Pair(operation, self.turn(comparison.against)))
            else:
                against = self.turn(comparison.against)
                pairs.append(Pair(self.turn(comparison.operation), against))
        capacity = median(pair.operation.rate for pair in pairs)
        return Finding(comparison, pairs, self.paced(comparison.operation, SHARE_OF_CAPACITY * capacity))


@contextmanager
def ready(
    servers: dict[Target, Server], postgres: dict[Target, psutil.Process], *, connections: int, seconds: float
) -> Generator[Bench]:
    """Make the process that the load comes from, for as long as the block runs."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator:
        yield Bench(servers, postgres, generator, connections, seconds)


def _percentile(outcome: Outcome, share: float) -> float:
    return outcome.latencies[int((len(outcome.latencies) - 1) * share)] if outcome.latencies else 0.0
