"""What is wrong with a manifest, said with file, line, table and key, all at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from rollcall.errors import Invalid
from rollcall.manifest.places import KeyPath, Lines, dotted, find_places

MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    file: str
    lines: Lines | None
    path: KeyPath
    said: str

    def __str__(self) -> str:
        place = ", ".join(str(part) for part in (self.file, self.lines) if part)
        where = _where(self.path)
        return f"{place}, {where}: {self.said}" if where else f"{place}: {self.said}"


class ManifestInvalid(Invalid):
    """A manifest can't be read, or can't be applied to this database; nothing of it was."""

    code = "manifest_invalid"
    advice = "Correct the lines that the detail lists, and apply the file again."

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=_line))
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Source:
    """The file a manifest was read from: its name and its text, to tell where something stands."""

    file: str
    text: str

    def problem(self, path: KeyPath, said: str, *, missing: bool = False) -> Problem:
        """Something wrong with what stands at *path*; a *missing* key is looked for in its table."""
        return Problem(self.file, self._places.get(path[:-1] if missing else path), path, said)

    @cached_property
    def _places(self) -> dict[KeyPath, Lines]:
        return find_places(self.text)


def _line(problem: Problem) -> int:
    return 0 if problem.lines is None else problem.lines.first


def _where(path: KeyPath) -> str:
    """The table in its brackets, then the key in it."""
    match path:
        case ("tenants", str(slug), "admins", int(position), *rest):
            table = f"[[{dotted(('tenants', slug, 'admins'))}]] number {position + 1}"
        case ("tenants", str(slug), "overrides", str(key), *rest):
            table = f"[{dotted(('tenants', slug, 'overrides', key))}]"
        case ("tenants", str(slug), "roles", *rest):
            table = f"[{dotted(('tenants', slug, 'roles'))}]"
        case ("billing", "prices", *rest):
            table = "[billing.prices]"
        case ("plans" | "tenants" as top, str(name), *rest):
            table = f"[{dotted((top, name))}]"
        case _:
            return dotted(path)
    return f"{table} {dotted(tuple(rest))}" if rest else table
