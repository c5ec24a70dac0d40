"""How much a tenant's admins may ask of the management API, over all processes.

The keys of ops and of the product have no such limit: they are the vendor's own, and all customers' sign-ins come by
them. What holds for everybody is the tenant's share of a process's connections.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from rollcall.errors import TooManyRequests
from rollcall.provisioning.limits import RateLimiter

ENTRIES_A_PERMIT = 50
"""Entries of a page that one permit pays for."""


@dataclass(frozen=True, slots=True)
class ManagementLimit:
    """The permits of each tenant's admins: *rate* a second, and *burst* at once."""

    limiter: RateLimiter
    rate: int
    burst: int

    async def take(self, tenant_id: UUID, permits: int) -> None:
        """Let a call in that costs *permits*; what there is not enough of is owed.

        Raises:
            TooManyRequests: there is no permit.
        """
        wait = await self.limiter.wait_for(tenant_id, rate=self.rate, burst=self.burst)
        if wait:
            msg = f"The admins of a tenant may make {self.rate} calls a second, together; wait, and send it again."
            raise TooManyRequests(msg, retry_after=math.ceil(wait))
        await self.limiter.charge(tenant_id, permits - 1, rate=self.rate, burst=self.burst)


def cost(parameters: Mapping[str, str]) -> int:
    """What a call with these parameters costs in permits: one, and more for a long page."""
    limit = parameters.get("limit", "")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 4:
        return 1  # there is none, or it is refused a little later
    return max(1, math.ceil(int(limit) / ENTRIES_A_PERMIT))
