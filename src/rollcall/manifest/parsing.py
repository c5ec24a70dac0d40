"""Reading ``tenants.toml``: from text to tables, or to all that is wrong with it."""

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rollcall.directory.rules import RoleDefinition, RoleRule
from rollcall.manifest.model import (
    AdminTable,
    BillingTable,
    Contents,
    LapseTable,
    Manifest,
    OverrideTable,
    PlanTable,
    PriceTable,
    TenantTable,
)
from rollcall.manifest.places import KeyPath, Lines
from rollcall.manifest.problems import ManifestInvalid, Problem, Source
from rollcall.scim.name_keys import name_key
from rollcall.tenancy import overrides

__all__ = ["Manifest", "ManifestInvalid", "admin_problems", "first_admin_role", "parse_manifest", "read_manifest"]

_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SECRET = re.compile(r"secret|passw|token|api_?key|bearer|credential", re.IGNORECASE)
_TABLES: dict[tuple[str, ...], type[BaseModel]] = {
    (): Contents,
    ("billing",): BillingTable,
    ("billing", "prices", "*"): PriceTable,
    ("plans", "*"): PlanTable,
    ("plans", "*", "lapse"): LapseTable,
    ("tenants", "*"): TenantTable,
    ("tenants", "*", "admins", "*"): AdminTable,
    ("tenants", "*", "overrides", "*"): OverrideTable,
    ("tenants", "*", "roles"): RoleRule,
    ("tenants", "*", "roles", "roles", "*"): RoleDefinition,
}
_IN_WORDS = {
    "missing": "is missing",
    "string_type": "should be a text in quotes",
    "string_too_short": "must not be empty",
    "int_type": "should be a whole number",
    "bool_type": "should be true or false",
    "tuple_type": "should be a list in brackets",
    "frozen_set_type": "should be a list in brackets",
    "dict_type": "should be a table",
    "model_type": "should be a table",
}


def read_manifest(path: Path) -> Manifest:
    """Read the file at *path*.

    Raises:
        ManifestInvalid: it can't be read, or something in it is wrong; every problem is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        problem = Problem(path.name, None, (), f"is not UTF-8 text (byte {error.start + 1} can't be read)")
        raise ManifestInvalid([problem]) from error
    except OSError as error:
        problem = Problem(str(path), None, (), f"can't be read: {error.strerror or error}")
        raise ManifestInvalid([problem]) from error
    return parse_manifest(text, file=path.name)


def parse_manifest(text: str, *, file: str = "tenants.toml") -> Manifest:
    """Read a manifest from *text*; *file* is what problems call it.

    Raises:
        ManifestInvalid: something in it is wrong; every problem is named.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestInvalid([_syntax_problem(file, str(error))]) from error
    source = Source(file, text)
    try:
        contents = Contents.model_validate(tables)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ManifestInvalid([_problem(source, details) for details in found]) from error
    manifest = Manifest(contents.plans, contents.tenants, source, contents.billing.prices)
    problems = [problem for slug in manifest.tenants for problem in _tenant_problems(manifest, slug)]
    for key in ("external_id", "customer"):
        problems += _doubled_ids(manifest, key)
    if problems:
        raise ManifestInvalid(problems)
    return manifest


def first_admin_role(rule: RoleRule) -> str:
    """The admin role of somebody for whom the file names none."""
    return next(name for name, role in rule.roles.items() if role.admin)


def admin_problems(manifest: Manifest, slug: str, rule: RoleRule) -> Iterator[Problem]:
    """The admins of a tenant whose role is no admin role by the tenant's *rule*."""
    for position, admin in enumerate(manifest.tenants[slug].admins):
        if admin.role is None or admin.role in rule.admin_roles:
            continue
        known = ", ".join(name for name, role in rule.roles.items() if role.admin)
        wrong = "is no admin role" if admin.role in rule.roles else "is no role"
        path = ("tenants", slug, "admins", position, "role")
        yield manifest.source.problem(path, f'"{admin.role}" {wrong} of this tenant; its admin roles are: {known}')


def _tenant_problems(manifest: Manifest, slug: str) -> Iterator[Problem]:
    """What is wrong with a tenant beyond the shape of its tables, as far as the file alone tells."""
    table = manifest.tenants[slug]
    if table.roles is not None:
        yield from admin_problems(manifest, slug, table.roles)
    for key, override in (table.overrides or {}).items():
        found = overrides.fault(key, override.value, override.reason, override.ends_at)
        if found is not None:
            part, said = found
            path = ("tenants", slug, "overrides", key) if part == "key" else ("tenants", slug, "overrides", key, part)
            yield manifest.source.problem(path, said, missing=part == "ends_at" and override.ends_at is None)
    names: dict[str, int] = {}
    ids: dict[str, int] = {}
    for position, admin in enumerate(table.admins):
        first = names.setdefault(name_key(admin.user_name), position)
        if first != position:
            path = ("tenants", slug, "admins", position, "user_name")
            said = f'"{admin.user_name}" is admin number {first + 1} already; case makes no difference'
            yield manifest.source.problem(path, said)
        if table.deputy and name_key(table.deputy) == name_key(admin.user_name):
            said = f'"{table.deputy}" is an admin in this file; the deputy is somebody who is none'
            yield manifest.source.problem(("tenants", slug, "deputy"), said)
        if admin.external_id is not None and ids.setdefault(admin.external_id, position) != position:
            path = ("tenants", slug, "admins", position, "external_id")
            said = f'"{admin.external_id}" is the external_id of admin number {ids[admin.external_id] + 1} already'
            yield manifest.source.problem(path, said)


def _doubled_ids(manifest: Manifest, key: str) -> Iterator[Problem]:
    """Tenants for whom a key says what it says for another one."""
    owners: dict[str, str] = {}
    for slug, table in manifest.tenants.items():
        own: str | None = getattr(table, key)
        if own is not None and (first := owners.setdefault(own, slug)) != slug:
            yield manifest.source.problem(("tenants", slug, key), f'"{own}" is the {key} of {first} already')


def _syntax_problem(file: str, said: str) -> Problem:
    place = _SYNTAX_PLACE.search(said)
    if place is None or place[1] is None:
        return Problem(file, None, (), said)
    line = int(place[1])
    return Problem(file, Lines(line, line), (), f"{said[: place.start()]} (column {place[2]})")


def _problem(source: Source, details: ErrorDetails) -> Problem:
    path: KeyPath = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] == "extra_forbidden":
        return source.problem(path, _unknown(path))
    return source.problem(path, _in_words(details), missing=details["type"] == "missing")


def _in_words(details: ErrorDetails) -> str:
    context: dict[str, Any] = details.get("ctx", {})
    if isinstance(cause := context.get("error"), ValueError):
        return str(cause)
    if details["type"] == "literal_error":
        return f"should be {str(context['expected']).replace(chr(39), chr(34))}"
    return _IN_WORDS.get(details["type"]) or details["msg"].replace("Input should", "should")


def _unknown(path: KeyPath) -> str:
    """What to say of a key that nobody knows. Its value is not repeated; it may be a secret."""
    name = str(path[-1])
    table = _table_at(path[:-1])
    known = [] if table is None else list(table.model_fields)
    if near := get_close_matches(name, known, n=1):
        return f'there is no such key; did you mean "{near[0]}"?'
    if _SECRET.search(name):
        return "there is no such key, and no secret belongs in this file; tokens are issued by rollcall tokens issue"
    return f"there is no such key; the keys here are {', '.join(known)}" if known else "there is no such key"


def _table_at(path: KeyPath) -> type[BaseModel] | None:
    """Which table stands at *path*."""
    for pattern, table in _TABLES.items():
        if len(pattern) == len(path) and all(name in ("*", part) for name, part in zip(pattern, path, strict=True)):
            return table
    return None
