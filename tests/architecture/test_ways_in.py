"""Every class of credential stands in the table of ways in, and the one door closes it."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import rollcall
from authenticator import registered
from factories import Callers, Tenant, a_tenant
from rollcall import tables
from rollcall.access import passwords, revocation
from rollcall.access.ways_in import NAMES, WAYS_IN, WayIn
from rollcall.db import Connection

NO_WAY_IN = {
    "accounts": "the person; its epoch is what the others are held against",
    "users": "how the provider describes the person; it opens nothing",
    "receipts": "the proof of a departure; it opens nothing",
    "refused_departures": "who is to be taken out as the tenant is resumed; it opens nothing",
    "passkey_challenges": "opens nothing by itself: good once, for minutes, and refused for another epoch",
}
"""Tables that belong to people or know an epoch, and are no credentials."""


def strays(ways: tuple[WayIn, ...]) -> set[str]:
    """Tables whose rows belong to an account or are bound to its epoch, and that no way in stands for."""
    bound = {table.name for table in tables.metadata.sorted_tables if "epoch" in table.columns}
    return (bound | owned_by_people()) - {way.table for way in ways} - set(NO_WAY_IN)


def owned_by_people() -> set[str]:
    """Tables whose rows point at an account."""
    return {
        table.name
        for table in tables.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "accounts"
    }


async def unclosed(owner: Connection, person: UUID, ways: tuple[WayIn, ...]) -> set[str]:
    """The classes of which a row of this person is open."""
    return {
        way.name
        for way in ways
        if await owner.fetchval(
            f"SELECT count(*) FROM {way.table} WHERE {way.account} = $1 AND {way.closed} IS NULL", person
        )
    }


async def forget_counts(owner: Connection, table: str) -> None:
    """Forget what autovacuum may have counted by now; of a table of three pages it makes the planner take any index."""
    await owner.execute("SELECT pg_clear_relation_stats('public', $1)", table)
    await owner.execute(
        "SELECT pg_clear_attribute_stats('public', $1, attname, false) FROM pg_attribute "
        "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )


async def one_of_each(tenant: Tenant, person: dict[str, Any]) -> None:
    """Open one credential of each class for a person."""
    await tenant.session(person)
    await tenant.personal_token(person)
    await registered(tenant, person)
    await tenant.external(person)
    name = person.get("userName") or person["user_name"]
    await tenant.callers.operator.patch(tenant.v1, json={"break_glass": [name]})
    async with tenant.work() as work:
        await passwords.keep(work, UUID(person["id"]), "what Argon2 made of it")


def test_every_class_is_listed() -> None:
    """A table whose rows belong to people, or know an epoch, is a way in or one of the few that open nothing."""
    assert strays(WAYS_IN) == set(), "add the class to access/ways_in.py and to the function leave"


def test_exceptions_are_current() -> None:
    """What the list of exceptions names exists, would be missed without it, and is no way in."""
    for name in NO_WAY_IN:
        assert "epoch" in tables.metadata.tables[name].columns or name in owned_by_people()
        assert name not in {way.table for way in WAYS_IN}


@pytest.mark.parametrize("way", WAYS_IN, ids=NAMES)
def test_ways_in_have_what_the_rule_needs(way: WayIn) -> None:
    """Each class has an account, its epoch, and columns for when it was opened and closed and why."""
    columns = tables.metadata.tables[way.table].columns
    assert {"tenant_id", "epoch", way.account, way.opened, way.closed, way.because} <= set(columns.keys())
    assert way.table in owned_by_people()


@pytest.mark.parametrize("way", WAYS_IN, ids=NAMES)
def test_open_ones_are_found_by_an_index(way: WayIn) -> None:
    """What a person has open of a class is one look into an index of what is open, however much is closed."""
    table = tables.metadata.tables[way.table]
    partial = [
        [column.name for column in index.columns][:2]
        for index in table.indexes
        if str(index.dialect_options["postgresql"]["where"]) == f"{way.closed} IS NULL"
    ]
    assert ["tenant_id", way.account] in partial


@pytest.mark.parametrize("way", WAYS_IN, ids=NAMES)
async def test_the_planner_takes_that_index(owner: Connection, settings: object, way: WayIn) -> None:
    """No other index is found as cheap, in a table that nobody has counted yet."""
    question = f"SELECT FROM {way.table} WHERE tenant_id = $1 AND {way.account} = $2 AND {way.closed} IS NULL"
    async with owner.transaction():
        await forget_counts(owner, way.table)
        await owner.execute("SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan")
        await owner.execute(f"PREPARE open_ones (uuid, uuid) AS {question}")
        plan = await owner.fetch(f"EXPLAIN EXECUTE open_ones ('{uuid4()}', '{uuid4()}')")
        await owner.execute("DEALLOCATE open_ones")
    said = " ".join(row["QUERY PLAN"] for row in plan)
    assert f"({way.account} = $2)" in said.partition("Index Cond:")[2].partition("Filter")[0], said


def function_of(room: str, file: str, name: str) -> str:
    """The text of a function of the database."""
    script = (Path(rollcall.__file__).parent / room / "sql" / file).read_text().replace("public.", "")
    return script[script.index(f"CREATE FUNCTION fn.{name}(") :].partition("END $$;")[0]


def test_the_door_names_them_in_order() -> None:
    """The function ``close_ways_in`` closes the classes in the order of the table, which is the order of the locks."""
    door = function_of("access", "leaving.sql", "close_ways_in")
    closing = {
        way.name: f"UPDATE {way.table} SET {way.closed} = p_now, {way.because} = '{way.person_left}'" for way in WAYS_IN
    }
    for name, statement in closing.items():
        assert statement in door, f"close_ways_in does not close {name}: it lacks “{statement} …”"
    places = [door.index(statement) for statement in closing.values()]
    assert places == sorted(places)
    assert "EXECUTE" not in door, "a statement that is put together has no kept plan"


def test_one_look_finds_what_is_open() -> None:
    """Whoever has nothing of a class costs no statement for it: one look asks for all of them."""
    door = function_of("access", "leaving.sql", "close_ways_in")
    look = door[door.index("SELECT EXISTS") : door.index("INTO v_open")]
    for way in WAYS_IN:
        assert f"FROM {way.table}" in look
        assert f"IF v_open.{way.name} THEN" in door


def test_what_is_purged_is_named() -> None:
    """The function ``settle_departures`` deletes what was closed of the classes that are purged, and of no other."""
    purging = function_of("proof", "receipts.sql", "settle_departures")
    assert [way.name for way in WAYS_IN if f"DELETE FROM {way.table} " in purging] == [
        way.name for way in WAYS_IN if way.purged
    ]
    for way in WAYS_IN:
        counted = f"'{way.name}', (SELECT count(*) FROM gone_{way.name} "
        assert not way.purged or counted in purging, f"the receipt does not count {way.name}"


@pytest.mark.parametrize("way", [way for way in WAYS_IN if way.purged], ids=lambda way: way.name)
def test_closed_ones_are_found_by_an_index(way: WayIn) -> None:
    """Purging looks at what one person had, and not at all that their tenant has."""
    table = tables.metadata.tables[way.table]
    assert ["tenant_id", way.account] in [
        [column.name for column in index.columns]
        for index in table.indexes
        if str(index.dialect_options["postgresql"]["where"]) == f"{way.closed} IS NOT NULL"
    ]


async def test_the_door_closes_one_of_each(callers: Callers, owner: Connection) -> None:
    """Whoever has one credential of each class has none after leaving, and each is counted once."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    await one_of_each(tenant, maria)
    assert await unclosed(owner, UUID(maria["id"]), WAYS_IN) == set(NAMES)

    async with tenant.work() as work:
        closed = await revocation.end_all(work, UUID(maria["id"]), reason="test")

    assert closed == {**dict.fromkeys(NAMES, 1), "epoch": 2}
    assert await unclosed(owner, UUID(maria["id"]), WAYS_IN) == set()
    for way in WAYS_IN:
        query = f"SELECT {way.because} FROM {way.table} WHERE {way.account} = $1"
        assert await owner.fetchval(query, UUID(maria["id"])) == way.person_left


async def test_the_checks_can_fail(callers: Callers, owner: Connection) -> None:
    """A class that nobody lists is seen, and so is one that is listed and that the door leaves open."""
    assert strays(WAYS_IN[:-1]) == {WAYS_IN[-1].table}

    tenant = await a_tenant(callers)
    maria = await tenant.person()
    person = UUID(maria["id"])
    await owner.execute(
        "CREATE TABLE badges AS SELECT tenant_id, id AS account_id, epoch, created_at, NULL::timestamptz AS closed_at, "
        f"NULL::text AS closed_because FROM accounts WHERE id = '{person}'"
    )
    try:
        await one_of_each(tenant, maria)
        await tenant.callers.operator.post(f"{tenant.v1}/people/{maria['id']}/deactivate")
        badges = replace(WAYS_IN[0], name="badges", table="badges")
        assert await unclosed(owner, person, (*WAYS_IN, badges)) == {"badges"}
    finally:
        await owner.execute("DROP TABLE badges")


def test_counts_are_told_by_name() -> None:
    """The table's names are unique, since receipts count by them."""
    assert len(set(NAMES)) == len(WAYS_IN)
