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

_TAKE = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'permits', 'at')
local permits = math.min(burst, (tonumber(kept[1]) or burst) + (now - (tonumber(kept[2]) or now)) * rate)
local granted = math.min(wanted, math.floor(permits))
redis.call('HSET', KEYS[1], 'permits', tostring(permits - granted), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(burst / rate) + 1)
if granted > 0 then return {granted, 0} end
return {0, math.ceil((1 - permits) / rate * 1000)}
"""


@dataclass(slots=True)
class _Lease:
    """Permits this process holds for one tenant."""

    permits: float = 0
    until: float = 0
    refilling: asyncio.Lock = field(default_factory=asyncio.Lock)
    local_at: float = 0
    local_permits: float = -1


class RateLimiter:
    """Counts calls per tenant. One for each process."""

    def __init__(self, redis: Redis) -> None:
        self._take_script = redis.register_script(_TAKE)
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

    async def _refill(self, tenant_id: UUID, lease: _Lease, rate: int, burst: int) -> float:
        handful = max(1, min(rate // 5, burst // 4))
        if time.monotonic() < self._redis_back_at:
            return self._take_locally(lease, rate, burst)
        try:
            granted, wait_ms = await self._take_script(keys=[f"rollcall:rate:{tenant_id}"], args=[rate, burst, handful])
        except (RedisError, OSError) as error:
            log.warning("rate limits are kept locally: Redis is away", error=str(error))
            self._redis_back_at = time.monotonic() + REDIS_PAUSE_SECONDS
            return self._take_locally(lease, rate, burst)
        if granted < 1:
            return max(wait_ms, 1) / 1000
        lease.permits = granted - 1
        lease.until = time.monotonic() + LEASE_SECONDS
        return 0.0

    def _take_locally(self, lease: _Lease, rate: int, burst: int) -> float:
        now = time.monotonic()
        if lease.local_permits < 0:
            lease.local_permits = burst
        else:
            lease.local_permits = min(burst, lease.local_permits + (now - lease.local_at) * rate)
        lease.local_at = now
        if lease.local_permits < 1:
            return (1 - lease.local_permits) / rate
        lease.local_permits -= 1
        return 0.0
