"""What the source may not say, whoever writes it next."""

import ast
import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import rollcall
from rollcall.journal import events
from rollcall.settings import migrations_folder

SOURCE = Path(rollcall.__file__ or "").parent
MODULES = sorted(SOURCE.rglob("*.py"))


@cache
def tree_of(module: Path) -> ast.Module:
    """What a module says. No garbage is collected meanwhile: finalizers upset Python's count of how deep it is."""
    gc.disable()
    try:
        return ast.parse(module.read_text())
    finally:
        gc.enable()


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", ["celery", "kombu"])
def test_celery_lives_in_the_worker(package: str) -> None:
    """Only worker/ knows Celery: nothing that serves a request can publish."""
    users = {
        module.relative_to(SOURCE).parts[0]
        for module in MODULES
        for name in imported(module)
        if name.split(".")[0] == package
    }
    assert users <= {"worker"}


def test_the_protocol_opens_nothing() -> None:
    """scim/ is pure: it imports neither the web framework nor a driver, and awaits nothing."""
    for module in sorted((SOURCE / "scim").rglob("*.py")):
        for name in imported(module):
            assert name.split(".")[0] not in {"litestar", "sqlalchemy", "asyncpg", "redis", "asyncio"}, module
        assert not any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree_of(module)))


def test_nothing_but_work_commits() -> None:
    """Transactions end with the blocks that opened them: nothing calls commit(), and only a rehearsal rollback()."""
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr != "commit", f"{module}:{node.lineno}"
                undoes = module == SOURCE / "provisioning" / "rehearsals" / "stage.py"  # what it does is never kept
                assert undoes or node.func.attr != "rollback", f"{module}:{node.lineno}"


def test_handlers_types_exist() -> None:
    """No module with handlers postpones its annotations: the framework reads them at run time."""
    for folder in ("api", "console", "billing"):
        for module in (SOURCE / folder).rglob("*.py"):
            assert "from __future__ import annotations" not in module.read_text(), module


def test_settings_are_read_at_the_edge() -> None:
    """Nobody asks the environment but settings.py, the command line and the engines that are started with one.

    prometheus_client is told by a variable where processes share their figures; metrics.py sets it.
    """
    allowed = {"settings.py", "cli", "engines", "metrics.py"}
    for module in MODULES:
        if module.relative_to(SOURCE).parts[0] not in allowed:
            assert not re.search(r"\bos\.(environ|getenv)\b", module.read_text()), module


def test_modules_say_what_they_are() -> None:
    """Every module that holds something opens with a sentence."""
    for module in MODULES:
        tree = tree_of(module)
        assert not tree.body or ast.get_docstring(tree), module


def sql_topics() -> set[str]:
    """What looks like a topic in the SQL that writes events."""
    kinds = {topic.partition(".")[0] for topic in events.TOPICS}
    return {
        name
        for folder in (migrations_folder(), SOURCE)
        for script in sorted(folder.rglob("*.sql"))
        for name in re.findall(r"['\"]([a-z_]+\.[a-z_]+)['\"]", script.read_text())
        if name.partition(".")[0] in kinds
    }


def test_topics_in_sql_exist() -> None:
    """Every event that a function in the database announces stands in the table of events."""
    found = sql_topics()
    assert {"user.deactivated", "tenant.without_admin", "user.removed"} <= found
    assert found <= set(events.TOPICS)


def test_every_event_is_made() -> None:
    """Customers can wait for any event of the table: something in Python or in SQL makes it."""
    named = {
        getattr(node, "id", None) or getattr(node, "attr", None)
        for module in MODULES
        if not module.name.endswith("events.py")
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    by_sql = sql_topics()
    assert [topic for topic, kind in events.TOPICS.items() if kind.__name__ not in named and topic not in by_sql] == []


def test_layers() -> None:
    """Arrows between packages point down only, as the contract in pyproject.toml has it."""
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [lint, "--no-cache"], cwd=SOURCE.parents[1], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_patterns_are_read_alike_by_every_python() -> None:
    """No pattern has possessive or atomic parts: Python before 3.11.5, which Debian 12 has, matches them wrongly.

    Write the pattern so that there is one way to divide a text; then nothing is tried again either.
    """
    forbidden = re.compile(r"(?<!\\)[*+?}]\+|\(\?>")
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
                assert not forbidden.search(text), f"{module}:{node.lineno}"
