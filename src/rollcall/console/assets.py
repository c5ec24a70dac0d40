"""What pages load: stylesheets, scripts and a font, each at an address that changes when it does; and the icons.

What others made lies in a folder of its own, as they made it, with its licence and its digest.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from markupsafe import Markup

FOLDER = Path(__file__).parent / "assets"
BASECOAT, INTER, LUCIDE = "basecoat", "inter", "lucide"

_LOCKED_DOWN = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""For a picture that is opened by itself: nothing in it runs."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load."""

    name: str
    content: bytes
    media_type: str
    packed: bytes | None = None
    """The same as gzip packs it, where that is worth it."""

    @property
    def digest(self) -> str:
        """Names this content."""
        return sha256(self.content).hexdigest()[:16]

    @property
    def address(self) -> str:
        """Where a page finds it."""
        return f"/console/assets/{self.name}?v={self.digest}"


def _ours(name: str, media_type: str, font: Asset | None = None) -> Asset:
    content = (FOLDER / name).read_bytes()
    if font is not None:
        content = content.replace(b"inter.woff2", font.address.encode())
    return Asset(name, content, media_type, gzip.compress(content, mtime=0))


def _vendored(folder: str, name: str, media_type: str) -> Asset:
    """A file as its makers built it; a long text is kept packed."""
    packed = FOLDER / folder / f"{name}.gz"
    if packed.is_file():
        return Asset(name, gzip.decompress(packed.read_bytes()), media_type, packed.read_bytes())
    return Asset(name, (FOLDER / folder / name).read_bytes(), media_type)


FONT = _vendored(INTER, "inter-latin-wght-normal.woff2", "font/woff2")
COMPONENTS = _vendored(BASECOAT, "basecoat-nova.cdn.min.css", "text/css")
STYLESHEET = _ours("console.css", "text/css", FONT)
SCRIPT = _ours("console.js", "text/javascript")
PASSKEYS = _ours("passkeys.js", "text/javascript")
VERIFY = _ours("verify.js", "text/javascript")
_BY_NAME = {each.name: each for each in (FONT, COMPONENTS, STYLESHEET, SCRIPT, PASSKEYS, VERIFY)}


def _icons() -> Mapping[str, str]:
    """What is drawn in each icon, by its name."""
    return {
        file.stem: re.sub(r"\s+", " ", file.read_text().partition("\n>\n")[2].rpartition("</svg>")[0]).strip()
        for file in sorted((FOLDER / LUCIDE).glob("*.svg"))
    }


ICONS = _icons()


def icon(name: str) -> Markup:
    """An icon, in the colour of the text beside it; it says nothing to those who can't see it."""
    drawn = (
        f'<svg class="icon" viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" '
        f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{ICONS[name]}</svg>'
    )
    return Markup(drawn)  # noqa: S704  # a file of ours


@get("/assets/{name:str}", name="console_asset")
async def asset(
    request: Request[Any, Any, Any], name: FromPath[str], v: FromQuery[str | None] = None
) -> Response[bytes]:
    """A file that pages load, kept by browsers for good as long as its address names this very content."""
    brand = request.app.state.brand
    wanted = _BY_NAME.get(name)
    headers = {"Cache-Control": "no-cache"}
    if wanted is None and brand.logo is not None and name == brand.logo.name:
        wanted = brand.logo
        headers |= _LOCKED_DOWN
    if wanted is None:
        raise NotFoundException
    if v == wanted.digest:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if wanted.packed is None:
        return Response(wanted.content, media_type=wanted.media_type, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(wanted.packed, media_type=wanted.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(wanted.content, media_type=wanted.media_type, headers=headers)
