"""What answers have to look like, whoever gives them."""

from typing import Any

import httpx

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def done(answer: httpx.Response, status: int = 200) -> Any:
    """Check that a SCIM call was carried out; returns the body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/scim+json"
    return answer.json()


def refused(answer: httpx.Response, status: int, scim_type: str | None = None, saying: str = "") -> dict[str, Any]:
    """Check that a SCIM call was refused with the body of RFC 7644 §3.12; returns the body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/scim+json"
    body = answer.json()
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type, body
    assert saying in body["detail"]
    assert body["detail"].endswith(f" (request {answer.headers['x-request-id']})")
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="scim"'
    return body


def turned_down(
    answer: httpx.Response, status: int, code: str, saying: str = "", *, param: str | None = None
) -> dict[str, Any]:
    """Check that a call of the management API was refused with a problem of RFC 9457; returns the body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "code", "detail", "param", "request_id"}
    assert (body["code"], body["status"]) == (code, status), body
    assert body["type"].endswith(f"/v1/errors#{code}")
    assert param in (None, body["param"]), body
    assert saying in body["detail"], body
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def turned_down_by_oauth(answer: httpx.Response, status: int, error: str, saying: str = "") -> dict[str, Any]:
    """Check that a call under ``/oauth`` was refused as RFC 6749 §5.2 has it; returns the body."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error, body
    assert saying in body["error_description"], body
    assert all(" " <= each <= "~" and each not in '"\\' for each in body["error_description"]), body
    return body


def names(answer: httpx.Response) -> list[str]:
    """The userNames on a page, in its order."""
    page = done(answer)
    assert page["schemas"] == [LIST_RESPONSE]
    assert page["itemsPerPage"] == len(page["Resources"])
    return [person["userName"] for person in page["Resources"]]
