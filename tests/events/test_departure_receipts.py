"""The receipt of a departure is completed by whatever ends last."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from events.conftest import Listen, Post, answering
from factories import ORIGIN
from rollcall.crypto import Sealer, new_secret_key
from rollcall.db import Connection
from rollcall.events import claims, departure_receipts, destinations, housekeeping
from rollcall.events.claims import Ended
from rollcall.events.outgoing import Signing
from rollcall.journal.housekeeping import forget_messages
from rollcall.proof import pairs, receipts
from rollcall.work import SYSTEM, Work, open_work


async def leave(post: Post) -> Any:
    """Have somebody leave; returns the message that tells of it."""
    maria = await post.tenant.person()
    await post.tenant.callers.operator.post(f"{post.tenant.v1}/people/{maria['id']}/deactivate")
    await post.fan_out()
    return await post.owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated'", await post.account(maria)
    )


async def settle(post: Post, message: Any, signing: Signing | None = None) -> None:
    """Do what the worker does with a departure."""
    async with post.tenant.work() as work:
        assert await departure_receipts.settle(work, [message], signing or post.context.signing) == [message]


async def told(post: Post, message: Any) -> list[tuple[str, str]] | None:
    """What the receipt says of each destination; ``None`` while it is not complete."""
    async with post.tenant.work() as work:
        receipt = await receipts.find(work, message)
    if receipt.completed_at is None:
        return None
    assert receipt.statement is not None
    return sorted((each["label"], each["state"]) for each in receipt.destinations or [])


async def test_nobody_to_tell(post: Post) -> None:
    """Where no destination wants to hear, settling completes the receipt."""
    message = await leave(post)
    await settle(post, message)
    assert await told(post, message) == []


async def test_settled_first(post: Post, listen: Listen) -> None:
    """A receipt that was settled first is completed by the last delivery, whatever became of it."""
    taken = await post.hook(await listen(), "user.deactivated")
    gone = await post.hook(await listen(answering(410)), "user.deactivated")
    message = await leave(post)
    await settle(post, message)
    await post.deliver(taken)
    assert await told(post, message) is None
    await post.deliver(gone)
    assert await told(post, message) == [("hook", "cancelled"), ("hook", "delivered")]


async def test_delivered_first(post: Post, listen: Listen) -> None:
    """A departure that was told before it was settled is completed by the settling."""
    hook = await post.hook(await listen(), "user.deactivated")
    message = await leave(post)
    await post.deliver(hook)
    await settle(post, message)
    assert await told(post, message) == [("hook", "delivered")]


async def test_the_installations_own(post: Post, listen: Listen) -> None:
    """A tenant's receipt says that the installation was told, and not what ops call the one who was."""
    own = await post.hook(await listen(), "user.deactivated")
    fleet = await post.installation_hook(await listen(), "user.deactivated")
    message = await leave(post)
    await settle(post, message)
    for hook in (own, fleet):
        await post.deliver(hook)
    async with open_work(post.context.database, destinations.WHOLE_INSTALLATION, SYSTEM, ORIGIN) as work:
        await destinations.remove(work, fleet.row.id)
    assert await told(post, message) == [("hook", "delivered"), ("installation", "delivered")]


async def test_removed_meanwhile(post: Post, listen: Listen) -> None:
    """A destination that is removed while it waits stands in the receipt as cancelled."""
    hook = await post.hook(await listen(), "user.deactivated")
    message = await leave(post)
    await settle(post, message)
    async with post.tenant.work() as work:
        await destinations.remove(work, hook.row.id)
    assert (await post.deliver(hook)).cancelled == 1
    assert await told(post, message) == [("hook", "cancelled")]


@pytest.mark.parametrize("turn", range(5))
async def test_all_at_the_same_moment(post: Post, listen: Listen, turn: int) -> None:
    """When the settling and several deliveries end at the same moment, one of them completes the receipt."""
    hooks = [await post.hook(await listen(), "user.deactivated") for _ in range(3)]
    message = await leave(post)
    await asyncio.gather(settle(post, message), *(post.deliver(hook) for hook in hooks))
    assert await told(post, message) == [("hook", "delivered")] * 3


async def test_completed_later(post: Post, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts that could not be signed are all completed once they can be, however many newer ones still wait."""
    monkeypatch.setattr(departure_receipts, "SWEEP_AT_ONCE", 2)
    unable = replace(post.context.signing, sealer=Sealer([new_secret_key()]))
    pairs.forget()
    unsigned = [await leave(post) for _ in range(5)]
    for message in unsigned:
        await settle(post, message, unable)
        assert await told(post, message) is None
    await post.hook(await listen(), "user.deactivated")
    waiting = [await leave(post) for _ in range(3)]
    for message in waiting:
        await settle(post, message)
    months_ago = "UPDATE outbox SET done_at = now() - interval '99 days' WHERE id = ANY ($1)"
    await post.owner.execute(months_ago, unsigned)
    await forget_messages(post.context.database)  # nothing that a receipt has still to say something of

    did = await housekeeping.complete_receipts(post.context.database, post.context.signing)
    assert did["receipts_completed"] >= 5

    assert [await told(post, message) for message in unsigned] == [[]] * 5
    assert [await told(post, message) for message in waiting] == [None] * 3
    await forget_messages(post.context.database)
    left = await post.owner.fetchval("SELECT count(*) FROM outbox WHERE id = ANY ($1)", unsigned)
    assert left == 0


async def test_one_that_can_not_be_worded(post: Post, listen: Listen) -> None:
    """Of receipts that are completed together, one that can't be worded waits; what was told is told all the same."""
    hook = await post.hook(await listen(), "user.deactivated")
    messages = [await leave(post) for _ in range(3)]
    async with post.tenant.work() as work:
        await departure_receipts.settle(work, messages, post.context.signing)
    await post.owner.execute("UPDATE receipts SET closed = '[]' WHERE id = $1", messages[1])
    await post.deliver(hook)
    assert await post.states(hook) == ["delivered"] * 3
    assert [await told(post, each) for each in messages] == [[("hook", "delivered")], None, [("hook", "delivered")]]


async def test_told_of_together(post: Post, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that end while others are being marked are marked together, each once."""
    marked: list[int] = []
    end = claims.end

    async def counted(work: Work, signing: Signing, destination: UUID, ended: Sequence[Ended]) -> set[UUID]:
        marked.append(len(ended))
        return await end(work, signing, destination, ended)

    monkeypatch.setattr(claims, "end", counted)
    receiver = await listen()
    hook = await post.hook(receiver, "user.deactivated")
    messages = [await leave(post) for _ in range(30)]
    async with post.tenant.work() as work:
        await departure_receipts.settle(work, messages, post.context.signing)
    assert (await post.deliver(hook)).delivered == len(receiver.calls) == sum(marked) == 30
    assert max(marked) > 1
    assert [await told(post, each) for each in messages] == [[("hook", "delivered")]] * 30


async def test_no_plan_is_kept(owner: Connection) -> None:
    """What is done for each departure is planned for the tables as they are, not as they were when first asked."""
    rows = await owner.fetch("SELECT proname FROM pg_proc WHERE proconfig @> '{plan_cache_mode=force_custom_plan}'")
    assert {row["proname"] for row in rows} >= {
        *("fan_out", "lease_destinations", "claim_deliveries", "mark_ended", "told_of_departures"),
        *("settle_departures", "hold_receipts", "complete_receipts"),
    }
