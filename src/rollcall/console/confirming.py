"""The page before something that can't be undone: it says what will happen, and has the button."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from litestar import Response

from rollcall.console.requests import AnyRequest
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


def confirmation_page(request: AnyRequest, confirmation: Confirmation) -> Response[str]:
    """The page that asks."""
    return page_for(request, "confirm/page.html", ask=confirmation, address=request.scope["path"])
