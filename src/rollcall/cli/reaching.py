"""How a command reaches a tenant or all of them: names looked up, with a guess at what was meant, and work opened."""

from collections.abc import Awaitable, Callable, Sequence
from difflib import get_close_matches
from typing import TypeVar
from uuid import UUID

from rollcall.cli.giving_up import give_up
from rollcall.cli.running import actor, origin, run_with_database
from rollcall.db import Database
from rollcall.directory import people
from rollcall.directory.people import Person
from rollcall.errors import NotFound, Refusal
from rollcall.settings import Settings
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Fleet, TenantRef, Work, open_fleet, open_work

T = TypeVar("T")


class Unknown(NotFound):
    """A name that nobody has here, with those that it resembles and where all of them are listed."""

    def __init__(self, said: str, name: str, known: Sequence[str], listed_by: str) -> None:
        near = get_close_matches(name.casefold(), known, n=3)
        guess = f" Did you mean {' or '.join(f'“{each}”' for each in near)}?" if near else ""
        Refusal.__init__(self, f"{said}.{guess} See '{listed_by}'.")


def in_tenant(tenant: str, act: Callable[[Work], Awaitable[T]], settings: Settings | None = None) -> T:
    """Do something in one transaction of the tenant with this slug or id, as whoever is at the keyboard."""

    async def run(database: Database) -> T:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            return await act(work)

    return run_with_database(run, settings)


def across_tenants(act: Callable[[Fleet], Awaitable[T]], settings: Settings | None = None) -> T:
    """Do something across tenants in one transaction, as whoever is at the keyboard."""

    async def run(database: Database) -> T:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await act(fleet)

    return run_with_database(run, settings)


async def ref_of(database: Database, name: str) -> TenantRef:
    """The tenant with this slug or id.

    Raises:
        Unknown: there is none.
    """
    async with open_fleet(database, actor(), origin()) as fleet:
        return tenants.ref(await find_tenant(fleet, name))


async def find_tenant(fleet: Fleet, name: str) -> Tenant:
    """The tenant with this slug or id.

    Raises:
        Unknown: there is none.
    """
    try:
        return await tenants.find(fleet, name)
    except NotFound:
        begins = name[:3].casefold()  # of thousands, those that begin like it are read first
        near = await tenants.slugs_beginning(fleet, begins) or await tenants.slugs_beginning(fleet, begins[:1])
        raise Unknown(f"There is no tenant “{name}”", name, near, "rollcall tenants list") from None


async def find_person(work: Work, name: str) -> Person:
    """A person by userName or id.

    Raises:
        Unknown: this tenant has nobody of that name.
    """
    try:
        try:
            return await people.find(work, UUID(name))
        except ValueError:
            return await people.find_by_user_name(work, name)
    except NotFound:
        near = [each.account.user_name for each in await people.beginning(work, name[:2], limit=500)]
        said = f"There is nobody called “{name}” in {work.tenant.slug}"
        raise Unknown(said, name, near, f"rollcall people list {work.tenant.slug}") from None


def uuid_of(text: str, what: str, listed_by: str) -> UUID:
    """An id somebody typed; *listed_by* is the command that shows them."""
    try:
        return UUID(text)
    except ValueError:
        give_up(f"“{text}” is not the id of a {what}; see '{listed_by}'.")
