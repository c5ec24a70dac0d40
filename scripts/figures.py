"""How readable the source is, in figures, and whether each keeps its bound: scripts/figures.py [FOLDER].

It measures files (Python and SQL), functions (Python, and SQL's CREATE FUNCTION), docstrings and imports, and ends with
1 and a sentence for each bound that is broken. How many paths lead through a function is counted by ruff: C901.
"""

import argparse
import ast
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

LONGEST_FILE, USUAL_FILE = 450, 300
LONGEST_FUNCTION, USUAL_FUNCTION = 60, 30
ECHOES_PERCENT = 3

UNBOUND = {
    "migrations/versions/2026_11_22_foundation/": "the frozen first revision: what has been committed is never edited",
}
"""Files that no bound is asked of, by how their path begins, and why."""

EMPTY_WORDS = """
a all an and any are as at be been by can each every for from get gets given has have if in into is it its of on one or
return returns set sets some that the their there these this to was were what when where which who whose with
"""
"""Words that say nothing by themselves."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Measured:
    """Something that has a length, and where it begins."""

    place: str
    lines: int


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a class or a function says of itself, and whether that is more than its names say."""

    place: str
    echoes: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every figure, then a sentence for each broken bound; the number of the exit says whether there is one."""
    parser = argparse.ArgumentParser(description="How readable the source is, in figures.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent.parent)
    folder: Path = parser.parse_args(arguments).folder
    modules = {path: ast.parse(path.read_text()) for path in sorted((folder / "src").rglob("*.py"))}
    if not modules:
        print(f"There is no Python under {folder / 'src'}: name the folder of a working copy.")
        return 1

    broken = [
        *_judged("files", files(folder), longest=LONGEST_FILE, usual=USUAL_FILE),
        *_judged("functions", functions(folder, modules), longest=LONGEST_FUNCTION, usual=USUAL_FUNCTION),
        *_judged_docstrings(
            [each for path, tree in modules.items() for each in docstrings(_named(path, folder), tree)]
        ),
        *_judged_imports(imports(folder / "src", modules)),
    ]
    for sentence in broken:
        print(sentence)
    return 1 if broken else 0


def files(folder: Path) -> list[Measured]:
    """Every file of Python and SQL under src and migrations that a bound is asked of."""
    found = [path for room in ("src", "migrations") for path in sorted((folder / room).rglob("*"))]
    return [
        Measured(_named(path, folder), len(path.read_text().splitlines()))
        for path in found
        if path.suffix in {".py", ".sql"} and not _named(path, folder).startswith(tuple(UNBOUND))
    ]


def functions(folder: Path, modules: dict[Path, ast.Module]) -> list[Measured]:
    """Every function under src, in Python and in SQL; of an inner function the outer one counts the lines too."""
    python = [
        Measured(
            f"{_named(path, folder)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1
        )
        for path, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]
    sql = [
        each
        for path in sorted((folder / "src").rglob("sql/**/*.sql"))
        for each in sql_functions(_named(path, folder), path.read_text())
    ]
    return python + sql


def sql_functions(place: str, text: str) -> Iterator[Measured]:
    """Each CREATE FUNCTION or PROCEDURE, from its first word to the semicolon behind its body."""
    begun = re.compile(
        r"^[ \t]*CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+([^\s(]+)", re.IGNORECASE | re.MULTILINE
    )
    for match in begun.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        last = text.count("\n", 0, _end_of_statement(text, match.end())) + 1
        yield Measured(f"{place}:{first} {match[1]}", last - first + 1)


def _end_of_statement(text: str, position: int) -> int:
    """Where the semicolon stands that ends what stands at *position*: not one in a body, a string or a comment."""
    parts = re.compile(
        r"(?P<body>\$\w*\$)|(?P<atomic>\bBEGIN\s+ATOMIC\b)|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|(?P<end>;)",
        re.IGNORECASE | re.DOTALL,
    )
    while (part := parts.search(text, position)) is not None:
        if part["end"]:
            return part.start()
        position = part.end()
        if part["body"]:
            closing = text.find(part["body"], position)
            position = len(text) if closing < 0 else closing + len(part["body"])
        elif part["atomic"]:
            closing = re.compile(r"^[ \t]*END\b", re.IGNORECASE | re.MULTILINE).search(text, position)
            position = closing.end() if closing else len(text)
    return len(text)


def docstrings(place: str, tree: ast.Module) -> Iterator[Docstring]:
    """What classes and functions say of themselves; a module's sentence is not compared with its name."""
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef) and (text := ast.get_docstring(node)):
            said = _words(text) - _words(EMPTY_WORDS)
            yield Docstring(f"{place}:{node.lineno} {node.name}", said <= _words(" ".join(_names(node))))


def _names(node: Function | ast.ClassDef) -> Iterator[str]:
    """What a signature says already: its own name, and those of its parameters and types."""
    yield node.name
    if isinstance(node, ast.ClassDef):
        yield from (ast.unparse(base) for base in node.bases)
    else:
        yield ast.unparse(node.args)
        yield ast.unparse(node.returns) if node.returns else ""


def _words(text: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|'s\b", " ", text)
    return {_stem(word) for word in re.findall(r"[a-z0-9]+", apart.lower().replace("_", " "))}


def _stem(word: str) -> str:
    """A word without the ending that English hangs on it, so that "creates" is "create"."""
    for ending in ("ing", "ies", "ied", "es", "ed", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def imports(source: Path, modules: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Which of these modules each one imports, wherever in it the import stands."""
    names = {_module_name(path, source): tree for path, tree in modules.items()}
    packages = {_module_name(path, source) for path in modules if path.name == "__init__.py"}
    graph: dict[str, set[str]] = {}
    for name, tree in names.items():
        asked = {each for node in ast.walk(tree) for each in _imported(node, name, set(names), name in packages)}
        graph[name] = (asked & set(names)) - {name}
    return graph


def _imported(node: ast.AST, name: str, known: set[str], is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = name.split(".")[: len(name.split(".")) - node.level + is_package] if node.level else []
        source = ".".join([*above, *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if inner in known else source


def _module_name(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def _named(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def percentile_95(numbers: list[int]) -> int:
    """The smallest of *numbers* that 95 in a hundred don't pass; 0 of none."""
    return sorted(numbers)[math.ceil(len(numbers) * 0.95) - 1] if numbers else 0


def _judged(what: str, found: list[Measured], *, longest: int, usual: int) -> Iterator[str]:
    lengths = [each.lines for each in found]
    most = percentile_95(lengths)
    print(
        f"{what}: {len(found)}, 95 % of them at most {most} lines (under {usual}), "
        f"the longest {max(lengths, default=0)} (at most {longest})"
    )
    for each in sorted(found, key=lambda one: -one.lines):
        if each.lines > longest:
            yield f"{each.place} has {each.lines} lines, {longest} are the most: cut it by what a reader asks."
    if most >= usual:
        yield f"One in twenty {what} has {most} lines or more, under {usual} is the bound: cut the longest ones."


def _judged_docstrings(found: list[Docstring]) -> Iterator[str]:
    echoing = [each.place for each in found if each.echoes]
    share = 100 * len(echoing) / len(found) if found else 0
    print(f"docstrings: {len(found)}, {share:.1f} % only repeat a name (under {ECHOES_PERCENT} %)")
    if share >= ECHOES_PERCENT:
        yield f"{len(echoing)} of {len(found)} docstrings only repeat names; say the promise or the reason, or nothing:"
        yield from (f"  {place}" for place in echoing)


def _judged_imports(graph: dict[str, set[str]]) -> Iterator[str]:
    circles = list(cycles(graph))
    print(f"modules: {len(graph)}, {sum(map(len, graph.values()))} imports, {len(circles)} cycles (none)")
    for circle in circles:
        way = ", ".join(f"{above} imports {below}" for above, below in pairwise(circle))
        yield f"Modules import each other in a circle: {way}. Move what both need below them."


def cycles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Each circle that is left when one step of every circle named before is taken out."""
    left = {name: set(below) for name, below in graph.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = list(reversed(error.args[1]))
            left[circle[0]].discard(circle[1])
            yield circle
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
