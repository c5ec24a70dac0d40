"""Which entries somebody means who removes them, or writes to some of them, whatever they were stored as.

Providers say more of an entry than was stored, or say it otherwise. An entry that is to go has to go: whoever is
answered with a success relies on it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from scim2_models import Path
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    ValuePath,
)

from rollcall.scim.attributes import Attribute
from rollcall.scim.errors import NoTarget, shown
from rollcall.scim.merging import comparable
from rollcall.scim.name_keys import name_key, unstripped
from rollcall.scim.resources import User, key
from rollcall.scim.role_names import Spelling, meant, names_of
from rollcall.scim.values import Reading

Wanted = Mapping[str, object]

_PARTS: Final[Mapping[CompareOperator, Callable[[str, str], bool]]] = {
    CompareOperator.sw: str.startswith,
    CompareOperator.co: str.__contains__,
    CompareOperator.ew: str.endswith,
}


@dataclass(frozen=True, slots=True)
class Selecting:
    """On whom entries are selected: *user* has roles as `role_view` shows them."""

    user: User
    spelling: Spelling | None
    """How the tenant's role rule reads a name, if that is known."""
    reading: Reading

    @property
    def role_names(self) -> list[str]:
        return [str(role.value) for role in self.user.roles or [] if role.value]

    def held(self, wanted: Sequence[str]) -> set[str]:
        """The names of the person's roles that *wanted* mean."""
        return meant(self.role_names, wanted, self.spelling)

    def has_part(self, name: str, operation: CompareOperator, part: str) -> bool:
        """Whether a role's name begins with *part*, contains it or ends so, by its key, if the rule reads it so."""
        own, wanted = name_key(name), unstripped(part)
        by_key = self.spelling is None or self.spelling(name) == self.spelling(own)
        return by_key and bool(name_key(part)) and _PARTS[operation](own, wanted)


def remove_listed(selecting: Selecting, attribute: Attribute, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Remove the entries that a removal lists; returns those of *wanted* that have no value, to be found by the rest.

    A role goes by its name alone. Of several entries with one value that of the same type goes; a type that tells
    nothing apart doesn't keep an entry.
    """
    if attribute.name == "roles":
        named = [name for entry in wanted for name in names_of(entry)]
        _keep_roles(selecting.user, without=selecting.held(named))
        return [entry for entry in wanted if not names_of(entry)]
    if not attribute.has_value or attribute.parts["value"].binary:
        return [*wanted]
    entries = cast("list[Any]", getattr(selecting.user, _field(attribute)) or [])
    gone: set[int] = set()
    for entry in wanted:
        if entry.get("value"):
            gone.update(id(each) for each in _with_value(attribute, entries, entry))
    if gone:
        setattr(selecting.user, _field(attribute), [each for each in entries if id(each) not in gone] or None)
    return [entry for entry in wanted if not entry.get("value")]


def remove_roles(selecting: Selecting, path: Path[User]) -> None:
    """Remove the roles that a filter selects, and those that it names: whoever names a role takes it away.

    Raises:
        NoTarget: the filter selects nobody's role but names one that the person has, and the tenant takes the
            standard to the letter.
    """
    assert path.value_filter is not None
    selected = _selected(respelled(selecting, path), selecting.user)
    names = selecting.held([*_named(path.value_filter, "value")])
    if not selected and not names:
        names = selecting.held([*_named(path.value_filter, "display")])
    if names and not selected and selecting.reading.strict:
        raise NoTarget(
            path=str(path),
            detail=f"{shown(str(path))}: it selects no role, but the person has one of this name; select it by value",
        )
    _keep_roles(selecting.user, without=names, but=selected)


def respelled(selecting: Selecting, path: Path[User]) -> Path[User]:
    """*path* with the names of roles that its filter compares as the person's roles spell them."""
    tree = path.ast
    if path.attr.partition(".")[0].lower() != "roles" or not isinstance(tree, ValuePath):
        return path
    return Path[User](str(replace(tree, val_filter=_respelled(selecting, tree.val_filter))))


def _respelled(selecting: Selecting, node: FilterNode) -> FilterNode:
    match node:
        case LogicalExpr(op=op, terms=terms):
            return LogicalExpr(op, tuple(_respelled(selecting, term) for term in terms))
        case Not(expr=expr):
            return Not(_respelled(selecting, expr))
        case Comparison(attr_path=attr_path, op=CompareOperator.eq | CompareOperator.ne, value=str(text)):
            held = sorted(selecting.held(names_of({"value": text}))) if _is(attr_path, "value") else []
            return _any_of(node, held) if held else node
        case Comparison(attr_path=attr_path, op=op, value=str(text)) if op in _PARTS and _is(attr_path, "value"):
            names = (name for name in selecting.role_names if selecting.has_part(name, op, text))
            terms = (Comparison(attr_path, CompareOperator.eq, name) for name in dict.fromkeys(names))
            return node if not (also := tuple(terms)) else LogicalExpr(LogicalOperator.or_, (node, *also))
        case _:
            return node


def _any_of(node: Comparison, names: Sequence[str]) -> FilterNode:
    terms = tuple(Comparison(node.attr_path, CompareOperator.eq, name) for name in names)
    any_of = terms[0] if len(terms) == 1 else LogicalExpr(LogicalOperator.or_, terms)
    return any_of if node.op is CompareOperator.eq else Not(any_of)


def _named(node: FilterNode, part: str) -> Iterator[str]:
    """The names that a filter compares *part* with, where it wants them."""
    match node:
        case LogicalExpr(terms=terms):
            for term in terms:
                yield from _named(term, part)
        case Comparison(attr_path=attr_path, op=CompareOperator.eq, value=str(text)) if _is(attr_path, part):
            yield from names_of({"value": text})
        case _:
            return


def _is(path: AttrPath, part: str) -> bool:
    return str(path).lower() == part


def _selected(path: Path[User], user: User) -> list[Any]:
    tree = cast("ValuePath", path.ast)
    found = Path[User](str(replace(tree, sub_attr=None))).get(user)
    return cast("list[Any]", found or [])


def _keep_roles(user: User, *, without: set[str], but: Sequence[object] = ()) -> None:
    gone = set(map(id, but))
    if user.roles:
        user.roles = [role for role in user.roles if id(role) not in gone and role.value not in without] or None


def _with_value(attribute: Attribute, entries: Sequence[Any], wanted: Wanted) -> list[Any]:
    """The entries with the value of *wanted*: those of its type if there are any, or else all."""
    part = attribute.parts["value"]
    value = comparable(part, str(wanted["value"]))
    same = [entry for entry in entries if entry.value and comparable(part, str(entry.value)) == value]
    kind = wanted.get("type")
    typed = [entry for entry in same if entry.type and key(str(entry.type)) == key(str(kind))] if kind else []
    return typed or same


def _field(attribute: Attribute) -> str:
    return next(
        name for name, field in User.model_fields.items() if (field.serialization_alias or name) == attribute.name
    )
