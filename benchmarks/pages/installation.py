"""The installation whose pages are opened: filled once, and what its addresses name."""

import asyncio
import base64
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr

from benchmarks.dataset import RULE, add_groups, add_tenant, superuser
from benchmarks.pages import company, fleet
from rollcall import tables
from rollcall.cli.embedded import Engines, prepare, running
from rollcall.crypto import Sealer, TokenKind, digest, new_secret_key, new_token
from rollcall.db import Connection, connect
from rollcall.directory import role_states
from rollcall.directory.rules import RoleRule
from rollcall.journal.keeping import ORIGIN
from rollcall.proof import signing
from rollcall.settings import Settings
from rollcall.work import SYSTEM, open_fleet

SLUG = "bench"
KEY = "secret-key"
"""The file beside the engines' data with the installation's key."""

SESSIONS = 400
"""Sessions of the admin, so that each file has one of its own."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large it is."""

    people: int
    entries: int
    tenants: int


@dataclass(frozen=True, slots=True)
class Installation:
    """It, while its engines run."""

    engines: Engines
    key: str
    facts: Mapping[str, str]
    """What stands in the pages' addresses."""
    operator: str
    sessions: list[str] = field(repr=False)
    """The admin's: the first is of long ago, and a file takes the last one with it."""

    def environment(self) -> dict[str, str]:
        """What the web process is told."""
        return self.engines.environment | {
            "ROLLCALL_PUBLIC_URL": "https://rollcall.bench.example",
            "ROLLCALL_SECRET_KEYS": self.key,
            "ROLLCALL_LOG_LEVEL": "ERROR",  # what is printed here is the table
            "ROLLCALL_PASSKEY_RP_ID": "rollcall.bench.example",
        }


@contextmanager
def installed(folder: Path, size: Size, say: Callable[[str], None]) -> Generator[Installation]:
    """Start durable engines in *folder*, and fill them unless they are filled already."""
    say("Starting PostgreSQL and Valkey …")
    with running(folder) as (postgres, valkey):
        engines = asyncio.run(prepare(postgres, valkey))
        key = _key(folder / KEY)
        settings = Settings(
            database_url=SecretStr(engines.database_url),
            migration_database_url=SecretStr(engines.migration_database_url),
            redis_url=SecretStr(engines.valkey.url),
            secret_keys=(SecretStr(key),),
        )
        asyncio.run(tables.migrate(settings))
        yield asyncio.run(_filled(engines, key, settings, size, say))


def _key(file: Path) -> str:
    if not file.exists():
        file.write_text(new_secret_key())
    return file.read_text()


async def _filled(
    engines: Engines, key: str, settings: Settings, size: Size, say: Callable[[str], None]
) -> Installation:
    async with superuser(engines) as connection:
        if not await connection.fetchval("SELECT true FROM tenants WHERE slug = $1", SLUG):
            say(f"Writing {size.people:,} people, {size.entries:,} audit entries and {size.tenants:,} tenants …")
            async with connection.transaction():
                await _fill(connection, size)
            await connection.execute("VACUUM (ANALYZE)")
            await connection.execute("CHECKPOINT")
        await _ensure_signing_key(settings)
        facts = await _facts(connection)
        return Installation(engines, key, facts, await fleet.sign_in(connection), await _sign_in(connection))


async def _ensure_signing_key(settings: Settings) -> None:
    database = await connect(settings)
    try:
        async with open_fleet(database, SYSTEM, ORIGIN) as work:
            await signing.ensure_keys(work, Sealer.of(settings))
    finally:
        await database.close()


async def _fill(connection: Connection, size: Size) -> None:
    await connection.execute(_PLANS, size.people * 2)
    lot = random.Random(7643)
    tenant = await add_tenant(connection, SLUG, size.people, 1, lot)
    for members in (10, 1_000, 100_000):
        await add_groups(connection, tenant, members)
    await connection.execute(_ROLE_GROUPS, tenant.id)
    await company.add_past(connection, tenant.id, people=size.people, entries=size.entries)
    await connection.execute(_OVERRIDE, tenant.id, orjson.dumps(_SEATS_OVERRIDDEN).decode())
    rule = RoleRule.model_validate(RULE)
    state = orjson.dumps(role_states.fresh(rule).stored()).decode()
    await fleet.add_fleet(connection, size.tenants, rule.model_dump_json(), state)


_PLANS = """
INSERT INTO plans (key, name, seats, features, rate_per_second)
VALUES ('bench', 'Bench', $1, '{scim,events}', 0), ('other', 'Other', NULL, '{scim}', 0)
"""

_ROLE_GROUPS = """
WITH made AS (
    INSERT INTO groups (tenant_id, display_name, display_name_key)
    SELECT $1, name, name FROM unnest(ARRAY['dart-admins', 'dart-members', 'dart-guests', 'dart-wizards']) name
    RETURNING id)
INSERT INTO group_users (tenant_id, group_id, user_id)
SELECT $1, made.id, u.id FROM made, (SELECT id FROM users WHERE tenant_id = $1 ORDER BY id LIMIT 50) u
"""

_OVERRIDE = (
    "UPDATE tenants SET overrides = jsonb_build_object('seats', $2::jsonb), profile = 'okta', "
    "owner_leaves = 'offboarding_only' WHERE id = $1"
)
_SEATS_OVERRIDDEN = {
    "value": 150_000,
    "reason": "they grow",
    "by": "grace",
    "at": "2026-11-01T09:00:00+00:00",
    "ends_at": None,
}


async def _sign_in(connection: Connection) -> list[str]:
    """Sessions of the tenant's admin; in all but the first they have just proved who they are."""
    tenant: UUID = await connection.fetchval("SELECT id FROM tenants WHERE slug = $1", SLUG)
    admin: UUID = await connection.fetchval(
        "SELECT id FROM accounts WHERE tenant_id = $1 AND user_name = 'ada@bench.example'", tenant
    )
    until = datetime.now(UTC) + timedelta(hours=4)
    ids = [uuid4() for _ in range(SESSIONS)]
    texts = [new_token(TokenKind.SESSION, tenant, each) for each in ids]
    await connection.executemany(
        "INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, purpose, expires_at, proved_at, seen_at) "
        "VALUES ($1, $2, $3, 1, $4, 'console', $5, $5, $5)",
        [(tenant, each, admin, digest(text), until) for each, text in zip(ids, texts, strict=True)],
    )
    await connection.execute("UPDATE sessions SET proved_at = now() - interval '1 hour' WHERE id = $1", ids[0])
    return texts


async def _facts(connection: Connection) -> Mapping[str, str]:
    """What the pages' addresses name, by the names they have there."""
    tenant: UUID = await connection.fetchval("SELECT id FROM tenants WHERE slug = $1", SLUG)
    found = {"slug": SLUG, "month": f"{datetime.now(UTC):%Y-%m}"}
    for name, question in ONES.items():
        found[name] = str(await connection.fetchval(question, tenant))
    for name, question in POSITIONS.items():
        row = await connection.fetchrow(question, tenant)
        found[name] = _cursor(cast("Mapping[str, object]", row).values()) if row is not None else ""
    for name, way in (("fleet_on", "ASC"), ("fleet_last", "DESC")):
        slug = await connection.fetchval(f"SELECT slug FROM tenants ORDER BY slug {way} OFFSET 40 LIMIT 1")
        found[name] = f"0.{slug}"
    return found


def _cursor(position: Iterable[object]) -> str:
    """A cursor as `rollcall.paging` writes it, wherever a list is to begin."""
    return base64.urlsafe_b64encode(orjson.dumps(list(position), default=str)).rstrip(b"=").decode()


_OF_ADA = "account_id = (SELECT id FROM accounts WHERE tenant_id = $1 AND user_name = 'ada@bench.example')"
_BUSIEST = "(SELECT id FROM accounts WHERE tenant_id = $1 AND user_name = 'amara.okonkwo.1@bench.example')"

ONES = {
    "person": "SELECT id FROM accounts WHERE tenant_id = $1 AND user_name = 'amara.okonkwo.7@bench.example'",
    "busiest": f"SELECT {_BUSIEST}",
    "left": "SELECT id FROM accounts WHERE tenant_id = $1 AND NOT active ORDER BY id LIMIT 1",
    "script": f"SELECT id FROM tokens WHERE tenant_id = $1 AND owner_id = {_BUSIEST} ORDER BY id LIMIT 1",
    "own_script": f"SELECT id FROM tokens WHERE tenant_id = $1 AND {_OF_ADA.replace('account_id', 'owner_id')} "
    "AND '{scim}' <> scopes AND revoked_at IS NULL ORDER BY id LIMIT 1",
    "passkey": f"SELECT id FROM passkeys WHERE tenant_id = $1 AND {_OF_ADA} ORDER BY id LIMIT 1",
    "session": f"SELECT id FROM sessions WHERE tenant_id = $1 AND {_OF_ADA} AND purpose = 'product' LIMIT 1",
    "link": "SELECT id FROM sessions WHERE tenant_id = $1 AND purpose = 'contact_link' ORDER BY id LIMIT 1",
    "token": "SELECT id FROM tokens WHERE tenant_id = $1 AND label LIKE 'token %' AND revoked_at IS NULL LIMIT 1",
    "left_behind": "SELECT id FROM tokens WHERE tenant_id = $1 AND label = 'left behind'",
    "mass_change": "SELECT id FROM mass_changes WHERE tenant_id = $1",
    "everybody": "SELECT id FROM groups WHERE tenant_id = $1 AND display_name LIKE '%of us 1' "
    "ORDER BY length(display_name) DESC LIMIT 1",
    "few": "SELECT id FROM groups WHERE tenant_id = $1 AND display_name = '10 of us 1'",
    "request": "SELECT request_id FROM audit_entries WHERE tenant_id = $1 ORDER BY at DESC OFFSET 500 LIMIT 1",
    "first_request": "SELECT request_id FROM audit_entries WHERE tenant_id = $1 ORDER BY at LIMIT 1",
    "receipt": "SELECT id FROM receipts WHERE tenant_id = $1 ORDER BY id LIMIT 1",
    "destination": "SELECT id FROM destinations WHERE tenant_id = $1 ORDER BY label LIMIT 1",
    "failing": "SELECT destination_id FROM deliveries WHERE tenant_id = $1 AND state = 'dead' LIMIT 1",
    "delivery": "SELECT id FROM deliveries WHERE tenant_id = $1 AND destination_id = "
    "(SELECT id FROM destinations WHERE tenant_id = $1 ORDER BY label LIMIT 1) ORDER BY id DESC LIMIT 1",
}

POSITIONS = {
    "people_on": "SELECT id FROM accounts WHERE tenant_id = $1 ORDER BY id OFFSET 50 LIMIT 1",
    "people_last": "SELECT id FROM accounts WHERE tenant_id = $1 ORDER BY id DESC OFFSET 30 LIMIT 1",
    "tokens_on": "SELECT created_at, id FROM tokens WHERE tenant_id = $1 ORDER BY created_at DESC OFFSET 10 LIMIT 1",
    "groups_on": "SELECT display_name_key, id FROM groups WHERE tenant_id = $1 ORDER BY 1, 2 OFFSET 50 LIMIT 1",
    "groups_last": "SELECT display_name_key, id FROM groups WHERE tenant_id = $1 ORDER BY 1 DESC, 2 OFFSET 30 LIMIT 1",
    "members_on": "SELECT user_name_key, id FROM users WHERE tenant_id = $1 ORDER BY 1 OFFSET 50 LIMIT 1",
    "members_last": "SELECT user_name_key, id FROM users WHERE tenant_id = $1 ORDER BY 1 DESC OFFSET 30 LIMIT 1",
    "cases_on": "SELECT first_seen, id FROM conflict_cases WHERE tenant_id = $1 AND closed_at IS NULL "
    "ORDER BY 1 DESC, 2 DESC OFFSET 50 LIMIT 1",
    "activity_on": "SELECT at, id FROM audit_entries WHERE tenant_id = $1 ORDER BY at DESC OFFSET 50 LIMIT 1",
    "activity_last": "SELECT at, id FROM audit_entries WHERE tenant_id = $1 ORDER BY at OFFSET 30 LIMIT 1",
    "departures_on": "SELECT id FROM receipts WHERE tenant_id = $1 ORDER BY id DESC OFFSET 50 LIMIT 1",
    "departures_last": "SELECT id FROM receipts WHERE tenant_id = $1 ORDER BY id OFFSET 30 LIMIT 1",
    "deliveries_on": "SELECT id FROM deliveries WHERE tenant_id = $1 ORDER BY id DESC OFFSET 50 LIMIT 1",
    "deliveries_last": "SELECT id FROM deliveries WHERE tenant_id = $1 ORDER BY id OFFSET 30 LIMIT 1",
    "alerts_on": "SELECT opened_at, id FROM alerts WHERE closed_at IS NULL AND tenant_id <> $1 "
    "ORDER BY opened_at DESC OFFSET 25 LIMIT 1",
}
"""Where lists begin that have been gone through: a page on, and just before their end."""
