"""Departures: who left, how soon everything was closed, and the signed receipt that proves it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from rollcall.access import accounts
from rollcall.access.portal_links import Intent
from rollcall.console.exporting import Turn
from rollcall.console.own import id_of
from rollcall.console.visitors import PersonWork, admin_work, admins, again_as_admin, page_for, takes_files, visitor
from rollcall.console.words import gettext, mark_plural, month_said, ngettext
from rollcall.errors import NotFound
from rollcall.journal.console_events import ConsoleExported
from rollcall.journal.record import enter
from rollcall.proof import bundles, receipts
from rollcall.proof.bundles import Bundle, Maker

PAGE = "/console/departures"
_ADMINS = [admins(Intent.DEPARTURES)]
_WORK = {"work": admin_work}


@get("/departures", guards=_ADMINS, dependencies=_WORK, name="console_departures")
async def departures_page(
    request: Request[Any, Any, Any], work: PersonWork, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """Everybody who left, newest first, with what was closed and how soon."""
    found = await receipts.page(work, cursor=cursor)
    return page_for(
        request,
        "departures/page.html",
        rows=found.rows,
        names=await accounts.names(work, [row.account_id for row in found.rows]),
        took={row.id: int((row.closed_at - row.arrived_at).total_seconds() * 1000) for row in found.rows},
        closed={row.id: _said(row.closed) for row in found.rows},
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({'cursor': found.next_cursor})}",
        first=None if cursor is None else PAGE,
        months=[(f"{month:%Y-%m}", month_said(month)) for month in await bundles.months(work)],
    )


@get("/departures/bundle", guards=[*_ADMINS, takes_files], dependencies=_WORK, name="console_bundle")
async def bundle_file(request: Request[Any, Any, Any], work: PersonWork, month: FromQuery[str] = "") -> Stream:
    """A month's departures as one signed file for auditors, sent while it is made."""
    state, wanted, somebody = request.app.state, bundles.wanted_month(month, work.now), visitor(request)
    turn = Turn(state.redis, somebody.session_id)
    await turn.begin()
    await enter(work, ConsoleExported(f"bundle of {month}", "zip"), account_id=somebody.account_id)
    maker = Maker(lambda: again_as_admin(request), state.database.pool, state.sealer, state.public_url)
    name = bundles.file_name(work.tenant.slug, wanted)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(turn.during(Bundle(maker, wanted).pieces()), media_type="application/zip", headers=headers)


@get("/departures/{receipt:str}/receipt", guards=_ADMINS, dependencies=_WORK, name="console_receipt")
async def receipt_file(work: PersonWork, receipt: FromPath[str]) -> Response[str]:
    """The signed receipt as a file, for whoever wants to verify it."""
    found = await receipts.find(work, id_of(receipt, "receipt"))
    if found.statement is None:
        raise NotFound("signed receipt")
    name = f'attachment; filename="receipt-{found.id}.jws"'
    headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
    return Response(found.statement, media_type="application/jose", headers=headers)


_WHAT = {
    "sessions": mark_plural("%(count)s session", "%(count)s sessions"),
    "tokens": mark_plural("%(count)s token", "%(count)s tokens"),
    "passkeys": mark_plural("%(count)s passkey", "%(count)s passkeys"),
    "external": mark_plural("%(count)s other credential", "%(count)s other credentials"),
    "passwords": mark_plural("%(count)s password", "%(count)s passwords"),
}


def _said(closed: Mapping[str, Any]) -> str:
    """What was closed, in numbers; classes of which nothing was open are left out."""
    parts = [ngettext(*what, int(closed.get(kind, 0))) for kind, what in _WHAT.items() if closed.get(kind)]
    return ", ".join(parts) or gettext("Nothing was open")
