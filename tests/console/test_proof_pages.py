"""Proof for outsiders: the bundle of a month from the console, and the public page that verifies a receipt."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest

from cli.shell import Shell
from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import Tenant
from proof.test_receipts import completed
from rollcall.console import verify
from rollcall.db import Connection
from rollcall.settings import Settings

PART = '--x\r\nContent-Disposition: form-data; name="statement"\r\n{}\r\n'
"""The beginning of a part of a form, up to its text."""


async def test_a_bundle(browser: Browser, acme: Tenant, other: Tenant, owner: Connection, settings: Settings) -> None:
    """The page offers the months there are, and sends one's receipts: this tenant's and no other's."""
    await signed_in(browser, acme, acme.admin)
    assert "Download the bundle" not in (await browser.open("/console/departures")).text
    mine, theirs = [await completed(each, owner, settings) for each in (acme, other)]
    page = (await browser.open("/console/departures")).text
    month = re.findall(r'<option value="(\d{4}-\d\d)"', page)[-1]

    answer = await browser.open("/console/departures/bundle", month=month)

    assert answer.headers["content-type"] == "application/zip"
    assert f"departures-{acme.slug}-{month}.zip" in answer.headers["content-disposition"]
    with ZipFile(io.BytesIO(answer.content)) as archive:
        lines = b"".join(archive.read(name) for name in archive.namelist() if name.startswith("receipts/")).decode()
    assert lines.split() == [mine["statement"]]
    assert theirs["statement"] not in lines
    wrong = await browser.open("/console/departures/bundle", month="9999-01")
    assert wrong.status_code == 400
    assert "has not begun" in wrong.text


async def test_whose_bundle(browser: Browser, acme: Tenant) -> None:
    """Who came by a link for departures has it; who came for something else, or is nobody, has not."""
    month = f"{datetime.now(UTC):%Y-%m}"
    assert (await browser.open("/console/departures/bundle", month=month)).status_code == 303
    await entered(browser, await a_link(acme, "departures"))
    assert (await browser.open("/console/departures/bundle", month=month)).status_code == 200
    await entered(browser, await a_link(acme, "roles"))
    assert (await browser.open("/console/departures/bundle", month=month)).status_code == 403


async def test_verifying_without_scripts(browser: Browser, acme: Tenant, owner: Connection, settings: Settings) -> None:
    """Anybody pastes a receipt, or sends its file, and reads whether it is genuine and what it says."""
    receipt = await completed(acme, owner, settings)
    statement = receipt["statement"]
    assert "Paste the receipt" in (await browser.open("/verify")).text

    pasted = await browser.http.post("/verify", data={"statement": f"\n{statement}\n"})
    chosen = await browser.http.post("/verify", files={"file": ("receipt.jws", statement.encode())})

    for page in (pasted, chosen):
        assert page.status_code == 200
        assert "This receipt is genuine" in page.text
        assert receipt["id"] in page.text
        assert f"@{acme.slug}.test" in page.text
        assert "set-cookie" not in page.headers
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?! src)", page.text)


async def test_a_changed_receipt(browser: Browser, acme: Tenant, owner: Connection, settings: Settings) -> None:
    """A receipt of which one byte was changed, wherever, is not genuine, and the page says what to do."""
    statement = (await completed(acme, owner, settings))["statement"]
    last = len(statement) - 1
    for place in (5, statement.index(".") + 40, statement.rindex(".") + 7, last):
        other = "B" if statement[place] != "B" else "C"
        changed = statement[:place] + other + statement[place + 1 :]
        page = await browser.http.post("/verify", data={"statement": changed})
        assert "This receipt is not genuine" in page.text, place
        assert "What to do" in page.text
    assert "not genuine" in (await browser.http.post("/verify", data={"statement": statement + "!"})).text


async def test_what_is_no_receipt(browser: Browser, acme: Tenant) -> None:
    """Nothing, something else and far too much are said to be that."""
    nothing = await browser.http.post("/verify", data={"statement": "  "})
    assert (nothing.status_code, "choose its file" in nothing.text) == (400, True)
    page = await browser.http.post("/verify", data={"statement": "<b>x</b>"})
    assert "This receipt is not genuine" in page.text
    assert "<b>x" not in page.text
    large = await browser.http.post("/verify", data={"statement": "a" * (verify.LARGEST + 1)})
    assert large.status_code == 413
    odd = await browser.http.post("/verify", content=b"\xff\xfe", headers={"Content-Type": "multipart/form-data"})
    assert odd.status_code == 400


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data; boundary=x", PART.format("").encode() + b"\xff\xfe\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            PART.format("Content-Type: text/plain; charset=nope\r\n").encode() + b"a\r\n--x--\r\n",
        ),
    ],
    ids=["no text", "no encoding"],
)
async def test_what_is_no_text(browser: Browser, acme: Tenant, kind: str, content: bytes) -> None:
    """A form of bytes that are no text, or in an encoding that there is not, is answered by the form once more."""
    answer = await browser.http.post("/verify", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "can&#39;t be read as text" in answer.text
    assert "Paste the receipt" in answer.text


async def test_white_space_around_it(
    browser: Browser, acme: Tenant, owner: Connection, settings: Settings, tmp_path: Path
) -> None:
    """What editors and pages leave around a receipt is passed over here and by the command, as in the page."""
    statement = (await completed(acme, owner, settings))["statement"]
    around = f"\ufeff\xa0\u2003\n{statement}\u2028\xa0 \n"
    pasted = await browser.http.post("/verify", data={"statement": around})
    chosen = await browser.http.post("/verify", files={"file": ("receipt.jws", around.encode())})
    assert all("This receipt is genuine" in page.text for page in (pasted, chosen))
    blank = await browser.http.post("/verify", data={"statement": "\ufeff\xa0"})
    assert (blank.status_code, "Paste a receipt, or choose its file" in blank.text) == (400, True)
    for other in ("\x85", "\x1f", "\u200b"):  # no white space to a browser
        assert "not genuine" in (await browser.http.post("/verify", data={"statement": statement + other})).text

    file, keys = tmp_path / "receipt.jws", tmp_path / "keys.json"
    file.write_bytes(around.encode())
    keys.write_bytes((await browser.http.get("/.well-known/receipt-keys.json")).content)
    assert "Verified:" in (await Shell(settings)("receipts", "verify", str(file), "--keys", str(keys))).well
