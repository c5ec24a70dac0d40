"""What is measured, what it is measured against, and the goal of each comparison."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count, cycle
from urllib.parse import quote
from uuid import UUID

import orjson

from benchmarks.dataset import SAMPLE, Dataset, Groups, Tenant, person_text
from benchmarks.load import request


class Target(Enum):
    """Which server an operation asks."""

    FLOOR = "floor"
    ROLLCALL = "rollcall"
    SMALLER = "smaller"
    """Rollcall on a smaller dataset, to see what growth costs."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Requests of one sort. *write* makes up to as many as it is told; those of a change are used only once."""

    name: str
    target: Target
    write: Callable[[int], Sequence[bytes]]
    status: int = 200
    holds: bytes = b""
    again: bool = True


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operation, what it is held against, and the least ratio of their rates that is good enough.

    Without a *goal* it is there to be known.
    """

    operation: Operation
    against: Operation
    goal: float | None = None


AT_MOST_GROWN = 1 / 1.3
"""The least share of its rate that an operation keeps when what it works among grows."""

PAGE = 100
_SCIM = "application/scim+json"
_FORM = "application/x-www-form-urlencoded"
_NUMBERS = count(1)


def comparisons(dataset: Dataset) -> list[Comparison]:
    """Everything that is measured on *dataset*."""
    reading, writing = _floor_read(dataset, "floor R", "/things"), _floor_write()
    read_one = _read_one("read one", dataset.tenants)
    read_member = _read_one("read one who is in groups", (dataset.club,))
    crowd = max(tenant.people for tenant in dataset.tenants)
    return [
        Comparison(_floor_read(dataset, "floor R on Rollcall's pool", "/fast-things"), reading),
        Comparison(_introspection(dataset), reading, 0.70),
        Comparison(read_one, reading, 0.60),
        Comparison(read_member, reading),
        Comparison(_look_up(dataset, crowd), reading, 0.50),
        Comparison(_page(f"page of {PAGE}, the first", dataset.tenants, 1), read_one, 1 / 6),
        Comparison(_page(f"page of {PAGE}, anywhere in {crowd:,}", dataset.tenants, crowd), read_one, 1 / 6),
        Comparison(_page(f"page of {PAGE} who are in groups", (dataset.club,), 1), read_member, 1 / 6),
        *(Comparison(operation, writing, 0.35) for operation in _changes(dataset)),
        *(Comparison(_join(dataset, (group,)), writing, 0.30) for group in dataset.groups),
        Comparison(_join(dataset, (dataset.groups[1], dataset.neighbours_groups)), writing, 0.30),
        Comparison(_join(dataset, dataset.groups[-1:]), _join(dataset, dataset.groups[:1]), AT_MOST_GROWN),
    ]


def growth(dataset: Dataset, smaller: Dataset) -> list[Comparison]:
    """Everything that is measured on *dataset*, each held against the same on a *smaller* one."""
    return [
        Comparison(large, replace(small, target=Target.SMALLER, name=f"{small.name} (smaller)"), AT_MOST_GROWN)
        for large, small in zip(_everything(dataset), _everything(smaller), strict=True)
    ]


def _everything(dataset: Dataset) -> list[Operation]:
    return [
        _introspection(dataset),
        _read_one("read one", dataset.tenants),
        _look_up(dataset, max(tenant.people for tenant in dataset.tenants)),
        _page(f"page of {PAGE}, the first", dataset.tenants, 1),
        _create("create", dataset.tenants),
        _deactivate("PATCH active=false", dataset, dataset.tenants),
        _replace("PUT", dataset.tenants),
        _join(dataset, dataset.groups[:1]),
    ]


def _changes(dataset: Dataset) -> list[Operation]:
    at_once = "two tenants at once"
    return [
        _create("create", dataset.tenants),
        _create(f"create, {at_once}", dataset.pair),
        _deactivate("PATCH active=false", dataset, dataset.tenants),
        _deactivate(f"PATCH active=false, {at_once}", dataset, dataset.pair),
        _replace("PUT", dataset.tenants),
        _replace(f"PUT, {at_once}", dataset.pair),
    ]


def _floor_read(dataset: Dataset, name: str, folder: str) -> Operation:
    requests = [request("GET", f"{folder}/{thing}", {}) for thing in dataset.things[:SAMPLE]]
    return Operation(name, Target.FLOOR, lambda _most: requests, holds=b"Okonkwo")


def _floor_write() -> Operation:
    headers = {"Content-Type": "application/json"}

    def write(most: int) -> list[bytes]:
        return [request("POST", "/things", headers, person_text(next(_NUMBERS)).encode()) for _ in range(most)]

    return Operation("floor W", Target.FLOOR, write, status=201, again=False)


def _introspection(dataset: Dataset) -> Operation:
    headers = {"Authorization": f"Bearer {dataset.application_key}", "Content-Type": _FORM}
    requests = _shuffled(
        request("POST", "/oauth/introspect", headers, f"token={person.session}".encode())
        for tenant in dataset.tenants
        for person in tenant.sample
    )
    return Operation("introspection", Target.ROLLCALL, lambda _most: requests, holds=b'"active":true')


def _read_one(name: str, tenants: Sequence[Tenant]) -> Operation:
    requests = _shuffled(
        request("GET", f"/scim/v2/Users/{person.id}", _bearer(tenant)) for tenant in tenants for person in tenant.sample
    )
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"userName"')


def _look_up(dataset: Dataset, crowd: int) -> Operation:
    requests = _shuffled(
        request("GET", "/scim/v2/Users?filter=" + quote(f'userName eq "{person.user_name}"'), _bearer(tenant))
        for tenant in dataset.tenants
        for person in tenant.sample
    )
    name = f"look-up by userName among {crowd:,}"
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":1,')


def _page(name: str, tenants: Sequence[Tenant], last_start: int) -> Operation:
    lot = random.Random(7643)
    requests = [
        request("GET", f"/scim/v2/Users?startIndex={1 + lot.randrange(last_start)}&count={PAGE}", _bearer(tenant))
        for tenant in tenants
        for _ in range(-(-500 // len(tenants)))
    ]
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":')


def _create(name: str, tenants: Sequence[Tenant]) -> Operation:
    def write(most: int) -> list[bytes]:
        return [
            request(
                "POST",
                "/scim/v2/Users",
                _bearer(tenants[number % len(tenants)]) | {"Content-Type": _SCIM},
                person_text(f"new-{next(_NUMBERS)}").encode(),
            )
            for number in range(most)
        ]

    return Operation(name, Target.ROLLCALL, write, status=201, holds=b'"userName"', again=False)


def _deactivate(name: str, dataset: Dataset, tenants: Sequence[Tenant]) -> Operation:
    body = orjson.dumps(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        }
    )

    def write(most: int) -> list[bytes]:
        return [
            request("PATCH", f"/scim/v2/Users/{person}", _bearer(tenant) | {"Content-Type": _SCIM}, body)
            for tenant, person in dataset.newcomers(tenants, most)
        ]

    return Operation(name, Target.ROLLCALL, write, holds=b'"userName"', again=False)


def _join(dataset: Dataset, groups: Sequence[Groups]) -> Operation:
    """One more member, for groups of each of *groups* in turn."""
    of = {each.tenant.slug: cycle(each.ids) for each in groups}
    members = groups[0].members
    name = f"+1 in a group of {members:,}" + (", two tenants at once" if len(groups) > 1 else "")

    def body(person: UUID) -> bytes:
        addition = {"op": "add", "path": "members", "value": [{"value": str(person)}]}
        return orjson.dumps({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [addition]})

    def write(most: int) -> list[bytes]:
        return [
            request(
                "PATCH",
                f"/scim/v2/Groups/{next(of[tenant.slug])}?attributes=displayName",
                _bearer(tenant) | {"Content-Type": _SCIM},
                body(person),
            )
            for tenant, person in dataset.newcomers([each.tenant for each in groups], most)
        ]

    return Operation(name, Target.ROLLCALL, write, holds=b'"displayName"', again=False)


def _replace(name: str, tenants: Sequence[Tenant]) -> Operation:
    people = [(tenant, person) for tenant in tenants for person in tenant.sample]
    random.Random(7644).shuffle(people)

    def write(most: int) -> list[bytes]:
        return [
            request(
                "PUT",
                f"/scim/v2/Users/{person.id}",
                _bearer(tenant) | {"Content-Type": _SCIM},
                _with_title(person.user_name, f"Engineer {next(_NUMBERS)}"),
            )
            for tenant, person in (people[number % len(people)] for number in range(most))
        ]

    return Operation(name, Target.ROLLCALL, write, holds=b'"userName"', again=False)


def _with_title(user_name: str, title: str) -> bytes:
    """The person that *user_name* was made from, promoted."""
    number = user_name.removeprefix("amara.okonkwo.").partition("@")[0]
    return orjson.dumps(orjson.loads(person_text(number)) | {"title": title})


def _bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.token}"}


def _shuffled(requests: Iterable[bytes]) -> list[bytes]:
    mixed = list(requests)
    random.Random(7662).shuffle(mixed)
    return mixed
