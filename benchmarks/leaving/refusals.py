"""Whether anybody is let in after the answer: questions about the credentials of people who leave."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import click

from benchmarks.http_client import HttpClient
from benchmarks.leaving.installation import Installation, Leaver, leave

LATER_SECONDS = 5.0
"""How long after the answer a person's credentials are asked about once more, at the most."""


_LIVE = b'"active":true'


@dataclass(slots=True)
class Refusals:
    """What was answered about the credentials of people who left."""

    departures: int = 0
    seconds: float = 0.0
    good_before: int = 0
    accepted_meanwhile: int = 0
    """Asked before the answer and called good: the departure was under way."""
    refused_meanwhile: int = 0
    asked_at_once: int = 0
    asked_later: int = 0
    accepted_after: int = 0
    """Asked after the answer and called good all the same. There must be none."""
    slowest_departure: float = 0.0


async def refuse(installation: Installation, leavers: Sequence[Leaver], connections: int) -> Refusals:
    """Have people leave, and ask about their credentials: before, meanwhile, at once after the answer, and later."""
    found = Refusals()
    waiting = deque(leavers)
    later: list[asyncio.Task[None]] = []
    lot = random.Random(7662)
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        spare: asyncio.Queue[HttpClient] = asyncio.Queue()
        for _ in range(connections):
            spare.put_nowait(await stack.enter_async_context(HttpClient(installation.port)))

        async def run() -> None:
            async with HttpClient(installation.port) as provider, HttpClient(installation.port) as product:
                while waiting:
                    leaver = waiting.popleft()
                    await _watch(found, provider, product, leaver)
                    later.append(asyncio.create_task(_ask_later(found, spare, leaver, LATER_SECONDS * lot.random())))

        await asyncio.gather(*(run() for _ in range(connections)))
        found.seconds = time.monotonic() - begun
        await asyncio.gather(*later)
    return found


async def _watch(found: Refusals, provider: HttpClient, product: HttpClient, leaver: Leaver) -> None:
    """Have somebody leave while another connection asks about them without a pause."""
    for question in leaver.questions:
        good = await _is_good(product, question)  # first the answer, then the sum: others add to it meanwhile
        found.good_before += good
    begun = time.monotonic()
    departure = asyncio.create_task(leave(provider, leaver))
    turn = 0
    while not departure.done():
        if await _is_good(product, leaver.questions[turn % 2]):
            found.accepted_meanwhile += 1
        else:
            found.refused_meanwhile += 1
        turn += 1
    await departure
    found.departures += 1
    found.slowest_departure = max(found.slowest_departure, time.monotonic() - begun)
    for question in leaver.questions:
        good = await _is_good(product, question)
        found.asked_at_once += 1
        found.accepted_after += good


async def _ask_later(found: Refusals, spare: "asyncio.Queue[HttpClient]", leaver: Leaver, seconds: float) -> None:
    await asyncio.sleep(seconds)
    product = await spare.get()
    for question in leaver.questions:
        good = await _is_good(product, question)
        found.asked_later += 1
        found.accepted_after += good
    spare.put_nowait(product)


async def _is_good(product: HttpClient, question: bytes) -> bool:
    status, body = await product.ask(question)
    if status != 200:
        raise click.ClickException(f"a question was answered {status}: {body.decode()}")
    return _LIVE in body


def summary(found: Refusals, connections: int) -> str:
    asked = found.asked_at_once + found.asked_later
    return (
        f"refusals: {found.departures:,} departures over {connections} connections in {found.seconds:.0f} s "
        f"(slowest {found.slowest_departure * 1e3:,.0f} ms); {found.good_before:,} credentials good before; "
        f"meanwhile {found.accepted_meanwhile:,} times good and {found.refused_meanwhile:,} times not; "
        f"after the answer asked {asked:,} times ({found.asked_at_once:,} at once), "
        f"{found.accepted_after} times called good"
    )
