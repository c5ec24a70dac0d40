"""``/v1/tenants/{tenant}/people``: who is in, in which role, and why."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import sessions
from rollcall.access.models import Session
from rollcall.access.sessions import Purpose
from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import ADMINS, ANYBODY, TenantWork, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.directory import conflict_cases, linking, people
from rollcall.directory.models import ConflictCase
from rollcall.directory.people import Draft, Person
from rollcall.errors import NotFound


class PersonView(BaseModel):
    """A person of a tenant. Their ``id`` is the product's; ``scim_id`` is None once their provider removed them."""

    id: UUID
    scim_id: UUID | None
    user_name: str
    display_name: str | None
    external_id: str | None
    active: bool
    role: str
    role_origin: str
    is_admin: bool
    created_at: datetime
    deactivated_at: datetime | None
    deactivated_because: str | None
    linked_to: UUID | None = Field(description="the account this one's person was linked to by hand")


class People(Listing[PersonView]):
    """Some of a tenant's people, and how many there are."""

    total: int


class NewPerson(Body):
    """A person to take in by hand."""

    user_name: str = Field(min_length=1, max_length=320)
    given_name: str | None = Field(default=None, max_length=200)
    family_name: str | None = Field(default=None, max_length=200)
    display_name: str | None = Field(default=None, max_length=400)
    email: str | None = Field(default=None, max_length=320)
    external_id: str | None = Field(default=None, max_length=500)
    role: str | None = Field(default=None, description="a role key; the tenant's default role if left out")


class RoleGiven(Body):
    """A role to give by hand."""

    role: str


class Deactivation(Body):
    """Why somebody is deactivated; it stands in the receipt."""

    reason: str = Field(default="deactivated by an admin", min_length=1, max_length=500)


class Linking(Body):
    """Whom a person was before they were removed."""

    former: UUID = Field(description="the id of their former account, one without a `scim_id`")


class SessionView(BaseModel):
    """An open session, without what opens it."""

    id: UUID
    purpose: Purpose = Field(description="`product` for those that your product opened; others are the console's")
    label: str | None
    created_at: datetime
    expires_at: datetime


class CaseView(BaseModel):
    """What an admin should know of one person's role names."""

    id: UUID
    kind: Literal["conflict", "unknown_role"] = Field(
        description="`conflict`, or the mild `unknown_role`: a name is like a role's and none, and means the default"
    )
    user_id: UUID | None
    user_name: str
    roles: list[str]
    names: list[dict[str, Any]]
    detail: str
    first_seen: datetime
    last_seen: datetime
    times: int
    closed_at: datetime | None
    closed_because: str | None


def person_view(person: Person) -> PersonView:
    """A person as they are shown."""
    account, user = person.account, person.user
    return PersonView(
        id=account.id,
        scim_id=None if user is None else user.id,
        user_name=account.user_name,
        display_name=None if user is None else user.document.get("displayName"),
        external_id=account.external_id,
        active=account.active,
        role=account.role,
        role_origin=account.role_state["origin"],
        is_admin=account.is_admin,
        created_at=account.created_at,
        deactivated_at=account.deactivated_at,
        deactivated_because=account.deactivated_because,
        linked_to=account.linked_to,
    )


def session_view(row: Session) -> SessionView:
    """An open session as it is shown."""
    return SessionView.model_validate(row, from_attributes=True)


def case_view(row: ConflictCase) -> CaseView:
    """A conflict case as it is shown."""
    return CaseView.model_validate(row, from_attributes=True)


_ONE = "/tenants/{tenant:str}/people/{person:str}"
_OF_TENANT = {"work": tenant_work}


@get("/tenants/{tenant:str}/people", guards=[ANYBODY], dependencies=_OF_TENANT)
async def list_people(work: TenantWork, part: Part, user_name: FromQuery[str | None] = None) -> People:
    """The tenant's people in the order they came, or the one with this userName."""
    if user_name is not None:
        try:
            one = [person_view(await people.find_by_user_name(work, user_name))]
        except NotFound:
            one = []
        return People(total=len(one), data=one, next_cursor=None)
    listing = part.listing(await people.page(work, limit=part.limit, cursor=part.cursor), person_view)
    return People(total=await people.count(work), data=listing.data, next_cursor=listing.next_cursor)


@post("/tenants/{tenant:str}/people", guards=[ADMINS], dependencies=_OF_TENANT)
@idempotent()
async def create_person(work: TenantWork, data: JSONBody[NewPerson]) -> PersonView:
    """Take a person in by hand."""
    draft = Draft(**data.model_dump(exclude={"role"}))
    return person_view(await people.take_in(work, draft, role=data.role))


@get(_ONE, guards=[ANYBODY], dependencies=_OF_TENANT)
async def get_person(work: TenantWork, person: FromPath[str]) -> PersonView:
    """One person, by the product's id or SCIM's."""
    return person_view(await people.find(work, uuid_of(person, "person")))


@post(f"{_ONE}/appoint", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def appoint_admin(work: TenantWork, person: FromPath[str]) -> PersonView:
    """Make a person an admin."""
    return person_view(await people.appoint(work, uuid_of(person, "person")))


@post(f"{_ONE}/demote", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def demote_person(work: TenantWork, person: FromPath[str]) -> PersonView:
    """Give a person the default role; the tokens they own stop at the next call."""
    return person_view(await people.give_role(work, uuid_of(person, "person"), None))


@post(f"{_ONE}/role", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def give_role(work: TenantWork, person: FromPath[str], data: JSONBody[RoleGiven]) -> PersonView:
    """Give a role by hand: at once, and as a marked override where the provider decides."""
    return person_view(await people.give_role(work, uuid_of(person, "person"), data.role))


@delete(f"{_ONE}/role-override", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def lift_role_override(work: TenantWork, person: FromPath[str]) -> PersonView:
    """Let the provider decide this person's role again."""
    return person_view(await people.lift_override(work, uuid_of(person, "person")))


@post(f"{_ONE}/deactivate", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def deactivate_person(
    work: TenantWork, person: FromPath[str], data: JSONBody[Deactivation | None] = None
) -> PersonView:
    """End what a person can do: every session, token, passkey and registered credential is closed when this answers."""
    reason = (data or Deactivation()).reason
    return person_view(await people.deactivate(work, uuid_of(person, "person"), reason=reason))


@post(f"{_ONE}/reactivate", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def reactivate_person(work: TenantWork, person: FromPath[str]) -> PersonView:
    """Let a person in again; nothing that was closed comes back."""
    return person_view(await people.reactivate(work, uuid_of(person, "person")))


@post(f"{_ONE}/link", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
@idempotent()
async def link_person(work: TenantWork, person: FromPath[str], data: JSONBody[Linking]) -> PersonView:
    """Give a person back the account, and so the history, that they had before they were removed.

    The account they have had since is closed with everything that was opened for it, and nothing that was closed comes
    back: they sign in anew. Refused with 409 `mass_change` while such an alert is not released.
    """
    return person_view(await linking.link(work, uuid_of(person, "person"), data.former))


@get(f"{_ONE}/explain", guards=[ADMINS], dependencies=_OF_TENANT)
async def explain_role(work: TenantWork, person: FromPath[str]) -> dict[str, Any]:
    """Which role names were seen, from where, how they were read, and the resulting role."""
    return dict(await people.explain(work, uuid_of(person, "person")))


@get(f"{_ONE}/sessions", guards=[ANYBODY], dependencies=_OF_TENANT)
async def list_sessions(work: TenantWork, part: Part, person: FromPath[str]) -> Listing[SessionView]:
    """A person's open sessions, newest first."""
    found = await people.find(work, uuid_of(person, "person"))
    page = await sessions.page(work, found.account.id, limit=part.limit, cursor=part.cursor)
    return part.listing(page, session_view)


@get("/tenants/{tenant:str}/conflict-cases", guards=[ADMINS], dependencies=_OF_TENANT)
async def list_conflict_cases(work: TenantWork, part: Part, closed: FromQuery[bool] = False) -> Listing[CaseView]:
    """The open role conflicts and unknown role names, newest first, or those that are over."""
    return part.listing(await conflict_cases.page(work, closed=closed, limit=part.limit, cursor=part.cursor), case_view)


router = Router(
    "/",
    route_handlers=[
        list_people,
        create_person,
        get_person,
        appoint_admin,
        demote_person,
        give_role,
        lift_role_override,
        deactivate_person,
        reactivate_person,
        link_person,
        explain_role,
        list_sessions,
        list_conflict_cases,
    ],
    tags=["people"],
)
