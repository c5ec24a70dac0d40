"""People: who has access and in which role; and one person: why that role, what they have open, what happened."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import sessions
from rollcall.console import ways_in
from rollcall.console.activity_words import worded
from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.own import id_of
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for
from rollcall.console.words import gettext, mark, ngettext, of
from rollcall.directory import linking, people, roles
from rollcall.directory.people import Person
from rollcall.journal.queries import AuditQuestion, read
from rollcall.proof import receipts
from rollcall.work import Work

PAGE = "/console/people"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
MOST_FOUND = 20
ORIGINS = {
    "provider": mark("Provider"),
    "default": mark("Default"),
    "hand": mark("By hand"),
    "override": mark("Override"),
}
SAID = {
    "deactivated": mark("They are out: everything they had open is closed."),
    "reactivated": mark("They may come in again. Nothing that was closed came back."),
    "added": mark("They are here now, and may come in."),
    "role": mark("They have that role now."),
    "lifted": mark("The override is lifted: your provider decides their role."),
    "linked": mark("They have their former account back."),
    "closed": mark("It is closed, and lets nobody in any more."),
    "appointed": mark("They are an admin now."),
}


@get("/people", guards=_ADMINS, dependencies=_WORK, name="console_people")
async def people_page(
    request: Request[Any, Any, Any], work: PersonWork, q: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[str]:
    """The tenant's people in the order they came, or those whose userName begins with what was looked for."""
    wanted = q.strip()[:320].replace("\x00", "")
    if wanted:
        rows, more = await people.beginning(work, wanted, limit=MOST_FOUND), None
    else:
        found = await people.page(work, cursor=cursor)
        rows, more = found.rows, found.next_cursor
    return page_for(
        request,
        "people/page.html",
        rows=rows,
        labels=await _labels(work),
        origins=ORIGINS,
        total=await people.count(work),
        wanted=wanted,
        more=None if more is None else f"{PAGE}?{urlencode({'cursor': more})}",
        first=None if cursor is None or wanted else PAGE,
        most=MOST_FOUND,
    )


@get("/people/{person:str}", guards=_ADMINS, dependencies=_WORK, name="console_person")
async def person_page(
    request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str], done: FromQuery[str] = ""
) -> Response[str]:
    """One person: their role and why, their ways in, their receipts, and what happened."""
    found = await people.find(work, id_of(person, "person"))
    account_id = found.account.id
    entries = [entry for entry, _ in (await read(work, AuditQuestion(account_id=account_id), limit=20)).rows]
    names = {account_id: found.account.user_name}
    return page_for(
        request,
        "people/person.html",
        person=found,
        why=await people.explain(work, account_id),
        origins=ORIGINS,
        choices=[
            ("", gettext("Choose a role")),
            *((key, label) for key, label in (await _labels(work)).items() if key != found.account.role),
        ],
        formers=await linking.formers(work, found.account) if found.user is not None else [],
        ways=await ways_in.of_person(work, account_id),
        sessions_total=await sessions.count(work, account_id),
        receipts=(await receipts.page(work, account_id=account_id, limit=5)).rows,
        entries=entries,
        words={entry.id: worded(entry, names) for entry in entries},
        done=of(SAID, done),
        back=PAGE,
    )


@get("/people/{person:str}/deactivate", guards=_ADMINS, dependencies=_WORK, name="console_ask_deactivate")
async def ask_to_deactivate(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say what a deactivation ends."""
    return confirmation_page(request, await _deactivation(work, await people.find(work, id_of(person, "person"))))


@post("/people/{person:str}/deactivate", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_deactivate")
async def deactivate(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """End what a person can do, now, once their userName was typed."""
    wanted = await people.find(work, id_of(person, "person"))
    if asked := await unless_typed(request, await _deactivation(work, wanted)):
        return asked
    found = await people.deactivate(work, wanted.account.id, reason="deactivated by an admin")
    return see(f"{PAGE}/{found.account.id}?done=deactivated")


async def _deactivation(work: Work, person: Person) -> Confirmation:
    account, opened = person.account, await sessions.count(work, person.account.id)
    return Confirmation(
        title=gettext("End the access of %(user_name)s?", user_name=account.user_name),
        said=[
            (
                ngettext(
                    "This closes %(count)s session of 1 person, and all tokens, passkeys and registered credentials of "
                    "theirs, from the next request on.",
                    "This closes %(count)s sessions of 1 person, and all tokens, passkeys and registered credentials "
                    "of "
                    "theirs, from the next request on.",
                    opened,
                )
            ),
            gettext(
                "Their account and history stay. If your identity provider still has them, it may let them in again."
            ),
        ],
        facts=[(gettext("Role"), account.role), (gettext("Here since"), account.created_at)],
        button=gettext("End their access"),
        back=f"{PAGE}/{account.id}",
        typed=account.user_name,
        called=gettext("their userName"),
    )


@post("/people/{person:str}/reactivate", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_reactivate")
async def reactivate(work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Let a person in again."""
    found = await people.reactivate(work, id_of(person, "person"))
    return see(f"{PAGE}/{found.account.id}?done=reactivated")


async def _labels(work: Work) -> dict[str, str]:
    rule, _ = await roles.current(work)
    return {key: role.label for key, role in rule.roles.items()}
