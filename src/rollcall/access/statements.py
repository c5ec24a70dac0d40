"""The statements of access: one function for each function of the database that judges keys or closes ways in."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rollcall.crypto import TokenKind, TokenText
from rollcall.db import Pool, Row
from rollcall.functions import qualified
from rollcall.work import Work

_AUTHENTICATE = qualified("SELECT label, owner_id, slug, is_auditor, role FROM fn.authenticate($1, $2, $3, $4, false)")
_CONSOLE_SESSION = qualified("SELECT * FROM fn.console_session($1, $2, $3, false, $4, $5)")
_VISIT_AS_OPERATOR = qualified("SELECT * FROM fn.visit_as_operator($1, $2, $3)")
_OPERATOR_SESSION = qualified("SELECT * FROM fn.operator_session($1, $2)")
_INTROSPECT = qualified("SELECT * FROM fn.introspect($1, $2, $3, $4, $5, $6, $7)")
_INTROSPECT_MANY = qualified("""
SELECT i.* FROM unnest($4::text[], $5::uuid[], $6::uuid[], $7::bytea[]) WITH ORDINALITY
             AS asked (kind, tenant, id, digest, place)
  LEFT JOIN LATERAL fn.introspect($1, $2, $3, asked.kind, asked.tenant, asked.id, asked.digest) AS i ON true
 ORDER BY asked.place
""")
OF_INSTALLATION = frozenset({TokenKind.APPLICATION, TokenKind.OPERATOR})
"""Keys that are no tenant's."""
_STILL_ADMIN = text(qualified("SELECT fn.still_admin(:tenant, :account)"))
_LEAVE = text(qualified("SELECT fn.leave(:tenant, :account, :reason, :request_id, :arrived)"))


async def authenticate(pool: Pool, key: TokenText) -> Row | None:
    """Whose key of the management API this is; None if it is not live.

    The row has ``label``, ``owner_id``, ``slug``, ``is_auditor`` and an operator's ``role``.
    """
    # A key of the installation is no tenant's: it waits in a line of its own.
    whose = key.id if key.kind in OF_INSTALLATION else key.tenant_id
    return await pool.fetchrow(_AUTHENTICATE, key.kind.value, key.tenant_id, key.id, key.digest, of=whose)


async def console_session(pool: Pool, session: TokenText, idle: timedelta, *, sees: bool) -> Row | None:
    """Who is signed in to the console by a session; None if nobody is any more, or it was not used for so long.

    With *sees* it counts as used.
    """
    key = session.tenant_id, session.id, session.digest
    return await pool.fetchrow(_CONSOLE_SESSION, *key, idle, sees, of=session.tenant_id)


async def introspect(pool: Pool, client: TokenText, asked: TokenText) -> Row | None:
    """Whether a credential is good (``active``), and whose it is. None if the client may not ask."""
    who = client.kind.value, client.id, client.digest
    what = asked.kind.value, asked.tenant_id, asked.id, asked.digest
    return await pool.fetchrow(_INTROSPECT, *who, *what, of=asked.tenant_id)


async def introspect_many(pool: Pool, client: TokenText, asked: Sequence[TokenText]) -> Sequence[Row]:
    """`introspect` of each, in their order; ``active`` is None in all of them if the client may not ask."""
    who = client.kind.value, client.id, client.digest
    kinds, tenants = [each.kind.value for each in asked], [each.tenant_id for each in asked]
    ids, digests = [each.id for each in asked], [each.digest for each in asked]
    return await pool.fetch(_INTROSPECT_MANY, *who, kinds, tenants, ids, digests, of=client.id)


async def leave(work: Work, account_id: UUID, reason: str) -> dict[str, Any] | None:
    """Close every way in of an account, and say how many of each; None if it was closed already."""
    who = {"tenant": work.tenant.id, "account": account_id, "reason": reason}
    closed = await work.db.scalar(_LEAVE, who | {"request_id": work.origin.request_id, "arrived": work.now})
    return json.loads(closed) if isinstance(closed, str) else closed


async def still_admin(work: Work, account_id: UUID) -> bool:
    """Whether somebody is an active admin, but for what this work itself has done to them."""
    await work.db.flush()
    return bool(await work.db.scalar(_STILL_ADMIN, {"tenant": work.tenant.id, "account": account_id}))


async def visit_as_operator(pool: Pool, session: TokenText, seconds: int) -> Row | None:
    """Whose session of the operators' console this is, which ends after *seconds* more without use; None if it has."""
    return await pool.fetchrow(_VISIT_AS_OPERATOR, session.id, session.digest, seconds, of=session.id)


async def operator_session(pool: Pool, session: TokenText) -> Row | None:
    """Whose session of the operators' console this is, which does not count as used; None if it has ended."""
    return await pool.fetchrow(_OPERATOR_SESSION, session.id, session.digest, of=session.id)
