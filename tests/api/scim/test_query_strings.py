"""Filters in query strings, as providers escape them, over HTTP."""

import httpx
import pytest

from factories import Tenant

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def asked(tenant: Tenant, address: str) -> list[str]:
    """The names of what is found at an address, sent as it is written here."""
    answer = await tenant.scim.get(httpx.URL(f"http://rollcall.test/scim/v2{address}"))
    assert answer.status_code == 200, answer.text
    return [each.get("userName", each.get("displayName")) for each in answer.json()["Resources"]]


@pytest.mark.parametrize(
    "query",
    [
        "filter=userName%20eq%20%22a+b@x.test%22",
        "filter=userName%20eq%20%22A+B@x.test%22&startIndex=1&count=5",
        "filter=userName%20eq%20%22a%2Bb@x.test%22",
        "filter=userName+eq+%22a%2Bb@x.test%22",
        "count=5&filter=emails[value%20eq%20%22a+b@x.test%22]%20and%20active%20eq%20true",
    ],
)
@pytest.mark.parametrize("place", ["/Users", ""])
async def test_a_plus(acme: Tenant, query: str, place: str) -> None:
    """An address with a + is found however the filter was escaped, and not somebody with a blank there."""
    for name in ("a+b@x.test", "a b@x.test"):
        await acme.person(name, emails=[{"value": name, "type": "work"}])
    assert await asked(acme, f"{place}?{query}") == ["a+b@x.test"]


@pytest.mark.parametrize(
    "query",
    ["filter=displayName%20eq%20%22R&D%22", "filter=displayName+sw+%22r&d%22&count=2", 'filter=displayName eq "R&D"'],
)
async def test_an_ampersand(acme: Tenant, query: str) -> None:
    """An & in a quoted value is part of it."""
    for name in ("R&D", "R"):
        made = await acme.scim.post("/Groups", json={"schemas": [GROUP], "displayName": name})
        assert made.status_code == 201
    assert await asked(acme, f"/Groups?{query}") == ["R&D"]


async def test_a_form(acme: Tenant) -> None:
    """A filter that is escaped as forms are is read as they are."""
    await acme.person("x@x.test", displayName="Ada Lovelace")
    assert await asked(acme, "/Users?filter=displayName+eq+%22Ada+Lovelace%22") == ["x@x.test"]
