"""``/v1/openapi.json`` and ``/v1/docs``, served whole from here: they work where nothing else can be reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components
from litestar.params import FromPath, FromQuery
from markupsafe import Markup, escape

from rollcall import api
from rollcall.api.docs import reading, scim, words
from rollcall.api.docs.codes import catalogue
from rollcall.api.docs.document import described
from rollcall.api.errors import CODES
from rollcall.api.v1.callers import call_name

AnyRequest = Request[Any, Any, Any]

_HERE = Path(__file__).parent
_JSON = "application/vnd.oai.openapi+json"

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Nothing from elsewhere and nothing in frames; the page's script may call this server and no other."""

_templates = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def _spoken(text: str) -> Markup:
    """*text* in paragraphs, with what stands between backticks as code."""
    paragraphs: list[Markup] = []
    for paragraph in text.strip().split("\n\n"):
        pieces = (escape(piece) for piece in paragraph.split("`"))
        marked = (Markup("<code>{}</code>").format(piece) if odd % 2 else piece for odd, piece in enumerate(pieces))
        paragraphs.append(Markup("<p>{}</p>").format(Markup("").join(marked)))
    return Markup("").join(paragraphs)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the page loads."""

    content: bytes
    media_type: str
    digest: str


def _asset(name: str, media_type: str) -> Asset:
    content = (_HERE / name).read_bytes()
    return Asset(content, media_type, sha256(content).hexdigest()[:16])


ASSETS: Mapping[str, Asset] = {
    "docs.css": _asset("docs.css", "text/css"),
    "docs.js": _asset("docs.js", "text/javascript"),
}


def openapi_config() -> OpenAPIConfig:
    """What the framework is told: what to read off the handlers, and to show it with our page under ``/v1/docs``."""
    return OpenAPIConfig(
        title=words.TITLE,
        version=api.VERSION,
        description=words.DESCRIPTION,
        tags=words.TAGS,
        components=Components(security_schemes={**words.KEYS}),
        operation_id_creator=call_name,
        openapi_router=Router("/v1/docs", route_handlers=[], include_in_schema=False, response_headers=HEADERS),
        render_plugins=[_Page(path="/"), _Document()],
    )


@get("/v1/openapi.json", name="openapi_document", media_type=_JSON, include_in_schema=False, response_headers=HEADERS)
async def openapi_document(request: AnyRequest) -> bytes:
    """The document, for programs."""
    return orjson.dumps(_document(request.app))


@get(scim.PATH, name="scim_openapi_document", media_type=_JSON, include_in_schema=False, response_headers=HEADERS)
async def scim_openapi_document(request: AnyRequest) -> bytes:
    """The document of the SCIM endpoints, for programs."""
    return orjson.dumps(scim.scim_document(request.app))


@get(CODES, name="errors_page", media_type="text/html", include_in_schema=False, response_headers=HEADERS)
async def errors_page() -> bytes:
    """What each code means, for whoever follows a problem's ``type``."""
    return _templates.get_template("errors.html").render(codes=catalogue(), assets=ASSETS).encode()


@get("/assets/{name:str}", name="docs_asset")
async def _send_asset(name: FromPath[str], v: FromQuery[str | None] = None) -> Response[bytes]:
    """A file that the page loads, kept by browsers for good as long as its address names this very content."""
    asset = ASSETS.get(name)
    if asset is None:
        raise NotFoundException
    kept = "public, max-age=31536000, immutable" if v == asset.digest else "no-cache"
    return Response(asset.content, media_type=asset.media_type, headers={"Cache-Control": kept})


class _Page(OpenAPIRenderPlugin):
    """The page, in place of the framework's own: those load their scripts from other servers."""

    _written: bytes | None = None

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # ours is completed
        """The page, written once, on the server; its script is only needed to send calls."""
        if self._written is None:
            document = _document(request.app)
            template = _templates.get_template("page.html")
            page = template.render(document=document, groups=reading.groups(document), assets=ASSETS, spoken=_spoken)
            self._written = page.encode()
        return self._written

    def receive_router(self, router: Router) -> None:
        """Put what the page loads beside it."""
        router.register(_send_asset)


class _Document(JsonRenderPlugin):
    """The completed document at the place where the framework would put its own."""

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # ours is completed
        """The same as ``/v1/openapi.json``."""
        return orjson.dumps(_document(request.app))


def _document(app: Litestar) -> dict[str, Any]:
    """The document of *app*, made when it is first asked for."""
    if "openapi_document" not in app.state:
        app.state.openapi_document = described(app)
    return app.state.openapi_document
