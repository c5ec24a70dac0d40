"""A tenant's role rule: which names from its identity provider mean which of the product's roles."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_serializer,
    model_validator,
)

from rollcall.scim.name_keys import name_key, without_case

Source = Literal["roles", "groups", "claim"]
NameKind = Literal["role", "ungrantable", "ignored"]
Fold = Callable[[str], str]
"""Makes one text of all spellings of a name."""

GROUP = "group "
ROLE_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")

# A refusal's detail travels in an HTTP body and a conflict case, and the provider chooses how much it sends.
LONGEST_QUOTE = 100
MOST_QUOTES = 5
MOST_ROLES = 10


def _clean(text: str) -> str:
    """Refuse what nobody can see in a form: white space at the ends, control characters."""
    if text != text.strip():
        raise ValueError(f'"{text}" begins or ends with white space')
    if any(category(character) == "Cc" for character in text):
        raise ValueError(f"{text!r} contains a control character")
    return text


def _whole_number(value: object) -> object:
    """Refuse what only equals a number, as true does 1."""
    if value is not None and type(value) is not int:
        raise ValueError("it is 1 or 2")
    return value


def _role_key(key: str) -> str:
    if not ROLE_KEY.fullmatch(key):
        raise ValueError(
            f'"{key}" can\'t be the key of a role: use at most 63 lower-case letters, digits, - and _, '
            "beginning with a letter"
        )
    return key


def _prefix(prefix: str) -> str:
    if len(_hyphenated(prefix)) < 2 or not any(character.isalnum() for character in prefix):
        raise ValueError(
            f'the prefix "{prefix}" would match too much: use at least two characters, one of them a letter '
            "or digit, or no prefix at all if only exact names (aliases) count"
        )
    return prefix


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_clean)]
NameOrNothing = Annotated[str, StringConstraints(max_length=200), AfterValidator(_clean)]
Names = Annotated[tuple[Name, ...], Field(max_length=100)]
RoleKey = Annotated[str, AfterValidator(_role_key)]
Comparison = Annotated[Literal[1, 2], BeforeValidator(_whole_number)]
Prefix = Annotated[str, StringConstraints(max_length=100), AfterValidator(_clean), AfterValidator(_prefix)]


class RoleDefinition(BaseModel):
    """One role of the product, and the names by which the provider may call it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Name
    admin: StrictBool = False
    names: Names = ()
    """What follows the prefix, in any case, with ``-`` or ``_``, with or without a plural ``s``."""
    aliases: Names = ()
    """Whole names that count whatever the prefix; only case may differ."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A name the provider sent for a person, and where: ``roles``, ``claim`` or ``group <display name>``."""

    name: str
    source: str

    def __post_init__(self) -> None:
        if self.source not in {"roles", "claim"} and not self.source.startswith(GROUP):
            raise ValueError(f'"{self.source}" is no source; write "roles", "claim" or "{GROUP}<name>"')

    @classmethod
    def in_group(cls, display_name: str) -> Self:
        """A membership, which says the group's own name."""
        return cls(display_name, GROUP + display_name)


@dataclass(frozen=True, slots=True)
class ReadName:
    """How one name was read. *spelling* is what all spellings of the name have in common."""

    name: str
    source: str
    role: str | None
    kind: NameKind
    spelling: str

    def __str__(self) -> str:
        """The name with its place, fit for a sentence: ``dart-admins in roles``."""
        if not self.source.startswith(GROUP):
            return f"{_short(self.name)} in {'the groups claim' if self.source == 'claim' else self.source}"
        group = self.source.removeprefix(GROUP)
        place = f'group "{_short(group)}"'
        return place if group == self.name else f"{_short(self.name)} in {place}"


@dataclass(frozen=True, slots=True)
class Reading:
    """All names of one person as a rule reads them.

    Everything but the order of *names* is the same in whichever order the provider sent them.
    """

    names: tuple[ReadName, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """The different roles named, in alphabetical order."""
        return tuple(sorted({name.role for name in self.names if name.role is not None}))

    @property
    def ungrantable(self) -> tuple[str, ...]:
        """The different prefixed names that no role has, by spelling, in alphabetical order."""
        return tuple(sorted({name.spelling for name in self.names if name.kind == "ungrantable"}))

    @property
    def unknown(self) -> tuple[ReadName, ...]:
        """The names that begin like a role's and are none, where nothing contradicts them: so the default applies."""
        return () if self.conflict else tuple(name for name in self.names if name.kind == "ungrantable")

    @property
    def managed(self) -> bool:
        """Whether the provider said anything that counts."""
        return any(name.kind != "ignored" for name in self.names)

    @property
    def conflict(self) -> bool:
        """Whether the names contradict each other.

        A prefixed name that no role has counts like a role here, so two different ones are a conflict too.
        """
        return len(self.roles) + len(self.ungrantable) > 1

    @property
    def role(self) -> str | None:
        """The one role named; none when there is a conflict or nothing valid."""
        return self.roles[0] if self.roles and not self.conflict else None

    def describe(self) -> str:
        """What the provider said, for a refusal's detail: the roles, and where each comes from.

        Its length is bounded whatever was sent.
        """
        parts = list(self._parts())
        if not parts:
            return "no role"
        if self.conflict:
            return f"more than one role: {_listed(parts, MOST_ROLES)}"
        return f"{'one role' if self.roles else 'no valid role'}: {parts[0]}"

    def _parts(self) -> Iterator[str]:
        quotes: dict[tuple[NameKind, str], set[str]] = {}
        for name in self.names:
            quotes.setdefault((name.kind, name.role or name.spelling), set()).add(str(name))
        for role in self.roles:
            yield f'"{role}" ({_listed(sorted(quotes["role", role]), MOST_QUOTES, last=", ")})'
        for spelling in self.ungrantable:
            quoted = _listed(sorted(quotes["ungrantable", spelling]), MOST_QUOTES)
            yield f"{quoted}, which is not a role here"


class RoleRule(BaseModel):
    """The names that mean a role in one tenant, and what happens when they contradict each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: Prefix | None = None
    """Names that begin so count. Without one only aliases do."""
    roles: Annotated[dict[RoleKey, RoleDefinition], Field(min_length=1, max_length=100)]
    default: str
    """The role of a person for whom nobody names a valid one."""
    sources: frozenset[Source] = frozenset({"roles", "groups"})
    """Where names are looked for. With none, roles are only given by hand."""
    on_conflict: Literal["reject", "hold"] = "reject"
    comparison: Comparison | None = None
    """By which version of the comparison names are the same. By 2, width and invisible characters make no difference
    either; a tenant from before there was it has 1, until its rule is edited to say 2. A rule that says nothing keeps
    the tenant's, and a new tenant has the newest."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.default not in self.roles:
            known = ", ".join(self.roles)
            raise ValueError(f'the default role "{self.default}" is none of the roles: {known}')
        if not self.admin_roles:
            raise ValueError("no role is an admin role, so nobody could own a token or edit this rule")
        if self.default in self.admin_roles:
            raise ValueError(
                f'the default role "{self.default}" is an admin role, so everybody for whom the provider '
                "names no role would become an admin; choose another default"
            )
        _ = self._table  # refuses names that are ambiguous
        return self

    @field_serializer("sources", when_used="json")
    def _in_order(self, sources: frozenset[Source]) -> list[Source]:
        """Equal rules are stored as equal texts."""
        return sorted(sources)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy is validated like any rule; pydantic's own would keep the old look-up table."""
        if update:
            return self.model_validate({**self.model_dump(), **update})
        return super().model_copy(deep=deep)

    @cached_property
    def admin_roles(self) -> frozenset[str]:
        return frozenset(key for key, role in self.roles.items() if role.admin)

    @cached_property
    def _table(self) -> "_Table":
        return _compiled(self.prefix, self.roles, _folded if self.comparison == 1 else name_key)

    def following(self, before: "RoleRule") -> Self:
        """This rule as it takes the place of *before*: it compares names as that did, unless it says how."""
        return self if self.comparison else self.model_copy(update={"comparison": before.comparison})

    def published_values(self) -> tuple[str, ...]:
        """One name for each role the provider can name, as the tenant wrote it, for ``canonicalValues``."""
        prefix = self.prefix or ""
        spellings = ([*(prefix + name for name in role.names), *role.aliases] for role in self.roles.values())
        return tuple(spelled[0] for spelled in spellings if spelled)

    def reads(self, source: str) -> bool:
        """Whether names seen in *source* can count at all."""
        return ("groups" if source.startswith(GROUP) else source) in self.sources

    def read(self, seen: Iterable[Seen]) -> Reading:
        """Read all names of one person; what the rule does not read is kept, as ignored, for ``explain``."""
        return Reading(tuple(map(self._read_one, seen)))

    def spelling(self, name: str) -> str:
        """What all spellings of a name have in common, whether it is a role's or not."""
        folded = self._table.fold(name)
        stem = self._table.stem(folded)
        return folded if stem is None else f"{self._table.prefix}{stem}"

    def _read_one(self, seen: Seen) -> ReadName:
        folded = self._table.fold(seen.name)
        if not self.reads(seen.source):
            return ReadName(seen.name, seen.source, None, "ignored", folded)
        if role := self._table.exact.get(folded):
            return ReadName(seen.name, seen.source, role, "role", folded)
        stem = self._table.stem(folded)
        if stem is None:
            return ReadName(seen.name, seen.source, None, "ignored", folded)
        role = self._table.stems.get(stem)
        kind = "role" if role else "ungrantable"
        return ReadName(seen.name, seen.source, role, kind, f"{self._table.prefix}{stem}")


@dataclass(frozen=True, slots=True)
class _Table:
    """A rule made ready for look-ups: folded whole names, and stems of what follows the prefix."""

    fold: Fold
    prefix: str | None
    exact: dict[str, str]
    stems: dict[str, str]

    def stem(self, folded: str) -> str | None:
        """What follows the prefix, without a plural s; None where the prefix is missing."""
        if self.prefix is None:
            return None
        hyphenated = folded.replace("_", "-")
        if not hyphenated.startswith(self.prefix):
            return None
        rest = hyphenated[len(self.prefix) :]
        return rest[:-1] if len(rest) > 1 and rest.endswith("s") else rest


def _compiled(prefix: str | None, roles: Mapping[str, RoleDefinition], fold: Fold) -> _Table:
    table = _Table(fold, None if prefix is None else fold(prefix).replace("_", "-"), exact={}, stems={})
    for role, definition in roles.items():
        for name in definition.names:
            _assign(table.stems, _stem_of(table, prefix, name), role, name)
        for alias in definition.aliases:
            _assign(table.exact, fold(alias), role, alias)
    for alias, role in table.exact.items():
        other = table.stems.get(table.stem(alias) or "", role)
        if other != role:
            raise _ambiguous(alias, other, role)
    return table


def _stem_of(table: _Table, prefix: str | None, name: str) -> str:
    if prefix is None or table.prefix is None:
        raise ValueError(f'the name "{name}" needs a prefix; give it as an alias if it is the whole name')
    if not table.prefix[-1].isalnum() and _hyphenated(name).startswith(table.prefix):
        raise ValueError(f'the name "{name}" repeats the prefix "{prefix}"; write only what follows it')
    stem = table.stem(table.fold(prefix + name))
    if not stem:
        raise ValueError(f'the name "{name}" melts into the prefix "{prefix}"; begin it with a letter')
    return stem


def _assign(lookup: dict[str, str], key: str, role: str, written: str) -> None:
    other = lookup.setdefault(key, role)
    if other != role:
        raise _ambiguous(written, other, role)


def _ambiguous(written: str, one: str, other: str) -> ValueError:
    return ValueError(f'the name "{written}" is given to two roles, "{one}" and "{other}"')


def _folded(name: str) -> str:
    """The first version: alike for names that differ in case, in Unicode composition or in white space around them."""
    return without_case(name).strip()


def _hyphenated(name: str) -> str:
    return _folded(name).replace("_", "-")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"


def _listed(parts: list[str], most: int, *, last: str = " and ") -> str:
    if len(parts) > most:
        return f"{', '.join(parts[:most])} and {len(parts) - most} more"
    return last.join(filter(None, (", ".join(parts[:-1]), parts[-1])))
