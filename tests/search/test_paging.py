"""Orders and pages: whatever is sorted by, and however many come and go between two pages."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models.path import AttrPath
from sqlalchemy import text

from factories import Callers, Tenant, a_tenant
from rollcall.provisioning import lookups
from rollcall.scim.cursors import LONGEST_CURSOR
from rollcall.scim.filters import read_filter, resolve
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUPS, USERS, ResourceKind, key
from rollcall.scim.search import read_parameters
from rollcall.search.operands import LONGEST_SORT_KEY
from rollcall.search.queries import Order, Query
from search.scratch import Made, MadeGroup, Scratch, group_resource, scratch, user_resource
from search.test_conditions import groups, numbered, people

E = ENTERPRISE_SCHEMA
SOME = settings(max_examples=40)

user_orders = st.none() | st.sampled_from(
    f"""
    userName displayName externalId active nickName name.familyName emails emails.type emails.primary roles photos
    {E}:department manager groups groups.display groups.type schemas meta.location meta.version id
    addresses.locality
    """.split()
)
group_orders = st.none() | st.sampled_from(
    ["displayName", "externalId", "members", "members.display", "members.type", "schemas", "meta.version", "id"]
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenant(callers: Callers) -> Tenant:
    """A tenant for this module; what the tests make there goes with their transactions."""
    return await a_tenant(callers)


def order_of(name: str | None, *, descending: bool, kind: ResourceKind = USERS) -> Order:
    """The order that a list request reads."""
    asked = {} if name is None else {"sortBy": name}
    return Order(read_parameters(asked, kind).sort_by, descending)


def value_of(resource: dict[str, Any], path: AttrPath, kind: ResourceKind) -> Any:
    """What a resource is sorted by, as RFC 7644 §3.4.2.3 has it."""
    value = (resource if path.uri is None else resource.get(path.uri, {})).get(path.attr)
    if isinstance(value, list):
        entries: list[Any] = [*value]
        primary = [each for each in entries if path.sub_attr is not None and each.get("primary")]
        value = (primary or entries)[0]
    if path.sub_attr is not None:
        value = None if value is None else value.get(path.sub_attr)
    return key(value) if isinstance(value, str) and not resolve(path, kind).case_exact else value


def sorted_ids(resources: list[dict[str, Any]], order: Order, kind: ResourceKind) -> list[str]:
    """The ids in the order they are to come in."""

    def place(resource: dict[str, Any]) -> tuple[Any, ...]:
        value = None if order.path is None else value_of(resource, order.path, kind)
        return (value is None, "" if value is None else value, resource["id"])

    return [each["id"] for each in sorted(resources, key=place, reverse=order.descending)]


async def walked(directory: Scratch, query: Query, *, between: Callable[[list[str]], Any] | None = None) -> list[str]:
    """The ids on all pages that *query* begins, one after the other."""
    seen: list[str] = []
    while True:
        page = await directory.ask(query)
        seen += [str(row["id"]) for row in page.rows]
        if page.next is None:
            return seen
        assert len(page.rows) == query.count
        if between is not None:
            await between(seen)
        query = Query(
            tree=query.tree, kind=query.kind, count=query.count, order=query.order, by_cursor=True, after=page.next
        )


async def in_order(directory: Scratch, kind: ResourceKind, order: Order, count: int) -> None:
    """Ask for everybody by index and by cursor."""
    render = group_resource if kind is GROUPS else user_resource
    resources = [render(row) for row in (await directory.ask(Query(kind=kind))).rows]
    expected = sorted_ids(resources, order, kind)
    by_index: list[str] = []
    for start in range(1, len(expected) + 2, count):
        page = await directory.ask(Query(kind=kind, order=order, start_index=start, count=count))
        by_index += [str(row["id"]) for row in page.rows]
        assert (page.total, page.next) == (len(expected), None)

    assert by_index == expected
    assert await walked(directory, Query(kind=kind, order=order, count=count, by_cursor=True)) == expected


@SOME
@given(people, groups, user_orders, st.booleans(), st.integers(1, 4))
async def test_people_come_in_order(  # hypothesis fills them in
    tenant: Tenant, made: list[Made], made_groups: list[MadeGroup], name: str | None, descending: bool, count: int
) -> None:
    """People come sorted by any attribute, the primary entry or the first; who has none comes last, or first."""
    async with scratch(tenant) as directory:
        await directory.make(numbered(made), made_groups)
        await in_order(directory, USERS, order_of(name, descending=descending), count)


@SOME
@given(people, groups, group_orders, st.booleans(), st.integers(1, 4))
async def test_groups_come_in_order(
    tenant: Tenant, made: list[Made], made_groups: list[MadeGroup], name: str | None, descending: bool, count: int
) -> None:
    """Groups do too."""
    async with scratch(tenant) as directory:
        await directory.make(numbered(made), made_groups)
        await in_order(directory, GROUPS, order_of(name, descending=descending, kind=GROUPS), count)


@pytest.mark.parametrize("name", ["meta.created", "meta.lastModified"])
async def test_times_order_to_the_last_digit(tenant: Tenant, name: str) -> None:
    """Sorted by a time, people come in the order of what happened, though they are shown to the millisecond."""
    moments = [datetime(2026, 1, 1, 0, 0, 0, micros, tzinfo=UTC) for micros in (3, 1, 2)]
    async with scratch(tenant) as directory:
        await directory.db.execute(text("DELETE FROM users"))
        three, one, two = (
            str(made)
            for made in (await directory.make([Made({"userName": str(at.microsecond)}, at, at) for at in moments]))[0]
        )
        first = Query(order=order_of(name, descending=False), by_cursor=True, count=1)

        assert await walked(directory, first) == [one, two, three]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", [None, "userName", "title", "active"])
async def test_nobody_is_shown_twice_or_skipped(tenant: Tenant, name: str | None, descending: bool) -> None:
    """While people come and go between the pages, whoever stays is shown once."""
    async with scratch(tenant) as directory:
        titles = ["b", "a", None, "c", "a", None, "d", "b", "a", None]
        made = [
            Made({"userName": f"u{n}", "active": n % 3 > 0} | ({} if title is None else {"title": title}))
            for n, title in enumerate(titles)
        ]
        users = [str(user) for user in (await directory.make(made))[0]]
        stay = set(users)
        rounds = iter(range(3))

        async def come_and_go(seen: list[str]) -> None:
            if (changes := next(rounds, None)) is None:
                return
            shown = [user for user in seen if user in stay]
            unseen = [user for user in users if user in stay and user not in seen]
            for gone in (*shown[:1], *unseen[len(unseen) // 2 :][:1]):
                stay.discard(gone)
                await directory.db.execute(text("DELETE FROM users WHERE id = :id"), {"id": gone})
            for title in ("a", "e", ""):
                await directory.make([Made({"userName": f"{title}new{changes}", "title": title})])

        query = Query(order=order_of(name, descending=descending), by_cursor=True, count=2)
        seen = await walked(directory, query, between=come_and_go)

    assert len(seen) == len(set(seen))
    assert len(stay) == 4
    assert stay <= set(seen)


async def test_a_last_page_says_so(tenant: Tenant) -> None:
    """A page that ends with the last resource has no next one, also when it is full; nor has an empty one."""
    async with scratch(tenant) as directory:
        await directory.make([Made({"userName": name}) for name in ("p", "q", "r")])
        everybody = Query(tree=read_filter('userName sw ""'), by_cursor=True, count=2)
        first = await directory.ask(everybody)
        assert (len(first.rows), first.total) == (2, 4)
        assert first.next is not None

        last = await directory.ask(Query(tree=everybody.tree, by_cursor=True, count=2, after=first.next))
        nobody = await directory.ask(Query(tree=read_filter('userName eq "x"'), by_cursor=True))
        counted = await directory.ask(Query(by_cursor=True, count=0))

    assert (len(last.rows), last.total, last.next) == (2, 4, None)
    assert (len(nobody.rows), nobody.total, nobody.next) == (0, 0, None)
    assert (len(counted.rows), counted.total, counted.next) == (0, 4, None)


async def test_long_values_fit_into_cursors(tenant: Tenant) -> None:
    """However long the values are that people are sorted by, a cursor holds them."""
    long = "\N{GRINNING FACE}" * 1000
    async with scratch(tenant) as directory:
        await directory.make([Made({"userName": name, "title": long, "displayName": long[:512]}) for name in "pq"])
        by_title = await directory.ask(Query(order=order_of("title", descending=False), by_cursor=True, count=1))
        by_name = await directory.ask(Query(order=order_of("displayName", descending=False), by_cursor=True, count=1))

    assert by_title.next is not None
    assert by_title.next[0] == long[:LONGEST_SORT_KEY]
    assert by_name.next is not None
    assert len(str(by_name.next[0]).encode()) * 4 // 3 < LONGEST_CURSOR / 2


async def test_a_filter_that_is_the_same_for_everybody(tenant: Tenant) -> None:
    """Where a filter asks for what a kind of resource can't have, all or none of them are found."""
    async with scratch(tenant) as directory:
        assert (await directory.ask(Query(tree=False))).total == 0
        assert (await directory.ask(Query(tree=True))).total == 1


async def test_a_list_request_becomes_a_query(tenant: Tenant) -> None:
    """A list request becomes the query that it is, no page larger than announced."""
    wanted = read_parameters({"count": "1000", "sortBy": "userName", "sortOrder": "descending", "cursor": ""}, USERS)

    query = lookups.query_of(wanted, after=("x", "y"), members=False)

    assert query == Query(
        count=lookups.MOST_RESULTS,
        order=Order(AttrPath("userName"), descending=True),
        by_cursor=True,
        after=("x", "y"),
        members=False,
    )
    assert lookups.query_of(read_parameters({"sortOrder": "descending"}, GROUPS)) == Query(kind=GROUPS)
