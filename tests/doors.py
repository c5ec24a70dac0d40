"""Ways to change a tenant, each as a call that can be made again and again beside any other: what meets at locks."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar
from sqlalchemy.exc import DBAPIError

from factories import DART_RULE, ORIGIN, USER, Callers, Tenant, a_tenant, deactivation, in_process, patch_op
from rollcall.billing import leases
from rollcall.billing.leases import AnswerOverdue
from rollcall.db import Connection
from rollcall.provisioning import profile_taking
from rollcall.tenancy import customers
from rollcall.tenancy.standing import Standing
from rollcall.work import SYSTEM, open_fleet

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SWAPPED: dict[str, Any] = {**DART_RULE, "default": "guest"}
"""The dart- rule with another default, which concerns everybody who has no role of the provider's."""

FAMILIAR = {200, 201, 204, 400, 401, 403, 404, 409, 412, 429, 503}
"""Statuses that a call which meets others may end with; 500 is none of them."""


@dataclass
class Company:
    """A tenant with a few people and groups, all of which everybody changes at the same time, and two processes."""

    tenant: Tenant
    people: list[str]
    admins: list[dict[str, str]]
    roles: list[str]
    """Groups whose names count for roles; the second is inside the first."""
    plain: list[str]
    clients: Iterator[httpx.AsyncClient]
    rules: Iterator[dict[str, Any]]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def somebody(self) -> str:
        """The id of one of the people, by chance."""
        return random.choice(self.people)  # no secret

    def some(self, many: int = 3) -> list[dict[str, str]]:
        """Some people as members, in no particular order."""
        return [{"value": each} for each in random.sample(self.people, many)]

    async def scim(self, method: str, address: str, body: Any = None) -> httpx.Response:
        """A call of the identity provider, to one process after the other."""
        headers = {"Authorization": f"Bearer {self.tenant.token['token']}"}
        return await next(self.clients).request(method, f"/scim/v2{address}", json=body, headers=headers)

    async def management(self, method: str, address: str, body: Any = None, key: str = "") -> httpx.Response:
        """A call of ops, or of whoever has *key*."""
        authorization = f"Bearer {key}" if key else self.tenant.callers.operator.headers["authorization"]
        headers = {"Authorization": authorization}
        return await next(self.clients).request(method, f"{self.tenant.v1}{address}", json=body, headers=headers)


Door = Callable[[Company], Awaitable[httpx.Response]]


async def create_and_remove(company: Company) -> httpx.Response:
    """Somebody comes, under an externalId that others use too, and goes."""
    number = next(company.numbers)
    body = {"schemas": [USER], "userName": f"new-{number}", "externalId": f"x{number % 3}", "roles": ["dart-guests"]}
    made = await company.scim("POST", "/Users", body)
    return made if made.status_code != 201 else await company.scim("DELETE", f"/Users/{made.json()['id']}")


async def remove_a_member(company: Company) -> httpx.Response:
    """Somebody who is in groups is removed, while others put them into more."""
    number = next(company.numbers)
    made = await company.scim("POST", "/Users", {"schemas": [USER], "userName": f"member-{number}"})
    if made.status_code != 201:
        return made
    person = made.json()["id"]
    for group in (company.plain[1], company.roles[1], company.plain[0]):
        await company.scim("PATCH", f"/Groups/{group}", _add({"value": person}))
    removal, _ = await asyncio.gather(
        company.scim("DELETE", f"/Users/{person}"),
        company.scim("PATCH", f"/Groups/{company.roles[0]}", _add({"value": person})),
    )
    return removal


async def give_roles(company: Company) -> httpx.Response:
    """A person's role names change; now and then they conflict."""
    names = random.sample(["dart-guests", "dart-members", "dart-technical-admins"], random.randint(0, 2))
    body = patch_op({"op": "replace", "path": "roles", "value": [{"value": name} for name in names]})
    return await company.scim("PATCH", f"/Users/{company.somebody()}", body)


async def leave_and_return(company: Company) -> httpx.Response:
    """Somebody leaves, and is let in again."""
    address = f"/Users/{company.somebody()}"
    await company.scim("PATCH", address, deactivation())
    return await company.scim("PATCH", address, patch_op({"op": "replace", "path": "active", "value": True}))


async def make_a_role_group(company: Company) -> httpx.Response:
    """A group whose name counts for roles is made with people in it, and deleted."""
    name = f"dart-{random.choice(['guests', 'members'])}"
    made = await company.scim("POST", "/Groups", {"schemas": [GROUP], "displayName": name, "members": company.some()})
    return made if made.status_code != 201 else await company.scim("DELETE", f"/Groups/{made.json()['id']}")


async def change_role_members(company: Company) -> httpx.Response:
    """People come into a group that counts for roles, and go."""
    address = f"/Groups/{random.choice(company.roles)}"
    await company.scim("PATCH", address, _add(*company.some()))
    members = patch_op({"op": "remove", "path": "members", "value": company.some(5)})
    return await company.scim("PATCH", address, members)


async def change_plain_members(company: Company) -> httpx.Response:
    """The same for a group that counts for nothing, whole and in part."""
    address = f"/Groups/{random.choice(company.plain)}"
    await company.scim("PATCH", address, _add(*company.some()))
    body = {"schemas": [GROUP], "displayName": "Plain", "members": company.some(4)}
    return await company.scim("PUT", address, body)


async def rename(company: Company) -> httpx.Response:
    """A group comes to count for a role, and stops."""
    address = f"/Groups/{company.plain[0]}"
    for name in ("dart-guests", "Plain"):
        answer = await company.scim("PATCH", address, patch_op({"op": "replace", "path": "displayName", "value": name}))
    return answer


async def nest(company: Company) -> httpx.Response:
    """Groups are put into each other, which is sometimes a circle, and taken out."""
    outer, inner = random.sample([*company.roles, *company.plain], 2)
    await company.scim("PATCH", f"/Groups/{outer}", _add({"value": inner}))
    return await company.scim(
        "PATCH", f"/Groups/{outer}", patch_op({"op": "remove", "path": f'members[value eq "{inner}"]'})
    )


async def make_and_nest(company: Company) -> httpx.Response:
    """A plain group is made, put into another one and deleted there."""
    made = await company.scim("POST", "/Groups", {"schemas": [GROUP], "displayName": "x", "members": company.some(1)})
    if made.status_code != 201:
        return made
    await company.scim("PATCH", f"/Groups/{random.choice(company.plain)}", _add({"value": made.json()["id"]}))
    return await company.scim("DELETE", f"/Groups/{made.json()['id']}")


async def edit_the_rule(company: Company) -> httpx.Response:
    """An admin edits the role rule."""
    return await company.management("PUT", "/role-rule", next(company.rules))


async def change_by_hand(company: Company) -> httpx.Response:
    """An admin gives a role by hand, and takes it back."""
    address = f"/people/{company.somebody()}"
    await company.management("POST", f"{address}/role", {"role": "guest"})
    return await company.management("DELETE", f"{address}/role-override")


async def end_each_other(company: Company) -> httpx.Response:
    """Two admins deactivate each other, by their own keys, and ops let them in again."""
    one, other = company.admins
    await asyncio.gather(
        company.management("POST", f"/people/{other['id']}/deactivate", {}, one["key"]),
        company.management("POST", f"/people/{one['id']}/deactivate", {}, other["key"]),
    )
    for each in company.admins:
        await company.management("POST", f"/people/{each['id']}/reactivate")
        if (issued := await _key(company, each["id"])) is not None:
            each["key"] = issued
    return await company.management("POST", f"/people/{one['id']}/appoint")


async def issue_and_revoke(company: Company) -> httpx.Response:
    """A token is issued, rotated and revoked."""
    made = await company.management("POST", "/tokens", {"label": "x", "owner": company.tenant.admin["id"]})
    if made.status_code != 201:
        return made
    await company.management("POST", f"/tokens/{made.json()['id']}/rotate", {"overlap_seconds": 1})
    return await company.management("POST", f"/tokens/{made.json()['id']}/revoke")


async def change_the_tenant(company: Company) -> httpx.Response:
    """Ops change the tenant's terms."""
    return await company.management("PATCH", "", {"name": f"Company {next(company.numbers)}"})


async def take_a_profile(company: Company) -> httpx.Response:
    """Ops have the profile take itself anew, the provider says its name, and what looks at that takes it.

    The test has every moment be a quiet one (`profile_taking.QUIET`).
    """
    callers = company.tenant.callers
    answer = await company.management("PATCH", "", {"profile": "default"})
    answer = await company.management("PATCH", "", {"profile": "auto"})
    await company.tenant.scim.get("/Users", params={"count": "1"}, headers={"User-Agent": "Okta SCIM Client 1.0.0"})
    await callers.app.state.context.batched_entries.flush()
    await profile_taking.look_at(callers.database.pool, [UUID(company.tenant.id)])
    return answer


async def pay_and_not(company: Company) -> httpx.Response:
    """A billing system says what is paid for, and then nothing; each is brought to the tenant, unless overtaken."""
    database, customer = company.tenant.callers.database, company.tenant.id
    for standing in (Standing(plan="enterprise", seats=5000), Standing(features=("events",), seats=4000), Standing()):
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            await customers.hear(fleet, customer, customers.OWN)
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            leased = await leases.lease_one(fleet, customer, seconds=60)
        with suppress(AnswerOverdue, DBAPIError):  # as a lock is not to be had; a worker tries again
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                await leases.answered(fleet, leased, standing)
    return await company.management("GET", "/billing")


DOORS: Sequence[Door] = (
    create_and_remove,
    remove_a_member,
    give_roles,
    leave_and_return,
    make_a_role_group,
    change_role_members,
    change_plain_members,
    rename,
    nest,
    make_and_nest,
    edit_the_rule,
    change_by_hand,
    end_each_other,
    issue_and_revoke,
    change_the_tenant,
    take_a_profile,
    pay_and_not,
)


def _add(*members: dict[str, str]) -> dict[str, Any]:
    return patch_op({"op": "add", "path": "members", "value": list(members)})


async def _key(company: Company, person: str) -> str | None:
    issued = await company.management("POST", "/tokens", {"label": "admin", "owner": person, "scopes": ["admin"]})
    return issued.json()["token"] if issued.status_code == 201 else None


async def a_company(callers: Callers, *apps: Litestar) -> Company:
    """A company of eight people, two admins and four groups, whose calls go to these processes in turn."""
    tenant = await a_tenant(callers)
    people = [(await tenant.person())["id"] for _ in range(8)]
    clients = [httpx.AsyncClient(transport=in_process(app), base_url=callers.base_url) for app in apps]
    company = Company(tenant, people, [], [], [], itertools.cycle(clients), itertools.cycle((SWAPPED, DART_RULE)))
    for _ in range(2):
        person = (await tenant.person())["id"]
        await company.management("POST", f"/people/{person}/appoint")
        key = await _key(company, person)
        assert key is not None
        company.admins.append({"id": person, "key": key})
    for names, into in ((("dart-members", "dart-guests"), company.roles), (("Plain", "Other"), company.plain)):
        for name in names:
            made = await company.scim("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
            assert made.status_code == 201, made.text
            into.append(made.json()["id"])
    return company


async def meet(company: Company, doors: Sequence[Door], *, seconds: float, at_once: int = 2) -> Counter[int]:
    """Go through each door *at_once* times side by side, again and again; returns the statuses of the last answers."""
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds

    async def go(door: Door) -> None:
        while time.monotonic() < until:
            answer = await door(company)
            assert answer.status_code in FAMILIAR, f"{door.__name__}: {answer.status_code} {answer.text}"
            statuses[answer.status_code] += 1

    await asyncio.gather(*(go(door) for door in doors for _ in range(at_once)))
    return statuses


async def deadlocks(watcher: Connection, *, wait: float = 1.2) -> int:
    """How many there have been in this database; a connection says what it met a second after the last time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await asyncio.Event().wait()
    found: int = await watcher.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return found
