"""Who was active on a day, and in which role: as it was, from what was kept as it changed."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from api.expect import turned_down
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.access import history, housekeeping
from rollcall.db import Connection, Database
from rollcall.functions import qualified

NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True)
class Was:
    """What somebody was from a moment on."""

    since: datetime
    active: bool
    role: str
    is_admin: bool


async def reactivate(tenant: Tenant, person: str) -> None:
    answer = await tenant.callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    assert answer.status_code == 200, answer.text


async def says(tenant: Tenant, person: str, **attributes: Any) -> None:
    answer = await tenant.scim.patch(f"/Users/{person}", json=patch_op({"op": "replace", "value": attributes}))
    assert answer.status_code == 200, answer.text


DOORS: list[Callable[[Tenant, str], Awaitable[Any]]] = [
    lambda tenant, person: tenant.scim.patch(f"/Users/{person}", json=deactivation()),
    lambda tenant, person: says(tenant, person, active=True),
    reactivate,
    lambda tenant, person: says(tenant, person, roles=["dart-guests"]),
    lambda tenant, person: says(tenant, person, roles=["dart-members"]),
    lambda tenant, person: says(tenant, person, userName=f"{random.random()}"),  # any other name
    lambda tenant, person: tenant.callers.operator.post(f"{tenant.v1}/people/{person}/appoint"),
    lambda tenant, person: tenant.callers.operator.post(f"{tenant.v1}/people/{person}/demote"),
    lambda tenant, person: tenant.callers.operator.delete(f"{tenant.v1}/people/{person}/role-override"),
]
"""Ways to change whether somebody is active, and their role; and one that changes neither."""


@pytest.mark.parametrize("seed", range(4))
async def test_as_it_was(callers: Callers, owner: Connection, seed: int) -> None:
    """Whatever became of somebody, each moment and each stretch of time is answered as it was."""
    choose = random.Random(seed)
    acme = await a_tenant(callers)
    account = (await acme.person(active=choose.random() < 0.8))["id"]
    was: list[Was] = []
    for turn in range(14):
        if turn:
            await choose.choice(DOORS)(acme, account)
        row = await owner.fetchrow("SELECT active, role, is_admin FROM accounts WHERE id = $1", UUID(account))
        assert row is not None
        was.append(Was(await owner.fetchval(NOW), row["active"], row["role"], row["is_admin"]))
    end = await owner.fetchval(NOW)
    asked = "SELECT * FROM fn.people_between($1, $2, $3) WHERE account_id = $4"
    for first in range(len(was)):
        for last in range(first, len(was)):
            begins = was[first].since
            ends = end if last == len(was) - 1 else was[last].since + timedelta(microseconds=1)
            found = await owner.fetchrow(qualified(asked), UUID(acme.id), begins, ends, UUID(account))
            assert found is not None
            there = was[first : last + 1]
            assert found["active"] == any(each.active for each in there), (first, last, was)
            assert found["active_at_end"] == was[last].active, (first, last, was)
            assert found["role"] == was[last].role, (first, last, was)
            came_in = [each for each in there if each.active]
            assert set(found["roles"]) == {each.role for each in came_in}, (first, last, was)
            assert found["is_admin"] == any(each.is_admin for each in came_in), (first, last, was)


TODAY = datetime.now(UTC).date()
"""What follows counts back from here, and asks for nothing younger than yesterday, so that midnight may come."""


def noon(days: int) -> datetime:
    return datetime.combine(ago(days), time(12), UTC)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


async def moved(owner: Connection, tenant: Tenant, days: int) -> None:
    """Let what has just happened to a tenant have happened so many days ago, around noon."""
    now = await owner.fetchval(NOW)
    for table, name in (
        ("accounts", "created_at"),
        ("accounts", "deactivated_at"),
        ("account_history", "until_at"),
        ("account_history", "deactivated_at"),
    ):
        statement = f"UPDATE {table} SET {name} = {name} - $2::interval WHERE tenant_id = $1 AND {name} > $3"
        await owner.execute(statement, UUID(tenant.id), now - noon(days), noon(1) + timedelta(hours=11))
    statement = "UPDATE tenants SET created_at = least(created_at, $2) WHERE id = $1"
    await owner.execute(statement, UUID(tenant.id), noon(days) - timedelta(hours=1))


async def on(tenant: Tenant, day: date, **asked: Any) -> dict[str, dict[str, Any]]:
    """Who was there, by userName."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people-on/{day}", params=asked)
    assert answer.status_code == 200, answer.text
    return {each["user_name"]: each for each in answer.json()["data"]}


async def test_days(callers: Callers, owner: Connection) -> None:
    """Who came, left, returned and changed their role is answered day by day, filtered by role, page by page."""
    acme = await a_tenant(callers)
    maria, noor = await acme.person("maria"), await acme.person("noor", roles=["dart-guests"])
    await moved(owner, acme, 20)
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    await says(acme, noor["id"], roles=["dart-members"])
    await moved(owner, acme, 10)
    await reactivate(acme, maria["id"])
    await acme.person("zoe")
    await moved(owner, acme, 2)
    ada = acme.admin["user_name"]

    assert set(await on(acme, ago(15))) == {ada, "maria", "noor"}
    assert (await on(acme, ago(15)))["noor"]["role"] == "guest"
    assert set(await on(acme, ago(9))) == {ada, "noor"}
    assert set(await on(acme, ago(9), everybody=True)) == {ada, "noor", "maria"}
    assert (await on(acme, ago(9)))["noor"]["roles"] == ["member"]
    assert (await on(acme, ago(2)))["maria"]["active_at_end"]
    assert (await on(acme, ago(2)))["zoe"]["id"]
    assert set(await on(acme, ago(1))) == {ada, "maria", "noor", "zoe"}
    assert "zoe" not in await on(acme, ago(3), everybody=True)

    left = await on(acme, ago(10))
    assert (left["maria"]["active"], left["maria"]["active_at_end"]) == (True, False)
    assert (left["noor"]["role"], set(left["noor"]["roles"])) == ("member", {"guest", "member"})
    assert set(await on(acme, ago(10), role="guest")) == {"noor"}
    assert set(await on(acme, ago(10), role="admin")) == {ada}
    assert left[ada]["is_admin"]

    first = (await callers.operator.get(f"{acme.v1}/people-on/{ago(10)}", params={"limit": 2})).json()
    assert len(first["data"]) == 2
    rest = await on(acme, ago(10), limit=2, cursor=first["next_cursor"])
    assert {each["user_name"] for each in first["data"]} | set(rest) == {ada, "maria", "noor"}
    assert first["known_since"][:10] == f"{ago(20)}"


async def test_a_role_while_out(callers: Callers, owner: Connection) -> None:
    """A role that somebody had only while they were not active is none that they had, and names nobody as an admin."""
    acme = await a_tenant(callers)
    maria = (await acme.person("maria", roles=["dart-guests"]))["id"]
    await moved(owner, acme, 20)
    await acme.scim.patch(f"/Users/{maria}", json=deactivation())
    await says(acme, maria, roles=["dart-admins"])
    await moved(owner, acme, 10)
    await says(acme, maria, roles=["dart-guests"])
    await reactivate(acme, maria)
    await moved(owner, acme, 5)
    ada = acme.admin["user_name"]

    for days in (10, 8, 5, 4):
        assert set(await on(acme, ago(days), role="admin")) == {ada}, days
    assert set(await on(acme, ago(5), role="guest")) == {"maria"}
    left = (await on(acme, ago(10)))["maria"]
    assert (left["roles"], left["is_admin"]) == (["guest"], False)
    out = (await on(acme, ago(8), everybody=True))["maria"]
    assert (out["role"], out["roles"], out["is_admin"]) == ("admin", [], False)


async def test_what_is_not_known(callers: Callers, owner: Connection) -> None:
    """A day before it was kept, or that has not begun, is refused and says since when it is known."""
    acme = await a_tenant(callers)
    await moved(owner, acme, 30)
    mark = "INSERT INTO account_history_marks (tenant_id, known_since) VALUES ($1, $2)"
    await owner.execute(mark, UUID(acme.id), noon(9))
    assert set(await on(acme, ago(8))) == {acme.admin["user_name"]}
    early = await callers.operator.get(f"{acme.v1}/people-on/{ago(10)}")
    turned_down(early, 404, "day_not_known", f"it is since {ago(9)} 12:00 UTC", param="day")
    for day in (ago(-2), date.max):
        later = await callers.operator.get(f"{acme.v1}/people-on/{day}")
        turned_down(later, 404, "day_not_known", "has not begun", param="day")
    for day in ("2026-13-01", "yesterday", "20261101", "2026-W01-1"):
        turned_down(
            await callers.operator.get(f"{acme.v1}/people-on/{day}"), 404, "day_not_known", "write it as", param="day"
        )


async def test_as_long_as_the_audit(callers: Callers, owner: Connection, database: Database) -> None:
    """What is older than the tenant's audit is kept goes, and from then on it is said that it is not known."""
    acme, other = await a_tenant(callers), await a_tenant(callers)
    for tenant in (acme, other):
        person = await tenant.person("maria", roles=["dart-guests"])
        await moved(owner, tenant, 400)
        await says(tenant, person["id"], roles=["dart-members"])
        await moved(owner, tenant, 300)
    for tenant, days in ((acme, 200), (other, 900)):
        await owner.execute(
            "INSERT INTO audit_retention (tenant_id, days, counts_from) VALUES ($1, $2, now() - interval '1 day') "
            "ON CONFLICT (tenant_id) DO UPDATE SET days = $2, counts_from = excluded.counts_from",
            *(UUID(tenant.id), days),
        )
    did = await housekeeping.forget_credentials(database)
    assert did["history_forgotten"] >= 1
    left = "SELECT count(*) FROM account_history WHERE tenant_id = $1"
    assert await owner.fetchval(left, UUID(acme.id)) == 0
    assert await owner.fetchval(left, UUID(other.id)) == 1
    async with acme.work() as work:
        assert (await history.known(work)).date() == ago(300)
    async with other.work() as work:
        assert (await history.known(work)).date() == ago(400)
    assert set(await on(acme, ago(299))) == {acme.admin["user_name"], "maria"}
    turned_down(await callers.operator.get(f"{acme.v1}/people-on/{ago(301)}"), 404, "day_not_known")


async def test_what_pays(callers: Callers, owner: Connection) -> None:
    """Coming, leaving and changing a name write nothing here; a role and a return write one row each."""
    acme = await a_tenant(callers)
    person = await acme.person("maria")
    rows = "SELECT count(*) FROM account_history WHERE tenant_id = $1"
    await says(acme, person["id"], displayName="Maria")
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    assert await owner.fetchval(rows, UUID(acme.id)) == 0
    await says(acme, person["id"], active=True)
    await says(acme, person["id"], roles=["dart-members"])
    assert await owner.fetchval(rows, UUID(acme.id)) == 1, "member was the default already"
    await says(acme, person["id"], roles=["dart-guests"])
    assert await owner.fetchval(rows, UUID(acme.id)) == 2
