"""``/v1/tenants/{tenant}/role-rule``: which names from the provider mean which role."""

from typing import Any

from litestar import Router, get, put
from litestar.params import JSONBody

from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work
from rollcall.directory import roles

_OF_TENANT = {"work": tenant_work}


@get("/tenants/{tenant:str}/role-rule", guards=[ADMINS], dependencies=_OF_TENANT)
async def get_role_rule(work: TenantWork) -> dict[str, Any]:
    """The rule in force and its version."""
    rule, version = await roles.current(work)
    return {"version": version, "rule": rule.model_dump(mode="json")}


@put("/tenants/{tenant:str}/role-rule", guards=[ADMINS], dependencies=_OF_TENANT)
async def put_role_rule(work: TenantWork, data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    """Put a rule in force; whoever conflicts under it keeps their role, and a case is opened."""
    changed = await roles.edit(work, roles.read_rule(data))
    rule, version = await roles.current(work)
    return {"version": version, "changed": changed, "rule": rule.model_dump(mode="json")}


router = Router("/", route_handlers=[get_role_rule, put_role_rule], tags=["roles"])
