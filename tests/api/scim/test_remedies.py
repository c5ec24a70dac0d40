"""Refusals say what to do, to somebody who sees only the body in the provider's log."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.expect import done, refused
from factories import Tenant, patch_op

NOBODY = UUID(int=1)
Ask = Callable[[Tenant, dict[str, Any]], Awaitable[httpx.Response]]


async def nested(acme: Tenant, _maria: dict[str, Any]) -> httpx.Response:
    """Put two groups into each other."""
    inner = done(await acme.scim.post("/Groups", json={"displayName": "inner"}), 201)
    outer = {"displayName": "outer", "members": [{"value": inner["id"]}]}
    made = done(await acme.scim.post("/Groups", json=outer), 201)
    back = {"op": "add", "path": "members", "value": [{"value": made["id"]}]}
    return await acme.scim.patch(f"/Groups/{inner['id']}", json=patch_op(back))


async def torn(acme: Tenant, maria: dict[str, Any]) -> httpx.Response:
    """Put a guest into a group of admins."""
    roles = {"op": "add", "path": "roles", "value": ["dart-guests"]}
    done(await acme.scim.patch(f"/Users/{maria['id']}", json=patch_op(roles)))
    body = {"displayName": "dart-admins", "members": [{"value": maria["id"]}]}
    return await acme.scim.post("/Groups", json=body)


ASKED: list[tuple[Ask, int, str | None, str]] = [
    (
        lambda acme, _: acme.scim.delete(f"/Users/{NOBODY}"),
        404,
        None,
        (
            "No such resource: it was deleted, or never was here. Let the provider look for it anew (by userName or "
            "displayName), and create it where it is missing (request "
        ),
    ),
    (
        lambda acme, _: acme.scim.put("/Users"),
        405,
        None,
        "This address does not take this method; it takes GET, HEAD, OPTIONS, POST (request ",
    ),
    (
        lambda acme, maria: acme.scim.delete(f"/Users/{maria['id']}", headers={"If-Match": 'W/"7"'}),
        412,
        None,
        "If-Match: the resource has another version by now; read it again, and send its present ETag (request ",
    ),
    (
        lambda acme, _: acme.scim.get("/Users?cursor=x"),
        400,
        "invalidCursor",
        "The cursor is none that was given here; begin again with an empty one (request ",
    ),
    (
        lambda acme, _: acme.scim.post("/Users", content=b" " * 1_100_000),
        413,
        None,
        "The body is larger than 1048576 bytes: send less at a time, in several requests (request ",
    ),
    (
        lambda acme, _: acme.scim.post("/Bulk", json={"Operations": [{"method": "DELETE"}] * 1001}),
        413,
        None,
        "The request has more than 1000 operations: send them in several requests (request ",
    ),
    (
        lambda acme, _: acme.scim.post("/Groups", json={"displayName": "x", "members": [{"value": str(NOBODY)}]}),
        400,
        "invalidValue",
        (
            f"members: there is no user or group {NOBODY} here; provision it first, or take it out of the group at the "
            "provider (request "
        ),
    ),
    (
        nested,
        400,
        "invalidValue",
        "members: a group would be inside itself; take it out of the other one first (request ",
    ),
    (
        lambda acme, _: acme.scim.post("/Users", json={"userName": "x", "roles": ["dart-admins", "dart-guests"]}),
        400,
        "invalidValue",
        (
            'roles: more than one role: "admin" (dart-admins in roles) and "guest" (dart-guests in roles); a '
            "person has one, "
            "so nothing was changed. Leave the person one of them at the identity provider (request "
        ),
    ),
    (
        torn,
        400,
        "invalidValue",
        (
            'members: a person has one role, so nothing was changed: maria: more than one role: "admin" (group '
            '"dart-admins") and "guest" (dart-guests in roles). Leave each of them one such group or role at the '
            "identity "
            "provider (request "
        ),
    ),
]


@pytest.mark.parametrize(("ask", "status", "scim_type", "said"), ASKED)
async def test_remedy(acme: Tenant, ask: Ask, status: int, scim_type: str | None, said: str) -> None:
    """What was refused, why, what to change, and under which id to ask about it."""
    maria = await acme.person("maria")

    answer = await ask(acme, maria)

    assert refused(answer, status, scim_type)["detail"].startswith(said)


async def test_failures(acme: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What fails on our side says how to ask about it, and is one line in the log, with the same fields."""

    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rollcall.provisioning.users.read", fails)
    caplog.clear()

    answer = await acme.scim.get(f"/Users/{NOBODY}")

    body = refused(answer, 500)
    assert body["detail"] == (
        "Something went wrong on our side, and the request may not have been carried out. Try again; if that is no "
        f"help, tell the vendor's support this request's id (request {answer.headers['x-request-id']})"
    )
    (record,) = (each for each in caplog.records if each.name.startswith("rollcall"))
    assert "'event': 'failed'" in record.getMessage()
    assert f"'path': '/scim/v2/Users/{NOBODY}'" in record.getMessage()
    assert f"'request_id': '{answer.headers['x-request-id']}'" in record.getMessage()
