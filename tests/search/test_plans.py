"""Among a hundred thousand people: look-ups use indexes, and no filter keeps the database for long."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio
from scim2_models.path import AttrPath

from factories import ORIGIN, Callers, Tenant, a_tenant
from rollcall.cli.embedded import DATABASE, Engines
from rollcall.db import Connection, Database, Pool
from rollcall.directory import people
from rollcall.provisioning import gate, lookups
from rollcall.provisioning.context import Call
from rollcall.scim.errors import TooMany
from rollcall.scim.filters import read_filter
from rollcall.scim.resources import GROUPS, USERS, ResourceKind
from rollcall.search import paging
from rollcall.search.queries import Order, Query
from rollcall.work import SYSTEM, TenantRef, enter_tenant, open_work
from rows import connected

pytestmark = [pytest.mark.xdist_group("a hundred thousand"), pytest.mark.bound(300)]

PEOPLE = 100_000
BASE = "http://rollcall.test/scim/v2"
# Only the superuser may leave out checking every row's references, which takes most of the time.
LOAD = """
SET session_replication_role = replica;
INSERT INTO accounts (tenant_id, id, user_name, active, role, is_admin, role_state)
SELECT '{tenant}', id, n::text, n % 20 > 0, 'member', false, '{{}}' FROM series;
INSERT INTO users (tenant_id, id, account_id, user_name_key, external_id, display_name_key, active, document,
                   created_at, last_modified)
SELECT '{tenant}', id, id, 'person' || n || '@acme.test', 'ext-' || n, 'person ' || n, n % 20 > 0,
       jsonb_build_object('userName', 'person' || n || '@acme.test', 'displayName', 'Person ' || n, 'title', 'T' || n,
                          'emails', jsonb_build_array(jsonb_build_object('value', n || '@acme.test', 'type', 'work')),
                          'roles', '[{{"value": "a"}}, {{"value": "b"}}]'::jsonb),
       '2026-01-01Z'::timestamptz + n * interval '1 minute', '2026-02-01Z'::timestamptz + n * interval '1 minute'
  FROM series;
INSERT INTO user_emails (tenant_id, user_id, value_key) SELECT '{tenant}', id, n || '@acme.test' FROM series;
INSERT INTO user_counts (tenant_id, part, people, active) VALUES ('{tenant}', -1, {people}, {people} - {people} / 20);
INSERT INTO groups (tenant_id, id, display_name, display_name_key, external_id, last_modified)
SELECT '{tenant}', id, 'Group ' || n, 'group ' || n, 'ext-' || n, '2026-02-01Z'::timestamptz + n * interval '1 minute'
  FROM series WHERE n <= {people} / 5;
INSERT INTO group_users (tenant_id, group_id, user_id) SELECT '{tenant}', id, id FROM series
 WHERE n <= {people} / 5;
INSERT INTO group_children (tenant_id, group_id, child_id) SELECT '{tenant}', outer_one.id, inner_one.id
  FROM series outer_one JOIN series inner_one ON inner_one.n = outer_one.n + {people} / 10
 WHERE outer_one.n <= {people} / 10;
"""
UNLOAD = """
SET session_replication_role = replica;
DELETE FROM group_children WHERE tenant_id = '{tenant}';
DELETE FROM group_users WHERE tenant_id = '{tenant}';
DELETE FROM groups WHERE tenant_id = '{tenant}';
DELETE FROM user_emails WHERE tenant_id = '{tenant}';
DELETE FROM user_counts WHERE tenant_id = '{tenant}' AND part = -1;
DELETE FROM users WHERE tenant_id = '{tenant}' AND document ? 'title';
DELETE FROM accounts WHERE tenant_id = '{tenant}' AND role_state = '{{}}';
"""


TABLES = ("accounts", "users", "user_emails", "groups", "group_users", "group_children")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(callers: Callers, engines: Engines) -> AsyncGenerator[Tenant]:
    """A tenant with a hundred thousand people, one in twenty inactive; a group for each fifth, half of them in another.

    So no table is small enough to be read through, whatever others leave there. What the planner knows of the tables is
    what we had it learn, and nothing that came by itself meanwhile.
    """
    tenant = await a_tenant(callers)
    address = engines.postgres.superuser_url.rpartition("/")[0] + f"/{DATABASE}"
    async with connected(address) as superuser, no_autovacuum(superuser):
        await superuser.execute(
            f"CREATE TEMP TABLE series AS SELECT n, uuidv7() AS id FROM generate_series(1, {PEOPLE}) n"
        )
        await superuser.execute(LOAD.format(tenant=tenant.id, people=PEOPLE))
        await vacuumed(superuser)
        yield tenant
        await superuser.execute(UNLOAD.format(tenant=tenant.id))


@asynccontextmanager
async def no_autovacuum(superuser: Connection) -> AsyncGenerator[None]:
    """Nobody else vacuums or analyses in these engines."""
    working = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
    await superuser.execute("ALTER SYSTEM SET autovacuum = off")
    await superuser.execute("SELECT pg_reload_conf()")
    try:
        while await superuser.fetchval(working):
            await superuser.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
            )
            await asyncio.sleep(0.05)
        yield
    finally:
        await superuser.execute("ALTER SYSTEM RESET autovacuum")
        await superuser.execute("SELECT pg_reload_conf()")


async def vacuumed(superuser: Connection) -> None:
    """Have the planner know the tables, and nearly every page marked as visible to all, on which plans depend too.

    A page is not marked while somebody's transaction is older than a row on it, nor one that was only set aside.
    """
    unmarked = (
        "SELECT string_agg(format('%s: %s of %s pages', relname, relpages - relallvisible, relpages), ', ') "
        "FROM pg_class WHERE relkind = 'r' AND relname = ANY ($1) AND relallvisible < 0.9 * relpages - 10"
    )
    holders = (
        "SELECT string_agg(format('%s %s since %s: %s', pid, state, xact_start, query), '; ') "
        "FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 120
    while True:
        for table in TABLES:
            await superuser.execute(f"VACUUM (ANALYZE, DISABLE_PAGE_SKIPPING) {table}")
        if (left := await superuser.fetchval(unmarked, TABLES)) is None:
            return
        held = await superuser.fetchval(holders)
        assert time.monotonic() < deadline, f"pages stay unmarked: {left}; transactions just now: {held}"
        await asyncio.sleep(0.2)


@pytest_asyncio.fixture(loop_scope="session")
async def call(crowd: Tenant) -> Call:
    """A call of the tenant's identity provider."""
    return gate.present(crowd.callers.app.state.context, f"Bearer {crowd.token['token']}", ORIGIN, "scim.users.list")


async def plan(crowd: Tenant, query: Query) -> str:
    """How PostgreSQL answers a query, as the role that serves it."""
    asked = paging.statement(query, UUID(crowd.id), BASE)
    async with crowd.callers.database.sessions() as db, db.begin():
        await enter_tenant(db, UUID(crowd.id))
        connection = await db.connection()
        return "\n".join((await connection.exec_driver_sql(f"EXPLAIN {asked.text}", asked.arguments)).scalars())


SOMEBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('userName eq "Person77@acme.test" and active eq true', "uq_users_user_name"),
        ('userName sw "PERSON777"', "uq_users_user_name"),
        ('externalId eq "ext-77" and active eq true', "ix_users_external_id"),
        ('emails.value eq "77@acme.test" and active eq true', "pk_user_emails"),
        ('emails[type eq "work" and value eq "77@ACME.test"]', "pk_user_emails"),
        ('emails sw "777"', "pk_user_emails"),
        ('userName eq "x" or emails eq "77@acme.test" or externalId eq "ext-7"', "pk_user_emails"),
        (f'id eq "{SOMEBODY}" or userName eq "x"', "pk_users"),
        ('displayName eq "Person 77"', "ix_users_display_name"),
        ('displayName sw "Person 777"', "ix_users_display_name"),
        ("active eq false", "ix_users_active"),
        ("active ne true", "ix_users_active"),
        ("active eq true", "ix_users_active"),
        ('meta.lastModified eq "2026-02-02T00:00:00Z"', "ix_users_last_modified"),
        ('meta.lastModified gt "2026-04-10T00:00:00Z"', "ix_users_last_modified"),
        ('meta.lastModified ge "2026-02-01T00:00:00Z" and meta.lastModified lt "2026-02-02"', "ix_users_last_modified"),
        (f'groups.value eq "{SOMEBODY}"', "group_users"),
        ('groups.display eq "Group 77"', "ix_groups_display_name"),
    ],
)
async def test_people_are_looked_up(crowd: Tenant, text: str, index: str) -> None:
    """What providers look people up by is found through an index, alone and among other conditions."""
    explained = await plan(crowd, Query(tree=read_filter(text)))

    assert index in explained
    assert "Seq Scan on users" not in explained


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('displayName eq "Group 77" and externalId pr', "ix_groups_display_name"),
        ('displayName sw "Group 777"', "ix_groups_display_name"),
        ('externalId eq "ext-77" and displayName pr', "ix_groups_external_id"),
        (f'id eq "{SOMEBODY}" and members eq "{SOMEBODY}"', "pk_groups"),
        (f'members[value eq "{SOMEBODY}"]', "ix_group_users_user"),
        ('meta.lastModified gt "2026-02-14T21:00:00Z"', "ix_groups_last_modified"),
    ],
)
async def test_groups_are_looked_up(crowd: Tenant, text: str, index: str) -> None:
    """So are groups."""
    explained = await plan(crowd, Query(tree=read_filter(text, GROUPS), kind=GROUPS))

    assert index in explained
    assert "Seq Scan on groups" not in explained


@pytest.mark.parametrize(
    ("order", "after", "index"),
    [
        (Order(), (SOMEBODY,), "pk_users"),
        (Order(descending=True), (SOMEBODY,), "pk_users"),
        (Order(AttrPath("userName")), ("person77@acme.test", SOMEBODY), "uq_users_user_name"),
        (Order(AttrPath("userName"), descending=True), None, "uq_users_user_name"),
        (Order(AttrPath("displayName")), None, "ix_users_display_name"),
        (Order(AttrPath("meta", "lastModified")), None, "ix_users_last_modified"),
    ],
)
async def test_pages_are_read_in_order(crowd: Tenant, order: Order, after: tuple[str, ...] | None, index: str) -> None:
    """A page of everybody is read in its order, without sorting everybody for it."""
    explained = await plan(crowd, Query(order=order, by_cursor=True, after=after))

    assert index in explained
    assert "Seq Scan on users" not in explained


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (USERS, 'userName eq "person77@acme.test"'),
        (USERS, 'externalId eq "ext-77"'),
        (USERS, 'emails.value eq "77@acme.test"'),
        (USERS, f'id eq "{SOMEBODY}"'),
        (GROUPS, 'displayName eq "Group 77"'),
        (GROUPS, 'externalId eq "ext-77"'),
        (GROUPS, f'members.value eq "{SOMEBODY}"'),
    ],
)
async def test_hot_look_ups_read_no_table_through(crowd: Tenant, call: Call, kind: ResourceKind, text: str) -> None:
    """Nor does a look-up that has a statement of its own read through a table."""
    query = Query(tree=read_filter(text, kind), kind=kind)
    read_through = "SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = ANY ($1)"
    tables = ["users", "user_emails", "groups", "group_users", "group_children"]
    assert query.hot is not None

    async with crowd.callers.database.pool.acquire() as connection, connection.transaction():
        here = replace(call, context=replace(call.context, database=_on(call, connection)))
        before = await connection.fetchval(read_through, tables)
        rows = await lookups.rows(here, query)
        after = await connection.fetchval(read_through, tables)

    assert rows[0]["verdict"] == "ok"
    assert after == before


@pytest.mark.parametrize("after", [None, 0.0, 0.5])
@pytest.mark.parametrize("start", [1, 30_000, 99_900])
async def test_pages_of_everybody_read_no_more_than_the_page(
    crowd: Tenant, call: Call, start: int, after: float | None
) -> None:
    """A page reads the people on it, and not everybody of the tenant, wherever it begins."""
    ids = [row["id"] for row in await lookups.rows(call, Query(start_index=start, count=2))][1:]
    position = None if not after else (str(ids[0]),)
    query = Query(start_index=1 if after is not None else start, count=50, by_cursor=after is not None, after=position)
    read = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'users'"
    # Who is passed over in the index is looked at where the vacuum could not mark their page as visible to all.
    passed_over = "SELECT ceil((relpages - relallvisible) * reltuples / relpages) FROM pg_class WHERE relname = 'users'"

    async with crowd.callers.database.pool.acquire() as connection, connection.transaction():
        unmarked = int(await connection.fetchval(passed_over))
        here = replace(call, context=replace(call.context, database=_on(call, connection)))
        for _ in range(6):
            await lookups.rows(here, query)  # a plan for any values is made after five
        before = await connection.fetchval(read)
        rows = await lookups.rows(here, query)
        fetched = await connection.fetchval(read) - before

    assert len(lookups.page(query, rows).rows) == 50
    assert fetched <= 60 + unmarked


@pytest.mark.parametrize("named", ["id", "external_id"])
async def test_one_person_is_found_among_all(crowd: Tenant, call: Call, named: str) -> None:
    """Whoever is named by an id, or by the provider's, is looked up: nobody else's rows are read for them."""
    somebody = (await lookups.rows(call, Query(tree=read_filter('externalId eq "ext-500"'))))[0]["id"]
    read = "SELECT sum(idx_tup_fetch + seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname = ANY ($1)"

    async with open_work(crowd.callers.database, TenantRef(UUID(crowd.id), ""), SYSTEM, ORIGIN) as work:
        connection = await work.db.connection()
        before = await connection.exec_driver_sql(read, (["users", "accounts"],))
        found = await (people.find(work, somebody) if named == "id" else people.find_by_external_id(work, "ext-500"))
        after = await connection.exec_driver_sql(read, (["users", "accounts"],))

    assert found.account.id == somebody
    assert after.scalar_one() - before.scalar_one() <= 10


def _on(call: Call, connection: Connection) -> Database:
    """The database as one connection, in the middle of its transaction."""
    return replace(call.context.database, pool=cast("Pool", _OneConnection(connection)))


class _OneConnection:
    """A pool that asks all over one connection, in the middle of its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: object, of: object = None) -> Any:
        assert of is not None, "a look-up is of its tenant"
        return await self._connection.fetch(query, *args)


async def test_a_page_among_a_hundred_thousand(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter on what only stands in documents finds its few people among all of them."""
    monkeypatch.setattr(lookups, "LONGEST_SEARCH", 100.0)  # a quarter of a second, but on a busy machine more
    query = Query(tree=read_filter('title eq "t77777" and emails[type eq "WORK"]'))

    page = lookups.page(query, (await lookups.filtered(call, query))[0])

    assert (page.total, [row["version"] for row in page.rows]) == (1, [1])


async def test_a_filter_that_takes_too_long_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that would keep the database for long is 400 tooMany, with a hint; and the next one is answered."""
    assert lookups.LONGEST_SEARCH == 5
    terms = " or ".join(f'roles.value co "{n}"' for n in range(50))
    with monkeypatch.context() as patched:
        patched.setattr(lookups, "LONGEST_SEARCH", 0.05)
        with pytest.raises(TooMany, match="userName") as refused:
            await lookups.filtered(call, Query(tree=read_filter(terms)))

    assert (refused.value.status, refused.value.scim_type) == (400, "tooMany")
    found, _ = await lookups.filtered(call, Query(tree=read_filter('userName eq "person77@acme.test"')))
    assert found[0]["created_at"] == datetime(2026, 1, 1, 1, 17, tzinfo=UTC)
