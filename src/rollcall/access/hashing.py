"""Hashing passwords: slow and hungry by intent, so it is done in a few threads, and refused beyond a few that wait.

Argon2id with the parameters that argon2-cffi's present profile has (RFC 9106, with 64 MiB); a hash that was made with
others is renewed when its password is right. Nobody waits for it but who sent a password.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rollcall.errors import Unavailable

Made = TypeVar("Made")

AT_ONCE = 2
"""Hashes that a process works on at the same time: 64 MiB and four threads of a core each."""

MOST = 10
"""Those it has taken on, at work or waiting."""

WAIT_SECONDS = 2
"""When to come again, beyond that."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of holding a password against a hash."""

    is_right: bool
    renewed: str | None = None
    """The hash to keep instead, where the parameters have changed."""


class Hashing:
    """Hashes and verifies passwords. One for each process."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._taken = 0
        self._nobodys: str | None = None

    def stop(self) -> None:
        """Take on no more; what is at work is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hashed(self, password: str) -> str:
        """What to keep of a password.

        Raises:
            Unavailable: as many as may be wait already.
        """
        return await self._done(lambda: self._hasher.hash(password))

    async def verified(self, kept: str | None, password: str) -> Verified:
        """Hold a password against what was kept; against nobody's, which no password fits, where there is none.

        Raises:
            Unavailable: as many as may be wait already.
        """
        return await self._done(lambda: self._verify(kept, password))

    def _verify(self, kept: str | None, password: str) -> Verified:
        if self._nobodys is None:  # also where it is not needed, so that the first one takes as long for everybody
            self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        try:
            self._hasher.verify(kept or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return Verified(is_right=False)
        if kept is None:
            return Verified(is_right=False)
        return Verified(True, self._hasher.hash(password) if self._hasher.check_needs_rehash(kept) else None)

    async def _done(self, work: Callable[[], Made]) -> Made:
        if self._taken >= MOST:
            msg = "Too many passwords are being checked just now; try again in a few seconds."
            raise Unavailable(msg, retry_after=WAIT_SECONDS)
        self._taken += 1
        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give_back))
        # Whoever goes away calls nothing off that is counted as taken on.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _give_back(self) -> None:
        self._taken -= 1
