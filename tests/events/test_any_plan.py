"""Cutting somebody off, asking whether they are in, and telling everybody are gated by no plan."""

from uuid import UUID

import pytest

from events.conftest import Listen, Post
from events.test_logout import message, words
from factories import Callers
from proof.test_receipts import settle
from rollcall.settings import Settings

LAPSED = "UPDATE tenants SET plan = 'free', lapsed_at = now(), offboarding_from = now()"
STATES = {
    "never": "UPDATE tenants SET plan = 'free' WHERE id = $1",
    "grace": f"{LAPSED} + interval '9 days' WHERE id = $1",
    "offboarding_only": f"{LAPSED} WHERE id = $1",
    "closed": f"{LAPSED}, closes_at = now() WHERE id = $1",
}


@pytest.mark.parametrize("state", STATES)
async def test_leaving_is_gated_by_no_plan(
    callers: Callers, settings: Settings, post: Post, listen: Listen, state: str
) -> None:
    """Without SCIM in the plan somebody is cut off, introspection tells, and webhook, logout and receipt say it."""
    acme, receiver = post.tenant, await listen()
    hook = await post.hook(receiver, "user.deactivated")
    maria, pedro = await acme.person(), await acme.person()
    session, laptop = await acme.session(maria), await acme.personal_token(pedro)
    admin = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    await post.owner.execute(STATES[state], UUID(acme.id))
    shown = (await callers.operator.get(acme.v1)).json()
    assert shown["lapse"]["state"] == state
    for credential in (session, laptop, acme.token["token"], admin):
        assert await callers.is_live(credential)

    revoked = await callers.product.post("/oauth/revoke", data={"token": laptop})
    assert revoked.status_code == 200, revoked.text
    assert not await callers.is_live(laptop)
    async with callers.bearer(admin) as ada:
        answer = await ada.post(f"{acme.v1}/people/{maria['id']}/deactivate", json={"reason": "left"})
        assert answer.status_code == 200, answer.text
        answer = await ada.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")
        assert answer.status_code == 200, answer.text
    assert not await callers.is_live(session)
    assert not await callers.is_live(acme.token["token"])

    await post.fan_out()
    assert (await post.deliver(hook)).delivered == 1
    assert b"user.deactivated" in receiver.calls[0].body
    assert await words(acme, settings, message("user.deactivated", reason="left", closed={})) is not None
    account = await post.account(maria)
    departure = await post.owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated'", account
    )
    assert await settle(acme, departure)
    (receipt,) = (await callers.operator.get(f"{acme.v1}/people/{maria['id']}/receipts")).json()["data"]
    assert receipt["closed"]["sessions"] == 1
