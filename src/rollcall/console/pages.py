"""How every page is made: its template, and what its headers let a browser do with it."""

from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response

from rollcall.console.assets import STYLESHEET

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing from elsewhere, no script, no frame; a form leads back to us."""

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_VERSION = version("rollcall")


def page(template: str, *, status_code: int = 200, **facts: object) -> Response[str]:
    """A page from *template*, told *facts*."""
    return Response(
        _templates.get_template(template).render(stylesheet=STYLESHEET.address, version=_VERSION, **facts),
        status_code=status_code,
        headers=HEADERS,
        media_type=MediaType.HTML,
    )
