"""The functions of the database, as this version has them: their text, and the schema that is named by its digest.

They stand beside the domain that calls them, in ``*/sql/*.sql``, and name everything with its schema: ``fn.gate`` is a
function, ``public.users`` a table. `rollcall.installing` brings them into a database. Two versions have two schemas, so
that both work on one database while processes are replaced one by one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_QUOTED = re.compile(r"\$\w*\$|'|--[^\n]*\n|;")


@cache
def files() -> Sequence[Path]:
    """The files of functions: types before what returns them."""
    return sorted(_HERE.glob("*/sql/*.sql"), key=lambda path: (path.stem != "types", path))


@cache
def schema() -> str:
    """The name of the schema that holds this version's functions."""
    digest = sha256()
    for path in files():
        digest.update(f"{path.relative_to(_HERE).as_posix()}\n".encode() + path.read_bytes())
    return f"rollcall_{digest.hexdigest()[:12]}"


def qualified(statement: str) -> str:
    """A statement that calls functions as ``fn.name``, with this version's schema in their place."""
    return re.sub(r"\bfn\.", f"{schema()}.", statement)


def script() -> str:
    """The statements that make this version's functions, in its schema."""
    return qualified("\n".join(path.read_text() for path in files()))


def statements(text: str) -> Iterator[str]:
    """The statements of a script, each with the comment before it."""
    begun, quote = 0, ""
    for found in _QUOTED.finditer(text):
        mark = found[0]
        if quote:
            quote = "" if mark == quote else quote
        elif mark == ";":
            yield text[begun : found.end()].strip()
            begun = found.end()
        elif not mark.startswith("--"):
            quote = mark
