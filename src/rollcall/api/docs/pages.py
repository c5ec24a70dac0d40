"""``/v1/openapi.json`` and ``/v1/docs``, served whole from here: they work where nothing else can be reached."""

from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Request, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, ScalarRenderPlugin
from litestar.openapi.spec import Components

from rollcall import api
from rollcall.api.docs import scim, words
from rollcall.api.docs.assets import ASSETS, docs_asset
from rollcall.api.docs.codes import catalogue
from rollcall.api.docs.document import described
from rollcall.api.errors import CODES
from rollcall.api.v1.callers import call_name

AnyRequest = Request[Any, Any, Any]

_DOCUMENT = "/v1/openapi.json"
_JSON = "application/vnd.oai.openapi+json"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY.format(""),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Nothing from elsewhere and nothing in frames; the page's scripts may call this server and no other."""

OPTIONS: dict[str, Any] = {
    "agent": {"disabled": True},
    "authentication": {"preferredSecurityScheme": "operator"},
    "hideClientButton": True,
    "mcp": {"disabled": True},
    "operationTitleSource": "summary",
    "persistAuth": False,
    "proxyUrl": "",
    "showDeveloperTools": "never",
    "telemetry": False,
    "withDefaultFonts": False,
}
"""What Scalar is told: to show and to try calls, and to leave out all that its makers offer elsewhere."""

_NONCE = b"the-nonce-of-this-answer"
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def openapi_config() -> OpenAPIConfig:
    """What the framework is told: what to read off the handlers, and to show it with Scalar under ``/v1/docs``."""
    router = Router(
        "/v1/docs",
        route_handlers=[docs_asset],
        include_in_schema=False,
        response_headers=HEADERS,
        after_request=_with_a_nonce,
    )
    return OpenAPIConfig(
        title=words.TITLE,
        version=api.VERSION,
        description=words.DESCRIPTION,
        tags=words.TAGS,
        components=Components(security_schemes={**words.KEYS}),
        operation_id_creator=call_name,
        openapi_router=router,
        render_plugins=[_Page(path="/", options=OPTIONS), _Document()],
    )


@get(_DOCUMENT, name="openapi_document", media_type=_JSON, include_in_schema=False, response_headers=HEADERS)
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


class _Page(ScalarRenderPlugin):
    """Scalar in a page of ours: the plugin's own says its options in an inline script, which the policy forbids."""

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002  # the browser asks for it
        """The page that Scalar fills, with a word in the place of the nonce."""
        page = _templates.get_template("page.html").render(
            title=words.TITLE,
            document=_DOCUMENT,
            options=orjson.dumps(self.options).decode(),
            assets=ASSETS,
            nonce=_NONCE.decode(),
        )
        return page.encode()


async def _with_a_nonce(response: Response[Any]) -> Response[Any]:
    """Let the scripts of this one answer make stylesheets: what they carry is guessed by nobody."""
    if isinstance(response.content, bytes) and _NONCE in response.content:
        nonce = token_urlsafe(16)
        response.content = response.content.replace(_NONCE, nonce.encode())
        response.headers["Content-Security-Policy"] = _POLICY.format(f" 'nonce-{nonce}'")
    return response


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
