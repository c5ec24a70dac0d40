"""``/v1/tenants/{tenant}/portal-links``: the product lets a tenant's admin into the console, for one intent."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Request, Router, delete, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field, model_validator

from rollcall.access import contact_links, portal_links
from rollcall.access.authenticators import pages_address
from rollcall.access.models import Session
from rollcall.access.portal_links import GIVES, Intent, NewLink
from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import PRODUCT, TenantWork, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import check_role, needs
from rollcall.directory import people
from rollcall.tenancy.operators import OperatorRole, Right
from rollcall.work import Work

IntentName = Literal["setup", "tokens", "roles", "activity", "departures"]


LinkKind = Literal["admin", "contact"]


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
    kind: LinkKind = Field(
        default="admin",
        description="`admin`: for the person, once, for five minutes; `contact`: for somebody without an account, for "
        "whom the person vouches: the set-up alone, for `days`, as often as they open it",
    )
    label: str | None = Field(
        default=None, max_length=contact_links.LONGEST_LABEL, description="whom a link for a contact is for"
    )
    days: int | None = Field(
        default=None,
        ge=1,
        le=contact_links.MOST_DAYS,
        description="how long a contact's link is good; 7 if left out",
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "PortalLinkWanted":
        if self.kind == "admin" and (self.label is not None or self.days is not None):
            msg = "label and days are for the kind contact; leave them out"
            raise ValueError(msg)
        if self.kind == "contact" and (self.intent != "setup" or self.label is None or self.return_url is not None):
            msg = "a link of the kind contact has the intent setup and a label, and leads back nowhere"
            raise ValueError(msg)
        return self


class IssuedPortalLink(BaseModel):
    """A link as it is handed out once: send the admin's browser to ``url``, where it is good once, or the contact.

    It is null only for a call that is repeated with its ``Idempotency-Key`` more than ten minutes later.
    """

    id: UUID
    url: str | None
    intent: IntentName
    person_id: UUID
    expires_at: datetime


class ContactLinkView(BaseModel):
    """A link for somebody without an account."""

    id: UUID
    label: str = Field(description="whom it is for")
    person_id: UUID = Field(description="the admin who vouches for them, and owns what they make")
    created_at: datetime
    expires_at: datetime
    last_opened_at: datetime | None


@post(
    "/tenants/{tenant:str}/portal-links", guards=[PRODUCT], dependencies={"work": tenant_work}, opt=needs(Right.LINKS)
)
@idempotent(shows="url")
async def create_portal_link(
    request: Request[Any, Any, Any], work: TenantWork, data: JSONBody[PortalLinkWanted]
) -> IssuedPortalLink:
    """Make a link that lets an active admin into the console once, within five minutes, for one intent.

    What they make there is theirs, and ends with them. The link is in this answer and nowhere else. A key of the role
    support makes none with the intents tokens and roles, and none of the kind contact, by which more can be had than it
    may do.
    """
    if data.intent in GIVES:
        check_role(work.actor, OperatorRole.OPS, to=f" for a link with the intent {data.intent}")
    if data.kind == "contact":
        check_role(work.actor, OperatorRole.OPS, to=" for a link of the kind contact")
    person_id = await _named(work, data.person)
    base = pages_address(request.app.state.public_url)
    if data.kind == "contact":
        days = data.days or contact_links.MOST_DAYS
        new = await contact_links.issue(work, person_id, label=data.label or "", days=days)
        return _issued(new, f"{base}/console/contact?link={new.text}")
    new = await portal_links.issue(
        work,
        person_id,
        Intent(data.intent),
        return_url=data.return_url,
        origins=request.app.state.portal_return_origins,
    )
    return _issued(new, f"{base}/console/portal?link={new.text}")


@get("/tenants/{tenant:str}/portal-links", guards=[PRODUCT], dependencies={"work": tenant_work}, opt=needs(Right.LINKS))
async def list_contact_links(work: TenantWork, part: Part) -> Listing[ContactLinkView]:
    """The links for contacts that are good, newest first. Those for admins are over within minutes, and not listed."""
    return part.listing_of_all(await contact_links.live(work), _view)


@delete(
    "/tenants/{tenant:str}/portal-links/{link:str}",
    guards=[PRODUCT],
    dependencies={"work": tenant_work},
    opt=needs(Right.LINKS),
)
async def revoke_contact_link(work: TenantWork, link: FromPath[str]) -> None:
    """End a link for a contact, and every session that it opened. Doing it twice is the same as doing it once."""
    await contact_links.revoke(work, uuid_of(link, "link"))


def _issued(new: NewLink, url: str) -> IssuedPortalLink:
    row = new.row
    intent: Any = row.intent
    return IssuedPortalLink(id=row.id, url=url, intent=intent, person_id=row.account_id, expires_at=row.expires_at)


def _view(row: Session) -> ContactLinkView:
    return ContactLinkView(
        id=row.id,
        label=row.label or "",
        person_id=row.account_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_opened_at=row.seen_at,
    )


async def _named(work: Work, name: str) -> UUID:
    """The account of whoever is named by id or userName."""
    try:
        person_id = UUID(name)
    except ValueError:
        return (await people.find_by_user_name(work, name)).account.id
    return (await people.find(work, person_id)).account.id


router = Router("/", route_handlers=[create_portal_link, list_contact_links, revoke_contact_link], tags=["sessions"])
