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
    return body


def turned_down(answer: httpx.Response, status: int, code: str, saying: str = "") -> dict[str, Any]:
    """Check that a call of the management API was refused; returns the body."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"code", "detail", "request_id"}
    assert body["code"] == code, body
    assert saying in body["detail"], body
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def names(answer: httpx.Response) -> list[str]:
    """The userNames on a page, in its order."""
    page = done(answer)
    assert page["schemas"] == [LIST_RESPONSE]
    assert page["itemsPerPage"] == len(page["Resources"])
    return [person["userName"] for person in page["Resources"]]
