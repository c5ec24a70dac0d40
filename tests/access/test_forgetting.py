"""What ended long ago is forgotten, what is not over stays, and so does what a receipt is still to come for."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio

from journal.houses import House, a_house
from rollcall.access import housekeeping
from rollcall.cli.embedded import Engines
from rollcall.db import FLEET_ROLE
from rollcall.directory import housekeeping as directory
from rollcall.functions import qualified
from rollcall.settings import Settings
from rows import connected

TENANT, MARIA, NOOR = UUID(int=1), UUID(int=2), UUID(int=3)

SESSION = """
INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, expires_at, closed_at, closed_because)
SELECT $1, uuidv7(), $2, 1, '', now() - make_interval(days => $3), now() - make_interval(days => $4), $5
  FROM generate_series(1, $6)
"""


@pytest_asyncio.fixture
async def house(engines: Engines, settings: Settings) -> AsyncGenerator[House]:
    """A database of the test's own, with a tenant and two people."""
    async with a_house(engines, settings) as house:
        await house.owner.execute("INSERT INTO plans (key, name, features) VALUES ('plan', 'p', '{}')")
        await house.owner.execute(
            "INSERT INTO tenants (id, slug, name, plan, role_rule) VALUES ($1, 'acme', 'a', 'plan', '{}')", TENANT
        )
        for person in (MARIA, NOOR):
            await house.owner.execute(
                "INSERT INTO accounts (tenant_id, id, user_name, active, role, is_admin, role_state)"
                " VALUES ($1, $2, 'x', true, 'member', false, '{}')",
                TENANT,
                person,
            )
        yield house


async def a_session(
    house: House, *, expired: int, closed: int | None = None, because: str = "signed_out", number: int = 1
) -> None:
    """Sessions of Maria that expired and were closed so many days ago."""
    why = None if closed is None else because
    await house.owner.execute(SESSION, TENANT, MARIA, expired, closed, why, number)


async def left(house: House) -> list[tuple[int, int | None]]:
    """How many days ago those that are left expired and were closed."""
    rows = await house.owner.fetch(
        "SELECT round(extract(epoch FROM now() - expires_at) / 86400)::int AS expired,"
        " round(extract(epoch FROM now() - closed_at) / 86400)::int AS closed"
        " FROM sessions ORDER BY expired, closed"
    )
    return [(row["expired"], row["closed"]) for row in rows]


async def test_sessions(house: House) -> None:
    """A session is forgotten a day after it expired; one that is live or has just expired stays, closed or not."""
    for expired, closed in ((2, None), (0, None), (-1, None), (2, 50), (0, 50), (-30, 20)):
        await a_session(house, expired=expired, closed=closed)
    assert await housekeeping.forget_sessions(house.database) == {"sessions_forgotten": 2}
    assert await left(house) == [(-30, 20), (-1, None), (0, 50), (0, None)]
    assert await housekeeping.forget_sessions(house.database) == {"sessions_forgotten": 0}
    assert await housekeeping.forget_sessions(house.database, now=datetime.now(UTC) + timedelta(days=999)) == {
        "sessions_forgotten": 2
    }, "whatever moment is given, what is not over stays"


async def test_what_a_receipt_is_to_purge(house: House) -> None:
    """What a departure closed is left for its receipt, until no departure can wait that long."""
    await a_session(house, expired=300, closed=394, because="person_left")
    await a_session(house, expired=300, closed=396, because="person_left")
    assert await housekeeping.forget_sessions(house.database) == {"sessions_forgotten": 1}
    assert await left(house) == [(300, 394)]


async def test_twenty_thousand_expired_sessions(house: House) -> None:
    """Who has signed in often leaves as quickly as anybody: a departure finds only what has not long expired."""
    await a_session(house, expired=2, number=20_000)
    await a_session(house, expired=-1)
    assert await housekeeping.forget_sessions(house.database) == {"sessions_forgotten": 20_000}
    leave = qualified("SELECT fn.leave($1, $2, 'deactivated', 'x', now())")
    costs: list[int] = []
    async with connected(house.settings.database_url.get_secret_value()) as runner:
        for person in (NOOR, MARIA):
            async with runner.transaction():
                await runner.execute("SELECT set_config('rollcall.tenant', $1, true)", str(TENANT))
                plan = await runner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {leave}", TENANT, person)
                costs.append(blocks(plan))
    assert await house.count("sessions", "closed_because = 'person_left'") == 1
    assert costs[1] < 15 * costs[0]


def blocks(plan: Any) -> int:
    """The blocks that a statement touched."""
    facts = json.loads(plan)[0]["Plan"]
    return facts["Shared Hit Blocks"] + facts["Shared Read Blocks"]


async def test_credentials(house: House) -> None:
    """Tokens, passkeys, passwords and external credentials are forgotten 400 days after they ended; live ones stay."""
    for days in (401, 399):
        ended = datetime.now(UTC) - timedelta(days=days)
        for revoked, expires in ((ended, None), (None, ended), (ended, datetime.now(UTC))):
            await house.owner.execute(
                "INSERT INTO tokens (tenant_id, id, label, scopes, digest, issued_by, revoked_at, expires_at)"
                " VALUES ($1, uuidv7(), 'x', '{}', '', 'x', $2, $3)",
                TENANT,
                revoked,
                expires,
            )
            await house.owner.execute(
                "INSERT INTO external_credentials (tenant_id, id, account_id, epoch, kind, name, closed_at, expires_at)"
                " VALUES ($1, uuidv7(), $2, 1, 'x', uuidv7()::text, $3, $4)",
                TENANT,
                MARIA,
                revoked,
                expires,
            )
        for closed in (ended, None):
            await house.owner.execute(
                "INSERT INTO passkeys (tenant_id, id, account_id, epoch, credential_id, public_key, sign_count,"
                " transports, aaguid, closed_at)"
                " VALUES ($1, uuidv7(), $2, 1, uuid_send(uuidv7()), '', 0, '{}', uuidv7(), $3)",
                TENANT,
                MARIA,
                closed,
            )
            await house.owner.execute(
                "INSERT INTO passwords (tenant_id, account_id, epoch, hash, closed_at)"
                " VALUES ($1, $2, 1, 'x', $3) ON CONFLICT DO NOTHING",
                TENANT,
                MARIA,
                closed,
            )
        await house.owner.execute(
            "INSERT INTO mail_codes (id, address, created_at)"
            " VALUES (uuidv7(), 'x', now() - make_interval(days => $1 - 399))",
            days,
        )
        await house.owner.execute(
            "INSERT INTO passkey_challenges (tenant_id, id, purpose, challenge, expires_at)"
            " VALUES ($1, uuidv7(), 'sign_in', '', now() - make_interval(days => $2 - 399))",
            TENANT,
            days,
        )
    await house.owner.execute(
        "INSERT INTO tokens (tenant_id, id, label, scopes, digest, issued_by)"
        " VALUES ($1, uuidv7(), 'x', '{}', '', 'x')",
        TENANT,
    )
    assert await housekeeping.forget_credentials(house.database) == {
        "tokens_forgotten": 3,
        "passkeys_forgotten": 1,
        "passwords_forgotten": 1,
        "mail_codes_forgotten": 1,
        "external_forgotten": 3,
        "history_forgotten": 0,
        "challenges_forgotten": 1,
    }
    tables = ("tokens", "external_credentials", "passkeys", "passkey_challenges")
    assert [await house.count(table) for table in tables] == [4, 3, 3, 1]


async def test_cases(house: House) -> None:
    """A case is forgotten half a year after it was closed; an open one stays, however old it is."""
    for number, closed in enumerate((181, 179, None)):
        await house.owner.execute(
            "INSERT INTO conflict_cases (tenant_id, user_name_key, user_name, roles, names, detail, stored, first_seen,"
            " last_seen, closed_at) VALUES ($1, $2, 'x', '{}', '[]', 'x', false, now() - interval '999 days',"
            " now() - interval '999 days', now() - make_interval(days => $3))",
            TENANT,
            str(number),
            closed,
        )
    assert await directory.forget_cases(house.database) == {"cases_forgotten": 1}
    assert await house.count("conflict_cases") == 2


@pytest.mark.parametrize("what", ["sessions", "tokens", "passkeys", "external", "challenges", "cases"])
async def test_only_the_fleet_forgets(house: House, what: str) -> None:
    """A request's own role can call none of these functions, and the fleet's reads nothing of what it has forgotten."""
    given = "now(), now(), 1" if what == "sessions" else "now(), 1"
    statement = qualified(f"SELECT fn.forget_{what}({given})")
    async with connected(house.settings.database_url.get_secret_value()) as runner:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runner.fetchval(statement)
        async with runner.transaction():
            await runner.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
            assert await runner.fetchval(statement) == 0
