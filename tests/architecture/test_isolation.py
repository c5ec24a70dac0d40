"""What keeps tenants apart is PostgreSQL's doing, and is so for every table there is and every one that comes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID, uuid4

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import pytest
import pytest_asyncio

from authenticator import begun, registered
from factories import ORIGIN, USER, Callers, Tenant, a_tenant, deactivation
from rollcall import tables
from rollcall.access import passwords
from rollcall.alerts import judging, refusing_mail
from rollcall.alerts.refusing_mail import MailKey
from rollcall.cli.embedded import Engines
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE, Connection, Database
from rollcall.directory import statements, twins
from rollcall.functions import qualified
from rollcall.proof import receipts
from rollcall.tenancy import retention, usage
from rollcall.work import SYSTEM, open_fleet
from rows import connected

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
OF_TENANTS = sorted(table.name for table in tables.metadata.sorted_tables if "tenant_id" in table.columns)
GUARDED = [*OF_TENANTS, "tenants"]


@pytest_asyncio.fixture(scope="session")
async def full(callers: Callers, owner: Connection) -> Tenant:
    """A tenant with rows in every table."""
    tenant = await a_tenant(callers, mass_change_threshold=1)
    maria = await tenant.person(emails=[{"value": "maria@elsewhere.test"}])
    await tenant.session(maria)
    refused = await tenant.scim.post(
        "/Users", json={"schemas": [USER], "userName": "torn", "roles": ["dart-admins", "dart-guests"]}
    )
    assert refused.status_code == 400
    for leaver in (maria, await tenant.person()):
        await tenant.scim.patch(f"/Users/{leaver['id']}", json=deactivation())
    messages = await owner.fetch(
        "SELECT id FROM outbox WHERE tenant_id = $1 AND topic = 'user.deactivated'", UUID(tenant.id)
    )
    for message in messages:
        async with tenant.work() as work:
            assert await receipts.settle(work, message["id"])
    noor = await tenant.person(active="True")  # a deviation of some providers, which is counted
    await tenant.session(noor)
    await registered(tenant, noor)
    await begun(tenant, noor)
    await tenant.external(noor)
    await callers.operator.patch(tenant.v1, json={"break_glass": [noor["userName"]]})
    async with tenant.work() as work:
        await passwords.keep(work, UUID(noor["id"]), "what Argon2 made of it")
    inner = await a_group(tenant, "Inner", noor)
    outer = await a_group(tenant, "Outer", inner, {"id": "a-stranger"})
    await owner.execute("UPDATE users SET user_name_key = 'noor ' WHERE id = $1", UUID(noor["id"]))
    await owner.execute("UPDATE groups SET display_name_key = 'outer ' WHERE id = $1", UUID(outer["id"]))
    await twins.fill(owner)  # keys of names from before, beside them the present ones
    hook = await callers.operator.post(
        f"{tenant.v1}/destinations",
        json={"url": "https://93.184.215.14/", "label": "hook"},
        headers={"Idempotency-Key": "hook"},
    )
    assert (await callers.operator.post(f"{tenant.v1}/destinations/{hook.json()['id']}/test")).status_code == 202
    async with tenant.work() as work:
        await statements.add_to_role_change(work, UUID(noor["id"]).bytes)
    await tenant.callers.operator.post(f"{tenant.v1}/suspend")
    await tenant.scim.delete(f"/Users/{noor['id']}")  # refused, and kept
    await owner.execute("UPDATE tenants SET status = 'active' WHERE id = $1", UUID(tenant.id))
    await tenant.callers.app.state.context.batched_entries.flush()
    await owner.execute(
        "UPDATE tokens SET expires_at = now() + interval '5 days' WHERE id = $1", UUID(tenant.token["id"])
    )
    await judging.judge(callers.database)  # and with the alert a notice
    async with tenant.work() as work:
        await refusing_mail.refuse(work, MailKey(UUID(tenant.id), UUID(tenant.admin["id"]), "tokens"))
    await retention.judge(callers.database)
    await owner.execute("INSERT INTO seat_marks (tenant_id) VALUES ($1)", UUID(tenant.id))
    await owner.execute("INSERT INTO account_history_marks VALUES ($1, now())", UUID(tenant.id))
    was = "SELECT tenant_id, id, now(), true, NULL, role, false FROM accounts WHERE tenant_id = $1"
    await owner.execute(f"INSERT INTO account_history {was}", UUID(tenant.id))
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        await usage.note(fleet, fleet.now)
    return tenant


async def a_group(tenant: Tenant, name: str, *members: dict[str, Any]) -> dict[str, Any]:
    """Create a group through SCIM; returns the resource."""
    listed = [{"value": member["id"]} for member in members]
    made = await tenant.scim.post("/Groups", json={"schemas": [GROUP], "displayName": name, "members": listed})
    assert made.status_code == 201, made.text
    return made.json()


@pytest_asyncio.fixture(scope="session")
async def other(callers: Callers) -> Tenant:
    """Somebody else."""
    return await a_tenant(callers)


@pytest_asyncio.fixture
async def runner(engines: Engines) -> AsyncGenerator[Connection]:
    """The running role, by itself: nothing has been set."""
    async with connected(engines.database_url) as connection:
        yield connection


async def count_as_owner(owner: Connection, table: str, tenant: Tenant) -> int:
    column = "id" if table == "tenants" else "tenant_id"
    return await owner.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", UUID(tenant.id))


async def enter(connection: Connection, tenant: Tenant) -> None:
    await connection.execute("SELECT set_config('rollcall.tenant', $1, true)", tenant.id)


@pytest.mark.parametrize("table", GUARDED)
async def test_security_enabled(owner: Connection, settings: object, table: str) -> None:
    """Every tenant-owned table has row-level security, with a policy that binds the running role to one tenant."""
    assert await owner.fetchval("SELECT relrowsecurity FROM pg_class WHERE oid = $1::regclass", table), (
        f"{table} holds tenants' rows and has no row-level security: add it to isolation.sql"
    )
    policies = await owner.fetch(
        "SELECT roles::text[] AS roles, qual, with_check FROM pg_policies WHERE tablename = $1", table
    )
    bound = [policy for policy in policies if RUNTIME_ROLE in policy["roles"]]
    assert len(bound) == 1, f"{table} needs one policy for {RUNTIME_ROLE}"
    assert "rollcall_tenant()" in bound[0]["qual"]
    assert bound[0]["with_check"] is None, "a check of its own would be one more thing to get wrong: it repeats USING"
    for policy in policies:
        assert policy["roles"] in ([RUNTIME_ROLE], [FLEET_ROLE]), f"a policy of {table} is for somebody else too"


async def test_every_table_is_known(owner: Connection, settings: object) -> None:
    """No table with a tenant_id stands outside the list that these tests go through."""
    found = await owner.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
    )
    assert sorted(row["relname"] for row in found) == OF_TENANTS


async def test_partitions_are_out_of_reach(owner: Connection, settings: object) -> None:
    """Partitions have no row-level security of their own, so nobody but their owner may touch them directly."""
    partitions = await owner.fetch("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    assert len(partitions) >= 8
    for partition in partitions:
        for role in (RUNTIME_ROLE, FLEET_ROLE):
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                assert not await owner.fetchval(
                    "SELECT has_table_privilege($1::name, $2::text, $3)", role, partition["relname"], right
                ), f"{role} has {right} on {partition['relname']}"


@pytest.mark.parametrize("table", OF_TENANTS)
async def test_keys_lead_with_the_tenant(owner: Connection, settings: object, table: str) -> None:
    """A tenant-owned table's primary key begins with the tenant, so rows can be spread by it."""
    first = await owner.fetchval(
        "SELECT a.attname FROM pg_constraint c "
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
        "WHERE c.conrelid = $1::regclass AND c.contype = 'p'",
        table,
    )
    assert first == "tenant_id"


@pytest.mark.parametrize("table", OF_TENANTS)
async def test_unique_indexes_lead_with_the_tenant(owner: Connection, settings: object, table: str) -> None:
    """Uniqueness is a tenant's own: no index lets one tenant feel what another one has."""
    firsts = await owner.fetch(
        "SELECT i.indexrelid::regclass::text AS name, a.attname FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indrelid = $1::regclass AND i.indisunique",
        table,
    )
    for first in firsts:
        assert first["attname"] == "tenant_id", f"{first['name']} is unique across tenants"


async def test_foreign_keys_carry_the_tenant(owner: Connection, settings: object) -> None:
    """A row can't point into another tenant: foreign keys begin with the tenant on both sides."""
    keys = await owner.fetch(
        "SELECT c.conname, c.conrelid::regclass::text AS source, c.confrelid::regclass::text AS target, "
        "s.attname AS here, t.attname AS there FROM pg_constraint c "
        "JOIN pg_attribute s ON s.attrelid = c.conrelid AND s.attnum = c.conkey[1] "
        "JOIN pg_attribute t ON t.attrelid = c.confrelid AND t.attnum = c.confkey[1] WHERE c.contype = 'f'"
    )
    of_tenants = [key for key in keys if key["source"] in OF_TENANTS]
    assert len(of_tenants) >= 6
    for key in of_tenants:
        there = "id" if key["target"] == "tenants" else "tenant_id"
        assert (key["here"], key["there"]) == ("tenant_id", there), f"{key['conname']} does not carry the tenant"


@pytest.mark.parametrize("table", GUARDED)
async def test_unset_shows_nothing(owner: Connection, runner: Connection, full: Tenant, table: str) -> None:
    """A plain query as the running role, without a tenant set, finds no row of anybody."""
    assert await count_as_owner(owner, table, full) > 0, (
        f"give the tenant 'full' a row in {table}, or this proves nothing"
    )
    assert await runner.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("table", GUARDED)
async def test_others_rows_are_invisible(
    owner: Connection, runner: Connection, full: Tenant, other: Tenant, table: str
) -> None:
    """With one tenant set, another tenant's rows are not there."""
    assert await count_as_owner(owner, table, full) > 0
    column = "id" if table == "tenants" else "tenant_id"
    async with runner.transaction():
        await enter(runner, other)
        assert await runner.fetchval(f"SELECT count(*) FROM {table} WHERE {column} <> $1", UUID(other.id)) == 0


@pytest.mark.parametrize("table", OF_TENANTS)
async def test_insert_into_another_tenant(
    owner: Connection, runner: Connection, full: Tenant, other: Tenant, table: str
) -> None:
    """The running role can't write a row for a tenant other than the one that is set."""
    row = await owner.fetchval(f"SELECT to_jsonb(t) FROM {table} t WHERE tenant_id = $1 LIMIT 1", UUID(full.id))
    assert row is not None, f"give the tenant 'full' a row in {table}, or this proves nothing"
    may_insert = await owner.fetchval("SELECT has_table_privilege($1::name, $2::text, 'INSERT')", RUNTIME_ROLE, table)
    with pytest.raises(
        asyncpg.InsufficientPrivilegeError, match="row-level security" if may_insert else "permission denied"
    ):
        async with runner.transaction():
            await enter(runner, other)
            await runner.execute(f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, $1)", row)


@pytest.mark.parametrize("table", OF_TENANTS)
async def test_move_into_another_tenant(runner: Connection, full: Tenant, other: Tenant, table: str) -> None:
    """The running role can't give a row it sees to another tenant; what it may not update at all, not either."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with runner.transaction():
            await enter(runner, full)
            await runner.execute(f"UPDATE {table} SET tenant_id = $1", UUID(other.id))


async def test_tenants_are_not_made_by_requests(runner: Connection, full: Tenant) -> None:
    """The running role alone makes no tenant, changes no plan and no role state, and deletes none."""
    for statement in (
        "INSERT INTO tenants (slug, name, plan, role_rule) VALUES ('x', 'x', 'free', '{}')",
        "UPDATE tenants SET plan = 'free'",
        "UPDATE tenants SET status = 'active'",
        "DELETE FROM tenants",
        "UPDATE plans SET features = '{scim}'",
        "INSERT INTO installation_keys (kind, label, digest) VALUES ('op', 'x', 'x')",
        "INSERT INTO operators (id, name, role) VALUES (gen_random_uuid(), 'x', 'ops')",
        "UPDATE operators SET role = 'ops', removed_at = NULL",
        "UPDATE operator_sessions SET closed_at = NULL",
        "UPDATE operator_sessions SET idle_at = now()",
        "SELECT FROM operators",
        "SELECT FROM operator_sessions",
        "SELECT FROM operator_passkeys",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with runner.transaction():
                await enter(runner, full)
                await runner.execute(statement)


async def test_setting_that_is_no_tenant(runner: Connection, full: Tenant) -> None:
    """A tenant that is none shows nothing, and one that can't be one is an error."""
    async with runner.transaction():
        await runner.execute("SELECT set_config('rollcall.tenant', $1, true)", str(uuid4()))
        assert await runner.fetchval("SELECT count(*) FROM accounts") == 0
    with pytest.raises(asyncpg.DataError):
        async with runner.transaction():
            await runner.execute("SELECT set_config('rollcall.tenant', 'everybody', true)")
            await runner.fetchval("SELECT count(*) FROM accounts")


async def test_setting_ends_with_the_transaction(runner: Connection, full: Tenant) -> None:
    """The next transaction on the same connection sees nothing of the tenant that was set before."""
    async with runner.transaction():
        await enter(runner, full)
        assert await runner.fetchval("SELECT count(*) FROM accounts") > 0
    assert await runner.fetchval("SELECT count(*) FROM accounts") == 0


async def test_gate_leaves_no_tenant_behind(database: Database, full: Tenant) -> None:
    """The hot paths' functions set a tenant for their own statement and no longer."""
    async with database.pool.acquire() as connection:
        await connection.fetchrow(qualified("SELECT * FROM fn.gate($1, $2, $3, 'read')"), UUID(full.id), uuid4(), b"")
        assert await connection.fetchval("SELECT count(*) FROM accounts") == 0


async def test_the_running_role_has_no_powers(owner: Connection, runner: Connection) -> None:
    """The running role is no superuser, does not bypass row-level security, makes no roles and owns nothing."""
    me = await runner.fetchval("SELECT current_user")
    facts = await owner.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = $1", me
    )
    assert facts is not None
    assert not any(
        facts[name] for name in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication")
    )
    assert await owner.fetchval("SELECT count(*) FROM pg_class WHERE relowner = $1::regrole", me) == 0
    assert not await owner.fetchval("SELECT pg_has_role($1::name, current_user, 'MEMBER')", me)


async def test_the_fleet_is_stepped_into(owner: Connection, runner: Connection, full: Tenant) -> None:
    """The running role can step into the fleet's and inherits nothing of it: rows only the fleet sees stay unseen."""
    me = await runner.fetchval("SELECT current_user")
    assert await owner.fetchval("SELECT pg_has_role($1::name, $2::name, 'SET')", me, FLEET_ROLE)
    assert not await owner.fetchval("SELECT pg_has_role($1::name, $2::name, 'USAGE')", me, FLEET_ROLE)
    assert await runner.fetchval("SELECT count(*) FROM outbox") == 0
    async with runner.transaction():
        await runner.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
        assert await runner.fetchval("SELECT count(*) FROM outbox") > 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT FROM accounts",
        "SELECT FROM users",
        "SELECT document FROM users",
        "SELECT FROM user_emails",
        "SELECT FROM sessions",
        "SELECT FROM passkeys",
        "SELECT FROM passkey_challenges",
        "SELECT FROM external_credentials",
        "SELECT FROM conflict_cases",
        "SELECT FROM receipts",
        "SELECT digest FROM tokens",
        "SELECT label FROM tokens",
        "UPDATE tokens SET revoked_at = NULL",
        "UPDATE accounts SET active = true",
        "INSERT INTO sessions DEFAULT VALUES",
    ],
)
async def test_the_fleet_is_kept_from_people(runner: Connection, full: Tenant, query: str) -> None:
    """The fleet role, which sees all tenants, reads no people, sessions or documents and opens nothing."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with runner.transaction():
            await runner.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
            await runner.execute(query)


async def test_two_tenants_at_once(callers: Callers, owner: Connection, full: Tenant, other: Tenant) -> None:
    """Two tenants that write at the same moment each get their own people, and no others."""
    made = await asyncio.gather(
        *(tenant.person(f"twin{number}@both.test") for number in range(10) for tenant in (full, other))
    )
    ids = {each["id"] for each in made}
    assert len(ids) == 20
    for tenant, mine in ((full, made[::2]), (other, made[1::2])):
        found = await owner.fetch(
            "SELECT id::text FROM users WHERE tenant_id = $1 AND user_name_key LIKE 'twin%@both.test'", UUID(tenant.id)
        )
        assert {row["id"] for row in found} == {each["id"] for each in mine}
