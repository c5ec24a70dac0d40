"""Filters made of the whole grammar: the people and groups they find are those that the tree means in memory."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# Hypothesis can't say what its strategies hand to a lambda.

from typing import Any

import httpx
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import ScimFilter

from api.expect import ERROR
from factories import Callers, Tenant, a_tenant
from fuzz.bounds import bounded
from rollcall.scim.resources import Group, User

BOUNDED = bounded(80)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"

WORDS = ["ana", "Ana", "ANA", "a", "an", "na", "", "a%", "%", "_", "a_a", "\\", '"', "é", "e\u0301", "É", "work", "ß"]
TIMES = ["2000-01-01T00:00:00Z", "2100-01-01T00:00:00+02:00"]
PEOPLE: list[dict[str, Any]] = [
    {"userName": "ana", "displayName": "Ana", "title": "é", "externalId": "A"},
    {"userName": "a%a", "displayName": "100%", "active": False, "externalId": "a"},
    {"userName": "a_a", "name": {"givenName": "Ana", "familyName": "a"}, "nickName": "\\"},
    {"userName": "axa", "name": {"givenName": "ANA"}, "title": "e\u0301", "userType": '"'},
    {
        "userName": "work",
        "emails": [{"value": "ana@x", "type": "work", "primary": True}, {"value": "b@x", "type": "home"}],
    },
    {"userName": "home", "emails": [{"value": "ana@x", "type": "home"}, {"value": "na@y", "type": "work"}]},
    {"userName": "É", ENTERPRISE: {"department": "Ana", "manager": {"value": "a"}}, "displayName": "ß"},
    {"userName": "ss", ENTERPRISE: {"department": "a"}, "roles": [{"value": "dart-guests", "primary": True}]},
]
TEXTS = [
    "userName",
    "USERNAME",
    "displayName",
    "title",
    "nickName",
    "userType",
    "externalId",
    "name.givenName",
    "NAME.familyname",
    "emails.value",
    "emails.type",
    "roles.value",
    f"{CORE}:userName",
    f"{ENTERPRISE}:department",
    f"{ENTERPRISE.lower()}:DEPARTMENT",
    f"{ENTERPRISE}:manager.value",
]
GROUPS = ["Ana", "ANA team", "100%", "a_b", "é"]


def quoted(text: str) -> str:
    """A string as a filter has it."""
    return ScimFilter.quote(text)


def comparisons(paths: list[str], *, ordered: bool = True) -> st.SearchStrategy[str]:
    """A text attribute compared with a word."""
    operators = ["eq", "ne", "co", "sw", "ew", "Eq", "CO"] + (["gt", "ge", "lt", "le"] if ordered else [])
    return st.builds(
        lambda path, operator, word: f"{path} {operator} {quoted(word)}",
        st.sampled_from(paths),
        st.sampled_from(operators),
        st.sampled_from(WORDS),
    )


def composed(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Leaves joined, negated and put in brackets, at any depth that is allowed."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda one, word, other: f"{one} {word} {other}", inner, st.sampled_from(["and", "or"]), inner)
            | inner.map(lambda text: f"not ({text})")
            | inner.map(lambda text: f"({text})")
        ),
        max_leaves=6,
    )


entries = composed(
    comparisons(["value", "type"], ordered=False)
    | st.sampled_from(["primary eq true", "primary pr", "value pr", "type pr", "display pr"])
)
leaves = (
    comparisons(TEXTS, ordered=False)
    | st.sampled_from([f"{path} pr" for path in [*TEXTS, "emails", "name", "roles", "id", "active", "addresses"]])
    | st.sampled_from(["active eq true", "active eq false", "active ne true", "not (active eq false)"])
    | st.builds(lambda inner: f"emails[{inner}]", entries)
    | st.builds(
        lambda operator, time: f'meta.created {operator} "{time}"',
        st.sampled_from(["gt", "ge", "lt", "le"]),
        st.sampled_from(TIMES),
    )
)


@pytest_asyncio.fixture(scope="module")
async def tenant(callers: Callers) -> Tenant:
    """A tenant with people and groups whose names are easily mistaken for one another."""
    tenant = await a_tenant(callers)
    for person in PEOPLE:
        await tenant.person(**{"user_name": person["userName"], **{k: v for k, v in person.items() if k != "userName"}})
    for name in GROUPS:
        assert (await tenant.scim.post("/Groups", json={"displayName": name, "externalId": name})).is_success
    return tenant


async def everything(tenant: Tenant, address: str) -> list[dict[str, Any]]:
    """Everything that is stored."""
    return (await tenant.scim.get(address)).json()["Resources"]


@pytest_asyncio.fixture(scope="module")
async def people(tenant: Tenant) -> dict[str, User]:
    """The tenant's people, as scim2-models reads them."""
    return {each["id"]: User.model_validate(each) for each in await everything(tenant, "/Users")}


@pytest_asyncio.fixture(scope="module")
async def groups(tenant: Tenant) -> dict[str, Group]:
    """The tenant's groups, as scim2-models reads them."""
    return {each["id"]: Group.model_validate(each) for each in await everything(tenant, "/Groups")}


async def check(tenant: Tenant, address: str, text: str, expected: set[str], everybody: set[str]) -> None:
    """Check that a filter finds what is expected of it, and its negation the rest."""
    asked = await tenant.scim.get(address, params={"filter": text})
    negated = await tenant.scim.get(address, params={"filter": f"not ({text})"})

    assert found(asked) == expected, text
    assert found(negated) == everybody - expected, text


def found(answer: httpx.Response) -> set[str]:
    """The ids on the page that a filter gave."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["totalResults"] == len(answer.json()["Resources"])
    return {each["id"] for each in answer.json()["Resources"]}


@BOUNDED
@given(text=composed(leaves))
async def test_people(tenant: Tenant, people: dict[str, User], text: str) -> None:
    """A filter on people finds those whom it means, and its negation all others."""
    meant = ScimFilter[User](text)
    expected = {key for key, person in people.items() if meant.match(person)}
    await check(tenant, "/Users", text, expected, set(people))


group_leaves = comparisons(["displayName", "DISPLAYNAME", "externalId"], ordered=False) | st.sampled_from(
    ["displayName pr", "externalId pr", "members pr", "members.value pr", 'id eq "nobody"', 'members.value eq "nobody"']
)


@bounded(40)
@given(text=composed(group_leaves))
async def test_groups(tenant: Tenant, groups: dict[str, Group], text: str) -> None:
    """A filter on groups finds those that it means, and its negation all others."""
    meant = ScimFilter[Group](text)
    expected = {key for key, group in groups.items() if meant.match(group)}
    await check(tenant, "/Groups", text, expected, set(groups))


@bounded(40)
@given(
    words=st.lists(
        st.sampled_from(
            ["eq", "pr", "and", "or", "not", "(", ")", "[", "]", ".", ":", '"a"', '"', "null", "1e400", "-0"]
        )
        | st.sampled_from(
            [*TEXTS, "members", "members.value", "meta.created", "active", "id", "groups.value", "password"]
        )
        | st.text(max_size=4),
        max_size=9,
    ),
    message=st.booleans(),
    sort=st.sampled_from([None, "userName", "displayName", "emails", "meta.lastModified", "nope", "x" * 5_000]),
)
async def test_anything(tenant: Tenant, words: list[str], message: bool, sort: str | None) -> None:
    """Whatever is asked, in an address or in a body, is answered with a page or refused for what it is."""
    asked = {"filter": " ".join(words), **({} if sort is None else {"sortBy": sort})}
    asked = {name: value.encode("utf-8", "replace").decode() for name, value in asked.items()}
    for kind in ("/Users", "/Groups", ""):
        if message or not kind:
            answer = await tenant.scim.post(f"{kind}/.search", json=asked)
        else:
            answer = await tenant.scim.get(kind, params=asked)
        assert answer.status_code in (200, 400), (asked, answer.text)
        if answer.status_code == 400:
            assert answer.json()["schemas"] == [ERROR]
            assert answer.json()["detail"], asked
