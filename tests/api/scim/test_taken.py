"""A userName that is taken: whoever is refused hears by whom, and what to do."""

import httpx
import pytest

from api.expect import refused
from factories import USER, Tenant, patch_op
from rollcall.crypto import read_token


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("way", ["POST", "POST at once", "PUT", "PATCH", "Bulk"])
async def test_whose_user_name_it_is(acme: Tenant, *, active: bool, way: str) -> None:
    """Who is refused a taken userName hears whose it is, and of somebody inactive how to bring them back."""
    holder = await acme.person("maria@acme.test", active=active)
    body = {"schemas": [USER], "userName": "MARIA@acme.test"}
    answer: httpx.Response | None = None
    match way:
        case "Bulk":
            operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": body}
            whole = await acme.scim.post("/Bulk", json={"Operations": [operation]})
            refusal = whole.json()["Operations"][0]["response"]
            assert refusal["detail"].endswith(f" (request {whole.headers['x-request-id']})")
        case "PUT" | "PATCH":
            other = await acme.person("pedro")
            change = {"op": "replace", "path": "userName", "value": body["userName"]}
            address = f"/Users/{other['id']}"
            answer = await acme.scim.request(way, address, json=body if way == "PUT" else patch_op(change))
            refusal = answer.json()
        case _:
            if way == "POST":
                acme.callers.app.state.context.recent_callers.forget(read_token(acme.token["token"]))
            answer = await acme.scim.post("/Users", json=body)
            refusal = answer.json()

    if answer is not None:
        refused(answer, 409, "uniqueness")
    said = (
        f"userName: 'MARIA@acme.test' exists already, with the id {holder['id']}: change that user, or give this one "
        "another userName"
        if active
        else f"userName: 'MARIA@acme.test' exists and is inactive: PATCH active=true on the id {holder['id']}, "
        "instead of creating it anew"
    )
    assert refusal["detail"].startswith(said + " (request ")


async def test_whose_user_name_it_is_elsewhere(acme: Tenant, other: Tenant) -> None:
    """A userName of another tenant is no obstacle, and one of somebody removed is free."""
    await other.person("maria@acme.test", active=False)
    mine = await acme.person("maria@acme.test")
    assert (await acme.scim.delete(f"/Users/{mine['id']}")).status_code == 204

    assert (await acme.person("maria@acme.test"))["id"] != mine["id"]
