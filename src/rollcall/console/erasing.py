"""Erasing somebody who has left, once their userName was typed."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.own import id_of
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, admin_work, admins, check_fresh
from rollcall.console.words import gettext, ngettext
from rollcall.directory import erasing
from rollcall.work import Work

PAGE = "/console/people"
_ADMINS = [admins()]
_WORK = {"work": admin_work}


@get("/people/{person:str}/erase", guards=_ADMINS, dependencies=_WORK, name="console_ask_erase")
async def ask_to_erase(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say what an erasure takes away, and what stays."""
    return confirmation_page(request, await _erasure(work, person))


@post("/people/{person:str}/erase", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_erase")
async def erase(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Erase what names a person, after a fresh sign-in; housekeeping looks through the older entries of the audit."""
    await check_fresh(request)
    if asked := await unless_typed(request, await _erasure(work, person)):
        return asked
    done = await erasing.erase(work, id_of(person, "person"))
    return see(f"{PAGE}/{done.account.id}?done=erased")


async def _erasure(work: Work, person: str) -> Confirmation:
    outlook = await erasing.erase(work, id_of(person, "person"), dry_run=True)
    account = outlook.account
    rows = sum(outlook.went.values())
    said = [
        ngettext(
            "This deletes what names 1 person here, %(count)s record among that, and tells whoever hears of events. It "
            "can't be undone.",
            "This deletes what names 1 person here, %(count)s records among that, and tells whoever hears of events. It "
            "can't be undone.",
            rows,
        ),
        ngettext(
            "%(count)s entry of the activity stays, without names and without what was sent. If your identity provider "
            "sends this person again, they come as somebody new.",
            "%(count)s entries of the activity stay, without names and without what was sent. If your identity provider "
            "sends this person again, they come as somebody new.",
            outlook.entries,
        ),
    ]
    if outlook.receipts_kept:
        said.append(
            ngettext(
                "%(count)s signed receipt of their departure stays as proof, with their name.",
                "%(count)s signed receipts of their departure stay as proof, with their name.",
                outlook.receipts_kept,
            )
        )
    return Confirmation(
        title=gettext("Erase %(person)s?", person=account.user_name),
        said=said,
        facts=[(gettext("Left"), account.deactivated_at), (gettext("Here since"), account.created_at)],
        button=gettext("Erase this person"),
        back=f"{PAGE}/{account.id}",
        typed=account.user_name,
        called=gettext("their userName"),
    )
