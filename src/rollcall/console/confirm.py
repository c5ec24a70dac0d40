"""Saying once more who one is, before something that wants a fresh sign-in; then on to what one was about to do.

What a form said is carried through the page, so that nothing is filled in twice. Whoever came by a portal link has no
other sign-in than the link: they open it again.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromQuery, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import authenticators, challenges, passkey_sign_in, passwords, sign_in_codes
from rollcall.access.authenticators import RelyingParty
from rollcall.access.console_sessions import SignedIn, hold, prove
from rollcall.access.mail_codes import MailCodeRefused
from rollcall.access.passwords import PasswordRefused
from rollcall.access.sign_in_codes import CodeRefused
from rollcall.console.frame import HOME
from rollcall.console.mail_sign_in import asked_for, asked_of, entered
from rollcall.console.requests import AnyRequest, form_field, json_answer, see, source_of
from rollcall.console.visitors import (
    ADDRESS,
    anybody_signed_in,
    note_address,
    page_for,
    signed_in,
    visitor,
    work_of,
)
from rollcall.console.words import domain
from rollcall.errors import Forbidden, Refusal, TooManyRequests
from rollcall.work import Work

PAGE = "/console/confirm"
_CARRIED = "field:"
_LOCAL = re.compile(r"/console/[\w\-./?=&%+:~]*", re.ASCII)
MOST_CARRIED = 20


class ConfirmAnswered(BaseModel):
    """What somebody's authenticator made of it."""

    challenge: str = Field(max_length=1000)
    credential: dict[str, Any]


def address_of(act: str) -> str:
    """The page that asks, and leads on to *act* then."""
    return f"{PAGE}?{urlencode({'act': act})}"


@get("/confirm", guards=[anybody_signed_in], name="console_ask_who")
async def ask_who(request: Request[Any, Any, Any], act: FromQuery[str] = HOME) -> Response[Any]:
    """Ask who somebody is; whoever has said so just now is led on."""
    act = _local(act)
    if visitor(request).is_fresh(request.app.state.console.fresh):
        return see(act)
    await note_address(request)
    return confirm_page(request, act)


@post("/confirm", status_code=200, guards=[signed_in], name="console_confirm")
async def confirm(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take a code or a password, or have a code mailed, and lead on."""
    act, fields, asked = _local(await form_field(request, "act")), await _carried(request), None
    await note_address(request)
    try:
        await request.app.state.attempts.check(source_of(request), PAGE, shown=str(visitor(request).account_id))
        if await form_field(request, "mail"):
            asked = await _mailed(request)
            return confirm_page(request, act, fields, asked=asked)
        asked = asked_of(await form_field(request, "asked"))
        await _proved(request, asked)
    except Refusal as refusal:
        page = confirm_page(request, act, fields, asked=asked, status_code=refusal.status, alert=domain(refusal.detail))
        if isinstance(refusal, TooManyRequests):
            page.headers["Retry-After"] = str(refusal.retry_after)
        return page
    return see(act) if not fields else page_for(request, "confirm/go_on.html", act=act, fields=fields)


@post("/confirm/passkey/begin", status_code=200, guards=[signed_in], name="console_begin_confirming")
async def begin_confirming(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Begin to confirm with a passkey."""
    sealed, challenge = challenges.seal(request.app.state.sealer, _purpose(visitor(request)))
    options = authenticators.sign_in_options(_party(request), challenge=challenge, milliseconds=challenges.MILLISECONDS)
    return json_answer({"challenge": sealed, "options": options})


@post("/confirm/passkey", status_code=200, guards=[signed_in], name="console_confirm_by_passkey")
async def confirm_by_passkey(
    request: Request[Any, Any, Any], data: JSONBody[ConfirmAnswered], act: FromQuery[str] = HOME
) -> Response[dict[str, Any]]:
    """Confirm by the passkey that signed."""
    somebody, party = visitor(request), _party(request)
    await request.app.state.attempts.check(source_of(request), PAGE, shown=str(somebody.account_id))
    begun = challenges.unseal(request.app.state.sealer, data.challenge, _purpose(somebody))

    async def on_refusal(work: Work, refusal: Refusal) -> None:
        await passkey_sign_in.after_console_refusal(work, begun, refusal)

    async with work_of(request, on_refusal) as work:
        await hold(work, somebody)
        await passkey_sign_in.prove(work, party, somebody.account_id, begun=begun, answer=data.credential)
        await prove(work, somebody, "passkey")
    return json_answer({"next": _local(act)})


def confirm_page(
    request: AnyRequest,
    act: str,
    fields: Mapping[str, str] | None = None,
    *,
    asked: UUID | None = None,
    status_code: int = 200,
    alert: str | None = None,
) -> Response[str]:
    """The page that asks; *asked* is the code that was mailed, *fields* what is carried on to *act*."""
    party: RelyingParty | None = request.app.state.own_party
    by_link = visitor(request).intent is not None
    return page_for(
        request,
        "confirm/who.html",
        status_code=status_code,
        with_passkeys=party is not None and not by_link,
        origin=None if party is None else party.origins[0],
        by_link=by_link,
        minutes=int(request.app.state.console.fresh.total_seconds() // 60),
        act=act,
        finish=f"{PAGE}/passkey?{urlencode({'act': act})}",
        fields=fields or {},
        asked=asked,
        sends_mail=request.scope["state"].get(ADDRESS) is not None,
        alert=alert,
    )


async def _proved(request: AnyRequest, asked: UUID | None) -> None:
    """Note that somebody is who they are, by what they entered.

    Raises:
        CodeRefused, MailCodeRefused, PasswordRefused: it is not right.
    """
    code, password = await form_field(request, "code"), await form_field(request, "password")
    somebody = visitor(request)
    if password:
        await _by_password(request, somebody, password)
    elif asked is not None:
        theirs = await entered(request, asked, code)
        if all(each.account_id != somebody.account_id for each in theirs):
            raise MailCodeRefused
        async with work_of(request) as work:
            await hold(work, somebody)
            await prove(work, somebody, "mail")
    else:
        async with work_of(request) as work:
            _, account_id = await sign_in_codes.spend(work, code)
            if account_id != somebody.account_id:
                raise CodeRefused
            await hold(work, somebody)
            await prove(work, somebody, "code")


async def _by_password(request: AnyRequest, somebody: SignedIn, password: str) -> None:
    async with work_of(request) as work:
        kept = await passwords.find(work, somebody.user_name)
    verified = await request.app.state.hashing.verified(kept and kept.hash, passwords.plain(password))
    if kept is None or kept.account_id != somebody.account_id or not verified.is_right:
        raise PasswordRefused
    async with work_of(request) as work:
        await hold(work, somebody)
        await passwords.prove(work, kept, renewed=verified.renewed)
        await prove(work, somebody, "password")


async def _mailed(request: AnyRequest) -> UUID:
    address: str | None = request.scope["state"].get(ADDRESS)
    if address is None:
        msg = "No code is mailed to you. Confirm in another way."
        raise Forbidden(msg)
    return await asked_for(request, address)


async def _carried(request: AnyRequest) -> dict[str, str]:
    """What a form said that is carried on."""
    form = await request.form()
    found = [(name, value) for name, value in form.items() if name.startswith(_CARRIED) and isinstance(value, str)]
    return {name.removeprefix(_CARRIED): value for name, value in found[:MOST_CARRIED]}


def _local(act: str) -> str:
    """An address of this console; its first page for anything else."""
    return act if _LOCAL.fullmatch(act) and ".." not in act and "//" not in act else HOME


def _purpose(somebody: SignedIn) -> str:
    return f"confirm {somebody.session_id}"


def _party(request: AnyRequest) -> RelyingParty:
    party: RelyingParty | None = request.app.state.own_party
    if party is None:
        msg = "Passkeys don't work at this address; confirm with a code."
        raise Forbidden(msg)
    return party
