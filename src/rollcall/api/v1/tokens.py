"""``/v1/tenants/{tenant}/tokens``: SCIM tokens and admins' own, shown once."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import tokens
from rollcall.access.models import Token
from rollcall.access.token_states import TokenState, judgement
from rollcall.access.tokens import NewToken, Scope
from rollcall.api.v1.bodies import Body, Moment
from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.operator_roles import check_role, needs
from rollcall.directory import people
from rollcall.tenancy.operators import OperatorRole, Right
from rollcall.work import ActorKind

ScopeName = Literal["scim", "scim:read", "admin", "auditor"]


class TokenView(BaseModel):
    """A token, without what opens it."""

    id: UUID
    label: str
    scopes: list[str]
    owner_id: UUID | None
    state: TokenState = Field(description="by the gate's own judgement; `live` and `rotated` work")
    reason: str | None = Field(description="why it stands so; None when it simply works")
    remedy: str | None = Field(description="what to do about it")
    issued_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: UUID | None
    handed_over_at: datetime | None = Field(
        description="when another admin took it over with the same secret; it ends within seven days, so rotate it"
    )
    last_used_at: datetime | None
    last_used_from: str | None


class IssuedToken(TokenView):
    """A token as it is shown once: keep ``token``, it can't be read again.

    It is null only for a call that is repeated with its ``Idempotency-Key`` more than ten minutes later.
    """

    token: str | None


class TokenWanted(Body):
    """A token to issue. An admin issues their own; ops name an owner, or none for one that the tenant owns."""

    label: str = Field(min_length=1, max_length=200)
    scopes: list[ScopeName] = Field(
        default=["scim"],
        min_length=1,
        max_length=3,
        description="`auditor` reads the audit, receipts, alerts and who was there on a day, and nothing else; it "
        "stands alone, as `admin` does",
    )
    owner: UUID | None = Field(default=None, description="the person who answers for it; an active admin")
    expires_at: Moment | None = None


class Rotation(Body):
    """How a token is replaced."""

    overlap_seconds: int = Field(default=0, ge=0, le=2_592_000, description="how long the old one works on")


class HandOver(Body):
    """Who takes a connection over."""

    owner: UUID | None = Field(default=None, description="an active admin; an admin takes it over themselves")


def token_view(token: Token) -> TokenView:
    """A token as it is shown."""
    return TokenView(**_facts(token))


def _facts(token: Token) -> dict[str, Any]:
    stands = judgement(token)
    return {
        "id": token.id,
        "label": token.label,
        "scopes": token.scopes,
        "owner_id": token.owner_id,
        "state": stands.state,
        "reason": stands.reason,
        "remedy": stands.remedy,
        "issued_by": token.issued_by,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "replaced_by": token.replaced_by,
        "handed_over_at": token.handed_over_at,
        "last_used_at": token.last_used_at,
        "last_used_from": token.last_used_from,
    }


def issued_view(new: NewToken) -> IssuedToken:
    """A token as it is shown once."""
    return IssuedToken.model_validate({**_facts(new.row), "token": new.text})


_OF_TENANT = {"work": tenant_work}


@get("/tenants/{tenant:str}/tokens", guards=[ADMINS], dependencies=_OF_TENANT)
async def list_tokens(work: TenantWork, part: Part) -> Listing[TokenView]:
    """The tenant's tokens, newest first, with their last use."""
    page = await tokens.page(work, limit=part.limit, cursor=part.cursor)
    return part.listing(page, token_view)


@post("/tenants/{tenant:str}/tokens", guards=[ADMINS], dependencies=_OF_TENANT, opt=needs(Right.TOKENS))
@idempotent(shows="token")
async def issue_token(work: TenantWork, data: JSONBody[TokenWanted]) -> IssuedToken:
    """Issue a token. It is in this answer and nowhere else."""
    for scope in data.scopes:
        if scope not in (Scope.SCIM, Scope.SCIM_READ):
            check_role(work.actor, OperatorRole.OPS, to=f" for a token with the scope {scope}")
    owner_id = data.owner
    if owner_id is not None:
        owner_id = (await people.find(work, owner_id)).account.id
    elif work.actor.kind is ActorKind.PERSON:
        owner_id = work.actor.owner_id
    new = await tokens.issue(
        work,
        label=data.label,
        scopes=[Scope(scope) for scope in data.scopes],
        owner_id=owner_id,
        expires_at=data.expires_at,
    )
    return issued_view(new)


@post("/tenants/{tenant:str}/tokens/{token:str}/rotate", guards=[ADMINS], dependencies=_OF_TENANT)
@idempotent(shows="token")
async def rotate_token(work: TenantWork, token: FromPath[str], data: JSONBody[Rotation | None] = None) -> IssuedToken:
    """Replace a token; the old one works until the overlap is over."""
    overlap = timedelta(seconds=(data or Rotation()).overlap_seconds)
    return issued_view(await tokens.rotate(work, uuid_of(token, "token"), overlap=overlap))


@post("/tenants/{tenant:str}/tokens/{token:str}/revoke", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def revoke_token(work: TenantWork, token: FromPath[str]) -> TokenView:
    """End a token at once."""
    return token_view(await tokens.revoke(work, uuid_of(token, "token")))


@post("/tenants/{tenant:str}/tokens/{token:str}/hand-over", status_code=200, guards=[ADMINS], dependencies=_OF_TENANT)
async def hand_over_token(work: TenantWork, token: FromPath[str], data: JSONBody[HandOver | None] = None) -> TokenView:
    """Take a connection over whose owner is no longer an active admin, with the same secret; rotate it then."""
    owner_id = None if data is None else data.owner
    if owner_id is not None:
        owner_id = (await people.find(work, owner_id)).account.id
    elif work.actor.kind is ActorKind.PERSON:
        owner_id = work.actor.owner_id
    return token_view(await tokens.hand_over(work, uuid_of(token, "token"), owner_id))


router = Router(
    "/", route_handlers=[list_tokens, issue_token, rotate_token, hand_over_token, revoke_token], tags=["tokens"]
)
