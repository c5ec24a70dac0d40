"""Bundles: a month's receipts in a ZIP that anybody verifies off-line, and that nobody changes unnoticed."""

import io
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import httpx
import pytest
from litestar import Litestar

from cli.shell import Shell
from factories import Callers, Tenant, a_tenant
from proof.test_receipts import completed, departed, settle
from rollcall.access import ways_in
from rollcall.crypto import Sealer
from rollcall.db import Connection
from rollcall.proof import bundle_page, bundle_verifying, bundles, verifying
from rollcall.proof.bundles import Bundle, Maker
from rollcall.proof.verifying import NotVerified
from rollcall.settings import Settings
from rollcall.work import Work

AGED = "UPDATE receipts SET closed_at = closed_at - interval '2 months' WHERE tenant_id = $1 AND id = $2"
MOVED = "UPDATE receipts SET closed_at = $3 WHERE tenant_id = $1 AND id = $2"

MANY = """
INSERT INTO receipts (tenant_id, id, account_id, epoch, reason, request_id, transaction_id, arrived_at, closed_at,
                      closed, settled_at, purged, destinations, completed_at, statement)
SELECT tenant_id, uuidv7(), account_id, epoch, reason, request_id, transaction_id, arrived_at,
       closed_at, closed, settled_at, purged, destinations, completed_at,
       statement || md5(n::text) || md5(random()::text)
  FROM receipts, generate_series(1, $2) AS n WHERE tenant_id = $1
"""


async def left(tenant: Tenant, owner: Connection, settings: Settings, *, number: int = 1) -> list[dict[str, Any]]:
    """The complete receipts of some who just left, all in one month."""
    while True:
        receipts = [await completed(tenant, owner, settings) for _ in range(number)]
        if len({this_month(each) for each in receipts}) == 1:
            return receipts


def this_month(receipt: dict[str, Any]) -> str:
    """The month in which somebody left, by UTC."""
    return f"{datetime.fromisoformat(receipt['closed_at']).astimezone(UTC):%Y-%m}"


async def fetched(tenant: Tenant, month: str) -> bytes:
    """The bundle as the management API sends it."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/receipts/bundle", params={"month": month})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert f"departures-{tenant.slug}-{month}.zip" in answer.headers["content-disposition"]
    return answer.content


def rewritten(bundle: bytes, *, packings: Mapping[str, int] | None = None, **changed: bytes | None) -> bytes:
    """The bundle with other files in it, by the beginning of their names; None leaves one out."""
    out = io.BytesIO()
    with ZipFile(io.BytesIO(bundle)) as before, ZipFile(out, "w", ZIP_DEFLATED) as after:
        for name in before.namelist():
            new = changed.pop(name.partition(".")[0].partition("/")[0], before.read(name))
            if new is not None:
                after.writestr(name, new, (packings or {}).get(name))
        for name, new in changed.items():
            after.writestr(f"{name}.txt", new or b"")
    return out.getvalue()


def test_every_class_has_a_word() -> None:
    """The page for auditors names every class of ways in that a departure closes."""
    assert tuple(bundle_page.CLASSES) == ways_in.NAMES


async def test_a_month(callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient) -> None:
    """The ZIP has the month's receipts as they were signed, this tenant's alone, and all of it verifies."""
    tenant, other = await a_tenant(callers), await a_tenant(callers)
    _, waiting = await departed(tenant, owner)
    await settle(tenant, waiting)
    receipts = await left(tenant, owner, settings, number=2)
    (foreign,) = await left(other, owner, settings)
    month = this_month(receipts[0])
    await owner.execute(MOVED, UUID(tenant.id), UUID(str(waiting)), datetime.fromisoformat(receipts[0]["closed_at"]))

    bundle = await fetched(tenant, month)

    with ZipFile(io.BytesIO(bundle)) as archive:
        assert archive.testzip() is None
        lines = [
            line
            for name in archive.namelist()
            if name.startswith("receipts/")
            for line in archive.read(name).decode().splitlines()
        ]
        page = archive.read("index.html").decode()
        keys = archive.read("keys.json")
    assert lines == [each["statement"] for each in receipts]
    assert foreign["statement"] not in lines
    trusted = verifying.read_keys(keys)
    assert [verifying.verify(line, trusted)["jti"] for line in lines] == [each["id"] for each in receipts]
    assert "<script" not in page
    assert "1 more</strong> of the month are not in it" in page
    for each in receipts:
        assert each["id"] in page
    assert re.search(r"Sessions</th><td>2</td><td>2</td><td>\d+\.\d{3} s<", page)
    assert re.search(r"Logout</th><td>2</td><td>2</td><td>360.000 s<", page)


async def test_verified_off_line(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """What the command writes verifies by the command, with the keys of the installation or those inside."""
    tenant, shell = await a_tenant(callers), Shell(settings)
    month = this_month((await left(tenant, owner, settings))[0])
    file, keys = tmp_path / "month.zip", tmp_path / "keys.json"
    said = (await shell("receipts", "bundle", tenant.slug, month, "--out", str(file))).well
    assert said == f"Written to {file}: 1 receipt.\n"
    assert not file.with_name("month.zip.part").exists()
    keys.write_bytes(ZipFile(file).read("keys.json"))

    shown = (await shell("receipts", "verify", str(file), "--keys", str(keys))).well

    assert "Verified: nothing of this bundle was changed" in shown
    assert f"{month}, made" in shown
    assert "1, each verified" in shown
    keys.write_text('{"keys": []}')
    assert "not among those given" in (await shell("receipts", "verify", str(file), "--keys", str(keys))).refusal
    unwritable = await shell("receipts", "bundle", tenant.slug, month, "--out", str(tmp_path / "no" / "x.zip"))
    assert "Choose another --out" in unwritable.refusal


async def test_tampered(
    callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    """A bundle of which anything was changed, added or taken out does not verify, and the message says what."""
    tenant = await a_tenant(callers)
    (receipt,) = await left(tenant, owner, settings)
    bundle = await fetched(tenant, this_month(receipt))
    trusted = verifying.read_keys(ZipFile(io.BytesIO(bundle)).read("keys.json"))
    manifest = ZipFile(io.BytesIO(bundle)).read("manifest.jws")
    changed = manifest[:-30] + (b"A" if manifest[-30:-29] != b"A" else b"B") + manifest[-29:]
    file = tmp_path / "bundle.zip"

    def refusal(content: bytes) -> str:
        file.write_bytes(content)
        with pytest.raises(NotVerified) as refused:
            bundle_verifying.verify(str(file), trusted)
        return str(refused.value)

    file.write_bytes(rewritten(bundle))
    assert bundle_verifying.verify(str(file), trusted)["receipts"] == 1
    assert "index.html of the bundle has been changed" in refusal(rewritten(bundle, index=b"<p>nobody left"))
    assert ".jws of the bundle has been changed" in refusal(rewritten(bundle, receipts=b"nothing\n"))
    assert "added or taken out" in refusal(rewritten(bundle, receipts=None))
    assert "added or taken out" in refusal(rewritten(bundle, more=b"x"))
    assert "no manifest.jws" in refusal(rewritten(bundle, manifest=None))
    assert "changed after it was signed" in refusal(rewritten(bundle, manifest=changed))
    assert "type has to be" in refusal(rewritten(bundle, manifest=receipt["statement"].encode()))
    assert "damaged" in refusal(bundle[: len(bundle) // 2])


@pytest.fixture
async def made(callers: Callers, owner: Connection, settings: Settings, http: httpx.AsyncClient) -> bytes:
    """A bundle of one receipt."""
    tenant = await a_tenant(callers)
    (receipt,) = await left(tenant, owner, settings)
    return await fetched(tenant, this_month(receipt))


def refusal_of(content: bytes, file: Path, made: bytes) -> str:
    """Why these bytes are no bundle, by the keys of the one that was made."""
    file.write_bytes(content)
    with pytest.raises(NotVerified) as refused:
        bundle_verifying.verify(str(file), verifying.read_keys(ZipFile(io.BytesIO(made)).read("keys.json")))
    return str(refused.value)


@pytest.mark.parametrize("packing", [ZIP_BZIP2, ZIP_LZMA])
def test_a_bomb(made: bytes, tmp_path: Path, packing: int) -> None:
    """What is packed so that it unpacks without a bound is refused before anything of it is unpacked."""
    for name in ("manifest.jws", "index.html"):
        bomb = rewritten(made, packings={name: packing}, **{name.partition(".")[0]: b"A" * 3_000_000})
        assert len(bomb) < 20_000
        assert f"{name} is packed as no file of a bundle is" in refusal_of(bomb, tmp_path / "x.zip", made)
    large = rewritten(made, manifest=b"A" * (verifying.LARGEST + 1))
    assert "too large" in refusal_of(large, tmp_path / "x.zip", made)


def test_a_damaged_byte(made: bytes, tmp_path: Path) -> None:
    """Whichever byte was damaged on its way, the answer is that the bundle does not verify, and no crash."""
    file = tmp_path / "x.zip"
    trusted = verifying.read_keys(ZipFile(io.BytesIO(made)).read("keys.json"))
    said: set[str] = set()
    for place in range(0, len(made), 11):
        file.write_bytes(made[:place] + bytes([made[place] ^ 0xFF]) + made[place + 1 :])
        try:
            bundle_verifying.verify(str(file), trusted)
        except NotVerified as reason:
            said.add(str(reason))
    assert any("Error -3 while decompressing" in each for each in said)


def test_what_nobody_signed(made: bytes, tmp_path: Path) -> None:
    """A ZIP's comments, extra fields and the bytes around its files are in no digest, so a bundle has none."""
    file = tmp_path / "x.zip"

    def with_more(**more: bytes) -> bytes:
        out = io.BytesIO()
        with ZipFile(io.BytesIO(made)) as before, ZipFile(out, "w", ZIP_DEFLATED) as after:
            for name in before.namelist():
                entry = ZipInfo(name)
                entry.comment, entry.extra = more.get("entry", b""), more.get("extra", b"")
                after.writestr(entry, before.read(name))
            after.comment = more.get("archive", b"")
        return out.getvalue()

    file.write_bytes(with_more())
    assert bundle_verifying.verify(str(file), verifying.read_keys(ZipFile(file).read("keys.json")))["receipts"] == 1
    for changed in (
        with_more(archive=b"Nobody left."),
        with_more(entry=b"Nobody left."),
        with_more(extra=b"\xfe\xca\x04\x00left"),
        b"Nobody left." + made,
        made + b"Nobody left.",
    ):
        assert "more in it than its signed files" in refusal_of(changed, file, made)
    manifest = ZipFile(io.BytesIO(made)).read("manifest.jws").decode()
    wrapped = json.dumps({"note": "Nobody left.", "statement": manifest}).encode()
    assert "This is no bundle" in refusal_of(rewritten(made, manifest=wrapped), file, made)


async def test_not_settled(
    callers: Callers, owner: Connection, settings: Settings, maker: Callable[[Tenant], Maker]
) -> None:
    """Who left and has no receipt yet is counted as missing; whose is settled while it is made is not counted twice."""
    tenant = await a_tenant(callers)
    while True:
        (receipt,) = await left(tenant, owner, settings)
        _, message = await departed(tenant, owner)
        closed_at = await owner.fetchval("SELECT payload ->> 'closed_at' FROM outbox WHERE id = $1", message)
        if this_month({"closed_at": closed_at}) == (month := this_month(receipt)):
            break
        await settle(tenant, message)

    with ZipFile(io.BytesIO(await fetched(tenant, month))) as archive:
        page = archive.read("index.html").decode()
        manifest = archive.read("manifest.jws").decode()
    assert "1 more</strong> of the month are not in it" in page
    said = json.loads(urlsafe_b64decode(manifest.split(".")[1] + "=="))
    assert (said["receipts"], said["incomplete"]) == (1, 1)
    with ZipFile(io.BytesIO(await fetched(tenant, "2001-01"))) as archive:
        assert "Every departure of the month" in archive.read("index.html").decode()

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Work]:
        async with tenant.work() as work:
            yield work
        await settle(tenant, message)

    bundle = Bundle(replace(maker(tenant), opened=opened), date.fromisoformat(f"{month}-01"))
    assert [piece async for piece in bundle.pieces()]
    assert (bundle.receipts, bundle.incomplete) == (1, 1)


async def test_which_receipts_count(callers: Callers, owner: Connection, settings: Settings) -> None:
    """A month is that of UTC in which everything was closed; another month's departures are not in it."""
    tenant = await a_tenant(callers)
    now, before = await left(tenant, owner, settings, number=2)
    await owner.execute(AGED, UUID(tenant.id), UUID(before["id"]))

    bundle = await fetched(tenant, this_month(now))

    with ZipFile(io.BytesIO(bundle)) as archive:
        (name,) = [each for each in archive.namelist() if each.startswith("receipts/")]
        assert archive.read(name).decode() == f"{now['statement']}\n"
    async with tenant.work() as work:
        months = await bundles.months(work)
    assert f"{months[-3]:%Y-%m}" == this_month(now)
    assert months[0] == work.now.date().replace(day=1)


@pytest.mark.parametrize("month", ["2026-13", "nonsense", "9999-12", "2026-1", "1979-12", "0001-01"])
async def test_no_such_month(callers: Callers, month: str) -> None:
    """What is no month, has not begun, or is of a year that no ZIP can name is refused before anything is sent."""
    tenant = await a_tenant(callers)
    answer = await callers.operator.get(f"{tenant.v1}/receipts/bundle", params={"month": month})
    assert (answer.status_code, answer.json()["param"]) == (400, "month")


async def test_a_month_without_departures(callers: Callers, tmp_path: Path) -> None:
    """A bundle of nobody is one too: it proves that there was nobody."""
    tenant = await a_tenant(callers)
    (tmp_path / "x.zip").write_bytes(await fetched(tenant, f"{datetime.now(UTC):%Y-%m}"))
    trusted = verifying.read_keys(ZipFile(tmp_path / "x.zip").read("keys.json"))
    assert bundle_verifying.verify(str(tmp_path / "x.zip"), trusted)["receipts"] == 0


@pytest.fixture
def maker(app: Litestar, settings: Settings) -> Callable[[Tenant], Maker]:
    """What bundles of a tenant are made with."""
    return lambda tenant: Maker(tenant.work, app.state.database.pool, Sealer.of(settings), settings.public_url)


async def test_many(callers: Callers, owner: Connection, settings: Settings, maker: Callable[[Tenant], Maker]) -> None:
    """Of thousands only some are held at once: no piece is large, and no work is open while somebody takes one."""
    tenant = await a_tenant(callers)
    (receipt,) = await left(tenant, owner, settings)
    await owner.execute(MANY, UUID(tenant.id), 3_000)
    held: list[bool] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Work]:
        held.append(True)
        async with tenant.work() as work:
            yield work
        held.pop()

    bundle = Bundle(replace(maker(tenant), opened=opened), date.fromisoformat(f"{this_month(receipt)}-01"))
    sizes: list[int] = []
    async for piece in bundle.pieces():
        assert not held
        sizes.append(len(piece))
    assert bundle.receipts == 3_001
    assert len(sizes) > 3_000 / bundles.AT_ONCE
    assert max(sizes) < 100 * bundles.AT_ONCE + 100_000
