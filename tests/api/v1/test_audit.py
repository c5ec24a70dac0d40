"""/v1/tenants/{tenant}/audit: what happened, newest first, and only of this tenant."""

from typing import Any

import httpx
import pytest

from api.expect import turned_down
from factories import Tenant


async def test_pages(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Cursors lead through all entries, newest first, each once."""
    for number in range(5):
        await acme.person(f"p{number}")
    whole = await acme.audit()

    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        parameters = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await operator.get(f"{acme.v1}/audit", params=parameters)).json()
        found += page["data"]
        cursor = page["next_cursor"]

    assert found == whole
    assert [entry["at"] for entry in whole] == sorted((entry["at"] for entry in whole), reverse=True)


async def test_questions(acme: Tenant) -> None:
    """Entries are found by action and its beginning, outcome, person, actor, request and time."""
    person = await acme.person("maria")
    await acme.scim.post("/Users", json={"userName": "maria"}, headers={"X-Request-Id": "double"})
    created = {"action": "scim.users.create", "status": 201}

    async def found(**question: Any) -> list[dict[str, Any]]:
        return [{name: entry[name] for name in created} for entry in await acme.audit(**question)]

    assert await found(person=person["id"]) == [created]
    assert await found(outcome="refused") == [created | {"status": 409}]
    assert await found(request_id="double") == [created | {"status": 409}]
    assert len(await found(action="scim")) == len(await found(action="scim.users")) == 2
    assert await found(action="sci") == await found(action="scim_users") == await found(action="%") == []
    assert len(await found(actor=acme.token["id"])) == 2
    middle = (await acme.audit(outcome="refused"))[0]["at"]
    assert (await found(since=middle))[0] == created | {"status": 409}
    assert created in await found(until=middle)
    assert await found(since=middle, until=middle) == []


async def test_only_this_tenants(acme: Tenant, other: Tenant) -> None:
    """No entry of another tenant is shown, whatever is asked for."""
    person = await other.person("maria")

    assert await acme.audit(person=person["id"]) == []
    assert await acme.audit(actor=other.token["id"]) == []
    assert await acme.audit(action="scim.users") == []


@pytest.mark.parametrize(
    ("parameters", "saying"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"outcome": "perhaps"}, "outcome"),
        ({"person": "maria"}, "person"),
        ({"since": "yesterday"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "MjAyNi0wMS0wMVQwMDowMDowMHw"}, "cursor"),
    ],
)
async def test_what_is_no_question(
    operator: httpx.AsyncClient, acme: Tenant, parameters: dict[str, Any], saying: str
) -> None:
    """A question that can't be asked is refused by its name."""
    turned_down(await operator.get(f"{acme.v1}/audit", params=parameters), 400, "invalid", saying)


async def test_moments_without_a_zone(acme: Tenant) -> None:
    """A moment says its time zone; without one it is refused, as in a body."""
    at = (await acme.audit())[0]["at"]

    assert at.endswith("Z")
    assert [entry["at"] for entry in await acme.audit(since=at)] == [at]
    answer = await acme.callers.operator.get(f"{acme.v1}/audit", params={"since": at.removesuffix("Z")})
    turned_down(answer, 400, "invalid", "time zone", param="since")
