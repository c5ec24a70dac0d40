"""Reading settings from environment variables: from files too, in our own words, with a guess at what was misspelt.

Nothing here knows which settings there are; a frozen pydantic model says that.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

ENVIRONMENT = "environment"
"""The source of what a variable says itself; of what a file says it is the file's path."""

LARGEST_FILE = 65_536
"""Bytes of a file that may hold a secret."""

LONGEST_QUOTE = 80
"""Characters of a wrong value that are repeated."""


@dataclass(frozen=True, slots=True)
class Found:
    """The text of a setting, and where it stood."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a variable and what to do about it; no secret is in it."""

    variable: str
    said: str

    def __str__(self) -> str:
        return f"{self.variable} {self.said}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A variable that looks like one of ours and is none, and the one that may have been meant."""

    variable: str
    meant: str | None

    def __str__(self) -> str:
        guess = f"; did you mean {self.meant}?" if self.meant else ""
        return f"{self.variable} is no setting of Rollcall and changes nothing{guess}"


class SettingsInvalid(Exception):
    """Settings are missing or malformed; all of them are named, with what to do about each."""

    def __init__(self, problems: Sequence[Problem], unknown: Sequence[Unknown] = ()) -> None:
        super().__init__("\n".join([*map(str, problems), *map(str, unknown)]))
        self.problems = problems


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret, or several: its value is shown to nobody, and may come from a file."""
    return _holds_secret(field.annotation)


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def collect(
    model: type[BaseModel], prefix: str, environ: Mapping[str, str]
) -> tuple[Mapping[str, Found], Sequence[Problem]]:
    """What the environment says of each field of *model*, and what of it can't be read.

    A variable that is empty counts as not set, as Compose writes those that nobody filled in.
    """
    found: dict[str, Found] = {}
    problems: list[Problem] = []
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        text = environ.get(variable, "").strip()
        file = environ.get(f"{variable}_FILE", "").strip() if is_secret(field) else ""
        if text and file:
            problems.append(Problem(variable, f"and {variable}_FILE are both set: unset one of them."))
        elif text:
            found[name] = Found(text, ENVIRONMENT)
        elif file:
            try:
                found[name] = Found(_text_of(Path(file)), file)
            except ValueError as error:
                problems.append(Problem(f"{variable}_FILE", f"names {_quoted(file)}, {error}"))
    return found, problems


def _text_of(file: Path) -> str:
    """What *file* says, without the white space around it.

    Raises:
        ValueError: it can't be read, or says nothing; the message goes on after the file's name.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
        text = raw.decode()
    except OSError as error:
        msg = f"which can't be read ({error.strerror}): see that it exists and that this account may read it."
        raise ValueError(msg) from None
    except UnicodeDecodeError:
        msg = "which is no text in UTF-8: put the secret into it as plain text."
        raise ValueError(msg) from None
    if len(raw) > LARGEST_FILE:
        msg = f"which is longer than {LARGEST_FILE} bytes: name a file with the secret and nothing else."
        raise ValueError(msg)
    if not text.strip():
        msg = "which is empty: put the secret into it."
        raise ValueError(msg)
    return text.strip()


def unknown(model: type[BaseModel], prefix: str, environ: Iterable[str], known: Iterable[str]) -> Sequence[Unknown]:
    """The variables with our prefix that mean nothing to us; *known* ones are others' and no mistake."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        names += [variable, f"{variable}_FILE"] if is_secret(field) else [variable]
    strangers = sorted({each for each in environ if each.upper().startswith(prefix)} - {*names, *known})
    return [
        Unknown(each, next(iter(difflib.get_close_matches(each.upper(), names, 1, 0.8)), None)) for each in strangers
    ]


def explain(error: ValidationError, model: type[BaseModel], prefix: str, found: Mapping[str, Found]) -> list[Problem]:
    """What pydantic found wrong, one sentence for each field, in our words."""
    problems: dict[str, Problem] = {}
    for each in error.errors():
        name = str(each["loc"][0])
        field = model.model_fields[name]
        variable = f"{prefix}{name.upper()}"
        there = found.get(name)
        if there is not None and there.source != ENVIRONMENT:
            variable += "_FILE"
        problems.setdefault(name, Problem(variable, _said(each, variable, field, there)))
    return [*problems.values()]


def _said(error: ErrorDetails, variable: str, field: FieldInfo, found: Found | None) -> str:
    secret = is_secret(field)
    if error["type"] == "missing":
        other = f"; or set {variable}_FILE to a file that holds it" if secret else ""
        return f"is not set: set it to {wanted(field)}{other}."
    quoted = "" if secret or found is None else f"; {_quoted(found.text)} is not"
    if error["type"] == "value_error":
        said = str(error.get("ctx", {}).get("error"))
        return f"{said}{quoted if said.startswith('must') else ''}."
    return f"must be {wanted(field)}{quoted}."


def wanted(field: FieldInfo) -> str:
    """What a field takes, as words that go on after "must be"."""
    if field.title:
        return field.title
    kind = _plain(field.annotation)
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        noun = "a whole number" if kind is int else "a number"
        return " ".join([noun, *_bounds(field)])
    return "a text that is not empty"


def _bounds(field: FieldInfo) -> Iterable[str]:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}
    for limit in field.metadata:
        for name, word in words.items():
            if (bound := getattr(limit, name, None)) is not None:
                yield f"{word} {bound:g}"


def _plain(annotation: Any) -> Any:
    """The type itself, of one that may be None too."""
    if get_origin(annotation) in (Union, UnionType):
        return next(part for part in get_args(annotation) if part is not NoneType)
    return annotation


def _quoted(text: str) -> str:
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return f"“{shown[:LONGEST_QUOTE]}…”" if len(shown) > LONGEST_QUOTE else f"“{shown}”"
