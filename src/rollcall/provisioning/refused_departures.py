"""Departures that are refused because the tenant is suspended: kept, and made up for as it is resumed.

A token that would be let in otherwise is known, so what it sends may be read. The answer stays 403; whoever leaves by
it is taken out by `directory.refused_departures`, unless the provider says meanwhile that they are active.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from rollcall.provisioning import gate, lookups, statements
from rollcall.provisioning.calls import ReadPayload
from rollcall.provisioning.context import Admitted, Call
from rollcall.provisioning.gate import permitted
from rollcall.retries import TRIES, before_trying_again
from rollcall.scim.errors import SCIMException, Suspended, TooManyRequests
from rollcall.scim.intent import last_active, names_nobody

P = ParamSpec("P")
R = TypeVar("R")

Door = Callable[Concatenate[Call, str, P], Awaitable[R]]
"""What changes a person: the call, whom, and how the body is read, if there is one."""

SayWho = Callable[[], Awaitable[Mapping[UUID, bool]]]
"""Reads whom a call speaks of, each with whether they are active by it."""

_A_MOMENT = 1
"""Seconds after which whoever is over the rate limit may come again."""


def kept_while_suspended(door: Door[P, R]) -> Door[P, R]:
    """Keep whom a call would have leave, and refuse it; where the tenant was resumed meanwhile, begin anew."""

    @wraps(door)
    async def kept(call: Call, user_id: str, *args: P.args, **kwargs: P.kwargs) -> R:
        for tried in range(TRIES):
            await before_trying_again(tried)
            try:
                return await door(call, user_id, *args, **kwargs)
            except Suspended as refusal:
                reads = next((each for each in args if callable(each)), None)
                await _keep(call, refusal, _of_one(user_id, reads))  # pyright: ignore[reportArgumentType]  # a ReadPayload
                call = permitted(call)
        raise TooManyRequests(_A_MOMENT)

    return kept


async def ask_for_bulk(call: Call, people_of: SayWho) -> Admitted:
    """Pass the gate for a Bulk; one that is refused because the tenant is suspended is kept like calls of their own.

    Raises:
        SCIMException: the gate refuses.
    """
    for tried in range(TRIES):
        await before_trying_again(tried)
        try:
            return await gate.ask(call, "write")
        except Suspended as refusal:
            await _keep(call, refusal, people_of)
            call = permitted(call)
    raise TooManyRequests(_A_MOMENT)


def of_operations(operations: Sequence[tuple[str | None, Mapping[str, object] | None]]) -> Mapping[UUID, bool]:
    """Whom operations on people speak of: each an id and what it says, None where it deletes. The last word counts."""
    said: dict[UUID, bool] = {}
    for text, data in operations:
        person = None if text is None else lookups.resource_id(text)
        active = False if data is None else last_active(data)
        if person is not None and active is not None and not (data is not None and names_nobody(data)):
            said[person] = active
    return said


def _of_one(user_id: str, read: ReadPayload | None) -> SayWho:
    async def say() -> Mapping[UUID, bool]:
        return of_operations([(user_id, None if read is None else await read())])

    return say


async def _keep(call: Call, refusal: Suspended, people_of: SayWho) -> None:
    """Keep whom a refused call speaks of; comes back if it is to be judged anew, as the tenant was resumed meanwhile.

    Raises:
        Suspended: it stays refused, and says whether anything was kept.
        TooManyRequests: it is over the rate limit, and is to come again, or a departure could be lost.
    """
    try:
        said = await people_of()
    except SCIMException:
        raise refusal from None  # nobody can say what it asks for
    if not said:
        raise refusal
    if not refusal.has_permit:
        raise TooManyRequests(_A_MOMENT) from refusal
    kept = await statements.keep_refused_departures(call, said)
    if kept is None:
        return
    raise Suspended(kept=kept > 0) if kept else refusal
