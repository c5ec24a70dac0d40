"""A mass change of a tenant, looked at and released by operators; other alerts close themselves."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.alerts import reading
from rollcall.console.confirming import Confirmation, confirmation_page, unless_typed
from rollcall.console.operators.tenant import address_of
from rollcall.console.operators.visitors import TenantWork, operators, tenant_work
from rollcall.console.own import id_of
from rollcall.console.requests import see
from rollcall.console.words import gettext, ngettext, number_said
from rollcall.errors import NotFound
from rollcall.proof import mass_changes
from rollcall.tenancy.operators import Right
from rollcall.work import Work

_OPS = [operators(Right.ALL)]
_WORK = {"work": tenant_work}


@get(
    "/operators/tenants/{tenant:str}/alerts/{alert:str}/release",
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_ask_release",
)
async def ask_to_release(request: Request[Any, Any, Any], work: TenantWork, alert: FromPath[str]) -> Response[str]:
    """Say what releasing a mass change does."""
    return confirmation_page(request, await _release(work, id_of(alert, "alert")))


@post(
    "/operators/tenants/{tenant:str}/alerts/{alert:str}/release",
    status_code=200,
    guards=_OPS,
    dependencies=_WORK,
    name="console_operator_release",
)
async def release(request: Request[Any, Any, Any], work: TenantWork, alert: FromPath[str]) -> Response[Any]:
    """Say that somebody has looked at a mass change, once the tenant's slug was typed."""
    which = id_of(alert, "alert")
    if asked := await unless_typed(request, await _release(work, which)):
        return asked
    await mass_changes.release(work, which)
    return see(f"{address_of(work.tenant.slug)}?done=released")


async def _release(work: Work, which: UUID) -> Confirmation:
    found = await mass_changes.of_ids(work, [which])
    if not found:
        raise NotFound("alert")
    return Confirmation(
        title=gettext("Are these people of %(slug)s meant to leave?", slug=work.tenant.slug),
        said=[
            ngettext(
                "%(count)s person has left since it began. Their access has ended already; releasing brings nobody "
                "back.",
                "%(count)s people have left since it began. Their access has ended already; releasing brings nobody "
                "back.",
                reading.of_mass_change(found[0]).departures or 0,
            ),
            gettext(
                "Once you release it, people may be erased and linked to former accounts again; counting begins anew."
            ),
            gettext(
                "If they are not meant to leave, have the tenant stop provisioning at its identity provider first."
            ),
        ],
        facts=[
            (gettext("It began"), found[0].row.began_at),
            (gettext("Noticed"), found[0].row.noticed_at),
            (
                gettext("Usual within an hour"),
                gettext("up to %(threshold)s", threshold=number_said(found[0].row.threshold)),
            ),
            (gettext("Released"), found[0].row.released_at or gettext("not yet")),
        ],
        button=gettext("Release it"),
        back=address_of(work.tenant.slug),
        typed=work.tenant.slug,
        called=gettext("the tenant's slug"),
    )
