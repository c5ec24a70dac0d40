"""Attempts at signing in to the console, which anybody can make: so many a minute, over all processes.

They are counted in Redis by several names: where they come from; that with the workspace they are for; and the account
they are for, by the passkey or the code that was shown, which nobody else has. A userName anybody can say, so it is
counted together with where it is said. So a crowd behind one address uses up one workspace's rate limit and not
everybody's, and nobody can use up somebody else's. While Redis is away each process counts by itself, in little memory.
"""

import time
from dataclasses import dataclass, field
from hashlib import sha256

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rollcall.access.origins import network
from rollcall.errors import TooManyRequests
from rollcall.scim.name_keys import name_key

log = structlog.get_logger(__name__)

MOST_FROM_A_SOURCE = 600
"""Attempts within a minute from one address, for whichever workspaces."""

MOST_AT_A_WORKSPACE = 60
"""Those for one workspace: so many people of one office, behind one address, may sign in within a minute."""

MOST_FOR_AN_ACCOUNT = 10
"""Attempts with one passkey or one code, from wherever; with one userName from one address."""

MOST_FOR_A_NAME = 300
"""Those with one userName from all addresses: out of reach for whoever has a few, and too few to guess a password."""

MOST_MAILS_TO_AN_ADDRESS = 5
"""Codes within an hour that are mailed to one address, whoever asks for them."""

MOST_MAILS_FROM_A_SOURCE = 60
"""Those that are asked for from one address of the network."""

WINDOW_SECONDS = 60
MAIL_SECONDS = 3600
NAMES = 10_000
"""Names that a process counts one by one while Redis is away; the others count as one."""

REDIS_PAUSE_SECONDS = 1.0
"""How long Redis is left alone after it failed."""

_COUNT = """
for place, key in ipairs(KEYS) do
    local made = redis.call('INCR', key)
    if made == 1 then redis.call('EXPIRE', key, ARGV[1]) end
    if made > tonumber(ARGV[place + 1]) then return math.max(redis.call('TTL', key), 1) end
end
return 0
"""


@dataclass(slots=True)
class _Local:
    """What a process counts by itself."""

    minute: int = 0
    made: dict[str, int] = field(default_factory=dict[str, int])

    def wait_for(self, limits: dict[str, int]) -> int:
        """Count one more by each name, up to the first that is used up: what is refused counts for no further one.

        0 means that it may be, anything else is how many seconds to wait.
        """
        minute, second = divmod(int(time.monotonic()), WINDOW_SECONDS)
        if minute != self.minute:
            self.minute = minute
            self.made.clear()
        for given, most in limits.items():
            name = given if given in self.made or len(self.made) < NAMES else f"others:{most}"
            self.made[name] = self.made.get(name, 0) + 1
            if self.made[name] > most:
                return WINDOW_SECONDS - second
        return 0


class Attempts:
    """Counts attempts. One for each process; Redis has the sum."""

    def __init__(self, redis: Redis) -> None:
        self._count_script = redis.register_script(_COUNT)
        self._local = _Local()
        self._redis_back_at = 0.0

    async def check(
        self, source: str | None, workspace: str, *, shown: str | None = None, named: str | None = None
    ) -> None:
        """Count one more: for this workspace, and for whoever has what was *shown*, or is *named* without proof.

        Raises:
            TooManyRequests: too many were made within a minute.
        """
        wait = await self._wait_for(_limits(source, workspace, shown, named))
        if wait:
            msg = (
                "Too many attempts to sign in have come from your address, or for this account; "
                "wait a minute, and try again."
            )
            raise TooManyRequests(msg, retry_after=wait)

    async def check_mail(self, source: str | None, address: str) -> None:
        """Count one more code that is to be mailed to an address.

        Raises:
            TooManyRequests: too many were asked for within an hour, for this address or from this source.
        """
        limits = {
            f"mail to:{_short(address)}": MOST_MAILS_TO_AN_ADDRESS,
            f"mail from:{_short(network(source or 'unknown'))}": MOST_MAILS_FROM_A_SOURCE,
        }
        wait = await self._wait_for(limits, seconds=MAIL_SECONDS)
        if wait:
            msg = (
                "Too many codes have been asked for, for this address or from yours; use the newest mail, sign in "
                "another way, or come again within the hour."
            )
            raise TooManyRequests(msg, retry_after=wait)

    async def _wait_for(self, limits: dict[str, int], *, seconds: int = WINDOW_SECONDS) -> int:
        if time.monotonic() < self._redis_back_at:
            return self._local.wait_for(limits)
        keys = [f"rollcall:attempts:{name}" for name in limits]
        try:
            return int(await self._count_script(keys=keys, args=[seconds, *limits.values()]))
        except (RedisError, OSError) as error:
            log.warning("attempts to sign in are counted locally: Redis is away", error=str(error))
            self._redis_back_at = time.monotonic() + REDIS_PAUSE_SECONDS
            return self._local.wait_for(limits)


def _limits(source: str | None, workspace: str, shown: str | None, named: str | None) -> dict[str, int]:
    """How many attempts may be made by each name that one goes by."""
    place, where = network(source or "unknown"), workspace.strip().lower()
    limits = {
        f"source:{_short(place)}": MOST_FROM_A_SOURCE,
        f"workspace:{_short(place, where)}": MOST_AT_A_WORKSPACE,
    }
    if shown:
        limits[f"account:{_short(where, shown)}"] = MOST_FOR_AN_ACCOUNT
    if named is not None:
        name = name_key(named)
        limits[f"name:{_short(place, where, name)}"] = MOST_FOR_AN_ACCOUNT
        limits[f"name anywhere:{_short(where, name)}"] = MOST_FOR_A_NAME
    return limits


def _short(*parts: str) -> str:
    """A name of any length, so that strangers decide nothing about a key but that it is theirs."""
    return sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
