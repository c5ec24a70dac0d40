"""``rollcall config``: the settings that are in force, where each comes from, and what is wrong; no secret is shown."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
from pydantic import SecretStr

from rollcall.environment import is_secret
from rollcall.settings import PREFIX, Settings, SettingsRead, examine_environment

MASK = "***"

DEFAULT = "default"
"""The source of a setting that nobody set."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting as it may be shown to anybody."""

    name: str
    value: object
    """What is in force, secrets masked; None where nothing is set."""
    source: str
    said: str
    """What it changes for an operator."""
    problem: str | None
    """What is wrong with it and what to do, if anything."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def config(as_json: bool) -> None:
    """Print the settings in force and where each comes from, secrets masked; it needs no database.

    The exit code is 1 if one of them is missing or malformed.
    """
    reading = examine_environment()
    shown = show(reading)
    if as_json:
        facts = {"settings": [asdict(each) for each in shown], "unknown": [asdict(each) for each in reading.unknown]}
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(shown)
        for stranger in reading.unknown:
            click.secho(str(stranger), fg="yellow", err=True)
    sys.exit(1 if reading.problems else 0)


def show(reading: SettingsRead) -> list[Shown]:
    """Each setting, whether or not all of them are well."""
    problems = {each.variable.removesuffix("_FILE"): each.said for each in reading.problems}
    return [
        Shown(
            name=(variable := f"{PREFIX}{name.upper()}"),
            value=_value(reading, name),
            source=reading.found[name].source if name in reading.found else DEFAULT,
            said=described(name),
            problem=problems.get(variable),
        )
        for name in Settings.model_fields
    ]


def described(name: str) -> str:
    """What a setting changes, in a sentence for a terminal."""
    said = Settings.model_fields[name].description or ""
    return " ".join(said.split()).replace("``", "'")


def _value(reading: SettingsRead, name: str) -> object:
    field = Settings.model_fields[name]
    if reading.settings is not None:
        return _masked(getattr(reading.settings, name))
    if name not in reading.found:
        return None if field.is_required() else _masked(field.default)
    return MASK if is_secret(field) else reading.found[name].text


def _masked(value: object) -> object:
    match value:
        case SecretStr():
            return masked_address(value.get_secret_value())
        case tuple():
            return [_masked(each) for each in cast("tuple[object, ...]", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def masked_address(text: str) -> str:
    """An address without its password, and without what its query says but for how TLS is used; a key not at all."""
    parts = urlsplit(text)
    if not parts.netloc:
        return MASK
    user, at, place = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    query = [(key, value if key in ("sslmode", "db") else MASK) for key, value in parse_qsl(parts.query)]
    masked = f"{name}{colon}{MASK if colon else ''}{at}{place}"
    return parts._replace(netloc=masked, query=urlencode(query, safe="*"), fragment="").geturl()


def _print(shown: list[Shown]) -> None:
    for each in shown:
        click.secho(f"{each.name} = {_word(each.value)}", bold=True, nl=False)
        click.echo(f"  ({each.source})")
        click.echo(f"    {each.said}")
        if each.problem:
            click.secho(f"    It {each.problem}", fg="red")


def _word(value: object) -> str:
    match value:
        case None | [] | "":
            return "not set"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(str, cast("list[object]", value)))
        case _:
            return str(value)
