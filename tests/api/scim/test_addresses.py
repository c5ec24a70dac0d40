"""Addresses and methods: what there is, and how it is said that there is nothing."""

import httpx
import pytest

from api.expect import done, names, refused
from factories import Tenant


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("PUT", "/Users", {"GET", "POST"}),
        ("DELETE", "/Users", {"GET", "POST"}),
        ("PATCH", "/Users/", {"GET", "POST"}),
        ("POST", "/Users/x", {"GET", "PUT", "PATCH", "DELETE"}),
        ("DELETE", "/Users/.search", {"POST"}),
        ("GET", "/.search", {"POST"}),
        ("POST", "/Me", {"GET", "PUT", "PATCH", "DELETE"}),
        ("GET", "/Bulk", {"POST"}),
        ("POST", "/ServiceProviderConfig", {"GET"}),
        ("DELETE", "/Schemas", {"GET"}),
        ("PUT", "/ResourceTypes/User", {"GET"}),
        ("TRACE", "/Users", {"GET", "POST"}),
        ("BREW", "/Users", {"GET", "POST"}),
    ],
)
async def test_methods(acme: Tenant, method: str, address: str, allowed: set[str]) -> None:
    """A method that an address does not take is 405, and Allow lists those it takes."""
    answer = await acme.scim.request(method, address)

    refused(answer, 405)
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS", "HEAD"} == allowed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("address", ["", "/", "/Nothing", "/Users/x/y", "/USERS", "/Groups2", "/Users//", "/Me/x"])
async def test_no_such_address(acme: Tenant, http: httpx.AsyncClient, method: str, address: str) -> None:
    """Where there is nothing, SCIM's own 404 is answered, to strangers too."""
    for caller in (acme.scim, http):
        answer = await caller.request(method, f"{acme.callers.base_url}/scim/v2{address}")
        if address == "/Users//":
            assert answer.status_code < 500
        else:
            refused(answer, 404)


BASE = "The SCIM base URL is http://rollcall.test/scim/v2; "
PLACES = "/Users, /Groups, /Me, /Bulk, /.search, /ServiceProviderConfig, /ResourceTypes and /Schemas"
FIELD = (
    "put it as it is, with nothing after it, into the provider's field for the address (Tenant URL, Base URL, SCIM "
    "connector base URL): this request went to "
)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/scim/v2", f"nothing is answered at it, only below it: at {PLACES}. Put it into the provider as it is"),
        ("/scim/v2/", f"nothing is answered at it, only below it: at {PLACES}. Put it into the provider as it is"),
        ("/scim", f"{FIELD}'/scim'"),
        ("/scim/", f"{FIELD}'/scim/'"),
        ("/scim/Users", f"{FIELD}'/scim/Users'"),
        ("/scim/Users/", f"{FIELD}'/scim/Users/'"),
        ("/scim/v1/Users", f"{FIELD}'/scim/v1/Users'"),
        ("/scim/v22/Users", f"{FIELD}'/scim/v22/Users'"),
        ("/SCIM/v2/Users", f"{FIELD}'/SCIM/v2/Users'"),
        ("/Users", f"{FIELD}'/Users'"),
        ("/api/v2/ServiceProviderConfig", f"{FIELD}'/api/v2/ServiceProviderConfig'"),
        (
            "/scim/v2/scim/v2/Users",
            (
                "this request went to '/scim/v2/scim/v2/Users', which has /scim/v2 twice: the provider adds it by "
                "itself, so leave it out of the address there"
            ),
        ),
        ("/scim/v2/Person", f"there is no '/scim/v2/Person', only {PLACES} below it, and what these hold"),
    ],
)
async def test_base_url(http: httpx.AsyncClient, method: str, address: str, said: str) -> None:
    """Whoever misses SCIM's addresses, with a token or without, hears what the base URL is and what is wrong."""
    answer = await http.request(method, address)

    refused(answer, 404, saying=BASE + said + " (request ")


@pytest.mark.parametrize("address", ["/v1/users", "/nothing"])
async def test_other_surfaces(http: httpx.AsyncClient, address: str) -> None:
    """What is meant for another surface is answered by that one."""
    assert (await http.get(address)).json()["code"] == "not_found"


async def test_trailing_slash(acme: Tenant) -> None:
    """A slash at the end of an address changes nothing."""
    person = done(await acme.scim.post("/Users/", json={"userName": "maria"}), 201)

    assert done(await acme.scim.get(f"/Users/{person['id']}/")) == person
    assert "maria" in names(await acme.scim.get("/Users/"))
    assert done(await acme.scim.get("/Schemas/"))["totalResults"] > 0


async def test_lower_case(acme: Tenant) -> None:
    """Entra's own checks ask for /users: that is /Users, and what is answered names the address as it is."""
    person = done(await acme.scim.post("/users", json={"userName": "maria"}), 201)
    group = done(await acme.scim.post("/groups", json={"displayName": "Tours"}), 201)

    assert person["meta"]["location"].endswith(f"/Users/{person['id']}")
    assert done(await acme.scim.get(f"/users/{person['id']}")) == person
    assert names(await acme.scim.get("/users")) == names(await acme.scim.get("/Users"))
    assert done(await acme.scim.get("/groups"))["Resources"] == [group]
    assert (await acme.scim.delete(f"/groups/{group['id']}")).status_code == 204
    assert {"GET", "POST"} < set((await acme.scim.put("/users")).headers["allow"].split(", "))


@pytest.mark.parametrize("address", ["/Users", "/Users/x", "/Schemas", "/Nothing"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options(acme: Tenant, http: httpx.AsyncClient, method: str, address: str) -> None:
    """HEAD and OPTIONS do no harm, and tell a stranger nothing."""
    for caller in (acme.scim, http):
        answer = await caller.request(method, f"{acme.callers.base_url}/scim/v2{address}")
        assert answer.status_code < 500
        assert acme.slug not in answer.text


async def test_request_id(acme: Tenant) -> None:
    """A plain X-Request-Id is given back and stands in the audit; any other is replaced."""
    kept = await acme.scim.get("/Users", headers={"X-Request-Id": "entra-4711"})
    replaced = await acme.scim.get("/Users", headers={"X-Request-Id": "a b\tc" * 50})

    assert kept.headers["x-request-id"] == "entra-4711"
    assert " " not in replaced.headers["x-request-id"]
    entries = await acme.audit(action="scim.users.list")
    assert [entry["request_id"] for entry in entries] == [replaced.headers["x-request-id"], "entra-4711"]


@pytest.mark.parametrize("address", ["/Users/%00", "/Users/%FF%FE", "/Users/%ED%A0%80", "/Users/%0A"])
async def test_strange_bytes(acme: Tenant, address: str) -> None:
    """Bytes that no id has are nobody's, and the audit survives them."""
    refused(await acme.scim.get(address), 404)

    entry = (await acme.audit(action="scim.users.read"))[0]
    assert entry["status"] == 404
    assert entry["path"].startswith("/scim/v2/Users/")
