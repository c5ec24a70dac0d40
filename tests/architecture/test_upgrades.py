"""Revisions are append-only, and each of them can be gone on from with data in it; what can't be is refused."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from advanced_alchemy.alembic.commands import AlembicCommands
from pydantic import SecretStr

from architecture.databases import owners_url, scratch
from architecture.test_migrations import differences
from factories import alive, in_process
from rollcall import catalogue, revisions, tables, upgrades
from rollcall.app import create_app
from rollcall.checks.model import State, ok
from rollcall.cli.embedded import Engines
from rollcall.db import alchemy_config
from rollcall.settings import Settings, migrations_folder
from rollcall.tables import MigrationRefused
from rows import connected

DATA = Path(__file__).with_name("foundation.sql")
SECRET_KEY = "Zm91bmRhdGlvbi1mb3VuZGF0aW9uLWZvdW5kYXRpb24="
"""The key that seals what is sealed in the data."""

TOKENS = json.loads(DATA.with_suffix(".json").read_text())
"""The tokens and keys in the data, in clear."""

KEPT = (
    *("tenants", "plans", "accounts", "users", "user_emails", "groups", "group_users", "tokens", "sessions"),
    *("external_credentials", "receipts", "destinations", "deliveries", "outbox", "audit_entries", "installation_keys"),
)
"""Tables of which an upgrade loses no row."""

REVISIONS = [each.id for each in revisions.chain()]

SOME = [each for number, each in enumerate(REVISIONS) if number % 8 == 0 or number >= len(REVISIONS) - 4]
"""The first, every eighth and the newest: from those between, the same revisions run in the same order."""

EDITED = (
    "CREATE OR REPLACE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
)


async def upgrade(settings: Settings, revision: str) -> None:
    """Bring a database to a revision, and no further."""
    await asyncio.to_thread(lambda: AlembicCommands(alchemy_config(owners_url(settings))).upgrade(revision))


async def counts(settings: Settings) -> dict[str, int]:
    """How many rows there are of what has to be kept."""
    async with connected(owners_url(settings)) as owner:
        return {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in KEPT}


@asynccontextmanager
async def old_installation(engines: Engines, settings: Settings) -> AsyncGenerator[Settings]:
    """A database at the first revision, with data in it; what would have run out since lasts a little longer."""
    async with scratch(engines, settings) as there:
        await upgrade(there, catalogue.FOUNDATION)
        superuser = engines.postgres.superuser_url.rpartition("/")[0]
        async with connected(f"{superuser}/{owners_url(there).rpartition('/')[2]}") as loader:
            await loader.execute("SET session_replication_role = replica")  # the data has what triggers would add
            await loader.execute(DATA.read_text())
            for table in ("sessions", "tokens"):
                await loader.execute(f"UPDATE {table} SET expires_at = now() + interval '1 day'")
        yield there.model_copy(update={"secret_keys": (SecretStr(SECRET_KEY),)})


@asynccontextmanager
async def calling(settings: Settings) -> AsyncGenerator[dict[str, httpx.AsyncClient]]:
    """Everybody who had a key, calling the present version on this database."""
    async with alive(create_app(settings)) as app:
        clients = {
            name: httpx.AsyncClient(
                transport=in_process(app), base_url=settings.public_url, headers={"Authorization": f"Bearer {key}"}
            )
            for name, key in TOKENS.items()
        }
        yield clients
        for client in clients.values():
            await client.aclose()


async def test_each_revision_loses_nothing(engines: Engines, settings: Settings) -> None:
    """One after the other, each revision leaves what was there, and a database that can be gone on from."""
    async with old_installation(engines, settings) as there:
        before = await counts(there)
        for revision in REVISIONS:
            await upgrade(there, revision)
            assert await counts(there) == before, revision
        await tables.migrate(there)
        assert await differences(there) == []


@pytest.mark.parametrize("revision", SOME)
async def test_going_on_from(engines: Engines, settings: Settings, revision: str) -> None:
    """From these revisions, with data in it, the present tables are reached; nothing is lost, everybody is served."""
    async with old_installation(engines, settings) as there:
        before = await counts(there)
        assert all(before.values())
        await upgrade(there, revision)
        await tables.migrate(there)
        assert await counts(there) == before
        assert await differences(there) == []
        async with connected(owners_url(there)) as owner:
            read_as_before = await owner.fetchval("SELECT every(name_comparison = 1) FROM tenants")
        assert read_as_before, "an upgrade changes nobody's role"
        async with calling(there) as clients:
            assert await user_names(clients["scim_token"]) == {"maria@acme.test", "omar@acme.test"}
            assert [
                await is_live(clients["application_key"], TOKENS[each])
                for each in ("session", "personal_token", "closed_session")
            ] == [
                True,
                True,
                False,
            ]
            made = await clients["scim_token"].post(
                "/scim/v2/Users",
                json={"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "new@acme.test"},
            )
            assert made.status_code == 201, made.text
            assert (await clients["operator_key"].get("/v1/tenants/acme/audit")).status_code == 200


async def test_over_its_seats_before_they_counted(engines: Engines, settings: Settings) -> None:
    """Whoever has more people than seats as seats begin to count goes on, by an override that says why."""
    async with old_installation(engines, settings) as there:
        await upgrade(there, "2026_11_30_last_blocks")
        async with connected(owners_url(there)) as owner:
            await owner.execute("UPDATE plans SET seats = 1 WHERE key = (SELECT plan FROM tenants WHERE slug = 'acme')")
        await tables.migrate(there)
        async with connected(owners_url(there)) as owner:
            asked = "SELECT overrides -> 'seat_policy' ->> 'value' FROM tenants WHERE slug = 'acme'"
            assert await owner.fetchval(asked) == "overage"
            counted = "SELECT (SELECT sum(active) FROM user_counts) = (SELECT count(*) FROM users WHERE active)"
            assert await owner.fetchval(counted)
        async with calling(there) as clients:
            body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "new@acme.test"}
            assert (await clients["scim_token"].post("/scim/v2/Users", json=body)).status_code == 201


async def test_the_products_own_auditors(engines: Engines, settings: Settings) -> None:
    """A token of the product with a scope that becomes Rollcall's is in the way while it is live; the check says so."""
    async with old_installation(engines, settings) as there:
        async with connected(owners_url(there)) as owner:
            await owner.execute("UPDATE tokens SET scopes = '{repo:read,auditor}' WHERE label = 'laptop'")
        found = {each.name: each for each in (await upgrades.examine(there)).checks}["scopes"]
        assert (found.state, found.said[:6]) == (State.FAILED, "1 live")
        with pytest.raises(MigrationRefused, match=r"with the scope “auditor”: 1. .* revoke these"):
            await tables.migrate(there)
        async with connected(owners_url(there)) as owner:
            await owner.execute("UPDATE tokens SET revoked_at = now(), revoked_because = 'x' WHERE label = 'laptop'")
        await tables.migrate(there)
        assert (await upgrades.examine(there)).stands_at == revisions.newest()


async def user_names(provider: httpx.AsyncClient) -> set[str]:
    answer = await provider.get("/scim/v2/Users", params={"filter": 'userName ew "acme.test"'})
    assert answer.status_code == 200, answer.text
    return {user["userName"] for user in answer.json()["Resources"] if not user["userName"].startswith("ada")}


async def is_live(product: httpx.AsyncClient, token: str) -> bool:
    answer = await product.post("/oauth/introspect", data={"token": token})
    assert answer.status_code == 200, answer.text
    return answer.json()["active"]


def test_revisions_are_never_edited() -> None:
    """Every file of a revision is listed with its digest, and is as it was when it was listed."""
    folder = migrations_folder() / "versions"
    files = sorted(each for each in folder.rglob("*") if each.suffix in {".py", ".sql"})
    there = [f"{sha256(each.read_bytes()).hexdigest()}  {each.relative_to(folder)}" for each in files]
    lock = folder.parent / "revisions.lock"
    listed = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    names = {line.partition("  ")[2] for line in listed}
    edited = [line for line in there if line.partition("  ")[2] in names and line not in listed]
    assert not edited, f"a revision is never edited once it is committed; write a new one instead of changing {edited}"
    gone = names - {line.partition("  ")[2] for line in there}
    assert not gone, f"a revision is never removed once it is committed: {gone}"
    new = [line for line in there if line not in listed]
    assert not new, "list the new revision's files in migrations/revisions.lock:\n" + "\n".join(new)


async def test_the_frozen_catalogue(engines: Engines, settings: Settings) -> None:
    """The first revision makes exactly the objects it is known by."""
    async with scratch(engines, settings) as there:
        await upgrade(there, catalogue.FOUNDATION)
        async with connected(owners_url(there)) as owner:
            made = {name: each for name, each in (await catalogue.definitions(owner)).items() if "alembic" not in name}
        assert made == catalogue.frozen()


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (EDITED, "function refuse_rewriting"),
        ("ALTER TABLE tokens ALTER COLUMN label DROP NOT NULL", "column tokens.label"),
        ("ALTER TABLE accounts DROP COLUMN linked_to", "column accounts.linked_to"),
        ("DROP FUNCTION gate CASCADE", "function gate"),
        ("ALTER TABLE plans DROP CONSTRAINT ck_plans_rate", "constraint ck_plans_rate of plans"),
        ("DROP INDEX ix_outbox_due", "index ix_outbox_due"),
        ("DROP POLICY one_tenant ON users", "policy one_tenant of users"),
    ],
)
async def test_an_edited_foundation(engines: Engines, settings: Settings, edit: str, named: str) -> None:
    """A database of the first revision as it was before is refused in a sentence that says what differs and helps."""
    async with scratch(engines, settings) as there:
        await upgrade(there, catalogue.FOUNDATION)
        async with connected(owners_url(there)) as owner:
            await owner.execute(edit)
            assert [*await catalogue.edited(owner)] == [named]
        with pytest.raises(MigrationRefused, match=rf"unreleased version.*\({named}\).*up --fresh"):
            await tables.migrate(there)
        outlook = await upgrades.examine(there)
        found = {each.name: each for each in outlook.checks}["foundation"]
        assert (found.state, found.remedy) == (State.FAILED, catalogue.refusal([named]))


async def test_others_objects(engines: Engines, settings: Settings) -> None:
    """What others have put beside our tables is none of our business."""
    async with scratch(engines, settings) as there:
        await upgrade(there, catalogue.FOUNDATION)
        async with connected(owners_url(there)) as owner:
            await owner.execute("CREATE TABLE others (id int); CREATE INDEX theirs ON users (created_at)")
            assert not await catalogue.edited(owner)


async def test_readiness_of_an_edited_foundation(engines: Engines, settings: Settings) -> None:
    """A web process on such a database is not ready, and says why; so does the status page."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        async with connected(owners_url(there)) as owner:
            await owner.execute(EDITED)
            await owner.execute("UPDATE alembic_version SET version_num = $1", catalogue.FOUNDATION)
        async with calling(there) as clients, asyncio.timeout(60):
            for address in ("/health/ready", "/status"):
                said = ""
                while "unreleased version" not in said:  # a busy database is given two seconds, and is away then
                    answer = await clients["application_key"].get(address)
                    assert answer.status_code == 503
                    said = answer.text


async def said_by_check(settings: Settings, *words: str) -> "tuple[int, str, str]":
    """What ``rollcall migrate --check`` prints."""
    environment = os.environ | {
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_MIGRATION_DATABASE_URL": owners_url(settings),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": settings.secret_keys[0].get_secret_value(),
    }
    command = [sys.executable, "-m", "rollcall", "migrate", "--check", *words]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def everything(settings: Settings) -> list[Any]:
    """The whole catalogue and what each table holds."""
    async with connected(owners_url(settings)) as owner:
        rows = await owner.fetch("SELECT relname, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        tables_there = sorted((row["relname"], row["relnatts"]) for row in rows)
        held = [
            await owner.fetchval(f"SELECT array_agg(t::text) FROM {name} t") for name, _ in tables_there if name in KEPT
        ]
        return [tables_there, await catalogue.definitions(owner), held]


async def test_check_of_an_empty_database(engines: Engines, settings: Settings) -> None:
    """All revisions are listed with what they say of themselves, the exit code is 3, and the database stays empty."""
    async with scratch(engines, settings) as there:
        before = await everything(there)
        code, said, beside = await said_by_check(there)
        assert (code, beside) == (3, "")
        assert f"the database is empty; {len(REVISIONS)} revision" in said
        assert (
            f"to come  {catalogue.FOUNDATION}: The foundation: tables, isolation, audit, gate, leaving, users." in said
        )
        assert await everything(there) == before


async def test_check_of_a_current_database(settings: Settings) -> None:
    """There is nothing to do, and the exit code is 0."""
    code, said, _ = await said_by_check(settings, "--json")
    facts = json.loads(said)
    assert (code, facts["stands_at"], facts["to_come"]) == (0, revisions.newest(), [])
    assert {each["state"] for each in facts["checks"]} == {"ok"}
    assert all(each["remedy"] is None for each in facts["checks"])


async def test_check_of_an_old_installation(engines: Engines, settings: Settings) -> None:
    """With data in it nothing of it changes; an edited one ends with exit code 1."""
    async with old_installation(engines, settings) as there:
        before = await everything(there)
        code, _, _ = await said_by_check(there)
        assert code == (3 if len(REVISIONS) > 1 else 0)
        assert await everything(there) == before
        async with connected(owners_url(there)) as owner:
            await owner.execute(EDITED)
        code, said, _ = await said_by_check(there)
        assert code == 1
        assert "rollcall up --fresh" in said


async def test_from_the_future(engines: Engines, settings: Settings) -> None:
    """A database that a newer version migrated is refused in a sentence, by the check as by the migration."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        async with connected(owners_url(there)) as owner:
            await owner.execute("UPDATE alembic_version SET version_num = '2031_01_01_hover'")
        with pytest.raises(MigrationRefused, match="2031_01_01_hover, which this version of Rollcall does not know"):
            await tables.migrate(there)
        code, said, _ = await said_by_check(there)
        assert code == 1
        assert "a newer one has migrated it" in said


async def test_check_without_a_database(settings: Settings) -> None:
    """A database that is away, or an owner that is not named, is said in a line."""
    away = SecretStr("postgresql://owner:s3cret@127.0.0.1:1/rollcall")
    outlook = await upgrades.examine(settings.model_copy(update={"migration_database_url": away}))
    assert [(each.name, each.state) for each in outlook.checks] == [("owner", State.FAILED)]
    assert "s3cret" not in str(outlook)
    outlook = await upgrades.examine(settings.model_copy(update={"migration_database_url": None}))
    assert "set ROLLCALL_MIGRATION_DATABASE_URL" in str(outlook.checks[0].remedy)


async def test_check_of_roles(settings: Settings) -> None:
    """A running role that migrating would refuse is told of before."""
    same = settings.model_copy(update={"database_url": settings.migration_database_url})
    found = {each.name: each for each in (await upgrades.examine(same)).checks}["roles"]
    assert found.state is State.FAILED
    assert "must neither own the tables" in str(found.remedy)


async def test_the_check_can_only_read(settings: Settings) -> None:
    """Whatever a question of the check tried to change would be refused by the database."""
    tried: list[Exception] = []

    async def meddle(upgrade: upgrades.Upgrade) -> Any:
        with pytest.raises(Exception, match="read-only transaction") as refused:
            await upgrade.owner.execute("UPDATE plans SET name = 'x'")
        tried.append(refused.value)
        return ok("meddle", "it could not")

    before = upgrades.QUESTIONS
    upgrades.QUESTIONS = (*before, meddle)  # pyright: ignore[reportConstantRedefinition]  # put back below
    try:
        await upgrades.examine(settings)
    finally:
        upgrades.QUESTIONS = before  # pyright: ignore[reportConstantRedefinition]
    assert tried
