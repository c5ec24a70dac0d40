"""Roles: which names from the provider mean which role, what a name would mean, and whose names need a look."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromQuery

from rollcall.access.portal_links import Intent
from rollcall.console.role_cases import told
from rollcall.console.role_edit import PAGE, progress_said
from rollcall.console.role_forms import ON_CONFLICT
from rollcall.console.setup_guides import marked
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for, visitor
from rollcall.console.words import gettext, mark, of
from rollcall.directory import conflict_cases, group_overview, roles
from rollcall.directory.rules import Reading, Seen
from rollcall.provisioning import provider_state

FEW_GROUPS = 12
SAID = {"edited": mark("The rule is saved, and people have the roles that it gives them.")}


@get("/roles", guards=[admins(Intent.ROLES)], dependencies={"work": admin_work}, name="console_roles")
async def roles_page(
    request: Request[Any, Any, Any],
    work: PersonWork,
    name: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
    done: FromQuery[str] = "",
) -> Response[str]:
    """The rule in force; with a *name*, how it would be read; the groups that were pushed; and the open cases."""
    rule, _ = await roles.current(work)
    found = await conflict_cases.page(work, cursor=cursor)
    groups = await group_overview.page(work, limit=FEW_GROUPS)
    provider = (await provider_state.of_tenant(work)).recognised.provider
    tried = name.strip()[:200].replace("\x00", "")
    labels = {key: role.label for key, role in rule.roles.items()}
    reading = rule.read([Seen(tried, "roles")]) if tried else None
    return page_for(
        request,
        "roles/page.html",
        rule=rule,
        labels=labels,
        on_conflict=gettext(ON_CONFLICT[rule.on_conflict]),
        tried=tried,
        tried_role=None if reading is None else reading.role,
        reading=None if reading is None else read_so(reading, labels),
        groups=groups.rows,
        more_groups=groups.next_cursor is not None,
        cases=[told(case, provider, PAGE) for case in found.rows],
        marked=marked,
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({'cursor': found.next_cursor})}#cases",
        first=None if cursor is None else f"{PAGE}#cases",
        links=visitor(request).intent is None,
        progress=await progress_said(work),
        done=of(SAID, done),
    )


def read_so(reading: Reading, labels: dict[str, str]) -> tuple[str, str]:
    """What a name means, as a tone and a sentence."""
    if reading.role is not None:
        return "good", gettext("It means %(role)s.", role=labels.get(reading.role, reading.role))
    if reading.unknown:
        return "notice", gettext(
            "It begins like a role and is none: alone it means the default role, and a case is opened."
        )
    return "", gettext("It does not concern roles here: it is left alone.")
