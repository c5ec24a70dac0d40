"""What a tenant pays for, changed by operators: another plan by a preview, and overrides with a reason and an end."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery

from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.operators.tenant import OVERRIDES, address_of, tenant_view
from rollcall.console.operators.visitors import FleetWork, action_of, fleet_work, operators
from rollcall.console.requests import AnyRequest, form_field, see
from rollcall.console.visitors import page_for
from rollcall.console.words import domain, gettext
from rollcall.errors import Invalid, NotFound, Refusal
from rollcall.journal.record import record_refusal
from rollcall.manifest import previewing
from rollcall.manifest.previewing import Preview
from rollcall.tenancy import overrides, plans, tenants
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.operators import Right
from rollcall.work import Fleet

_PLANS = [operators(Right.PLANS)]
_WORK = {"fleet": fleet_work}


@get("/operators/tenants/{tenant:str}/plan", guards=_PLANS, dependencies=_WORK, name="console_operator_preview_plan")
async def preview_plan(
    request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str], plan: FromQuery[str] = ""
) -> Response[str]:
    """Say who and what is affected if the tenant is put on another plan; nothing is changed."""
    row = await tenants.find(fleet, tenant)
    return await _preview_page(request, fleet, row, plan)


@post(
    "/operators/tenants/{tenant:str}/plan",
    status_code=200,
    guards=_PLANS,
    dependencies=_WORK,
    name="console_operator_change_plan",
)
async def change_plan(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Put the tenant on the plan whose preview was shown, if that is still what comes of it; else show it anew."""
    row = await tenants.find(fleet, tenant)
    plan, shown = _key(await form_field(request, "plan")), await form_field(request, "shown")
    terms = tenants.terms_of(row)
    await plans.choose(fleet, plan)
    if _fingerprint(await previewing.preview_plan(fleet, row, plan)) != shown:
        return await _preview_page(request, fleet, row, plan, moved=True)
    await tenants.change(fleet, row, replace(terms, plan=plan))
    return see(f"{address_of(row.slug)}?done=plan")


@post(
    "/operators/tenants/{tenant:str}/overrides",
    status_code=200,
    guards=_PLANS,
    dependencies=_WORK,
    name="console_operator_set_override",
)
async def set_override(request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str]) -> Response[Any]:
    """Give the tenant something otherwise than its plan says, with a reason and, where there has to be one, an end."""
    row = await tenants.find(fleet, tenant)
    names = ("override", "seats", "reason", "ends")
    entered = {name: (await form_field(request, name)).replace("\x00", "") for name in names}
    try:
        key, value = _chosen(entered)
        await overrides.put(fleet, row, key, value, reason=entered["reason"], ends_at=_end_of(entered["ends"]))
    except Invalid as fault:
        return await _at_its_field(request, fleet, row, entered, fault)
    return see(f"{address_of(row.slug)}?done=override#overrides")


@get(
    "/operators/tenants/{tenant:str}/overrides/{key:str}/end",
    guards=_PLANS,
    dependencies=_WORK,
    name="console_operator_ask_end_override",
)
async def ask_to_end(
    request: Request[Any, Any, Any], fleet: FleetWork, tenant: FromPath[str], key: FromPath[str]
) -> Response[str]:
    """Say what ending an override does."""
    row = await tenants.find(fleet, tenant)
    found = next((each for each in overrides.of(row) if each.key == key), None)
    if found is None:
        raise NotFound("override")
    plan = await plans.find(fleet, row.plan)
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("End the override of %(tenant)s?", tenant=row.name),
            said=[
                gettext(
                    "From the next call on it has what the plan %(plan)s says, and what it pays for.", plan=plan.name
                )
            ],
            facts=[
                (gettext("Override"), gettext(OVERRIDES[key])),
                (gettext("Value"), gettext("Yes") if found.value is True else str(found.value)),
                (gettext("Reason"), found.reason),
                (gettext("Set by"), found.by),
                (gettext("Set"), found.at),
                (gettext("Ends by itself"), found.ends_at),
            ],
            button=gettext("End the override"),
            back=f"{address_of(row.slug)}#overrides",
        ),
    )


@post(
    "/operators/tenants/{tenant:str}/overrides/{key:str}/end",
    status_code=200,
    guards=_PLANS,
    dependencies=_WORK,
    name="console_operator_end_override",
)
async def end_override(fleet: FleetWork, tenant: FromPath[str], key: FromPath[str]) -> Response[Any]:
    """Take an override away."""
    row = await tenants.find(fleet, tenant)
    await overrides.end(fleet, row, key)
    return see(f"{address_of(row.slug)}?done=override-ended#overrides")


async def _preview_page(
    request: AnyRequest, fleet: Fleet, row: Tenant, key: str, *, moved: bool = False
) -> Response[str]:
    plan = await plans.choose(fleet, _key(key))
    found = await previewing.preview_plan(fleet, row, plan.key)
    return page_for(
        request,
        "operators/plan.html",
        status_code=409 if moved else 200,
        tenant=row,
        at=address_of(row.slug),
        plan=plan,
        before=await plans.find(fleet, row.chosen_plan),
        found=found,
        same=plan.key == row.chosen_plan,
        grave=bool(found.lost) or (found.seats_after is not None and found.used > found.seats_after),
        shown=_fingerprint(found),
        moved=moved,
    )


def _key(entered: str) -> str:
    """A plan's key as somebody says it, without what none can hold."""
    return entered[:63].replace("\x00", "")


def _fingerprint(found: Preview) -> str:
    """Stands for all that a preview says."""
    return sha256(repr(found).encode()).hexdigest()[:32]


def _chosen(entered: dict[str, str]) -> tuple[str, overrides.Value]:
    """What is overridden, and by what: seats by a number, a policy by its name, a feature by being there."""
    key, _, value = entered["override"].partition(":")
    if key == "seats":
        text = entered["seats"].replace(",", "").replace(" ", "")
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            msg = "Enter how many seats, as a whole number from 1 on."
            raise Invalid(msg, param="seats")
        return key, int(text)
    return key, value or True


def _end_of(day: str) -> datetime | None:
    """The end of a day in UTC; None where none was chosen."""
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        msg = "Enter a day, such as 2030-01-31."
        raise Invalid(msg, param="ends") from None


async def _at_its_field(
    request: AnyRequest, fleet: Fleet, row: Tenant, entered: dict[str, str], fault: Refusal
) -> Response[str]:
    """The page again, with what is wrong at the field it is of."""
    await record_refusal(fleet, action=action_of(request), status=fault.status, detail=fault.detail)
    param = {"ends_at": "ends", "value": "seats", "key": "override"}.get(fault.param or "", fault.param or "override")
    said = fault.detail.partition(": ")[2] or fault.detail
    wrong = {param: domain(said[0].upper() + said[1:])}
    return await tenant_view(request, fleet, row, status_code=fault.status, wrong=wrong, entered=entered)
