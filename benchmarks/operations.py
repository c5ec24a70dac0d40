"""What is measured, what it is measured against, and the goal of each comparison."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from urllib.parse import quote

import orjson

from benchmarks.ground import SAMPLE, Ground, Tenant, person_text
from benchmarks.load import request


class Target(Enum):
    """Which server an operation asks."""

    FLOOR = "floor"
    ROLLCALL = "rollcall"


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


PAGE = 100
_SCIM = "application/scim+json"
_FORM = "application/x-www-form-urlencoded"
_NUMBERS = count(1)


def comparisons(ground: Ground) -> list[Comparison]:
    """Everything that is measured on *ground*."""
    reading, writing = _floor_read(ground, "floor R", "/things"), _floor_write()
    read_one = _read_one(ground)
    crowd = max(tenant.people for tenant in ground.tenants)
    return [
        Comparison(_floor_read(ground, "floor R on Rollcall's pool", "/fast-things"), reading),
        Comparison(_introspection(ground), reading, 0.70),
        Comparison(read_one, reading, 0.60),
        Comparison(_look_up(ground, crowd), reading, 0.50),
        Comparison(_page(ground, f"page of {PAGE}, the first", 1), read_one, 1 / 6),
        Comparison(_page(ground, f"page of {PAGE}, anywhere in {crowd:,}", crowd), read_one, 1 / 6),
        Comparison(_create("create", ground.tenants), writing, 0.35),
        Comparison(_create("create, two tenants at once", (ground.tenants[0], ground.neighbour)), writing, 0.35),
        Comparison(_deactivate(ground), writing, 0.35),
        Comparison(_replace(ground), writing, 0.35),
    ]


def _floor_read(ground: Ground, name: str, folder: str) -> Operation:
    requests = [request("GET", f"{folder}/{thing}", {}) for thing in ground.things[:SAMPLE]]
    return Operation(name, Target.FLOOR, lambda _most: requests, holds=b"Okonkwo")


def _floor_write() -> Operation:
    headers = {"Content-Type": "application/json"}

    def write(most: int) -> list[bytes]:
        return [request("POST", "/things", headers, person_text(next(_NUMBERS)).encode()) for _ in range(most)]

    return Operation("floor W", Target.FLOOR, write, status=201, again=False)


def _introspection(ground: Ground) -> Operation:
    headers = {"Authorization": f"Bearer {ground.application_key}", "Content-Type": _FORM}
    requests = _shuffled(
        request("POST", "/oauth/introspect", headers, f"token={person.session}".encode())
        for tenant in ground.tenants
        for person in tenant.sample
    )
    return Operation("introspection", Target.ROLLCALL, lambda _most: requests, holds=b'"active":true')


def _read_one(ground: Ground) -> Operation:
    requests = _shuffled(
        request("GET", f"/scim/v2/Users/{person.id}", _bearer(tenant))
        for tenant in ground.tenants
        for person in tenant.sample
    )
    return Operation("read one", Target.ROLLCALL, lambda _most: requests, holds=b'"userName"')


def _look_up(ground: Ground, crowd: int) -> Operation:
    requests = _shuffled(
        request("GET", "/scim/v2/Users?filter=" + quote(f'userName eq "{person.user_name}"'), _bearer(tenant))
        for tenant in ground.tenants
        for person in tenant.sample
    )
    name = f"look-up by userName among {crowd:,}"
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":1,')


def _page(ground: Ground, name: str, last_start: int) -> Operation:
    lot = random.Random(7643)
    requests = [
        request("GET", f"/scim/v2/Users?startIndex={1 + lot.randrange(last_start)}&count={PAGE}", _bearer(tenant))
        for tenant in ground.tenants
        for _ in range(-(-500 // len(ground.tenants)))
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


def _deactivate(ground: Ground) -> Operation:
    body = orjson.dumps(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        }
    )

    def write(most: int) -> list[bytes]:
        return [
            request("PATCH", f"/scim/v2/Users/{person}", _bearer(tenant) | {"Content-Type": _SCIM}, body)
            for tenant, person in ground.leavers(most)
        ]

    return Operation("PATCH active=false", Target.ROLLCALL, write, holds=b'"userName"', again=False)


def _replace(ground: Ground) -> Operation:
    people = [(tenant, person) for tenant in ground.tenants for person in tenant.sample]

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

    return Operation("PUT", Target.ROLLCALL, write, holds=b'"userName"', again=False)


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
