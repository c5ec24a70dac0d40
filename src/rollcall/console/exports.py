"""What can be taken out of the console as a file: activity, people, departures and groups, as their pages show them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from rollcall.access import accounts, ways_in
from rollcall.access.portal_links import Intent
from rollcall.console import activity, exporting
from rollcall.console.activity_words import worded
from rollcall.console.exporting import FORMATS, MOST_ROWS, Turn
from rollcall.console.visitors import PersonWork, admin_work, admins, again_as_admin, page_for, takes_files, visitor
from rollcall.console.words import gettext, mark
from rollcall.directory import group_overview, people
from rollcall.errors import NotFound
from rollcall.journal import queries
from rollcall.journal.console_events import ConsoleExported
from rollcall.journal.queries import AuditQuestion
from rollcall.journal.record import enter
from rollcall.paging import Page
from rollcall.proof import receipts
from rollcall.work import Work

Chosen = dict[str, str]
"""The filters of a page, as its address has them."""

_ROWS = MOST_ROWS + 1
"""So many are counted: one more than a file has says that there are more."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A list that can be taken out."""

    name: str
    title: str
    asks: str
    """What the page before the file is called."""
    columns: tuple[str, ...]
    chosen: Callable[[Mapping[str, str]], Chosen]
    count: Callable[[Work, Chosen], Awaitable[int]]
    read: Callable[[Chosen, Work, str | None, int], Awaitable[Page[Mapping[str, Any]]]]
    intents: tuple[Intent, ...] = ()


def _nothing(_query: Mapping[str, str]) -> Chosen:
    return {}


def _question(chosen: Chosen) -> AuditQuestion:
    return AuditQuestion(action=chosen.get("action"), outcome=chosen.get("outcome"))


async def _count_activity(work: Work, chosen: Chosen) -> int:
    return await queries.count(work, _question(chosen), most=_ROWS)


async def _read_activity(chosen: Chosen, work: Work, cursor: str | None, limit: int) -> Page[Mapping[str, Any]]:
    found = await queries.read(work, _question(chosen), limit=limit, cursor=cursor)
    names = await accounts.names(work, [entry.account_id for entry, _ in found.rows])
    return found.of(
        lambda row: {
            "at": row[0].at,
            "what": worded(row[0], names),
            "action": row[0].action,
            "outcome": row[0].outcome,
            "status": row[0].status,
            "detail": row[0].detail,
            "by": row[0].actor_label,
            "by_kind": row[0].actor_kind,
            "from": row[0].source,
            "person_id": row[0].account_id,
            "person": names.get(row[0].account_id) if row[0].account_id else None,
            "target": row[0].target,
            "events": row[0].events,
            "method": row[0].method,
            "path": row[0].path,
            "request_id": row[0].request_id,
        }
    )


def _begins(query: Mapping[str, str]) -> Chosen:
    wanted = people_wanted(query.get("q", ""))
    return {"q": wanted} if wanted else {}


def people_wanted(typed: str) -> str:
    """What somebody looks for among the people."""
    return typed.strip()[:320].replace("\x00", "")


async def _count_people(work: Work, chosen: Chosen) -> int:
    return (
        await people.count_beginning(work, chosen["q"], most=_ROWS) if chosen else min(await people.count(work), _ROWS)
    )


async def _read_people(chosen: Chosen, work: Work, cursor: str | None, limit: int) -> Page[Mapping[str, Any]]:
    found = await people.page(work, begins=chosen.get("q", ""), limit=limit, cursor=cursor)
    return found.of(
        lambda each: {
            "id": each.account.id,
            "user_name": each.account.user_name,
            "display_name": None if each.user is None else each.user.document.get("displayName"),
            "external_id": each.account.external_id,
            "active": each.account.active,
            "role": each.account.role,
            "role_from": each.account.role_state.get("origin"),
            "admin": each.account.is_admin,
            "created_at": each.account.created_at,
            "deactivated_at": each.account.deactivated_at,
            "in_directory": each.user is not None,
        }
    )


async def _count_departures(work: Work, _chosen: Chosen) -> int:
    return await receipts.count(work, most=_ROWS)


async def _read_departures(_chosen: Chosen, work: Work, cursor: str | None, limit: int) -> Page[Mapping[str, Any]]:
    found = await receipts.page(work, limit=limit, cursor=cursor)
    names = await accounts.names(work, [row.account_id for row in found.rows])
    return found.of(
        lambda row: {
            "receipt_id": row.id,
            "person_id": row.account_id,
            "person": names.get(row.account_id),
            "reason": row.reason,
            "arrived_at": row.arrived_at,
            "closed_at": row.closed_at,
            "seconds_to_close": round((row.closed_at - row.arrived_at).total_seconds(), 3),
            **{kind: row.closed.get(kind, 0) for kind in ways_in.NAMES},
            "completed_at": row.completed_at,
            "destinations": None if row.destinations is None else len(row.destinations),
            "destinations_in_time": None if row.destinations is None else sum(bool(e["met"]) for e in row.destinations),
            "request_id": row.request_id,
        }
    )


async def _count_groups(work: Work, _chosen: Chosen) -> int:
    return await group_overview.count(work, most=_ROWS)


async def _read_groups(_chosen: Chosen, work: Work, cursor: str | None, limit: int) -> Page[Mapping[str, Any]]:
    found = await group_overview.page(work, limit=limit, cursor=cursor)
    return found.of(
        lambda each: {
            "id": each.row.id,
            "display_name": each.row.display_name,
            "external_id": each.row.external_id,
            "people": each.people,
            "groups": each.groups,
            "unknown_members": each.unknown_members,
            "role": each.read.role,
            "changed_at": each.row.last_modified,
        }
    )


def _columns(names: str) -> tuple[str, ...]:
    return tuple(names.split())


EXPORTED = (
    Exported(
        "activity",
        mark("Activity"),
        mark("Export activity"),
        _columns(
            "at what action outcome status detail by by_kind from person_id person target events method path request_id"
        ),
        activity.chosen_of,
        _count_activity,
        _read_activity,
        (Intent.ACTIVITY,),
    ),
    Exported(
        "people",
        mark("People"),
        mark("Export people"),
        _columns(
            "id user_name display_name external_id active role role_from admin created_at deactivated_at in_directory"
        ),
        _begins,
        _count_people,
        _read_people,
    ),
    Exported(
        "departures",
        mark("Departures"),
        mark("Export departures"),
        _columns(
            "receipt_id person_id person reason arrived_at closed_at seconds_to_close "
            f"{' '.join(ways_in.NAMES)} completed_at destinations destinations_in_time request_id"
        ),
        _nothing,
        _count_departures,
        _read_departures,
        (Intent.DEPARTURES,),
    ),
    Exported(
        "groups",
        mark("Groups"),
        mark("Export groups"),
        _columns("id display_name external_id people groups unknown_members role changed_at"),
        _nothing,
        _count_groups,
        _read_groups,
    ),
)


def _handlers_of(exported: Exported) -> list[HTTPRouteHandler]:
    """The page before a list is taken out, and the file."""
    path, guards = f"/{exported.name}/export", [admins(*exported.intents), takes_files]
    work_of_page = {"work": admin_work}

    @get(path, guards=guards, dependencies=work_of_page, name=f"console_ask_export_{exported.name}")
    async def ask_to_export(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
        """Say how many rows there are, and offer the formats."""
        chosen = exported.chosen(request.query_params)
        number, asked = await exported.count(work, chosen), f"?{urlencode(chosen)}" if chosen else ""
        return page_for(
            request,
            "exports/page.html",
            exported=exported,
            title=gettext(exported.title),
            asks=gettext(exported.asks),
            chosen=chosen,
            number=min(number, MOST_ROWS),
            more=number > MOST_ROWS,
            files=[(form, f"/console{path}/{form}{asked}") for form in FORMATS],
            back=f"/console/{exported.name}{asked}",
        )

    @get(f"{path}/{{form:str}}", guards=guards, dependencies=work_of_page, name=f"console_export_{exported.name}")
    async def export(request: Request[Any, Any, Any], work: PersonWork, form: FromPath[str]) -> Stream:
        """The list as a file, by the filters of the page it was on."""
        if form not in FORMATS:
            raise NotFound("format")
        turn = Turn(request.app.state.redis, visitor(request).session_id)
        await turn.begin()
        await enter(work, ConsoleExported(exported.name, form), account_id=visitor(request).account_id)
        read = partial(exported.read, exported.chosen(request.query_params))
        pieces = exporting.file(partial(again_as_admin, request), read, exported.columns, form)
        name = f"{exported.name}-{work.tenant.slug}-{work.now:%Y-%m-%d}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Stream(turn.during(pieces), media_type=FORMATS[form], headers=headers)

    return [ask_to_export, export]


HANDLERS = [handler for exported in EXPORTED for handler in _handlers_of(exported)]
