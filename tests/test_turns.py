"""Turns: a tenant has its share and no more, tenants take turns, and nobody waits in a line without an end."""

import asyncio
from contextlib import suppress

import pytest

from rollcall import db, turns
from rollcall.turns import Crowded, Line, Turns


def taken(places: Turns, of: str) -> Line:
    """A turn that there is at once."""
    line = places.take(of)
    assert line is not None
    return line


async def waiting(places: Turns, *of: str) -> list[asyncio.Task[Line]]:
    """Calls that wait for a turn."""
    tasks = [asyncio.create_task(places.wait(each)) for each in of]
    await asyncio.sleep(0)
    return tasks


async def test_a_share() -> None:
    """One tenant has its share; what is left is the others', and Rollcall's own calls may have all of it."""
    places = Turns(8, 3)
    assert [places.take("a") is not None for _ in range(4)] == [True, True, True, False]
    assert places.take("b") is not None
    assert [places.take(None) is not None for _ in range(5)] == [True, True, True, True, False]
    assert places.take("c") is None


@pytest.mark.parametrize(
    ("size", "share", "alone"), [(1, 3, 1), (2, 3, 1), (3, 3, 2), (8, 3, 3), (8, 8, 7), (8, None, 8)]
)
async def test_one_is_left(size: int, share: int | None, alone: int) -> None:
    """However large the share is set, one place is left for the others where there are several."""
    places = Turns(size, share)
    assert sum(places.take("a") is not None for _ in range(size)) == alone


async def test_tenants_in_turn() -> None:
    """Whoever comes with few calls waits for one of those who came with many, not for all of them."""
    places = Turns(1, 1)
    line = taken(places, "x")
    names = ("a", "a", "a", "a", "b", "c")
    pending = dict(zip(await waiting(places, *names), names, strict=True))
    let_in: list[str] = []
    while pending:
        places.end(line)
        (task,), _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        let_in.append(pending.pop(task))
        line = task.result()
    assert let_in == ["a", "b", "c", "a", "a", "a"]


async def test_who_waits_overtakes_no_share() -> None:
    """A place that is free goes to the first in line whose tenant has not its share."""
    places = Turns(3, 2)
    one, _two, other = taken(places, "a"), taken(places, "a"), taken(places, "b")
    [of_a], [of_c] = await waiting(places, "a"), await waiting(places, "c")
    places.end(other)
    assert (await of_c).held == 1
    assert not of_a.done()
    places.end(one)
    assert (await of_a).held == 2


async def test_a_line_has_an_end() -> None:
    """Beyond so many that wait, a call is turned away at once, was not carried out, and may be sent again."""
    places = Turns(1, 1, most_waiting=2)
    line = taken(places, "a")
    tasks = await waiting(places, "a", "a")
    with pytest.raises(Crowded, match="2 wait already") as crowded:
        await places.wait("a")
    assert (db.is_away(crowded.value), db.may_be_done(crowded.value)) == (True, False)
    assert db.when_back(crowded.value) == db.WHEN_BUSY
    [other] = await waiting(places, "b")
    places.end(line)
    places.end(await tasks[0])
    places.end(await other)
    places.end(await tasks[1])


async def test_a_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited too long is turned away, and leaves the place to the next."""
    monkeypatch.setattr(turns, "LONGEST_WAIT", 0.05)
    waited: list[float] = []
    places = Turns(1, 1, on_wait=waited.append)
    line = taken(places, "a")
    with pytest.raises(Crowded, match="waited"):
        await places.wait("a")
    monkeypatch.setattr(turns, "LONGEST_WAIT", 60)
    [next_one] = await waiting(places, "a")
    places.end(line)
    await next_one
    assert len(waited) == 2
    assert waited[0] >= 0.05


async def test_who_leaves_the_line() -> None:
    """Who is cancelled while waiting, or as they are let in, costs nobody else theirs."""
    places = Turns(1, 1)
    line = taken(places, "a")
    gone, lucky, last = await waiting(places, "a", "b", "c")
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    places.end(line)  # b is let in, and cancelled before it knows
    lucky.cancel()
    assert await asyncio.wait_for(last, 2) is not None


async def test_many_tenants() -> None:
    """Lines in which nobody is are forgotten."""
    places = Turns(4, 2)
    kept = taken(places, "kept")
    for number in range(5_000):
        places.end(taken(places, str(number)))
    assert len(places._lines) <= turns._MOST_LINES + 1  # pyright: ignore[reportPrivateUsage]
    assert taken(places, "kept") is kept
