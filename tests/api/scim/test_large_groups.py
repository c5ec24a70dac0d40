"""Pages of groups that have many members: they end early, and nothing is skipped."""

from typing import Any

import pytest

from api.expect import done
from api.scim.test_groups import make
from factories import Tenant
from rollcall.provisioning import statements
from rollcall.search import paging


@pytest.fixture
async def crowd(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A tenant with five groups of three people each; a page ends with the fourth member."""
    for module in (statements, paging):
        monkeypatch.setattr(module, "MOST_MEMBERS", 4)
    people = [await acme.person() for _ in range(3)]
    for number in range(5):
        await make(acme, f"group {number}", *people)
    return acme


def names(page: dict[str, Any]) -> list[str]:
    """What the groups of a page are called, each of which has to have all its members."""
    assert all(len(group["members"]) == 3 for group in page["Resources"])
    return [group["displayName"] for group in page["Resources"]]


@pytest.mark.parametrize("asked", [{}, {"sortBy": "displayName"}, {"filter": 'displayName sw "group"'}])
async def test_pages_by_index(crowd: Tenant, asked: dict[str, str]) -> None:
    """A page says how many it has and how many there are; who goes on behind it meets each group once."""
    found: list[str] = []
    while len(found) < 5:
        page = done(await crowd.scim.get("/Groups", params={**asked, "startIndex": len(found) + 1, "count": 5}))
        assert page["totalResults"] == 5
        assert page["itemsPerPage"] == len(page["Resources"]) == min(2, 5 - len(found))
        found += names(page)
    assert sorted(found) == [f"group {number}" for number in range(5)]


async def test_pages_by_cursor(crowd: Tenant) -> None:
    """A page by cursor that ends early has a cursor for the others."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = done(await crowd.scim.get("/Groups", params={"cursor": cursor, "count": 5}))
        found += names(page)
        cursor = page.get("nextCursor")
        assert len(found) <= 5
    assert sorted(found) == [f"group {number}" for number in range(5)]


async def test_without_members(crowd: Tenant) -> None:
    """Who does not ask for members has all groups on one page."""
    for asked in ({}, {"sortBy": "displayName"}):
        page = done(await crowd.scim.get("/Groups", params={**asked, "excludedAttributes": "members"}))
        assert len(page["Resources"]) == 5


async def test_people_and_groups_together(crowd: Tenant) -> None:
    """A search over both kinds ends with them, too."""
    page = done(await crowd.scim.post("/.search", json={"filter": 'displayName sw "group"', "count": 5}))
    assert page["itemsPerPage"] == 2
    assert page["totalResults"] == 5
