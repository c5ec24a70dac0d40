"""What is true of every page of the console."""

import re

import httpx
import pytest

PAGES = {"/console/": 200, "/console/nothing/here": 404}


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
    assert len(loaded) == 2
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


async def test_stylesheet(http: httpx.AsyncClient) -> None:
    """The stylesheet is kept for good under the address that names its content, and asked for anew under any other."""
    page = (await http.get("/console/")).text
    address = re.findall(r'rel="stylesheet" href="([^"]+)"', page)[0]

    named, unnamed = await http.get(address), await http.get("/console/assets/console.css?v=older")

    assert named.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in named.headers["cache-control"]
    assert unnamed.headers["cache-control"] == "no-cache"
    assert named.content == unnamed.content
    assert "prefers-color-scheme: dark" in named.text
    assert "url(" not in named.text
    assert "@import" not in named.text
    assert (await http.get("/console/assets/other.css")).status_code == 404


async def test_no_such_page(http: httpx.AsyncClient) -> None:
    """An address without a page is told so by a page that leads back and does not repeat what was asked for."""
    page = await http.get("/console/<script>alert(1)</script>")

    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="/console/"' in page.text
    assert "alert" not in page.text
    assert page.headers["x-request-id"] in page.text
