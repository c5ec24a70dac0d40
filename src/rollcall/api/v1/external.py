"""``/v1/…/external-credentials``: what the product gave its people, registered so that leaving closes it too."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, Field

from rollcall.access import external
from rollcall.access.models import ExternalCredential
from rollcall.api.v1.bodies import Body, Moment
from rollcall.api.v1.callers import ANYBODY, PRODUCT, TenantWork, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.directory import people


class ExternalWanted(Body):
    """A credential to register: by the product's own name for it, never by what opens it."""

    kind: str = Field(
        min_length=1, max_length=32, description="a short word: oauth_grant, ssh_key, api_key, scheduled_job, …"
    )
    name: str = Field(min_length=1, max_length=500, description="unique among the tenant's open ones of this kind")
    label: str | None = Field(default=None, max_length=200, description="what the person would recognise it by")
    expires_at: Moment | None = None


class ExternalView(BaseModel):
    """A registered credential."""

    id: UUID
    kind: str
    name: str
    label: str | None
    created_at: datetime
    expires_at: datetime | None


class ExternalState(BaseModel):
    """Whether a registered credential is good right now; where it is not there is nothing else."""

    active: bool
    id: UUID | None = None
    sub: UUID | None = Field(default=None, description="the person's id")
    role: str | None = Field(default=None, description="the person's role, read now")
    expires_at: datetime | None = None


def external_view(row: ExternalCredential) -> ExternalView:
    """A registered credential as it is shown."""
    return ExternalView.model_validate(row, from_attributes=True)


KindNamed = Annotated[str, QueryParameter(max_length=32, description="the kind it was registered as")]
Name = Annotated[str, QueryParameter(max_length=500, description="the name it was registered by")]
_OF_PERSON = "/tenants/{tenant:str}/people/{person:str}/external-credentials"
_OF_TENANT = {"work": tenant_work}


@post(_OF_PERSON, guards=[PRODUCT], dependencies=_OF_TENANT)
@idempotent()
async def register_external_credential(
    work: TenantWork, person: FromPath[str], data: JSONBody[ExternalWanted]
) -> ExternalView:
    """Register a credential that the product gave this person. Sent again, it is answered with the one there is."""
    found = await people.find(work, uuid_of(person, "person"))
    row = await external.register(
        work,
        found.account.id,
        kind=data.kind,
        name=data.name,
        label=data.label,
        expires_at=data.expires_at,
    )
    return external_view(row)


@get(_OF_PERSON, guards=[ANYBODY], dependencies=_OF_TENANT)
async def list_external_credentials(work: TenantWork, part: Part, person: FromPath[str]) -> Listing[ExternalView]:
    """A person's live registered credentials, newest first."""
    found = await people.find(work, uuid_of(person, "person"))
    page = await external.page(work, found.account.id, limit=part.limit, cursor=part.cursor)
    return part.listing(page, external_view)


@get("/tenants/{tenant:str}/external-credentials/state", guards=[PRODUCT], dependencies=_OF_TENANT)
async def check_external_credential(work: TenantWork, kind: KindNamed, name: Name) -> ExternalState:
    """Tell whether a registered credential is good right now; why one is not is not told."""
    good = await external.is_good(work, kind, name)
    if good is None:
        return ExternalState(active=False)
    return ExternalState(active=True, id=good.id, sub=good.account_id, role=good.role, expires_at=good.expires_at)


@delete("/tenants/{tenant:str}/external-credentials/{credential:str}", guards=[ANYBODY], dependencies=_OF_TENANT)
async def close_external_credential(work: TenantWork, credential: FromPath[str]) -> None:
    """Close a registered credential, at once."""
    await external.close(work, uuid_of(credential, "external credential"))


router = Router(
    "/",
    route_handlers=[
        register_external_credential,
        list_external_credentials,
        check_external_credential,
        close_external_credential,
    ],
    tags=["external credentials"],
)
