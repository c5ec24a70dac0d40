"""The one door that ends what a person can do; the closing itself is the function ``leave`` in the migrations."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rollcall.work import Work

_LEAVE = text("SELECT leave(:tenant, :account, :reason, :request_id, :arrived)")


async def end_all(work: Work, account_id: UUID, *, reason: str) -> dict[str, Any] | None:
    """Close every way in that an account has: it is inactive, its epoch rises, sessions and tokens are closed.

    The outbox message that tells the worker is written in the same transaction. Returns how many of each credential
    class were closed, or ``None`` when the account was closed already.
    """
    closed = await work.db.scalar(
        _LEAVE,
        {
            "tenant": work.tenant.id,
            "account": account_id,
            "reason": reason,
            "request_id": work.origin.request_id,
            "arrived": work.now,
        },
    )
    return json.loads(closed) if isinstance(closed, str) else closed
