"""Whether the broker answers, and whether everything that works beside the web processes is alive."""

from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall import broker
from rollcall.broker import BEAT, DELIVERY, DELIVERY_SLOW, HOUSEKEEPING, RELAY, REVOCATION
from rollcall.checks.asking import reason
from rollcall.checks.model import Check, failed, ok, warning

BROKER = "broker"
RELAYS = "relay"
WORKERS = "workers"
BEATS = "beat"
PROXIES = "proxies"


async def answers(redis: Redis) -> Check:
    """Whether Redis or Valkey answers."""
    try:
        await redis.ping()  # pyright: ignore[reportUnknownMemberType, reportGeneralTypeIssues]  # typed for both worlds
    except (RedisError, OSError, TimeoutError) as error:
        return failed(
            BROKER,
            f"Redis or Valkey does not answer ({reason(error)}): requests go on, and whatever workers do waits",
            "see that the server runs and that ROLLCALL_REDIS_URL leads to it",
        )
    return ok(BROKER, "Redis or Valkey answers")


async def relay(redis: Redis) -> Check:
    """Whether somebody hands the outbox over."""
    if await broker.missing(redis, [RELAY]):
        return failed(RELAYS, "no relay runs: nothing is delivered, and no receipt is made", "start 'rollcall relay'")
    return ok(RELAYS, "a relay runs")


async def workers(redis: Redis) -> Check:
    """Whether somebody takes from each queue."""
    missing = set(await broker.missing(redis, broker.QUEUES))
    commands = [
        command
        for command, queues in (
            ("'rollcall worker'", {REVOCATION, HOUSEKEEPING}),
            (f"'rollcall worker --queues {DELIVERY},{DELIVERY_SLOW}'", {DELIVERY, DELIVERY_SLOW}),
        )
        if queues & missing
    ]
    if not commands:
        return ok(WORKERS, "a worker takes from each queue")
    idle = ", ".join(queue for queue in broker.QUEUES if queue in missing)
    return failed(WORKERS, f"no worker takes from {idle}", f"start {' and '.join(commands)}")


async def beat(redis: Redis) -> Check:
    """Whether somebody asks for housekeeping."""
    if await broker.missing(redis, [BEAT]):
        said = "no beat runs: no partitions are made ahead, nothing old is forgotten"
        return warning(BEATS, said, "start 'rollcall beat', or a relay with --beat-schedule; two do no harm")
    return ok(BEATS, "beat runs")


async def proxies(redis: Redis) -> Check:
    """Whether a reverse proxy of our own goes unbelieved, so that all its callers look like one."""
    peer = cast("bytes | None", await redis.get(broker.UNBELIEVED))
    if peer is None:
        return ok(PROXIES, "no peer inside the own network speaks for others without being trusted")
    return warning(
        PROXIES,
        f"{peer.decode(errors='replace')} sent X-Forwarded-For within the last day and is no trusted proxy: all who "
        "call through it count as one, in limits and in the audit",
        "put it, or its network, into ROLLCALL_TRUSTED_PROXIES if it is your reverse proxy",
    )
