"""What Babel takes into the console's catalogue beside marked sentences: refusals, reasons, and what rehearsals play.

``make words`` has it called, by ``[tool.babel]`` in pyproject.toml. The console says such a sentence in the page's
language where it stands in the catalogue whole; the domain knows nothing of languages.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from typing import IO, Any

from babel.messages.extract import extract_python

Found = tuple[int, str | None, Any, list[str]]


def refused(
    lines: IO[bytes], _keywords: Mapping[str, Any], _tags: Collection[str], options: Mapping[str, Any]
) -> Iterator[Found]:
    """What a file's refusals say; with the option *reasons* every whole sentence of it that is a constant."""
    tree = ast.parse(lines.read())
    papers = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        for text in _refusing(node):
            found.setdefault(text, getattr(node, "lineno", 1))
        if options.get("reasons") and id(node) not in papers and (said := _sentence(node)):
            found.setdefault(said, getattr(node, "lineno", 1))
    return ((line, None, text, []) for text, line in found.items())


def said(lines: IO[bytes], keywords: Mapping[str, Any], tags: Collection[str], options: Any) -> Iterator[Found]:
    """What a module of the console says: marked sentences, and its own refusals."""
    source = lines.read()
    yield from extract_python(BytesIO(source), keywords, tags, options)  # type: ignore[misc]
    yield from refused(BytesIO(source), keywords, tags, {})


def played(
    lines: IO[bytes],
    _keywords: Mapping[str, Any],
    _tags: Collection[str],
    options: Any,  # noqa: ARG001  # Babel hands it on by its name
) -> Iterator[Found]:
    """What a rehearsed provider does, and the titles of its chapters: constants of each `Line` and `Chapter`."""
    for node in ast.walk(ast.parse(lines.read())):
        match node:
            case ast.Call(func=ast.Name(id="Line"), args=[_, ast.Constant(value=str(said)), *_]):
                yield node.lineno, None, said, []
            case ast.Call(func=ast.Name(id="Chapter"), args=[ast.Constant(value=str(said)), *_]):
                yield node.lineno, None, said, []
            case _:
                pass


def _refusing(node: ast.AST) -> Iterator[str]:
    """The whole sentences that a statement refuses with."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"), args=[first, *_]):
            yield from filter(None, map(_sentence, ast.walk(first)))
        case ast.Assign(targets=[ast.Name(id="msg")], value=value):
            yield from filter(None, map(_sentence, ast.walk(value)))
        case ast.Call(func=ast.Name(id="NotFound"), args=[ast.Constant(value=str(what))]):
            yield f"There is no such {what}."
        case ast.Call(func=ast.Name(id="id_of"), args=[_, ast.Constant(value=str(what))]):
            yield f"There is no such {what}."
        case _:
            return


def _sentence(node: ast.AST) -> str:
    """A constant that is a whole sentence, or empty."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return ""
    text = node.value
    return text if text[:1].isupper() and " " in text and text.endswith(".") and "{" not in text else ""
