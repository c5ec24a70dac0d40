"""My password for emergencies: set one, change it, remove it; for those alone whom ops have named."""

from typing import Any

from litestar import Request, Response, get, post

from rollcall.access import passwords
from rollcall.access.console_sessions import hold
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import section
from rollcall.console.requests import AnyRequest, see
from rollcall.console.visitors import (
    PersonWork,
    check_fresh,
    fresh_person_work,
    page_for,
    signed_in,
    visitor,
    work_of,
)
from rollcall.console.words import domain, gettext
from rollcall.errors import Invalid, NotFound, Refusal

_MINE = [signed_in]


@get("/account/password", guards=_MINE, dependencies={"work": fresh_person_work}, name="console_own_password")
async def own_password_page(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Ask for a password, twice."""
    await passwords.check_may_have(work, visitor(request).account_id)
    return _page(request)


@post("/account/password", status_code=200, guards=_MINE, name="console_set_password")
async def set_password(request: Request[Any, Any, Any]) -> Response[Any]:
    """Keep the password. Its hash is computed while no transaction is open."""
    await check_fresh(request, carries=False)  # it is written into no page
    form: Any = await request.form()
    password, again = passwords.plain(str(form.get("password", ""))), passwords.plain(str(form.get("again", "")))
    person = visitor(request).account_id
    try:
        async with work_of(request) as work:
            await passwords.check_may_have(work, person)
        passwords.check(password)
        if password != again:
            msg = "The two are not the same. Enter it twice."
            raise Invalid(msg)
    except Invalid as fault:
        return _page(request, status_code=fault.status, alert=_said(fault))
    hashed = await request.app.state.hashing.hashed(password)
    async with work_of(request) as work:
        await hold(work, visitor(request))
        await passwords.keep(work, person, hashed)
    return see(section("password", "password-set"))


@get("/account/password/remove", guards=_MINE, dependencies={"work": fresh_person_work}, name="console_ask_password")
async def ask_about_password(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Say what removing it does."""
    mine = await passwords.of_person(work, visitor(request).account_id)
    if mine is None:
        raise NotFound("password")
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Remove your password?"),
            said=[gettext("It opens nothing any more. Sessions that it opened stay open until they end.")],
            facts=[(gettext("Set"), mine.created_at), (gettext("Last used"), mine.last_used_at)],
            button=gettext("Remove the password"),
            back=section("password"),
        ),
    )


@post(
    "/account/password/remove",
    status_code=200,
    guards=_MINE,
    dependencies={"work": fresh_person_work},
    name="console_remove_password",
)
async def remove_password(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Remove my password."""
    await passwords.remove(work, visitor(request).account_id)
    return see(section("password", "password-removed"))


def _page(request: AnyRequest, *, status_code: int = 200, alert: str | None = None) -> Response[str]:
    return page_for(
        request,
        "account/password.html",
        status_code=status_code,
        shortest=passwords.SHORTEST,
        longest=passwords.LONGEST,
        alert=alert,
        back=section("password"),
    )


def _said(fault: Refusal) -> str:
    said = fault.detail.removeprefix("password: ")
    return domain(f"{said[:1].upper()}{said[1:].removesuffix(chr(46))}.")
