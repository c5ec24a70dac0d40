"""Every list of the management API: one shape, one way to ask for a part, cursors that lead through all of it."""

import httpx
import pytest

from api.expect import turned_down
from api.v1.described import document_of, known_in, operations
from factories import Callers, Tenant, a_tenant, whole
from rollcall.api.v1.lists import LONGEST_CURSOR
from rollcall.paging import MOST, USUAL


async def test_one_shape(http: httpx.AsyncClient, operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Every list is ``data`` and ``next_cursor``, described and answered; nothing answers with a bare array."""
    known, lists = await known_in(acme), 0
    for operation in operations(await document_of(http)):
        assert operation.answer.get("type") != "array", operation.path
        properties = operation.answer.get("properties", {})
        if "next_cursor" not in properties:
            assert "data" not in properties, operation.path
            assert not {"limit", "cursor"} & set(operation.query), operation.path
            continue
        lists += 1
        assert properties["data"]["type"] == "array", operation.path
        limit, cursor = operation.query["limit"], operation.query["cursor"]
        assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, MOST, USUAL), operation.path
        assert cursor["maxLength"] == LONGEST_CURSOR, operation.path
        answer = await operator.get(operation.address(known), params={"limit": 1})
        if "{destination}" not in operation.path:
            assert answer.status_code == 200, answer.text
            beside = {"begins", "ends", "known_since"} if "{day}" in operation.path else {"total"}
            assert set(answer.json()) - beside == {"data", "next_cursor"}, operation.path
    assert lists >= 18


async def test_part_of_a_short_list(callers: Callers, acme: Tenant) -> None:
    """A list that is there as a whole is shown a page at a time as well, each row once."""
    address = f"{acme.v1}/plan/explain"
    before = await whole(callers.operator, address, limit=MOST)
    assert len(before) >= 2
    assert await whole(callers.operator, address, limit=1) == before


async def test_walked_to_its_end(callers: Callers, acme: Tenant) -> None:
    """A page at a time shows each row once and in order, whatever the list is sorted by."""
    operator = callers.operator
    for _ in range(4):
        await acme.person()
        await acme.issue_token()
        await a_tenant(callers)
    for address in ("/v1/tenants", "/v1/plans", f"{acme.v1}/people", f"{acme.v1}/tokens", f"{acme.v1}/audit"):
        before = await whole(operator, address, limit=MOST)
        by_twos = await whole(operator, address, limit=2)
        assert len(before) >= 3, address
        # Reading leaves entries in an audit, so there the walk may begin with newer ones.
        assert by_twos[-len(before) :] == before, address


async def test_rows_that_come_and_go(callers: Callers, acme: Tenant) -> None:
    """Nobody is shown twice or skipped because somebody came or went between two pages."""
    people = [await acme.person() for _ in range(6)]
    first = (await callers.operator.get(f"{acme.v1}/people", params={"limit": 3})).json()
    await acme.scim.delete(f"/Users/{people[0]['id']}")
    newcomer = await acme.person()
    rest = await whole(callers.operator, f"{acme.v1}/people", limit=3, cursor=first["next_cursor"])
    names = [each["user_name"] for each in first["data"] + rest]
    assert names == [acme.admin["user_name"], *(each["userName"] for each in people), newcomer["userName"]]


async def test_a_cursor_is_for_its_list(callers: Callers, acme: Tenant, other: Tenant) -> None:
    """A cursor goes on with its own list and filters and no other; another limit is no other list."""
    operator = callers.operator
    for _ in range(3):
        await acme.person()
    cursor = (await operator.get(f"{acme.v1}/audit", params={"limit": 1, "outcome": "done"})).json()["next_cursor"]

    going_on = await operator.get(f"{acme.v1}/audit", params={"limit": 2, "outcome": "done", "cursor": cursor})
    assert len(going_on.json()["data"]) == 2
    for address, filters in (
        (f"{acme.v1}/audit", {}),
        (f"{acme.v1}/audit", {"outcome": "refused"}),
        (f"{acme.v1}/people", {}),
        (f"{other.v1}/audit", {"outcome": "done"}),
        ("/v1/audit", {"outcome": "done"}),
    ):
        answer = await operator.get(address, params={**filters, "cursor": cursor})
        turned_down(answer, 400, "invalid", "next_cursor", param="cursor")


@pytest.mark.parametrize("forged", ["", "x", "é", "A" * 200, "A" * (LONGEST_CURSOR + 1), "own", "cut", "plain"])
async def test_forged_cursors(callers: Callers, acme: Tenant, forged: str) -> None:
    """Nobody makes a cursor, alters one, or sends the position that is inside one."""
    real = (await callers.operator.get(f"{acme.v1}/audit", params={"limit": 1})).json()["next_cursor"]
    made = {"own": real[:-8] + "AAAAAAA=", "cut": real[:-1], "plain": "WyIyMDI2LTAxLTAxIl0"}.get(forged, forged)
    answer = await callers.operator.get(f"{acme.v1}/audit", params={"cursor": made})
    turned_down(answer, 400, "invalid", "cursor", param="cursor")
    assert acme.id not in real
