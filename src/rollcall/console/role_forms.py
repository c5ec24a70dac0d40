"""The form of the role rule: what its fields hold, how a rule fills them, and the rule that somebody has entered."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollcall.console.words import domain, mark
from rollcall.directory import roles
from rollcall.directory.rules import ROLE_KEY, RoleRule
from rollcall.errors import Invalid

MOST_ROLES = 100
LARGEST_FORM = 524_288
"""Bytes: a rule may have a hundred roles with two hundred names each."""

SOURCES = {
    "groups": mark("Names of groups that your provider pushes"),
    "roles": mark("The attribute roles of a person"),
    "claim": mark("The groups claim at sign-in"),
}
CONFLICTS = {
    "reject": mark("Refuse the change and open a case"),
    "hold": mark("Take the change, keep the role they had, and open a case"),
}
ON_CONFLICT = {
    "reject": mark("If one person\u2019s names contradict each other: refuse the change and open a case."),
    "hold": mark(
        "If one person\u2019s names contradict each other: take the change, keep the role they had, and open a case."
    ),
}
"""The same in a sentence."""


@dataclass(frozen=True, slots=True)
class RoleLine:
    """One role as the form has it; *key* is empty for one that is to be added."""

    key: str
    label: str
    admin: bool
    names: str
    """One a line."""
    aliases: str
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class RuleForm:
    """All fields, as they were filled in."""

    prefix: str
    default: str
    on_conflict: str
    sources: Sequence[str]
    comparison: int | None
    lines: Sequence[RoleLine]
    wrong: Mapping[str, str]
    """What is wrong with a field, by its name; under "" what is wrong with the whole."""


def filled(rule: RoleRule) -> RuleForm:
    """The form as *rule* fills it, with room for one more role."""
    lines = [
        RoleLine(key, role.label, role.admin, "\n".join(role.names), "\n".join(role.aliases))
        for key, role in rule.roles.items()
    ]
    spare = [RoleLine("", "", admin=False, names="", aliases="")] if len(lines) < MOST_ROLES else []
    return RuleForm(
        rule.prefix or "",
        rule.default,
        rule.on_conflict,
        sorted(rule.sources),
        rule.comparison,
        [*lines, *spare],
        {},
    )


def entered(fields: Mapping[str, Any], sources: Sequence[str], present: RoleRule) -> RuleForm:
    """The form as somebody has sent it; a role whose box “Remove” is ticked is left out, and so is an empty new one."""
    number = str(fields.get("lines", "0"))
    places = min(int(number), MOST_ROLES + 1) if re.fullmatch("[0-9]{1,9}", number) else 0
    lines: list[RoleLine] = []
    for place in range(places):
        line = RoleLine(
            key=_text(fields, f"key-{place}"),
            label=_text(fields, f"label-{place}"),
            admin=f"admin-{place}" in fields,
            names=_text(fields, f"names-{place}"),
            aliases=_text(fields, f"aliases-{place}"),
        )
        if f"remove-{place}" not in fields and (line.key or line.label):
            lines.append(line)
    chosen = [each for each in sources if each in SOURCES]
    return RuleForm(
        _text(fields, "prefix"),
        _text(fields, "default"),
        _text(fields, "conflict"),
        chosen,
        present.comparison,
        lines,
        {},
    )


def rule_in(form: RuleForm) -> RoleRule:
    """The rule that the form says.

    Raises:
        Invalid: it can't be one; `param` names the place.
    """
    found: dict[str, Any] = {}
    for line in form.lines:
        key = line.key or _new_key(line.label, found)
        found[key] = {
            "label": line.label,
            "admin": line.admin,
            "names": _lines(line.names),
            "aliases": _lines(line.aliases),
        }
    given: dict[str, Any] = {
        "prefix": form.prefix or None,
        "roles": found,
        "default": form.default,
        "sources": list(form.sources),
        "on_conflict": form.on_conflict if form.on_conflict in CONFLICTS else "reject",
    }
    return roles.read_rule(given | ({} if form.comparison is None else {"comparison": form.comparison}))


def with_fault(form: RuleForm, fault: Invalid) -> RuleForm:
    """The same form, which says what is wrong where it is wrong, and has room for one more role again."""
    place = (fault.param or "").split(".")
    said = fault.detail.partition("; ")[0].removeprefix(f"{fault.param}: ")
    wrong = {place[0] if place[0] in ("prefix", "default", "sources") else "": domain(said)}
    lines = [
        RoleLine(each.key, each.label, each.admin, each.names, each.aliases, _at(each, place, said))
        for each in form.lines
    ]
    spare = [RoleLine("", "", admin=False, names="", aliases="")]
    return RuleForm(form.prefix, form.default, form.on_conflict, form.sources, form.comparison, [*lines, *spare], wrong)


def carried(rule: RoleRule) -> str:
    """A rule as a page hands it on to the next one."""
    return rule.model_dump_json()


def handed_on(text: str) -> RoleRule:
    """A rule that a page has handed on.

    Raises:
        Invalid: it is none.
    """
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):  # brackets within brackets, thousands deep
        given = None
    if not isinstance(given, dict):
        msg = "The form holds no rule any more; open the page again."
        raise Invalid(msg, param="rule")
    return roles.read_rule(given)  # pyright: ignore[reportUnknownArgumentType]  # read strictly there


def _at(line: RoleLine, place: Sequence[str], said: str) -> str:
    key = line.key or _new_key(line.label, {})
    return domain(said) if len(place) > 1 and place[0] == "roles" and place[1] == key else ""


def _new_key(label: str, taken: Mapping[str, Any]) -> str:
    """A key for a new role, made of what it is called."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain).strip("-").lstrip("0123456789-")[:50] or "role"
    number = 1
    while (made := key if number == 1 else f"{key}-{number}") in taken:
        number += 1
    return made if ROLE_KEY.fullmatch(made) else "role"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value: object = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""
