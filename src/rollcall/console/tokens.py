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
from rollcall.errors import NotFound
from rollcall.tenancy import tenants
from rollcall.work import Work

PAGE = "/console/tokens"
_ADMINS = [admins(Intent.TOKENS)]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}
"""For what hands out a token, or has somebody own one."""

USES = {
    "scim": "Provisioning: read and write over SCIM",
    "scim:read": "Reading alone, over SCIM",
    "admin": "Management API, as yourself",
    "auditor": "For auditors: read the audit, receipts, alerts and who was there when",
}
OF_PROVIDERS = frozenset({Scope.SCIM, Scope.SCIM_READ})
"""What a provider calls with. Whoever came by a portal link makes no other: it would outlive and outreach the link."""

LIVES = {"90": "90 days", "365": "1 year", "": "Never"}
OVERLAPS = {"0": "At once", "3600": "In 1 hour", "86400": "In 1 day", "604800": "In 7 days"}
SAID = {
    "revoked": "The token is revoked. Whatever used it is refused from now on.",
    "taken-over": "The token is yours, and works. Rotate it within seven days.",
}
REMEDIES = {
    TokenState.RESTRICTED: "Take it over, and rotate it then.",
    TokenState.PAUSED: "It works again when the pause is over.",
    TokenState.PLAN: "With a plan that includes SCIM it works again.",
    TokenState.TAKES_ONLY: "With a plan that includes SCIM it works as before.",
    TokenState.SUSPENDED: "Ask the support; it works again when your company is resumed.",
}
"""What to do, where the judgement's own words are for operators."""

TONES = {
    TokenState.LIVE: ("good", "Live"),
    TokenState.ROTATED: ("notice", "Being replaced"),
    TokenState.REVOKED: ("", "Revoked"),
    TokenState.EXPIRED: ("", "Expired"),
    TokenState.OWNER_INACTIVE: ("bad", "Owner left"),
    TokenState.OWNER_NOT_ADMIN: ("bad", "Owner no admin"),
    TokenState.SUSPENDED: ("bad", "Suspended"),
    TokenState.PLAN: ("bad", "Not in the plan"),
    TokenState.TAKES_ONLY: ("notice", "Takes away only"),
    TokenState.PAUSED: ("notice", "Paused"),
    TokenState.RESTRICTED: ("bad", "Owner left: takes away only"),
    TokenState.HANDED_OVER: ("notice", "Taken over: replace it"),
}


@get("/tokens", guards=_ADMINS, dependencies=_WORK, name="console_tokens")
async def tokens_page(
    request: Request[Any, Any, Any], work: PersonWork, cursor: FromQuery[str | None] = None, done: FromQuery[str] = ""
) -> Response[str]:
    """The tenant's tokens, newest first, each as the gate judges it."""
    return await _page(request, work, cursor=cursor, done=SAID.get(done))


@post("/tokens", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_issue_token")
async def issue_token(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Issue a token, owned by whoever asks. It is shown once, so this answers with a page instead of leading to one."""
    label, use = await form_field(request, "label"), await form_field(request, "use")
    lives = await form_field(request, "lives")
    scope = Scope(use if use in USES else "scim")
    _check_reach(request, [scope])
    if not label or len(label) > 200 or "\x00" in label:
        wrong = "Enter a name by which you will know what uses it, of up to 200 characters."
        return await _page(request, work, label=label[:200], wrong=wrong, status_code=400)
    new = await tokens.issue(
        work,
        label=label,
        scopes=[scope],
        owner_id=visitor(request).account_id,
        expires_at=work.now + timedelta(days=int(lives)) if lives in LIVES and lives else None,
    )
    return _shown_once(request, new, "Your new token")


@get("/tokens/{token:str}/rotate", guards=_ADMINS, dependencies=_FRESH, name="console_ask_rotate_token")
async def ask_to_rotate(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Ask for how long the old token is to go on working."""
    wanted = await _of_rollcall(work, token)
    _check_reach(request, wanted.scopes)
    return page_for(request, "tokens/rotate.html", token=wanted, overlaps=OVERLAPS.items(), back=PAGE)


@post("/tokens/{token:str}/rotate", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_rotate_token")
async def rotate_token(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Replace a token; the new one is shown once, on the page that answers."""
    overlap = await form_field(request, "overlap")
    wanted = await _of_rollcall(work, token)
    _check_reach(request, wanted.scopes)
    seconds = int(overlap) if overlap in OVERLAPS else 86400
    new = await tokens.rotate(work, wanted.id, overlap=timedelta(seconds=seconds))
    until = None if not seconds else work.now + timedelta(seconds=seconds)
    return _shown_once(request, new, f"The new token for “{new.row.label}”", until=until)


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
            title=f"Take the token “{wanted.label}” over?",
            said=[
                "It works again at once, with the same secret, in your name; it ends when you are no longer an admin.",
                (
                    f"Its former owner may know the secret, so it ends within {ROTATED_WITHIN.days} days: rotate it, "
                    "and put the new one into your identity provider before then."
                ),
            ],
            facts=[
                ("Former owner", owners.get(wanted.owner_id, "nobody") if wanted.owner_id else "nobody"),
                ("Last used", wanted.last_used_at),
                ("From", wanted.last_used_from or "nowhere yet"),
            ],
            button="Take it over",
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
        title=f"Revoke the token “{token.label}”?",
        said=[await _what_breaks(work, token), "It can't be taken back. To replace it without a gap, rotate it."],
        facts=[
            ("Last used", token.last_used_at),
            ("From", token.last_used_from or "nowhere yet"),
            ("Issued", token.created_at),
            ("Issued by", token.issued_by),
        ],
        button="Revoke the token",
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
        remedies=REMEDIES,
        owners=await accounts.names(work, [row.owner_id for row in found.rows]),
        more=None if found.next_cursor is None else f"{PAGE}?cursor={found.next_cursor}",
        first=None if cursor is None else PAGE,
        by_ops=(await tenants.own(work)).token_issuing == "ops",  # noqa: S105  # a policy's name
        uses=[(use, said) for use, said in USES.items() if _is_within_reach(request, [use])],
        rotatable={row.id for row in found.rows if _is_within_reach(request, row.scopes)},
        lives=LIVES.items(),
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
        return "It does not work as it is, so nothing breaks."
    if Scope.ADMIN in token.scopes:
        return "Whatever calls the management API with it is refused from its next call on."
    if not OF_PROVIDERS & {*token.scopes}:
        return "Whoever reads the audit, receipts and alerts with it is refused from their next call on."
    people = await accounts.active(work)
    stay = "1 person stays" if people == 1 else f"{people} people stay"
    return (
        f"The identity provider that uses it is refused from its next call on. {stay} as they are, and who leaves "
        "there keeps their access here until another token is in place."
    )
