"""Refused calls of the management API: entries in the audit for those of a known key, a count for all others."""

from typing import Any

import structlog
from litestar import Request
from litestar.types import Scope
from sqlalchemy.exc import SQLAlchemyError

from rollcall.api import errors
from rollcall.api.errors import Meaning
from rollcall.api.requests import AnyRequest, origin, source_of
from rollcall.api.v1.callers import action_of, caller_of, identify
from rollcall.db import DatabaseError
from rollcall.errors import NotFound, Unauthenticated
from rollcall.journal.record import record_refusal
from rollcall.journal.refusals import RefusedCaller
from rollcall.provisioning.context import GateContext
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, TenantRef, open_fleet, open_work

log = structlog.get_logger(__name__)


async def write_down(exception: Exception, scope: Scope) -> None:
    """Leave a trace of a call that ends in *exception*, unless the work it was refused in has left one.

    It stands in the tenant's audit: the caller's own, or for ops and the product the one they named. Where there is
    none it stands in the installation's. What failed, instead of being refused, is in the log.
    """
    if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
        return
    request: AnyRequest = Request(scope)
    caller = caller_of(request)
    meant = errors.meaning(request, exception)
    if caller.written_down or meant.status >= 500:
        return
    try:
        if caller.actor is None and not isinstance(exception, Unauthenticated):
            await _look_who_calls(request)
        if caller.actor is not None:
            await _enter(request, meant)
            return
    except (OSError, SQLAlchemyError, *DatabaseError):  # refused it is all the same, and nothing was changed
        log.exception("a refusal was not written down", status=meant.status, path=scope["path"])
    context: GateContext = request.app.state.context
    context.batched_entries.refused(source_of(request))


async def _look_who_calls(request: AnyRequest) -> None:
    """No guard has: the address or its method is none."""
    try:
        await identify(request)
    except Unauthenticated:
        return


async def _enter(request: AnyRequest, meant: Meaning) -> None:
    database, actor, came = request.app.state.database, caller_of(request).actor, origin(request)
    assert actor is not None
    tenant = await _tenant_of(request)
    refusals = request.app.state.context.batched_entries.refusals
    caller = RefusedCaller.of(actor, None if tenant is None else tenant.id)
    if not refusals.is_entered(caller, came, status=meant.status, code=meant.code):
        return
    facts: dict[str, Any] = {"action": action_of(request), "status": meant.status, "detail": meant.detail}
    if tenant is None:
        async with open_fleet(database, actor, came, judged=False) as fleet:
            await record_refusal(fleet, **facts)
    else:
        async with open_work(database, tenant, actor, came, judged=False) as work:
            await record_refusal(work, **facts)


async def _tenant_of(request: AnyRequest) -> TenantRef | None:
    """Whose audit a refusal belongs in; None for the installation's."""
    caller = caller_of(request)
    if caller.tenant is not None or caller.home is not None:
        return caller.home or caller.tenant
    named = request.path_params.get("tenant") if "path_params" in request.scope else None
    if named is None or "\x00" in named:
        return None
    async with open_fleet(request.app.state.database, SYSTEM, origin(request)) as fleet:
        try:
            return tenants.ref(await tenants.find(fleet, named))
        except NotFound:
            return None
