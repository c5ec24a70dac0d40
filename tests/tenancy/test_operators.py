"""The installation's own keys: shown once, ended for good."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

import pytest

from factories import ORIGIN, Callers
from rollcall.crypto import TokenKind, read_token
from rollcall.db import Connection, Database
from rollcall.errors import NotFound
from rollcall.tenancy import operators
from rollcall.work import SYSTEM, open_fleet
from rows import tables_with


async def issue(database: Database, kind: TokenKind = TokenKind.OPERATOR) -> str:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return await operators.issue_key(fleet, kind, label="somebody's")


async def test_shown_once(callers: Callers, database: Database, owner: Connection) -> None:
    """A key works, and its text is in no row of any table; what is kept is its SHA-256."""
    key = await issue(database)
    async with callers.bearer(key) as client:
        assert (await client.get("/v1/plans")).status_code == 200
    assert await tables_with(owner, key.split("_")[4]) == []
    read = read_token(key)
    assert read is not None
    assert (
        await owner.fetchval("SELECT digest FROM installation_keys WHERE id = $1", read.id)
        == sha256(key.encode()).digest()
    )


async def test_issuing_is_written_down(database: Database, owner: Connection) -> None:
    """That a key was issued stands in the installation's audit."""
    read = read_token(await issue(database))
    assert read is not None
    entries = "SELECT count(*) FROM audit_entries WHERE action = 'installation_key.issued' AND target = $1"
    assert await owner.fetchval(entries, str(read.id)) == 1


async def test_revoked(callers: Callers, database: Database, owner: Connection) -> None:
    """A revoked key is refused at its next call; revoking it again keeps the moment, and is no further entry."""
    key = await issue(database)
    read = read_token(key)
    assert read is not None
    async with callers.bearer(key) as client:
        assert (await client.get("/v1/plans")).status_code == 200
        for now in (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)):
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                await operators.revoke_key(fleet, read.id, now=now)
        assert (await client.get("/v1/plans")).status_code == 401
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert not await operators.is_live(fleet, read.id, read.digest)
        (row,) = [each for each in await operators.every(fleet) if each.id == read.id]
        assert row.revoked_at == datetime(2026, 1, 1, tzinfo=UTC)
    entries = "SELECT count(*) FROM audit_entries WHERE action = 'installation_key.revoked' AND target = $1"
    assert await owner.fetchval(entries, str(read.id)) == 1


async def test_live_only_with_its_secret(database: Database) -> None:
    """A key is live by its digest, not by its id."""
    read = read_token(await issue(database))
    assert read is not None
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        assert await operators.is_live(fleet, read.id, read.digest)
        assert not await operators.is_live(fleet, read.id, b"another")
        assert not await operators.is_live(fleet, uuid4(), read.digest)


async def test_unknown(database: Database) -> None:
    """A key that does not exist can't be revoked."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        with pytest.raises(NotFound):
            await operators.revoke_key(fleet, uuid4(), now=datetime.now(UTC))


@pytest.mark.parametrize("kind", [TokenKind.OPERATOR, TokenKind.APPLICATION])
async def test_the_kind_counts(callers: Callers, database: Database, kind: TokenKind) -> None:
    """An application key opens sessions and no tenants; an operator key does both."""
    async with callers.bearer(await issue(database, kind)) as client:
        listed = await client.get("/v1/tenants")
    assert listed.status_code == (200 if kind is TokenKind.OPERATOR else 403)
