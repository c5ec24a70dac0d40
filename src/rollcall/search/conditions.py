"""The tree of a filter as a condition in SQL: scim2-models' in-memory evaluator, for a whole table at once."""

from scim2_models.path import (
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
)
from sqlalchemy import and_, false, not_, or_, true

from rollcall.scim.filters import look_up
from rollcall.search.columns import ITSELF, Entries, Entry, Places
from rollcall.search.given import GivenText
from rollcall.search.operands import Condition


def condition(places: Places, tree: FilterNode) -> Condition:
    """Which resources the filter means; *tree* as `given.shape_of` leaves it."""
    return _OfResources(places).visit(tree)


class _Logic(FilterVisitor[Condition]):
    """What holds of any condition: unknown is false, and `not` makes it true."""

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        join = and_ if node.op is LogicalOperator.and_ else or_
        return join(*(self.visit(term) for term in node.terms))

    def visit_not(self, node: Not) -> Condition:
        return self.visit(node.expr).is_not(true())


class _OfResources(_Logic):
    """Conditions on a resource."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def visit_comparison(self, node: Comparison) -> Condition:
        path, several = node.attr_path, self._several(node.attr_path)
        if several is None:
            return self.places.operand(path).compare(node.op, node.value)
        return _compare_any(several, path.sub_attr or ITSELF, node.op, node.value)

    def visit_present(self, node: Present) -> Condition:
        path, several = node.attr_path, self._several(node.attr_path)
        if several is None:
            return or_(*(self.places.operand(part).present() for part in self._parts(path)))
        if path.sub_attr is None:
            return several.present()
        name = path.sub_attr
        return several.any(lambda entry: entry(name).present())

    def visit_value_path(self, node: ValuePath) -> Condition:
        several = self._several(node.attr_path)
        assert several is not None, "a selection has been read from a list"
        chosen = several.any(lambda entry: _OfEntry(entry).visit(node.val_filter))
        narrowed = [near for term in _all_of(node.val_filter) if (near := _narrowed(several, term)) is not None]
        return and_(*narrowed, chosen)

    def _several(self, path: AttrPath) -> Entries | None:
        """The entries that *path* leads into, unless it leads to one value."""
        _, attribute = look_up(AttrPath(path.attr, None, path.uri), self.places.kind)
        return self.places.entries(path) if attribute.multi_valued else None

    def _parts(self, path: AttrPath) -> list[AttrPath]:
        """The values that a complex attribute has; a simple one has itself."""
        _, attribute = look_up(path, self.places.kind)
        return [AttrPath(path.attr, part.name, path.uri) for part in attribute.parts.values()] or [path]


class _OfEntry(_Logic):
    """Conditions on one entry of a list, inside the brackets of a selection."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def visit_comparison(self, node: Comparison) -> Condition:
        return self.entry(node.attr_path.attr).compare(node.op, node.value)

    def visit_present(self, node: Present) -> Condition:
        return self.entry(node.attr_path.attr).present()

    def visit_value_path(self, node: ValuePath) -> Condition:  # noqa: ARG002  # the visitor's interface
        return false()


def _compare_any(entries: Entries, part: str, operation: CompareOperator, value: object) -> Condition:
    """Whether one entry compares so; "not equal" means that none is equal. No list at all counts as null."""
    match operation, value:
        case CompareOperator.eq, None:
            return or_(not_(entries.assigned()), entries.any(lambda entry: entry(part).compare(operation, None)))
        case CompareOperator.ne, None:
            missing = entries.any(lambda entry: entry(part).compare(CompareOperator.eq, None))
            return and_(entries.assigned(), not_(missing))
        case CompareOperator.ne, _:
            return _compare_any(entries, part, CompareOperator.eq, value).is_not(true())
        case _, GivenText() if part == "value" and (known := entries.valued(operation, value)) is not None:
            return known
        case _:
            return entries.any(lambda entry: entry(part).compare(operation, value))


def _narrowed(entries: Entries, term: FilterNode) -> Condition | None:
    """What a selection's *term* says of the resource as a whole, if that can be looked up."""
    match term:
        case Comparison(attr_path=AttrPath(attr="value"), op=CompareOperator.eq, value=GivenText() as value):
            return entries.valued(CompareOperator.eq, value)
        case _:
            return None


def _all_of(node: FilterNode) -> tuple[FilterNode, ...]:
    """The terms that all have to hold."""
    return node.terms if isinstance(node, LogicalExpr) and node.op is LogicalOperator.and_ else (node,)
