"""/v1/docs: a page to read and try the management API that needs no other server, and the files it is made of."""

import gzip
import re
import tarfile
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import orjson
import pytest
from hatchling.builders.sdist import SdistBuilder  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from hatchling.builders.wheel import WheelBuilder  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall.api.docs.assets import ASSETS

PROJECT = Path(__file__).parents[2]
SCALAR = Path("src/rollcall/api/docs/scalar")
VENDORED = {"LICENSE", "README.md", "SHA256SUMS", "standalone.js.gz"}


def test_scalar_is_what_its_makers_built() -> None:
    """What is sent as Scalar has the digest beside it, and its licence and version stand there too."""
    digest, name = (PROJECT / SCALAR / "SHA256SUMS").read_text().split()
    content = gzip.decompress((PROJECT / SCALAR / f"{name}.gz").read_bytes())

    assert sha256(content).hexdigest() == digest, "bring it anew: scripts/scalar VERSION"
    assert {each.name for each in (PROJECT / SCALAR).iterdir()} == VENDORED
    version = re.match(r"# Scalar API Reference (\d+\.\d+\.\d+)\n", (PROJECT / SCALAR / "README.md").read_text())
    assert version is not None
    assert f'"{version[1]}"'.encode() in content or f"`{version[1]}`".encode() in content
    assert "Copyright (c) 2023-present Scalar" in (PROJECT / SCALAR / "LICENSE").read_text()


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_packages_contain_it(builder: Any, tmp_path: Path) -> None:
    """Whoever installs Rollcall, from a wheel or from the source, has the page's files as they are here."""
    (built,) = builder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"])
    inside: dict[str, bytes] = {}
    if built.endswith(".whl"):
        with ZipFile(built) as wheel:
            inside = {name: wheel.read(name) for name in wheel.namelist() if "/api/docs/" in name}
    else:
        with tarfile.open(built) as source:
            for member in source:
                if "/api/docs/" in member.name and (opened := source.extractfile(member)):
                    inside[member.name] = opened.read()

    wanted = [SCALAR / name for name in VENDORED] + [SCALAR.parent / name for name in ("docs.js", "page.html")]
    for path in wanted:
        place = str(path).removeprefix("src/")
        found = [content for name, content in inside.items() if name.endswith(place)]
        assert found == [(PROJECT / path).read_bytes()], path


async def test_page_needs_no_other_server(http: httpx.AsyncClient) -> None:
    """All that the page loads is served here, and its policy forbids the rest; so it works offline."""
    page = await http.get("/v1/docs")

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert not [rule for rule in policy if "unsafe" in rule or "http" in rule]
    assert not re.search(r"<style|\bstyle=|\bonclick=|<script[^>]*>[^<]", page.text)
    loaded = re.findall(r'<(?:script|link)\b[^>]* (?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for address in loaded:
        if not address.startswith("data:"):
            assert address.startswith("/v1/docs/assets/")
            asset = await http.get(address)
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
    assert re.findall(r'\b(?:data-url|href)="(/[^"]+)"', page.text) == ["/v1/openapi.json"] * 2


async def test_what_scalar_offers_elsewhere_is_off(http: httpx.AsyncClient) -> None:
    """Scalar is told to load no fonts, to report nothing, to use no proxy, to ask no assistant and to keep no key."""
    page = await http.get("/v1/docs")

    told = re.search(r'data-configuration="([^"]+)"', page.text)
    assert told is not None
    options = orjson.loads(unescape(told[1]))
    assert (options["withDefaultFonts"], options["telemetry"], options["persistAuth"]) == (False, False, False)
    assert (options["proxyUrl"], options["hideClientButton"]) == ("", True)
    assert options["agent"]["disabled"]
    assert options["mcp"]["disabled"]


async def test_each_page_has_a_nonce_of_its_own(http: httpx.AsyncClient) -> None:
    """What lets stylesheets through stands in the page and in its policy, differs each time, and lets no script in."""
    seen: set[str] = set()
    for _ in range(3):
        page = await http.get("/v1/docs")
        nonce = re.search(r'<meta property="csp-nonce" content="([\w-]{22})">', page.text)
        assert nonce is not None
        rules = [rule for rule in page.headers["content-security-policy"].split("; ") if "nonce" in rule]
        assert rules == [f"style-src 'self' 'nonce-{nonce[1]}'"]
        seen.add(nonce[1])
    assert len(seen) == 3
    assert "nonce" not in (await http.get("/v1/docs/openapi.json")).headers["content-security-policy"]


async def test_files_for_whoever_unpacks_nothing(http: httpx.AsyncClient) -> None:
    """A file is sent packed to whoever can unpack it, and as it is to others; caches keep the two apart."""
    asset = ASSETS["standalone.js"]
    packed = await http.get(asset.address, headers={"Accept-Encoding": "br, gzip"})
    plain = await http.get(asset.address, headers={"Accept-Encoding": "identity"})

    assert (packed.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
    assert int(packed.headers["content-length"]) * 3 < int(plain.headers["content-length"])
    assert packed.content == plain.content
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


async def test_page_is_public_and_knows_nothing(http: httpx.AsyncClient) -> None:
    """An unknown file of the page is 404, an outdated address is not kept, and nothing else hides beside them."""
    for name in ("docs.html", "LICENSE", "standalone.js.gz", "standalone.js.map"):
        assert (await http.get(f"/v1/docs/assets/{name}")).status_code == 404
    assert (await http.get("/v1/docs/assets/docs.js?v=older")).headers["cache-control"] == "no-cache"
    assert (await http.get("/v1/docs/nothing")).status_code == 404
    assert (await http.get("/v1/nothing")).json()["code"] == "not_found"
    assert (await http.get("/v1/docs/openapi.json")).json() == (await http.get("/v1/openapi.json")).json()
