"""Questions about people: which rows a filter means, and a page of them.

The look-ups that providers make all day are single statements (``scim_find``, ``scim_page``); any other filter is
compiled to SQL by a visitor over scim2-models' tree and runs behind the same gate, inside the tenant.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast as typed
from uuid import UUID

from scim2_models.path import (
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
from sqlalchemy import ColumnElement, Text, and_, cast, exists, false, func, select

from rollcall.access.gate import Call
from rollcall.db import Row
from rollcall.directory.mapping import composed
from rollcall.directory.models import UserEmail, UserRow
from rollcall.scim import filters
from rollcall.scim.errors import InvalidFilter, InvalidSyntax, InvalidValue
from rollcall.scim.resources import key
from rollcall.work import Actor, ActorKind, TenantRef, open_work

MOST_RESULTS = 200
"""People on one page at the most; ServiceProviderConfig announces it."""

USUAL_RESULTS = 100
"""People on one page when the provider does not say."""

_FIND = "SELECT * FROM scim_find($1, $2, $3, $4, $5, $6, $7, $8)"
_PAGE = "SELECT * FROM scim_page($1, $2, $3, $4, $5, $6)"
_ADMIT = "SELECT * FROM scim_admit($1, $2, $3, 'read', NULL, false, '')"
_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_KINDS = {str: "a string", int: "a whole number", list: "a list of names"}
_MESSAGE = {"filter": str, "startindex": int, "count": int, "attributes": list, "excludedattributes": list}
_HOT = {"userName": key, "emails.value": key, "externalId": composed, "id": str}


@dataclass(frozen=True, slots=True)
class Query:
    """What a list request asks for."""

    tree: FilterNode | None
    start_index: int = 1
    count: int = USUAL_RESULTS

    @property
    def hot(self) -> tuple[str, str] | None:
        """The attribute and value of a look-up that has a statement of its own."""
        match self.tree:
            case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)) if str(path) in _HOT:
                return (str(path), _HOT[str(path)](value)) if _can_be(str(path), value) else None
            case _:
                return None

    @property
    def beyond_the_hot_paths(self) -> bool:
        """Whether the filter has to be compiled."""
        return self.tree is not None and self.hot is None


def read_query(parameters: Mapping[str, str]) -> Query:
    """Read the parameters of a list request (RFC 7644 §3.4.2); their names are compared without case.

    A startIndex below 1 is 1 and a negative count is 0, as §3.4.2.4 has it.

    Raises:
        InvalidFilter, InvalidValue: a parameter can't be read.
    """
    given = {name.casefold(): value for name, value in parameters.items()}
    text = given.get("filter")
    tree = None if text is None else filters.read_filter(text)
    if tree is not None:
        _UserFilter().visit(tree)
    start_index, count = read_bounds(given)
    return Query(tree=tree, start_index=start_index, count=count)


def read_bounds(given: Mapping[str, str]) -> tuple[int, int]:
    """The startIndex and the count of a request whose parameters' names are case-folded.

    Raises:
        InvalidValue: one is no number.
    """
    start_index = max(1, _integer(given, "startIndex", 1))
    return start_index, min(MOST_RESULTS, max(0, _integer(given, "count", USUAL_RESULTS)))


def read_message(payload: Mapping[str, object]) -> dict[str, str]:
    """A search message (RFC 7644 §3.4.3) as the parameters that the same request has as a GET.

    Raises:
        InvalidSyntax: a member has the wrong type.
    """
    parameters: dict[str, str] = {}
    for name, value in payload.items():
        kind = _MESSAGE.get(name.casefold())
        if kind is None or value is None:
            continue
        if type(value) is not kind:
            raise InvalidSyntax(detail=f"{name}: it is {_KINDS[kind]}")
        parameters[name] = (
            ",".join(map(str, typed("list[object]", value))) if kind is list else str(typed("object", value))
        )
    return parameters


async def rows(call: Call, query: Query) -> Sequence[Row]:
    """Pass the gate and, on the hot paths, bring the page: always at least one row, with the gate's verdict."""
    token = call.token
    who = (token.tenant_id, token.id, token.digest)
    pool, base = call.door.pool, call.door.base_url
    if query.beyond_the_hot_paths:
        return await pool.fetch(_ADMIT, *who)
    if query.hot is not None:
        return await pool.fetch(_FIND, *who, *query.hot, query.start_index - 1, query.count, base)
    return await pool.fetch(_PAGE, *who, query.start_index - 1, query.count, base)


async def filtered(call: Call, query: Query) -> Sequence[Row]:
    """A page of the people a compiled filter means, in the order of `scim_page`; the gate has been passed."""
    assert query.tree is not None
    tenant_id = call.token.tenant_id
    condition = and_(UserRow.tenant_id == tenant_id, _UserFilter().visit(query.tree))
    people = (
        select(
            UserRow.id,
            cast(UserRow.document, Text).label("document"),
            UserRow.version,
            UserRow.created_at,
            UserRow.last_modified,
            func.groups_of(UserRow.tenant_id, UserRow.id, call.door.base_url).label("groups"),
            func.count().over().label("total"),
        )
        .where(condition)
        .order_by(UserRow.id)
        .offset(query.start_index - 1)
        .limit(query.count)
    )
    actor = Actor(ActorKind.SCIM_TOKEN, "", call.token.id)
    async with open_work(call.door.database, TenantRef(tenant_id, ""), actor, call.origin) as work:
        found = (await work.db.execute(people)).mappings().all()
        if found:
            return found
        total = await work.db.scalar(select(func.count()).select_from(UserRow).where(condition))
    return [{"id": None, "total": total}]


class _UserFilter(FilterVisitor[ColumnElement[bool]]):
    """Turns the tree of a filter into a condition on `users`."""

    def visit_comparison(self, node: Comparison) -> ColumnElement[bool]:
        if node.op is not CompareOperator.eq:
            raise self._unsupported(f"the operator {node.op.value}")
        path, value = str(node.attr_path), node.value
        if path == "active" and isinstance(value, bool):
            return UserRow.active == value
        if path not in _HOT or not isinstance(value, str):
            raise self._unsupported(f"comparing {path}")
        if not _can_be(path, value):
            return false()
        match path:
            case "userName":
                return UserRow.user_name_key == key(value)
            case "externalId":
                return UserRow.external_id == composed(value)
            case "id":
                return UserRow.id == UUID(value)
            case _:
                return exists().where(
                    UserEmail.tenant_id == UserRow.tenant_id,
                    UserEmail.user_id == UserRow.id,
                    UserEmail.value_key == key(value),
                )

    def visit_logical_expr(self, node: LogicalExpr) -> ColumnElement[bool]:
        if node.op is not LogicalOperator.and_:
            raise self._unsupported("or")
        return and_(*(self.visit(term) for term in node.terms))

    def visit_present(self, node: Present) -> ColumnElement[bool]:  # noqa: ARG002  # the visitor's interface
        raise self._unsupported("pr")

    def visit_not(self, node: Not) -> ColumnElement[bool]:  # noqa: ARG002  # as above
        raise self._unsupported("not")

    def visit_value_path(self, node: ValuePath) -> ColumnElement[bool]:  # noqa: ARG002  # as above
        raise self._unsupported("a value path")

    @staticmethod
    def _unsupported(what: str) -> InvalidFilter:
        return InvalidFilter(
            detail=f"The filter uses {what}, which is not supported yet: compare userName, externalId, id, "
            "emails.value or active with eq, joined by and."
        )


def resource_id(text: str) -> UUID | None:
    """The id, spelled as ours are (ids are case-exact, RFC 7643 §3.1); anything else is simply nobody's."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _can_be(path: str, value: str) -> bool:
    """Whether a value can be stored in an attribute at all: ids are UUIDs, so other text finds nobody."""
    return path != "id" or resource_id(value) is not None


def _integer(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name.casefold())
    if text is None:
        return default
    if _INTEGER.fullmatch(text) is None:
        raise InvalidValue(detail=f"{name} is a whole number")
    return max(-1, min(int(text), 2**31 - 1))
