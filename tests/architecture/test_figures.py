"""`make figures`: a bound that is broken is named, and what only looks like it is not."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[2] / "scripts" / "figures.py"
FINE = {f"src/fine/module_{number}.py": '"""Nothing much."""\n' for number in range(40)}
"""So many short files that a single long one is not one in twenty."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A working copy made for one test."""

    folder: Path

    def add(self, path: str, text: str) -> None:
        """Write a file, with the folders above it."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def judged(self) -> tuple[int, str]:
        """With what number the script ends, and all that it prints."""
        ended = subprocess.run(
            [sys.executable, FIGURES, self.folder], capture_output=True, text=True, check=False, timeout=30
        )
        assert not ended.stderr
        return ended.returncode, ended.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    for path, text in FINE.items():
        made.add(path, text)
    return made


def function(name: str, lines: int) -> str:
    return f"def {name}() -> None:\n" + "    pass\n" * (lines - 1)


def sql_function(lines: int) -> str:
    inner = "    SELECT 'it''s; not the end'; -- nor; here\n" * (lines - 4)
    return f"CREATE FUNCTION {{fn}}.gate(digest bytea) RETURNS void\nLANGUAGE sql\nAS $body$\n{inner}$body$;\n"


def test_a_tree_that_keeps_every_bound(tree: Tree) -> None:
    """Figures are printed, nothing is found, and the end is 0."""
    code, said = tree.judged()
    assert code == 0
    assert said.splitlines() == [
        "files: 40, 95 % of them at most 1 lines (under 300), the longest 1 (at most 450)",
        "functions: 0, 95 % of them at most 0 lines (under 30), the longest 0 (at most 60)",
        "docstrings: 0, 0.0 % only repeat a name (under 3 %)",
        "modules: 40, 0 imports, 0 cycles (none)",
    ]


@pytest.mark.parametrize("path", ["src/fine/long.py", "src/fine/sql/long.sql", "migrations/versions/later/change.sql"])
def test_a_long_file(tree: Tree, path: str) -> None:
    """451 lines are one too many in Python and in SQL, 450 are not."""
    tree.add(path, "\n" * 450)
    assert tree.judged()[0] == 0
    tree.add(path, "\n" * 451)
    code, said = tree.judged()
    assert code == 1
    assert said.splitlines()[-1].startswith(f"{path} has 451 lines, 450 are the most:")


def test_many_rather_long_files(tree: Tree) -> None:
    """Where one file in twenty reaches 300 lines, each of them may be allowed and the tree is not."""
    for number in range(3):
        tree.add(f"src/fine/rather_long_{number}.py", "\n" * 300)
    code, said = tree.judged()
    assert code == 1
    assert said.splitlines()[-1].startswith("One in twenty files has 300 lines or more")


def test_the_frozen_foundation(tree: Tree) -> None:
    """The first revision can't be cut any more, so no bound is asked of it."""
    tree.add("migrations/versions/2026_11_22_foundation/users.sql", "\n" * 700)
    assert tree.judged()[0] == 0


def test_a_long_function(tree: Tree) -> None:
    """A function of Python may have 60 lines, methods and inner ones as well."""
    others = "".join(function(f"short_{number}", 2) for number in range(40))
    tree.add("src/fine/others.py", others + function("long", 60))
    assert tree.judged()[0] == 0
    tree.add("src/fine/others.py", others + function("long", 61))
    code, said = tree.judged()
    assert code == 1
    assert said.splitlines()[-1].startswith("src/fine/others.py:81 long has 61 lines, 60 are the most:")


def test_a_long_function_in_sql(tree: Tree) -> None:
    """A function of SQL is measured to the semicolon behind its body, whatever semicolons its body has."""
    tree.add("src/fine/others.py", "".join(function(f"short_{number}", 2) for number in range(40)))
    tree.add("src/fine/sql/gate.sql", sql_function(60) + "\n" * 100)
    assert tree.judged()[0] == 0
    tree.add("src/fine/sql/gate.sql", sql_function(61) + "\n" * 100 + sql_function(10))
    code, said = tree.judged()
    assert code == 1
    assert said.splitlines()[-1].startswith("src/fine/sql/gate.sql:1 {fn}.gate has 61 lines")
    assert said.splitlines()[1].startswith("functions: 42")


def test_a_body_without_quotes(tree: Tree) -> None:
    """BEGIN ATOMIC has semicolons inside as well; END ends it."""
    begun = "create or replace procedure public.tidy()\nBEGIN ATOMIC\n"
    tree.add("src/fine/sql/tidy.sql", begun + "    SELECT 1;\n" * 5 + "END;\nSELECT 2;\n")
    assert tree.judged()[1].splitlines()[1].startswith("functions: 1, 95 % of them at most 8 lines")


@pytest.mark.parametrize(
    ("text", "echoes"),
    [
        ("Creates the user.", True),
        ("Return a tenant's user.", True),
        ("The creating of users in a tenant, and its tenants.", True),
        ("Create a user of this tenant, or raise SeatsExhausted.", False),
        ("Twice is the same as once.", False),
    ],
)
def test_echoing_docstrings(tree: Tree, text: str, echoes: bool) -> None:
    """A docstring whose every word its signature has said already is an echo, whatever ending the words have."""
    tree.add("src/fine/users.py", f'def create_user(tenant: Tenant) -> User:\n    """{text}"""\n')
    code, said = tree.judged()
    assert code == (1 if echoes else 0)
    assert ("src/fine/users.py:1 create_user" in said) == echoes


def test_few_echoes_are_let_be(tree: Tree) -> None:
    """Under three in a hundred docstrings may echo a name."""
    true = "".join(f'def f{number}() -> None:\n    """Twice is the same as once."""\n' for number in range(40))
    tree.add("src/fine/users.py", true + 'def create_user() -> None:\n    """Creates a user."""\n')
    assert tree.judged()[0] == 0


@pytest.mark.parametrize(
    "back",
    [
        "from fine import above",
        "from fine.above import one",
        "import fine.above",
        "from . import above",
        "from .above import one",
    ],
)
def test_a_circle_of_imports(tree: Tree, back: str) -> None:
    """Modules that import each other are named in order, also where one of the imports stands inside a function."""
    tree.add("src/fine/__init__.py", "")
    tree.add("src/fine/above.py", "from fine import middle\n")
    tree.add("src/fine/middle.py", "import fine.below\n")
    tree.add("src/fine/below.py", f"def late() -> None:\n    {back}\n")
    code, said = tree.judged()
    assert code == 1
    found = said.splitlines()[-1]
    for step in ("fine.above imports fine.middle", "fine.middle imports fine.below", "fine.below imports fine.above"):
        assert step in found
    assert "1 cycles" in said


def test_a_package_and_its_modules(tree: Tree) -> None:
    """A package may import its own module, and a module its sibling; neither is a circle."""
    tree.add("src/fine/__init__.py", "from fine.above import one\n")
    tree.add("src/fine/above.py", "from fine import below\n")
    tree.add("src/fine/below.py", "import os.path\n")
    assert tree.judged()[0] == 0


def test_a_wrong_folder(tmp_path: Path) -> None:
    """A folder without sources is no tree that keeps every bound."""
    code, said = Tree(tmp_path).judged()
    assert code == 1
    assert "name the folder of a working copy" in said
