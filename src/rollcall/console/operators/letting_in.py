"""What operators give a tenant so that it gets on: a token, an admin, a link into the console."""

from datetime import timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import portal_links, tokens
from rollcall.access.authenticators import pages_address
from rollcall.access.models import Account
from rollcall.access.portal_links import GIVES, Intent
from rollcall.access.tokens import Scope
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.operators.tenant import INTENTS, LIVES, SCOPES, address_of, tenant_view
from rollcall.console.operators.visitors import (
    TenantWork,
    check_right,
    operator,
    operators,
    tenant_named,
    tenant_work,
    work_across,
    work_in,
)
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import page_for
from rollcall.console.words import gettext
from rollcall.directory import people, roles
from rollcall.errors import NotFound
from rollcall.tenancy import tenants
from rollcall.tenancy.operators import Right

_WORK = {"work": tenant_work}


@post(
    "/operators/tenants/{tenant:str}/tokens",
    status_code=200,
    guards=[operators(Right.TOKENS)],
    name="console_operator_issue_token",
)
async def issue_token(request: Request[Any, Any, Any], tenant: FromPath[str]) -> Response[Any]:
    """Issue a token for SCIM. It is shown once, so this answers with a page instead of leading to one."""
    label, owner = await form_field(request, "label"), await form_field(request, "owner")
    use, lives = await form_field(request, "use"), await form_field(request, "lives")
    if not label or len(label) > 200 or "\x00" in label:
        wrong = {"label": gettext("Enter a name by which one knows what uses it, of up to 200 characters.")}
        return await _again(request, tenant, wrong)
    whose = await tenant_named(request, tenant)
    async with work_in(request, whose) as work:
        new = await tokens.issue(
            work,
            label=label,
            scopes=[Scope(use) if use in SCOPES else Scope.SCIM],
            owner_id=(await people.find(work, id_of(owner, "person"))).account.id if owner else None,
            expires_at=work.now + timedelta(days=int(lives)) if lives in LIVES and lives else None,
        )
    return page_for(
        request,
        "operators/shown.html",
        title=gettext("The new token of %(slug)s", slug=whose.slug),
        values=[
            ("token", gettext("Token"), new.text),
            ("address", gettext("SCIM base URL"), request.app.state.context.base_url),
        ],
        said=gettext("Copy the token now: it is shown this once. Hand it over where nobody else reads along."),
        back=f"{address_of(whose.slug)}#tokens",
    )


@post(
    "/operators/tenants/{tenant:str}/links",
    status_code=200,
    guards=[operators(Right.LINKS)],
    dependencies=_WORK,
    name="console_operator_make_link",
)
async def make_link(request: Request[Any, Any, Any], work: TenantWork) -> Response[str]:
    """Make a link that lets an admin into one part of the console, once. It is shown once, so this answers."""
    wanted = await form_field(request, "intent")
    intent = Intent(wanted) if wanted in INTENTS else Intent.SETUP
    if intent in GIVES:
        check_right(operator(request), Right.ALL)
    person = await people.find(work, id_of(await form_field(request, "person"), "person"))
    new = await portal_links.issue(work, person.account.id, intent, origins=request.app.state.portal_return_origins)
    address = f"{pages_address(request.app.state.public_url)}/console/portal?link={new.text}"
    return page_for(
        request,
        "operators/shown.html",
        title=gettext("A link for %(user_name)s", user_name=person.account.user_name),
        values=[("link", gettext(INTENTS[intent.value]), address)],
        said=gettext("It is good once, for five minutes, and for nobody else: whatever is made through it is theirs."),
        back=f"{address_of(work.tenant.slug)}#admins",
    )


@post(
    "/operators/tenants/{tenant:str}/admins",
    status_code=200,
    guards=[operators(Right.ALL)],
    name="console_operator_find_admin",
)
async def find_admin(request: Request[Any, Any, Any], tenant: FromPath[str]) -> Response[Any]:
    """Lead on to the question whether the person of this userName is to be an admin, or say why not."""
    wanted = (await form_field(request, "user_name"))[:320].replace("\x00", "")
    whose = await tenant_named(request, tenant)
    try:
        async with work_in(request, whose) as work:
            account = (await people.find_by_user_name(work, wanted)).account
    except NotFound:
        return await _again(
            request, tenant, {"user_name": gettext("Nobody there has this userName.")}, user_name=wanted
        )
    if (wrong := _no_candidate(account)) is not None:
        return await _again(request, tenant, {"user_name": wrong}, user_name=wanted)
    return see(address_of(whose.slug, "admins", str(account.id)))


@get(
    "/operators/tenants/{tenant:str}/admins/{person:str}",
    guards=[operators(Right.ALL)],
    dependencies=_WORK,
    name="console_operator_ask_appoint",
)
async def ask_to_appoint(request: Request[Any, Any, Any], work: TenantWork, person: FromPath[str]) -> Response[str]:
    """Say what an admin may do."""
    account = (await people.find(work, id_of(person, "person"))).account
    rule, _ = await roles.current(work)
    role = next(each.label for each in rule.roles.values() if each.admin)
    managed = [gettext("It holds over what their provider says, until it is lifted.")]
    return confirmation_page(
        request,
        Confirmation(
            title=gettext(
                "Make %(user_name)s an admin of %(slug)s?", user_name=account.user_name, slug=work.tenant.slug
            ),
            said=[
                gettext(
                    "They get the role %(role)s. They may open the tenant's console, end people's access, and own "
                    "tokens.",
                    role=role,
                ),
                *(managed if account.role_state.get("managed") else []),
            ],
            facts=[(gettext("Role now"), account.role), (gettext("There since"), account.created_at)],
            button=gettext("Make them an admin"),
            back=f"{address_of(work.tenant.slug)}#admins",
        ),
    )


@post(
    "/operators/tenants/{tenant:str}/admins/{person:str}",
    status_code=200,
    guards=[operators(Right.ALL)],
    dependencies=_WORK,
    name="console_operator_appoint",
)
async def appoint(work: TenantWork, person: FromPath[str]) -> Response[Any]:
    """Make a person an admin."""
    await people.appoint(work, id_of(person, "person"))
    return see(f"{address_of(work.tenant.slug)}?done=appointed#admins")


def _no_candidate(account: Account) -> str | None:
    """Why somebody can't be made an admin; None if they can."""
    if not account.active:
        return gettext("They have no access. Their provider, or an admin, gives it to them first.")
    return gettext("They are an admin already.") if account.is_admin else None


async def _again(request: AnyRequest, tenant: str, wrong: dict[str, str], **entered: str) -> Response[str]:
    """The tenant's page with what is wrong at the field it is of."""
    async with work_across(request) as fleet:
        row = await tenants.find(fleet, tenant)
        return await tenant_view(request, fleet, row, status_code=400, wrong=wrong, entered=entered)
