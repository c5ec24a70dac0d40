"""How bodies are received: never for a dead key, at a pace, up to a size, and with a limit on what is in them."""

import json
from typing import Any

import httpx
import pytest

from api.expect import refused, turned_down, turned_down_by_oauth
from factories import USER, Tenant
from rollcall.api import saying

MANY = {f"k{number}": number for number in range(60_000)}
FEW = {f"k{number}": number for number in range(1_900)}
EMPTY: list[list[int]] = [[]] * 60_000


async def test_too_many_members_for_scim(acme: Tenant) -> None:
    """A resource with more members than any has is 400 invalidSyntax, and stands in the audit."""
    answer = await acme.scim.post("/Users", json={"schemas": [USER], "userName": "maria", **MANY})
    refused(answer, 400, "invalidSyntax", "more than 2000 members in one object")
    entries = await acme.audit(outcome="refused")
    assert [entry["status"] for entry in entries if entry["request_id"] == answer.headers["x-request-id"]] == [400]


@pytest.mark.parametrize(
    "body",
    [{"user_name": "maria", **MANY}, {"user_name": "maria", "roles": list(range(60_000))}, EMPTY],
    ids=["members", "entries", "lists"],
)
async def test_too_many_members_for_v1(acme: Tenant, operator: httpx.AsyncClient, body: Any) -> None:
    """A body of the management API with tens of thousands of members or entries is refused before it is decoded."""
    answer = await operator.post(f"{acme.v1}/people", json=body)
    turned_down(answer, 400, "invalid", "more than 2000 members")


async def test_too_many_members_for_oauth(product: httpx.AsyncClient) -> None:
    """A question about many credentials that holds tens of thousands of members is no question."""
    answer = await product.post("/oauth/introspect/batch", json={"tokens": [], **dict.fromkeys(list(MANY)[:9000])})
    turned_down_by_oauth(answer, 400, "invalid_request", "tokens")


async def test_few_mistakes_are_named(
    acme: Tenant, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a body with very many wrong fields some are named and the rest counted, however many there are."""
    worded: list[str] = []
    real = saying.in_plain_words

    def counting(message: str) -> str:
        worded.append(message)
        return real(message)

    monkeypatch.setattr(saying, "in_plain_words", counting)

    body = turned_down(await operator.post(f"{acme.v1}/people", json={"user_name": "maria", **FEW}), 400, "invalid")

    assert body["detail"].endswith("; and 1890 more")
    assert len(worded) <= 2 * saying.MOST_SAID  # once for the answer, once for the audit
    assert len(json.dumps(body)) < 2_000
