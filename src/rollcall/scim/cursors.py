"""The cursors of RFC 9865: where a page ends, in a text that only its tenant can use, for its query and for a while.

A cursor is signed and not encrypted: all it holds has just been sent to whoever gets it. Nothing of it is kept here, so
it lives through restarts and is as good in any other process.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

import orjson

from rollcall.scim.errors import ExpiredCursor, InvalidCursor

LONGEST_CURSOR: Final = 65_536
"""Characters of a cursor; it holds what the last resource of a page is sorted by, at any length that is kept."""

_PURPOSE: Final = b"SCIM cursor 1\x00"
"""Whatever else a secret signs, it is no cursor; and a cursor of another make is none of ours."""

Key = str | int | float | bool | None
"""A value that resources are sorted by, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of a query ends."""

    query: str
    """The fingerprint of the query (`Search.fingerprint`); a page of another one can't be continued."""
    after: tuple[Key, ...]
    """What its last resource is sorted by, its id at last."""


def seal(secret: bytes, tenant: UUID, position: Position, expires: datetime) -> str:
    """The cursor for *position*, of unreserved characters only; good until *expires*, to the second."""
    said = orjson.dumps([int(expires.timestamp()), position.query, position.after])
    return f"{_text(said)}.{_text(_signature(secret, tenant, said))}"


def open_cursor(secret: bytes, tenant: UUID, cursor: str, *, query: str, now: datetime) -> Position:
    """The position that a cursor stands for.

    Raises:
        InvalidCursor: it was not sealed with *secret* for *tenant*, or belongs to a query other than *query*.
        ExpiredCursor: it was, and its time is over.
    """
    said, signature = _parts(cursor)
    if not hmac.compare_digest(signature, _signature(secret, tenant, said)):
        raise InvalidCursor(detail="The cursor is none that was given here; begin again with an empty one")
    expires, of_query, after = cast("tuple[int, str, list[Key]]", orjson.loads(said))
    if of_query != query:
        raise InvalidCursor(
            detail="The cursor belongs to a query with another filter or order; begin again with an empty one"
        )
    if now.timestamp() >= expires:
        raise ExpiredCursor(detail="The cursor has expired; begin again with an empty one")
    return Position(of_query, tuple(after))


def _signature(secret: bytes, tenant: UUID, said: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE + tenant.bytes + said, "sha256")


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(cursor: str) -> tuple[bytes, bytes]:
    said, _, signature = cursor[: LONGEST_CURSOR + 1].partition(".")
    try:
        parts = _data(said), _data(signature)
    except (NotBase64, ValueError) as exc:
        raise InvalidCursor(detail="The cursor is none that was given here; begin again with an empty one") from exc
    # Base64 reads several texts as the same bytes; only the one that was given is good.
    if len(cursor) > LONGEST_CURSOR or f"{_text(parts[0])}.{_text(parts[1])}" != cursor:
        raise InvalidCursor(detail="The cursor is none that was given here; begin again with an empty one")
    return parts


def _data(text: str) -> bytes:
    return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
