"""The page before something that can't be undone: it says what will happen, and has the button.

For the worst the name of what it is about has to be typed, so that nobody does it to another one by a click too many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import normalize

from litestar import Response

from rollcall.console.requests import AnyRequest, form_field
from rollcall.console.visitors import page_for
from rollcall.console.words import gettext

WORD = "confirm"
"""What is typed instead of a name that is blank."""


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
    called: str = ""
    """What that name is, in words; “its name” if it is empty."""


def confirmation_page(request: AnyRequest, confirmation: Confirmation, *, wrong: str = "") -> Response[str]:
    """The page that asks; *wrong* is what it says at the field."""
    called, typed = _asked(confirmation)
    return page_for(
        request,
        "confirm/page.html",
        status_code=400 if wrong else 200,
        ask=confirmation,
        called=called,
        typed=typed,
        wrong=wrong,
        address=request.scope["path"],
    )


async def unless_typed(request: AnyRequest, confirmation: Confirmation) -> Response[str] | None:
    """The page once more for whoever has not typed the name that has to be; None where it was, or needs not be."""
    called, typed = _asked(confirmation)
    if not typed or _plain(await form_field(request, "typed")) == typed:
        return None
    wrong = gettext("Nothing was done. Enter %(called)s as it stands here: %(typed)s", called=called, typed=typed)
    return confirmation_page(request, confirmation, wrong=wrong)


def _asked(confirmation: Confirmation) -> tuple[str, str]:
    """What has to be typed, and what that is in words: a word of ours for a name of which nothing can be seen."""
    if confirmation.typed and not any(each.isprintable() and not each.isspace() for each in confirmation.typed):
        return gettext("the word"), WORD
    return confirmation.called or gettext("its name"), _plain(confirmation.typed)


def _plain(name: str) -> str:
    """A name as it is shown: a browser shows several spaces as one, and an accent as a part of its letter."""
    return " ".join(normalize("NFC", name).split())
