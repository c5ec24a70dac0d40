"""Activity: every call and change of the tenant, refused ones too, in words; and one request in full."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts
from rollcall.access.portal_links import Intent
from rollcall.console.activity_words import worded
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.console.words import gettext, mark
from rollcall.errors import NotFound
from rollcall.journal.queries import AuditQuestion, Entry, read

PAGE = "/console/activity"
_ADMINS = [admins(Intent.ACTIVITY)]
_WORK = {"work": admin_work}

CHIPS: tuple[tuple[str, dict[str, str]], ...] = (
    (mark("Everything"), {}),
    (mark("Refused"), {"outcome": "refused"}),
    (mark("Provider"), {"action": "scim"}),
    (mark("People"), {"action": "user"}),
    (mark("Tokens"), {"action": "token"}),
    (mark("Roles"), {"action": "role_rule"}),
    (mark("Webhooks"), {"action": "destination"}),
    (mark("Console"), {"action": "console"}),
)
"""Filters, as the address has them."""

_ACTIONS = {chosen["action"] for _, chosen in CHIPS if "action" in chosen}


@get("/activity", guards=_ADMINS, dependencies=_WORK, name="console_activity")
async def activity_page(
    request: Request[Any, Any, Any],
    work: PersonWork,
    action: FromQuery[str | None] = None,
    outcome: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Response[str]:
    """The tenant's audit, newest first; filters and page stand in the address."""
    chosen = chosen_of({"action": action or "", "outcome": outcome or ""})
    question = AuditQuestion(action=chosen.get("action"), outcome=chosen.get("outcome"))
    found = await read(work, question, cursor=cursor)
    entries = [entry for entry, _ in found.rows]
    names = await accounts.names(work, [entry.account_id for entry in entries])
    here = f"{PAGE}?{urlencode(chosen)}" if chosen else PAGE
    return page_for(
        request,
        "activity/page.html",
        rows=entries,
        words={entry.id: worded(entry, names) for entry in entries},
        chips=[
            (gettext(label), f"{PAGE}?{urlencode(each)}" if each else PAGE, each == chosen) for label, each in CHIPS
        ],
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({**chosen, 'cursor': found.next_cursor})}",
        first=None if cursor is None else here,
        export=f"{PAGE}/export{here.removeprefix(PAGE)}",
    )


def chosen_of(query: Mapping[str, str]) -> dict[str, str]:
    """The filters that an address names, those that there are."""
    action = query.get("action", "")
    chosen = {"action": action} if action in _ACTIONS else {}
    return chosen | ({"outcome": "refused"} if query.get("outcome") == "refused" else {})


@get("/activity/{request_id:str}", guards=_ADMINS, dependencies=_WORK, name="console_one_request")
async def request_page(request: Request[Any, Any, Any], work: PersonWork, request_id: FromPath[str]) -> Response[str]:
    """All that is written down of one request: what was sent, what came of it, and why."""
    found = await read(work, AuditQuestion(request_id=request_id))
    if not found.rows:
        raise NotFound("request")
    names = await accounts.names(work, [entry.account_id for entry, _ in found.rows])
    shown = [_shown(row, worded(row[0], names)) for row in found.rows]
    return page_for(request, "activity/request.html", request_id=request_id, entries=shown, back=PAGE)


def _shown(row: Entry, said: str) -> dict[str, object]:
    entry, payload = row
    sent = None if payload is None else json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=False)
    return {"entry": entry, "said": said, "payload": sent}
