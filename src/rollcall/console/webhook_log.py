"""One destination: what it was sent, each attempt with body and answer, and sending things once more."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.console import webhook_forms
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.console.webhook_forms import KINDS, STATES
from rollcall.console.webhook_topics import WORDS
from rollcall.console.webhooks import PAGE, SAID
from rollcall.console.words import gettext, mark, ngettext, of, options
from rollcall.errors import Invalid
from rollcall.events import attempts, deliveries, destination_secrets, destinations
from rollcall.events.deliveries import DeliveryState
from rollcall.work import Work

_ADMINS = [admins()]
_WORK = {"work": admin_work}
SINCE = {
    "1": mark("the last hour"),
    "24": mark("the last day"),
    "72": mark("the last 3 days"),
    "168": mark("the last 7 days"),
}
"""Since how many hours ago everything may be sent once more."""


@get("/webhooks/{destination:str}", guards=_ADMINS, dependencies=_WORK, name="console_webhook")
async def webhook_page(
    request: Request[Any, Any, Any],
    work: PersonWork,
    destination: FromPath[str],
    only: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    done: FromQuery[str] = "",
    since: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[str]:
    """One destination, how it stands, and what it was sent, newest first."""
    row = await destinations.find(work, id_of(destination, "destination"))
    chosen = DeliveryState(only) if only in set(DeliveryState) else None
    found = await deliveries.page(work, row.id, state=chosen, limit=25, cursor=cursor)
    waiting, dead = await deliveries.of_destination(work, row.id)
    here = f"{PAGE}/{row.id}"
    kept = {} if chosen is None else {"only": chosen.value}
    return page_for(
        request,
        "webhooks/webhook.html",
        row=row,
        kind=gettext(KINDS[row.kind]),
        stands=webhook_forms.stands(row),
        live_secrets=destination_secrets.live_number(row, work.now),
        tries_at=_ahead(row.next_try_at, work),
        waiting=waiting,
        dead=dead,
        rows=found.rows,
        states=STATES,
        words=WORDS,
        chips=[
            (gettext("Everything"), here, chosen is None),
            *(
                (gettext(word), f"{here}?{urlencode({'only': each.value})}", each == chosen)
                for each, (_, word) in STATES.items()
            ),
        ],
        since=options(SINCE),
        rest=(since, after) if since and after else None,
        more=None if found.next_cursor is None else f"{here}?{urlencode({**kept, 'cursor': found.next_cursor})}",
        first=None if cursor is None else f"{here}?{urlencode(kept)}",
        done=_said(done),
        back=PAGE,
    )


@get(
    "/webhooks/{destination:str}/deliveries/{delivery:str}",
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_delivery",
)
async def attempt_page(
    request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str], delivery: FromPath[str]
) -> Response[str]:
    """One delivery: what was sent and what was answered."""
    row = await destinations.find(work, id_of(destination, "destination"))
    shown = await attempts.shown(work, row.id, id_of(delivery, "delivery"))
    return page_for(
        request,
        "webhooks/attempt.html",
        destination=row,
        shown=shown,
        state=STATES[DeliveryState(shown.row.state)],
        tries_at=_ahead(max(shown.row.next_try_at, row.next_try_at or shown.row.next_try_at), work),
        said=of(WORDS, shown.row.topic) or shown.row.topic,
        back=f"{PAGE}/{row.id}",
    )


@post(
    "/webhooks/{destination:str}/deliveries/{delivery:str}/replay",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_replay_delivery",
)
async def replay(work: PersonWork, destination: FromPath[str], delivery: FromPath[str]) -> Response[Any]:
    """Send one thing once more, with the same id."""
    which = id_of(destination, "destination")
    await deliveries.replay(work, which, id_of(delivery, "delivery"))
    return see(f"{PAGE}/{which}?done=one")


@get("/webhooks/{destination:str}/replay", guards=_ADMINS, dependencies=_WORK, name="console_ask_replay")
async def ask_to_replay(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """Say what sending once more what was given up does."""
    row = await destinations.find(work, id_of(destination, "destination"))
    _, dead = await deliveries.of_destination(work, row.id)
    said = ngettext(
        "This sends %(count)s event once more, oldest first, each with the id it had.",
        "This sends %(count)s events once more, oldest first, each with the id it had.",
        dead,
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Send “%(label)s” what was given up?", label=row.label),
            said=[said, gettext("A receiver that remembers ids is not confused by what it has already.")],
            facts=[(gettext("Address"), row.url)],
            button=ngettext("Send %(count)s event", "Send %(count)s events", dead),
            back=f"{PAGE}/{row.id}",
        ),
    )


@post(
    "/webhooks/{destination:str}/replay",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_replay",
)
async def replay_all(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Send once more what was given up, or with a time everything since then."""
    which, since = id_of(destination, "destination"), await _since(request, work)
    if since is None:
        number = await deliveries.replay_dead(work, which)
        return see(f"{PAGE}/{which}?done=replayed-{number}")
    after = await form_field(request, "after")
    made = await deliveries.replay_since(work, which, since, after=id_of(after, "delivery") if after else None)
    rest = {"since": since.isoformat(), "after": str(made.last)} if made.last else {}
    return see(f"{PAGE}/{which}?{urlencode({'done': f'replayed-{made.number}', **rest})}")


async def _since(request: AnyRequest, work: Work) -> datetime | None:
    """The moment since which everything is wanted: typed, or so many hours ago; None where neither is named.

    Raises:
        Invalid: what was typed is no moment.
    """
    typed, hours = await form_field(request, "since"), await form_field(request, "hours")
    if typed:
        return moment_of(typed)
    return work.now - timedelta(hours=int(hours)) if hours in SINCE else None


def moment_of(typed: str) -> datetime:
    """A moment as a browser sends one, by UTC where it names no zone.

    Raises:
        Invalid: it is none.
    """
    try:
        read = datetime.fromisoformat(typed)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        msg = "This is no date with a time of day; write it as 2026-11-30 14:00, by UTC."
        raise Invalid(msg, param="since") from None


def _ahead(moment: datetime | None, work: Work) -> datetime | None:
    """A moment that is still to come; None for one that is past."""
    return moment if moment is not None and moment > work.now else None


def _said(done: str) -> str | None:
    what, _, number = done.partition("-")
    if what == "replayed" and number.isascii() and number.isdecimal():
        return ngettext(
            "%(count)s event will be sent once more.", "%(count)s events will be sent once more.", int(number[:9])
        )
    return of(SAID, done)
