"""Answers kept for whoever repeats a creation: under an ``Idempotency-Key`` of theirs, for a day, sealed for them.

The record is written in the transaction that creates, so neither is ever there without the other. A key is held from
before it is looked for until that transaction ends, so of two calls at the same moment the second finds what the first
one left.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from rollcall.crypto import CallersSeal
from rollcall.errors import IdempotencyKeyInUse, IdempotencyKeyReused, TooManyRequests
from rollcall.functions import qualified
from rollcall.journal.record import INSTALLATION
from rollcall.work import Fleet, Work

KEEP_FOR = timedelta(hours=24)
"""How long a repeated call is answered instead of being done again."""

SHOW_SECRETS_FOR = timedelta(minutes=10)
"""How long what is shown once is part of that answer."""

BUCKETS = 256
MOST_IN_A_BUCKET = 400
"""Keys of one caller in one tenant whose names begin with the same byte. Names are spread evenly whoever chooses the
keys, so one 256th is counted instead of all, and all are about a hundred thousand a day."""

_LOCK_KEY = text(qualified("SELECT fn.hold_idempotency_key(:tenant, :name)"))
_FIND = text("""
    SELECT fingerprint, status, answer, has_secret,
           CASE WHEN created_at > statement_timestamp() - CAST(:shown AS interval) THEN whole_answer END AS whole_answer
      FROM idempotency_keys
     WHERE tenant_id = :tenant AND caller_id = :caller AND name = :name
       AND created_at > statement_timestamp() - CAST(:kept AS interval)
""")
_COUNT = text("""
    SELECT count(*) FROM idempotency_keys
     WHERE tenant_id = :tenant AND caller_id = :caller AND name >= :first AND name <= :last
       AND created_at > statement_timestamp() - CAST(:kept AS interval)
""")
_KEEP = text("""
    INSERT INTO idempotency_keys (tenant_id, caller_id, name, fingerprint, status, answer, has_secret, whole_answer)
    VALUES (:tenant, :caller, :name, :fingerprint, :status, :answer, :has_secret, :whole_answer)
    ON CONFLICT (tenant_id, caller_id, name) DO UPDATE
       SET fingerprint = excluded.fingerprint, status = excluded.status, answer = excluded.answer,
           has_secret = excluded.has_secret, whole_answer = excluded.whole_answer, created_at = excluded.created_at
""")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given; *without_secret* is the same less what is shown once, None where nothing is."""

    status: int
    body: bytes
    without_secret: bytes | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The answer for whoever repeats a call; *withheld* says that what was shown once is no longer part of it."""

    status: int
    body: bytes
    withheld: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call under a key: whose it is, and the fingerprint of what it asks for."""

    caller_id: UUID
    seal: CallersSeal
    fingerprint: bytes

    async def begin(self, work: Work | Fleet) -> Repeated | None:
        """Hold the key until *work* ends, and find what was answered under it; None if this is the first call.

        Raises:
            IdempotencyKeyInUse: the first call is not over, after two seconds of waiting.
            IdempotencyKeyReused: the key belongs to another call.
            TooManyRequests: the caller has used as many keys as one may within a day.
        """
        if not await work.db.scalar(_LOCK_KEY, {"tenant": _tenant_of(work), "name": self.seal.name}):
            raise IdempotencyKeyInUse
        found = (
            (await work.db.execute(_FIND, self._named(work) | {"shown": SHOW_SECRETS_FOR, "kept": KEEP_FOR}))
            .mappings()
            .first()
        )
        if found is not None:
            return self._repeated(found)
        await self._check_room(work)
        return None

    async def end(self, work: Work | Fleet, answer: StoredAnswer) -> None:
        """Keep what was answered, from the commit on."""
        secret = answer.without_secret is not None
        await work.db.flush()  # what was created, by the session, stands before its record
        await work.db.execute(
            _KEEP,
            self._named(work)
            | {
                "fingerprint": self.fingerprint,
                "status": answer.status,
                "answer": self.seal.seal(answer.body if answer.without_secret is None else answer.without_secret),
                "has_secret": secret,
                "whole_answer": self.seal.seal(answer.body) if secret else None,
            },
        )

    def _repeated(self, found: RowMapping) -> Repeated:
        if found["fingerprint"] != self.fingerprint:
            raise IdempotencyKeyReused
        whole: bytes | None = found["whole_answer"]
        body = self.seal.open(found["answer"] if whole is None else whole)
        return Repeated(found["status"], body, withheld=found["has_secret"] and whole is None)

    async def _check_room(self, work: Work | Fleet) -> None:
        first = self.seal.name[:1]
        bounds = {"first": first, "last": first + b"\xff" * 33, "kept": KEEP_FOR}
        if int(await work.db.scalar(_COUNT, self._named(work) | bounds) or 0) >= MOST_IN_A_BUCKET:
            msg = (
                f"Within 24 hours about {BUCKETS * MOST_IN_A_BUCKET:,} Idempotency-Keys were used with this key and "
                "tenant, the most that are kept; wait, or leave the header out where a repeated call does no harm."
            )
            raise TooManyRequests(msg, retry_after=3600)

    def _named(self, work: Work | Fleet) -> dict[str, Any]:
        return {"tenant": _tenant_of(work), "caller": self.caller_id, "name": self.seal.name}


def _tenant_of(work: Work | Fleet) -> UUID:
    return work.tenant.id if isinstance(work, Work) else INSTALLATION
