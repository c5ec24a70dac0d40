"""OPTIONS and HEAD, and addresses at which there is nothing, on every surface."""

import httpx
import pytest

from api.expect import turned_down
from factories import Tenant


@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/v1/tenants", "GET, HEAD, OPTIONS, POST"),
        ("/v1/tenants/x", "GET, HEAD, OPTIONS, PATCH"),
        ("/v1/tenants/x/role-rule", "GET, HEAD, OPTIONS, PUT"),
        ("/v1/tenants/x/people/y/role-override", "DELETE, OPTIONS"),
        ("/v1/sessions", "OPTIONS, POST"),
        ("/scim/v2/Users", "GET, HEAD, OPTIONS, POST"),
        ("/scim/v2/Users/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/oauth/introspect", "OPTIONS, POST"),
        ("/health/live", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options(http: httpx.AsyncClient, address: str, methods: str) -> None:
    """OPTIONS says which methods an address takes, all of them, and a 405 says the same."""
    answer = await http.options(address)
    wrong = await http.request("TRACE", address)

    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", methods)
    assert answer.headers["x-request-id"]
    assert (wrong.status_code, wrong.headers["allow"]) == (405, methods)


async def test_head(acme: Tenant) -> None:
    """HEAD is answered as GET is, status and headers, without the body."""
    operator, provider = acme.callers.operator, acme.scim
    for client, address in (
        (operator, acme.v1),
        (operator, f"{acme.v1}/people/none"),
        (operator, "/health/live"),
        (provider, "/Users"),
        (provider, f"/Users/{acme.admin['scim_id']}"),
        (provider, "/Users/none"),
    ):
        asked, got = await client.head(address), await client.get(address)
        assert (asked.status_code, asked.content) == (got.status_code, b"")
        assert got.content
        for name in ("content-type", "content-length", "etag"):
            assert asked.headers.get(name) == got.headers.get(name)


async def test_head_where_there_is_no_get(operator: httpx.AsyncClient) -> None:
    """HEAD of what can't be read is 405, with the methods that there are."""
    answer = await operator.head("/v1/sessions")

    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "OPTIONS, POST")


async def test_head_wants_a_key(http: httpx.AsyncClient, acme: Tenant) -> None:
    """HEAD is for whoever may GET."""
    for address in (acme.v1, "/scim/v2/Users", f"/scim/v2/Users/{acme.admin['scim_id']}"):
        assert (await http.head(address)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("address", ["/v1/nope", "/v1", "/v1/", "/v1/tenants/x/nope", "/nope"])
async def test_nothing_here(http: httpx.AsyncClient, address: str, method: str) -> None:
    """An address at which there is nothing is 404 in our own words."""
    answer = await http.request(method, address)

    assert answer.status_code == 404
    if method != "HEAD":
        turned_down(answer, 404, "not_found", "/v1/docs")
