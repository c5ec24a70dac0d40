"""Mail as it is written: to an admin, in plain words, as text and as HTML, with a way to have no more of its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

from rollcall.alerts import changes
from rollcall.alerts.kinds import Kind, remedy, says
from rollcall.journal.models import Notice

_OF_ALERTS: Final[Mapping[str, Kind]] = {
    "tenant.mass_change": Kind.MASS_CHANGE,
    "tenant.mass_change_released": Kind.MASS_CHANGE,
}
TOPICS: Final = frozenset({"alert.opened", *_OF_ALERTS, *changes.TOPICS})
"""What is mailed."""


@dataclass(frozen=True, slots=True)
class Reader:
    """An admin who is written to."""

    account_id: Any
    address: str


@dataclass(frozen=True, slots=True)
class Wording:
    """What a mail says."""

    kind: str
    subject: str
    what: str
    remedy: str


def wording(topic: str, payload: Mapping[str, Any], tenant: str) -> Wording:
    """What a notice says to the admins of a tenant, named as people call it."""
    if topic == "alert.opened":
        kind = Kind(payload["kind"])
        what = says(kind, payload["stage"], payload["facts"])
        return Wording(kind.value, f"{tenant}: {_SUBJECTS[kind]}", what, remedy(kind))
    if topic in _OF_ALERTS:
        return _of_mass_change(topic, payload, tenant)
    mailed_as, subject, what = changes.said(topic, payload)
    return Wording(mailed_as, f"{tenant}: {subject}", what, changes.WHAT_TO_DO)


def _of_mass_change(topic: str, payload: Mapping[str, Any], tenant: str) -> Wording:
    kind = _OF_ALERTS[topic]
    if topic == "tenant.mass_change":
        what = says(kind, "", {"count": payload["departures"], **payload})
        what += " Whoever left is out; what can't be undone waits until it is released."
        return Wording(kind.value, f"{tenant}: {_SUBJECTS[kind]}", what, remedy(kind))
    what = "The alert that many people had left was released: what can't be undone may be done again."
    return Wording(kind.value, f"{tenant}: the departures were released", what, changes.WHAT_TO_DO)


_SUBJECTS: Final[Mapping[Kind, str]] = {
    Kind.TOKEN_ENDS: "a token ends soon",
    Kind.TOKEN_ROTATION: "a token is to be rotated",
    Kind.OWNER_GONE: "the connection has no owner",
    Kind.ONLY_ADMIN: "the connection hangs on one admin",
    Kind.WITHOUT_ADMIN: "there is no admin",
    Kind.OWNER_AT_RISK: "the owner of the connection may leave",
    Kind.NO_DEPUTY: "there is no deputy",
    Kind.PROVIDER_QUIET: "the identity provider is quiet",
    Kind.FAILURES: "calls of the identity provider are refused",
    Kind.LAPSE: "the plan does not include SCIM",
    Kind.SEATS: "seats run out",
    Kind.PAYMENT_UNHEARD: "what is paid for can't be asked about",
    Kind.MASS_CHANGE: "many people have left",
}


def compose(notice: Notice, said: Wording, reader: Reader, *, sender: str, unsubscribe: str) -> EmailMessage:
    """The mail itself; *unsubscribe* is the address at which this reader has no more of this kind."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, reader.address
    mail["Subject"] = " ".join(said.subject.split())
    mail["Date"] = format_datetime(notice.created_at)
    mail["Message-ID"] = f"<{notice.id}.{reader.account_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["List-Unsubscribe"] = f"<{unsubscribe}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    end = "You get this as you are an admin. To have no more mail of this kind"
    mail.set_content(f"{said.what}\n\n{said.remedy}\n\n-- \n{end}: {unsubscribe}\n")
    mail.add_alternative(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(said.subject)}</title>"
        f"<body style='font-family:sans-serif;max-width:40em'><p>{escape(said.what)}</p><p>{escape(said.remedy)}</p>"
        f"<p style='color:#555;font-size:smaller'>{end}: <a href='{escape(unsubscribe)}'>unsubscribe</a>.</p>",
        subtype="html",
    )
    return mail


def unsubscribe_address(public_url: str, key: str) -> str:
    """Where a reader has no more mail of a kind."""
    return f"{public_url}/mail/unsubscribe?{urlencode({'key': key})}"
