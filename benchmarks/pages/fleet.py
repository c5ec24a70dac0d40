"""The other tenants of an operator: small ones, some of which need attention; and an operator who is signed in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from benchmarks.pages.bulk import statements
from rollcall.crypto import NOBODY, TokenKind, digest, new_token
from rollcall.db import Connection

STATEMENTS = statements(__file__)

ENTRIES = 200
"""Audit entries of each within the last day."""


async def add_fleet(connection: Connection, tenants: int, role_rule: str, role_state: str) -> None:
    """So many tenants of five people each."""
    await connection.execute(STATEMENTS["tenants"], tenants, role_rule)
    await connection.execute(STATEMENTS["people"], role_state)
    await connection.execute(STATEMENTS["tokens"])
    await connection.execute(STATEMENTS["entries"], ENTRIES)
    await connection.execute(STATEMENTS["alerts"])


async def sign_in(connection: Connection) -> str:
    """The session of an operator of the role ``ops``."""
    session_id = uuid4()
    text = new_token(TokenKind.OPERATOR_SESSION, NOBODY, session_id)
    operator: UUID = await connection.fetchval(
        "INSERT INTO operators (id, name, role) VALUES (gen_random_uuid(), $1, 'ops') RETURNING id",
        f"grace {session_id}",
    )
    until = datetime.now(UTC) + timedelta(hours=8)
    await connection.execute(
        "INSERT INTO operator_sessions (id, operator_id, purpose, role, digest, expires_at, idle_at) "
        "VALUES ($1, $2, 'console', 'ops', $3, $4, $4)",
        session_id,
        operator,
        digest(text),
        until,
    )
    return text
