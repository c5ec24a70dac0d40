"""My personal tokens: close one. The product issues them."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import personal_tokens, tokens
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of, section
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, person_work, signed_in, visitor
from rollcall.console.words import gettext


@get(
    "/account/tokens/{token:str}/close",
    guards=[signed_in],
    dependencies={"work": person_work},
    name="console_ask_about_token",
)
async def ask_about_token(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[str]:
    """Say what closing a token does."""
    wanted = await personal_tokens.find(work, visitor(request).account_id, id_of(token, "token"))
    said = gettext(
        "Whatever uses it is refused from its next request on. It can't be opened again; the product can issue you "
        "another one."
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Close the token “%(label)s”?", label=wanted.label),
            said=[said],
            facts=[
                (gettext("May"), ", ".join(wanted.scopes)),
                (gettext("Issued"), wanted.created_at),
                (gettext("Last used"), wanted.last_used_at),
            ],
            button=gettext("Close the token"),
            back=section("tokens"),
        ),
    )


@post(
    "/account/tokens/{token:str}/close",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": person_work},
    name="console_close_token",
)
async def close_token(request: Request[Any, Any, Any], work: PersonWork, token: FromPath[str]) -> Response[Any]:
    """Close one of my tokens."""
    mine = await personal_tokens.find(work, visitor(request).account_id, id_of(token, "token"))
    await tokens.revoke(work, mine.id)
    return see(section("tokens", "token-closed"))
