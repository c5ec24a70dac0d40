"""Tokens: what opens Rollcall for the tenant's provider and its admins; issued, rotated and revoked here."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts, tokens
from rollcall.access.models import Token
from rollcall.access.portal_links import Intent
from rollcall.access.token_states import TokenState, judgement
from rollcall.access.tokens import ROTATED_WITHIN, NewToken, NothingToTakeOver, Scope
from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import (
    OutOfReach,
    PersonWork,
    admin_work,
    admins,
    fresh_admin_work,
    page_for,
    visitor,
)
from rollcall.console.words import gettext, mark, ngettext, of, options
from rollcall.errors import NotFound
from rollcall.tenancy import tenants
from rollcall.work import Work

PAGE = "/console/tokens"
_ADMINS = [admins(Intent.TOKENS)]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}
"""For what hands out a token, or has somebody own one."""

USES = {
    "scim": mark("Provisioning: read and write over SCIM"),
    "scim:read": mark("Reading alone, over SCIM"),
    "admin": mark("Management API, as yourself"),
    "auditor": mark("For auditors: read the audit, receipts, alerts and who was there when"),
}
OF_PROVIDERS = frozenset({Scope.SCIM, Scope.SCIM_READ})
"""What a provider calls with. Whoever came by a portal link makes no other: it would outlive and outreach the link."""

LIVES = {"90": mark("90 days"), "365": mark("1 year"), "": mark("Never")}
OVERLAPS = {"0": mark("At once"), "3600": mark("In 1 hour"), "86400": mark("In 1 day"), "604800": mark("In 7 days")}
SAID = {
    "revoked": mark("The token is revoked. Whatever used it is refused from now on."),
    "taken-over": mark("The token is yours, and works. Rotate it within seven days."),
}
REMEDIES = {
    TokenState.RESTRICTED: mark("Take it over, and rotate it then."),
    TokenState.PAUSED: mark("It works again when the pause is over."),
    TokenState.PLAN: mark("With a plan that includes SCIM it works again."),
    TokenState.TAKES_ONLY: mark("With a plan that includes SCIM it works as before."),
    TokenState.SUSPENDED: mark("Ask the support; it works again when your company is resumed."),
}
"""What to do, where the judgement's own words are for operators."""

TONES = {
    TokenState.LIVE: ("good", mark("Live")),
    TokenState.ROTATED: ("notice", mark("Being replaced")),
    TokenState.REVOKED: ("", mark("Revoked")),
    TokenState.EXPIRED: ("", mark("Expired")),
    TokenState.OWNER_INACTIVE: ("bad", mark("Owner left")),
    TokenState.OWNER_NOT_ADMIN: ("bad", mark("Owner no admin")),
    TokenState.SUSPENDED: ("bad", mark("Suspended")),
    TokenState.PLAN: ("bad", mark("Not in the plan")),
    TokenState.TAKES_ONLY: ("notice", mark("Takes away only")),
    TokenState.PAUSED: ("notice", mark("Paused")),
    TokenState.RESTRICTED: ("bad", mark("Owner left: takes away only")),
    TokenState.HANDED_OVER: ("notice", mark("Taken over: replace it")),
}


@get("/tokens", guards=_ADMINS, dependencies=_WORK, name="console_tokens")
async def tokens_page(
    request: Request[Any, Any, Any], work: PersonWork, cursor: FromQuery[str | None] = None, done: FromQuery[str] = ""
) -> Response[str]:
    """The tenant's tokens, newest first, each as the gate judges it."""
    return await _page(request, work, cursor=cursor, done=of(SAID, done))


@post("/tokens", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_issue_token")
async def issue_token(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Issue a token, owned by whoever asks. It is shown once, so this answers with a page instead of leading to one."""
    label, use = await form_field(request, "label"), await form_field(request, "use")
    lives = await form_field(request, "lives")
    scope = Scope(use if use in USES else "scim")
    _check_reach(request, [scope])
    if not label or len(label) > 200 or "\x00" in label:
        wrong = gettext("Enter a name by which you will know what uses it, of up to 200 characters.")
        return await _page(request, work, label=label[:200], wrong=wrong, status_code=400)
    new = await tokens.issue(
        work,
        label=label,
        scopes=[scope],
        owner_id=visitor(request).account_id,
        expires_at=work.now + timedelta(days=int(lives)) if lives in LIVES and lives else None,
    )
    return _shown_once(request, new, gettext("Your new token"))


@get("/tokens/{token:str}/rotate", guards=_ADMINS, dependencies=_FRESH, name="console_ask_rotate_token")
async def ask_to_rotate(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Ask for how long the old token is to go on working."""
    wanted = await _of_rollcall(work, token)
    _check_reach(request, wanted.scopes)
    return page_for(request, "tokens/rotate.html", token=wanted, overlaps=options(OVERLAPS), back=PAGE)


@post("/tokens/{token:str}/rotate", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_rotate_token")
async def rotate_token(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Replace a token; the new one is shown once, on the page that answers."""
    overlap = await form_field(request, "overlap")
    wanted = await _of_rollcall(work, token)
    _check_reach(request, wanted.scopes)
    seconds = int(overlap) if overlap in OVERLAPS else 86400
    new = await tokens.rotate(work, wanted.id, overlap=timedelta(seconds=seconds))
    until = None if not seconds else work.now + timedelta(seconds=seconds)
    return _shown_once(request, new, gettext("The new token for “%(label)s”", label=new.row.label), until=until)


@get("/tokens/{token:str}/take-over", guards=_ADMINS, dependencies=_FRESH, name="console_ask_take_over")
async def ask_to_take_over(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Say what taking a connection over does."""
    wanted = await _of_rollcall(work, token)
    if wanted.state != TokenState.RESTRICTED:
        raise NothingToTakeOver
    owners = await accounts.names(work, [wanted.owner_id])
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Take the token “%(label)s” over?", label=wanted.label),
            said=[
                gettext(
                    "It works again at once, with the same secret, in your name; it ends when you are no longer an "
                    "admin."
                ),
                (
                    ngettext(
                        "Its former owner may know the secret, so it ends within %(count)s day: rotate it, and put the "
                        "new one into your identity provider before then.",
                        "Its former owner may know the secret, so it ends within %(count)s days: rotate it, and put "
                        "the "
                        "new one into your identity provider before then.",
                        ROTATED_WITHIN.days,
                    )
                ),
            ],
            facts=[
                (
                    gettext("Former owner"),
                    owners.get(wanted.owner_id, gettext("nobody")) if wanted.owner_id else gettext("nobody"),
                ),
                (gettext("Last used"), wanted.last_used_at),
                (gettext("From"), wanted.last_used_from or gettext("nowhere yet")),
            ],
            button=gettext("Take it over"),
            back=PAGE,
        ),
    )


@post(
    "/tokens/{token:str}/take-over",
    status_code=200,
    guards=_ADMINS,
    dependencies=_FRESH,
    name="console_take_over_token",
)
async def take_over(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[Any]:
    """Have whoever asks own a token whose owner is no longer an active admin."""
    wanted = await _of_rollcall(work, token)
    await tokens.hand_over(work, wanted.id, visitor(request).account_id)
    return see(f"{PAGE}?done=taken-over")


@get("/tokens/{token:str}/revoke", guards=_ADMINS, dependencies=_WORK, name="console_ask_revoke_token")
async def ask_to_revoke(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Say what revoking a token breaks."""
    return confirmation_page(request, await _revocation(work, await _of_rollcall(work, token)))


@post("/tokens/{token:str}/revoke", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_revoke_token")
async def revoke_token(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[Any]:
    """End a token at once. The name of one that is in use has to be typed."""
    wanted = await _of_rollcall(work, token)
    if asked := await unless_typed(request, await _revocation(work, wanted)):
        return asked
    await tokens.revoke(work, wanted.id)
    return see(f"{PAGE}?done=revoked")


async def _revocation(work: Work, token: Token) -> Confirmation:
    in_use = token.last_used_at is not None and judgement(token).state.works
    return Confirmation(
        title=gettext("Revoke the token “%(label)s”?", label=token.label),
        said=[
            await _what_breaks(work, token),
            gettext("It can't be taken back. To replace it without a gap, rotate it."),
        ],
        facts=[
            (gettext("Last used"), token.last_used_at),
            (gettext("From"), token.last_used_from or gettext("nowhere yet")),
            (gettext("Issued"), token.created_at),
            (gettext("Issued by"), token.issued_by),
        ],
        button=gettext("Revoke the token"),
        back=PAGE,
        typed=token.label if in_use else "",
    )


async def _page(
    request: AnyRequest,
    work: Work,
    *,
    cursor: str | None = None,
    done: str | None = None,
    label: str = "",
    wrong: str = "",
    status_code: int = 200,
) -> Response[str]:
    found = await tokens.page(work, cursor=cursor)
    return page_for(
        request,
        "tokens/page.html",
        status_code=status_code,
        rows=found.rows,
        stands={row.id: judgement(row) for row in found.rows},
        tones=TONES,
        remedies={state: gettext(said) for state, said in REMEDIES.items()},
        owners=await accounts.names(work, [row.owner_id for row in found.rows]),
        more=None if found.next_cursor is None else f"{PAGE}?cursor={found.next_cursor}",
        first=None if cursor is None else PAGE,
        by_ops=(await tenants.own(work)).token_issuing == "ops",  # noqa: S105  # a policy's name
        uses=[(use, said) for use, said in options(USES) if _is_within_reach(request, [use])],
        rotatable={row.id for row in found.rows if _is_within_reach(request, row.scopes)},
        lives=options(LIVES),
        label=label,
        wrong=wrong,
        done=done,
    )


def _shown_once(request: AnyRequest, new: NewToken, title: str, *, until: datetime | None = None) -> Response[str]:
    return page_for(
        request,
        "tokens/shown.html",
        title=title,
        token=new.text,
        address=request.app.state.context.base_url if OF_PROVIDERS & {*new.row.scopes} else None,
        until=until,
    )


def _is_within_reach(request: AnyRequest, scopes: Iterable[str]) -> bool:
    return visitor(request).intent is None or OF_PROVIDERS.issuperset(scopes)


def _check_reach(request: AnyRequest, scopes: Iterable[str]) -> None:
    """Refuse those who came by a portal link the text of a token that reaches beyond the link."""
    if not _is_within_reach(request, scopes):
        raise OutOfReach


async def _of_rollcall(work: Work, text: str) -> Token:
    """The tenant's token with this id; what a person uses with the product is none of this page's."""
    found = await tokens.find(work, id_of(text, "token"))
    if not set(found.scopes) & set(Scope):
        raise NotFound("token")
    return found


async def _what_breaks(work: Work, token: Token) -> str:
    if not judgement(token).state.works:
        return gettext("It does not work as it is, so nothing breaks.")
    if Scope.ADMIN in token.scopes:
        return gettext("Whatever calls the management API with it is refused from its next call on.")
    if not OF_PROVIDERS & {*token.scopes}:
        return gettext("Whoever reads the audit, receipts and alerts with it is refused from their next call on.")
    people = await accounts.active(work)
    return ngettext(
        "The identity provider that uses it is refused from its next call on. %(people)s person stays as they are, and "
        "who leaves there keeps their access here until another token is in place.",
        "The identity provider that uses it is refused from its next call on. %(people)s people stay as they are, and "
        "who leaves there keeps their access here until another token is in place.",
        people,
        people=people,
    )
