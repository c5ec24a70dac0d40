"""How every page is made: its template, and what its headers let a browser do with it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from markupsafe import Markup

from rollcall.console.assets import COMPONENTS, PASSKEYS, SCRIPT, STYLESHEET, Asset, icon
from rollcall.console.branding import Brand
from rollcall.console.script_words import words_for
from rollcall.console.words import (
    domain,
    english,
    exactly,
    gettext,
    month_said,
    ngettext,
    number_said,
    plain,
    plain_plural,
    relative,
    spoken,
)

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Nothing from elsewhere, no script, no frame; a form leads back to us."""

SCRIPTED_HEADERS = HEADERS | {"Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'"}
"""The same for a page that has scripts of ours, and lets them call us."""


def _moment(moment: datetime) -> Markup:
    """A point in time, for people and for programs; a script says it by the reader's clock."""
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), exactly(moment))


def _second(moment: datetime) -> Markup:
    """The same to the second."""
    said = exactly(moment, seconds=True)
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), said)


def _ago(moment: datetime | None) -> Markup:
    """A point in time as seen from now, the exact one beside it for who points at it; “never” where there is none."""
    if moment is None:
        return Markup('<span class="quiet">{}</span>').format(gettext("never"))
    return Markup('<time datetime="{}" data-relative title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), exactly(moment), relative(moment, datetime.now(UTC))
    )


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
    extensions=["jinja2.ext.i18n"],
)
_templates.policies["ext.i18n.trimmed"] = True
cast("Any", _templates).install_gettext_callables(plain, plain_plural, newstyle=True)
cast("dict[str, Any]", _templates.filters).update(  # pyright: ignore[reportUnknownMemberType]  # untyped there
    moment=_moment, second=_second, ago=_ago, number=number_said, month=month_said, domain=domain
)
cast("dict[str, Any]", _templates.globals).update(  # pyright: ignore[reportUnknownMemberType]  # as above
    icon=icon, _=gettext, n_=ngettext, english=english, words_for=words_for
)
_VARIES = {"Vary": "Accept-Language"}
_VERSION = version("rollcall")
_UNLESS_SAID = {
    "sections": (),
    "current": None,
    "home": "/console/",
    "sign_out": "/console/sign-out",
    "looking": False,
}


def page(
    template: str,
    *,
    brand: Brand,
    status_code: int = 200,
    framed_by: Sequence[str] = (),
    scripts: Sequence[Asset] = (),
    csrf_token: str = "",
    visitor: object = None,
    **facts: object,
) -> Response[str]:
    """A page from *template* with *facts*; *visitor* is who is signed in, *csrf_token* what its forms send back.

    The pages of *framed_by* may show it in a frame.
    """
    language = spoken()
    return Response(
        _templates.get_template(template).render(
            language=language.tag,
            stylesheets=(COMPONENTS.address, STYLESHEET.address),
            scripts=[each.address for each in scripts],
            version=_VERSION,
            csrf_token=csrf_token,
            visitor=visitor,
            brand=brand,
            **{**_UNLESS_SAID, **facts},
        ),
        status_code=status_code,
        headers=_framed(SCRIPTED_HEADERS if scripts else HEADERS, framed_by) | (_VARIES if language.varies else {}),
        media_type=MediaType.HTML,
    )


def _framed(headers: dict[str, str], by: Sequence[str]) -> dict[str, str]:
    """The headers of a page that these may show in a frame."""
    if not by:
        return headers
    policy = headers["Content-Security-Policy"].replace("frame-ancestors 'none'", f"frame-ancestors {' '.join(by)}")
    return headers | {"Content-Security-Policy": policy}


def scripts_for(*, framed: bool, passkeys: bool) -> tuple[Asset, ...]:
    """The scripts of a page: ours for whoever is signed in, and the one for passkeys where they are used."""
    return (*((SCRIPT,) if framed else ()), *((PASSKEYS,) if passkeys else ()))
