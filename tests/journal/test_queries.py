"""Reading the audit: newest first, complete from page to page, and narrowed by what is asked."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from api.expect import turned_down
from factories import Callers, Tenant, a_tenant, deactivation
from rollcall.db import Connection
from rollcall.errors import Invalid
from rollcall.journal.queries import AuditQuestion, read


@pytest_asyncio.fixture
async def tenant(callers: Callers) -> Tenant:
    """A fresh tenant."""
    return await a_tenant(callers)


async def page(tenant: Tenant, **question: Any) -> dict[str, Any]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/audit", params=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def enter(owner: Connection, tenant: Tenant, at: datetime, action: str = "test.entered") -> None:
    """Write an entry down as if it had been made at *at*."""
    await owner.execute(
        "INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_label, outcome) "
        "VALUES ($1, $2, 'r', $3, 'system', 'rollcall', 'done')",
        UUID(tenant.id),
        at,
        action,
    )


async def walk(tenant: Tenant, limit: int, **question: Any) -> list[str]:
    """The ids of all entries, a page at a time."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        more = {} if cursor is None else {"cursor": cursor}
        answer = await page(tenant, limit=limit, **question, **more)
        assert len(answer["data"]) <= limit
        found += [entry["id"] for entry in answer["data"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    return found


async def test_newest_first(tenant: Tenant) -> None:
    """Entries come newest first."""
    for _ in range(3):
        await tenant.person()
    times = [entry["at"] for entry in await tenant.audit()]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_are_complete(tenant: Tenant, owner: Connection, limit: int) -> None:
    """Page by page one sees every entry once, also when many were made in the same microsecond."""
    moment = datetime.now(UTC)
    for number in range(7):
        await enter(owner, tenant, moment - timedelta(seconds=number // 4))
    whole = [entry["id"] for entry in await tenant.audit()]
    walked = await walk(tenant, limit)
    assert walked == whole
    assert len(set(walked)) == len(walked)


async def test_pages_while_entries_arrive(tenant: Tenant, owner: Connection) -> None:
    """New entries that arrive between two pages neither repeat nor hide an old one."""
    for _ in range(4):
        await tenant.person()
    old = [entry["id"] for entry in await tenant.audit()]
    found: list[str] = []
    cursor: str | None = None
    while len(found) < 200:
        answer = await page(tenant, limit=2, **({} if cursor is None else {"cursor": cursor}))
        found += [entry["id"] for entry in answer["data"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
        await tenant.person()
    assert [each for each in found if each in old] == old
    assert len(set(found)) == len(found)


async def test_exact_last_page(tenant: Tenant) -> None:
    """A last page that is exactly full says that nothing comes after it."""
    whole = await tenant.audit()
    assert (await page(tenant, limit=len(whole)))["next_cursor"] is None
    assert (await page(tenant, limit=len(whole) - 1))["next_cursor"] is not None


def sealed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "====",
        sealed("yesterday|" + "0" * 32),
        sealed("2026-01-01T00:00:00+00:00|1"),
        sealed("2026-01-01T00:00:00+00:00"),
        sealed("0001-01-01T00:00:00+23:59|" + "0" * 32),
    ],
)
async def test_forged_cursors(tenant: Tenant, cursor: str) -> None:
    """A cursor that is none of ours is refused in words that say where to take one."""
    async with tenant.work() as work:
        with pytest.raises(Invalid, match="next_cursor"):
            await read(work, AuditQuestion(), cursor=cursor)


async def test_another_tenants_cursor(callers: Callers, tenant: Tenant) -> None:
    """Another tenant's cursor is refused: it was given for another list."""
    other = await a_tenant(callers)
    theirs = await page(other, limit=1)
    answer = await callers.operator.get(f"{tenant.v1}/audit", params={"cursor": theirs["next_cursor"]})
    turned_down(answer, 400, "invalid", "another list", param="cursor")


async def test_by_action(tenant: Tenant) -> None:
    """An action is found by its whole name and by its beginning up to a dot, and by nothing in between."""
    await tenant.person()
    assert [each["action"] for each in await tenant.audit(action="token.issued")] == ["token.issued"]
    assert [each["action"] for each in await tenant.audit(action="token")] == ["token.issued"]
    assert [each["action"] for each in await tenant.audit(action="scim.users")] == ["scim.users.create"]
    for wanted in ("tok", "token.", "token.i", "%", "_oken", "token%", "\\"):
        assert await tenant.audit(action=wanted) == [], wanted


async def test_underscore_is_no_wildcard(tenant: Tenant, owner: Connection) -> None:
    """An underscore in an action means itself."""
    await enter(owner, tenant, datetime.now(UTC), "roleXrule.changed")
    assert await tenant.audit(action="role_rule") == []


async def test_by_outcome(tenant: Tenant) -> None:
    """Refused calls can be seen alone, and so can those that were done."""
    await tenant.scim.post("/Users", json={})
    assert {each["outcome"] for each in await tenant.audit(outcome="refused")} == {"refused"}
    assert {each["outcome"] for each in await tenant.audit(outcome="done")} == {"done"}


async def test_by_person_and_actor(tenant: Tenant) -> None:
    """One person's history and one key's calls can be seen alone."""
    maria, _ = await tenant.person(), await tenant.person()
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    actions = [each["action"] for each in await tenant.audit(person=maria["id"])]
    assert actions == ["scim.users.patch", "scim.users.create"]
    by_token = await tenant.audit(actor=tenant.token["id"])
    assert {each["action"] for each in by_token} == {"scim.users.create", "scim.users.patch"}


async def test_by_time(tenant: Tenant, owner: Connection) -> None:
    """*since* includes its moment and *until* does not, so that neighbouring spans share no entry."""
    first = datetime.now(UTC) - timedelta(hours=2)
    moments = [first + timedelta(minutes=number) for number in range(3)]
    for moment in moments:
        await enter(owner, tenant, moment)
    found = await tenant.audit(since=moments[0].isoformat(), until=moments[2].isoformat())
    assert [datetime.fromisoformat(each["at"]) for each in found] == [moments[1], moments[0]]


async def test_filters_hold_from_page_to_page(tenant: Tenant) -> None:
    """A narrowed question stays narrowed when its pages are walked."""
    for _ in range(5):
        await tenant.person()
    assert len(await walk(tenant, 2, action="scim.users.create")) == 5


@pytest.mark.parametrize("limit", [0, -1, 501, "many"])
async def test_limit_has_bounds(tenant: Tenant, limit: object) -> None:
    """A page has between 1 and 500 entries."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/audit", params={"limit": str(limit)})
    assert answer.status_code == 400


async def test_only_admins_read(callers: Callers, tenant: Tenant) -> None:
    """The product's key does not read the audit, and an admin reads their own tenant's only."""
    other = await a_tenant(callers)
    assert (await callers.product.get(f"{tenant.v1}/audit")).status_code == 403
    personal = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    async with callers.bearer(personal["token"]) as admin:
        assert (await admin.get(f"{tenant.v1}/audit")).status_code == 200
        assert (await admin.get(f"{other.v1}/audit")).status_code == 404
