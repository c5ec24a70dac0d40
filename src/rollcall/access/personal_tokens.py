"""Personal tokens: what a person uses with the product's own interfaces, issued to them through the product.

Their scopes are the product's words. Rollcall's own scopes open Rollcall, and are issued by `tokens` to admins alone.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select

from rollcall import paging
from rollcall.access.accounts import lock_name, locked_for_issuing
from rollcall.access.models import Token
from rollcall.access.tokens import OPENS_ROLLCALL, NewToken, Scope, judged, mint
from rollcall.errors import Forbidden, Invalid, NotFound, TooMany
from rollcall.journal.events import TokenIssued
from rollcall.journal.record import record
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.work import Work

MOST_LIVE = 50
"""Live personal tokens a person may have."""

MOST_SCOPES = 20

_SCOPE = re.compile(r"[a-z][a-z0-9._:/-]{0,63}")
_RESERVED = frozenset(scope.partition(":")[0] for scope in Scope)


async def issue(
    work: Work, owner_id: UUID, *, label: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> NewToken:
    """Issue a person a token of their own. Its text is returned in clear here and nowhere else.

    Raises:
        Invalid: the scopes are not the product's words, or the expiry lies in the past.
        Forbidden: the tenant is suspended.
        NotFound, PersonInactive: the person can't be given one.
        TooMany: they have 50.
    """
    _check(work, scopes, expires_at)
    if (await tenants.own(work)).status != "active":
        msg = "This tenant is suspended; nothing is issued in it until it is resumed."
        raise Forbidden(msg)
    owner = await locked_for_issuing(work, owner_id)
    await lock_name(work, f"tokens of {owner.id}")
    live = await work.db.scalar(select(func.count()).select_from(Token).where(*_live(work, owner.id)))
    if int(live or 0) >= MOST_LIVE:
        raise TooMany("tokens", MOST_LIVE)
    new = mint(
        work, label=label, scopes=[*dict.fromkeys(scopes)], owner_id=owner.id, epoch=owner.epoch, expires_at=expires_at
    )
    event = TokenIssued(token_id=new.row.id, label=label, scopes=new.row.scopes, owner_id=owner.id)
    await record(work, event, account_id=owner.id, target=str(new.row.id), mailed=False)  # there may be thousands
    return await judged(work, new)


async def page(work: Work, owner_id: UUID, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Token]:
    """Some of a person's own tokens, newest first, ended ones too.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Token).where(*_of(work, owner_id))
    return await paging.page(work.db, rows, Token.created_at, Token.id, limit=limit, cursor=cursor, descending=True)


async def live_of_person(work: Work, owner_id: UUID) -> Sequence[Token]:
    """A person's own tokens that are live, newest first."""
    return (await work.db.scalars(select(Token).where(*_live(work, owner_id)).order_by(Token.created_at.desc()))).all()


async def find(work: Work, owner_id: UUID, token_id: UUID) -> Token:
    """A person's own token with this id.

    Raises:
        NotFound: they have none.
    """
    token = await work.db.scalar(select(Token).where(*_of(work, owner_id), Token.id == token_id))
    if token is None:
        raise NotFound("token")
    return token


def _of(work: Work, owner_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return Token.tenant_id == work.tenant.id, Token.owner_id == owner_id, ~OPENS_ROLLCALL


def _live(work: Work, owner_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return (
        *_of(work, owner_id),
        Token.revoked_at.is_(None),
        or_(Token.expires_at.is_(None), Token.expires_at > work.now),
    )


def _check(work: Work, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not 1 <= len(scopes) <= MOST_SCOPES:
        msg = f"scopes: name 1 to {MOST_SCOPES}"
        raise Invalid(msg, param="scopes")
    for scope in scopes:
        if not _SCOPE.fullmatch(scope) or re.split(r"\W", scope)[0] in _RESERVED:
            msg = (
                f"scopes: “{scope[:64]}” can't be one: use the product's own words, such as repo:read; "
                f"{', '.join(sorted(_RESERVED))} are Rollcall's and are issued to admins at /v1/tenants/…/tokens"
            )
            raise Invalid(msg, param="scopes")
    if expires_at is not None and expires_at <= work.now:
        msg = "expires_at: lies in the past"
        raise Invalid(msg, param="expires_at")
