"""Introspection (RFC 7662): is this session or token good, at this moment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rollcall.crypto import TokenKind, TokenText, read_token
from rollcall.db import Pool
from rollcall.errors import Unauthenticated

_ASK = "SELECT * FROM introspect($1, $2, $3, $4, $5, $6, $7)"
_ASKABLE = frozenset({TokenKind.SESSION, TokenKind.SCIM, TokenKind.PERSONAL})
_CLIENTS = frozenset({TokenKind.APPLICATION, TokenKind.OPERATOR})
_NOTHING = TokenText(TokenKind.SESSION, UUID(int=0), UUID(int=0), b"")


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


async def introspect(pool: Pool, client_key: str | None, text: str) -> Live | None:
    """Tell the product whether a credential is good; ``None`` when it is not, whatever the reason.

    Raises:
        Unauthenticated: who asks has no live application or operator key.
    """
    client = None if client_key is None else read_token(client_key)
    if client is None or client.kind not in _CLIENTS:
        msg = "Introspection needs an application key: send 'Authorization: Bearer rc_app_…'."
        raise Unauthenticated(msg)
    asked = read_token(text)
    if asked is None or asked.kind not in _ASKABLE:
        asked = _NOTHING
    row = await pool.fetchrow(
        _ASK,
        client.kind.value,
        client.id,
        client.digest,
        asked.kind.value,
        asked.tenant_id,
        asked.id,
        asked.digest,
    )
    if row is None:
        msg = "This key is not known or has been revoked; introspection needs a live application key."
        raise Unauthenticated(msg)
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
