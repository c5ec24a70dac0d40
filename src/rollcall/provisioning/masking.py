"""Secrets in what a caller sent, replaced before anything of it is kept."""

import re
from typing import cast

import orjson

_SECRETS = ("password", "token", "secret", "authorization")
_SECRET_NAME = re.compile(rf"(?<![\w$-])(?:{'|'.join(_SECRETS)})(?![\w$-])", re.IGNORECASE)
"""A secret attribute, anywhere in a name or a path: behind a URN, before a sub-attribute or a filter."""


def masked(payload: object) -> object:
    """What a caller sent with the values of secret attributes replaced, wherever they stand."""
    text = orjson.dumps(payload).decode().casefold()
    return _masked(payload) if any(word in text for word in _SECRETS) else payload


def _masked(payload: object) -> object:
    match payload:
        case dict():
            members = cast("dict[str, object]", payload)
            return {
                key: "***" if _is_secret(key) or _writes_secret(members, key) else _masked(value)
                for key, value in members.items()
            }
        case list():
            return [_masked(item) for item in cast("list[object]", payload)]
        case _:
            return payload


def _is_secret(key: object) -> bool:
    return _SECRET_NAME.search(str(key)) is not None


def _writes_secret(operation: dict[str, object], key: str) -> bool:
    """Whether *key* is the value of a PATCH operation whose path names a secret attribute."""
    return str(key).casefold() == "value" and any(
        str(name).casefold() == "path" and _is_secret(path) for name, path in operation.items()
    )
