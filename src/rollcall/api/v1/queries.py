"""What stands after the ``?`` of a call to the management API: nothing unknown, nothing twice, nothing guessed at.

The framework is generous with text: ``null`` leaves a filter out, ``1`` is true, and a name it doesn't know is passed
over. Here each would answer another question than the one that was asked.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import NoneType
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from litestar.enums import ParamType
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg
from litestar.typing import FieldDefinition

from rollcall.api.requests import AnyRequest
from rollcall.api.saying import said, unknown

Kinds = Mapping[str, frozenset[Any]]
"""For each parameter the types, or the very texts, that it may have."""

_SHAPES: Mapping[Any, tuple[re.Pattern[str], str]] = {
    bool: (re.compile("true|false"), "has to be true or false"),
    int: (re.compile("0|-?[1-9][0-9]{0,17}"), "has to be a whole number"),
    UUID: (
        re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
        "has to be an id, as 0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f is one",
    ),
    datetime: (
        re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
        "has to be a moment with its time zone, as 2026-01-31T12:00:00Z is one; in an address + is written %2B",
    ),
}
"""How a value of each type is written, and what is said of one that is not."""


async def check_query(request: AnyRequest) -> None:
    """Refuse a query that says anything which its call would not heed.

    Raises:
        Invalid: a parameter is unknown, sent twice, or not written as its type is.
    """
    sent = list(request.query_params.multi_items())
    if not sent:
        return
    kinds = _kinds_of(request)
    times = Counter(name for name, _ in sent)
    wrong: dict[str, str] = {}
    for name, value in sent:
        if name not in kinds:
            wrong[name] = unknown(name, kinds, what="parameter")
        elif times[name] > 1:
            wrong[name] = f"is sent {times[name]} times; send it once"
        elif (misspelt := _misspelt(value, kinds[name])) is not None:
            wrong[name] = misspelt
    if wrong:
        raise said(list(wrong.items()))


def _misspelt(value: str, kinds: frozenset[Any]) -> str | None:
    if str in kinds:
        return None
    texts = sorted(kind for kind in kinds if isinstance(kind, str))
    if texts:
        return None if value in texts else f"has to be one of {', '.join(texts)}"
    for kind in kinds:
        shape, otherwise = _SHAPES[kind]
        return None if shape.fullmatch(value) else otherwise
    return None


def _kinds_of(request: AnyRequest) -> Kinds:
    known: dict[BaseRouteHandler, Kinds] = request.app.state.setdefault("query_kinds", {})
    handler = request.route_handler
    if handler not in known:
        known[handler] = dict(_parameters(handler, handler.parsed_fn_signature.parameters))
    return known[handler]


def _parameters(
    handler: BaseRouteHandler, fields: Mapping[str, FieldDefinition]
) -> Iterator[tuple[str, frozenset[Any]]]:
    """The query's parameters that a handler takes, itself and through what it depends on."""
    dependencies = handler.resolve_dependencies()
    for name, field in fields.items():
        if name in dependencies:
            yield from _parameters(handler, dependencies[name].parsed_fn_signature.parameters)
            continue
        said_of = field.kwarg_definition
        if isinstance(said_of, ParameterKwarg) and said_of.param_type is ParamType.QUERY:
            yield said_of.name or name, frozenset(_kinds(field.annotation))


def _kinds(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif inner := get_args(annotation):
        for each in inner:
            yield from _kinds(each)
    elif annotation is not NoneType:
        yield annotation
