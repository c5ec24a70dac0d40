"""Operations that change something: people, groups, sessions; and the floor they are held against."""

import random
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any
from uuid import UUID

import orjson

from benchmarks.dataset import Dataset, Groups, Tenant, person_text
from benchmarks.load import request
from benchmarks.operations import NUMBERS, SCIM, Operation, Target, bearer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MEMBERS = 100
"""Members of a group that is created."""


def floor_write() -> Operation:
    headers = {"Content-Type": "application/json"}

    def write(most: int) -> list[bytes]:
        return [request("POST", "/things", headers, person_text(next(NUMBERS)).encode()) for _ in range(most)]

    return Operation("floor W", Target.FLOOR, write, status=201, again=False)


def create(name: str, tenants: Sequence[Tenant]) -> Operation:
    def write(most: int) -> list[bytes]:
        return [
            request(
                "POST",
                "/scim/v2/Users",
                bearer(tenants[number % len(tenants)]) | {"Content-Type": SCIM},
                person_text(f"new-{next(NUMBERS)}").encode(),
            )
            for number in range(most)
        ]

    return Operation(name, Target.ROLLCALL, write, status=201, holds=b'"userName"', again=False)


def join(dataset: Dataset, groups: Sequence[Groups]) -> Operation:
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
                bearer(tenant) | {"Content-Type": SCIM},
                body(person),
            )
            for tenant, person in dataset.newcomers([each.tenant for each in groups], most)
        ]

    return Operation(name, Target.ROLLCALL, write, holds=b'"displayName"', again=False)


def bulk(tenants: Sequence[Tenant], people: int) -> Operation:
    """So many creations in one Bulk request, over two connections; told in people a second."""

    def creation() -> dict[str, Any]:
        number = next(NUMBERS)
        data = orjson.loads(person_text(f"new-{number}"))
        del data["addresses"], data["phoneNumbers"]  # so that a thousand are no more than a body may have
        return {"method": "POST", "path": "/Users", "bulkId": f"b{number}", "data": data}

    def write(most: int) -> list[bytes]:
        return [
            request(
                "POST",
                "/scim/v2/Bulk",
                bearer(tenants[number % len(tenants)]) | {"Content-Type": SCIM},
                orjson.dumps(
                    {
                        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
                        "Operations": [creation() for _ in range(people)],
                    }
                ),
            )
            for number in range(most)
        ]

    name = f"Bulk of {people:,} creations, in people"
    return Operation(name, Target.ROLLCALL, write, holds=b'"201"', again=False, people=people, connections=2)


def create_group(tenants: Sequence[Tenant]) -> Operation:
    """A new group of a hundred people."""
    lot = random.Random(7645)

    def body(tenant: Tenant) -> bytes:
        members = lot.sample(tenant.sample, min(MEMBERS, len(tenant.sample)))
        return orjson.dumps(
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": f"group {next(NUMBERS)}",
                "members": [{"value": str(person.id)} for person in members],
            }
        )

    def write(most: int) -> list[bytes]:
        chosen = (tenants[number % len(tenants)] for number in range(most))
        return [
            request("POST", "/scim/v2/Groups?attributes=displayName", bearer(each) | {"Content-Type": SCIM}, body(each))
            for each in chosen
        ]

    name = f"POST of a group of {MEMBERS}"
    return Operation(name, Target.ROLLCALL, write, status=201, holds=b'"displayName"', again=False)


def patch(name: str, tenants: Sequence[Tenant], change: Callable[[int, Tenant], dict[str, Any]]) -> Operation:
    """A PATCH of people who are asked about; *change* makes the operation from a number that nobody has had before."""
    people = [(tenant, person) for tenant in tenants for person in tenant.sample]
    random.Random(7646).shuffle(people)
    following = cycle(people)

    def one() -> bytes:
        tenant, person = next(following)
        return _patch(tenant, person.id, change(next(NUMBERS), tenant))

    return Operation(name, Target.ROLLCALL, lambda most: [one() for _ in range(most)], holds=b'"userName"', again=False)


def title(number: int, _tenant: Tenant) -> dict[str, Any]:
    """Another title."""
    return {"op": "replace", "path": "title", "value": f"Engineer {number}"}


def manager(number: int, tenant: Tenant) -> dict[str, Any]:
    """Somebody else of those who are asked about."""
    boss = tenant.sample[number * 7919 % len(tenant.sample)]
    return {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": {"value": str(boss.id)}}


def promote(name: str, dataset: Dataset, tenants: Sequence[Tenant]) -> Operation:
    """Another role for somebody who has the one that everybody has."""
    change = {"op": "replace", "path": "roles", "value": [{"value": "dart-guests"}]}
    return _newcomers(name, lambda most: dataset.newcomers(tenants, most), change)


def deactivate(name: str, dataset: Dataset, tenants: Sequence[Tenant]) -> Operation:
    """Somebody leaves who is signed in."""
    return _newcomers(name, lambda most: dataset.newcomers(tenants, most), _active(to=False))


def reactivate(name: str, dataset: Dataset, tenants: Sequence[Tenant]) -> Operation:
    """Somebody comes back."""
    return _newcomers(name, lambda most: dataset.newcomers(tenants, most, active=False), _active(to=True))


def _active(*, to: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": to}


def _newcomers(name: str, bring: Callable[[int], Sequence[tuple[Tenant, UUID]]], change: dict[str, Any]) -> Operation:
    def write(most: int) -> list[bytes]:
        return [_patch(tenant, person, change) for tenant, person in bring(most)]

    return Operation(name, Target.ROLLCALL, write, holds=b'"userName"', again=False)


def remove(name: str, dataset: Dataset, tenants: Sequence[Tenant]) -> Operation:
    """DELETE of somebody who is signed in."""

    def write(most: int) -> list[bytes]:
        return [
            request("DELETE", f"/scim/v2/Users/{person}", bearer(tenant))
            for tenant, person in dataset.newcomers(tenants, most)
        ]

    return Operation(name, Target.ROLLCALL, write, status=204, again=False)


def replace(name: str, tenants: Sequence[Tenant], *, renamed: bool = False) -> Operation:
    """A PUT with another title and, if they are *renamed*, with other names as well."""
    people = [(tenant, person) for tenant in tenants for person in tenant.sample]
    random.Random(7644).shuffle(people)

    def body(position: int) -> bytes:
        number = next(NUMBERS)
        changed: dict[str, Any] = orjson.loads(person_text(people[position][1].number))
        changed["title"] = f"Engineer {number}"
        if renamed:
            changed["displayName"] = f"Amara Okafor {number}"
            changed["name"] = {"familyName": f"Okafor {number}", "givenName": "Amara"}
        return orjson.dumps(changed)

    def write(most: int) -> list[bytes]:
        return [
            request(
                "PUT",
                f"/scim/v2/Users/{person.id}",
                bearer(tenant) | {"Content-Type": SCIM},
                body(number % len(people)),
            )
            for number, (tenant, person) in zip(range(most), cycle(people), strict=False)
        ]

    return Operation(name, Target.ROLLCALL, write, holds=b'"userName"', again=False)


def sign_in(dataset: Dataset) -> Operation:
    """The product opens a session for somebody who is signed in by the provider."""
    people = cycle([(tenant, person) for tenant in dataset.tenants for person in tenant.sample])
    headers = {"Authorization": f"Bearer {dataset.application_key}", "Content-Type": "application/json"}

    def write(most: int) -> list[bytes]:
        return [
            request(
                "POST",
                "/v1/sessions",
                headers,
                orjson.dumps({"tenant": tenant.slug, "external_id": person.external_id}),
            )
            for _, (tenant, person) in zip(range(most), people, strict=False)
        ]

    return Operation("sign-in to a session", Target.ROLLCALL, write, status=201, holds=b'"token"', again=False)


def _patch(tenant: Tenant, person: UUID, change: dict[str, Any]) -> bytes:
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [change]}
    return request("PATCH", f"/scim/v2/Users/{person}", bearer(tenant) | {"Content-Type": SCIM}, orjson.dumps(body))
