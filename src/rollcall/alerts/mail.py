"""Mail as it is written: to an admin, in plain words, as text and as HTML, with a way to have no more of its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

from rollcall.alerts.kinds import Kind, remedy, says
from rollcall.journal.models import Notice

TOKENS: Final = "tokens"
VENDOR: Final = "vendor"
ADMINS: Final = "admins"
"""Beside the kinds of alerts: what became of tokens, what the vendor did with the tenant, and who became an admin."""

_TOKENS: Final[Mapping[str, str]] = {
    "token.issued": "A new token was made: “{label}”.",
    "token.rotated": "A token was replaced; the old one works for {overlap_seconds} seconds more.",
    "token.handed_over": "The token “{label}” was handed over to another admin. It ends at {rotate_by} unless it is "
    "rotated before.",
}
_VENDOR: Final[Mapping[str, str]] = {
    "tenant.suspended": "The vendor has suspended your organisation: everything is refused until it is resumed.",
    "tenant.resumed": "The vendor has resumed your organisation: everything works again.",
    "tenant.plan_changed": "The vendor has changed your plan from {before} to {after}.",
}
_ADMINS: Final[Mapping[str, str]] = {
    "tenant.deputy_appointed": "Nobody was an active admin any more, so the deputy {user_name} has become one.",
}
TOPICS: Final = frozenset({"alert.opened", *_TOKENS, *_VENDOR, *_ADMINS})
"""What is mailed."""

_CHANGES: Final = (
    (TOKENS, "a token has changed", _TOKENS),
    (VENDOR, "a change by the vendor", _VENDOR),
    (ADMINS, "there is another admin", _ADMINS),
)
_WHAT_TO_DO: Final = "If you did not expect this, look at your tokens and at the audit, or ask the vendor's support."


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
    kind, subject, said = next(each for each in _CHANGES if topic in each[2])
    return Wording(kind, f"{tenant}: {subject}", said[topic].format_map(payload), _WHAT_TO_DO)


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
