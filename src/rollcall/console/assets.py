"""What pages load: a stylesheet and a script, each at an address that changes when it does."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load."""

    name: str
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Names this content."""
        return sha256(self.content).hexdigest()[:16]

    @property
    def address(self) -> str:
        """Where a page finds it."""
        return f"/console/assets/{self.name}?v={self.digest}"


def _read(name: str, media_type: str) -> Asset:
    return Asset(name, (Path(__file__).parent / "assets" / name).read_bytes(), media_type)


STYLESHEET = _read("console.css", "text/css")
SCRIPT = _read("passkeys.js", "text/javascript")
_BY_NAME = {each.name: each for each in (STYLESHEET, SCRIPT)}


@get("/assets/{name:str}", name="console_asset")
async def asset(name: FromPath[str], v: FromQuery[str | None] = None) -> Response[bytes]:
    """A file that pages load, kept by browsers for good as long as its address names this very content."""
    wanted = _BY_NAME.get(name)
    if wanted is None:
        raise NotFoundException
    kept = "public, max-age=31536000, immutable" if v == wanted.digest else "no-cache"
    return Response(
        wanted.content,
        media_type=wanted.media_type,
        headers={"Cache-Control": kept},
    )
