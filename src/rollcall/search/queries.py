"""What a list request asks of the directory, and which of the look-ups with a statement of their own that is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from uuid import UUID

from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, LogicalExpr, Not, ValuePath

from rollcall.scim.cursors import Key
from rollcall.scim.name_keys import composed, name_key
from rollcall.scim.resources import GROUPS, USERS, ResourceKind, first_key, key
from rollcall.scim.search import Search
from rollcall.search.given import canonical_id

MOST_RESULTS: Final = 200
"""Resources on one page at the most; ServiceProviderConfig announces it."""

MOST_MEMBERS: Final = 10_000
"""Members of its groups with which a page ends, although it may have more groups (RFC 7644 §3.4.2.4)."""

USUAL_RESULTS: Final = 100
"""Resources on one page when the provider does not say."""

_HOT: Final[Mapping[ResourceKind, Mapping[str, Callable[[str], str]]]] = {
    USERS: {"userName": name_key, "emails.value": key, "externalId": composed, "id": str},
    GROUPS: {"displayName": name_key, "externalId": composed, "id": str, "members.value": str},
}
_IDS: Final = ("id", "members.value")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A value that one of the look-ups with a statement of their own asks for."""

    attribute: str
    key: str
    """The value as it is indexed."""
    first_key: str | None = None
    """A name's key of the first version, where that is another; whoever is spelled so is meant."""


@dataclass(frozen=True, slots=True)
class Order:
    """What resources are sorted by: an attribute, or with none their id, in which they were created."""

    path: AttrPath | None = None
    descending: bool = False


CREATION: Final = Order()


@dataclass(frozen=True)
class Query:
    """Which resources are wanted, and which page of them."""

    tree: FilterNode | bool | None = None
    """The filter; a boolean where it is the same for every resource of the kind."""
    start_index: int = 1
    count: int = USUAL_RESULTS
    kind: ResourceKind = USERS
    order: Order = CREATION
    by_cursor: bool = False
    """Whether the page begins after a position, and not at an index."""
    after: tuple[Key, ...] | None = None
    """That position, as a page named it; None for the first page."""
    members: bool = True
    """Whether groups are brought with their members."""

    @cached_property
    def hot(self) -> LookedUp | None:
        """The look-up that this is, if it is one that has a statement of its own."""
        match self.tree:
            case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)) if self._plain:
                form = _HOT[self.kind].get(str(path))
                if form is None or (str(path) in _IDS and canonical_id(value) is None):
                    return None
                first = first_key(value) if form is name_key else None
                return LookedUp(str(path), form(value), first)
            case _:
                return None

    @cached_property
    def beyond_the_hot_paths(self) -> bool:
        """Whether the query has to be compiled."""
        if self.tree is None and self.kind is USERS and self.order == CREATION:
            return False  # everybody as they were created, by index or by cursor
        return not self._plain or (self.tree is not None and self.hot is None)

    @property
    def after_id(self) -> UUID | None:
        """Whom a page in the order of creation goes on after; None for one from the beginning."""
        return UUID(str(self.after[-1])) if self.after else None

    @property
    def ends_by_members(self) -> bool:
        """Whether the page is compiled, and may end before its count because its groups have `MOST_MEMBERS`."""
        return self.kind is GROUPS and self.members and self.beyond_the_hot_paths

    @property
    def terms(self) -> int:
        """How many conditions the filter has, each of which may be looked at in every resource."""
        return 0 if self.tree is None or isinstance(self.tree, bool) else _terms(self.tree)

    @property
    def _plain(self) -> bool:
        """Whether the page is one by index in the order of creation."""
        return self.order == CREATION and not self.by_cursor


def _terms(node: FilterNode) -> int:
    match node:
        case LogicalExpr(terms=terms):
            return sum(map(_terms, terms))
        case Not(expr=inner) | ValuePath(val_filter=inner):
            return _terms(inner)
        case _:
            return 1


def query_of(wanted: Search, *, after: tuple[Key, ...] | None = None, members: bool = True) -> Query:
    """The query that a list request is; *after* is the position that its cursor stands for."""
    return Query(
        tree=wanted.tree,
        start_index=wanted.start_index,
        count=USUAL_RESULTS if wanted.count is None else min(wanted.count, MOST_RESULTS),
        kind=wanted.kind,
        order=CREATION if wanted.sort_by is None else Order(wanted.sort_by, wanted.descending),
        by_cursor=wanted.cursor is not None,
        after=after,
        members=members,
    )
