"""Pages by cursor (RFC 9865), sorting, and searching several kinds of resources at once."""

from typing import Any

import pytest

from api.expect import done
from factories import Callers, Tenant, a_tenant


@pytest.fixture
async def acme(callers: Callers) -> Tenant:
    """A tenant of an admin and nine people."""
    tenant = await a_tenant(callers)
    for number in range(9):
        await tenant.person(f"person-{number}@acme.test", displayName=f"P{9 - number}")
    return tenant


async def walk(tenant: Tenant, **parameters: Any) -> list[list[str]]:
    """All pages of a list by cursor, as userNames."""
    pages: list[list[str]] = []
    cursor = ""
    while True:
        answer = await tenant.scim.get("/Users", params={**parameters, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "startIndex" not in body
        pages.append([each["userName"] for each in body["Resources"]])
        if "nextCursor" not in body:
            return pages
        cursor = body["nextCursor"]


async def test_every_page_once(acme: Tenant) -> None:
    """A walk by cursor shows everybody once, and the last page names no next one."""
    pages = await walk(acme, count=4)
    assert [len(page) for page in pages] == [4, 4, 2]
    assert len({name for page in pages for name in page}) == 10


async def test_a_page_says_where_it_goes_on(acme: Tenant) -> None:
    """A page by index has numbers and no cursor, empty or not; one has a cursor if it was asked for by one."""
    by_index = [{}, {"startIndex": "1", "count": "2"}, {"count": "0"}, {"startIndex": "99"}, {"filter": 'id eq "x"'}]
    for parameters in by_index:
        page = done(await acme.scim.get("/Users", params=parameters))
        assert {"startIndex", "itemsPerPage", "totalResults", "Resources"} <= set(page), parameters
        assert "nextCursor" not in page, parameters
        assert len(page["Resources"]) == page["itemsPerPage"], parameters

    first = done(await acme.scim.get("/Users", params={"cursor": "", "count": "2"}))
    assert first["nextCursor"]
    assert "startIndex" not in first


async def test_nobody_is_skipped_while_others_come_and_go(acme: Tenant) -> None:
    """Whoever was there all the time is shown exactly once, whatever happens in between."""
    first = (await acme.scim.get("/Users", params={"count": 4, "cursor": ""})).json()
    await acme.scim.delete(f"/Users/{first['Resources'][1]['id']}")
    late = await acme.person("late@acme.test")
    rest = (await acme.scim.get("/Users", params={"count": 100, "cursor": first["nextCursor"]})).json()
    shown = [each["id"] for each in first["Resources"] + rest["Resources"]]
    assert len(shown) == len(set(shown)) == 11
    assert late["id"] in shown


async def test_sorted_by_cursor(acme: Tenant) -> None:
    """Sorting holds over all pages."""
    pages = await walk(acme, count=3, sortBy="displayName", sortOrder="descending", filter='displayName sw "p"')
    names = [name for page in pages for name in page]
    assert names == [f"person-{number}@acme.test" for number in range(9)]


async def test_a_cursor_is_its_tokens_and_its_querys(callers: Callers, acme: Tenant) -> None:
    """Another tenant, another query or another text is refused as no cursor of ours."""
    cursor = (await acme.scim.get("/Users", params={"count": 2, "cursor": ""})).json()["nextCursor"]
    other = await a_tenant(callers)
    for tenant, parameters in (
        (other, {"cursor": cursor}),
        (acme, {"cursor": cursor, "filter": "active eq true"}),
        (acme, {"cursor": cursor[:-2]}),
        (acme, {"cursor": "nonsense"}),
    ):
        refused = await tenant.scim.get("/Users", params=parameters)
        assert refused.status_code == 400
        assert refused.json()["scimType"] == "invalidCursor"


async def test_people_and_groups_together(acme: Tenant) -> None:
    """A search at the root finds both kinds, and pages over their border."""
    group = (await acme.scim.post("/Groups", json={"displayName": "P5"})).json()
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
    found = (await acme.scim.post("/.search", json=search | {"filter": 'displayName eq "p5"'})).json()
    assert found["totalResults"] == 2
    assert {each["meta"]["resourceType"] for each in found["Resources"]} == {"User", "Group"}
    people = (await acme.scim.post("/.search", json=search | {"filter": 'userName sw "person"'})).json()
    assert people["totalResults"] == 9
    page = (await acme.scim.post("/.search", json=search | {"startIndex": 10, "count": 5})).json()
    assert page["totalResults"] == 11
    assert [each["id"] for each in page["Resources"]][-1] == group["id"]
    assert len(page["Resources"]) == 2


async def test_the_config_says_so(acme: Tenant) -> None:
    """ServiceProviderConfig announces sorting, bulk, tags and cursors, as they are."""
    config = (await acme.scim.get("/ServiceProviderConfig")).json()
    assert all(config[name]["supported"] for name in ("patch", "bulk", "filter", "sort", "etag"))
    assert config["pagination"]["cursor"] is True
    assert config["changePassword"]["supported"] is False
