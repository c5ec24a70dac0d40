"""The chain of revisions, read from their files."""

import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory

from rollcall import revisions
from rollcall.settings import migrations_folder


def test_chain_is_the_one_that_is_carried_out() -> None:
    """What the files tell is what the library finds in them, in its order."""
    script = ScriptDirectory(str(migrations_folder()))
    theirs = [(each.revision, (each.doc or "").partition("\n")[0].strip()) for each in script.walk_revisions()]
    assert [(each.id, each.said) for each in revisions.chain()] == theirs[::-1]
    assert revisions.newest() == script.get_current_head()


def test_after() -> None:
    """What is to come for a database is what follows where it stands; everything, for an empty one."""
    first, second, *_, last = revisions.chain()
    assert revisions.after(None) == revisions.chain()
    assert revisions.after(first.id)[0] == second
    assert not revisions.after(last.id)
    assert revisions.is_known(first.id)
    assert not revisions.is_known("2030_01_01_from_the_future")


def test_files_that_are_no_chain(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two revisions after the same one are refused, and not silently one of them left out."""
    folder = tmp_path_factory.mktemp("migrations")
    (folder / "versions").mkdir()
    for name, before in (("a", None), ("b", "a"), ("c", "a")):
        (folder / "versions" / f"{name}.py").write_text(
            f'"""{name}."""\nrevision = "{name}"\ndown_revision = {before!r}\n'
        )
    monkeypatch.setattr(revisions, "migrations_folder", lambda: folder)
    revisions.chain.cache_clear()
    try:
        with pytest.raises(ValueError, match="3 files, and 2 follow one another"):
            revisions.chain()
    finally:
        revisions.chain.cache_clear()


def test_web_process_holds_nothing_that_migrates() -> None:
    """What serves asks where the tables have to stand, without the library that brings them there (8 MB)."""
    asked = "import sys, rollcall.app; print([name for name in sys.modules if name.partition('.')[0] == 'alembic'])"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"
