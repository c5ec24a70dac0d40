"""Delivering: in order for each person, side by side for different ones, until it is taken or three days are over."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from standardwebhooks import Webhook

from events.conftest import (
    INSIDE,
    Behaviour,
    Call,
    Listen,
    Post,
    answering,
    closing,
    hanging,
)
from factories import Callers, a_tenant
from rollcall.crypto import Sealer, new_secret_key
from rollcall.errors import NotFound
from rollcall.events import claims, deliveries, destinations, fanout, housekeeping
from rollcall.events.delivering import AT_ONCE, BATCH
from rollcall.events.destinations import Change
from rollcall.events.sending import Sender
from rollcall.journal.housekeeping import FORGET_DONE, KEEP_DONE_FOR, forget_messages
from rollcall.work import SYSTEM, RequestOrigin, open_fleet
from rows import until_waiting


async def test_told_once(post: Post, listen: Listen) -> None:
    """What happened is told to a destination that wants to hear, with whom it is about, and once."""
    receiver = await listen()
    hook = await post.hook(receiver)
    maria = await post.tenant.person("maria@acme.test")
    await post.fan_out()

    assert (await post.deliver(hook)).delivered == 1
    assert (await post.deliver(hook)).delivered == 0

    (call,) = receiver.calls
    assert call.path == "/hook"
    assert call.data["tenant"] == {"id": post.tenant.id, "slug": post.tenant.slug}
    assert call.data["person"] == {"id": str(await post.account(maria)), "user_name": "maria@acme.test"}
    assert await post.states(hook) == ["delivered"]


async def test_signed(post: Post, listen: Listen) -> None:
    """The specification's own library verifies what a receiver gets, with the secret that was shown."""
    receiver = await listen()
    hook = await post.hook(receiver)
    await post.announce(await post.tenant.person())
    await post.deliver(hook)

    assert hook.secret is not None
    assert len(receiver.calls) == 2
    for call in receiver.calls:
        assert Webhook(hook.secret).verify(call.body, call.headers)["type"] in {"user.provisioned", "user.updated"}


async def test_topics(post: Post, listen: Listen) -> None:
    """A destination hears the topics that it asked for, and no others."""
    receiver = await listen()
    hook = await post.hook(receiver, "user.updated")
    await post.announce(await post.tenant.person())
    await post.deliver(hook)
    assert [call.body.count(b"user.updated") for call in receiver.calls] == [1]


BEHAVIOURS: list[Any] = [
    pytest.param(answering(500, body="it is broken"), 500, "it is broken", id="500"),
    pytest.param(answering(429), 429, "", id="429"),
    pytest.param(answering(404), 404, "", id="404"),
    pytest.param(answering(302, "location: http://127.0.0.1:1/elsewhere"), 302, "", id="redirect"),
    pytest.param(hanging, None, "no whole answer within 0.5 s", id="hangs"),
    pytest.param(closing, None, "RemoteProtocolError", id="hangs up"),
    pytest.param(answering(500, body="x" * 100_000), 500, "x" * 200, id="talks too much"),
]


@pytest.mark.parametrize(("behave", "status", "said"), BEHAVIOURS)
async def test_not_taken(post: Post, listen: Listen, behave: Behaviour, status: int | None, said: str) -> None:
    """What was not taken is written down with the reason, tried again with the same id, and taken in the end."""
    receiver = await listen(behave)
    hook = await post.hook(receiver)
    await post.tenant.person()
    await post.fan_out()

    assert (await post.deliver(hook)).failed == 1
    assert await post.states(hook) == ["pending"]
    assert await post.column(hook, "last_status") == status
    assert (await post.column(hook, "last_error")).startswith(said)
    wait = await post.column(hook, "next_try_at") - datetime.now(UTC)
    assert timedelta(seconds=0.5) < wait < timedelta(seconds=4)

    receiver.behave = answering(200)
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 1
    first, second = receiver.calls
    assert first.id == second.id
    assert await post.column(hook, "attempts") == 2


async def test_retry_after(post: Post, listen: Listen) -> None:
    """A receiver that asks to be left alone for a while is, as a whole and for this message."""
    hook = await post.hook(await listen(answering(503, "retry-after: 120")))
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    for table in ("deliveries", "destinations"):
        wait = await post.column(hook, "next_try_at", table) - datetime.now(UTC)
        assert timedelta(seconds=115) < wait <= timedelta(seconds=121)


async def test_gone(post: Post, listen: Listen) -> None:
    """A receiver that answers 410 is told nothing more: the destination is disabled, what waits is cancelled."""
    receiver = await listen(answering(410))
    hook = await post.hook(receiver)
    maria = await post.tenant.person()
    await post.announce(maria, times=3)

    assert (await post.deliver(hook)).cancelled == 4

    assert len(receiver.calls) == 1
    assert await post.states(hook) == ["cancelled"] * 4
    assert await post.column(hook, "disabled_because", "destinations") == "it answered 410 Gone"
    entries = await post.tenant.audit(action="destination.disabled")
    assert [entry["target"] for entry in entries] == [str(hook.row.id)]
    await post.announce(maria)
    assert len(await post.states(hook)) == 4


async def test_order_is_kept_across_failures(post: Post, listen: Listen) -> None:
    """While one message about a person fails, later ones about them wait, and others' do not."""
    maria, noor = await post.tenant.person(), await post.tenant.person()
    marias = str(await post.account(maria))
    refuse = True

    async def behave(call: Call) -> bytes | None:
        return await answering(422 if refuse and call.data["person"]["id"] == marias else 204)(call)

    receiver = await listen(behave)
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(maria, noor, times=3)

    tally = await post.deliver(hook)
    assert (tally.delivered, tally.failed) == (3, 1)
    await post.announce(maria)
    assert (await post.deliver(hook)).delivered == 0, "a later message stands behind the one that failed"

    refuse = False
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 4
    told = [call.id for call in receiver.calls if call.data["person"]["id"] == marias]
    rows = await post.owner.fetch(
        "SELECT message_id FROM deliveries WHERE destination_id = $1 AND account_id = $2 ORDER BY message_id",
        hook.row.id,
        await post.account(maria),
    )
    assert told[1:] == [f"msg_{row['message_id'].hex}" for row in rows]


async def test_people_side_by_side(post: Post, listen: Listen) -> None:
    """Messages about different people are on their way at the same time; those about one never are."""
    busy: list[str] = []
    most = 0

    async def behave(call: Call) -> bytes | None:
        nonlocal most
        person = call.data["person"]["id"]
        assert person not in busy
        busy.append(person)
        most = max(most, len(busy))
        await asyncio.sleep(0.05)
        busy.remove(person)
        return await answering(204)(call)

    people = [await post.tenant.person() for _ in range(5)]
    await post.fan_out()
    hook = await post.hook(await listen(behave))
    await post.announce(*people, times=3)
    assert (await post.deliver(hook)).delivered == 15
    assert most == 5


async def test_slow_delays_nobody(post: Post, listen: Listen) -> None:
    """A receiver that hangs costs another one nothing: theirs is told while the first is still waited for."""
    slow, quick = await post.hook(await listen(hanging)), await post.hook(await listen())
    await asyncio.gather(*(post.tenant.person() for _ in range(20)))
    await post.fan_out()
    patient = replace(post.context, sender=Sender(INSIDE, seconds=600))

    waiting = asyncio.create_task(post.deliver(slow, patient))
    await post.deliver(quick, patient)

    assert await post.states(quick) == ["delivered"] * 20
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await patient.sender.close()


async def test_a_hung_receiver_costs_one_probe(post: Post, listen: Listen) -> None:
    """A receiver that took nothing is tried with one call at a time, and with many again as soon as it takes one."""
    receiver = await listen(hanging)
    hook = await post.hook(receiver)
    for _ in range(15):
        await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    assert len(receiver.calls) == 10, "as many as are made side by side, and no more"

    receiver.calls.clear()
    await post.due_now(hook)
    await post.deliver(hook)
    assert len(receiver.calls) == 1
    assert await post.column(hook, "failures", "destinations") == 2

    receiver.behave = answering(204)
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 15
    assert await post.column(hook, "failures", "destinations") == 0


async def test_failing_ones_are_leased_apart(post: Post, listen: Listen) -> None:
    """A destination whose last call failed is leased as such, and not before its time."""
    hook = await post.hook(await listen(answering(500)))
    await post.tenant.person()
    await post.fan_out()

    async def leased() -> list[bool]:
        async with open_fleet(post.context.database, SYSTEM, RequestOrigin("test")) as fleet:
            found = [each for each in await fanout.lease(fleet, limit=100, seconds=60) if each.id == hook.row.id]
            await fanout.give_back(fleet, found)
        return [each.failing for each in found]

    assert await leased() == [False]
    await post.deliver(hook)
    assert await leased() == []
    await post.due_now(hook)
    assert await leased() == [True]


async def test_no_owner_takes_all(post: Post, listen: Listen, callers: Callers) -> None:
    """One tenant's destinations are looked after a few at a time, in turn; another tenant's do not wait for that."""
    receiver = await listen()
    mine = {(await post.hook(receiver)).row.id for _ in range(fanout.OF_OWNER + 4)}
    await post.tenant.person()
    neighbour = replace(post, tenant=await a_tenant(callers))
    other = (await neighbour.hook(receiver)).row.id
    await neighbour.tenant.person()
    await post.fan_out()

    async def leased() -> set[UUID]:
        async with open_fleet(post.context.database, SYSTEM, RequestOrigin("test")) as fleet:
            return {each.id for each in await fanout.lease(fleet, limit=1000, seconds=60)}

    first = await leased()
    assert (len(first & mine), other in first) == (fanout.OF_OWNER, True)
    assert await leased() & mine == set()
    for done in first & mine:
        async with open_fleet(post.context.database, SYSTEM, RequestOrigin("test")) as fleet:
            await fanout.release(fleet, UUID(post.tenant.id), done)
    assert mine - first < await leased()


async def test_two_workers(post: Post, listen: Listen) -> None:
    """Two workers at the same destination at the same moment tell it everything once."""
    receiver = await listen()
    hook = await post.hook(receiver)
    people = [await post.tenant.person() for _ in range(6)]
    await post.announce(*people, times=5)
    await asyncio.gather(*(post.deliver(hook) for _ in range(4)))
    while "pending" in await post.states(hook):
        await post.due_now(hook)
        await post.deliver(hook)
    assert len(receiver.calls) == len({call.id for call in receiver.calls}) == 36


async def test_killed_between_call_and_mark(post: Post, listen: Listen) -> None:
    """What a killed worker had sent and not marked is sent again, with the same id, once its claim has run out."""
    called, answer = asyncio.Event(), asyncio.Event()

    async def behave(call: Call) -> bytes | None:
        called.set()
        await answer.wait()
        return await answering(204)(call)

    receiver = await listen(behave)
    hook = await post.hook(receiver)
    await post.tenant.person()
    await post.fan_out()
    worker = asyncio.create_task(post.deliver(hook))
    await called.wait()
    async with post.owner.transaction():
        await post.owner.execute("SELECT FROM deliveries WHERE destination_id = $1 FOR NO KEY UPDATE", hook.row.id)
        answer.set()
        await until_waiting(post.owner, worker)  # it has its answer, and can't mark it
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
    assert (await post.deliver(hook)).delivered == 0, "the claim has not run out"
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 1
    assert len({call.id for call in receiver.calls}) == 1


async def test_nothing_is_begun_that_can_not_be_marked(
    post: Post, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away no more is sent than was under way when it went, and it is sent again later."""

    async def end(*_: Any) -> set[UUID]:
        raise ConnectionError

    receiver = await listen()
    for _ in range(25):
        await post.tenant.person()
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(*[await post.tenant.person() for _ in range(25)])
    with monkeypatch.context() as patched:
        patched.setattr(claims, "end", end)
        with pytest.raises(ConnectionError):
            await post.deliver(hook)
    begun = {call.id for call in receiver.calls}
    assert len(begun) == len(receiver.calls) <= AT_ONCE
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == len({call.id for call in receiver.calls}) == 50


async def test_a_passing_failure_to_mark(post: Post, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be marked is marked with what ends beside it, and not sent again."""
    mark, tried, called = claims.end, 0, asyncio.Event()

    async def end(*arguments: Any) -> set[UUID]:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise ConnectionError
        return await mark(*arguments)

    async def behave(call: Call) -> bytes | None:
        if len(receiver.calls) == AT_ONCE:
            called.set()
        await called.wait()
        return await answering(204)(call)

    receiver = await listen(behave)
    for _ in range(AT_ONCE):
        await post.tenant.person()
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(*[await post.tenant.person() for _ in range(AT_ONCE)])
    patient = replace(post.context, sender=Sender(INSIDE, seconds=600))
    monkeypatch.setattr(claims, "end", end)
    with pytest.raises(ConnectionError):
        await post.deliver(hook, patient)
    await patient.sender.close()
    assert len(receiver.calls) == AT_ONCE
    assert (await post.states(hook)).count("delivered") == AT_ONCE


async def test_dead_after_three_days(post: Post, listen: Listen) -> None:
    """What nobody took for three days is dead, and what stood behind it goes on."""
    receiver = await listen(answering(422))
    maria = await post.tenant.person()
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(maria, times=2)
    await post.owner.execute(
        "UPDATE deliveries SET give_up_at = now() WHERE id = "
        "(SELECT id FROM deliveries WHERE destination_id = $1 ORDER BY message_id LIMIT 1)",
        hook.row.id,
    )
    tally = await post.deliver(hook)
    assert (tally.dead, tally.failed) == (1, 1)
    assert await post.states(hook) == ["dead", "pending"]


async def test_installation_wide(post: Post, listen: Listen, owner: Any) -> None:
    """A destination of the installation hears of every tenant, each in its own words."""
    receiver = await listen()
    hook = await post.installation_hook(receiver, "user.provisioned")
    try:
        await post.tenant.person("maria@acme.test")
        await post.fan_out()
        assert (await post.deliver(hook)).delivered == 1
        assert receiver.calls[0].data["tenant"]["slug"] == post.tenant.slug
        assert receiver.calls[0].data["person"]["user_name"] == "maria@acme.test"
    finally:
        await owner.execute("UPDATE destinations SET deleted_at = now() WHERE id = $1", hook.row.id)


async def test_a_secret_that_can_not_be_opened(post: Post, listen: Listen) -> None:
    """A destination whose secret no key opens waits, delays nobody, and is told when the key is there again."""
    receiver = await listen()
    hook = await post.hook(receiver)
    await post.tenant.person()
    await post.fan_out()
    lost = replace(post.context, signing=replace(post.context.signing, sealer=Sealer([new_secret_key()])))
    assert (await post.deliver(hook, lost)).delivered == 0
    assert await post.column(hook, "failures", "destinations") == 1
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 1


async def test_stopping(post: Post, listen: Listen) -> None:
    """A worker that is asked to stop ends the calls that it has begun, begins no others, and gives those back."""
    asked = False

    async def behave(call: Call) -> bytes | None:
        nonlocal asked
        asked = True
        await asyncio.sleep(0.05)
        return await answering(204)(call)

    receiver = await listen(behave)
    people = [await post.tenant.person() for _ in range(15)]
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(*people, times=2)
    tally = await post.deliver(hook, replace(post.context, stopping=lambda: asked))
    assert tally.delivered == len(receiver.calls) <= 10
    assert (await post.deliver(hook)).delivered == 30 - tally.delivered


async def test_replayed(post: Post, listen: Listen) -> None:
    """A replay goes out with the id of the first time, also when that had been taken."""
    receiver = await listen()
    hook = await post.hook(receiver)
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    delivery = await post.column(hook, "id")
    async with post.tenant.work() as work:
        await deliveries.replay(work, hook.row.id, delivery)
    assert (await post.deliver(hook)).delivered == 1
    assert len({call.id for call in receiver.calls}) == 1
    assert len(receiver.calls) == 2


async def test_kept_for_a_month(post: Post, listen: Listen) -> None:
    """A message and what became of it stay for a month, and longer while somebody is being told again."""
    hook = await post.hook(await listen())
    await post.tenant.person()
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    await post.owner.execute(
        "UPDATE outbox SET done_at = now() - interval '31 days' WHERE tenant_id = $1", UUID(post.tenant.id)
    )
    first = await post.column(hook, "id")
    async with post.tenant.work() as work:
        await deliveries.replay(work, hook.row.id, first)
    await forget_messages(post.context.database)
    assert await post.states(hook) == ["pending"]


async def test_removed_destinations_are_forgotten(post: Post, listen: Listen) -> None:
    """What was removed long ago is deleted once nothing waits for it."""
    hook = await post.hook(await listen())
    await post.owner.execute(
        "UPDATE destinations SET deleted_at = now() - interval '41 days' WHERE id = $1", hook.row.id
    )
    assert (await housekeeping.forget_destinations(post.context.database))["destinations_forgotten"] >= 1
    assert await post.column(hook, "id", "destinations") is None


async def given_up(post: Post, hook: Any) -> None:
    """Let three days pass."""
    await post.owner.execute("UPDATE deliveries SET give_up_at = now() WHERE destination_id = $1", hook.row.id)
    await post.due_now(hook)


async def test_a_dead_receiver_keeps_nobody_waiting(post: Post, listen: Listen) -> None:
    """All that a receiver took nothing of for three days is dead then, also what it was never asked to take."""
    receiver = await listen(answering(500))
    people = [await post.tenant.person() for _ in range(15)]
    await post.fan_out()
    hook = await post.hook(receiver)
    await post.announce(*people, times=4)
    await post.deliver(hook)
    await given_up(post, hook)
    receiver.calls.clear()

    tally = await post.deliver(hook)

    assert len(receiver.calls) == 1
    assert tally.dead == 60
    assert await post.states(hook) == ["dead"] * 60


async def test_dead_for_a_week(post: Post, listen: Listen) -> None:
    """A receiver that took nothing for a week is disabled, which is shown and told; what waits is cancelled."""
    hook = await post.hook(await listen(hanging))
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    assert await post.column(hook, "failing_since", "destinations") is not None
    await post.owner.execute(
        "UPDATE destinations SET failing_since = now() - interval '7 days' WHERE id = $1", hook.row.id
    )
    await post.due_now(hook)
    await post.deliver(hook)
    assert await post.column(hook, "disabled_because", "destinations") == "it took nothing for 7 days"
    entries = await post.tenant.audit(action="destination.disabled")
    assert [entry["target"] for entry in entries] == [str(hook.row.id)]
    (shown,) = (await post.tenant.callers.operator.get(f"{post.tenant.v1}/destinations")).json()["data"]
    assert shown["disabled_because"] == "it took nothing for 7 days"
    assert (await post.deliver(hook)).cancelled == 1

    async with post.tenant.work() as work:
        await destinations.enable(work, hook.row.id)
    assert await post.column(hook, "failing_since", "destinations") is None


async def test_now_and_then_is_enough(post: Post, listen: Listen) -> None:
    """A receiver that takes something is not disabled, however long it had taken nothing; counting begins anew."""
    hook = await post.hook(await listen())
    await post.tenant.person()
    await post.fan_out()
    await post.owner.execute(
        "UPDATE destinations SET failures = 99, failing_since = now() - interval '30 days' WHERE id = $1", hook.row.id
    )
    assert (await post.deliver(hook)).delivered == 1
    assert await post.column(hook, "failing_since", "destinations") is None
    assert await post.column(hook, "disabled_at", "destinations") is None


async def test_late_and_taken_all_the_same(post: Post, listen: Listen) -> None:
    """What waited for three days is still told when the receiver takes it."""
    hook = await post.hook(await listen())
    await post.tenant.person()
    await post.tenant.person()
    await post.fan_out()
    await post.owner.execute("UPDATE destinations SET failures = 7 WHERE id = $1", hook.row.id)
    await given_up(post, hook)
    assert (await post.deliver(hook)).delivered == 2


async def test_a_lost_secret_does_not_hold_for_ever(post: Post, listen: Listen) -> None:
    """What can't be signed any more is dead after three days, or cancelled as soon as the destination is disabled."""
    receiver = await listen()
    hook, other = await post.hook(receiver), await post.hook(receiver)
    await post.tenant.person()
    await post.fan_out()
    lost = replace(post.context, signing=replace(post.context.signing, sealer=Sealer([new_secret_key()])))
    await given_up(post, hook)
    assert (await post.deliver(hook, lost)).dead == 1
    async with post.tenant.work() as work:
        await destinations.disable(work, other.row.id, because="its secret is lost")
    assert (await post.deliver(other, lost)).cancelled == 1
    assert receiver.calls == []


async def test_gone_from_where_it_was(post: Post, listen: Listen) -> None:
    """A 410 of the old address does not disable a destination that has been moved meanwhile."""
    moved = await listen()

    async def behave(call: Call) -> bytes | None:
        async with post.tenant.work() as work:
            await destinations.change(work, hook.row.id, Change(url=moved.url), INSIDE)
        return await answering(410)(call)

    hook = await post.hook(await listen(behave))
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    assert await post.column(hook, "disabled_at", "destinations") is None
    await post.due_now(hook)
    assert (await post.deliver(hook)).delivered == 1
    assert len(moved.calls) == 1


async def test_a_secret_is_not_shown_by_accident(post: Post, listen: Listen) -> None:
    """What a new destination says of itself in a log or an error does not hold its secret."""
    hook = await post.hook(await listen())
    assert hook.secret is not None
    assert hook.secret not in repr(hook)


async def a_month_later(post: Post, listen: Listen) -> tuple[Any, UUID]:
    """A delivery that ended, of a message that is about to be forgotten."""
    hook = await post.hook(await listen())
    await post.tenant.person()
    await post.fan_out()
    await post.deliver(hook)
    await post.owner.execute(
        "UPDATE outbox SET done_at = now() - interval '31 days' WHERE tenant_id = $1", UUID(post.tenant.id)
    )
    return hook, await post.column(hook, "id")


async def test_forgotten_while_it_is_replayed(post: Post, listen: Listen) -> None:
    """What is being replayed at this moment is not forgotten, and nobody waits for it."""
    hook, delivery = await a_month_later(post, listen)
    async with post.tenant.work() as work:
        await deliveries.replay(work, hook.row.id, delivery)
        async with asyncio.timeout(60):
            await forget_messages(post.context.database)
    assert await post.states(hook) == ["pending"]


async def test_replayed_while_it_is_forgotten(post: Post, listen: Listen) -> None:
    """A replay of what is being forgotten at this moment is refused, and not lost without a word."""
    hook, delivery = await a_month_later(post, listen)

    async def replay() -> None:
        async with post.tenant.work() as work:
            await deliveries.replay(work, hook.row.id, delivery)

    async with open_fleet(post.context.database, SYSTEM, RequestOrigin("test")) as fleet:
        before = datetime.now(UTC) - KEEP_DONE_FOR
        assert await fleet.db.scalar(FORGET_DONE, {"before": before, "limit": 5000}) >= 1
        waiting = asyncio.create_task(replay())
        await until_waiting(post.owner, waiting)
    with pytest.raises(NotFound):
        await waiting


async def test_a_departure_goes_first(post: Post, listen: Listen) -> None:
    """A departure waits behind nothing that a destination has to hear but what is about the same person."""
    people = [await post.tenant.person() for _ in range(6)]
    noor, maria = await post.tenant.person(), await post.tenant.person()
    await post.fan_out()
    receiver = await listen()
    hook = await post.hook(receiver)
    await post.announce(*people, times=20)
    await post.announce(maria)
    for person in (noor, maria):
        left = await post.tenant.callers.operator.post(f"{post.tenant.v1}/people/{person['id']}/deactivate")
        assert left.status_code == 200
    await post.fan_out()
    await post.deliver(hook)

    told = [(orjson.loads(call.body)["type"], call.data["person"]["id"]) for call in receiver.calls]
    noors, marias = str(await post.account(noor)), str(await post.account(maria))
    assert told.index(("user.deactivated", noors)) < BATCH
    assert told.index(("user.updated", marias)) < told.index(("user.deactivated", marias))
