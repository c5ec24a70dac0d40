"""``/v1/tenants/{tenant}/deputy``: who becomes an admin when nobody is one any more."""

from uuid import UUID

from litestar import Router, delete, put
from litestar.params import JSONBody
from pydantic import Field

from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work
from rollcall.api.v1.people import PersonView, person_view
from rollcall.directory import deputies


class DeputyNamed(Body):
    """The person who is to be the deputy."""

    person: UUID = Field(description="their id; an active person who is no admin")


@put("/tenants/{tenant:str}/deputy", guards=[ADMINS], dependencies={"work": tenant_work})
async def name_deputy(work: TenantWork, data: JSONBody[DeputyNamed]) -> PersonView:
    """Name the deputy, in the place of whoever was.

    Where the tenant has `last_admin` `keep_one`, they become an admin in the moment in which the last one stops being
    one; at once, if nobody is.
    """
    return person_view(await deputies.name(work, data.person))


@delete("/tenants/{tenant:str}/deputy", guards=[ADMINS], dependencies={"work": tenant_work})
async def dismiss_deputy(work: TenantWork) -> None:
    """Have no deputy any more."""
    await deputies.dismiss(work)


router = Router("/", route_handlers=[name_deputy, dismiss_deputy], tags=["tenants"])
