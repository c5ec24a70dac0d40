"""/v1/sessions: the product opens and closes its people's sessions."""

from typing import Any

import httpx
import pytest

from api.expect import turned_down
from factories import Tenant, deactivation

NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_open(acme: Tenant, product: httpx.AsyncClient) -> None:
    """A session is opened for a person named by either id, by userName or by externalId; its token is good at once."""
    person = await acme.person("Maria", externalId="00u1Q")

    for body in (
        {"person": person["id"]},
        {"user_name": "MARIA"},
        {"user_name": "maria", "lifetime_seconds": 60},
        {"external_id": "00u1Q"},
        {"external_id": "00u1Q", "person": None, "user_name": None},
    ):
        answer = await product.post("/v1/sessions", json={"tenant": acme.slug, **body})
        assert answer.status_code == 201, answer.text
        assert (answer.json()["person_id"], answer.json()["tenant_id"]) == (person["id"], acme.id)
        assert await acme.callers.is_live(answer.json()["token"])


@pytest.mark.parametrize(
    ("body", "status", "code", "saying"),
    [
        ({}, 400, "invalid", "exactly one of person"),
        (
            {"user_name": "maria", "person": "00000000-0000-0000-0000-000000000000"},
            400,
            "invalid",
            "exactly one of person",
        ),
        ({"person": "maria"}, 400, "invalid", "person"),
        ({"user_name": "a\x00b"}, 400, "invalid", "user_name"),
        ({"user_name": "pedro"}, 404, "not_found", "person"),
        ({"user_name": ""}, 404, "not_found", "person"),
        ({"external_id": "00U1q"}, 404, "not_found", "person"),
        ({"external_id": ""}, 404, "not_found", "person"),
        ({"external_id": "00u1Q", "user_name": "maria"}, 400, "invalid", "exactly one of person"),
        ({"external_id": 7}, 400, "invalid", "external_id"),
        ({"user_name": "maria", "tenant": "no-such-tenant"}, 404, "not_found", "tenant"),
        ({"user_name": "maria", "tenant": "a\x00"}, 400, "invalid", "tenant"),
        ({"user_name": "maria", "lifetime_seconds": 0}, 400, "invalid", "lifetime_seconds"),
        ({"user_name": "maria", "lifetime_seconds": 7_776_001}, 400, "invalid", "lifetime_seconds"),
        ({"user_name": "maria", "label": "x" * 201}, 400, "invalid", "label"),
        ({"user_name": "maria", "colour": "red"}, 400, "invalid", "colour"),
    ],
)
async def test_what_opens_none(
    acme: Tenant, product: httpx.AsyncClient, body: dict[str, Any], status: int, code: str, saying: str
) -> None:
    """A session that can't be is refused, and the detail names the field."""
    await acme.person("maria", externalId="00u1Q")

    turned_down(await product.post("/v1/sessions", json={"tenant": acme.slug} | body), status, code, saying)


async def test_an_external_id_of_two(acme: Tenant, other: Tenant, product: httpx.AsyncClient) -> None:
    """An externalId that two people have names neither of them, and another tenant's people are not looked at."""
    maria = await acme.person("maria", externalId="same")
    await other.person("noor", externalId="same")
    wanted = {"tenant": acme.slug, "external_id": "same"}
    assert (await product.post("/v1/sessions", json=wanted)).json()["person_id"] == maria["id"]
    await acme.person("twin", externalId="same")
    turned_down(await product.post("/v1/sessions", json=wanted), 409, "ambiguous", "by id or userName")


async def test_who_may_not_come_in(acme: Tenant, other: Tenant, product: httpx.AsyncClient) -> None:
    """Nobody inactive, removed or of another tenant gets a session."""
    gone = await acme.person("gone")
    await acme.scim.patch(f"/Users/{gone['id']}", json=deactivation())
    removed = await acme.person("removed")
    await acme.scim.delete(f"/Users/{removed['id']}")

    for person, status, code in (
        (gone["id"], 409, "person_inactive"),
        (removed["id"], 409, "person_inactive"),
        (other.admin["id"], 404, "not_found"),
    ):
        answer = await product.post("/v1/sessions", json={"tenant": acme.slug, "person": person})
        turned_down(answer, status, code)
    assert [entry["status"] for entry in await acme.audit(action="v1.open_session")] == [404, 409, 409]


async def test_close(acme: Tenant, product: httpx.AsyncClient) -> None:
    """A closed session is dead at once; closing it twice is closing it once."""
    person = await acme.person("maria")
    body = {"tenant": acme.slug, "person": person["id"]}
    session, kept = [(await product.post("/v1/sessions", json=body)).json() for _ in range(2)]

    for _ in range(2):
        assert (await product.delete(f"{acme.v1}/sessions/{session['id']}")).status_code == 204

    assert not await acme.callers.is_live(session["token"])
    assert await acme.callers.is_live(kept["token"])
    assert len(await acme.audit(action="session.closed")) == 1


@pytest.mark.parametrize("session", ["x", NOBODY])
async def test_no_such_session(acme: Tenant, product: httpx.AsyncClient, session: str) -> None:
    """A session that is not there is 404."""
    turned_down(await product.delete(f"{acme.v1}/sessions/{session}"), 404, "not_found", "session")
