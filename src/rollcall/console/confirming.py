"""The page before something that can't be undone: it says what will happen, and has the button.

For the worst the name of what it is about has to be typed, so that nobody does it to another one by a click too many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from litestar import Response

from rollcall.console.requests import AnyRequest, form_field
from rollcall.console.visitors import page_for


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is about to be done; the form is sent to the address of the page itself."""

    title: str
    said: Sequence[str]
    facts: Sequence[tuple[str, str | datetime | None]]
    """What helps to recognise it; nothing is said as “never”."""
    button: str
    back: str
    fields: Sequence[tuple[str, str]] = ()
    """What the form hands on, by name."""
    typed: str = ""
    """The name that has to be typed; empty where a click is enough."""
    called: str = "its name"
    """What that name is, in words."""


def confirmation_page(request: AnyRequest, confirmation: Confirmation, *, wrong: str = "") -> Response[str]:
    """The page that asks; *wrong* is what it says at the field."""
    return page_for(
        request,
        "confirm/page.html",
        status_code=400 if wrong else 200,
        ask=confirmation,
        typed=_plain(confirmation.typed),
        wrong=wrong,
        address=request.scope["path"],
    )


async def unless_typed(request: AnyRequest, confirmation: Confirmation) -> Response[str] | None:
    """The page once more for whoever has not typed the name that has to be; None where it was, or needs not be."""
    if _plain(await form_field(request, "typed")) == _plain(confirmation.typed):
        return None
    wrong = f"Nothing was done. Enter {confirmation.called} as it stands here: {_plain(confirmation.typed)}"
    return confirmation_page(request, confirmation, wrong=wrong)


def _plain(name: str) -> str:
    """A name as it is shown: a browser shows several spaces as one."""
    return " ".join(name.split())
