"""The log line of a call that was refused or has failed: one line for each, with the same fields on every surface.

The request's id, and the tenant of a SCIM call, come from what is bound to the request (`structlog.contextvars`).
"""

import structlog

from rollcall.api.requests import AnyRequest, source_of

log = structlog.get_logger(__name__)

LONGEST_PATH = 500
"""Characters of a path that are logged."""


def log_refusal(request: AnyRequest, *, status: int, code: str | None, detail: str | None) -> None:
    """Log that a call was refused, and why; *code* is the surface's word for programs, where it has one."""
    log.info("refused", **_facts(request, status), code=code, detail=detail)


def log_failure(request: AnyRequest, *, status: int, error: Exception) -> None:
    """Log that a call has failed on our side, with where."""
    log.error("failed", **_facts(request, status), exc_info=error)


def log_unavailable(request: AnyRequest, *, status: int, error: Exception) -> None:
    """Log that a call could not be answered now, because what it takes is away or has no room."""
    log.warning("unavailable", **_facts(request, status), because=repr(error))


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
