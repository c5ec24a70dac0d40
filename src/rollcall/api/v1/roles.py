"""``/v1/tenants/{tenant}/role-rule``: which names from the provider mean which role."""

from dataclasses import asdict
from typing import Any

from litestar import Router, get, post, put
from litestar.params import JSONBody
from pydantic import BaseModel

from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work
from rollcall.api.v1.operator_roles import needs
from rollcall.directory import role_changes, roles
from rollcall.tenancy.operators import Right

MOST_PREVIEWED = 100
"""People whom a preview names."""

_OF_TENANT = {"work": tenant_work}


@get("/tenants/{tenant:str}/role-rule", guards=[ADMINS], dependencies=_OF_TENANT)
async def get_role_rule(work: TenantWork) -> dict[str, Any]:
    """The rule in force, its version, and how far the last change that many people's roles follow from has come."""
    return await _shown(work)


@put("/tenants/{tenant:str}/role-rule", guards=[ADMINS], dependencies=_OF_TENANT)
async def put_role_rule(work: TenantWork, data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    """Put a rule in force; whoever conflicts under it keeps their role, and a case is opened.

    Where it changes more than two thousand people, what it takes from them is taken with the answer, and the rest
    follows: `applied` says for how many it has still to.
    """
    changed = await roles.edit(work, roles.read_rule(data))
    return {**await _shown(work), "changed": changed}


async def _shown(work: TenantWork) -> dict[str, Any]:
    rule, version = await roles.current(work)
    progress = await role_changes.progress(work)
    applied = None if progress is None else asdict(progress)
    return {"version": version, "rule": rule.model_dump(mode="json"), "applied": applied}


class Previewed(BaseModel):
    """A person for whom a rule would change something."""

    person: str
    user_name: str
    before: str
    after: str
    names: str
    conflict: bool


class Preview(BaseModel):
    """What a rule would change: how many people in all, and the first of them."""

    changed: int
    conflicts: int
    people: list[Previewed]


@post(
    "/tenants/{tenant:str}/role-rule/preview",
    guards=[ADMINS],
    dependencies=_OF_TENANT,
    status_code=200,
    opt=needs(Right.PREVIEWS),
)
async def preview_role_rule(work: TenantWork, data: JSONBody[dict[str, Any]]) -> Preview:
    """Say what putting a rule in force would change, and change nothing."""
    shown = Preview(changed=0, conflicts=0, people=[])
    async for each in roles.preview(work, roles.read_rule(data)):
        shown.changed += each.before != each.after
        shown.conflicts += each.conflict
        if len(shown.people) < MOST_PREVIEWED:
            facts = {name: getattr(each, name) for name in ("user_name", "before", "after", "names", "conflict")}
            shown.people.append(Previewed(person=str(each.account_id), **facts))
    return shown


router = Router("/", route_handlers=[get_role_rule, put_role_rule, preview_role_rule], tags=["roles"])
