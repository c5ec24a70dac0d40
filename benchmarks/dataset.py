"""The dataset that is measured on: real engines, migrated, and tenants full of people written by bulk statements."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import orjson
from pydantic import SecretStr
from redis import Redis

from benchmarks import baseline
from rollcall import tables
from rollcall.cli.embedded import DATABASE, RUNNER, Engines, prepare, running
from rollcall.crypto import NOBODY, TokenKind, digest, new_secret_key, new_token
from rollcall.db import Connection
from rollcall.directory import role_states
from rollcall.directory.rules import RoleRule
from rollcall.settings import Settings

SAMPLE = 4_000
"""People that are asked about, of all that are stored; chosen by lot."""

NEIGHBOURS = 2_000
"""People of the tenant that is there to write at the same moment as another."""

GROUPS = {10: 400, 1_000: 20, 100_000: 1}
"""How many members the groups have that somebody is added to, and how many such groups take turns: a group of ten must
not become one of thousands. Where there are not so many people the groups are smaller."""

GATED = 16
"""Tenants of each kind whose creations are asked about more; so many take turns, since at the last seats those of one
tenant come one after the other."""

GATES = {
    "free": "('bench', NULL, 'refuse', '{scim}')",
    "seats": "('bench-seats', 100000000, 'refuse', '{scim}')",
    "last": "('bench-last', 1, 'overage', '{scim}')",
    "grace": "('bench-grace', NULL, 'refuse', '{}')",
}
"""Their plans: key, seats, seat policy, features."""

BATCH = 50_000
THINGS = 20_000

RULE: dict[str, Any] = {
    "prefix": "dart-",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "member": {"label": "Member", "names": ["members"]},
        "guest": {"label": "Guest", "names": ["guests"]},
    },
    "default": "member",
}

PERSON: dict[str, Any] = {
    "schemas": [
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    ],
    "userName": "amara.okonkwo.#@bench.example",
    "externalId": "00u#f2kq81LmT0h7",
    "name": {"formatted": "Amara Okonkwo #", "familyName": "Okonkwo #", "givenName": "Amara"},
    "displayName": "Amara Okonkwo #",
    "nickName": "Amara",
    "title": "Senior Reliability Engineer",
    "userType": "Employee",
    "preferredLanguage": "en-GB",
    "locale": "en-GB",
    "timezone": "Europe/London",
    "active": True,
    "emails": [
        {"value": "amara.okonkwo.#@bench.example", "type": "work", "primary": True},
        {"value": "amara.#@home.example", "type": "home"},
    ],
    "phoneNumbers": [
        {"value": "+44 20 7946 0#", "type": "work", "primary": True},
        {"value": "+44 7700 900#", "type": "mobile"},
    ],
    "addresses": [
        {
            "type": "work",
            "streetAddress": "20 Farringdon Street",
            "locality": "London",
            "postalCode": "EC4A 4AB",
            "country": "GB",
            "formatted": "20 Farringdon Street\nLondon EC4A 4AB\nGB",
        }
    ],
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
        "employeeNumber": "E-#",
        "costCenter": "4130",
        "organization": "Bench Industries",
        "division": "Platform",
        "department": "Site Reliability",
    },
}
"""What an identity provider sends of a person, about 1.2 kB; # stands for the person's number."""

_PEOPLE = """
WITH people AS MATERIALIZED (SELECT uuidv7() AS id, n FROM generate_series($2::integer, $3::integer) n),
written AS MATERIALIZED (SELECT id, replace($4, '#', n::text)::jsonb AS document FROM people),
accounts AS (
    INSERT INTO accounts (tenant_id, id, user_name, external_id, active, role, is_admin, role_state)
    SELECT $1, id, document ->> 'userName', document ->> 'externalId', true, 'member', false, $5::jsonb FROM written),
users AS (
    INSERT INTO users (tenant_id, id, account_id, user_name_key, external_id, display_name_key, active, document)
    SELECT $1, id, id, lower(document ->> 'userName'), document ->> 'externalId', lower(document ->> 'displayName'),
           true, document
      FROM written),
emails AS (
    INSERT INTO user_emails (tenant_id, user_id, value_key)
    SELECT $1, id, e ->> 'value' FROM written, jsonb_array_elements(document -> 'emails') e),
sessions AS (
    INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, expires_at)
    SELECT $1, gen_random_uuid(), id, 1, sha256(uuid_send(id)), now() + interval '8 hours' FROM people)
SELECT id FROM people ORDER BY id
"""


_GONE = """
WITH accounts AS (
    UPDATE accounts SET active = false, epoch = epoch + 1, deactivated_at = now(), deactivated_because = 'bench'
     WHERE tenant_id = $1 AND id = ANY ($2)),
sessions AS (
    UPDATE sessions SET closed_at = now(), closed_because = 'person_left'
     WHERE tenant_id = $1 AND account_id = ANY ($2))
UPDATE users SET active = false, document = document || '{"active": false}' WHERE tenant_id = $1 AND id = ANY ($2)
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is asked about, with the session they are signed in with."""

    id: UUID
    user_name: str
    session: str

    @property
    def number(self) -> str:
        """What stands for # in what the provider sent of them."""
        return self.user_name.removeprefix("amara.okonkwo.").partition("@")[0]

    @property
    def external_id(self) -> str:
        """The provider's own id."""
        return PERSON["externalId"].replace("#", self.number)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, its SCIM token, how many people it began with, and those of them who are asked about."""

    id: UUID
    slug: str
    token: str
    people: int
    sample: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of one size that people are added to in turn."""

    tenant: Tenant
    ids: tuple[UUID, ...]
    members: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything the measured requests are about.

    *tenants* are full of people. *neighbour* writes beside the first of them. In *club*, which is as large as one of
    them, everybody is in a group or two.
    """

    engines: Engines
    application_key: str
    tenants: tuple[Tenant, ...]
    neighbour: Tenant
    club: Tenant
    groups: tuple[Groups, ...]
    """The club's, from the smallest to the largest."""
    neighbours_groups: Groups
    gated: Mapping[str, tuple[Tenant, ...]]
    """Small tenants by what is asked of their creations: those of `GATES`."""
    things: tuple[UUID, ...]

    @property
    def pair(self) -> tuple[Tenant, Tenant]:
        """Two tenants for writing at the same moment."""
        return self.tenants[0], self.neighbour

    def environment(self, database_url: str | None = None) -> dict[str, str]:
        """What a web process is told."""
        return self.engines.environment | {
            "ROLLCALL_DATABASE_URL": database_url or self.engines.database_url,
            "ROLLCALL_PUBLIC_URL": "https://rollcall.bench.example",
            "ROLLCALL_SECRET_KEYS": new_secret_key(),
            "ROLLCALL_LOG_LEVEL": "ERROR",  # what is printed here is the table
            "ROLLCALL_HEAD_SECONDS": "600",  # connections of the load rest while others are measured
        }

    @property
    def floor_url(self) -> str:
        """The floor's own database on the same server, as the same role."""
        return self.engines.database_url.removesuffix(f"/{DATABASE}") + f"/{baseline.DATABASE}"

    def newcomers(self, tenants: Sequence[Tenant], count: int, *, active: bool = True) -> list[tuple[Tenant, UUID]]:
        """New people in no group, of each tenant in turn: signed in, or if they are not *active*, gone already."""
        return asyncio.run(self._newcomers(tenants, count, active=active))

    async def _newcomers(self, tenants: Sequence[Tenant], count: int, *, active: bool) -> list[tuple[Tenant, UUID]]:
        share = -(-count // len(tenants))
        async with superuser(self.engines) as connection:
            found = [await _add_people(connection, tenant.id, share) for tenant in tenants]
            if not active:
                for tenant, people in zip(tenants, found, strict=True):
                    await connection.execute(_GONE, tenant.id, people)
        return [
            (tenant, person)
            for people in zip(*found, strict=True)
            for tenant, person in zip(tenants, people, strict=True)
        ][:count]

    def count_people(self, tenant: Tenant) -> int:
        """How many people a tenant has now."""
        return asyncio.run(self._count_people(tenant))

    async def _count_people(self, tenant: Tenant) -> int:
        async with superuser(self.engines) as connection:
            return await connection.fetchval("SELECT count(*) FROM users WHERE tenant_id = $1", tenant.id)


@contextmanager
def prepared(folder: Path, *, people: int, tenants: int, say: Callable[[str], None]) -> Generator[Dataset]:
    """Start durable engines in *folder* and fill them: *people* altogether, spread evenly over *tenants*."""
    say("Starting PostgreSQL and Valkey …")
    with running(folder) as (postgres, valkey):
        engines = asyncio.run(prepare(postgres, valkey))
        settings = Settings(
            database_url=SecretStr(engines.database_url),
            migration_database_url=SecretStr(engines.migration_database_url),
            redis_url=SecretStr(engines.valkey.url),
            secret_keys=(SecretStr(new_secret_key()),),
        )
        asyncio.run(tables.migrate(settings))
        say(f"Writing {people:,} people of {tenants:,} {'tenant' if tenants == 1 else 'tenants'}, and a club …")
        yield asyncio.run(_fill(engines, people, tenants))


@asynccontextmanager
async def superuser(engines: Engines, database: str = DATABASE) -> AsyncGenerator[Connection]:
    """A connection that row-level security does not bind."""
    url = engines.postgres.superuser_url.rpartition("/")[0] + f"/{database}"
    connection = cast("Connection", await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType]
    try:
        yield connection
    finally:
        await connection.close()


def engine_versions(engines: Engines) -> dict[str, str]:
    """What the engines say of themselves."""

    async def postgres() -> str:
        async with superuser(engines) as connection:
            return await connection.fetchval("SHOW server_version")

    with Redis.from_url(engines.valkey.url) as valkey:  # pyright: ignore[reportUnknownMemberType]
        info = cast("dict[str, str]", valkey.info("server"))  # pyright: ignore[reportUnknownMemberType]
    return {
        "PostgreSQL": asyncio.run(postgres()),
        "Valkey": info.get("valkey_version", info["redis_version"]),
    }


def person_text(number: int | str) -> str:
    """The person with this number, as an identity provider sends them."""
    return _PERSON_TEXT.replace("#", str(number))


_PERSON_TEXT = orjson.dumps(PERSON).decode()
_RULE = RoleRule.model_validate(RULE)
_STANDING = orjson.dumps(role_states.fresh(_RULE).stored()).decode()
_ADMIN = orjson.dumps(role_states.given_by_hand(_RULE, role_states.fresh(_RULE), "admin").stored()).decode()


async def _fill(engines: Engines, people: int, tenants: int) -> Dataset:
    things = await _fill_floor(engines)
    async with superuser(engines) as connection:
        await connection.execute(
            "INSERT INTO plans (key, name, seats, seat_policy, features, rate_per_second) SELECT key, key, seats, "
            f"policy, features::text[], 0 FROM (VALUES {', '.join(GATES.values())}) AS p (key, seats, policy, features)"
        )
        application_key = await _application_key(connection)
        lot = random.Random(7034)
        full = [
            await add_tenant(connection, f"bench-{number}", people // tenants, -(-SAMPLE // tenants), lot)
            for number in range(tenants)
        ]
        neighbour = await add_tenant(connection, "neighbour", NEIGHBOURS, NEIGHBOURS, lot)
        club = await add_tenant(connection, "club", people // tenants, SAMPLE, lot)
        groups = [await add_groups(connection, club, size) for size in GROUPS]
        neighbours_groups = await add_groups(connection, neighbour, 1_000)
        gated = {kind: await _gated(connection, kind, lot) for kind in GATES}
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    of_groups = tuple(groups), neighbours_groups
    return Dataset(engines, application_key, tuple(full), neighbour, club, *of_groups, gated, things)


async def _gated(connection: Connection, kind: str, lot: random.Random) -> tuple[Tenant, ...]:
    """Small tenants of one of `GATES`."""
    made = [await add_tenant(connection, f"{kind}-{number}", 10, 10, lot) for number in range(GATED)]
    await connection.execute(
        "UPDATE tenants SET plan = $2, lapsed_at = $3, offboarding_from = $3::timestamptz + interval '1 year' "
        "WHERE id = ANY ($1)",
        [each.id for each in made],
        GATES[kind].split("'")[1],
        datetime.now(UTC) if kind == "grace" else None,
    )
    return tuple(made)


async def _fill_floor(engines: Engines) -> tuple[UUID, ...]:
    async with superuser(engines, "postgres") as connection:
        await connection.execute(f"CREATE DATABASE {baseline.DATABASE}")
    async with superuser(engines, baseline.DATABASE) as connection:
        await connection.execute(baseline.TABLE)
        await connection.execute(f"GRANT SELECT, INSERT ON things TO {RUNNER}")
        rows = await connection.fetch(
            "INSERT INTO things (body) SELECT replace($1, '#', n::text) FROM generate_series(1, $2::integer) n "
            "RETURNING id",
            _PERSON_TEXT,
            THINGS,
        )
        await connection.execute("VACUUM (ANALYZE) things")
    return tuple(row["id"] for row in rows)


async def _application_key(connection: Connection) -> str:
    key_id = uuid4()
    key = new_token(TokenKind.APPLICATION, NOBODY, key_id)
    await connection.execute(
        "INSERT INTO installation_keys (id, kind, label, digest) VALUES ($1, 'app', 'bench', $2)", key_id, digest(key)
    )
    return key


async def add_tenant(connection: Connection, slug: str, people: int, sample: int, lot: random.Random) -> Tenant:
    """A tenant of so many people, on the plan ``bench``; *sample* of them, chosen by *lot*, are signed in by name."""
    tenant_id, token_id, admin_id = uuid4(), uuid4(), uuid4()
    token = new_token(TokenKind.SCIM, tenant_id, token_id)
    rule = RoleRule.model_validate(RULE).model_dump_json()
    await connection.execute(
        "INSERT INTO tenants (id, slug, name, plan, role_rule) VALUES ($1, $2, $2, 'bench', $3)", tenant_id, slug, rule
    )
    await connection.execute(
        "INSERT INTO accounts (tenant_id, id, user_name, active, role, is_admin, role_state) "
        "VALUES ($1, $2, 'ada@bench.example', true, 'admin', true, $3)",
        tenant_id,
        admin_id,
        _ADMIN,
    )
    await connection.execute(
        "INSERT INTO tokens (tenant_id, id, label, scopes, owner_id, epoch, digest, issued_by) "
        "VALUES ($1, $2, 'identity provider', '{scim}', $3, 1, $4, 'bench')",
        tenant_id,
        token_id,
        admin_id,
        digest(token),
    )
    everybody: list[UUID] = []
    while len(everybody) < people:
        everybody += await _add_people(connection, tenant_id, min(BATCH, people - len(everybody)))
    asked = lot.sample(everybody, min(sample, len(everybody)))
    return Tenant(tenant_id, slug, token, people, await _signed_in(connection, tenant_id, asked))


async def add_groups(connection: Connection, tenant: Tenant, size: int) -> Groups:
    """Groups of people of a tenant, one after the other; their names have nothing to do with roles."""
    members = min(size, tenant.people)
    rows = await connection.fetch(
        "INSERT INTO groups (tenant_id, display_name, display_name_key) "
        "SELECT $1, name, name FROM (SELECT $2 || ' ' || n AS name FROM generate_series(1, $3::integer) n) named "
        "RETURNING id",
        tenant.id,
        f"{members} of us",
        GROUPS[size],
    )
    ids = [row["id"] for row in rows]
    await connection.execute(
        "WITH people AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS position FROM users WHERE tenant_id = $1) "
        "INSERT INTO group_users (tenant_id, group_id, user_id) SELECT $1, ($2::uuid[])[1 + turn], people.id "
        "FROM generate_series(0, cardinality($2::uuid[]) - 1) turn CROSS JOIN generate_series(0, $3::bigint - 1) seat "
        "JOIN people ON people.position = (turn * $3 + seat) % $4::bigint",
        tenant.id,
        ids,
        members,
        tenant.people,
    )
    return Groups(tenant, tuple(ids), members)


async def _add_people(connection: Connection, tenant_id: UUID, count: int) -> list[UUID]:
    first = await connection.fetchval("SELECT count(*) FROM accounts WHERE tenant_id = $1", tenant_id)
    rows = await connection.fetch(_PEOPLE, tenant_id, first, first + count - 1, _PERSON_TEXT, _STANDING)
    return [row["id"] for row in rows]


async def _signed_in(connection: Connection, tenant_id: UUID, people: list[UUID]) -> tuple[Person, ...]:
    """Give each of *people* a session whose token is known here."""
    names = {
        row["id"]: row["user_name"]
        for row in await connection.fetch(
            "SELECT id, user_name FROM accounts WHERE tenant_id = $1 AND id = ANY ($2)", tenant_id, people
        )
    }
    until = datetime.now(UTC) + timedelta(hours=8)
    found: list[Person] = []
    rows: list[tuple[object, ...]] = []
    for person in people:
        session_id = uuid4()
        text = new_token(TokenKind.SESSION, tenant_id, session_id)
        found.append(Person(person, names[person], text))
        rows.append((tenant_id, session_id, person, digest(text), until))
    await connection.executemany(
        "INSERT INTO sessions (tenant_id, id, account_id, epoch, digest, expires_at) VALUES ($1, $2, $3, 1, $4, $5)",
        rows,
    )
    return tuple(found)
