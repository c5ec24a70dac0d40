"""Set-up: what to paste where at one's identity provider, and a list that ticks itself as the provider calls in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.access import tokens
from rollcall.access.portal_links import Intent
from rollcall.access.tokens import NewToken, Scope
from rollcall.console.requests import AnyRequest, form_field
from rollcall.console.setup_guides import BY_KEY, GUIDES, marked
from rollcall.console.visitors import (
    UNATTENDED,
    PersonWork,
    admin_work,
    admins,
    fresh_admin_work,
    page_for,
    visitor,
)
from rollcall.console.words import domain, gettext, mark
from rollcall.directory import roles
from rollcall.directory.rules import RoleRule
from rollcall.errors import NotFound
from rollcall.provisioning import connection, provider_state
from rollcall.provisioning.connection import Check, Progress, Seen
from rollcall.tenancy import tenants
from rollcall.work import Work

_ADMINS = [admins(Intent.SETUP)]
_WORK = {"work": admin_work}
_FRESH = {"work": fresh_admin_work}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list: what is to be seen, whether it was, and when and of whom."""

    title: str
    state: str
    said: str
    at: datetime | None = None


@get("/setup", guards=_ADMINS, dependencies=_WORK, name="console_setup")
async def setup_page(
    request: Request[Any, Any, Any], work: PersonWork, provider: FromQuery[str | None] = None
) -> Response[str]:
    """The providers, and for the one that was chosen or recognised what to do there."""
    return await _page(request, work, provider)


@post("/setup/token", status_code=200, guards=_ADMINS, dependencies=_FRESH, name="console_setup_token")
async def make_token(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Issue a token, owned by whoever asks, and show it where it is to be pasted.

    It is shown once, so this answers with the page itself instead of leading to one.
    """
    chosen = await form_field(request, "provider")
    guide = BY_KEY.get(chosen, BY_KEY["other"])
    new = await tokens.issue(work, label=guide.name, scopes=[Scope.SCIM], owner_id=visitor(request).account_id)
    return await _page(request, work, guide.key, new)


@get("/setup/live", guards=_ADMINS, dependencies=_WORK, name="console_setup_live", opt={UNATTENDED: True})
async def setup_live(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """The list alone, as it stands now; the page asks for it every few seconds."""
    return page_for(request, "setup/checks.html", lines=await lines(work))


@get("/setup/{provider:str}/print", guards=_ADMINS, dependencies=_WORK, name="console_setup_print")
async def print_page(request: Request[Any, Any, Any], work: PersonWork, provider: FromPath[str]) -> Response[str]:
    """What is to be done at one provider, to be printed for a change ticket: this tenant's values, and no secret."""
    guide = BY_KEY.get(provider)
    if guide is None:
        raise NotFound("guide for this provider")
    rule, _ = await roles.current(work)
    return page_for(
        request,
        "setup/print.html",
        guide=guide,
        marked=marked,
        address=request.app.state.context.base_url,
        names=[(role.label, names_of(rule, key)) for key, role in rule.roles.items()],
        rule=rule,
        looked_for=_looked_for(rule),
        checks=[gettext(title) for title, _ in _TITLES.values()],
        now=work.now,
        back=f"/console/setup?provider={guide.key}",
    )


def names_of(rule: RoleRule, key: str) -> list[str]:
    """The names that give a role, as a provider has to write them."""
    role = rule.roles[key]
    prefixed = [f"{rule.prefix}{name}" for name in role.names] if rule.prefix else []
    return [*prefixed, *role.aliases]


def _looked_for(rule: RoleRule) -> str:
    match sorted(rule.sources):
        case []:
            return gettext("Looked for in nothing: roles are given by hand.")
        case [source]:
            return gettext("Looked for in %(source)s.", source=source)
        case sources:
            *first, last = sources
            if len(first) > 1:
                return gettext(
                    "Looked for in %(first)s and %(second)s and %(third)s.", first=first[0], second=first[1], third=last
                )
            return gettext("Looked for in %(first)s and %(second)s.", first=first[0], second=last)


async def _page(request: AnyRequest, work: Work, chosen: str | None, new: NewToken | None = None) -> Response[str]:
    state = await provider_state.of_tenant(work)
    included, plan = await connection.includes_scim(work)
    recognised = state.recognised.provider
    guide = BY_KEY.get(chosen or recognised or "")
    return page_for(
        request,
        "setup/page.html",
        guides=GUIDES,
        guide=guide,
        marked=marked,
        recognised=recognised,
        included=included or state.tenant.lapsed_at is not None,
        plan=plan,
        by_ops=(await tenants.own(work)).token_issuing == "ops",  # noqa: S105  # a policy's name
        address=request.app.state.context.base_url,
        token=None if new is None else new.text,
        has_token=await connection.newest_token(work) is not None,
        lines=await lines(work),
    )


async def lines(work: Work) -> list[Line]:
    """The list, in the order in which things happen."""
    found = await connection.progress(work)
    told = [_line(found, check) for check in Check]
    return _with_refusal(told, found)


_TITLES = {
    Check.CALLED: (mark("First call seen"), mark("Waiting for the provider to call. Test the connection there.")),
    Check.AUTHENTICATED: (mark("Token accepted"), mark("Waiting for a call with a good token.")),
    Check.LOOKED_UP: (
        mark("Looked somebody up"),
        mark("Providers look whether a person is there before they create them."),
    ),
    Check.CREATED: (mark("Test person created"), mark("Assign one person at the provider.")),
    Check.ROLE: (mark("Role read"), mark("Give them a group or role that means one here.")),
    Check.DEACTIVATED: (mark("Person deactivated"), mark("Take the assignment away again.")),
    Check.RECEIPT: (mark("Receipt made"), mark("Follows by itself within seconds of a departure.")),
}


def _line(found: Progress, check: Check) -> Line:
    title, waits = _TITLES[check]
    seen = found.seen.get(check)
    if seen is None:
        return Line(gettext(title), "waiting", gettext(waits))
    return Line(gettext(title), "done", _said(check, seen), seen.at)


def _said(check: Check, seen: Seen) -> str:
    name, role = seen.user_name or gettext("Somebody"), seen.said
    told = {
        Check.CALLED: gettext("From %(said)s.", said=seen.said) if seen.said else gettext("A call has come in."),
        Check.AUTHENTICATED: gettext("With the token “%(said)s”.", said=seen.said),
        Check.LOOKED_UP: gettext("The provider has asked who is here."),
        Check.CREATED: gettext("%(name)s has come in.", name=name),
        Check.ROLE: gettext("%(name)s is %(role)s by what the provider says.", name=name, role=role),
        Check.DEACTIVATED: gettext("%(name)s is out, and so is all they had open.", name=name),
        Check.RECEIPT: gettext("It says what was closed for %(name)s, and when.", name=name),
    }
    return told[check]


def _with_refusal(told: list[Line], found: Progress) -> list[Line]:
    """The list with the latest refusal, before what is still waited for."""
    if found.refused is None:
        return told
    at = next((place for place, line in enumerate(told) if line.state == "waiting"), len(told))
    said = domain(found.refused.said) if found.refused.said else gettext("It says nothing more.")
    return [*told[:at], Line(gettext("The latest call was refused"), "failed", said, found.refused.at), *told[at:]]
