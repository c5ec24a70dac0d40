"""/v1/tenants/{tenant}/people: who is in, in which role, by hand."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from api.expect import done, names, refused, turned_down
from factories import Callers, Tenant, a_tenant, deactivation


async def test_new_person(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A person taken in by hand is one that the provider finds, and matches instead of making a double."""
    body = {
        "user_name": "Maria@acme.test",
        "given_name": "Maria",
        "family_name": "Sol",
        "external_id": "7",
        "role": "guest",
    }

    made = await operator.post(f"{acme.v1}/people", json={**body, "role": "guest"})

    assert made.status_code == 201
    person = made.json()
    assert (person["role"], person["role_origin"], person["is_admin"]) == ("guest", "hand", False)
    assert (person["display_name"], person["external_id"], person["active"]) == ("Maria Sol", "7", True)
    for text in ('userName eq "maria@acme.test"', 'emails eq "maria@acme.test"', 'externalId eq "7"'):
        assert names(await acme.scim.get("/Users", params={"filter": text})) == ["Maria@acme.test"]
    refused(await acme.scim.post("/Users", json={"userName": "MARIA@acme.test"}), 409, "uniqueness")
    stored = done(await acme.scim.get(f"/Users/{person['scim_id']}"))
    assert stored["name"] == {"givenName": "Maria", "familyName": "Sol"}


@pytest.mark.parametrize(
    ("change", "status", "code", "saying"),
    [
        ({"user_name": ""}, 400, "invalid", "user_name"),
        ({"user_name": "  "}, 400, "invalid", "userName"),
        ({"user_name": "a\x00"}, 400, "invalid", "user_name"),
        ({"user_name": "a" * 321}, 400, "invalid", "user_name"),
        ({"display_name": "a\x00"}, 400, "invalid", "display_name"),
        ({"given_name": 7}, 400, "invalid", "given_name"),
        ({"role": "emperor"}, 400, "unknown_role", "emperor"),
        ({"colour": "red"}, 400, "invalid", "colour"),
    ],
)
async def test_what_is_no_person(
    operator: httpx.AsyncClient, acme: Tenant, change: dict[str, Any], status: int, code: str, saying: str
) -> None:
    """A person who can't be is refused, and the detail names the field."""
    turned_down(await operator.post(f"{acme.v1}/people", json={"user_name": "maria"} | change), status, code, saying)

    assert (await operator.get(f"{acme.v1}/people")).json()["total"] == 1


async def test_twenty_take_in_one(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Of twenty who take in the same person at the same moment, by hand and by SCIM, one succeeds."""
    by_hand = (operator.post(f"{acme.v1}/people", json={"user_name": "Maria"}) for _ in range(10))
    by_scim = (acme.scim.post("/Users", json={"userName": "maria"}) for _ in range(10))

    answers = await asyncio.gather(*(each for pair in zip(by_hand, by_scim, strict=True) for each in pair))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    turned_down(await operator.post(f"{acme.v1}/people", json={"user_name": "MARIA"}), 409, "taken", "MARIA")


async def test_pages(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """People come in the order they came, a page at a time, those who were removed too."""
    for number in range(4):
        await acme.person(f"p{number}")
    removed = await acme.person("removed")
    await acme.scim.delete(f"/Users/{removed['id']}")

    first = (await operator.get(f"{acme.v1}/people", params={"limit": 4})).json()
    page = (await operator.get(f"{acme.v1}/people", params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert len(first["data"]) == 4
    assert page["next_cursor"] is None
    assert page["total"] == 6
    assert [(person["user_name"], person["scim_id"] is None) for person in page["data"]] == [
        ("p3", False),
        ("removed", True),
    ]


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 501}, {"limit": "many"}, {"cursor": "made up"}])
async def test_bounds(operator: httpx.AsyncClient, acme: Tenant, parameters: dict[str, Any]) -> None:
    """A limit out of bounds, and a cursor that is none, are refused by their name."""
    answer = await operator.get(f"{acme.v1}/people", params=parameters)

    turned_down(answer, 400, "invalid", next(iter(parameters)))


async def test_by_user_name(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A userName finds its person in any case, or nobody."""
    await acme.person("Maria")

    found = (await operator.get(f"{acme.v1}/people", params={"user_name": "MARIA"})).json()
    nobody = (await operator.get(f"{acme.v1}/people", params={"user_name": "pedro"})).json()

    assert [person["user_name"] for person in found["data"]] == ["Maria"]
    assert nobody == {"total": 0, "data": [], "next_cursor": None}


async def test_both_ids(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Somebody who came back is found by the product's id and by SCIM's."""
    first = await acme.person("maria", externalId="1")
    await acme.scim.delete(f"/Users/{first['id']}")
    second = await acme.person("maria", externalId="1")

    by_account = (await operator.get(f"{acme.v1}/people/{first['id']}")).json()
    by_resource = (await operator.get(f"{acme.v1}/people/{second['id']}")).json()

    assert by_account == by_resource
    assert (by_account["id"], by_account["scim_id"]) == (first["id"], second["id"])


@pytest.mark.parametrize("person", ["x", "00000000-0000-0000-0000-000000000000"])
async def test_nobody(operator: httpx.AsyncClient, acme: Tenant, person: str) -> None:
    """Somebody who is not there is 404."""
    turned_down(await operator.get(f"{acme.v1}/people/{person}"), 404, "not_found")


async def test_appoint_and_demote(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Ops appoint an admin and take it back; doing either twice is doing it once."""
    person = await acme.person("maria")

    for _ in range(2):
        appointed = (await operator.post(f"{acme.v1}/people/{person['id']}/appoint")).json()
        assert (appointed["role"], appointed["is_admin"]) == ("admin", True)
    for _ in range(2):
        demoted = (await operator.post(f"{acme.v1}/people/{person['id']}/demote")).json()
        assert (demoted["role"], demoted["is_admin"]) == ("member", False)

    assert len(await acme.audit(action="user.role_changed")) == 2


async def test_appointing_keeps_an_admins_role(callers: Callers, operator: httpx.AsyncClient) -> None:
    """Who has an admin role already keeps it when appointed."""
    rule = {
        "prefix": "x-",
        "roles": {
            "owner": {"label": "Owner", "admin": True, "names": ["owners"]},
            "boss": {"label": "Boss", "admin": True, "names": ["bosses"]},
            "user": {"label": "User"},
        },
        "default": "user",
    }
    tenant = await a_tenant(callers, rule=rule)
    person = await tenant.person("maria", roles=["x-bosses"])

    appointed = await operator.post(f"{tenant.v1}/people/{person['id']}/appoint")

    assert (appointed.json()["role"], appointed.json()["role_origin"]) == ("boss", "provider")


async def test_unknown_role(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A role that the tenant has not is refused, and the roles it has are named."""
    person = await acme.person("maria")

    answer = await operator.post(f"{acme.v1}/people/{person['id']}/role", json={"role": "emperor"})

    turned_down(answer, 400, "unknown_role", "technical-admin")


async def test_deactivate(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A deactivation by hand closes every way in at once, says why, and shows in SCIM; twice is once."""
    person = await acme.person("maria")
    session = await acme.session(person)
    address = f"{acme.v1}/people/{person['id']}"

    for reason in ("left the company", "another reason"):
        gone = (await operator.post(f"{address}/deactivate", json={"reason": reason})).json()
        assert (gone["active"], gone["deactivated_because"]) == (False, "left the company")

    assert not await acme.callers.is_live(session)
    assert (await operator.get(f"{address}/sessions")).json()["data"] == []
    stored = done(await acme.scim.get(f"/Users/{person['id']}"))
    assert (stored["active"], stored["meta"]["version"]) == (False, 'W/"2"')
    (entry,) = await acme.audit(action="user.deactivated")
    assert entry["payload"] == {
        "reason": "left the company",
        "closed": {"sessions": 1, "tokens": 0, "passkeys": 0, "external": 0, "passwords": 0},
    }


@pytest.mark.parametrize("body", [None, {}, {"reason": "x"}])
async def test_reason_is_optional(operator: httpx.AsyncClient, acme: Tenant, body: Any) -> None:
    """A deactivation needs no body."""
    person = await acme.person("maria")

    answer = await operator.post(f"{acme.v1}/people/{person['id']}/deactivate", json=body)

    assert answer.json()["active"] is False


@pytest.mark.parametrize("reason", ["", "x" * 501, 7, "a\x00b"])
async def test_what_is_no_reason(operator: httpx.AsyncClient, acme: Tenant, reason: Any) -> None:
    """A reason that can't be kept is refused, and nobody is deactivated."""
    address = f"{acme.v1}/people/{acme.admin['id']}"

    turned_down(await operator.post(f"{address}/deactivate", json={"reason": reason}), 400, "invalid", "reason")

    assert (await operator.get(address)).json()["active"] is True


async def test_reactivate(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A reactivation by hand lets somebody in again, without what they had open; twice is once."""
    person = await acme.person("maria")
    session = await acme.session(person)
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())

    for _ in range(2):
        back = (await operator.post(f"{acme.v1}/people/{person['id']}/reactivate")).json()
        assert (back["active"], back["deactivated_at"], back["deactivated_because"]) == (True, None, None)

    assert done(await acme.scim.get(f"/Users/{person['id']}"))["active"] is True
    assert not await acme.callers.is_live(session)
    assert len(await acme.audit(action="user.reactivated")) == 1


async def test_somebody_removed(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Whom the provider removed can't be let in by hand, and deactivating them changes nothing."""
    person = await acme.person("maria")
    await acme.scim.delete(f"/Users/{person['id']}")
    address = f"{acme.v1}/people/{person['id']}"

    turned_down(await operator.post(f"{address}/reactivate"), 409, "conflict", "removed")

    gone = (await operator.post(f"{address}/deactivate", json={"reason": "again"})).json()
    assert gone["deactivated_because"] == "deleted by the identity provider"
    assert (await operator.get(f"{address}/explain")).json()["names"] == []
    assert (await operator.get(f"{address}/receipts")).status_code == 200


async def test_both_deactivate_at_once(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """The provider and ops who deactivate the same person at the same moment both succeed, and it happens once."""
    for number in range(10):
        person = await acme.person(f"p{number}")
        answers = await asyncio.gather(
            operator.post(f"{acme.v1}/people/{person['id']}/deactivate"),
            acme.scim.patch(f"/Users/{person['id']}", json=deactivation()),
            operator.post(f"{acme.v1}/people/{person['id']}/deactivate"),
        )
        assert [answer.status_code for answer in answers] == [200] * 3
        events = [event for entry in await acme.audit(person=person["id"]) for event in entry["events"]]
        assert events.count("user.deactivated") == 1


async def test_sessions_of_a_person(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A person's open sessions are listed without what opens them."""
    person = await acme.person("maria")
    body = {"tenant": acme.slug, "user_name": "MARIA", "label": "Firefox on Linux"}
    opened = (await acme.callers.product.post("/v1/sessions", json=body)).json()

    (session,) = (await operator.get(f"{acme.v1}/people/{person['id']}/sessions")).json()["data"]

    assert (session["id"], session["label"]) == (opened["id"], "Firefox on Linux")
    assert opened["token"] not in str(session)
