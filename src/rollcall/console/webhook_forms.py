"""The form of a destination, and a destination's states in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollcall.console.requests import AnyRequest
from rollcall.console.webhook_topics import announced
from rollcall.console.words import gettext, mark, ngettext
from rollcall.events import kinds
from rollcall.events.deliveries import DeliveryState
from rollcall.events.models import DestinationRow

KINDS = {"webhook": mark("Webhook: signed JSON"), "logout": mark("Back-channel logout: OpenID logout tokens")}
STATES: Mapping[DeliveryState, tuple[str, str]] = {
    DeliveryState.PENDING: ("notice", mark("Waiting")),
    DeliveryState.DELIVERED: ("good", mark("Delivered")),
    DeliveryState.DEAD: ("bad", mark("Given up")),
    DeliveryState.CANCELLED: ("", mark("Cancelled")),
}
"""Each state of a delivery, as a tone and a word."""


@dataclass(frozen=True, slots=True)
class DestinationForm:
    """All fields, as they were filled in."""

    kind: str = "webhook"
    url: str = ""
    label: str = ""
    topics: Sequence[str] = ()
    audience: str = ""
    wrong: Mapping[str, str] | None = None
    """What is wrong with a field, by its name; under "" what is wrong with the whole."""

    def fault(self, field: str) -> str:
        """What is wrong with a field; empty if nothing is."""
        return (self.wrong or {}).get(field, "")


def filled(row: DestinationRow) -> DestinationForm:
    """The form as a destination fills it."""
    return DestinationForm(row.kind, row.url, row.label, row.topics, row.audience or "")


async def entered(request: AnyRequest, *, kind: str | None = None) -> DestinationForm:
    """The form as somebody has sent it; *kind* where it is known already."""
    fields = await request.form()

    def said(name: str) -> str:
        value: Any = fields.get(name, "")
        return value.strip().replace("\x00", "") if isinstance(value, str) else ""

    chosen = kind or (said("kind") if said("kind") in KINDS else "webhook")
    sayable = kinds.TOPICS.get(chosen, announced())
    topics = [each for each in fields.getall("topics", []) if each in sayable]
    return DestinationForm(chosen, said("url"), said("label"), topics, said("audience"))


def with_fault(form: DestinationForm, field: str | None, said: str) -> DestinationForm:
    """The same form, which says what is wrong where it is wrong."""
    place = field if field in ("url", "label", "audience", "topics") else ""
    return DestinationForm(form.kind, form.url, form.label, form.topics, form.audience, {place: said})


def stands(row: DestinationRow) -> tuple[str, str]:
    """How a destination stands, as a tone and a word."""
    if row.disabled_at is not None:
        return "", gettext("Paused")
    return ("bad", gettext("Failing")) if row.failing_since is not None else ("good", gettext("Enabled"))


def hears(row: DestinationRow) -> str:
    """What a destination hears of, in a few words."""
    if not row.topics:
        return gettext("Everything")
    shown = ", ".join(row.topics[:3])
    return (
        shown
        if len(row.topics) <= 3
        else ngettext(
            "%(topics)s and %(count)s more", "%(topics)s and %(count)s more", len(row.topics) - 3, topics=shown
        )
    )
