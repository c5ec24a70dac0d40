"""Links for an IT contact without an account: an admin makes one, sees who has opened theirs, and revokes it."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import accounts, contact_links
from rollcall.access.authenticators import pages_address
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.requests import form_field, see
from rollcall.console.team import PAGE, team
from rollcall.console.visitors import PersonWork, admin_work, admins, enter_refusal, fresh_admin_work, page_for, visitor
from rollcall.console.words import gettext
from rollcall.errors import Invalid, NotFound

_ADMINS = [admins()]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}


@post("/team/links", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_issue_link")
async def issue(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Make a link that whoever asks vouches for. It is shown once, so this answers with a page."""
    label, days = await form_field(request, "label"), await form_field(request, "days")
    try:
        new = await contact_links.issue(
            work, visitor(request).account_id, label=label, days=int(days) if days in {"1", "3", "7"} else 7
        )
    except Invalid as fault:
        await enter_refusal(request, work, fault)
        return await team(request, work, "label", label, gettext("Say whom it is for, in up to 100 characters."))
    base = pages_address(request.app.state.public_url)
    address = f"{base}/console/contact?link={new.text}"
    return page_for(
        request, "team/link.html", address=address, label=new.row.label, until=new.row.expires_at, back=PAGE
    )


@get("/team/links/{link:str}/revoke", guards=_ADMINS, dependencies=_WORK, name="console_ask_revoke_link")
async def ask_to_revoke(request: Request[Any, Any, Any], work: PersonWork, link: FromPath[str]) -> Response[str]:
    """Say what revoking a link does."""
    wanted = id_of(link, "link")
    found = next((each for each in await contact_links.live(work) if each.id == wanted), None)
    if found is None:
        raise NotFound("link")
    names = await accounts.names(work, [found.account_id])
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Revoke the link for %(label)s?", label=found.label),
            said=[
                gettext("It opens nothing any more, and whoever came by it is out at their next click."),
                gettext("A token that they made stays: it is its owner's. Revoke it under Tokens if it is not to."),
            ],
            facts=[
                (gettext("Vouched for by"), names.get(found.account_id, gettext("nobody"))),
                (gettext("Last opened"), found.seen_at),
                (gettext("Ends by itself"), found.expires_at),
            ],
            button=gettext("Revoke the link"),
            back=PAGE,
        ),
    )


@post("/team/links/{link:str}/revoke", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_revoke_link")
async def revoke(work: PersonWork, link: FromPath[str]) -> Response[Any]:
    """End a link, and what it opened."""
    await contact_links.revoke(work, id_of(link, "link"))
    return see(f"{PAGE}?done=link-revoked")
