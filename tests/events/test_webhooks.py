"""Webhooks: signed with every live secret, with nothing in them that a receiver must not see."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from events.conftest import Listen, Post
from factories import ORIGIN
from rollcall.events import deliveries, destination_secrets, destinations, webhooks
from rollcall.events.outgoing import Message
from rollcall.journal.events import TOPICS
from rollcall.work import SYSTEM, open_work
from rows import tables_with


async def one_call(post: Post, hook: destinations.NewDestination, receiver: Any) -> Any:
    """Send a test event, and return the call it made."""
    receiver.calls.clear()
    async with post.tenant.work() as work:
        await deliveries.send_test(work, hook.row.id)
    await post.deliver(hook)
    (call,) = receiver.calls
    return call


def verifies(secret: str | None, call: Any) -> bool:
    """Whether the specification's own library takes a call."""
    assert secret is not None
    try:
        Webhook(secret).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_rotation(post: Post, listen: Listen) -> None:
    """While the overlap lasts both secrets verify; when it is over, or without one, the new one alone."""
    receiver = await listen()
    first = await post.hook(receiver)
    async with post.tenant.work() as work:
        second = await destination_secrets.rotate(
            work, first.row.id, post.context.signing.sealer, overlap=timedelta(hours=1)
        )
    call = await one_call(post, first, receiver)
    assert len(call.headers["webhook-signature"].split(" ")) == 2
    assert verifies(first.secret, call)
    assert verifies(second.secret, call)

    await post.owner.execute(
        "UPDATE destinations SET secrets = jsonb_set(secrets, '{1,until}', to_jsonb(now() - interval '1 s')) "
        "WHERE id = $1",
        first.row.id,
    )
    call = await one_call(post, first, receiver)
    assert not verifies(first.secret, call)
    assert verifies(second.secret, call)

    async with post.tenant.work() as work:
        third = await destination_secrets.rotate(work, first.row.id, post.context.signing.sealer, overlap=timedelta(0))
    call = await one_call(post, first, receiver)
    assert not verifies(second.secret, call)
    assert verifies(third.secret, call)


async def test_many_rotations(post: Post, listen: Listen) -> None:
    """However often a secret is rotated, a call carries five signatures at most, the newest."""
    receiver = await listen()
    hook = await post.hook(receiver)
    for _ in range(7):
        async with post.tenant.work() as work:
            hook = await destination_secrets.rotate(
                work, hook.row.id, post.context.signing.sealer, overlap=timedelta(days=1)
            )
    call = await one_call(post, hook, receiver)
    assert len(call.headers["webhook-signature"].split(" ")) == 5
    assert verifies(hook.secret, call)


async def test_secrets_are_sealed(post: Post, listen: Listen) -> None:
    """A secret stands nowhere in the database in clear."""
    hook = await post.hook(await listen())
    assert hook.secret is not None
    assert await tables_with(post.owner, hook.secret.removeprefix("whsec_")) == []


async def worded(post: Post, topic: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The data that a webhook tells of an event."""
    async with open_work(post.context.database, post.ref(), SYSTEM, ORIGIN) as work:
        message = Message(work.tenant.id, topic, None, None, payload, "request", work.now)
        return orjson.loads(webhooks.worded(work, message))["data"]


@pytest.mark.parametrize("topic", sorted(TOPICS))
async def test_nothing_but_what_is_promised(post: Post, topic: str) -> None:
    """Whatever else the outbox keeps beside an event's own facts, a receiver does not see it."""
    data = await worded(post, topic, {"epoch": 7, "digest": "hidden"})
    assert "hidden" not in str(data)
    assert {"tenant", "person"} <= data.keys()


async def test_a_departure(post: Post, listen: Listen) -> None:
    """A departure says what was closed, when the request came and when it was done, and no epoch."""
    maria = await post.tenant.person()
    await post.tenant.session(maria)
    receiver = await listen()
    await post.fan_out()
    hook = await post.hook(receiver, "user.deactivated")
    await post.tenant.callers.operator.post(f"{post.tenant.v1}/people/{maria['id']}/deactivate")
    await post.fan_out()
    await post.deliver(hook)
    data = receiver.calls[0].data
    assert data["closed"]["sessions"] == 1
    assert {"reason", "arrived_at", "closed_at", "transaction_id"} <= data.keys()
    assert "epoch" not in data


async def test_too_large(post: Post) -> None:
    """An event larger than a receiver has to take is told without its facts, and says so."""
    data = await worded(post, "tenant.changed", {"changes": {"name": "x" * 70_000}})
    assert data["too_large"] is True
    assert "changes" not in data
