"""Logging: JSON in production, readable in development, a request id in every line, never a secret."""

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from types import TracebackType
from typing import Any, cast

import structlog

from rollcall.current_call import current_call

_TOKEN = re.compile(r"rc_(scim|pat|ses|ops|op|app)_[0-9a-z_]{8,}")  # one that was cut off too
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^/\s]+@")


def masked(text: str) -> str:
    """Replace tokens and passwords of addresses, so that what is left may be logged."""
    text = _TOKEN.sub(lambda match: f"rc_{match[1]}_***", text)
    text = _WEBHOOK_SECRET.sub("whsec_***", text)
    return _PASSWORD_IN_URL.sub(r"\1***@", text)


def _mask(value: object) -> object:
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _mask(item) for key, item in cast("dict[object, object]", value).items()}
        case list() | tuple() | set() | frozenset():
            return [_mask(item) for item in cast("Iterable[object]", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return masked(repr(value))  # an exception, say, whose text quotes what it was given


def _mask_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own: the record a line was made from
            event[key] = _mask(value)
    return event


def _name_call(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of which call a line is, and whose that is."""
    call = current_call.get()
    if call is not None:
        event.setdefault("request_id", call.request_id)
        if call.tenant_id is not None:
            event.setdefault("tenant", str(call.tenant_id))
            event.setdefault("key_id", str(call.key_id))
    return event


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends a process is one line of its log, too."""
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger(__name__).critical("ended by an error nobody expected", exc_info=(kind, error, trace))


def configure(*, environment: str, level: str) -> None:
    """Send structlog's and the standard library's lines to standard error, one form for both."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        _name_call,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if environment == "development"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    if environment != "development":
        sys.excepthook = _log_uncaught
    logging.getLogger("alembic").setLevel("WARNING")  # which migration runs is no news while all is well
