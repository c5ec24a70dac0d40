"""Webhooks: where events are sent, the secret shown once, a test, and pausing or deleting one."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.console import webhook_forms
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import PersonWork, admin_work, admins, enter_refusal, page_for, work_of_admin
from rollcall.console.webhook_forms import KINDS, DestinationForm
from rollcall.console.webhook_topics import MEANINGS
from rollcall.console.words import domain, gettext, mark, ngettext, of, options
from rollcall.errors import Conflict, Invalid, Refusal
from rollcall.events import deliveries, destination_secrets, destinations
from rollcall.events.addresses import DestinationRefused
from rollcall.events.destinations import UNGATED, Change, NewDestination, Wanted
from rollcall.tenancy import features
from rollcall.tenancy.features import FeatureMissing
from rollcall.work import Work

PAGE = "/console/webhooks"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
OVERLAPS = {"0": mark("At once"), "3600": mark("In 1 hour"), "86400": mark("In 1 day"), "604800": mark("In 7 days")}
SIGNED_WITH_BOTH = {
    "3600": mark("Calls are signed with the old one as well; it ends in 1 hour."),
    "86400": mark("Calls are signed with the old one as well; it ends in 1 day."),
    "604800": mark("Calls are signed with the old one as well; it ends in 7 days."),
}
SAID = {
    "deleted": mark("The destination is deleted, and nothing more is sent to it."),
    "paused": mark("It is paused. What waited for it is cancelled, and can be sent again later."),
    "resumed": mark("It is called again, with what happens from now on."),
    "saved": mark("It is saved, and counts from now on."),
    "tested": mark("A test is on its way; it stands at the top of the list."),
    "one": mark("It is sent once more."),
}


async def addressed_work(request: Request[Any, Any, Any]) -> AsyncGenerator[Work]:
    """The work of an admin who names an address. It is looked up before: a stranger's name server may take seconds."""
    rules, request.state.fault = request.app.state.address_rules, None
    try:
        request.state.address_rules = await rules.ahead(await form_field(request, "url"))
    except DestinationRefused as fault:
        request.state.fault = fault
    async with work_of_admin(request) as work:
        yield work


_ADDRESSED = {"work": addressed_work}


@get("/webhooks", guards=_ADMINS, dependencies=_WORK, name="console_webhooks")
async def webhooks_page(
    request: Request[Any, Any, Any], work: PersonWork, cursor: FromQuery[str | None] = None, done: FromQuery[str] = ""
) -> Response[str]:
    """The destinations, oldest first, each with how it stands."""
    found = await destinations.page(work, cursor=cursor)
    return page_for(
        request,
        "webhooks/page.html",
        rows=found.rows,
        stands={row.id: webhook_forms.stands(row) for row in found.rows},
        hears={row.id: webhook_forms.hears(row) for row in found.rows},
        more=None if found.next_cursor is None else f"{PAGE}?{urlencode({'cursor': found.next_cursor})}",
        first=None if cursor is None else PAGE,
        done=of(SAID, done),
    )


@get("/webhooks/new", guards=_ADMINS, dependencies=_WORK, name="console_new_webhook")
async def new_page(request: Request[Any, Any, Any], work: PersonWork) -> Response[str]:
    """The fields of a new destination, and what there is to hear."""
    return await _form_page(request, work, DestinationForm())


@post("/webhooks/new", status_code=200, guards=_ADMINS, dependencies=_ADDRESSED, name="console_create_webhook")
async def create(request: Request[Any, Any, Any], work: PersonWork) -> Response[Any]:
    """Register a destination. Its secret is shown once, so this answers with a page instead of leading to one."""
    form = await webhook_forms.entered(request)
    if wrong := await _fault(request, work, form):
        return await _form_page(request, work, wrong, status_code=400)
    wanted = Wanted(form.kind, form.url, form.label, form.topics, form.audience or None)
    rules, sealer = request.state.address_rules, request.app.state.sealer
    try:
        new = await destinations.create(work, wanted, rules, sealer)
    except (Invalid, FeatureMissing, Conflict) as fault:
        await enter_refusal(request, work, fault)
        return await _form_page(request, work, _said_at(form, fault), status_code=fault.status)
    if new.secret is None:
        return see(f"{PAGE}/{new.row.id}?done=saved")
    return _secret_page(request, new, gettext("The secret of “%(label)s”", label=new.row.label))


@get("/webhooks/{destination:str}/edit", guards=_ADMINS, dependencies=_WORK, name="console_ask_edit_webhook")
async def edit_page(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """A destination in its fields."""
    row = await destinations.find(work, id_of(destination, "destination"))
    return await _form_page(request, work, webhook_forms.filled(row), of=str(row.id))


@post(
    "/webhooks/{destination:str}/edit",
    status_code=200,
    guards=_ADMINS,
    dependencies=_ADDRESSED,
    name="console_edit_webhook",
)
async def edit(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Change where a destination is, or what it hears from now on."""
    row = await destinations.find(work, id_of(destination, "destination"))
    form = await webhook_forms.entered(request, kind=row.kind)
    if wrong := await _fault(request, work, form):
        return await _form_page(request, work, wrong, of=str(row.id), status_code=400)
    wanted = Change(form.url, form.label, form.topics, form.audience or None)
    try:
        async with work.db.begin_nested():
            await destinations.change(work, row.id, wanted, request.state.address_rules)
    except (Invalid, FeatureMissing) as fault:
        await enter_refusal(request, work, fault)
        wrong = _said_at(form, fault)
        return await _form_page(request, work, wrong, of=destination, status_code=fault.status)
    return see(f"{PAGE}/{destination}?done=saved")


@get("/webhooks/{destination:str}/secret", guards=_ADMINS, dependencies=_WORK, name="console_ask_rotate_secret")
async def ask_to_rotate(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """Ask for how long calls are to be signed with the old secret as well."""
    row = await destinations.find(work, id_of(destination, "destination"))
    return page_for(request, "webhooks/rotate.html", row=row, overlaps=options(OVERLAPS), back=f"{PAGE}/{row.id}")


@post(
    "/webhooks/{destination:str}/secret",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_rotate_secret",
)
async def rotate(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """Give a webhook a new secret; it is shown once, on the page that answers."""
    overlap = await form_field(request, "overlap")
    seconds = int(overlap) if overlap in OVERLAPS else 86400
    sealer = request.app.state.sealer
    which = id_of(destination, "destination")
    new = await destination_secrets.rotate(work, which, sealer, overlap=timedelta(seconds=seconds))
    return _secret_page(request, new, gettext("The new secret of “%(label)s”", label=new.row.label), seconds=seconds)


@post(
    "/webhooks/{destination:str}/test", status_code=200, guards=_ADMINS, dependencies=_WORK, name="console_test_webhook"
)
async def test(work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Send a destination an event that nobody else hears."""
    which = id_of(destination, "destination")
    await deliveries.send_test(work, which)
    return see(f"{PAGE}/{which}?done=tested")


@get("/webhooks/{destination:str}/pause", guards=_ADMINS, dependencies=_WORK, name="console_ask_pause_webhook")
async def ask_to_pause(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """Say what pausing a destination does."""
    row = await destinations.find(work, id_of(destination, "destination"))
    waiting, _ = await deliveries.of_destination(work, row.id)
    said = ngettext(
        "Nothing more is sent to it, and %(count)s event waiting for it now is cancelled.",
        "Nothing more is sent to it, and %(count)s events waiting for it now are cancelled.",
        waiting,
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Pause “%(label)s”?", label=row.label),
            said=[
                said,
                gettext("When you resume it, it hears what happens from then on; what it missed can be sent again."),
            ],
            facts=[(gettext("Address"), row.url), (gettext("Here since"), row.created_at)],
            button=gettext("Pause it"),
            back=f"{PAGE}/{row.id}",
        ),
    )


@post(
    "/webhooks/{destination:str}/pause",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_pause_webhook",
)
async def pause(work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Send a destination nothing more until it is resumed."""
    row = await destinations.disable(work, id_of(destination, "destination"), because="disabled by an admin")
    return see(f"{PAGE}/{row.id}?done=paused")


@post(
    "/webhooks/{destination:str}/resume",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_resume_webhook",
)
async def resume(work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Send to a paused destination again."""
    row = await destinations.enable(work, id_of(destination, "destination"))
    return see(f"{PAGE}/{row.id}?done=resumed")


@get("/webhooks/{destination:str}/delete", guards=_ADMINS, dependencies=_WORK, name="console_ask_delete_webhook")
async def ask_to_delete(request: Request[Any, Any, Any], work: PersonWork, destination: FromPath[str]) -> Response[str]:
    """Say what deleting a destination does."""
    row = await destinations.find(work, id_of(destination, "destination"))
    waiting, _ = await deliveries.of_destination(work, row.id)
    said = ngettext(
        "Nothing more is sent to it; %(count)s event waiting for it is cancelled, and its secret opens nothing any "
        "more. "
        "It can't be brought back; to stop for a while, pause it.",
        "Nothing more is sent to it; %(count)s events waiting for it are cancelled, and its secret opens nothing any "
        "more. "
        "It can't be brought back; to stop for a while, pause it.",
        waiting,
    )
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Delete “%(label)s”?", label=row.label),
            said=[said],
            facts=[(gettext("Address"), row.url), (gettext("Here since"), row.created_at)],
            button=gettext("Delete it"),
            back=f"{PAGE}/{row.id}",
        ),
    )


@post(
    "/webhooks/{destination:str}/delete",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_delete_webhook",
)
async def delete(work: PersonWork, destination: FromPath[str]) -> Response[Any]:
    """Take a destination away."""
    await destinations.remove(work, id_of(destination, "destination"))
    return see(f"{PAGE}?done=deleted")


async def _fault(request: AnyRequest, work: Work, form: DestinationForm) -> DestinationForm | None:
    """The form with what it lacks, or why its address is refused; None if there is nothing."""
    fault: DestinationRefused | None = request.state.fault
    if fault is not None:
        await enter_refusal(request, work, fault)
    if not form.label or len(form.label) > 200:
        return webhook_forms.with_fault(form, "label", gettext("Enter a name of up to 200 characters."))
    if not form.url:
        return webhook_forms.with_fault(form, "url", gettext("Enter the address that is to be called."))
    return None if fault is None else _said_at(form, fault)


def _said_at(form: DestinationForm, fault: Refusal) -> DestinationForm:
    return webhook_forms.with_fault(form, fault.param, domain(fault.detail))


async def _form_page(
    request: AnyRequest, work: Work, form: DestinationForm, *, of: str | None = None, status_code: int = 200
) -> Response[str]:
    return page_for(
        request,
        "webhooks/edit.html",
        status_code=status_code,
        form=form,
        meanings={gettext(about): dict(options(topics)) for about, topics in MEANINGS.items()},
        kinds=options(KINDS),
        ungated=UNGATED,
        events=await features.has(work, "events"),
        of=of,
        back=PAGE if of is None else f"{PAGE}/{of}",
    )


def _secret_page(request: AnyRequest, new: NewDestination, title: str, *, seconds: int = 0) -> Response[str]:
    return page_for(
        request,
        "webhooks/shown.html",
        title=title,
        secret=new.secret,
        overlap=of(SIGNED_WITH_BOTH, str(seconds)),
        back=f"{PAGE}/{new.row.id}",
    )
