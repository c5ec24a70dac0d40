"""What questions are asked of, and how: each within its time, and whatever keeps one from an answer is said."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import logging
from rollcall.checks.model import Check, unknown
from rollcall.db import Database, DatabaseError
from rollcall.journal.health import Revisions
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin

SECONDS = 10.0
"""How long an answer may take."""

AWAY = (SQLAlchemyError, OSError, TimeoutError, RedisError, *DatabaseError)
"""What is raised when a server is away, refuses, or lacks what is asked about."""

ORIGIN = RequestOrigin(request_id="checks")
ACTOR = SYSTEM


@dataclass(frozen=True, slots=True)
class Grounds:
    """An installation: its settings, its servers, and the revisions of this version's tables."""

    settings: Settings
    database: Database
    redis: Redis
    revisions: Revisions


async def ask(name: str, answer: Awaitable[Check]) -> Check:
    """The answer to one question; where a server fails meanwhile, that it can't be told, and why."""
    try:
        async with asyncio.timeout(SECONDS):
            return await answer
    except AWAY as error:
        return unknown(name, f"can't be told: {reason(error)}")


def reason(error: BaseException) -> str:
    """What a server or a driver said, in one line and without secrets."""
    return logging.masked(" ".join(str(error).split())[:300]) or f"no answer within {SECONDS:.0f} s"


def unasked(names: Sequence[str], because: str) -> list[Check]:
    """The questions that can't be asked until something else is well."""
    return [unknown(name, f"can't be told {because}") for name in names]
