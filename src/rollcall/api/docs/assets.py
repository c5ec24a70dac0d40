"""What the pages load: two small files of ours, and Scalar as its makers built it, with its digest beside it."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that a page loads."""

    name: str
    packed: bytes
    """As gzip packs it, as nearly every browser asks for it."""
    media_type: str
    digest: str
    """SHA-256 of the file unpacked."""

    @property
    def address(self) -> str:
        """Where a page finds it; another one when its content is another."""
        return f"/v1/docs/assets/{self.name}?v={self.digest[:16]}"


def _ours(name: str, media_type: str) -> Asset:
    content = (_HERE / name).read_bytes()
    return Asset(name, gzip.compress(content, mtime=0), media_type, sha256(content).hexdigest())


def _scalar() -> Asset:
    digest, name = (_HERE / "scalar" / "SHA256SUMS").read_text().split()
    return Asset(name, (_HERE / "scalar" / f"{name}.gz").read_bytes(), "text/javascript", digest)


ASSETS: Mapping[str, Asset] = {
    each.name: each for each in (_ours("errors.css", "text/css"), _ours("docs.js", "text/javascript"), _scalar())
}


@get("/assets/{name:str}", name="docs_asset")
async def docs_asset(
    request: Request[Any, Any, Any], name: FromPath[str], v: FromQuery[str | None] = None
) -> Response[bytes]:
    """A file that a page loads, kept by browsers for good as long as its address names this very content."""
    asset = ASSETS.get(name)
    if asset is None:
        raise NotFoundException
    headers = {"Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if v == asset.digest[:16]:
        headers["Cache-Control"] = "public, max-age=31536000, immutable"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(asset.packed), media_type=asset.media_type, headers=headers)
