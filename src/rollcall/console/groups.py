"""Groups: which ones were pushed and what they mean; and one: who is in it, and what it would change if it went."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.params import FromPath, FromQuery

from rollcall.console.own import id_of
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.console.words import gettext, ngettext, number_said
from rollcall.directory import group_overview, roles
from rollcall.directory.group_overview import MOST_LOOKED_AT, Group, Removal

PAGE = "/console/groups"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
MOST_NESTED = 50


@get("/groups", guards=_ADMINS, dependencies=_WORK, name="console_groups")
async def groups_page(
    request: Request[Any, Any, Any], work: PersonWork, cursor: FromQuery[str | None] = None
) -> Response[str]:
    """The tenant's groups by name, with how many are in each and the role it means."""
    found = await group_overview.page(work, cursor=cursor)
    rule, _ = await roles.current(work)
    return page_for(
        request,
        "groups/page.html",
        rows=found.rows,
        labels={key: role.label for key, role in rule.roles.items()},
        reads=rule.reads("groups"),
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({'cursor': found.next_cursor})}",
        first=None if cursor is None else PAGE,
    )


@get("/groups/{group:str}", guards=_ADMINS, dependencies=_WORK, name="console_group")
async def group_page(
    request: Request[Any, Any, Any], work: PersonWork, group: FromPath[str], cursor: FromQuery[str | None] = None
) -> Response[str]:
    """One group: the role it means and why, what would change without it, and its members, a page at a time."""
    found = await group_overview.of_id(work, id_of(group, "group"))
    members = await group_overview.members(work, found.row.id, cursor=cursor)
    rule, _ = await roles.current(work)
    here = f"{PAGE}/{found.row.id}"
    labels = {key: role.label for key, role in rule.roles.items()}
    return page_for(
        request,
        "groups/group.html",
        group=found,
        means=said_of(found, labels, reads=rule.reads("groups"), prefix=rule.prefix),
        labels=labels,
        nested=await group_overview.groups_in(work, found.row.id, limit=MOST_NESTED),
        rows=members.rows,
        without=without(await group_overview.removal(work, found.row.id)),
        more=None if members.next_cursor is None else f"{here}?{urlencode({'cursor': members.next_cursor})}",
        first=None if cursor is None else here,
        back=PAGE,
    )


def said_of(group: Group, labels: dict[str, str], *, reads: bool, prefix: str | None) -> str:
    """Which role a group's name means, and why."""
    if not reads:
        return gettext("The rule does not look for roles in groups, so it means none.")
    if group.read.role is not None:
        return gettext("Who is in it is %(role)s.", role=labels.get(group.read.role, group.read.role))
    if group.read.kind == "ungrantable":
        return gettext(
            "It begins with “%(prefix)s” and is no role here: who is in it has the default role, and a case is open.",
            prefix=prefix,
        )
    return gettext("It means no role here and is left alone.")


def without(found: Removal) -> str:
    """What would become of people if the group went, in numbers."""
    parts: list[str] = []
    if found.role_changes:
        parts.append(
            ngettext(
                "%(count)s person would get another role", "%(count)s people would get another role", found.role_changes
            )
        )
    if found.cases:
        parts.append(
            ngettext(
                "%(count)s person would keep theirs with an open case, as a removal gives nobody another role",
                "%(count)s people would keep theirs with an open case, as a removal gives nobody another role",
                found.cases,
            )
        )
    said = f"{'; '.join(parts)}." if parts else gettext("Nobody would get another role.")
    if found.looked_at < MOST_LOOKED_AT:
        return said
    return f"{said} {gettext('This is of the first %(number)s people in it.', number=number_said(MOST_LOOKED_AT))}"
