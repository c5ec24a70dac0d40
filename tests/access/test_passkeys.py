"""Passkeys: real ceremonies with a software authenticator, and everything that is not quite one."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import cbor2
import httpx
import pytest

from authenticator import Authenticator, begun, decoded, encoded, registered, sign_in_begun, signed_in
from factories import Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.access import authenticators, challenges, passkeys, revocation
from rollcall.access.authenticators import relying_party
from rollcall.db import Connection
from rollcall.settings import Settings
from rows import until_waiting

REACTIVATION = patch_op({"op": "replace", "path": "active", "value": True})


async def finish(
    tenant: Tenant, person: dict[str, Any], ceremony: dict[str, Any], credential: dict[str, Any]
) -> httpx.Response:
    """The second half of a registration."""
    return await tenant.callers.product.post(
        f"{tenant.v1}/people/{person['id']}/passkeys",
        json={"challenge": ceremony["challenge"], "credential": credential},
    )


async def sign_in(tenant: Tenant, ceremony: dict[str, Any], credential: dict[str, Any]) -> httpx.Response:
    """The second half of a sign-in."""
    return await tenant.callers.product.post(
        f"{tenant.v1}/passkeys/sign-in", json={"challenge": ceremony["challenge"], "credential": credential}
    )


def no_session(answer: httpx.Response) -> None:
    """Check that a sign-in was refused in the one way there is."""
    assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_refused"), answer.text


async def test_from_registration_to_session(callers: Callers) -> None:
    """A person registers a passkey, signs in with it without being named, and the session is good."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria, label="phone")

    opened = await signed_in(tenant, device)

    assert opened.status_code == 201, opened.text
    assert opened.json()["person_id"] == maria["id"]
    assert await callers.is_live(opened.json()["token"])
    (listed,) = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/passkeys")).json()["data"]
    assert (listed["label"], listed["transports"]) == ("phone", ["internal", "hybrid"])
    assert listed["last_used_at"] is not None
    assert len(await tenant.audit(action="passkey.registered")) == 1


async def test_what_a_browser_is_given(callers: Callers) -> None:
    """A registration asks for a discoverable passkey of a verified person, and not for one that exists."""
    tenant = await a_tenant(callers)
    maria = await tenant.person("maria@x.test")
    device = await registered(tenant, maria)

    options = (await begun(tenant, maria))["options"]

    assert options["rp"] == {"id": "rollcall.test", "name": "Rollcall"}
    assert (options["user"]["id"], options["user"]["name"]) == (encoded(UUID(maria["id"]).bytes), "maria@x.test")
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [each["id"] for each in options["excludeCredentials"]] == [encoded(device.credential_id)]
    assert len(decoded(options["challenge"])) == 32


async def test_named_before(callers: Callers) -> None:
    """Who was named signs in with their own passkey, and nobody else's will do; the device need not say whose it is."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person("maria@x.test"), await tenant.person()
    hers, his = await registered(tenant, maria), await registered(tenant, noor)
    hers.user_handle = None

    assert (await signed_in(tenant, hers, user_name="MARIA@x.test")).status_code == 201
    assert (await signed_in(tenant, hers, person=maria["id"])).status_code == 201
    no_session(await signed_in(tenant, his, user_name="maria@x.test"))
    no_session(await signed_in(tenant, hers))


async def test_nobody_learns_who_exists(callers: Callers) -> None:
    """Both halves of a sign-in are alike for strangers, people without a passkey, and people who were deactivated."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person("maria"), await tenant.person("noor")
    device, unknown = await registered(tenant, maria), Authenticator(user_handle=UUID(noor["id"]).bytes)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())

    seen: set[str] = set()
    for name, holder in (("nobody", unknown), ("noor", unknown), ("maria", device), ("maria", unknown)):
        ceremony = await sign_in_begun(callers, tenant, user_name=name)
        assert ceremony["options"].pop("challenge")
        answer = await sign_in(tenant, ceremony, holder.get({"challenge": "AAAA"}))
        no_session(answer)
        seen.add(str(ceremony["options"]) + answer.json()["detail"])
    assert len(seen) == 1


async def test_a_challenge_is_good_once(callers: Callers) -> None:
    """The same answer sent twice, also at the same moment, opens one session and registers one passkey."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = Authenticator()
    ceremony = await begun(tenant, maria)
    made = device.create(ceremony["options"])
    answers = await asyncio.gather(*(finish(tenant, maria, ceremony, made) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"challenge_spent"}

    device.counts = False  # so that nothing but the challenge tells the answers apart
    ceremony = await sign_in_begun(callers, tenant)
    signed = device.get(ceremony["options"])
    answers = await asyncio.gather(*(sign_in(tenant, ceremony, signed) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403, 403]


async def test_a_failed_answer_spends_the_challenge(callers: Callers, owner: Connection) -> None:
    """After a wrong answer the right one comes too late."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)

    ceremony = await sign_in_begun(callers, tenant)
    no_session(
        await sign_in(tenant, ceremony, Authenticator(credential_id=device.credential_id).get(ceremony["options"]))
    )
    no_session(await sign_in(tenant, ceremony, device.get(ceremony["options"])))

    again, second = await begun(tenant, maria), Authenticator()
    assert (await finish(tenant, maria, again, {"id": "x"})).json()["code"] == "no_passkey"
    assert (await finish(tenant, maria, again, second.create(again["options"]))).json()["code"] == "challenge_spent"
    assert await owner.fetchval("SELECT count(*) FROM passkey_challenges WHERE tenant_id = $1", UUID(tenant.id)) == 0


async def test_challenges_belong_somewhere(callers: Callers) -> None:
    """A challenge is of one tenant, one purpose and, for a registration, one person."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria, noor, stranger = await tenant.person(), await tenant.person(), await other.person()
    device = await registered(tenant, maria)

    for whose, where in ((noor, tenant), (stranger, other)):
        ceremony = await begun(tenant, maria)
        answer = await finish(where, whose, ceremony, Authenticator().create(ceremony["options"]))
        assert (answer.status_code, answer.json()["code"]) == (409, "challenge_spent")
    ceremony = await begun(tenant, maria)
    no_session(await sign_in(tenant, ceremony, device.get(ceremony["options"])))
    ceremony = await sign_in_begun(callers, tenant)
    assert (
        await finish(tenant, maria, ceremony, Authenticator().create({**ceremony["options"], "user": {"id": ""}}))
    ).status_code == 409
    ceremony = await sign_in_begun(callers, other)
    no_session(await sign_in(other, ceremony, device.get(ceremony["options"])))


async def test_a_challenge_grows_old(callers: Callers, owner: Connection) -> None:
    """After five minutes a challenge is none, and the next ceremony sweeps it away."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    ceremony = await sign_in_begun(callers, tenant)
    lasts = "SELECT expires_at - now() FROM passkey_challenges WHERE id = $1"
    assert 290 < (await owner.fetchval(lasts, UUID(ceremony["challenge"]))).total_seconds() <= 300
    old = "UPDATE passkey_challenges SET expires_at = now() - interval '1 second' WHERE tenant_id = $1"
    await owner.execute(old, UUID(tenant.id))
    no_session(await sign_in(tenant, ceremony, device.get(ceremony["options"])))
    await sign_in_begun(callers, tenant)
    await owner.execute(old, UUID(tenant.id))

    await sign_in_begun(callers, tenant)

    assert await owner.fetchval("SELECT count(*) FROM passkey_challenges WHERE tenant_id = $1", UUID(tenant.id)) == 1


WRONG: dict[str, Callable[[Authenticator], None]] = {
    "origin": lambda device: setattr(device, "origin", "https://rollcall.test.evil.test"),
    "domain": lambda device: setattr(device, "domain", "evil.test"),
    "verification": lambda device: setattr(device, "verified", False),
}


@pytest.mark.parametrize("what", sorted(WRONG))
async def test_devices_that_are_wrong(callers: Callers, what: str) -> None:
    """Another page's answer, another domain's, or one for which nobody was verified is refused in both ceremonies."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device, wrong = await registered(tenant, maria), Authenticator()
    WRONG[what](device)
    WRONG[what](wrong)
    no_session(await signed_in(tenant, device))
    ceremony = await begun(tenant, maria)
    answer = await finish(tenant, maria, ceremony, wrong.create(ceremony["options"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "no_passkey")


async def test_another_key(callers: Callers) -> None:
    """A signature by another key than the registered one is refused."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    no_session(
        await signed_in(
            tenant, Authenticator(credential_id=device.credential_id, user_handle=device.user_handle, count=99)
        )
    )


async def test_a_count_that_goes_back(callers: Callers) -> None:
    """A right signature with a count that was passed before is refused and told of; a wrong one says nothing."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    for _ in range(3):
        assert (await signed_in(tenant, device)).status_code == 201
    device.count = 1
    no_session(await signed_in(tenant, device))
    (entry,) = await tenant.audit(action="passkey.copy_suspected")
    assert entry["person_id"] == maria["id"]
    assert (entry["payload"]["counted"], entry["payload"]["expected_above"]) == (2, 3)

    forger = Authenticator(credential_id=device.credential_id, user_handle=device.user_handle)
    no_session(await signed_in(tenant, forger))
    assert len(await tenant.audit(action="passkey.copy_suspected")) == 1


@pytest.mark.parametrize(
    "attestation",
    [
        b"",
        b"\x81" * 40_000,
        b"\xa1",
        cbor2.dumps({"fmt": "none"}),
        cbor2.dumps({"fmt": "none", "authData": b"x"}),
        cbor2.dumps({"fmt": 7, "authData": b"\x00" * 60, "attStmt": 3}),
        cbor2.dumps([1]),
    ],
    ids=["empty", "deep", "cut", "bare", "short", "odd", "list"],
)
async def test_hostile_answers(callers: Callers, attestation: bytes) -> None:
    """Bytes that make no sense are refused like any wrong answer, in both ceremonies."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    ceremony = await begun(tenant, maria)
    made = Authenticator().create(ceremony["options"])
    made["response"]["attestationObject"] = encoded(attestation)
    assert (await finish(tenant, maria, ceremony, made)).status_code == 400
    ceremony = await sign_in_begun(callers, tenant)
    signed = device.get(ceremony["options"])
    signed["response"]["authenticatorData"] = encoded(attestation)
    no_session(await sign_in(tenant, ceremony, signed))


@pytest.mark.parametrize("credential", [{}, {"id": 1}, {"id": "é" * 9, "rawId": "é"}, {"response": []}], ids=str)
async def test_answers_that_are_none(callers: Callers, credential: dict[str, Any]) -> None:
    """JSON that is no authenticator's answer is refused, and never a crash."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    assert (await finish(tenant, maria, await begun(tenant, maria), credential)).json()["code"] == "no_passkey"
    no_session(await sign_in(tenant, await sign_in_begun(callers, tenant), credential))


async def test_registered_once(callers: Callers) -> None:
    """A passkey that is registered, or was, is not registered again, for nobody; in another tenant it may be."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    device = await registered(tenant, maria)
    (listed,) = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/passkeys")).json()["data"]

    for person in (maria, noor):
        ceremony = await begun(tenant, person)
        answer = await finish(tenant, person, ceremony, device.create(ceremony["options"]))
        assert (answer.status_code, answer.json()["code"]) == (409, "taken")
        await callers.product.delete(f"{tenant.v1}/people/{maria['id']}/passkeys/{listed['id']}")
    await registered(other, await other.person(), device)


async def test_twenty_at_most(callers: Callers, owner: Connection) -> None:
    """A person has 20 live passkeys at most, also when two are registered at the same moment."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    for _ in range(18):
        await registered(tenant, maria)
    ceremonies = [await begun(tenant, maria) for _ in range(4)]
    answers = await asyncio.gather(
        *(finish(tenant, maria, each, Authenticator().create(each["options"])) for each in ceremonies)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    more = await callers.product.post(f"{tenant.v1}/people/{maria['id']}/passkeys/begin")
    assert (more.status_code, more.json()["code"]) == (409, "too_many")


async def test_closing_one(callers: Callers) -> None:
    """A closed passkey opens nothing; closing it twice is closing it once; another person's is not found."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    device, other = await registered(tenant, maria), await registered(tenant, maria)
    newest, _ = (await callers.product.get(f"{tenant.v1}/people/{maria['id']}/passkeys")).json()["data"]
    address = f"{tenant.v1}/people/{{}}/passkeys/{newest['id']}"
    assert (await callers.product.delete(address.format(noor["id"]))).status_code == 404
    for _ in range(2):
        assert (await callers.product.delete(address.format(maria["id"]))).status_code == 204
    no_session(await signed_in(tenant, other))
    assert (await signed_in(tenant, device)).status_code == 201
    assert len(await tenant.audit(action="passkey.closed")) == 1


async def test_leaving_closes_them_for_good(callers: Callers) -> None:
    """A passkey ends with its person, and does not come back with them; a new one works."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    no_session(await signed_in(tenant, device))
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    no_session(await signed_in(tenant, device))
    assert (await signed_in(tenant, await registered(tenant, maria))).status_code == 201


@pytest.mark.parametrize("change", ["epoch = epoch + 1", "active = false"])
async def test_open_row_is_not_enough(callers: Callers, owner: Connection, change: str) -> None:
    """An open passkey of another epoch, or of an account that is not active, opens nothing."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    await owner.execute(f"UPDATE accounts SET {change} WHERE id = $1", UUID(maria["id"]))
    no_session(await signed_in(tenant, device))


async def test_registration_begun_before_leaving(callers: Callers) -> None:
    """A registration that began before its person left is not finished after they came back."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    ceremony = await begun(tenant, maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    away, back = (Authenticator().create(ceremony["options"]) for _ in range(2))
    assert (await finish(tenant, maria, await begun_by_hand(tenant, maria, ceremony), away)).status_code == 409
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    answer = await finish(tenant, maria, ceremony, back)
    assert (answer.status_code, answer.json()["code"]) == (409, "challenge_spent")


async def begun_by_hand(tenant: Tenant, person: dict[str, Any], ceremony: dict[str, Any]) -> dict[str, Any]:
    """Another ceremony than *ceremony*: none can begin for who is inactive, so its challenge is unknown."""
    refused = await tenant.callers.product.post(f"{tenant.v1}/people/{person['id']}/passkeys/begin")
    assert (refused.status_code, refused.json()["code"]) == (409, "person_inactive")
    return {**ceremony, "challenge": str(uuid4())}


async def test_registered_first(callers: Callers, owner: Connection, settings: Settings) -> None:
    """A deactivation waits for a passkey that is just being registered, and closes it."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    ceremony, device = await begun(tenant, maria), Authenticator()
    async with tenant.work() as work:
        await passkeys.finish_registration(
            work,
            relying_party(settings),
            UUID(maria["id"]),
            challenge_id=UUID(ceremony["challenge"]),
            answer=device.create(ceremony["options"]),
        )
        leaving = asyncio.create_task(tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation()))
        await until_waiting(owner, leaving)
    assert (await leaving).status_code == 200
    assert (
        await owner.fetchval(
            "SELECT count(*) FROM passkeys WHERE closed_at IS NULL AND account_id = $1", UUID(maria["id"])
        )
        == 0
    )
    await tenant.scim.patch(f"/Users/{maria['id']}", json=REACTIVATION)
    no_session(await signed_in(tenant, device))


@pytest.mark.parametrize("half", ["registration", "sign-in"])
async def test_deactivated_first(callers: Callers, owner: Connection, half: str) -> None:
    """A second half that comes while a deactivation is being committed waits for it, and is refused."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    if half == "registration":
        ceremony = await begun(tenant, maria)
        coming = finish(tenant, maria, ceremony, Authenticator().create(ceremony["options"]))
    else:
        ceremony = await sign_in_begun(callers, tenant)
        coming = sign_in(tenant, ceremony, device.get(ceremony["options"]))
    async with tenant.work() as work:
        assert await revocation.end_all(work, UUID(maria["id"]), reason="test") is not None
        waiting = asyncio.create_task(coming)
        await until_waiting(owner, waiting)
    assert (await waiting).status_code == (409 if half == "registration" else 403)
    for table in ("passkeys", "sessions"):
        query = f"SELECT count(*) FROM {table} WHERE account_id = $1 AND closed_at IS NULL"
        assert await owner.fetchval(query, UUID(maria["id"])) == 0


async def test_suspended_tenant(callers: Callers) -> None:
    """In a suspended tenant a passkey opens no session."""
    tenant = await a_tenant(callers)
    device = await registered(tenant, await tenant.person())
    await callers.operator.post(f"{tenant.v1}/suspend")
    assert (await signed_in(tenant, device)).status_code == 403


async def test_who_carries_ceremonies(callers: Callers, http: httpx.AsyncClient) -> None:
    """The product and ops carry ceremonies; a tenant's admin sees and closes passkeys and can't make or use any."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria = await tenant.person()
    await registered(tenant, maria)
    people = f"{tenant.v1}/people/{maria['id']}/passkeys"
    (listed,) = (await callers.operator.get(people)).json()["data"]
    issued = await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"])
    strangers = await other.issue_token(scopes=["admin"], owner=other.admin["id"])
    async with callers.bearer(issued["token"]) as ada, callers.bearer(strangers["token"]) as stranger:
        for address in (
            f"{people}/begin",
            people,
            f"{tenant.v1}/passkeys/sign-in/begin",
            f"{tenant.v1}/passkeys/sign-in",
        ):
            assert (await ada.post(address)).status_code == 403
            assert (await http.post(address)).status_code == 401
        assert (await stranger.get(people)).status_code == 404
        assert (await stranger.delete(f"{people}/{listed['id']}")).status_code == 404
        assert len((await ada.get(people)).json()["data"]) == 1
        assert (await ada.delete(f"{people}/{listed['id']}")).status_code == 204


def test_settings_of_the_relying_party(settings: Settings) -> None:
    """Domain and pages are the public address's, unless an operator says otherwise."""
    assert relying_party(settings) == authenticators.RelyingParty(
        "rollcall.test", "Rollcall", ("http://rollcall.test",)
    )
    said = {"passkey_rp_id": "acme.test", "passkey_rp_name": "Acme", "passkey_origins": ("https://app.acme.test",)}
    assert relying_party(settings.model_copy(update=said)) == authenticators.RelyingParty(
        "acme.test", "Acme", ("https://app.acme.test",)
    )


async def test_sign_ins_under_way(callers: Callers, owner: Connection) -> None:
    """Beyond so many unfinished sign-ins of a tenant no more begin until some are over; all else goes on."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    maria = await tenant.person()
    device = await registered(tenant, maria)
    begun_before = await sign_in_begun(callers, tenant)
    await owner.execute(
        "INSERT INTO passkey_challenges (tenant_id, id, purpose, challenge, expires_at) "
        "SELECT $1, gen_random_uuid(), 'sign_in', 'x', clock_timestamp() + make_interval(secs => 60 + n) "
        "FROM generate_series(1, $2::integer) n",
        UUID(tenant.id),
        challenges.MOST_SIGN_INS - 1,
    )

    refused = await callers.product.post(f"{tenant.v1}/passkeys/sign-in/begin")

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests"), refused.text
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    await registered(tenant, maria)
    assert (await sign_in_begun(callers, other))["challenge"]
    assert (await sign_in(tenant, begun_before, device.get(begun_before["options"]))).status_code == 201
    assert (await signed_in(tenant, device)).status_code == 201
    await sign_in_begun(callers, tenant)
    assert (await callers.product.post(f"{tenant.v1}/passkeys/sign-in/begin")).status_code == 429
    await owner.execute(
        "UPDATE passkey_challenges SET expires_at = clock_timestamp() - interval '1 second' WHERE tenant_id = $1",
        UUID(tenant.id),
    )
    await sign_in_begun(callers, tenant)
