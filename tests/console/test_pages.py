"""What is true of every page of the console."""

import gzip
import re
from hashlib import sha256

import httpx
import pytest

from console.conftest import Browser, signed_in
from factories import Tenant
from rollcall.console.assets import BASECOAT, FOLDER, ICONS, INTER, LUCIDE

PAGES = {
    "/status": 200,
    "/console/nothing/here": 404,
    "/console/sign-in": 200,
    "/console/sign-in/password": 200,
    "/console/portal?link=x": 200,
    "/console/contact?link=x": 200,
    "/console/operators/sign-in": 200,
    "/console/operators/invitation?link=x": 200,
}


@pytest.mark.parametrize("path", PAGES)
async def test_locked_down(http: httpx.AsyncClient, path: str) -> None:
    """A page runs no script, loads nothing from elsewhere, is framed by nobody and tells nobody where one came from."""
    page = await http.get(path)

    assert page.status_code == PAGES[path]
    policy = page.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not [rule for rule in policy if rule.startswith("script-src") or "unsafe" in rule or "http" in rule]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
async def test_needs_nothing_else(http: httpx.AsyncClient, path: str) -> None:
    """All that a page loads comes from the console itself, and the policy has no reason to block any of it."""
    page = (await http.get(path)).text

    assert not re.search(r"<script|<style|\bstyle=|\bon\w+=|<iframe", page)
    loaded = re.findall(r'<link rel="(?:icon|stylesheet)" href="([^"]+)"', page)
    assert len(loaded) == 3
    assert all(address.startswith(("data:image/svg+xml,", "/console/assets/")) for address in loaded)


@pytest.mark.parametrize("path", PAGES)
async def test_for_everybody(http: httpx.AsyncClient, path: str) -> None:
    """A page has a language, a title, one heading above all, and a way past its top for those without a mouse."""
    page = (await http.get(path)).text

    assert '<html lang="en">' in page
    assert re.search(r"<title>.+ · Rollcall</title>", page)
    assert page.count("<h1") == 1
    assert page.index('href="#content"') < page.index("<header")
    assert 'id="content"' in page


async def test_scripts(browser: Browser, acme: Tenant) -> None:
    """Pages load our scripts where they have some, which may call us alone; none is written into a page."""
    await signed_in(browser, acme, acme.admin)
    account = browser.page
    await browser.send("/console/sign-out")
    wanted = (account, ["console.js", "passkeys.js"]), (await browser.open("/console/sign-in"), ["passkeys.js"])
    for page, names in wanted:
        policy = page.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(
            policy
        )
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        addresses = re.findall(r'<script src="(/console/assets/[a-z]+\.js\?v=\w+)" defer></script>', page.text)
        assert page.text.count("<script") == len(addresses)
        assert [re.split(r"[/?]", address)[3] for address in addresses] == names
        assert not re.search(r"<style|\bstyle=|\bon\w+=|<iframe", page.text)
        for address in addresses:
            loaded = await browser.http.get(address)
            assert loaded.headers["content-type"].startswith("text/javascript")
            assert "immutable" in loaded.headers["cache-control"]


async def test_forms_are_labelled(browser: Browser, acme: Tenant) -> None:
    """Every field has a label or is hidden, what the script says is read out, and a row's button names its row."""
    await signed_in(browser, acme, acme.admin)
    account = browser.page.text
    await browser.send("/console/sign-out")
    for page in (account, (await browser.open("/console/sign-in")).text):
        for field in re.findall(r"<input[^>]*>", page):
            if 'type="hidden"' not in field:
                name = re.search(r'id="(\w+)"', field)
                assert name is not None
                assert f'<label for="{name[1]}">' in page
        assert 'data-message role="status" aria-live="polite"' in page
        assert "<noscript>" in page
    assert re.search(r'Close<span class="unseen"> .+</span></a>', account)


async def test_stylesheets(http: httpx.AsyncClient) -> None:
    """A stylesheet is kept for good under the address that names its content, and asked for anew under any other."""
    page = (await http.get("/status")).text
    theirs, ours = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
    for address in (theirs, ours):
        named, unnamed = await http.get(address), await http.get(address.partition("?")[0] + "?v=older")
        assert named.headers["content-type"] == "text/css; charset=utf-8"
        assert named.headers["content-encoding"] == "gzip"
        assert "immutable" in named.headers["cache-control"]
        assert unnamed.headers["cache-control"] == "no-cache"
        assert named.content == unnamed.content == (await http.get(address, headers={"Accept-Encoding": ""})).content
        assert "@import" not in named.text
        loaded = re.findall(r"url\([\"']?([^)\"']+)", named.text)
        assert all(each.startswith(("data:image/svg+xml", "/console/assets/inter-")) for each in loaded)

    (font,) = re.findall(r'url\("([^"]+)"\)', (await http.get(ours)).text)
    assert "prefers-color-scheme: dark" in (await http.get(ours)).text
    assert (await http.get(font)).headers["content-type"] == "font/woff2"
    assert (await http.get("/console/assets/other.css")).status_code == 404


@pytest.mark.parametrize("folder", [BASECOAT, INTER, LUCIDE])
def test_what_others_made(folder: str) -> None:
    """What is not ours is as its makers published it, with its licence beside it, and all of it is listed."""
    lines = (FOLDER / folder / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split() for line in lines)}
    for name, digest in listed.items():
        packed, plain = FOLDER / folder / f"{name}.gz", FOLDER / folder / name
        content = gzip.decompress(packed.read_bytes()) if packed.is_file() else plain.read_bytes()
        assert sha256(content).hexdigest() == digest, name
    there = {file.name.removesuffix(".gz") for file in (FOLDER / folder).iterdir()}
    assert there == {*listed, "LICENSE", "README.md", "SHA256SUMS"}


def test_icons_are_used() -> None:
    """Every icon that is kept is on some page."""
    templates = "\n".join(file.read_text() for file in (FOLDER.parent / "templates").rglob("*.html"))
    modules = "\n".join(file.read_text() for file in FOLDER.parent.glob("*.py"))
    assert {name for name in ICONS if f'"{name}"' not in templates + modules} == set()


async def test_no_such_page(http: httpx.AsyncClient) -> None:
    """An address without a page is told so by a page that leads back and does not repeat what was asked for."""
    page = await http.get("/console/<script>alert(1)</script>")

    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="/console/"' in page.text
    assert "alert" not in page.text
    assert page.headers["x-request-id"] in page.text


async def test_front_door(http: httpx.AsyncClient) -> None:
    """Whoever types the bare address is led to the console."""
    answer = await http.get("/")

    assert (answer.status_code, answer.headers["location"]) == (302, "/console/")
