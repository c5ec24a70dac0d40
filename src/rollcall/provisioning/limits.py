"""Rate limits: a token bucket a tenant, kept in Redis for all processes, leased to each in small handfuls.

A handful spares most calls the round trip. While Redis is away each process keeps a bucket of its own, so a tenant may
then have its limit once in every process and is never without one.
"""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

LEASE_SECONDS = 1.0
"""How long a handful of permits may be used before it is returned unused."""

REDIS_PAUSE_SECONDS = 1.0
"""How long Redis is left alone after it failed."""

_PERMITS = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'permits', 'at')
local permits = math.min(burst, (tonumber(kept[1]) or burst) + (now - (tonumber(kept[2]) or now)) * rate)
local function keep(left)
  redis.call('HSET', KEYS[1], 'permits', tostring(left), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', KEYS[1], math.ceil((burst - left) / rate) + 1)
end
"""

_TAKE = f"""{_PERMITS}
local granted = math.max(0, math.min(wanted, math.floor(permits)))
keep(permits - granted)
if granted > 0 then return {{granted, 0}} end
return {{0, math.ceil((1 - permits) / rate * 1000)}}
"""

_CHARGE = f"""{_PERMITS}
keep(permits - wanted)
return 0
"""


@dataclass(slots=True)
class _Lease:
    """Permits this process holds for one tenant."""

    permits: float = 0
    until: float = 0
    refilling: asyncio.Lock = field(default_factory=asyncio.Lock)
    local_at: float = 0
    local_permits: float | None = None
    """None until it is first asked; less than nothing while it is in debt."""


class RateLimiter:
    """Counts what a tenant's calls cost, in permits. One for each process and each kind of call, which *name* tells.

    A call takes one permit to be let in, and owes what it costs beyond that: the bucket may be in debt, and whoever
    comes next waits until it is paid.
    """

    def __init__(self, redis: Redis, name: str = "rate") -> None:
        self._name = name
        self._take_script = redis.register_script(_TAKE)
        self._charge_script = redis.register_script(_CHARGE)
        self._leases: dict[UUID, _Lease] = {}
        self._redis_back_at = 0.0

    async def wait_for(self, tenant_id: UUID, *, rate: int, burst: int) -> float:
        """Take one permit. 0 means the call may pass, anything else is how many seconds to wait.

        A *rate* of 0 switches the limit off.
        """
        if rate == 0:
            return 0.0
        lease = self._leases.get(tenant_id)
        if lease is None:
            lease = self._leases.setdefault(tenant_id, _Lease())
        if lease.permits >= 1 and time.monotonic() < lease.until:
            lease.permits -= 1
            return 0.0
        async with lease.refilling:
            if lease.permits >= 1 and time.monotonic() < lease.until:
                lease.permits -= 1
                return 0.0
            return await self._refill(tenant_id, lease, rate, burst)

    async def charge(self, tenant_id: UUID, permits: int, *, rate: int, burst: int) -> None:
        """Have a call that was let in owe *permits* more."""
        if rate == 0 or permits < 1:
            return
        lease = self._leases.setdefault(tenant_id, _Lease())
        async with lease.refilling:
            paid = min(lease.permits, permits) if time.monotonic() < lease.until else 0
            lease.permits -= paid
            owed = permits - paid
            if not owed:
                return
            if time.monotonic() >= self._redis_back_at:
                try:
                    await self._charge_script(keys=[self._key(tenant_id)], args=[rate, burst, owed])
                except (RedisError, OSError) as error:
                    self._redis_is_away(error)
                else:
                    return
            lease.local_permits = self._earn_locally(lease, rate, burst) - owed

    def _key(self, tenant_id: UUID) -> str:
        return f"rollcall:{self._name}:{tenant_id}"

    def _redis_is_away(self, error: Exception) -> None:
        log.warning("rate limits are kept locally: Redis is away", error=str(error))
        self._redis_back_at = time.monotonic() + REDIS_PAUSE_SECONDS

    async def _refill(self, tenant_id: UUID, lease: _Lease, rate: int, burst: int) -> float:
        handful = max(1, min(rate // 5, burst // 4))
        if time.monotonic() < self._redis_back_at:
            return self._take_locally(lease, rate, burst)
        try:
            granted, wait_ms = await self._take_script(keys=[self._key(tenant_id)], args=[rate, burst, handful])
        except (RedisError, OSError) as error:
            self._redis_is_away(error)
            return self._take_locally(lease, rate, burst)
        if granted < 1:
            return max(wait_ms, 1) / 1000
        lease.permits = granted - 1
        lease.until = time.monotonic() + LEASE_SECONDS
        return 0.0

    def _take_locally(self, lease: _Lease, rate: int, burst: int) -> float:
        permits = self._earn_locally(lease, rate, burst)
        if permits < 1:
            return (1 - permits) / rate
        lease.local_permits = permits - 1
        return 0.0

    def _earn_locally(self, lease: _Lease, rate: int, burst: int) -> float:
        """What is in the process's own bucket by now; the first time it is full."""
        before, since, lease.local_at = lease.local_permits, lease.local_at, time.monotonic()
        return burst if before is None else min(burst, before + (lease.local_at - since) * rate)
