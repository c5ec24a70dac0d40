"""The signing keys: made once, published before they sign, and kept for as long as something is checked with them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from factories import Callers, a_tenant
from rollcall.crypto import Sealer, new_secret_key
from rollcall.db import Connection, Database
from rollcall.errors import NotFound
from rollcall.proof import pairs, signing
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

ORIGIN = RequestOrigin(request_id="test")


@pytest_asyncio.fixture(autouse=True)
async def one_key(database: Database, owner: Connection, settings: Settings) -> AsyncGenerator[None]:
    """Each test begins with one key of each algorithm that signs, and leaves so."""
    yield
    await only_first_keys(database, owner, settings)


async def only_first_keys(database: Database, owner: Connection, settings: Settings) -> None:
    await owner.execute("DELETE FROM signing_keys")
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await signing.ensure_keys(fleet, Sealer.of(settings))


async def rotated(database: Database, settings: Settings, *, lead: timedelta = signing.LEAD) -> str:
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return (await signing.rotate(fleet, Sealer.of(settings), lead=lead)).kid


async def published(http: httpx.AsyncClient, name: str = "jwks", *, algorithm: str = "RS256") -> list[str]:
    keys = (await http.get(f"/.well-known/{name}.json")).json()["keys"]
    return [key["kid"] for key in keys if key["alg"] == algorithm]


async def signed(
    callers: Callers, settings: Settings, algorithms: Sequence[pairs.Algorithm] = signing.FOR_TOKENS
) -> str:
    tenant = await a_tenant(callers)
    async with tenant.work() as work:
        return await signing.sign(work, Sealer.of(settings), algorithms, kind="test+jwt", claims={"said": "so"})


def kid_of(statement: str) -> str:
    return jws.extract_compact(statement.encode()).headers()["kid"]


async def test_published_keys(http: httpx.AsyncClient, callers: Callers, settings: Settings) -> None:
    """The key set says what OpenID clients ask for, may be cached for a while, and holds nothing private."""
    answer = await http.get("/.well-known/jwks.json")
    keys = {key["kid"]: key for key in answer.json()["keys"]}
    for key in keys.values():
        public = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}}[key["kty"]]
        assert key.keys() == {"kty", "kid", "use", "alg"} | public
        assert (key["kty"], key["use"], key["alg"]) in {("RSA", "sig", "RS256"), ("EC", "sig", "ES256")}
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    statement = await signed(callers, settings)
    key = keys[kid_of(statement)]
    proven = jws.deserialize_compact(statement, RSAKey.import_key(key), algorithms=["RS256"])
    assert (json.loads(proven.payload), proven.headers()["typ"]) == ({"said": "so"}, "test+jwt")


async def test_a_new_key_waits(
    http: httpx.AsyncClient, callers: Callers, database: Database, owner: Connection, settings: Settings
) -> None:
    """A new key is published at once and signs when every cache knows it; the old one stays to verify with."""
    (old,) = await published(http)
    new = await rotated(database, settings)
    assert await published(http) == [new, old]
    assert kid_of(await signed(callers, settings)) == old
    await owner.execute("UPDATE signing_keys SET active_from = active_from - interval '10 minutes'")
    await owner.execute("UPDATE signing_keys SET retired_at = retired_at - interval '10 minutes'")
    assert kid_of(await signed(callers, settings)) == new
    assert await published(http) == [new, old]


async def test_at_once(http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings) -> None:
    """In a hurry the new key signs from the next statement on."""
    (old,) = await published(http)
    new = await rotated(database, settings, lead=timedelta())
    assert kid_of(await signed(callers, settings)) == new != old


async def test_a_key_that_waits_already(
    http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings
) -> None:
    """While one waits no other is made; in a hurry the one that waits begins."""
    waiting = await rotated(database, settings)
    with pytest.raises(signing.KeyWaiting, match="--now"):
        await rotated(database, settings)
    assert await rotated(database, settings, lead=timedelta()) == waiting
    assert kid_of(await signed(callers, settings)) == waiting
    assert len(await published(http)) == 2


async def test_how_long_a_key_is_published(
    http: httpx.AsyncClient, database: Database, owner: Connection, settings: Settings
) -> None:
    """Ninety days after its successor took over a key leaves the key set; for receipts it is kept for good."""
    (old,) = await published(http)
    new = await rotated(database, settings, lead=timedelta())
    for days, expected in ((89, [new, old]), (91, [new])):
        await owner.execute(
            "UPDATE signing_keys SET retired_at = clock_timestamp() - make_interval(days => $1) WHERE kid = $2",
            days,
            old,
        )
        assert await published(http) == expected
        assert await published(http, "receipt-keys") == [new, old]


async def test_made_once(database: Database, owner: Connection, settings: Settings, http: httpx.AsyncClient) -> None:
    """Several processes that find no key make one of each algorithm."""
    await owner.execute("DELETE FROM signing_keys")

    async def ensure() -> None:
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            await signing.ensure_keys(fleet, Sealer.of(settings))

    await asyncio.gather(*(ensure() for _ in range(4)))
    assert [len(await published(http, algorithm=each)) for each in ("RS256", "ES256")] == [1, 1]


async def test_a_key_of_receipts(
    http: httpx.AsyncClient, callers: Callers, database: Database, owner: Connection, settings: Settings
) -> None:
    """Receipts are signed by a key of their own; where there is none, by that of logout tokens, until one is made."""
    (tokens,), (of_receipts,) = await published(http), await published(http, algorithm="ES256")
    assert kid_of(await signed(callers, settings, signing.FOR_RECEIPTS)) == of_receipts
    assert kid_of(await signed(callers, settings)) == tokens
    await owner.execute("DELETE FROM signing_keys WHERE kid = $1", of_receipts)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        await signing.ensure_keys(fleet, Sealer.of(settings))
    assert kid_of(await signed(callers, settings, signing.FOR_RECEIPTS)) == tokens, "from before, and left so"

    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        new = await signing.rotate(fleet, Sealer.of(settings), algorithm=pairs.Algorithm.ES256)
    assert await published(http, algorithm="ES256") == [new.kid]
    assert kid_of(await signed(callers, settings, signing.FOR_RECEIPTS)) == tokens, "no cache knows the new one"
    await owner.execute("UPDATE signing_keys SET active_from = active_from - interval '10 minutes'")
    await owner.execute("UPDATE signing_keys SET retired_at = retired_at - interval '10 minutes'")
    assert kid_of(await signed(callers, settings, signing.FOR_RECEIPTS)) == new.kid
    assert kid_of(await signed(callers, settings)) == tokens, "it goes on"

    assert await revoked(database, settings, new.kid) not in (tokens, new.kid)
    assert kid_of(await signed(callers, settings, signing.FOR_RECEIPTS)) not in (tokens, new.kid)
    assert (await published(http), kid_of(await signed(callers, settings))) == ([tokens], tokens)


async def test_no_key(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Without any key nothing is signed, and the error says which command makes one."""
    await owner.execute("DELETE FROM signing_keys")
    with pytest.raises(signing.NoSigningKey, match="rollcall migrate"):
        await signed(callers, settings)


async def test_sealed(owner: Connection, settings: Settings) -> None:
    """The database holds no private key that could be used without the settings."""
    sealed = await owner.fetchval("SELECT sealed_private_key FROM signing_keys")
    assert "PRIVATE KEY" not in sealed
    assert b"PRIVATE KEY" in Sealer.of(settings).open(sealed)
    public = await owner.fetchval("SELECT public_jwk FROM signing_keys")
    assert json.loads(public).keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi"})


async def test_another_key_does_not_verify(http: httpx.AsyncClient, callers: Callers, settings: Settings) -> None:
    """A statement is verified by the key that signed it and by no other."""
    statement = await signed(callers, settings)
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(statement, RSAKey.generate_key(2048), algorithms=["RS256"])


async def test_written_down(callers: Callers, database: Database, settings: Settings) -> None:
    """A new key stands in the installation's audit, without anything secret."""
    new = await rotated(database, settings)
    answer = await callers.operator.get("/v1/audit", params={"action": "signing_key.published", "limit": 1})
    (entry,) = answer.json()["data"]
    assert (entry["target"], entry["payload"]["kid"]) == (new, new)
    assert entry["payload"].keys() == {"kid", "active_from"}


async def test_doctor(settings: Settings, tmp_path: Path) -> None:
    """The doctor says whether the settings still open what was sealed."""
    other = settings.model_copy(update={"secret_keys": (SecretStr(new_secret_key()),)})
    well, ill = await asyncio.gather(
        *(asyncio.to_thread(rollcall, each, tmp_path, "doctor") for each in (settings, other))
    )
    assert "ok       keys: the first of ROLLCALL_SECRET_KEYS opens everything that is stored" in well.stdout
    assert "failed   keys: ROLLCALL_SECRET_KEYS does not open what is stored" in ill.stdout
    assert ill.returncode == 1
    for key in (*settings.secret_keys, *other.secret_keys):
        assert key.get_secret_value() not in ill.stdout + ill.stderr


def rollcall(settings: Settings, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Type a command as ops."""
    environment: dict[str, Any] = os.environ | {
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": ",".join(key.get_secret_value() for key in settings.secret_keys),
        "ROLLCALL_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "rollcall", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


async def test_commands(settings: Settings, http: httpx.AsyncClient, tmp_path: Path) -> None:
    """Ops list keys, replace one, and print all of them for whoever verifies receipts."""
    made = await asyncio.to_thread(rollcall, settings, tmp_path, "signing-keys", "rotate")
    assert made.returncode == 0, made.stderr
    new, old = await published(http)
    assert made.stdout.startswith(f"{new} is published")
    listed, keys = await asyncio.gather(
        asyncio.to_thread(rollcall, settings, tmp_path, "signing-keys", "list"),
        asyncio.to_thread(rollcall, settings, tmp_path, "receipts", "keys"),
    )
    states = {line.split()[0]: line.split()[1] for line in listed.stdout.splitlines()}
    assert (states[new], states[old]) == ("waiting", "signing")
    assert [key["kid"] for key in json.loads(keys.stdout)["keys"] if key["alg"] == "RS256"] == [new, old]


async def revoked(database: Database, settings: Settings, kid: str) -> str:
    """Withdraw a key; returns the one that signs."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        return (await signing.revoke(fleet, Sealer.of(settings), kid)).kid


async def test_revoked(
    http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings, tmp_path: Path
) -> None:
    """A key that others may have leaves every key set at once, another signs, and the audit says so; twice is once."""
    (stolen,) = await published(http)
    new = await revoked(database, settings, stolen)
    assert await revoked(database, settings, stolen) == new
    assert kid_of(await signed(callers, settings)) == new != stolen
    assert await published(http) == await published(http, "receipt-keys") == [new]
    said = (await http.get("/.well-known/receipt-keys.json")).json()["revoked"]
    assert [each["kid"] for each in said] == [stolen]
    answer = await callers.operator.get("/v1/audit", params={"action": "signing_key.revoked", "limit": 5})
    assert [entry["target"] for entry in answer.json()["data"]].count(stolen) == 1
    with pytest.raises(NotFound):
        await revoked(database, settings, "nobody's")


async def test_successor_of_a_revoked_key(
    http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings
) -> None:
    """If a successor waits already it signs at once; if that one is withdrawn, the present one goes on as before."""
    (first,) = await published(http)
    waiting = await rotated(database, settings)
    assert await revoked(database, settings, first) == waiting
    assert kid_of(await signed(callers, settings)) == waiting

    stolen = await rotated(database, settings)
    assert await revoked(database, settings, stolen) == waiting
    assert await published(http) == [waiting]
    next_one = await rotated(database, settings)
    assert (await published(http), kid_of(await signed(callers, settings))) == ([next_one, waiting], waiting)


async def test_two_revoke_and_rotate_at_once(
    http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings
) -> None:
    """However withdrawals and a rotation meet, one key signs afterwards and it is not the one that is gone."""
    (stolen,) = await published(http)
    await asyncio.gather(
        revoked(database, settings, stolen),
        revoked(database, settings, stolen),
        rotated(database, settings, lead=timedelta()),
    )
    keys = await published(http)
    assert stolen not in keys
    assert kid_of(await signed(callers, settings)) == keys[0]


async def test_what_a_revoked_key_signed(
    http: httpx.AsyncClient, callers: Callers, database: Database, settings: Settings, tmp_path: Path
) -> None:
    """Off-line, a receipt that a withdrawn key signed is refused with the reason, whatever else is right about it."""
    tenant = await a_tenant(callers)
    async with tenant.work() as work:
        statement = await signing.sign(
            work, Sealer.of(settings), signing.FOR_RECEIPTS, kind="receipt+jwt", claims={"iss": "x"}
        )
    await revoked(database, settings, kid_of(statement))
    (tmp_path / "receipt.jws").write_text(statement)
    (tmp_path / "keys.json").write_text((await http.get("/.well-known/receipt-keys.json")).text)

    result = await asyncio.to_thread(rollcall, settings, tmp_path, "receipts", "verify", "receipt.jws")

    assert result.returncode == 1
    assert result.stderr.startswith(f"NOT VERIFIED. The key '{kid_of(statement)}' was revoked (20")


async def test_revoke_command(settings: Settings, http: httpx.AsyncClient, tmp_path: Path) -> None:
    """Ops withdraw a key by its id."""
    (stolen,) = await published(http)
    done = await asyncio.to_thread(rollcall, settings, tmp_path, "signing-keys", "revoke", stolen, "--yes")
    assert done.returncode == 0, done.stderr
    (new,) = await published(http)
    assert (stolen in done.stdout, new in done.stdout) == (True, True)
    listed = await asyncio.to_thread(rollcall, settings, tmp_path, "signing-keys", "list")
    states = {line.split()[0]: line.split()[1] for line in listed.stdout.splitlines()}
    assert (states[stolen], states[new]) == ("revoked", "signing")
    assert (await asyncio.to_thread(rollcall, settings, tmp_path, "signing-keys", "revoke", "x")).returncode == 1


async def sealed_texts(owner: Connection) -> list[str]:
    """Everything that is sealed and good: the private keys, and the secrets of webhooks that are not removed."""
    rows = await owner.fetch(
        "SELECT sealed_private_key AS sealed FROM signing_keys UNION ALL SELECT e ->> 'sealed' "
        "FROM destinations, jsonb_array_elements(secrets) e WHERE deleted_at IS NULL "
        "AND coalesce((e ->> 'until')::timestamptz > now(), true)"
    )
    return [row["sealed"] for row in rows]


@pytest.mark.slow
async def test_reseal(
    callers: Callers, database: Database, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Everything stored is brought under the first key, so that the others can go; the doctor tells how it stands."""
    tenant = await a_tenant(callers)
    for address in (f"{tenant.v1}/destinations", "/v1/destinations"):
        wanted = {"kind": "webhook", "url": "https://8.8.8.8/hook", "label": "x"}
        made = await callers.operator.post(address, json=wanted)
        assert made.status_code == 201, made.text
    new = SecretStr(new_secret_key())
    both = settings.model_copy(update={"secret_keys": (new, *settings.secret_keys)})
    only_new = settings.model_copy(update={"secret_keys": (new,)})
    before = sorted(Sealer.of(settings).open(text) for text in await sealed_texts(owner))
    try:
        assert "takes an older key" in (await asyncio.to_thread(rollcall, both, tmp_path, "doctor")).stdout
        lost = await asyncio.to_thread(rollcall, only_new, tmp_path, "secret", "reseal")
        assert (lost.returncode, "can't be opened" in lost.stderr) == (1, True)
        assert sorted(Sealer.of(settings).open(text) for text in await sealed_texts(owner)) == before

        first, again = [await asyncio.to_thread(rollcall, both, tmp_path, "secret", "reseal") for _ in range(2)]

        assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
        assert first.stdout.startswith(f"{len(before)} resealed; 0 were")
        assert again.stdout.startswith("0 resealed")
        assert sorted(Sealer.of(only_new).open(text) for text in await sealed_texts(owner)) == before
        assert (
            "first of ROLLCALL_SECRET_KEYS" in (await asyncio.to_thread(rollcall, only_new, tmp_path, "doctor")).stdout
        )
        assert kid_of(await signed(callers, only_new)) == (await published(http))[0]
        for key in (*both.secret_keys,):
            assert key.get_secret_value() not in first.stdout + first.stderr
    finally:
        back = settings.model_copy(update={"secret_keys": (*settings.secret_keys, new)})
        await asyncio.to_thread(rollcall, back, tmp_path, "secret", "reseal")
        await owner.execute("UPDATE destinations SET deleted_at = now(), secrets = '[]' WHERE label = 'x'")


async def test_a_fresh_key(settings: Settings, tmp_path: Path) -> None:
    """The command alone still prints a key that seals."""
    printed = await asyncio.to_thread(rollcall, settings, tmp_path, "secret")
    assert Sealer([printed.stdout.strip()]).seal(b"x")
