"""The pages for whoever reads the source: what they name exists, and what they promise to list they list."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rollcall

SOURCE = Path(rollcall.__file__ or "").parent
PROJECT = SOURCE.parents[1]
DOCS = PROJECT / "docs"
PAGES = [DOCS / "architecture.md", DOCS / "request.md", DOCS / "locking.md", PROJECT / "CONTRIBUTING.md"]

PATH = re.compile(r"`((?:[\w.]+/)*\w+\.(?:py|sql))`")
FUNCTIONS = re.compile(r"`((?:\w+/)*\w+\.py)`\** (`[a-z_]+`(?:, `[a-z_]+`)*)")
ADVISORY = re.compile(r"hashtext(?:extended)?\('([^']+)'")


def file_named(name: str) -> Path:
    """The file a page means: one of the package or of the project; a name without a folder, whichever is called so."""
    inside = () if "/" in name else (*SOURCE.rglob(name), *(PROJECT / "migrations").rglob(name))
    return next((path for path in (SOURCE / name, PROJECT / name, *inside) if path.is_file()), SOURCE / name)


@cache
def defined(file: Path) -> frozenset[str]:
    """The functions and methods of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, functions))


def answers() -> list[tuple[str, str, str]]:
    """The rows of the table of questions: question, file and function."""
    text = (DOCS / "architecture.md").read_text()
    return re.findall(r"^\| ([A-Z][^|]+\?) \| `([^`]+)` \| `([^`]+)` \|$", text, re.MULTILINE)


def test_twelve_questions() -> None:
    """A newcomer finds twelve questions, each with one file to open."""
    assert len(answers()) == 12
    assert len({file for _, file, _ in answers()}) == 12


@pytest.mark.parametrize(("question", "file", "function"), answers())
def test_the_file_that_answers(question: str, file: str, function: str) -> None:
    """The file exists and the function is in it: whoever moves it moves the answer too."""
    assert file_named(file).is_file(), f"docs/architecture.md answers {question!r} with {file}, which is not there"
    assert function in defined(file_named(file)), f"docs/architecture.md answers {question!r} with {function}"


def test_every_room_is_on_the_page() -> None:
    """Each package stands in the table of rooms, with a file of its own to begin with."""
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| `(\w+)/[\w/.]+` \|$", (DOCS / "architecture.md").read_text(), re.MULTILINE
    )
    assert {room for room, _ in rows} == {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert all(room == beginning for room, beginning in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_functions_exist(page: Path) -> None:
    """Every file that a page names exists, and so does every function it names right behind one."""
    text = page.read_text()
    assert [name for name in PATH.findall(text) if not file_named(name).is_file()] == []
    for name, functions in FUNCTIONS.findall(text):
        for function in re.findall(r"\w+", functions):
            assert function in defined(file_named(name)), f"{page.name} names {function} in {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link inside the project leads to a file or a folder."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def sources() -> list[Path]:
    """Where locks are taken: Python, and SQL of functions and revisions."""
    return [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sql"), *(PROJECT / "migrations").rglob("*.sql")]


def advisory_locks() -> Iterator[str]:
    """The names of all advisory locks, without what follows them."""
    for path in sources():
        text = path.read_text()
        yield from (name.strip() for name in ADVISORY.findall(text))
        yield from (name.strip() for name in re.findall(r'await lock_name\(work, f?"([^"{]+)', text))


def test_every_advisory_lock_is_on_the_map() -> None:
    """The map has every advisory lock that the source takes, and no other."""
    table = (DOCS / "locking.md").read_text().partition("## Advisory locks")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == set(advisory_locks())


def test_what_the_map_names_exists() -> None:
    """Every table and function of the database that the map of locks names is in the source."""
    words = set(re.findall(r"\w+", " ".join(path.read_text() for path in sources())))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", (DOCS / "locking.md").read_text()))
    assert len(named) > 20
    assert named - words == set()
