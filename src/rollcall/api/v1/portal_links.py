"""``/v1/tenants/{tenant}/portal-links``: the product lets a tenant's admin into the console, for one intent."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Request, Router, post
from litestar.params import JSONBody
from pydantic import BaseModel, Field

from rollcall.access import portal_links
from rollcall.access.authenticators import pages_address
from rollcall.access.portal_links import GIVES, Intent
from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import PRODUCT, TenantWork, tenant_work
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.operator_roles import check_role, needs
from rollcall.directory import people
from rollcall.tenancy.operators import OperatorRole, Right
from rollcall.work import Work

IntentName = Literal["setup", "tokens", "roles", "activity", "departures"]


class PortalLinkWanted(Body):
    """A link into the console, for one admin and one intent."""

    intent: IntentName = Field(description="the one part of the console that it opens")
    person: str = Field(
        min_length=1, max_length=320, description="the active admin it is for: the product's id, SCIM's, or userName"
    )
    return_url: str | None = Field(
        default=None,
        max_length=2000,
        description="where the way back to your product leads; at one of `ROLLCALL_PORTAL_RETURN_ORIGINS`",
    )


class IssuedPortalLink(BaseModel):
    """A link as it is handed out once: send the admin's browser to ``url``; it is good once.

    It is null only for a call that is repeated with its ``Idempotency-Key`` more than ten minutes later.
    """

    id: UUID
    url: str | None
    intent: IntentName
    person_id: UUID
    expires_at: datetime


@post(
    "/tenants/{tenant:str}/portal-links", guards=[PRODUCT], dependencies={"work": tenant_work}, opt=needs(Right.LINKS)
)
@idempotent(shows="url")
async def create_portal_link(
    request: Request[Any, Any, Any], work: TenantWork, data: JSONBody[PortalLinkWanted]
) -> IssuedPortalLink:
    """Make a link that lets an active admin into the console once, within five minutes, for one intent.

    What they make there is theirs, and ends with them. The link is in this answer and nowhere else. A key of the role
    support makes none with the intents tokens and roles, by which more can be had than it may do.
    """
    if data.intent in GIVES:
        check_role(work.actor, OperatorRole.OPS, to=f" for a link with the intent {data.intent}")
    person_id = await _named(work, data.person)
    new = await portal_links.issue(
        work,
        person_id,
        Intent(data.intent),
        return_url=data.return_url,
        origins=request.app.state.portal_return_origins,
    )
    base = pages_address(request.app.state.public_url)
    return IssuedPortalLink(
        id=new.row.id,
        url=f"{base}/console/portal?link={new.text}",
        intent=data.intent,
        person_id=person_id,
        expires_at=new.row.expires_at,
    )


async def _named(work: Work, name: str) -> UUID:
    """The account of whoever is named by id or userName."""
    try:
        person_id = UUID(name)
    except ValueError:
        return (await people.find_by_user_name(work, name)).account.id
    return (await people.find(work, person_id)).account.id


router = Router("/", route_handlers=[create_portal_link], tags=["sessions"])
