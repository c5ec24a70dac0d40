"""What the filter in a query string says where a form would read its characters otherwise.

Query strings are read as forms are: ``+`` is a blank, and ``&`` ends a parameter. Many providers escape a filter as a
URI is escaped (RFC 3986), in which both stand for themselves. Where only one of the two readings can be meant, that
one is taken.
"""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_NAME: Final = re.compile(rb"(?:^|&)filter=", re.IGNORECASE)
_QUOTE, _ESCAPE, _BLANK, _PLUS, _NEXT = b'"', b"\\", b" ", b"+", b"&"


def unambiguous(query: bytes) -> bytes:
    """*query* with the filter written so that a form's reader reads what is meant; itself where that is no question.

    Bytes beyond ASCII that are UTF-8 are escaped; in a quoted value ``&`` is one, if the quote is closed after it; and
    ``+`` is one, if blanks outside of quoted values are written ``%20`` and not ``+``.
    """
    if not query.isascii() and _is_utf8(query):
        query = b"".join(bytes([byte]) if byte < 0x80 else b"%%%02X" % byte for byte in query)
    if (found := _NAME.search(query)) is None or not _is_questionable(query[found.end() :].partition(_NEXT)[0]):
        return query
    tokens: list[bytes] = _TOKEN.findall(query, found.end())
    value = list(_within(tokens))
    outside = [token for token, quoted in value if not quoted]
    inside = {token for token, quoted in value if quoted}
    as_uri = _PLUS not in outside and {b"%20", _BLANK}.intersection(outside) and not {b"%2B", b"%2b"} & inside
    meant = b"".join(_meant(token, quoted=quoted, as_uri=bool(as_uri)) for token, quoted in value)
    rewritten = query[: found.end()] + meant + b"".join(tokens[len(value) :])
    return query if rewritten == query else rewritten


def _is_questionable(value: bytes) -> bool:
    """Whether a filter, up to the first ``&``, has to be looked at closely, as very few have."""
    quotes = value.count(b'"') + value.count(b"%22")
    return quotes % 2 == 1 or any(each in value for each in (b"+", b"\\", b"%5C", b"%5c"))


def _is_utf8(query: bytes) -> bool:
    try:
        query.decode()
    except UnicodeDecodeError:
        return False
    return True


def _within(tokens: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The tokens of the first parameter, each with whether it stands in a quoted value.

    A quote that is opened and never closed quotes nothing, so the next ``&`` ends the parameter.
    """
    position, closed = 0, True
    while position < len(tokens) and tokens[position] != _NEXT:
        is_quote = closed and _read(tokens[position]) == _QUOTE
        length = _quoted(tokens, position) if is_quote else 0
        closed = closed and not (is_quote and not length)
        for token in tokens[position : position + length]:
            yield token, True
        if not length:
            yield tokens[position], False
        position += length or 1


def _quoted(tokens: list[bytes], begin: int) -> int:
    """How many tokens the quoted value has that begins there; 0 if it does not end."""
    escaped = False
    for position in range(begin + 1, len(tokens)):
        read = _read(tokens[position])
        if read == _QUOTE and not escaped:
            return position + 1 - begin
        escaped = read == _ESCAPE and not escaped
    return 0


def _read(token: bytes) -> bytes:
    return bytes([int(token[1:], 16)]) if len(token) == 3 else token


def _meant(token: bytes, *, quoted: bool, as_uri: bool) -> bytes:
    if quoted and (token == _NEXT or (token == _PLUS and as_uri)):
        return b"%%%02X" % ord(token)
    return token
