"""Receipts: what the worker does after somebody left, once, however often it is asked; and what it signs."""

import asyncio
import json
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from click.testing import CliRunner, Result
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from authenticator import registered, signed_in
from factories import Callers, Tenant, a_tenant, deactivation
from other_libraries import read_by_authlib
from rollcall.cli.main import main
from rollcall.crypto import CannotOpen, Sealer, new_secret_key
from rollcall.db import Connection
from rollcall.proof import pairs, receipts, signing
from rollcall.proof.receipts import Outcome
from rollcall.settings import Settings


async def departed(tenant: Tenant, owner: Connection) -> tuple[str, UUID]:
    """Somebody with a session who just left, and the message that says so."""
    maria = await tenant.person()
    await tenant.session(maria)
    headers = {"X-Request-Id": f"leave-{maria['id'][-12:]}"}
    answer = await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation(), headers=headers)
    assert answer.status_code == 200, answer.text
    message = await owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated' ORDER BY id DESC", UUID(maria["id"])
    )
    return maria["id"], message


async def settle(tenant: Tenant, message: UUID) -> bool:
    async with tenant.work() as work:
        return bool(await receipts.settle(work, message))


async def test_receipt(callers: Callers, owner: Connection) -> None:
    """The receipt says what was closed and when, by which request, and what was purged after it."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    assert await settle(tenant, message)
    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    assert (receipt["closed"]["sessions"], receipt["closed"]["tokens"]) == (1, 0)
    assert receipt["purged"] == {"sessions": 1, "passkeys": 0, "passwords": 0}
    assert receipt["request_id"] == f"leave-{person[-12:]}"
    assert receipt["arrived_at"] <= receipt["closed_at"] <= receipt["settled_at"]
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", UUID(person)) == 0


async def test_devices_are_forgotten(callers: Callers, owner: Connection) -> None:
    """Settled, nothing says any more which devices somebody had; the receipt counts them, and other people's stay."""
    tenant = await a_tenant(callers)
    maria, noor = await tenant.person(), await tenant.person()
    devices = [await registered(tenant, person) for person in (maria, maria, noor)]
    await tenant.external(maria)
    await tenant.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    message = await owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated'", UUID(maria["id"])
    )
    assert await settle(tenant, message)

    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{maria['id']}/receipts")).json()["data"]
    assert (receipt["closed"]["passkeys"], receipt["purged"]) == (2, {"sessions": 0, "passkeys": 2, "passwords": 0})
    kept = await owner.fetch("SELECT credential_id FROM passkeys WHERE tenant_id = $1", UUID(tenant.id))
    assert [row["credential_id"] for row in kept] == [devices[2].credential_id]
    await callers.operator.post(f"{tenant.v1}/people/{maria['id']}/reactivate")
    assert [(await signed_in(tenant, device)).status_code for device in devices] == [403, 403, 201]


async def test_settling_twice(callers: Callers, owner: Connection) -> None:
    """Run twice, one after the other or at the same moment, the task acts once."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    assert sorted(await asyncio.gather(*(settle(tenant, message) for _ in range(3)))) == [False, False, True]
    assert not await settle(tenant, message)
    assert len((await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]) == 1


async def test_later_sessions_stay(callers: Callers, owner: Connection) -> None:
    """Settled late, after the person came back, it purges nothing of their new life."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    await callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    session = await tenant.session({"id": person})
    assert await settle(tenant, message)
    assert await callers.is_live(session)


async def test_two_departures_of_one_person_together(callers: Callers, owner: Connection) -> None:
    """Settled at once, each receipt counts what its own departure closed, and other people's stays."""
    tenant = await a_tenant(callers)
    person, first = await departed(tenant, owner)
    other = await tenant.session(await tenant.person())
    await callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    for _ in range(2):
        await tenant.session({"id": person})
    await callers.operator.post(f"{tenant.v1}/people/{person}/deactivate")
    messages = await owner.fetch(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated' ORDER BY id", UUID(person)
    )
    async with tenant.work() as work:
        settled = await receipts.settle(work, *(row["id"] for row in messages))
    assert sorted(settled) == [row["id"] for row in messages]
    assert messages[0]["id"] == first
    found = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    assert [each["purged"]["sessions"] for each in found] == [2, 1]  # newest first
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE account_id = $1", UUID(person)) == 0
    assert await callers.is_live(other)


async def test_a_receipt_for_each_departure(callers: Callers, owner: Connection) -> None:
    """Who leaves twice has two receipts, newest first."""
    tenant = await a_tenant(callers)
    person, first = await departed(tenant, owner)
    await settle(tenant, first)
    await callers.operator.post(f"{tenant.v1}/people/{person}/reactivate")
    await callers.operator.post(f"{tenant.v1}/people/{person}/deactivate", json={"reason": "for good"})
    rest = await owner.fetch(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated' AND done_at IS NULL", UUID(person)
    )
    assert [await settle(tenant, row["id"]) for row in rest] == [True]
    found = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    assert [each["reason"] for each in found] == ["for good", "deactivated by the identity provider"]


async def test_no_such_message(callers: Callers, owner: Connection) -> None:
    """An unknown message, or another tenant's, is nothing to do."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    _, message = await departed(other, owner)
    assert not await settle(tenant, message)
    assert not await settle(tenant, uuid4())
    assert await settle(other, message)


HOOK, BACK = UUID(int=7), UUID(int=3)


async def completed(
    tenant: Tenant, owner: Connection, settings: Settings, *, states: tuple[str, str] = ("delivered", "delivered")
) -> dict[str, Any]:
    """The complete receipt of somebody who left: a webhook told after two seconds, a logout after six minutes."""
    person, message = await departed(tenant, owner)
    assert await settle(tenant, message)
    (receipt,) = (await tenant.callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    arrived = datetime.fromisoformat(receipt["arrived_at"])
    told = [
        Outcome(HOOK, "webhook", "crm", states[0], arrived + timedelta(seconds=2), 1),
        Outcome(BACK, "logout", "portal", states[1], arrived + timedelta(minutes=6), 4),
    ]
    assert await complete(tenant, settings, message, told)
    return (await tenant.callers.operator.get(f"{tenant.v1}/receipts/{receipt['id']}")).json()


async def complete(tenant: Tenant, settings: Settings, message: UUID, told: list[Outcome]) -> bool:
    async with tenant.work() as work:
        return bool(await receipts.complete(work, Sealer.of(settings), {message: told}, issuer=settings.public_url))


async def jwks(http: httpx.AsyncClient, name: str = "jwks") -> dict[str, Any]:
    answer = await http.get(f"/.well-known/{name}.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def verify_command(folder: Path, statement: str | dict[str, Any], keys: dict[str, Any]) -> list[str]:
    """What somebody types who holds a receipt and the public keys."""
    file, known = folder / "receipt", folder / "keys.json"
    file.write_text(statement if isinstance(statement, str) else json.dumps(statement))
    known.write_text(json.dumps(keys))
    return ["receipts", "verify", str(file), "--keys", str(known)]


def verify(folder: Path, statement: str | dict[str, Any], keys: dict[str, Any]) -> Result:
    """Type it in this process."""
    return CliRunner().invoke(main, verify_command(folder, statement, keys))


def verify_elsewhere(
    folder: Path, statement: str | dict[str, Any], keys: dict[str, Any]
) -> "subprocess.CompletedProcess[str]":
    """Type it where there are neither settings nor a database."""
    command = [sys.executable, "-m", "rollcall", *verify_command(folder, statement, keys)]
    return subprocess.run(
        command, cwd=folder, env={"LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=60, check=False
    )


def reworded(statement: str, **claims: Any) -> str:
    """The statement with other claims, under the signature it had."""
    header, payload, signature = statement.split(".")
    said = json.loads(urlsafe_b64decode(payload + "=="))
    changed = urlsafe_b64encode(json.dumps(said | claims).encode()).decode().rstrip("=")
    return f"{header}.{changed}.{signature}"


async def test_statement(callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient) -> None:
    """The signed statement says all of it, and authlib verifies it with the published keys."""
    tenant = await a_tenant(callers)
    receipt = await completed(tenant, owner, settings)
    said = read_by_authlib(receipt["statement"], await jwks(http))
    assert (said["iss"], said["jti"], said["sub"]) == (settings.public_url, receipt["id"], receipt["person_id"])
    assert said["tenant"] == {"id": tenant.id, "slug": tenant.slug}
    assert said["person"]["user_name"].endswith(f"@{tenant.slug}.test")
    assert (said["request_id"], said["transaction_id"]) == (receipt["request_id"], receipt["transaction_id"])
    assert said["reason"] == "deactivated by the identity provider"
    assert said["arrived_at"] <= said["closed_at"] <= said["completed_at"]
    assert (said["closed"]["bound"], said["closed"]["met"]) == ("commit", True)
    assert {"class": "sessions", "count": 1, "at": said["closed_at"]} in said["closed"]["credentials"]
    assert {each["class"]: each["count"] for each in said["closed"]["credentials"]} == receipt["closed"]
    slow, fast = said["destinations"]["each"]
    assert (fast["label"], fast["state"], fast["seconds"], fast["attempts"], fast["met"]) == (
        "crm",
        "delivered",
        2.0,
        1,
        True,
    )
    assert (slow["label"], slow["seconds"], slow["attempts"], slow["met"]) == ("portal", 360.0, 4, False)
    assert (said["destinations"]["bound_seconds"], said["destinations"]["met"]) == (300, False)
    assert receipt["destinations"] == said["destinations"]["each"]


async def test_nobody_to_tell(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Without destinations a receipt is complete at once, with its bound met."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    await settle(tenant, message)
    assert await complete(tenant, settings, message, [])
    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    assert (receipt["destinations"], receipt["statement"] is None) == ([], False)


async def test_a_dead_destination_is_told_of(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient
) -> None:
    """A destination that was given up is never said to have met its bound, however early that was."""
    tenant = await a_tenant(callers)
    receipt = await completed(tenant, owner, settings, states=("dead", "delivered"))
    said = read_by_authlib(receipt["statement"], await jwks(http))
    assert [(each["state"], each["met"]) for each in said["destinations"]["each"]] == [
        ("delivered", False),
        ("dead", False),
    ]


async def test_completing_twice(callers: Callers, owner: Connection, settings: Settings) -> None:
    """However often and at whatever moments it is asked, one call completes, and what it signed stays."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    assert not await complete(tenant, settings, message, [])  # not settled yet
    await settle(tenant, message)
    done = await asyncio.gather(*(complete(tenant, settings, message, []) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    (before,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    late = Outcome(HOOK, "webhook", "late", "delivered", datetime.fromisoformat(before["arrived_at"]), 1)
    assert not await complete(tenant, settings, message, [late])
    assert (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"] == [before]


async def test_nothing_to_sign_with(callers: Callers, owner: Connection, settings: Settings) -> None:
    """When the signing key can't be opened nothing is written, and it works once it can be."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    await settle(tenant, message)
    pairs.forget()
    with pytest.raises(CannotOpen):
        async with tenant.work() as work:
            await receipts.complete(work, Sealer([new_secret_key()]), {message: []}, issuer=settings.public_url)
    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    assert (receipt["completed_at"], receipt["destinations"], receipt["statement"]) == (None, None, None)
    assert await complete(tenant, settings, message, [])


async def test_verified_off_line(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """With the file and the public keys alone: the download and the API's answer verify, and say the same."""
    tenant = await a_tenant(callers)
    receipt = await completed(tenant, owner, settings)
    keys = await jwks(http, "receipt-keys")
    download = await callers.operator.get(f"{tenant.v1}/receipts/{receipt['id']}/statement")
    assert download.headers["content-type"].startswith("application/jose")
    assert f"receipt-{receipt['id']}.jws" in download.headers["content-disposition"]
    alone, within = verify_elsewhere(tmp_path, download.text + "\n", keys), verify(tmp_path, receipt, keys)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == within.stdout
    for said in ("Verified", tenant.slug, receipt["request_id"], "NOT all told within 300 s", "1 sessions", "“portal”"):
        assert said in alone.stdout
    forged = verify_elsewhere(tmp_path, reworded(receipt["statement"], reason="another"), keys)
    assert (forged.returncode, forged.stdout) == (1, "")
    assert forged.stderr.startswith("NOT VERIFIED. The signature does not fit")


async def test_very_many_destinations(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """A receipt with a thousand destinations verifies as any other does."""
    tenant = await a_tenant(callers)
    person, message = await departed(tenant, owner)
    await settle(tenant, message)
    now = datetime.now(UTC)
    assert await complete(
        tenant, settings, message, [Outcome(uuid4(), "webhook", f"hook {n}", "delivered", now, 1) for n in range(1000)]
    )
    (receipt,) = (await callers.operator.get(f"{tenant.v1}/people/{person}/receipts")).json()["data"]
    shown = verify(tmp_path, receipt, await jwks(http, "receipt-keys"))
    assert shown.exit_code == 0, shown.stderr
    assert "all told within 300 s" in shown.stdout
    assert shown.stdout.count("webhook") == 1000


async def test_forged(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """What was changed, signed by others or otherwise, or is something else, ends with a line and exit code 1."""
    tenant = await a_tenant(callers)
    statement = (await completed(tenant, owner, settings))["statement"]
    keys = await jwks(http, "receipt-keys")
    header = json.loads(urlsafe_b64decode(statement.split(".")[0] + "=="))
    said = urlsafe_b64decode(statement.split(".")[1] + "==")
    stranger, other_kind = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
    public = next(key for key in keys["keys"] if key["kid"] == header["kid"])
    confused = OctKey.import_key(json.dumps(public))
    none = urlsafe_b64encode(json.dumps(header | {"alg": "none"}).encode()).decode().rstrip("=")
    async with tenant.work() as work:
        logout = await signing.sign(
            work, Sealer.of(settings), signing.FOR_TOKENS, kind="logout+jwt", claims={"iss": "x"}
        )
        other = await signing.sign(
            work, Sealer.of(settings), signing.FOR_RECEIPTS, kind="receipt+jwt", claims={"iss": "x"}
        )
    for forged, reason in (
        (reworded(statement, reason="something else"), "changed after it was signed"),
        (f"{none}.{statement.split('.')[1]}.", "has to be ES256 or RS256"),
        (
            jws.serialize_compact(header | {"alg": "HS256"}, said, confused, algorithms=["HS256"]),
            "has to be ES256 or RS256",
        ),
        (jws.serialize_compact(header, said, stranger), "changed after it was signed"),
        (jws.serialize_compact(header | {"alg": "RS256"}, said, other_kind), "no receipt"),
        (jws.serialize_compact(header | {"kid": "mine"}, said, stranger), "not among those given"),
        (logout, "type has to be receipt+jwt"),
        (other, "does not say what receipts say"),
        (statement[:-40], "changed after it was signed"),
        (statement.rpartition(".")[0], "no receipt"),
        ("", "no receipt"),
        ("not a receipt", "no receipt"),
        ("WyJhbGciXQ.e30.e30", "no receipt"),  # the header is a list
        ("MQ..", "no receipt"),
        (jws.serialize_compact({**header, "cty": "JWT"}, said, stranger), "no receipt"),
        ("{", "no receipt"),
        ("é", "no receipt"),
        ({"statement": None}, "not complete yet"),
        ("a" * 2_000_000, "no receipt"),
    ):
        refused = verify(tmp_path, forged, keys)
        assert refused.exit_code == 1, forged
        assert refused.stdout == ""
        assert reason in refused.stderr, (forged, refused.stderr)
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [7, {"kty": "oct", "k": "eA", "kid": "x"}]}, {"keys": 1}])
async def test_without_the_key(
    callers: Callers, owner: Connection, settings: Settings, tmp_path: Path, keys: dict[str, Any]
) -> None:
    """Without the key that signed it nothing verifies, and keys of another kind are believed by nobody."""
    tenant = await a_tenant(callers)
    receipt = await completed(tenant, owner, settings)
    refused = verify(tmp_path, receipt, keys)
    assert refused.exit_code == 1
    assert "NOT VERIFIED" in refused.stderr
    assert "keys" in refused.stderr or "key" in refused.stderr


async def test_a_name_does_not_drive_the_terminal(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """A reason with control characters is shown with them made visible, so that it can't overwrite what is said."""
    tenant = await a_tenant(callers)
    maria = await tenant.person()
    base = f"{tenant.v1}/people/{maria['id']}"
    left = await callers.operator.post(f"{base}/deactivate", json={"reason": "bye\x1b[2J\rVerified"})
    assert left.status_code == 200
    message = await owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated'", UUID(maria["id"])
    )
    await settle(tenant, message)
    await complete(tenant, settings, message, [])
    (receipt,) = (await callers.operator.get(f"{base}/receipts")).json()["data"]
    shown = verify(tmp_path, receipt, await jwks(http, "receipt-keys"))
    assert shown.exit_code == 0
    assert "\\x1b[2J\\rVerified" in shown.stdout
    assert "\x1b" not in shown.stdout


async def test_pages(callers: Callers, owner: Connection, settings: Settings) -> None:
    """A tenant's receipts come newest first, page by page, each once; the incomplete can be asked for alone."""
    tenant = await a_tenant(callers)
    messages = [(await departed(tenant, owner))[1] for _ in range(5)]
    for message in messages:
        await settle(tenant, message)
    assert await complete(tenant, settings, messages[2], [])
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await callers.operator.get(f"{tenant.v1}/receipts", params={"limit": 2, **cursor})
        page = answer.json()
        seen += [each["id"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [str(message) for message in reversed(messages)]
    waiting = (await callers.operator.get(f"{tenant.v1}/receipts", params={"incomplete": True})).json()["data"]
    assert [each["id"] for each in waiting] == [str(each) for each in reversed(messages) if each != messages[2]]
    refused = await callers.operator.get(f"{tenant.v1}/receipts", params={"cursor": "made up"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")


async def test_whose_receipts(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Another tenant's receipt is not there, the product's key reads none, an incomplete one is no download."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    receipt = await completed(other, owner, settings)
    _, message = await departed(other, owner)
    await settle(other, message)
    for part in ("", "/statement"):
        foreign = await callers.operator.get(f"{tenant.v1}/receipts/{receipt['id']}{part}")
        unknown = await callers.operator.get(f"{tenant.v1}/receipts/{uuid4()}{part}")
        assert (foreign.status_code, foreign.json()["detail"]) == (404, unknown.json()["detail"])
        assert (await callers.product.get(f"{other.v1}/receipts/{receipt['id']}{part}")).status_code == 403
    early = await callers.operator.get(f"{other.v1}/receipts/{message}/statement")
    assert (early.status_code, early.json()["code"]) == (409, "receipt_incomplete")
    assert (await callers.operator.get(f"{other.v1}/receipts/nonsense")).status_code == 404
