"""The log line of a call that was refused or has failed, with the same fields on every surface.

The request's id, and the tenant and key of a SCIM call, come from what is known of it (`current_call`).
"""

from collections.abc import Hashable

import structlog

from rollcall.api.requests import AnyRequest, source_of
from rollcall.current_call import current_call

log = structlog.get_logger(__name__)

LONGEST_PATH = 500
"""Characters of a path that are logged."""


def log_refusal(request: AnyRequest, *, status: int, code: str | None, detail: str | None) -> None:
    """Log that a call was refused, and why; *code* is the surface's word for programs, where it has one.

    Of one caller, reason and minute so many lines are logged, and the others counted.
    """
    line = {**_facts(request, status), "code": code, "detail": detail}
    request.app.state.context.batched_entries.refusals.log(_who(request), line)


def log_failure(request: AnyRequest, *, status: int, error: Exception) -> None:
    """Log that a call has failed on our side, with where."""
    log.error("failed", **_facts(request, status), exc_info=error)


def log_unavailable(request: AnyRequest, *, status: int, error: Exception) -> None:
    """Log that a call could not be answered now, because what it takes is away or has no room."""
    log.warning("unavailable", **_facts(request, status), because=repr(error))


def _who(request: AnyRequest) -> Hashable:
    """By what a caller is told apart: their key where it is known, else the address that they call from."""
    caller = request.scope["state"].get("caller")
    if caller is not None and caller.actor is not None:
        return caller.actor.id
    call = current_call.get()
    return (None if call is None else call.key_id) or source_of(request)


def _facts(request: AnyRequest, status: int) -> dict[str, object]:
    scope = request.scope
    facts: dict[str, object] = {
        "status": status,
        "method": scope["method"],
        "path": scope["path"][:LONGEST_PATH],  # without the query, in which anything may stand
        "source": source_of(request),
    }
    tenant = scope["state"].get("tenant")
    return facts if tenant is None else {**facts, "tenant": tenant}
