"""Bulk requests (RFC 7644 §3.7): what each operation asks for, in which order they can run, and how it is answered.

An operation that can't be read is refused for itself, and the others run. What an operation means is for whoever reads
the single request that it stands for.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter
from typing import Final, cast

import orjson
from scim2_models import BulkRequest, BulkResponse

from rollcall.scim.bodies import read_message
from rollcall.scim.errors import (
    Conflict,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    SCIMException,
    TooManyOperations,
    error_body,
    shown,
)
from rollcall.scim.resources import GROUPS, USERS, ResourceKind, check_text
from rollcall.scim.values import Deviation, Reading, Unknown

_REQUEST: Final = str(BulkRequest.__schema__)
_RESPONSE: Final = str(BulkResponse.__schema__)
_PREFIX: Final = "bulkId:"
_QUOTED: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string in the filter of a path; it runs to the end when nothing closes it, which takes linear time."""
_MOST_SHOWN: Final = 8
"""Members of a circle that a refusal names; it can be as long as the request."""
_MEMBERS: Final = frozenset({"method", "path", "bulkid", "version", "data"})
_KINDS: Final[Mapping[str, ResourceKind]] = {kind.endpoint.lower().strip("/"): kind for kind in (USERS, GROUPS)}


class Method(StrEnum):
    """What an operation does."""

    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation, read as far as it can be without the resource."""

    index: int
    """Its place in the request, which is its place in the response."""
    method: str
    """A `Method`, or whatever was sent if the operation is refused."""
    kind: ResourceKind
    resource_id: str | None
    """The id in the path, or a reference to a bulkId; a POST has none."""
    data: Mapping[str, object]
    bulk_id: str | None = None
    version: str | None = None
    """The entity tag that the resource has to have, as in If-Match."""
    references: tuple[str, ...] = ()
    """The bulkIds that the path and the data refer to."""
    refusal: SCIMException | None = None
    """Why it can't be carried out, if that can be told already; nothing else of it can be relied on then."""


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """A bulk request; its operations in the order of the request."""

    operations: tuple[BulkOperation, ...]
    fail_on_errors: int | None
    deviations: tuple[str, ...] = ()
    """What was unusual about the request itself; what its operations carry is read, and counted, with them."""

    def ends_after(self, errors: int) -> bool:
        """Whether so many failed operations are the most that the client accepts (RFC 7644 §3.7.3)."""
        return self.fail_on_errors is not None and errors >= self.fail_on_errors

    def errors_left(self, errors: int) -> int:
        """After how many more failed operations it `ends_after`; where it never does, more than there are."""
        return len(self.operations) + 1 if self.fail_on_errors is None else self.fail_on_errors - errors


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of an operation."""

    operation: BulkOperation
    status: int
    location: str | None = None
    """Where the resource is; only a POST that failed has none."""
    version: str | None = None
    refusal: SCIMException | None = None


def read_bulk(payload: Mapping[str, object], *, most_operations: int) -> BulkPlan:
    """Read a BulkRequest.

    Raises:
        InvalidSyntax: it is no BulkRequest, or has no operations.
        InvalidValue: `failOnErrors` is not a whole number above 0.
        TooManyOperations: it has more than *most_operations* (RFC 7644 §3.7.4).
    """
    reading = Reading(Unknown.IGNORED)
    members = read_message(reading, payload, _REQUEST)
    operations = members.get("operations")
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntax(detail="Operations: one or more operations are required")
    given = cast("list[object]", operations)
    if len(given) > most_operations:
        raise TooManyOperations(most_operations)
    if not all(isinstance(operation, dict) for operation in given):
        raise InvalidSyntax(detail="Operations: each is an object")
    read = [_read(reading, index, cast("dict[str, object]", operation)) for index, operation in enumerate(given)]
    return BulkPlan(tuple(_judged(read)), _fail_on_errors(members.get("failonerrors")), reading.deviations)


def ordered(plan: BulkPlan) -> tuple[BulkOperation, ...]:
    """The operations in the order they are to run: as given, but what is referred to is created before.

    Those that wait for each other in a circle are refused: RFC 7644 §3.7.1 has a service provider try to resolve it and
    lets it answer 409; which of the two has to be written twice is better decided by the client.
    """
    order: list[BulkOperation] = []
    for circle in _circles(plan.operations):
        first = circle[0]
        if len(circle) > 1 or (first.method == Method.POST and first.bulk_id in first.references):
            order += [replace(operation, refusal=operation.refusal or _circular(circle)) for operation in circle]
        else:
            order.append(first)
    return tuple(order)


def resolved(data: object, ids: Mapping[str, str]) -> object:
    """*data* with every reference to a bulkId replaced by the id it got; *data* itself is left as it is.

    A reference is a whole text, or one in the filter of a path, as in `members[value eq "bulkId:qwerty"]`.

    Raises:
        Conflict: the operation with such a bulkId has created nothing.
    """

    def id_of(bulk_id: str) -> str:
        if bulk_id not in ids:
            raise Conflict(detail=f"The operation with the bulkId {shown(bulk_id)} has created nothing to refer to")
        return ids[bulk_id]

    if isinstance(data, str) and data.startswith(_PREFIX):
        return id_of(data.removeprefix(_PREFIX))
    if isinstance(data, dict):
        return {
            _resolved_path(name, id_of): _resolved_path(part, id_of)
            if isinstance(part, str) and _is_path(name)
            else resolved(part, ids)
            for name, part in cast("dict[str, object]", data).items()
        }
    if isinstance(data, list):
        return [resolved(entry, ids) for entry in cast("list[object]", data)]
    return data


def resolved_body(operation: BulkOperation, ids: Mapping[str, str]) -> dict[str, object]:
    """What an operation carries, `resolved`.

    Raises:
        Conflict: as for `resolved`.
    """
    body = dict(operation.data)
    return cast("dict[str, object]", resolved(body, ids)) if operation.references else body


def _is_path(name: str) -> bool:
    return name.lower() == "path"


def _resolved_path(path: str, id_of: Callable[[str], str]) -> str:
    """A path, which may be a member's name in a PATCH without one, with the ids for the bulkIds in its filter."""

    def literal(found: re.Match[str]) -> str:
        bulk_id = _bulk_id(found[0])
        return found[0] if bulk_id is None else json.dumps(id_of(bulk_id))

    return _QUOTED.sub(literal, path) if "[" in path else path


def _bulk_id(quoted: str) -> str | None:
    """The bulkId that a string in a filter refers to, if it does."""
    try:
        text: object = json.loads(quoted, strict=False)
    except ValueError:
        return None
    return text.removeprefix(_PREFIX) if isinstance(text, str) and text.startswith(_PREFIX) else None


def response(results: Iterable[BulkResult], request_id: str | None = None) -> bytes:
    """The BulkResponse, with the results in the order of the request, whose id each of the refusals says."""
    parts = [_result(result, request_id) for result in sorted(results, key=attrgetter("operation.index"))]
    return b"".join((orjson.dumps({"schemas": [_RESPONSE]})[:-1], b',"Operations":[', b",".join(parts), b"]}"))


def _result(result: BulkResult, request_id: str | None) -> bytes:
    operation = result.operation
    said: dict[str, object] = {
        "location": result.location,
        "method": operation.method,
        "bulkId": operation.bulk_id,
        "version": result.version,
        "status": str(result.status),
        "response": None if result.refusal is None else orjson.Fragment(error_body(result.refusal, request_id)),
    }
    return orjson.dumps({name: value for name, value in said.items() if value is not None})


def _fail_on_errors(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        # 0 could mean that no error is accepted, or that none is counted.
        raise InvalidValue(attribute="failOnErrors", detail="failOnErrors: it is a whole number above 0")
    return value


def _read(reading: Reading, index: int, operation: Mapping[str, object]) -> BulkOperation:
    members = {name.lower(): value for name, value in operation.items()}
    for name in operation:
        if name.lower() not in _MEMBERS:
            reading.note(Deviation.EXTRA_MEMBER, name)
    method, bulk_id = members.get("method"), members.get("bulkid")
    shell = BulkOperation(
        index=index,
        method=method.upper() if isinstance(method, str) else "",
        kind=USERS,
        resource_id=None,
        data={},
        bulk_id=bulk_id if isinstance(bulk_id, str) else None,
    )
    try:
        filled = _filled(shell, members)
    except SCIMException as refusal:
        return replace(shell, refusal=refusal)
    if members["method"] != filled.method:
        reading.note(Deviation.BULK_SPELLING, "method")
    if not str(members["path"]).startswith(filled.kind.endpoint):
        reading.note(Deviation.BULK_SPELLING, "path")
    return filled


def _filled(shell: BulkOperation, members: Mapping[str, object]) -> BulkOperation:
    """The operation with all that its members say.

    Raises:
        SCIMException: a member is missing or does not fit the others.
    """
    if shell.method not in set(Method):
        raise InvalidValue(attribute="method", detail="method: it is POST, PUT, PATCH or DELETE")
    kind, resource_id = _place(members.get("path"), creating=shell.method == Method.POST)
    if shell.method == Method.POST and not shell.bulk_id:
        raise InvalidValue(attribute="bulkId", detail="bulkId: a POST has one, to be told apart (RFC 7644 §3.7)")
    if shell.bulk_id:
        check_text(shell.bulk_id, "bulkId")
    version = members.get("version")
    if not isinstance(version, str | None):
        raise InvalidValue(attribute="version", detail="version: it is a string")
    body = _body(shell.method, members.get("data"))
    return replace(
        shell,
        kind=kind,
        resource_id=resource_id,
        data=body,
        version=version or None,
        references=tuple(dict.fromkeys(_references((resource_id, body)))) if _may_refer(resource_id, body) else (),
    )


def _body(method: str, data: object) -> dict[str, object]:
    """The body of the single request that the operation stands for."""
    if method == Method.DELETE:
        return {}
    if method == Method.PATCH and isinstance(data, list):
        # So the example of RFC 7644 §3.7.3 has it, though the body of a PATCH is an object (§3.5.2).
        return {"Operations": cast("list[object]", data)}
    if not isinstance(data, dict):
        raise InvalidValue(attribute="data", detail="data: it is the object that the single request has as its body")
    return cast("dict[str, object]", data)


def _place(path: object, *, creating: bool) -> tuple[ResourceKind, str | None]:
    """The kind of resource and the id in a path such as `/Users/2819c223`."""
    if not isinstance(path, str):
        raise InvalidPath(detail="path: it is a string, such as /Users")
    endpoint, _, resource_id = path.strip("/").partition("/")
    kind = _KINDS.get(endpoint.lower())
    if kind is None or "/" in resource_id:
        raise InvalidPath(path=path, detail=f"path: nothing in a bulk request is at {shown(path)}")
    if creating == bool(resource_id):
        wanted = "a POST goes to the endpoint" if creating else "the resource's id is missing"
        raise InvalidPath(path=path, detail=f"path: {shown(path)}: {wanted}")
    return kind, resource_id or None


def _may_refer(resource_id: str | None, body: Mapping[str, object]) -> bool:
    """Whether there can be a reference at all, which hardly any operation has: none is written without its prefix, but
    where a path escapes characters of it."""
    text = orjson.dumps((resource_id, body))
    return _PREFIX.encode() in text or b"\\" in text


def _references(data: object) -> Iterator[str]:
    waiting: list[object] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if value.startswith(_PREFIX):
                yield value.removeprefix(_PREFIX)
        elif isinstance(value, dict):
            members = cast("dict[str, object]", value)
            waiting.extend(members.values())
            for path in (
                *members,
                *(part for name, part in members.items() if isinstance(part, str) and _is_path(name)),
            ):
                yield from _in_path(path)
        elif isinstance(value, list | tuple):
            waiting.extend(cast("Sequence[object]", value))


def _in_path(path: str) -> Iterator[str]:
    if "[" in path:
        yield from (found for quoted in _QUOTED.findall(path) if (found := _bulk_id(quoted)) is not None)


def _creations(operations: Iterable[BulkOperation]) -> dict[str, BulkOperation]:
    """The operation that creates what a bulkId stands for: the first, if there are several."""
    found: dict[str, BulkOperation] = {}
    for operation in operations:
        if operation.method == Method.POST and operation.bulk_id is not None:
            found.setdefault(operation.bulk_id, operation)
    return found


def _judged(operations: Sequence[BulkOperation]) -> Iterator[BulkOperation]:
    """The operations, those refused that only the others show to be wrong."""
    creations = _creations(operations)
    for operation in operations:
        nobodys = [bulk_id for bulk_id in operation.references if bulk_id not in creations]
        if operation.refusal is not None:
            yield operation
        elif operation.method == Method.POST and creations[str(operation.bulk_id)] is not operation:
            detail = f"bulkId: {shown(str(operation.bulk_id))} is another operation's"
            yield replace(operation, refusal=InvalidValue(attribute="bulkId", detail=detail))
        elif nobodys:
            detail = f"Nothing in this request has the bulkId {shown(nobodys[0])}"
            yield replace(operation, refusal=InvalidValue(attribute="bulkId", detail=detail))
        else:
            yield operation


def _circles(operations: Sequence[BulkOperation]) -> Iterator[list[BulkOperation]]:
    """The operations, each after those it refers to; those that wait for each other come together.

    This is Tarjan's algorithm for strongly connected components, without recursion, as a chain of references may be as
    long as the request: `met` counts the operations as it goes down, `lowest` is the earliest one that can be reached
    again, and where the two agree, all that is still open above belongs together.
    """
    creations = _creations(operations)
    met: dict[int, int] = {}
    lowest: dict[int, int] = {}
    still_open: dict[int, BulkOperation] = {}
    way: list[tuple[BulkOperation, Iterator[BulkOperation]]] = []

    def descend(operation: BulkOperation) -> None:
        met[operation.index] = lowest[operation.index] = len(met)
        still_open[operation.index] = operation
        references = () if operation.refusal is not None else operation.references
        way.append((operation, iter(sorted(map(creations.__getitem__, references), key=attrgetter("index")))))

    for first in operations:
        if first.index not in met:
            descend(first)
        while way:
            operation, remaining = way[-1]
            index = operation.index
            needed = next(remaining, None)
            if needed is None:
                way.pop()
                if way:
                    above = way[-1][0].index
                    lowest[above] = min(lowest[above], lowest[index])
                if lowest[index] == met[index]:
                    together: list[BulkOperation] = []
                    while not together or together[-1] is not operation:
                        together.append(still_open.popitem()[1])
                    yield sorted(together, key=attrgetter("index"))
            elif needed.index not in met:
                descend(needed)
            elif needed.index in still_open:
                lowest[index] = min(lowest[index], met[needed.index])


def _circular(circle: Sequence[BulkOperation]) -> Conflict:
    named = ", ".join(shown(str(operation.bulk_id)) for operation in circle[:_MOST_SHOWN])
    more = f" and {len(circle) - _MOST_SHOWN} more" if len(circle) > _MOST_SHOWN else ""
    return Conflict(
        detail=f"The operations with the bulkIds {named}{more} refer to each other in a circle. "
        "Leave one reference out, and add it by its id in a later request."
    )
