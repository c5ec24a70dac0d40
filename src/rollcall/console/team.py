"""Team and security: who is an admin, who is in this console, and what was done in it."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts, contact_links, sessions, tokens
from rollcall.console.activity_words import worded
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of, number_of
from rollcall.console.people_acts import to_role
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import PersonWork, admin_work, admins, fresh_admin_work, page_for
from rollcall.directory import people, roles
from rollcall.errors import NotFound
from rollcall.journal.queries import AuditQuestion, read
from rollcall.work import Work

PAGE = "/console/team"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}
LATEST = 10
MOST_SESSIONS = 20
SAID = {"link-revoked": "The link is revoked. Whoever came by it is out."}


@get("/team", guards=_ADMINS, dependencies=_WORK, name="console_team")
async def team_page(request: Request[Any, Any, Any], work: PersonWork, done: FromQuery[str] = "") -> Response[str]:
    """The admins, their sessions of this console, links for others, and what was done in it last."""
    return await team(request, work, done=SAID.get(done))


@post("/team/appoint", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_find_appointed")
async def find_appointed(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Lead on to the question whether the person of this userName is to be an admin, or say why not."""
    wanted = (await form_field(request, "person"))[:320].replace("\x00", "")
    try:
        account = (await people.find_by_user_name(work, wanted)).account
    except NotFound:
        return await team(request, work, wanted=wanted, wrong="Nobody here has this userName. Look under People.")
    if not account.active:
        return await team(request, work, wanted=wanted, wrong="They have no access. Give it to them first.")
    if account.is_admin:
        return await team(request, work, wanted=wanted, wrong="They are an admin already.")
    return see(f"{PAGE}/{account.id}/appoint")


@get("/team/{person:str}/appoint", guards=_ADMINS, dependencies=_FRESH, name="console_ask_appoint")
async def ask_to_appoint(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say what an admin may do."""
    account = (await people.find(work, id_of(person, "person"))).account
    rule, _ = await roles.current(work)
    role = next(each.label for each in rule.roles.values() if each.admin)
    managed = "It holds over what your provider says, until it is lifted." if account.role_state.get("managed") else ""
    return confirmation_page(
        request,
        Confirmation(
            title=f"Make {account.user_name} an admin?",
            said=[
                f"They get the role {role}. They may open all of these pages, end people's access, and own tokens.",
                *([managed] if managed else []),
            ],
            facts=[("Role now", account.role), ("Here since", account.created_at)],
            button="Make them an admin",
            back=PAGE,
        ),
    )


@post("/team/{person:str}/appoint", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_appoint")
async def appoint(work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Make a person an admin."""
    found = await people.appoint(work, id_of(person, "person"))
    return see(f"/console/people/{found.account.id}?done=appointed")


async def team(
    request: AnyRequest,
    work: Work,
    *,
    wanted: str = "",
    wrong: str = "",
    link_for: str = "",
    link_wrong: str = "",
    done: str | None = None,
) -> Response[str]:
    """The page; *wanted* is the userName that was entered and *link_for* whom a link is for, with what is wrong."""
    links = await contact_links.live(work)
    found = await accounts.every_admin(work)
    owned = await tokens.owned(work, [each.id for each in found])
    opened = await sessions.of_console(work, limit=MOST_SESSIONS)
    entries = [entry for entry, _ in (await read(work, AuditQuestion(action="console"), limit=LATEST)).rows]
    named = [*(each.account_id for each in (*opened, *links)), *(each.account_id for each in entries)]
    names = await accounts.names(work, named)
    rule, _ = await roles.current(work)
    return page_for(
        request,
        "team/page.html",
        status_code=400 if wrong or link_wrong else 200,
        admins=found,
        owned={each: number_of(number, "token") for each, number in owned.items()},
        labels={key: role.label for key, role in rule.roles.items()},
        demote={each.id: to_role(each.id, rule.default) for each in found},
        sessions=opened,
        names=names,
        entries=entries,
        words={entry.id: worded(entry, names) for entry in entries},
        wanted=wanted,
        wrong=wrong,
        links=links,
        link_for=link_for[:100],
        link_wrong=link_wrong,
        lasts=[("1", "1 day"), ("3", "3 days"), ("7", "7 days")],
        done=done,
    )
