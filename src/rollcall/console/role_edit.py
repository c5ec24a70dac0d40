"""Editing the role rule: a form, then whom it would change, and only then the edit, exactly as it was shown."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from rollcall.access.portal_links import Intent
from rollcall.console import role_forms
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.role_forms import CONFLICTS, LARGEST_FORM, SOURCES, RuleForm
from rollcall.console.visitors import PersonWork, admin_work, admins, enter_refusal, page_for, visitor
from rollcall.console.words import gettext, ngettext, number_said, options
from rollcall.directory import role_changes, roles
from rollcall.directory.roles import Foreseen, PreviewOutdated
from rollcall.directory.rules import RoleRule
from rollcall.errors import Invalid
from rollcall.work import Work

PAGE = "/console/roles"
_ADMINS = [admins(Intent.ROLES)]
_WORK = {"work": admin_work}


@get("/roles/edit", guards=_ADMINS, dependencies=_WORK, name="console_edit_roles")
async def edit_page(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """The rule in force, in fields."""
    rule, _ = await roles.current(work)
    return _form_page(request, role_forms.filled(rule), rule)


@post(
    "/roles/edit",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    request_max_body_size=LARGEST_FORM,
    name="console_edit_roles_again",
)
async def edit_again(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """The fields as they were before the preview."""
    rule, _ = await roles.current(work)
    return _form_page(request, role_forms.filled(role_forms.handed_on(await form_field(request, "rule"))), rule)


@post(
    "/roles/preview",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    request_max_body_size=LARGEST_FORM,
    name="console_preview_roles",
)
async def preview(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Say whom the rule that was entered would change, and change nothing. What it can't be is said at its field."""
    fields = await request.form()
    present, _ = await roles.current(work)
    form = role_forms.entered(fields, [each for each in fields.getall("sources", []) if isinstance(each, str)], present)
    try:
        rule = role_forms.rule_in(form)
    except Invalid as fault:
        await enter_refusal(request, work, fault)
        return _form_page(request, role_forms.with_fault(form, fault), present, status_code=400)
    return await _preview_page(request, work, rule)


@post("/roles/map", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_map_name")
async def map_name(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """Say whom it would change to have a whole name mean a role, or none."""
    name, role = await form_field(request, "name"), await form_field(request, "role")
    present, _ = await roles.current(work)
    return await _preview_page(request, work, roles.mapped(present, name, role or None))


@post(
    "/roles/apply",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    request_max_body_size=LARGEST_FORM,
    name="console_apply_roles",
)
async def apply(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Put the rule in force that was previewed, if what was shown is still what comes of it; else show it anew."""
    rule, shown = role_forms.handed_on(await form_field(request, "rule")), await form_field(request, "shown")
    try:
        await roles.edit(work, rule, foreseen=shown)
    except PreviewOutdated as refusal:
        await enter_refusal(request, work, refusal)
        return await _preview_page(request, work, rule, moved=True)
    return see(f"{PAGE}?{urlencode({'done': 'edited'})}")


async def progress_said(work: Work) -> str | None:
    """How far a change of many people's roles has come, while it is under way."""
    progress = await role_changes.progress(work)
    if progress is None or progress.ended_at is not None:
        return None
    return ngettext(
        "The last edit is being brought to %(count)s person; %(left)s are still to come. What it takes from somebody "
        "is "
        "taken already.",
        "The last edit is being brought to %(count)s people; %(left)s are still to come. What it takes from somebody "
        "is "
        "taken already.",
        progress.people,
        left=number_said(progress.left),
    )


def _form_page(request: AnyRequest, form: RuleForm, present: RoleRule, *, status_code: int = 200) -> Response[str]:
    return page_for(
        request,
        "roles/edit.html",
        status_code=status_code,
        form=form,
        choices=[(key, role.label) for key, role in present.roles.items()],
        sources=options(SOURCES),
        conflicts=options(CONFLICTS),
        back=PAGE,
    )


async def _preview_page(request: AnyRequest, work: Work, rule: RoleRule, *, moved: bool = False) -> Response[str]:
    present, _ = await roles.current(work)
    foreseen = await roles.foresee(work, rule)
    labels = {key: role.label for each in (present, rule) for key, role in each.roles.items()}
    return page_for(
        request,
        "roles/preview.html",
        status_code=409 if moved else 200,
        foreseen=foreseen,
        moves=[(labels.get(old, old), labels.get(new, new), people) for (old, new), people in _in_order(foreseen)],
        labels=labels,
        consequences=consequences(foreseen),
        same=rule.following(present) == present,
        myself=visitor(request).account_id in foreseen.no_more_admins,
        links=visitor(request).intent is None,
        rule=role_forms.carried(rule),
        moved=moved,
        back=PAGE,
    )


def _in_order(foreseen: Foreseen) -> list[tuple[tuple[str, str], int]]:
    return sorted(foreseen.moves.items(), key=lambda move: (-move[1], move[0]))


def consequences(foreseen: Foreseen) -> list[tuple[str, str]]:
    """What an edit does to whom, in numbers; each as a tone and a sentence."""
    said: list[tuple[str, str]] = []
    if lost := len(foreseen.no_more_admins):
        ended = ngettext(
            "%(count)s person is no longer an admin: tokens they own stop at the next call.",
            "%(count)s people are no longer an admin: tokens they own stop at the next call.",
            lost,
        )
        said.append(("bad", ended))
    if more := foreseen.more_admins:
        made = ngettext("%(count)s person becomes an admin.", "%(count)s people become admins.", more)
        said.append(("notice", made))
    if foreseen.conflicts:
        contradicting = ngettext(
            "%(count)s person has names that contradict each other: they keep their role, and a case is open for each.",
            "%(count)s people have names that contradict each other: they keep their role, and a case is open for "
            "each.",
            foreseen.conflicts,
        )
        said.append(("notice", contradicting))
    if foreseen.changed > role_changes.MOST_AT_THE_ANSWER:
        many = gettext(
            "They are many: what is taken is taken at once, and the rest follows within minutes, 500 at a time."
        )
        said.append(("", many))
    return said
