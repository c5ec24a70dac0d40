"""``/v1/sessions``: the product opens and closes its people's sessions."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Request, Router, delete, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field, model_validator

from rollcall.access import sessions
from rollcall.api.requests import origin
from rollcall.api.v1.bodies import NamesPerson
from rollcall.api.v1.callers import PRODUCT, TenantWork, actor_of, refusal_writer, tenant_named, tenant_work, uuid_of
from rollcall.api.v1.idempotency import idempotent
from rollcall.work import Work, open_work


class SessionWanted(NamesPerson):
    """A session to open, for the person named by exactly one of id, userName and externalId."""

    tenant: str = Field(description="the tenant's id or slug")
    lifetime_seconds: int = Field(default=8 * 3600, ge=1, le=90 * 86400)
    label: str | None = Field(default=None, max_length=200, description="what the person would recognise it by")

    @model_validator(mode="after")
    def _one_person(self) -> "SessionWanted":
        if self.ways() != 1:
            msg = "name the person by exactly one of person, user_name and external_id"
            raise ValueError(msg)
        return self


class OpenedSession(BaseModel):
    """A session as it is handed out once: keep ``token``, it can't be read again.

    It is null only for a call that is repeated with its ``Idempotency-Key`` more than ten minutes later.
    """

    id: UUID
    token: str | None
    tenant_id: UUID
    person_id: UUID
    expires_at: datetime


async def session_work(request: Request[Any, Any, Any], data: JSONBody[SessionWanted]) -> AsyncGenerator[Work]:
    """The work of opening a session: its tenant is named in the body."""
    async with open_work(
        request.app.state.database,
        await tenant_named(request, data.tenant),
        actor_of(request),
        origin(request),
        on_refusal=refusal_writer(request),
    ) as work:
        yield work


@post("/sessions", guards=[PRODUCT], dependencies={"work": session_work})
@idempotent(shows="token")
async def open_session(work: TenantWork, data: JSONBody[SessionWanted]) -> OpenedSession:
    """Open a session for a person who may come in. What opens it is in this answer and nowhere else."""
    person = await data.named(work)
    assert person is not None, "the body names one"
    new = await sessions.open_session(
        work, person.account.id, lifetime=timedelta(seconds=data.lifetime_seconds), label=data.label
    )
    return OpenedSession(
        id=new.row.id,
        token=new.text,
        tenant_id=work.tenant.id,
        person_id=person.account.id,
        expires_at=new.row.expires_at,
    )


@delete("/tenants/{tenant:str}/sessions/{session:str}", guards=[PRODUCT], dependencies={"work": tenant_work})
async def close_session(work: TenantWork, session: FromPath[str]) -> None:
    """Close one session, at once."""
    await sessions.close(work, uuid_of(session, "session"))


router = Router("/", route_handlers=[open_session, close_session], tags=["sessions"])
