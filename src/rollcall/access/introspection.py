"""Introspection (RFC 7662): is this session or token good, at this moment."""

import math
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from rollcall.access import statements
from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.db import Pool, Row
from rollcall.errors import Unauthenticated

MOST_AT_ONCE = 100
"""Credentials that can be asked about in one question."""

_REMEMBERED = 1.0
_ASKABLE = frozenset({TokenKind.SESSION, TokenKind.SCIM, TokenKind.PERSONAL})
_NOTHING = TokenText(TokenKind.SESSION, UUID(int=0), UUID(int=0), b"")


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Live:
    """A good credential: whose it is and the role they have now. *account_id* is None for an ops-issued token."""

    kind: TokenKind
    id: UUID
    tenant_id: UUID
    tenant: str
    account_id: UUID | None
    user_name: str | None
    role: str | None
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime | None


async def introspect(pool: Pool, client: TokenText, text: str) -> Live | None:
    """Tell the product whether a credential is good; ``None`` when it is not, whatever the reason.

    Raises:
        Unauthenticated: who asks has no live application or operator key.
    """
    asked = _askable(text)
    row = await statements.introspect(pool, client, asked)
    if row is None:
        raise UnknownClient
    return _live(asked, row)


async def introspect_many(pool: Pool, client: TokenText, texts: Sequence[str]) -> list[Live | None]:
    """The same about many credentials, in one statement; the answers are in the order of *texts*.

    Raises:
        Unauthenticated: as `introspect`, also when nothing is asked.
    """
    asked = [_askable(text) for text in texts] or [_NOTHING]
    rows = await statements.introspect_many(pool, client, asked)
    if any(row["active"] is None for row in rows):
        raise UnknownClient
    return [_live(each, row) for each, row in zip(asked, rows, strict=True)][: len(texts)]


class Clients:
    """The keys of those who ask, judged by themselves: before their body is read, and before they are answered.

    A key that was good within the last second is let through to its body; the statement that answers judges it anew.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._live_at: dict[bytes, float] = {}

    async def admit(self, client: TokenText) -> None:
        """Let a caller send its body.

        Raises:
            Unauthenticated: they have no live application or operator key.
        """
        if self._live_at.get(client.digest, -math.inf) > time.monotonic() - _REMEMBERED:
            return
        if await statements.authenticate(self._pool, client) is None:
            raise UnknownClient
        self._live_at[client.digest] = time.monotonic()

    async def introspect(self, client: TokenText, text: str) -> Live | None:
        """`introspect`, and what it says of the key is remembered."""
        return await self._noted(client, introspect(self._pool, client, text))

    async def introspect_many(self, client: TokenText, texts: Sequence[str]) -> list[Live | None]:
        """`introspect_many`, likewise."""
        return await self._noted(client, introspect_many(self._pool, client, texts))

    async def _noted(self, client: TokenText, answer: Awaitable[Answer]) -> Answer:
        try:
            found = await answer
        except UnknownClient:
            self._live_at.pop(client.digest, None)
            raise
        self._live_at[client.digest] = time.monotonic()
        return found


class UnknownClient(Unauthenticated):
    """The key of who asks is not live."""

    def __init__(self) -> None:
        super().__init__("This key is not known or has been revoked; a live application key is needed here.")


def client_of(client_key: str | None) -> TokenText:
    """The key of who asks, as it is written; whether it is live, only the database knows.

    Raises:
        Unauthenticated: it is no application's or operator's key.
    """
    client = None if client_key is None else read_token(client_key)
    if client is None or client.kind not in statements.OF_INSTALLATION:
        msg = "This needs an application key: send 'Authorization: Bearer rc_app_…', or the key as a client's password."
        raise Unauthenticated(msg)
    return client


def _askable(text: str) -> TokenText:
    asked = read_token(text)
    return asked if asked is not None and asked.kind in _ASKABLE else _NOTHING


def _live(asked: TokenText, row: Row) -> Live | None:
    if not row["active"]:
        return None
    return Live(
        kind=asked.kind,
        id=asked.id,
        tenant_id=asked.tenant_id,
        tenant=row["slug"],
        account_id=row["account_id"],
        user_name=row["user_name"],
        role=row["role"],
        scopes=tuple(row["scopes"] or ()),
        issued_at=row["issued_at"],
        expires_at=row["expires_at"],
    )
