"""Signing in with a password, in an emergency: for those alone whom ops have named.

To a stranger every way of not getting in looks alike and takes as long: a hash is computed also where there is none.
"""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromQuery

from rollcall.access import passwords
from rollcall.access.console_sessions import LIFETIME
from rollcall.access.passwords import PasswordRefused
from rollcall.access.sessions import NewSession
from rollcall.console.cookies import WORKSPACE
from rollcall.console.frame import HOME
from rollcall.console.requests import AnyRequest, form_field, see, source_of
from rollcall.console.sign_in import browser_of, count_refusal, signed_in_cookies, tenant_named
from rollcall.console.visitors import page_for, strangers_work
from rollcall.console.words import domain
from rollcall.errors import Refusal, TooManyRequests, Unavailable
from rollcall.work import TenantRef

_LONGEST_NAME = 320


@get("/sign-in/password", name="console_password_page")
async def password_page(request: Request[Any, Any, Any], workspace: FromQuery[str | None] = None) -> Response[str]:
    """The page with all three fields."""
    return _page(request, request.cookies.get(WORKSPACE, "") if workspace is None else workspace, "")


@post("/sign-in/password", status_code=200, name="console_enter_password")
async def enter_password(request: Request[Any, Any, Any]) -> Response[Any]:
    """Sign in with a password."""
    workspace, user_name = (
        await form_field(request, "workspace"),
        (await form_field(request, "user_name"))[:_LONGEST_NAME],
    )
    form: Any = await request.form()
    password = str(form.get("password", ""))  # with its blanks
    try:
        attempts = request.app.state.attempts
        await attempts.check(source_of(request), workspace, named=user_name)
        tenant = await tenant_named(request, workspace)
        new = await _entered(request, tenant, user_name, password)
    except Refusal as refusal:
        count_refusal(request)
        page = _page(request, workspace, user_name, status_code=refusal.status, alert=domain(refusal.detail))
        if isinstance(refusal, TooManyRequests | Unavailable):
            page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    return see(HOME, *signed_in_cookies(request, tenant, new))


async def _entered(request: AnyRequest, tenant: TenantRef, user_name: str, password: str) -> NewSession:
    """A session for whoever's password it is. No transaction is open while a hash is computed.

    Raises:
        PasswordRefused: it is nobody's.
        Unavailable: as many as may be wait already.
    """
    async with strangers_work(request, tenant) as work:
        kept = await passwords.find(work, user_name)
    verified = await request.app.state.hashing.verified(kept and kept.hash, passwords.plain(password))
    if kept is None or not verified.is_right:
        raise PasswordRefused
    async with strangers_work(request, tenant) as work:
        return await passwords.enter(work, kept, renewed=verified.renewed, lifetime=LIFETIME, label=browser_of(request))


def _page(
    request: AnyRequest, workspace: str, user_name: str, *, status_code: int = 200, alert: str | None = None
) -> Response[str]:
    return page_for(
        request,
        "sign_in/password.html",
        status_code=status_code,
        workspace=workspace[:63],
        user_name=user_name[:_LONGEST_NAME],
        longest=passwords.LONGEST,
        alert=alert,
    )
