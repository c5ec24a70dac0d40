"""``/v1/…/passkeys``: the product carries WebAuthn ceremonies between its people's browsers and Rollcall."""

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import Request, Router, delete, get, post
from litestar.params import FromPath, JSONBody
from pydantic import AfterValidator, BaseModel, Field, model_validator

from rollcall.access import passkey_sign_in, passkeys
from rollcall.access.authenticators import RelyingParty
from rollcall.access.models import Passkey
from rollcall.access.passkeys import Begun
from rollcall.api.requests import AnyRequest, origin
from rollcall.api.v1.bodies import Body, NamesPerson
from rollcall.api.v1.callers import (
    ANYBODY,
    PRODUCT,
    TenantWork,
    actor_of,
    refusal_writer,
    tenant_named,
    tenant_work,
    uuid_of,
)
from rollcall.api.v1.idempotency import idempotent
from rollcall.api.v1.lists import Listing, Part
from rollcall.api.v1.sessions import OpenedSession
from rollcall.directory import people
from rollcall.directory.people import Ambiguous
from rollcall.errors import IdempotencyRefused, NotFound, Refusal
from rollcall.work import TenantRef, Work, open_work

LARGEST_ANSWER = 65_536
"""Bytes of an authenticator's answer that are read; real ones have a tenth of that."""


def _short(answer: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(answer)) > LARGEST_ANSWER:
        msg = f"is longer than {LARGEST_ANSWER} bytes"
        raise ValueError(msg)
    return answer


AuthenticatorAnswer = Annotated[
    dict[str, Any],
    AfterValidator(_short),
    Field(description="what the browser's credentials API returned, as `toJSON()` writes it"),
]


class Ceremony(BaseModel):
    """A ceremony that has begun: give ``options`` to the browser, and send ``challenge`` back with what it returns."""

    challenge: UUID
    options: dict[str, Any]


class PasskeyMade(Body):
    """What the authenticator made of a registration's options."""

    challenge: UUID
    credential: AuthenticatorAnswer
    label: str | None = Field(default=None, max_length=200, description="what the person would recognise it by")


class PasskeyView(BaseModel):
    """A live passkey."""

    id: UUID
    label: str | None
    aaguid: UUID
    transports: list[str]
    created_at: datetime
    last_used_at: datetime | None


class SignInWanted(NamesPerson):
    """Who is about to sign in; nobody needs to be named, and who is named need not exist."""

    @model_validator(mode="after")
    def _one_person(self) -> "SignInWanted":
        if self.ways() > 1:
            msg = "name the person by one of person, user_name and external_id, or not at all"
            raise ValueError(msg)
        return self


class SignInAnswered(Body):
    """What the authenticator made of a sign-in's options, and the session that is wanted for it."""

    challenge: UUID
    credential: AuthenticatorAnswer
    lifetime_seconds: int = Field(default=8 * 3600, ge=1, le=90 * 86400)
    label: str | None = Field(default=None, max_length=200, description="what the person would recognise it by")


def passkey_view(row: Passkey) -> PasskeyView:
    """A passkey as it is shown."""
    return PasskeyView.model_validate(row, from_attributes=True)


_OF_PERSON = "/tenants/{tenant:str}/people/{person:str}/passkeys"
_SIGN_IN = "/tenants/{tenant:str}/passkeys/sign-in"


async def registration_work(
    request: Request[Any, Any, Any], tenant: FromPath[str], data: JSONBody[PasskeyMade]
) -> AsyncGenerator[Work]:
    """The work of a registration's second half."""
    async with _second_half(request, await tenant_named(request, tenant), data.challenge) as work:
        yield work


async def sign_in_work(
    request: Request[Any, Any, Any], tenant: FromPath[str], data: JSONBody[SignInAnswered]
) -> AsyncGenerator[Work]:
    """The work of a sign-in's second half."""
    async with _second_half(request, await tenant_named(request, tenant), data.challenge) as work:
        yield work


def _second_half(request: AnyRequest, tenant: TenantRef, challenge: UUID) -> AbstractAsyncContextManager[Work]:
    """Work whose refusal leaves the challenge spent, unless it was only the ``Idempotency-Key`` that was wrong."""
    write = refusal_writer(request)

    async def on_refusal(work: Work, refusal: Refusal) -> None:
        await write(work, refusal)
        if not isinstance(refusal, IdempotencyRefused):
            await passkey_sign_in.after_refusal(work, challenge, refusal)

    return open_work(request.app.state.database, tenant, actor_of(request), origin(request), on_refusal=on_refusal)


@post(f"{_OF_PERSON}/begin", status_code=200, guards=[PRODUCT], dependencies={"work": tenant_work})
async def begin_passkey(request: Request[Any, Any, Any], work: TenantWork, person: FromPath[str]) -> Ceremony:
    """Begin making a passkey for a person whom the product has signed in. The challenge is good for five minutes."""
    found = await people.find(work, uuid_of(person, "person"))
    return _ceremony(await passkeys.begin_registration(work, _party(request), found.account.id))


@post(_OF_PERSON, guards=[PRODUCT], dependencies={"work": registration_work})
@idempotent()
async def register_passkey(
    request: Request[Any, Any, Any], work: TenantWork, person: FromPath[str], data: JSONBody[PasskeyMade]
) -> PasskeyView:
    """Register the passkey that the person's authenticator made. A person has 20 at most."""
    found = await people.find(work, uuid_of(person, "person"))
    passkey = await passkeys.finish_registration(
        work,
        _party(request),
        found.account.id,
        challenge_id=data.challenge,
        answer=data.credential,
        label=data.label,
    )
    return passkey_view(passkey)


@get(_OF_PERSON, guards=[ANYBODY], dependencies={"work": tenant_work})
async def list_passkeys(work: TenantWork, part: Part, person: FromPath[str]) -> Listing[PasskeyView]:
    """A person's live passkeys, newest first."""
    found = await people.find(work, uuid_of(person, "person"))
    page = await passkeys.page(work, found.account.id, limit=part.limit, cursor=part.cursor)
    return part.listing(page, passkey_view)


@delete(f"{_OF_PERSON}/{{passkey:str}}", guards=[ANYBODY], dependencies={"work": tenant_work})
async def close_passkey(work: TenantWork, person: FromPath[str], passkey: FromPath[str]) -> None:
    """Close one of a person's passkeys, at once. Sessions opened with it stay open; close those too if it was lost."""
    found = await people.find(work, uuid_of(person, "person"))
    await passkeys.close(work, found.account.id, uuid_of(passkey, "passkey"))


@post(f"{_SIGN_IN}/begin", status_code=200, guards=[PRODUCT], dependencies={"work": tenant_work})
async def begin_passkey_sign_in(
    request: Request[Any, Any, Any], work: TenantWork, data: JSONBody[SignInWanted | None] = None
) -> Ceremony:
    """Begin a sign-in. The answer is alike for everybody, whether they exist and have a passkey or not."""
    account_id = await _meant(work, data or SignInWanted())
    return _ceremony(await passkey_sign_in.begin(work, _party(request), account_id))


@post(_SIGN_IN, guards=[PRODUCT], dependencies={"work": sign_in_work})
@idempotent(shows="token")
async def finish_passkey_sign_in(
    request: Request[Any, Any, Any], work: TenantWork, data: JSONBody[SignInAnswered]
) -> OpenedSession:
    """Open a session for whoever the authenticator signed in. What opens it is in this answer and nowhere else."""
    new = await passkey_sign_in.finish(
        work,
        _party(request),
        challenge_id=data.challenge,
        answer=data.credential,
        lifetime=timedelta(seconds=data.lifetime_seconds),
        label=data.label,
    )
    return OpenedSession(
        id=new.row.id,
        token=new.text,
        tenant_id=work.tenant.id,
        person_id=new.row.account_id,
        expires_at=new.row.expires_at,
    )


def _party(request: AnyRequest) -> RelyingParty:
    return request.app.state.relying_party


def _ceremony(begun: Begun) -> Ceremony:
    return Ceremony(challenge=begun.id, options=begun.options)


async def _meant(work: Work, wanted: SignInWanted) -> UUID | None:
    """The account that is named; for a name that nobody has, an account that nobody has."""
    try:
        person = await wanted.named(work)
    except (NotFound, Ambiguous):
        return uuid4()
    return None if person is None else person.account.id


router = Router(
    "/",
    route_handlers=[
        begin_passkey,
        register_passkey,
        list_passkeys,
        close_passkey,
        begin_passkey_sign_in,
        finish_passkey_sign_in,
    ],
    tags=["passkeys"],
)
