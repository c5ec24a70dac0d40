"""One policy for whatever others cross: a change is tried a few times, with pauses that grow, and then refused."""

import asyncio
import random
from collections.abc import Hashable

from rollcall.db import Overtaken, Pool, Row

TRIES = 8
"""How often a change is tried whose way others cross: then it is refused, and its caller may send it again."""

_LONGEST_PAUSE = 0.2


async def before_trying_again(tried: int) -> None:
    """Pause before the next try of a change that was *tried* before: not before the second, then longer, by chance.

    So two that cross each other do not meet again and again. All pauses of `TRIES` are less than a second.
    """
    if tried > 1:
        await asyncio.sleep(random.uniform(0, min(0.005 * 2**tried, _LONGEST_PAUSE)))  # noqa: S311  # no secret


async def fetchrow_again(pool: Pool, query: str, *args: object, of: Hashable = None) -> Row | None:
    """Run a statement that is a transaction of its own, and again where it was `Overtaken`: `TRIES` times in all.

    Raises:
        Exception: one of `Overtaken`, as often.
    """
    for tried in range(1, TRIES):
        try:
            return await pool.fetchrow(query, *args, of=of)
        except Overtaken:
            await before_trying_again(tried)
    return await pool.fetchrow(query, *args, of=of)
