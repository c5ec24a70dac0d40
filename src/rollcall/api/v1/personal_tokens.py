"""``/v1/…/people/{person}/tokens``: people's own tokens for the product, shown once."""

from litestar import Router, get, post
from litestar.params import FromPath, JSONBody
from pydantic import Field

from rollcall.access import personal_tokens, tokens
from rollcall.api.v1.bodies import Body, Moment
from rollcall.api.v1.callers import ANYBODY, PRODUCT, TenantWork, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.tokens import IssuedToken, TokenView, issued_view, token_view
from rollcall.directory import people


class PersonalTokenWanted(Body):
    """A token to issue to a person, with scopes in the product's own words."""

    label: str = Field(min_length=1, max_length=200)
    scopes: list[str] = Field(
        min_length=1, max_length=personal_tokens.MOST_SCOPES, description="such as repo:read; not scim, not admin"
    )
    expires_at: Moment | None = None


_OF_PERSON = "/tenants/{tenant:str}/people/{person:str}/tokens"
_OF_TENANT = {"work": tenant_work}


@get(_OF_PERSON, guards=[ANYBODY], dependencies=_OF_TENANT)
async def list_personal_tokens(work: TenantWork, part: Part, person: FromPath[str]) -> Listing[TokenView]:
    """A person's own tokens, newest first, ended ones too."""
    found = await people.find(work, uuid_of(person, "person"))
    page = await personal_tokens.page(work, found.account.id, limit=part.limit, cursor=part.cursor)
    return part.listing(page, token_view)


@post(_OF_PERSON, guards=[PRODUCT], dependencies=_OF_TENANT)
@idempotent(shows="token")
async def issue_personal_token(
    work: TenantWork, person: FromPath[str], data: JSONBody[PersonalTokenWanted]
) -> IssuedToken:
    """Issue a token to a person who asked the product for one. It is in this answer and nowhere else."""
    found = await people.find(work, uuid_of(person, "person"))
    new = await personal_tokens.issue(
        work, found.account.id, label=data.label, scopes=data.scopes, expires_at=data.expires_at
    )
    return issued_view(new)


@post(f"{_OF_PERSON}/{{token:str}}/revoke", status_code=200, guards=[ANYBODY], dependencies=_OF_TENANT)
async def revoke_personal_token(work: TenantWork, person: FromPath[str], token: FromPath[str]) -> TokenView:
    """End a person's own token at once."""
    found = await people.find(work, uuid_of(person, "person"))
    theirs = await personal_tokens.find(work, found.account.id, uuid_of(token, "token"))
    return token_view(await tokens.revoke(work, theirs.id))


router = Router(
    "/",
    route_handlers=[list_personal_tokens, issue_personal_token, revoke_personal_token],
    tags=["tokens"],
)
