"""How every page is made: its template, and what its headers let a browser do with it."""

from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from markupsafe import Markup

from rollcall.console.assets import SCRIPT, STYLESHEET

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Nothing from elsewhere, no script, no frame; a form leads back to us."""

SCRIPTED_HEADERS = HEADERS | {"Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'"}
"""The same for a page that uses passkeys, which needs our own script and lets it call us."""


def _moment(moment: datetime) -> Markup:
    """A point in time, for people and for programs."""
    said = moment.strftime("%-d %B %Y, %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), said)


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
cast("dict[str, Any]", _templates.filters)["moment"] = _moment  # pyright: ignore[reportUnknownMemberType]  # untyped there
_VERSION = version("rollcall")


def page(
    template: str,
    *,
    status_code: int = 200,
    scripted: bool = False,
    csrf_token: str = "",
    visitor: object = None,
    **facts: object,
) -> Response[str]:
    """A page from *template* with *facts*; *visitor* is who is signed in, *csrf_token* what its forms send back."""
    return Response(
        _templates.get_template(template).render(
            stylesheet=STYLESHEET.address,
            script=SCRIPT.address if scripted else None,
            version=_VERSION,
            csrf_token=csrf_token,
            visitor=visitor,
            **facts,
        ),
        status_code=status_code,
        headers=SCRIPTED_HEADERS if scripted else HEADERS,
        media_type=MediaType.HTML,
    )
