"""Rehearsing the set-up: a provider's calls, played with this tenant's own rule, and nothing of it applied."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access.portal_links import Intent
from rollcall.console import rehearsal_words
from rollcall.console.requests import AnyRequest, form_field, origin
from rollcall.console.setup_guides import BY_KEY, Guide, marked
from rollcall.console.visitors import PersonWork, admin_work, admins, page_for, visitor, work_of_admin
from rollcall.console.words import gettext, mark
from rollcall.directory import roles
from rollcall.directory.rules import RoleRule
from rollcall.errors import NotFound
from rollcall.journal.console_events import ConsoleRehearsed
from rollcall.journal.record import enter
from rollcall.provisioning import connection
from rollcall.provisioning.rehearsals.performing import Rehearsed, Step, cast_of
from rollcall.provisioning.rehearsals.playing import MOST_NAMES, Rehearsals, names_in
from rollcall.scim.providers import PROFILES

WITHOUT_A_NAME = {"google": mark("The bridge"), "other": mark("Your provider")}
"""What those are called that send the calls, where they don't have the name of the guide."""

_ADMINS = [admins(Intent.SETUP)]
_WORK = {"work": admin_work}


@get("/setup/{provider:str}/rehearse", guards=_ADMINS, dependencies=_WORK, name="console_ask_to_rehearse")
async def ask_to_rehearse(request: Request[Any, Any, Any], work: PersonWork, provider: FromPath[str]) -> Response[str]:
    """Say what is played, and ask for the names of groups."""
    guide = _guide(provider)
    rule, _ = await roles.current(work)
    included, plan = await connection.includes_scim(work)
    return _page(request, guide, rule, "\n".join(cast_of(rule, ()).names), plan="" if included else plan)


@post("/setup/{provider:str}/rehearse", status_code=200, guards=_ADMINS, name="console_rehearse")
async def rehearse(request: Request[Any, Any, Any], provider: FromPath[str]) -> Response[str]:
    """Play it, and show what came of it.

    Nothing of it is kept that a page could be led to, so this answers with the page itself. No work is open while it
    is played; whoever asked is judged again as it is entered that they did.
    """
    guide, somebody = _guide(provider), visitor(request)
    names = names_in(await form_field(request, "names"))
    rehearsals: Rehearsals = request.app.state.rehearsals
    rehearsed = await rehearsals.play(somebody.tenant, origin(request), guide.key, names)
    steps = [each for chapter in rehearsed.chapters for each in chapter.steps if isinstance(each, Step)]
    calls = sum(each.status is not None for each in steps)
    async with work_of_admin(request) as work:
        await enter(work, ConsoleRehearsed(guide.key, calls), account_id=somebody.account_id)
        rule, _ = await roles.current(work)
    return _page(request, guide, rule, "\n".join(names or cast_of(rule, ()).names), rehearsed=rehearsed, calls=calls)


def _guide(provider: str) -> Guide:
    guide = BY_KEY.get(provider)
    if guide is None:
        raise NotFound("guide for this provider")
    return guide


def _page(
    request: AnyRequest,
    guide: Guide,
    rule: RoleRule,
    names: str,
    *,
    rehearsed: Rehearsed | None = None,
    calls: int = 0,
    plan: str = "",
) -> Response[str]:
    said = WITHOUT_A_NAME.get(guide.key)
    who = gettext(guide.name if said is None else said)
    chapters = () if rehearsed is None else rehearsal_words.told(rehearsed, who, request.app.state.brand.name)
    tones = [step.tone for chapter in chapters for step in chapter.steps if not step.on_purpose]
    return page_for(
        request,
        "setup/rehearsal.html",
        guide=guide,
        called=gettext(guide.name),
        who=who,
        marked=marked,
        names=names,
        most=MOST_NAMES,
        by_groups="groups" in rule.sources,
        plan=plan,
        chapters=chapters,
        rehearsed=rehearsed,
        profile="" if rehearsed is None else gettext(PROFILES[rehearsed.profile].label),
        calls=calls,
        bad=tones.count("bad"),
        notices=tones.count("notice"),
        on_purpose=any(step.on_purpose for chapter in chapters for step in chapter.steps),
        links=visitor(request).intent is None,
        back=f"/console/setup?provider={guide.key}",
    )
