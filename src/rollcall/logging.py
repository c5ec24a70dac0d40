"""Logging: JSON in production, readable in development, a request id in every line, never a secret."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_TOKEN = re.compile(r"rc_(scim|pat|ses|op|app)_[0-9a-z]{25}_[0-9a-z]{25}_[0-9a-z]{50}_[0-9a-z]{7}")
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")


def masked(text: str) -> str:
    """Replace tokens and passwords of addresses, so that what is left may be logged."""
    text = _TOKEN.sub(lambda match: f"rc_{match[1]}_***", text)
    return _PASSWORD_IN_URL.sub(r"\1***@", text)


def _mask(value: object) -> object:
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _mask(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_mask(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _mask_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _mask(value)
    return event


def configure(*, environment: str, level: str) -> None:
    """Send structlog's and the standard library's lines to standard error, one form for both."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
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
