"""What a list request asks for, whether as a query (RFC 7644 §3.4.2) or as a message to /.search (§3.4.3)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, cast

from scim2_models import SearchRequest
from scim2_models.path import AttrPath, FilterNode

from rollcall.scim.attributes import Attribute
from rollcall.scim.bodies import read_message
from rollcall.scim.errors import (
    InvalidCount,
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    UnknownAttribute,
    shown,
)
from rollcall.scim.filters import check_size, look_up, read_filter, read_filter_among
from rollcall.scim.profiles import quoted
from rollcall.scim.projection import project
from rollcall.scim.resources import ResourceKind
from rollcall.scim.values import Deviation, Reading, Unknown

_SCHEMA: Final = str(SearchRequest.__schema__)
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBERS: Final = {"startindex": "startIndex", "count": "count"}
_TYPES: Final[Mapping[str, tuple[str, type, str]]] = {
    "filter": ("filter", str, "a string"),
    "sortby": ("sortBy", str, "a string"),
    "sortorder": ("sortOrder", str, "a string"),
    "startindex": ("startIndex", int, "a whole number"),
    "count": ("count", int, "a whole number"),
    "cursor": ("cursor", str, "a string"),
    "attributes": ("attributes", list, "a list of names"),
    "excludedattributes": ("excludedAttributes", list, "a list of names"),
}


@dataclass(frozen=True, slots=True)
class Search:
    """What a list request asks of one kind of resource."""

    kind: ResourceKind
    tree: FilterNode | bool | None = None
    """The filter; None if there is none, and a boolean where it is the same for every resource of the kind."""
    sort_by: AttrPath | None = None
    """Spelled as the schema does, down to the `value` of an attribute with entries. Of those the primary one counts, or
    else the first (RFC 7644 §3.4.2.3)."""
    descending: bool = False
    """Whether the last come first; resources without a value come last, or first if this is so."""
    start_index: int = 1
    count: int | None = None
    """Resources on a page at the most, 0 or more; None leaves it to the service."""
    cursor: str | None = None
    """Where to go on, for pages by cursor (RFC 9865); empty for the first, None for pages by index."""
    attributes: str | None = None
    excluded_attributes: str | None = None
    deviations: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for searches that find the same resources in the same order, whichever page they ask for."""
        said = f"{self.kind.name}\n{self.tree}\n{self.sort_by}\n{self.descending}"
        return sha256(said.encode()).hexdigest()[:32]


def read_parameters(
    parameters: Mapping[str, str],
    kind: ResourceKind,
    *,
    among: Collection[ResourceKind] = (),
    unquoted_values: bool = False,
) -> Search:
    """Read the parameters of a query; their names are compared without case, and unknown ones are ignored.

    A request for several kinds is read once for each, with all of them in *among*. *unquoted_values* takes filters
    whose values have no quotes.

    Raises:
        InvalidFilter: the filter can't be answered.
        InvalidValue: another parameter can't be read, contradicts another, or names an attribute that none of the
            kinds has to sort by. RFC 7644 Table 9 has `invalidPath` for PATCH alone.
        InvalidCount: a page by cursor is to have a number of resources that is none.
    """
    given: dict[str, object] = {name.lower(): value for name, value in parameters.items()}
    for name, spelled in _NUMBERS.items():
        if name in given:
            given[name] = _whole_number(str(given[name]), spelled, by_cursor="cursor" in given)
    return _search(Reading(Unknown.IGNORED), given, kind, among, unquoted_values=unquoted_values)


def read_search(
    payload: Mapping[str, object],
    kind: ResourceKind,
    *,
    among: Collection[ResourceKind] = (),
    unquoted_values: bool = False,
) -> Search:
    """Read a SearchRequest as the query that asks the same.

    Raises:
        InvalidSyntax: it is no SearchRequest, or a member has the wrong type.
        SCIMException: as `read_parameters`.
    """
    reading = Reading(Unknown.IGNORED)
    members = read_message(reading, payload, _SCHEMA)
    given = {name: _typed(name, value) for name, value in members.items() if name in _TYPES and value is not None}
    return _search(reading, given, kind, among, unquoted_values=unquoted_values)


def _search(
    reading: Reading,
    given: Mapping[str, object],
    kind: ResourceKind,
    among: Collection[ResourceKind],
    *,
    unquoted_values: bool,
) -> Search:
    attributes, excluded = _names(reading, given, "attributes"), _names(reading, given, "excludedattributes")
    project({}, attributes, excluded)  # judges the two
    cursor = _text(given, "cursor")
    if cursor is not None and "startindex" in given:
        raise InvalidValue(detail="cursor and startIndex exclude each other")
    count = cast("int | None", given.get("count"))
    if cursor is not None and count is not None and count < 0:
        raise InvalidCount(detail="count is 0 or more")
    return Search(
        kind,
        tree=_tree(reading, _text(given, "filter"), kind, among, unquoted_values=unquoted_values),
        sort_by=_sort_by(_text(given, "sortby"), kind, among),
        descending=_descending(_text(given, "sortorder")),
        # RFC 7644 §3.4.2.4: less than 1 is 1, and less than 0 is 0.
        start_index=max(1, cast("int", given.get("startindex", 1))),
        count=None if count is None else max(0, count),
        cursor=cursor,
        attributes=attributes,
        excluded_attributes=excluded,
        deviations=reading.deviations,
    )


def _tree(
    reading: Reading, text: str | None, kind: ResourceKind, among: Collection[ResourceKind], *, unquoted_values: bool
) -> FilterNode | bool | None:
    if text is None:
        return None
    if unquoted_values and check_size(text) is None and (rewritten := quoted(text)) != text:
        reading.note(Deviation.UNQUOTED_VALUE)
        text = rewritten
    return read_filter_among(text, kind, among) if among else read_filter(text, kind)


def _sort_by(text: str | None, kind: ResourceKind, among: Collection[ResourceKind]) -> AttrPath | None:
    """The attribute to sort by; None where only other kinds have it, as nothing of this kind has a value then."""
    if text is None or not text.strip():
        return None
    refusals: list[InvalidValue] = []
    for each in (kind, *(other for other in among if other is not kind)):
        try:
            path = _sortable(text.strip(), each)
        except InvalidValue as refusal:
            refusals.append(refusal)
        else:
            return path if each is kind else None
    raise refusals[0]


def _sortable(text: str, kind: ResourceKind) -> AttrPath:
    path, attribute = _attribute(text, kind)
    if attribute.has_value:
        path, attribute = AttrPath(path.attr, "value", path.uri), attribute.parts["value"]
    if attribute.parts:
        raise InvalidValue(detail=f"sortBy: {path} is complex; sort by one of its parts")
    if attribute.binary:
        raise InvalidValue(detail=f"sortBy: {path} is binary and has no order")
    return path


def _attribute(text: str, kind: ResourceKind) -> tuple[AttrPath, Attribute]:
    unknown = InvalidValue(detail=f"sortBy: {shown(text)} is not an attribute of a {kind.name}")
    if check_size(text) is not None:
        raise unknown
    try:
        path = kind.path(text)
        if path.value_filter is not None or path.model is not None:
            raise unknown
        name, _, part = path.attr.partition(".")
        return look_up(AttrPath(name, part or None, path.schema), kind)
    except (InvalidPath, UnknownAttribute) as exc:
        raise unknown from exc
    except InvalidFilter as exc:
        raise InvalidValue(detail=f"sortBy: {exc.detail}") from exc


def _descending(text: str | None) -> bool:
    order = (text or "ascending").strip().lower()
    if order not in ("ascending", "descending"):
        raise InvalidValue(detail="sortOrder is ascending or descending")
    return order == "descending"


def _names(reading: Reading, given: Mapping[str, object], name: str) -> str | None:
    text = _text(given, name)
    if text is not None and "[" in text:
        reading.note(Deviation.BRACKETED_LIST, name)
    return text


def _text(given: Mapping[str, object], name: str) -> str | None:
    return cast("str | None", given.get(name))


def _whole_number(text: str, name: str, *, by_cursor: bool) -> int:
    if _WHOLE_NUMBER.fullmatch(text) is not None:
        return _bounded(int(text))
    if name == "count" and by_cursor:
        raise InvalidCount(detail="count is a whole number")
    raise InvalidValue(detail=f"{name} is a whole number")


def _bounded(number: int) -> int:
    """The number, no larger than the database counts."""
    return max(-1, min(number, 2**31 - 1))


def _typed(name: str, value: object) -> object:
    """A member of a SearchRequest as the parameter of the same name would be read."""
    spelled, kind, described = _TYPES[name]
    if kind is list and isinstance(value, list):
        names = cast("list[object]", value)
        if all(isinstance(each, str) for each in names):
            return ",".join(cast("list[str]", names))
    elif type(value) is kind:
        return _bounded(value) if isinstance(value, int) else cast("object", value)
    raise InvalidSyntax(detail=f"{spelled}: it is {described}")
