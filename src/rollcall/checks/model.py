"""What a question about the installation comes to: its state, what is so, and what to do if that is not well."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How well something is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody has to do something about it."""
    FAILED = "failed"
    """Something does not work, or is not safe."""
    UNKNOWN = "unknown"
    """It can't be told, because something else is not well."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question, answered."""

    name: str
    """A word for programs; it stays the same whatever was found."""
    state: State
    said: str
    """What is so, in a sentence, with figures; for operators, not for strangers."""
    remedy: str | None = None
    """What to do about it; None where nothing has to be done."""


def ok(name: str, said: str) -> Check:
    """All is well."""
    return Check(name, State.OK, said)


def warning(name: str, said: str, remedy: str) -> Check:
    """Somebody has to do something."""
    return Check(name, State.WARNING, said, remedy)


def failed(name: str, said: str, remedy: str) -> Check:
    """Something does not work."""
    return Check(name, State.FAILED, said, remedy)


def unknown(name: str, said: str) -> Check:
    """It can't be told until something else is well."""
    return Check(name, State.UNKNOWN, said)


FAILED = 1
TO_DO = 3
"""Exit codes of commands that answer questions; 2 means, as with every command, that it was called wrongly."""


def exit_code(checks: Iterable[Check]) -> int:
    """The worst decides: 1 if anything failed, 3 if there is anything to do or to find out, 0 if all is well."""
    states = {check.state for check in checks}
    if State.FAILED in states:
        return FAILED
    return TO_DO if states - {State.OK} else 0
