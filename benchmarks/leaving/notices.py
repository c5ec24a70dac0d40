"""How long until everybody knows: from the answer to the webhook's call and to the receipt, at three paces."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from benchmarks.http_client import HttpClient
from benchmarks.leaving.installation import Installation, Leaver, leave

IDLE_SECONDS = 0.6
"""Between two departures while there is nothing else to do; spread by as much again."""


PACE = 50
"""Departures a second, under load."""


WAITING_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Notices:
    """How long it took until the webhook's receiver knew, and until there was a receipt. Seconds."""

    departures: int
    a_second: float
    """Departures that were answered in a second."""
    told_p50: float
    told_p99: float
    slowest_told: float
    told_twice: int
    told_a_second: float
    """Of the departures, from the first answer to the last call."""
    receipt_p50: float
    receipt_p99: float
    slowest_receipt: float
    last_told: float
    """From the first answer to the last call."""
    all_done: float
    """From the first answer to the last receipt."""
    bound_met: int
    """Receipts that say that everybody was told within the bound."""
    processor: dict[str, float]
    """Milliseconds of processor time that each part took for a departure, from the first one to the last receipt."""


async def warm_up(installation: Installation) -> None:
    """Have somebody leave and wait for the receipt: by then every part has started."""
    leavers = await asyncio.to_thread(installation.leavers, 20)
    await _over_connections(installation, leavers, 1, lambda _: 0.0)
    await _until_all_noticed(installation, leavers)


def one_by_one(loop: asyncio.Runner, installation: Installation, count: int) -> Notices:
    """Departures at moments that have nothing to do with the relay's, while there is nothing else to do."""
    leavers = installation.leavers(count)
    lot = random.Random(8935)

    async def measure() -> Notices:
        answered: dict[str, float] = {}
        before = installation.processor_seconds()
        async with HttpClient(installation.port) as provider:
            for leaver in leavers:
                await asyncio.sleep(IDLE_SECONDS * (1 + lot.random()))
                await leave(provider, leaver)
                answered[str(leaver.id)] = time.monotonic()
        return await _noticed(installation, leavers, answered, before)

    return _said("one by one", loop.run(measure()))


def at_pace(loop: asyncio.Runner, installation: Installation, count: int) -> Notices:
    """Departures at a pace that this machine keeps up with."""
    leavers = installation.leavers(count)

    async def measure() -> Notices:
        begun, before = time.monotonic(), installation.processor_seconds()
        answered = await _over_connections(installation, leavers, 16, lambda position: begun + position / PACE)
        return await _noticed(installation, leavers, answered, before)

    return _said(f"{PACE} a second", loop.run(measure()))


def at_once(
    loop: asyncio.Runner,
    installation: Installation,
    count: int,
    connections: int,
    say: Callable[[str], None] = click.echo,
) -> Notices:
    """Departures as fast as they are answered."""
    leavers = installation.leavers(count)

    async def measure() -> Notices:
        before = installation.processor_seconds()
        answered = await _over_connections(installation, leavers, connections, lambda _: 0.0)
        return await _noticed(installation, leavers, answered, before)

    return _said("as fast as they go", loop.run(measure()), say)


async def _over_connections(
    installation: Installation, leavers: Sequence[Leaver], connections: int, not_before: Callable[[int], float]
) -> dict[str, float]:
    """Have people leave over so many connections, each when it is their turn; returns when each was answered."""
    waiting = deque(enumerate(leavers))
    answered: dict[str, float] = {}

    async def run() -> None:
        async with HttpClient(installation.port) as provider:
            while waiting:
                position, leaver = waiting.popleft()
                await asyncio.sleep(max(0.0, not_before(position) - time.monotonic()))
                await leave(provider, leaver)
                answered[str(leaver.id)] = time.monotonic()

    await asyncio.gather(*(run() for _ in range(connections)))
    return answered


async def _noticed(
    installation: Installation, leavers: Sequence[Leaver], answered: Mapping[str, float], before: Mapping[str, float]
) -> Notices:
    """Wait until everybody was told of and has a receipt; *before* is what processor time each part had taken."""
    await _until_all_noticed(installation, leavers)
    done, after = time.monotonic(), installation.processor_seconds()
    notified, (receipts, met) = await installation.notified(), await installation.receipts(leavers)
    delays = sorted(notified[person][1] - at for person, at in answered.items())
    first, last = min(answered.values()), max(answered.values())
    last_told = max(notified[person][1] for person in answered)
    return Notices(
        departures=len(leavers),
        a_second=len(leavers) / max(last - first, 1e-3),
        told_p50=_share(delays, 0.5),
        told_p99=_share(delays, 0.99),
        slowest_told=delays[-1],
        told_twice=sum(notified[person][0] > 1 for person in answered),
        told_a_second=len(leavers) / max(last_told - first, 1e-3),
        receipt_p50=_share(receipts, 0.5),
        receipt_p99=_share(receipts, 0.99),
        slowest_receipt=receipts[-1],
        last_told=last_told - first,
        all_done=done - first,
        bound_met=met,
        processor={name: (after[name] - before[name]) / len(leavers) * 1e3 for name in after},
    )


async def _until_all_noticed(installation: Installation, leavers: Sequence[Leaver]) -> None:
    deadline = time.monotonic() + WAITING_SECONDS
    while (completed := await installation.completed(leavers)) < len(leavers):
        if time.monotonic() > deadline:
            raise click.ClickException(f"{completed:,} of {len(leavers):,} receipts, and no more")
        await asyncio.sleep(0.5)


def _said(name: str, told: Notices, say: Callable[[str], None] = click.echo) -> Notices:
    say(
        f"{name}: {told.departures:,} departures, {told.a_second:,.0f} a second\n"
        f"  webhook received after {told.told_p50 * 1e3:,.0f} ms (p50), {told.told_p99 * 1e3:,.0f} ms (p99), "
        f"{told.slowest_told:.2f} s (slowest); {told.told_a_second:,.0f} a second; {told.told_twice} twice\n"
        f"  receipt complete after {told.receipt_p50:.2f} s (p50), {told.receipt_p99:.2f} s (p99), "
        f"{told.slowest_receipt:.2f} s (slowest)\n"
        f"  first answer to last webhook {told.last_told:.1f} s, to last receipt {told.all_done:.1f} s; "
        f"{told.bound_met:,} receipts say that the bound was met\n"
        "  processor time for a departure: "
        + ", ".join(f"{part} {taken:.2f} ms" for part, taken in told.processor.items())
    )
    return told


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[int((len(ordered) - 1) * share)]
