"""The revisions that this version's tables were made by, as their files tell: the chain, without what carries it out.

Every process asks where the tables have to stand; only the one that migrates needs the library that brings them there.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from rollcall.journal.health import Revisions
from rollcall.settings import migrations_folder


@dataclass(frozen=True, slots=True)
class Revision:
    """One step from the tables before to the tables after it."""

    id: str
    said: str
    """The first line of what it says of itself."""


@cache
def chain() -> Sequence[Revision]:
    """All of them, the first one first.

    Raises:
        ValueError: they are no chain, with one beginning and one end.
    """
    following: dict[str | None, Revision] = {}
    files = sorted((migrations_folder() / "versions").glob("*.py"))
    for file in files:
        module = ast.parse(file.read_text(encoding="utf-8"))
        facts = {ast.unparse(each.targets[0]): ast.literal_eval(each.value) for each in _facts(module)}
        said = (ast.get_docstring(module) or "").partition("\n")[0].strip()
        following[facts["down_revision"]] = Revision(facts["revision"], said)
    found: list[Revision] = []
    stands_at = None
    while (revision := following.get(stands_at)) is not None:
        found.append(revision)
        stands_at = revision.id
    if len(found) != len(files):
        msg = f"the revisions are no chain: {len(files)} files, and {len(found)} follow one another"
        raise ValueError(msg)
    return tuple(found)


def _facts(module: ast.Module) -> Iterator[ast.Assign]:
    return (each for each in module.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant))


def newest() -> str:
    """The revision a current database stands at."""
    return chain()[-1].id


def known() -> Revisions:
    """All that this version has."""
    *older, last = (each.id for each in chain())
    return Revisions(last, frozenset(older))


def is_known(revision: str) -> bool:
    """Whether this version has such a revision."""
    return any(each.id == revision for each in chain())


def after(stands_at: str | None) -> Sequence[Revision]:
    """The revisions after *stands_at*, which is one of them, the next one first; all of them after None."""
    ids = [each.id for each in chain()]
    return chain()[ids.index(stands_at) + 1 :] if stands_at else chain()
