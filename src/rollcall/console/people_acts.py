"""What an admin does to one person's role and account: give a role, lift an override, link a former account."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import accounts, sessions, tokens
from rollcall.access.models import Account
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import PersonWork, admin_work, admins, check_fresh, enter_refusal, page_for, visitor
from rollcall.console.words import domain, gettext, ngettext
from rollcall.directory import linking, people, role_states, roles
from rollcall.directory.people import Draft
from rollcall.directory.rules import RoleRule
from rollcall.errors import Invalid, Taken
from rollcall.proof import mass_changes
from rollcall.tenancy.seats import SeatsExhausted
from rollcall.work import Work

PAGE = "/console/people"
_ADMINS = [admins()]
_WORK = {"work": admin_work}


@get("/people/new", guards=_ADMINS, dependencies=_WORK, name="console_new_person")
async def new_page(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """The fields of a person who is taken in by hand."""
    return await _form_page(request, work, {})


@post("/people/new", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_add_person")
async def add(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Take a person in by hand; their provider finds them by userName later."""
    names = ("user_name", "display_name", "email", "role")
    fields = {name: (await form_field(request, name)).replace("\x00", "") for name in names}
    if not fields["user_name"] or len(fields["user_name"]) > 320:
        return await _form_page(
            request, work, fields, wrong=("user_name", gettext("Enter a userName of up to 320 characters."))
        )
    await _check_admins_role(request, (await roles.current(work))[0], fields["role"])
    draft = Draft(
        user_name=fields["user_name"],
        display_name=fields["display_name"][:400] or None,
        email=fields["email"][:320] or None,
    )
    try:
        async with work.db.begin_nested():
            person = await people.take_in(work, draft, role=fields["role"] or None)
    except (Invalid, Taken, SeatsExhausted) as fault:
        await enter_refusal(request, work, fault)
        wrong = (fault.param or "", domain(fault.detail))
        return await _form_page(request, work, fields, wrong=wrong, status_code=fault.status)
    return see(f"{PAGE}/{person.account.id}?done=added")


async def _form_page(
    request: AnyRequest,
    work: Work,
    fields: dict[str, str],
    *,
    wrong: tuple[str, str] | None = None,
    status_code: int | None = None,
) -> Response[str]:
    rule, _ = await roles.current(work)
    choices = [(key, role.label) for key, role in rule.roles.items()]
    place, said = wrong or ("", "")
    return page_for(
        request,
        "people/new.html",
        status_code=status_code or (200 if wrong is None else 400),
        fields={"user_name": "", "display_name": "", "email": "", "role": rule.default, **fields},
        wrong={place if place == "user_name" else "": said},
        choices=choices,
        back=PAGE,
    )


@get("/people/{person:str}/role", guards=_ADMINS, dependencies=_WORK, name="console_ask_role")
async def ask_about_role(
    request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str], role: FromQuery[str] = ""
) -> Response[str]:
    """Say what giving somebody a role by hand does."""
    account = (await people.find(work, id_of(person, "person"))).account
    rule, _ = await roles.current(work)
    if role not in rule.roles:
        raise role_states.UnknownRole(role[:100], tuple(rule.roles))
    await _check_admins_role(request, rule, role)
    said = await _what_a_role_does(work, rule, account, role, visitor(request).account_id)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Make %(user_name)s %(label)s?", user_name=account.user_name, label=rule.roles[role].label),
            said=said,
            facts=[(gettext("Role now"), _label(rule, account.role))],
            button=gettext("Give the role %(label)s", label=rule.roles[role].label),
            back=f"{PAGE}/{account.id}",
            fields=[("role", role)],
        ),
    )


@post("/people/{person:str}/role", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_give_role")
async def give_role(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Give a role by hand: at once, and as an override where the provider decides."""
    role = await form_field(request, "role")
    await _check_admins_role(request, (await roles.current(work))[0], role)
    found = await people.give_role(work, id_of(person, "person"), role)
    return see(f"{PAGE}/{found.account.id}?done=role")


async def _check_admins_role(request: AnyRequest, rule: RoleRule, role: str) -> None:
    """Making somebody an admin wants a fresh sign-in, by whichever page."""
    if role in rule.roles and rule.roles[role].admin:
        await check_fresh(request)


@get("/people/{person:str}/lift", guards=_ADMINS, dependencies=_WORK, name="console_ask_lift")
async def ask_to_lift(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[str]:
    """Say which role somebody has without the override."""
    account = (await people.find(work, id_of(person, "person"))).account
    rule, _ = await roles.current(work)
    after = str(account.role_state.get("provider_role") or rule.default)
    said = await _what_a_role_does(work, rule, account, after, visitor(request).account_id, by_hand=False)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Let the provider decide the role of %(user_name)s?", user_name=account.user_name),
            said=[gettext("They are %(role)s then, as your provider says.", role=_label(rule, after)), *said],
            facts=[(gettext("Role now"), _label(rule, account.role))],
            button=gettext("Lift the override"),
            back=f"{PAGE}/{account.id}",
        ),
    )


@post("/people/{person:str}/lift", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_lift")
async def lift(work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Let the provider decide somebody's role again."""
    found = await people.lift_override(work, id_of(person, "person"))
    return see(f"{PAGE}/{found.account.id}?done=lifted")


@get("/people/{person:str}/link", guards=_ADMINS, dependencies=_WORK, name="console_ask_link")
async def ask_to_link(
    request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str], former: FromQuery[str] = ""
) -> Response[str]:
    """Say what linking a person to a former account does."""
    account = (await people.find(work, id_of(person, "person"))).account
    other = await accounts.find(work, id_of(former, "former account"))
    opened = await sessions.count(work, account.id)
    await mass_changes.check(work)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Is %(user_name)s the person of this former account?", user_name=account.user_name),
            said=[
                gettext("Their history goes on: they get the id and the record they had before they were removed."),
                (
                    ngettext(
                        "The account they have had since is closed, with %(count)s session of theirs; they sign in "
                        "anew. This can't be undone.",
                        "The account they have had since is closed, with %(count)s sessions of theirs; they sign in "
                        "anew. This can't be undone.",
                        opened,
                    )
                ),
            ],
            facts=[
                (gettext("userName then"), other.user_name),
                (gettext("externalId then"), other.external_id or gettext("none")),
                (gettext("Here from"), other.created_at),
                (gettext("Removed"), other.detached_at),
            ],
            button=gettext("Link the accounts"),
            back=f"{PAGE}/{account.id}",
            fields=[("former", str(other.id))],
        ),
    )


@post("/people/{person:str}/link", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_link")
async def link(request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str]) -> Response[Any]:
    """Give a person back the account they had before they were removed."""
    former = id_of(await form_field(request, "former"), "former account")
    found = await linking.link(work, id_of(person, "person"), former)
    return see(f"{PAGE}/{found.account.id}?done=linked")


async def _what_a_role_does(
    work: Work, rule: RoleRule, account: Account, role: str, myself: UUID, *, by_hand: bool = True
) -> list[str]:
    said: list[str] = []
    if by_hand and account.role_state.get("managed"):
        decided = _label(rule, str(account.role_state.get("provider_role") or rule.default))
        said.append(gettext("Your provider says %(decided)s; this holds over it until it is lifted.", decided=decided))
    elif by_hand:
        said.append(gettext("It holds until your provider first names a role for them."))
    if account.is_admin and role not in rule.admin_roles:
        owned = (await tokens.owned(work, [account.id]))[account.id]
        said.append(
            ngettext(
                "They are no longer an admin: %(count)s token they own stops at the next call.",
                "They are no longer an admin: %(count)s tokens they own stop at the next call.",
                owned,
            )
        )
        if account.id == myself:
            said.append(gettext("This is you: you can't open these pages any more then."))
    elif role in rule.admin_roles and not account.is_admin:
        said.append(gettext("They become an admin: they may open all of these pages, and own tokens."))
    return said


def _label(rule: RoleRule, role: str) -> str:
    return rule.roles[role].label if role in rule.roles else role


def to_role(person: UUID, role: str) -> str:
    """Where giving somebody a role is asked about."""
    return f"{PAGE}/{person}/role?{urlencode({'role': role})}"
