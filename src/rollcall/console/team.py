"""Team and security: who is an admin, or the deputy of them, who is in this console, and what was done in it."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts, contact_links, sessions, tokens
from rollcall.console.activity_words import worded
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.people_acts import to_role
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import PersonWork, admin_work, admins, fresh_admin_work, page_for
from rollcall.console.words import gettext, mark, ngettext, of, options
from rollcall.directory import deputies, people, roles
from rollcall.errors import NotFound
from rollcall.journal.queries import AuditQuestion, read
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work

PAGE = "/console/team"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}
LATEST = 10
LASTS = {"1": mark("1 day"), "3": mark("3 days"), "7": mark("7 days")}
"""For how long a link for somebody without an account is good."""
MOST_SESSIONS = 20
SAID = {
    "deputy": mark("They are the deputy now."),
    "no-deputy": mark("There is no deputy any more."),
    "link-revoked": mark("The link is revoked. Whoever came by it is out."),
}


@get("/team", guards=_ADMINS, dependencies=_WORK, name="console_team")
async def team_page(request: Request[Any, Any, Any], work: PersonWork, done: FromQuery[str] = "") -> Response[str]:
    """The admins, the deputy, their sessions, links for others, and what was done in the console last."""
    return await team(request, work, done=of(SAID, done))


@post("/team/appoint", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_find_appointed")
async def find_appointed(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Lead on to the question whether the person of this userName is to be an admin, or say why not."""
    return await _lead_on(request, work, "person", "appoint")


@post("/team/deputy", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_find_deputy")
async def find_deputy(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Lead on to the question whether the person of this userName is to be the deputy, or say why not."""
    return await _lead_on(request, work, "deputy", "deputy")


async def _lead_on(request: AnyRequest, work: Work, field: str, act: str) -> Response[Any]:
    """To the question about whoever has the userName in *field*; where they can't be that, the field says why."""
    wanted = (await form_field(request, field))[:320].replace("\x00", "")
    try:
        account = (await people.find_by_user_name(work, wanted)).account
    except NotFound:
        return await team(request, work, field, wanted, gettext("Nobody here has this userName. Look under People."))
    if not account.active:
        return await team(request, work, field, wanted, gettext("They have no access. Give it to them first."))
    if account.is_admin:
        return await team(request, work, field, wanted, gettext("They are an admin already."))
    return see(f"{PAGE}/{account.id}/{act}")


@get("/team/{person:str}/appoint", guards=_ADMINS, dependencies=_FRESH, name="console_ask_appoint")
async def ask_to_appoint(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say what an admin may do."""
    account = (await people.find(work, id_of(person, "person"))).account
    rule, _ = await roles.current(work)
    role = next(each.label for each in rule.roles.values() if each.admin)
    managed = (
        gettext("It holds over what your provider says, until it is lifted.")
        if account.role_state.get("managed")
        else ""
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Make %(user_name)s an admin?", user_name=account.user_name),
            said=[
                gettext(
                    "They get the role %(role)s. They may open all of these pages, end people's access, and own "
                    "tokens.",
                    role=role,
                ),
                *([managed] if managed else []),
            ],
            facts=[(gettext("Role now"), account.role), (gettext("Here since"), account.created_at)],
            button=gettext("Make them an admin"),
            back=PAGE,
        ),
    )


@post("/team/{person:str}/appoint", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_appoint")
async def appoint(work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Make a person an admin."""
    found = await people.appoint(work, id_of(person, "person"))
    return see(f"/console/people/{found.account.id}?done=appointed")


@get("/team/{person:str}/deputy", guards=_ADMINS, dependencies=_FRESH, name="console_ask_deputy")
async def ask_about_deputy(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say what the deputy becomes, and when."""
    account = (await people.find(work, id_of(person, "person"))).account
    before, tenant = await deputies.of(work), await tenants.own(work)
    rule, _ = await roles.current(work)
    role = next(each.label for each in rule.roles.values() if each.admin)
    instead = before is not None and before.account.id != account.id
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Make %(user_name)s the deputy?", user_name=account.user_name),
            said=[
                _when(tenant, request.app.state.brand.name),
                gettext(
                    "They get the role %(role)s then. They may open all of these pages, end access, and own tokens.",
                    role=role,
                ),
                gettext("Until then nothing changes for them."),
                *(
                    [gettext("%(user_name)s is the deputy no more.", user_name=before.account.user_name)]
                    if before is not None and instead
                    else []
                ),
            ],
            facts=[(gettext("Role now"), account.role), (gettext("Here since"), account.created_at)],
            button=gettext("Make them the deputy"),
            back=PAGE,
        ),
    )


@post("/team/{person:str}/deputy", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_name_deputy")
async def name_deputy(work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Name the deputy, in the place of whoever was."""
    await deputies.name(work, id_of(person, "person"))
    return see(f"{PAGE}?done=deputy")


@get("/team/no-deputy", guards=_ADMINS, dependencies=_WORK, name="console_ask_no_deputy")
async def ask_for_no_deputy(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Say what it means to have none."""
    found = await deputies.of(work)
    if found is None:
        return see(PAGE)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Have no deputy?"),
            said=[
                gettext(
                    "%(user_name)s is the deputy no more, and stays what they are.", user_name=found.account.user_name
                ),
                (
                    gettext(
                        "When the last admin leaves there is none, until the support of %(product)s appoints one.",
                        product=request.app.state.brand.name,
                    )
                ),
            ],
            facts=[],
            button=gettext("Have no deputy"),
            back=PAGE,
        ),
    )


@post("/team/no-deputy", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_dismiss_deputy")
async def dismiss_deputy(work: PersonWork) -> Response[Any]:
    """Have no deputy any more."""
    await deputies.dismiss(work)
    return see(f"{PAGE}?done=no-deputy")


def _when(tenant: Tenant, vendor: str) -> str:
    """When the deputy becomes an admin."""
    if tenant.last_admin == "keep_one":
        return gettext(
            "When nobody is an admin any more, the deputy becomes one in the same moment, without anybody's doing."
        )
    return gettext(
        "It does not count yet: when the last admin leaves there is none, until the support of %(vendor)s appoints "
        "one. Ask them to keep one admin; then the deputy becomes an admin in that moment.",
        vendor=vendor,
    )


async def team(
    request: AnyRequest, work: Work, field: str = "", wanted: str = "", wrong: str = "", *, done: str | None = None
) -> Response[str]:
    """The page; *wanted* is what was entered in *field* (person, deputy, or whom a link is for), with what is wrong."""
    links = await contact_links.live(work)
    found = await accounts.every_admin(work)
    owned = await tokens.owned(work, [each.id for each in found])
    opened = await sessions.of_console(work, limit=MOST_SESSIONS)
    entries = [entry for entry, _ in (await read(work, AuditQuestion(action="console"), limit=LATEST)).rows]
    named = [*(each.account_id for each in (*opened, *links)), *(each.account_id for each in entries)]
    names = await accounts.names(work, named)
    rule, _ = await roles.current(work)
    deputy, tenant = await deputies.of(work), await tenants.own(work)
    return page_for(
        request,
        "team/page.html",
        status_code=400 if wrong else 200,
        admins=found,
        owned={each: ngettext("%(count)s token", "%(count)s tokens", number) for each, number in owned.items()},
        labels={key: role.label for key, role in rule.roles.items()},
        demote={each.id: to_role(each.id, rule.default) for each in found},
        sessions=opened,
        names=names,
        entries=entries,
        words={entry.id: worded(entry, names) for entry in entries},
        deputy=None if deputy is None else deputy.account,
        keeps=tenant.last_admin == "keep_one",
        when=_when(tenant, request.app.state.brand.name),
        wanted={"person": "", "deputy": "", "label": ""} | {field: wanted[:320]},
        wrong={"person": "", "deputy": "", "label": ""} | {field: wrong},
        links=links,
        lasts=options(LASTS),
        done=done,
    )
