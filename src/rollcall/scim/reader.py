"""The strict reader: bytes of a body in, a JSON object out, or a refusal that says what is wrong where.

What JSON leaves open and an attacker or a careless client can use is closed here once: two keys of one name,
characters the database can't hold, numbers it can't hold, nesting without end, members without number.
"""

import json
import re
from collections.abc import Iterable
from math import isfinite
from typing import Final, NoReturn, cast

from rollcall.scim.errors import InvalidSyntax, PayloadTooLarge, UnsupportedMediaType, shown

MEDIA_TYPES: Final = frozenset({"application/scim+json", "application/json"})
LARGEST_INTEGER: Final = 2**63 - 1

MOST_MEMBERS: Final = 2_000
"""Members that one JSON object may have; resources have some dozens."""

# Of what escapes have been taken out of. A string runs to the end when nothing closes it: linear, always.
_STRING: Final = re.compile(rb'"[^"]*"?')
_ALL_BYTES: Final = bytes(range(256))
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_json(body: bytes, *, limit: int = 1_048_576, depth: int = 32) -> dict[str, object]:
    """The JSON object that *body* is.

    Raises:
        PayloadTooLarge: it has more than *limit* bytes.
        InvalidSyntax: it is not one JSON object in UTF-8, nests deeper than *depth*, has an object of more than
            `MOST_MEMBERS`, names a key twice (names that differ only in case are the same, RFC 7643 §2.1), or
            holds NUL, half a surrogate pair, NaN, infinity or an integer beyond 64 bits.
    """
    if len(body) > limit:
        raise PayloadTooLarge(limit)
    if not body or body.isspace():
        raise InvalidSyntax(detail="The body is empty; send the resource as JSON")
    if body.startswith(_BYTE_ORDER_MARK):
        raise InvalidSyntax(detail="The body begins with a byte order mark; send plain UTF-8")
    check_shape(body, depth=depth)
    value = _decoded(body)
    if not isinstance(value, dict):
        raise InvalidSyntax(detail="The body is not a JSON object")
    document = cast("dict[str, object]", value)
    # Unescaped, neither passes the decoders: UTF-8 has no surrogates and JSON no raw control characters.
    if b"\\u" in body:
        _check_characters(document)
    return document


def check_media_type(content_type: str | None) -> None:
    """Accept SCIM and JSON in UTF-8.

    No Content-Type at all is read as SCIM: RFC 7644 §3.1 asks clients to send one, and says nothing about
    those that don't.
    """
    if content_type is None or not content_type.strip():
        return
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() not in MEDIA_TYPES:
        raise UnsupportedMediaType
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType


def check_shape(body: bytes, *, depth: int, lists: bool = False) -> None:
    """Judge brackets and members before a value of *body* is built; whether it is JSON at all, the decoder says.

    A list may be of any length, as that of a group's members, unless *lists* says that `MOST_MEMBERS` is for it too.

    Raises:
        InvalidSyntax: it nests deeper than *depth*, or has an object of more than `MOST_MEMBERS`.
    """
    between, most = (b",", MOST_MEMBERS - 1) if lists else (b":", MOST_MEMBERS)
    if body.count(b"{") + body.count(b"[") <= depth and body.count(between) <= most:
        return
    without_escapes = body.replace(rb"\\", b"").replace(rb"\"", b"")
    counted = between[0]
    found = [0]  # so far in each bracket that is open; the first is what stands outside of all
    for sign in _STRING.sub(b"", without_escapes).translate(None, _ALL_BYTES.translate(None, b"[]{}" + between)):
        if sign == counted:
            found[-1] += 1
            if found[-1] > most:
                what = "members in one object or list" if lists else "members in one object"
                raise InvalidSyntax(detail=f"The body has more than {MOST_MEMBERS} {what}; send fewer at a time")
        elif sign in b"[{":
            found.append(0)
            if len(found) > depth + 1:
                raise InvalidSyntax(detail=f"The body nests deeper than {depth} levels")
        elif len(found) == 1:
            return
        else:
            found.pop()


def unholdable(text: str) -> str | None:
    """What in *text* PostgreSQL can't keep, or None."""
    if "\x00" in text:
        return "a NUL character"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None


def _decoded(body: bytes) -> object:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise InvalidSyntax(detail=f"The body is not UTF-8: byte {exc.start + 1}") from exc
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise InvalidSyntax(detail=f"The body is not JSON: {exc.msg}, {where}") from exc
    except RecursionError as exc:
        raise InvalidSyntax(detail="The body nests too deeply") from exc


def _check_characters(document: dict[str, object]) -> None:
    waiting: list[object] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if (found := unholdable(value)) is not None:
                raise InvalidSyntax(detail=f"The body holds {found}")
        elif isinstance(value, dict):
            pairs = cast("dict[str, object]", value)
            waiting.extend(pairs)
            waiting.extend(pairs.values())
        elif isinstance(value, list):
            waiting.extend(cast("list[object]", value))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise InvalidSyntax(detail=f"The body has {shown(_repeated(pairs))} twice in one object")
    return dict(pairs)


def _repeated(pairs: Iterable[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return ""


def _integer(digits: str) -> int:
    # The length first: reading very long numbers is slow, and Python refuses them in words of its own.
    if len(digits) > 20 or abs(number := int(digits)) > LARGEST_INTEGER:
        raise InvalidSyntax(detail="The body holds an integer beyond 64 bits")
    return number


def _fraction(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise InvalidSyntax(detail="The body holds a number that is too large")
    return number


def _constant(name: str) -> NoReturn:
    raise InvalidSyntax(detail=f"The body holds {name}, which is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
