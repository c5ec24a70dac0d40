"""Roles: which names from the provider mean which role, what a name would mean, and whose names need a look."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.access.portal_links import Intent
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.directory import people, roles
from rollcall.directory.rules import Reading, Seen

PAGE = "/console/roles"


@get("/roles", guards=[admins(Intent.ROLES)], dependencies={"work": admin_work}, name="console_roles")
async def roles_page(
    request: Request[Any, Any, Any], work: PersonWork, name: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[str]:
    """The rule in force; with a *name*, how it would be read; and the open cases."""
    rule, _ = await roles.current(work)
    found = await people.cases(work, cursor=cursor)
    tried = name.strip()[:200]
    return page_for(
        request,
        "roles/page.html",
        rule=rule,
        tried=tried,
        reading=_said(rule.read([Seen(tried, "roles")]), {key: role.label for key, role in rule.roles.items()})
        if tried
        else None,
        cases=found.rows,
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({'cursor': found.next_cursor})}",
        first=None if cursor is None else PAGE,
        links=request.scope["state"]["visitor"].intent is None,
    )


def _said(reading: Reading, labels: dict[str, str]) -> tuple[str, str]:
    """What a name means, as a tone and a sentence."""
    if reading.role is not None:
        return "good", f"It means {labels.get(reading.role, reading.role)}."
    if reading.unknown:
        return "notice", "It begins like a role and is none: alone it means the default role, and a case is opened."
    return "", "It does not concern roles here: it is left alone."
