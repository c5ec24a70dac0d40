"""Reading a filter (RFC 7644 §3.4.2.2): text in, scim2-models' tree out, names and values made standard.

Whoever walks the tree needs no aliases, no case folding of names and no conventions: every path is spelled as
the schema spells it, and a comparison names the sub-attribute that is compared.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final, cast

from scim2_models import ScimFilter
from scim2_models.path import (
    STRING_OPERATORS,
    AttributeBinding,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
    coerce_value,
)

from rollcall.scim.attributes import Attribute
from rollcall.scim.errors import InvalidFilter, UnknownAttribute, shown
from rollcall.scim.reader import unholdable
from rollcall.scim.resources import ENTERPRISE_SCHEMA, USERS, ResourceKind

LONGEST_FILTER: Final = 4_096
DEEPEST_FILTER: Final = 50
MOST_TERMS: Final = 100

ALIASES: Final[Mapping[ResourceKind, Mapping[str, AttrPath]]] = {
    USERS: {"email": AttrPath("emails"), "manager": AttrPath("manager", None, ENTERPRISE_SCHEMA)}
}
"""Names that nobody has and that can mean one thing only.

Okta, told that `email` is the unique identifier, asks for `email eq "…"`; Entra asks for `manager eq "…"` to see
whether a reference is as it left it.
"""


def _unnamed(pattern: re.Pattern[str]) -> str:
    return f"(?:{re.sub(r'[?]P<[a-z]+>', '?:', pattern.pattern)})"


# A string runs to the end when nothing closes it: what always matches never goes back, and takes linear time.
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NAME: Final = "[A-Za-z][A-Za-z0-9$_-]*"
_TERM: Final = re.compile(
    rf"(?P<attr>{_NAME})(?:\.(?P<part>{_NAME}))? (?P<op>(?i:eq|ne|co|sw|ew|gt|ge|lt|le)) "
    r'(?:"(?P<text>[^"\\\x00-\x1f]*)"|(?P<flag>true|false))'
)
_CONJUNCTION: Final = re.compile(rf"\s*{_unnamed(_TERM)}(?: (?i:and) {_unnamed(_TERM)})*\s*")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONNECTIVE: Final = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)


def read_filter(text: str, kind: ResourceKind = USERS) -> FilterNode:
    """The tree of a filter on resources of one kind.

    Paths have the schema's spelling, with a URN only if they lie in an extension. Comparisons on a
    multi-valued attribute are written out on its `value`; booleans and times are Python's.

    Raises:
        InvalidFilter: its syntax is wrong, it names an attribute such a resource doesn't have, compares one
            in a way it can't be, or is larger than any client needs.
    """
    if (wrong := check_size(text)) is not None:
        raise InvalidFilter(filter=text, detail=f"The filter {wrong}")
    try:
        standard = _Standard(kind)
        tree = standard.visit(_parsed(text))
        if not standard.is_judged:
            kind.filter(tree)  # judges operators and values against the schema
    except InvalidFilter as exc:
        raise InvalidFilter(filter=text, detail=f"The filter is not valid: {exc.detail}") from exc
    return tree


def read_filter_among(text: str, kind: ResourceKind, kinds: Collection[ResourceKind]) -> FilterNode | bool:
    """What a filter on resources of several kinds means for those of one.

    An attribute that only others of *kinds* have, has no value here (RFC 7644 §3.4.2.1): whatever is asked of it is
    not so. Where the answer then is the same for every resource, it is that answer.

    Raises:
        InvalidFilter: as `read_filter`, or none of *kinds* has an attribute.
    """
    if (wrong := check_size(text)) is not None:
        raise InvalidFilter(filter=text, detail=f"The filter {wrong}")
    try:
        tree = _Among(kind, kinds).visit(_parsed(text))
        if not isinstance(tree, bool):
            kind.filter(tree)
    except InvalidFilter as exc:
        raise InvalidFilter(filter=text, detail=f"The filter is not valid: {exc.detail}") from exc
    return tree


def read_selection(path: AttrPath, selection: FilterNode, kind: ResourceKind = USERS) -> FilterNode:
    """The filter that a PATCH path has on the entries of *path*, as `read_filter` returns a query's.

    Raises:
        InvalidFilter: for the reasons that a query's filter is refused.
    """
    standard = _Standard(kind).visit(ValuePath(path, selection))
    assert isinstance(standard, ValuePath)
    return standard.val_filter


def resolve(path: AttrPath, kind: ResourceKind = USERS) -> AttributeBinding:
    """Everything the schema says about a path of a tree that `read_filter` returned.

    Inside the brackets of a value selection, put the two paths together first.
    """
    binding = kind.path(str(path)).resolve()
    if binding is None:
        raise _unknown(path, kind)
    return binding


def check_size(text: str) -> str | None:
    """What makes *text* too large to be parsed, or None; it costs the same for any input of its length."""
    if len(text) > LONGEST_FILTER:
        return f"is longer than {LONGEST_FILTER} characters"
    bare = _STRING.sub('""', text)
    if count_terms(bare) > MOST_TERMS:
        return f"has more than {MOST_TERMS} terms"
    level = 0
    for character in bare:
        level += (character in "([") - (character in ")]")
        if level > DEEPEST_FILTER:
            return f"nests deeper than {DEEPEST_FILTER} levels"
    return None


def _parsed(text: str) -> FilterNode:
    """The tree as written. Nearly every filter is a few comparisons that all hold, and needs no grammar."""
    if _CONJUNCTION.fullmatch(text) is None:
        return ScimFilter(text).ast
    terms = tuple(map(_comparison, _TERM.finditer(text)))
    return terms[0] if len(terms) == 1 else LogicalExpr(LogicalOperator.and_, terms)


def _comparison(found: re.Match[str]) -> Comparison:
    value = found["flag"] == "true" if found["text"] is None else found["text"]
    return Comparison(AttrPath(found["attr"], found["part"]), CompareOperator(found["op"].lower()), value)


def count_terms(text: str) -> int:
    """At least as many comparisons as a filter or path has."""
    return len(_CONNECTIVE.findall(_STRING.sub('""', text))) + 1


class _Standard(FilterVisitor[FilterNode]):
    """Rewrites a tree; inside the brackets of a value selection, *within* is the attribute selected from."""

    def __init__(self, kind: ResourceKind, within: AttrPath | None = None) -> None:
        self.kind = kind
        self.within = within
        self.is_judged = True
        """Whether nothing has been met so far that an operator or a value may not fit; `kind.filter` tells."""

    def visit_not(self, node: Not) -> FilterNode:
        return Not(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> FilterNode:
        return LogicalExpr(node.op, tuple(self.visit(term) for term in node.terms))

    def visit_present(self, node: Present) -> FilterNode:
        return Present(self._written(node.attr_path)[0])

    def visit_comparison(self, node: Comparison) -> FilterNode:
        path, attribute = self._written(node.attr_path)
        full = path if self.within is None else AttrPath(self.within.attr, path.attr, self.within.uri)
        if attribute.has_value:
            # RFC 7644 §3.4.2.2's own example: `emails co "example.com"` compares `emails.value`.
            attribute = attribute.parts["value"]
            path = full = AttrPath(path.attr, attribute.name, path.uri)
        elif attribute.parts:
            raise InvalidFilter(detail=f"{path} is complex; compare one of its parts")
        self.is_judged = self.is_judged and _fits(attribute, node)
        return Comparison(path, node.op, _comparable(full, attribute, node, self.kind))

    def visit_value_path(self, node: ValuePath) -> FilterNode:
        path, attribute = self._written(node.attr_path)
        if not attribute.multi_valued or not attribute.parts:
            raise InvalidFilter(detail=f"{path} has no entries to select from")
        self.is_judged = False
        return ValuePath(path, _Standard(self.kind, path).visit(node.val_filter))

    def _written(self, path: AttrPath) -> tuple[AttrPath, Attribute]:
        """The path as the schema spells it, and the attribute at its end."""
        if self.within is None:
            return look_up(path, self.kind)
        if path.uri is not None or path.sub_attr is not None:
            raise _unknown(path, self.kind)
        _, outer = look_up(self.within, self.kind)
        part = _found(outer.parts, path.attr, path, self.kind)
        return AttrPath(part.name), part


class _Among(FilterVisitor[FilterNode | bool]):
    """Rewrites a tree as `_Standard` does, and settles what is the same for every resource of the kind."""

    def __init__(self, kind: ResourceKind, kinds: Collection[ResourceKind]) -> None:
        self.standard = _Standard(kind)
        self.others = [_Standard(other) for other in kinds if other is not kind]

    def visit_not(self, node: Not) -> FilterNode | bool:
        inner = self.visit(node.expr)
        return not inner if isinstance(inner, bool) else Not(inner)

    def visit_logical_expr(self, node: LogicalExpr) -> FilterNode | bool:
        decisive = node.op is LogicalOperator.or_
        terms = [self.visit(term) for term in node.terms]
        if decisive in terms:
            return decisive
        remaining = tuple(term for term in terms if not isinstance(term, bool))
        if len(remaining) > 1:
            return LogicalExpr(node.op, remaining)
        return remaining[0] if remaining else not decisive

    def visit_present(self, node: Present) -> FilterNode | bool:
        return self._settled(node)

    def visit_comparison(self, node: Comparison) -> FilterNode | bool:
        return self._settled(node)

    def visit_value_path(self, node: ValuePath) -> FilterNode | bool:
        return self._settled(node)

    def _settled(self, node: FilterNode) -> FilterNode | bool:
        try:
            return self.standard.visit(node)
        except UnknownAttribute:
            if not any(_reads(other, node) for other in self.others):
                raise
            return False


def _reads(standard: _Standard, node: FilterNode) -> bool:
    try:
        standard.visit(node)
    except UnknownAttribute:
        return False
    return True


def look_up(path: AttrPath, kind: ResourceKind = USERS) -> tuple[AttrPath, Attribute]:
    """A path as the schema spells it, and the attribute at its end.

    Raises:
        InvalidFilter: there is none, or it is one that nobody may ask about.
    """
    if path.uri is None and (alias := ALIASES.get(kind, {}).get(path.attr.lower())) is not None:
        path = AttrPath(alias.attr, path.sub_attr, alias.uri)
    attributes, uri = kind.attributes, None
    if path.uri is not None and path.uri.lower() != kind.schema.lower():
        extension = _found(attributes, path.uri, path, kind)
        attributes, uri = extension.parts, extension.name
    attribute = _found(attributes, path.attr, path, kind)
    if attribute.name == "password":
        raise InvalidFilter(detail="password is never kept and can't be compared")
    if path.sub_attr is None:
        return AttrPath(attribute.name, None, uri), attribute
    part = _found(attribute.parts, path.sub_attr, path, kind)
    return AttrPath(attribute.name, part.name, uri), part


def _found(attributes: Mapping[str, Attribute], name: str, path: AttrPath, kind: ResourceKind) -> Attribute:
    attribute = attributes.get(name.lower())
    if attribute is None:
        raise _unknown(path, kind)
    return attribute


def _unknown(path: AttrPath, kind: ResourceKind) -> UnknownAttribute:
    return UnknownAttribute(detail=f"{shown(str(path))} is not an attribute of a {kind.name}")


def _fits(attribute: Attribute, node: Comparison) -> bool:
    """Whether it is plain that *attribute* can be compared so: any text with texts, a boolean with one it may equal."""
    if attribute.boolean:
        return isinstance(node.value, bool) and node.op in (CompareOperator.eq, CompareOperator.ne)
    return attribute.text and isinstance(node.value, str)


def _comparable(path: AttrPath, attribute: Attribute, node: Comparison, kind: ResourceKind) -> object:
    """The value as a query can use it: text that can be stored, a boolean, a time, a number or None."""
    value = cast("object", node.value)
    if isinstance(value, str) and (found := unholdable(value)) is not None:
        raise InvalidFilter(detail=f"the value compared with {path} holds {found}")
    if node.op in STRING_OPERATORS and not isinstance(value, str):
        raise InvalidFilter(detail=f"{path} {node.op.value} takes a string")
    if _fits(attribute, node):
        return value
    if attribute.boolean and str(value).lower() not in ("true", "false", "none"):
        raise InvalidFilter(detail=f"{path} is true or false")
    binding = resolve(path, kind)
    if binding.target_type is datetime and not (isinstance(value, str) and _DATE.match(value)):
        raise InvalidFilter(detail=f"{path} is a time, such as 2030-01-31T12:00:00Z")
    coerced = coerce_value(binding, value, node.op)
    if isinstance(coerced, datetime) and coerced.tzinfo is None:
        return coerced.replace(tzinfo=UTC)
    return coerced if isinstance(coerced, bool | datetime) else value
