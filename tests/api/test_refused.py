"""What is logged of a refused call: one line on every surface, with the same fields and no secret."""

from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from factories import Callers, Tenant, in_process

Ask = Callable[[Tenant, httpx.AsyncClient], Any]


def lines(caplog: pytest.LogCaptureFixture, event: str = "refused") -> list[dict[str, Any]]:
    """The fields of the lines of ours that say so."""
    ours = [record.msg for record in caplog.records if record.name.startswith("rollcall")]
    return [line for line in cast("list[dict[str, Any]]", ours) if line["event"] == event]


ASKED: list[tuple[Ask, int, str | None, str, str | None]] = [
    (lambda acme, _: acme.scim.get("/Users/nobody?attributes=x"), 404, None, "/scim/v2/Users/nobody", "id"),
    (lambda acme, _: acme.scim.post("/Users", json={}), 400, "invalidValue", "/scim/v2/Users", "id"),
    (lambda acme, _: acme.scim.get("/Users?filter=x"), 400, "invalidFilter", "/scim/v2/Users", "id"),
    (lambda _, http: http.get("/scim/v2/Users"), 401, None, "/scim/v2/Users", None),
    (lambda _, http: http.put("/scim"), 404, None, "/scim", None),
    (lambda acme, http: http.get(acme.v1), 401, "unauthenticated", "", None),
    (
        lambda acme, _: acme.callers.operator.get(f"{acme.v1}/people/x?secret=y"),
        400,
        "invalid",
        "/people/x",
        None,
    ),
    (lambda acme, _: acme.callers.operator.patch(acme.v1, json={"plan": "none"}), 404, "not_found", "", None),
    (lambda acme, _: acme.callers.product.post("/oauth/introspect"), 400, "invalid", "/oauth/introspect", None),
    (lambda _, http: http.post("/oauth/revoke"), 401, "unauthenticated", "/oauth/revoke", None),
]


@pytest.mark.parametrize(("ask", "status", "code", "path", "whose"), ASKED)
async def test_line(
    acme: Tenant,
    http: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    ask: Ask,
    status: int,
    code: str | None,
    path: str,
    whose: str | None,
) -> None:
    """A refusal is one line: what was asked, from where, with which outcome and id, and whose it was if known."""
    caplog.clear()

    answer = await ask(acme, http)

    assert answer.status_code == status, answer.text
    (line,) = lines(caplog)
    assert line["status"] == status
    assert line["code"] == code
    assert line["method"] == answer.request.method
    assert line["path"] == (path if path.startswith(("/scim", "/oauth")) else acme.v1 + path)
    assert line["source"] == "127.0.0.1"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line.get("tenant") == {"id": acme.id, "slug": acme.slug, None: None}[whose]
    assert line["detail"]


async def test_tenant_of_a_dead_token(acme: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    """A token that is known and has ended names its tenant; one that is made up does not."""
    await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")
    caplog.clear()

    await acme.scim.get("/Users")

    assert [line["tenant"] for line in lines(caplog)] == [acme.id]


async def test_no_secret(callers: Callers, acme: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    """A token in the header or in the address, whole or cut off, stands in no line."""
    token: str = acme.token["token"]
    caplog.clear()
    async with httpx.AsyncClient(transport=in_process(callers.app), base_url=callers.base_url) as client:
        for text in (token, token[:-7], token[:60]):
            await client.get(f"/scim/v2/Users/{text}", headers={"Authorization": f"Bearer {text[:-1]}"})
            await client.get(f"/v1/tenants/{text}")
            await client.get("/scim/v2/Users", headers={"Authorization": text})

    logged = lines(caplog)
    assert len(logged) == 9
    assert not [line for line in logged if token[34:60] in str(line)]
