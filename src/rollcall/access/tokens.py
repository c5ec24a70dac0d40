"""Tokens: issued by an admin or by ops, shown once, kept as a digest, rotated with an overlap, revoked for good.

These open Rollcall itself, for a provider (SCIM) or an admin. What people use with the product is in
`personal_tokens`; both are rows of one table and end alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import func, or_, select

from rollcall import paging
from rollcall.access.accounts import lock_name, locked_for_issuing
from rollcall.access.models import Token
from rollcall.access.token_states import TokenState
from rollcall.crypto import TokenKind, digest, new_token
from rollcall.errors import Conflict, Forbidden, Invalid, NotAnAdmin, NotFound, TokenEnded, TooManyTokens
from rollcall.journal.events import TokenHandedOver, TokenIssued, TokenRevoked, TokenRotated
from rollcall.journal.record import record
from rollcall.paging import Page
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import ActorKind, Work

MOST_LIVE = 20
"""Live tokens a tenant may have."""

LONGEST_OVERLAP = timedelta(days=30)


ROTATED_WITHIN = timedelta(days=7)
"""How long a token works on that was handed over: whoever owned it before may know it."""


class NothingToTakeOver(Conflict):
    """The token's owner is an active admin, or nobody owns it, or it ended with its owner."""

    code = "nothing_to_take_over"
    advice = "Look at the token's state: only a restricted one can be taken over; issue a new one if it has ended."

    def __init__(self) -> None:
        super().__init__(
            "Only a token in the state restricted can be taken over: its owner is no longer an active admin, and the "
            "tenant has chosen owner_leaves = offboarding_only. Rotate this one, or issue a new one."
        )


class Scope(StrEnum):
    """What a token may be used for."""

    SCIM = "scim"
    SCIM_READ = "scim:read"
    ADMIN = "admin"
    AUDITOR = "auditor"
    """Reads the audit, receipts, alerts, and who was there when; nothing else."""


OPENS_ROLLCALL = Token.scopes.overlap([*Scope])
"""A token of these scopes needs an active admin behind it; the functions `gate` and `introspect` ask for the same."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as it is shown once: the row and the text that opens it."""

    row: Token
    text: str


def is_open(token: Token, now: datetime) -> bool:
    """Whether a token's row is open; its owner, its tenant or the plan may still keep it from working."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


async def issue(
    work: Work,
    *,
    label: str,
    scopes: Sequence[Scope],
    owner_id: UUID | None,
    expires_at: datetime | None = None,
) -> NewToken:
    """Issue a token, owned by an active admin, or by nobody when ops issue it.

    The text is returned in clear here and nowhere else.

    Raises:
        Invalid: no scope, an expiry in the past, or an owner missing where one is needed.
        Forbidden: the tenant's tokens are issued by ops only, or an admin names another as the owner.
        NotFound, PersonInactive, NotAnAdmin: the owner can't be one.
        TooManyTokens: the tenant has as many live tokens as it may have.
    """
    _check(work, scopes, owner_id, expires_at)
    _check_issuer(work, await tenants.lock_own(work))
    if not _by_ops(work) and owner_id != work.actor.owner_id:
        msg = "owner: a token acts in its owner's name, so admins issue their own; ops can issue one for anybody"
        raise Forbidden(msg)
    epoch = await _epoch_of_owner(work, owner_id)
    await _check_room(work)
    new = mint(work, label=label, scopes=scopes, owner_id=owner_id, epoch=epoch, expires_at=expires_at)
    await record(
        work,
        TokenIssued(token_id=new.row.id, label=label, scopes=[*scopes], owner_id=owner_id),
        account_id=owner_id,
        target=str(new.row.id),
    )
    return await judged(work, new)


async def rotate(work: Work, token_id: UUID, *, overlap: timedelta) -> NewToken:
    """Replace a token without cutting off the provider that still uses the old one.

    The old token works until *overlap* has passed (never longer than it would have). The new one has the same label,
    scopes, owner and lifetime, and is returned in clear here and nowhere else.

    Raises:
        Invalid: the overlap is negative or longer than 30 days.
        NotFound: no such token in this tenant.
        Forbidden: it is for ops to rotate, or it is another admin's own.
        TokenEnded: it has ended already; issue a new one instead.
        PersonInactive, NotAnAdmin: its owner can't own a token any more.
        TooManyTokens: the tenant has as many live tokens as it may have.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        msg = f"overlap: choose 0 to {LONGEST_OVERLAP.days} days"
        raise Invalid(msg, param="overlap_seconds")
    _check_issuer(work, await tenants.lock_own(work))
    old = await find(work, token_id)
    _check_rotatable(work, old)
    epoch = await _epoch_of_owner(work, old.owner_id)
    # The owner is locked before the token, as a deactivation does; meanwhile somebody else may have rotated it.
    old = await find(work, token_id, lock=True)
    _check_rotatable(work, old)
    if overlap:
        await _check_room(work)
    ends = old.expires_at if old.handed_over_at is None else old.expires_before
    lifetime = None if ends is None else ends - old.created_at
    expires_at = None if lifetime is None else work.now + lifetime
    new = mint(work, label=old.label, scopes=old.scopes, owner_id=old.owner_id, epoch=epoch, expires_at=expires_at)
    old.replaced_by = new.row.id
    retires = work.now + overlap
    old.expires_at = retires if old.expires_at is None else min(old.expires_at, retires)
    await record(
        work,
        TokenRotated(token_id=old.id, replaced_by=new.row.id, overlap_seconds=int(overlap.total_seconds())),
        account_id=old.owner_id,
        target=str(old.id),
    )
    return await judged(work, new)


async def hand_over(work: Work, token_id: UUID, owner_id: UUID | None) -> Token:
    """Have an active admin take over a connection whose owner is none any more, with the same secret.

    An admin takes it over themselves; ops name who does. The former owner may know the secret, so it ends after
    `ROTATED_WITHIN` unless it expires before; whoever rotates it gets one with the lifetime that it had.

    Raises:
        Invalid: nobody is named.
        Forbidden: the tenant's tokens are issued by ops only, or an admin names another as the owner.
        NotFound, PersonInactive, NotAnAdmin: there is no such token, or the owner can't be one.
        NothingToTakeOver: its owner is an active admin, or it ended with them.
    """
    _check_issuer(work, await tenants.lock_own(work))
    if (await find(work, token_id)).state != TokenState.RESTRICTED:
        raise NothingToTakeOver
    if owner_id is None:
        msg = "owner: name the active admin who takes it over"
        raise Invalid(msg, param="owner")
    if not _by_ops(work) and owner_id != work.actor.owner_id:
        msg = "owner: a token acts in its owner's name, so admins take it over themselves; ops can name anybody"
        raise Forbidden(msg)
    epoch = await _epoch_of_owner(work, owner_id)
    token = await find(work, token_id, lock=True)
    if token.state != TokenState.RESTRICTED:
        raise NothingToTakeOver
    former, ends = token.owner_id, work.now + ROTATED_WITHIN
    if token.handed_over_at is None:
        token.expires_before = token.expires_at
    token.owner_id, token.epoch, token.handed_over_at = owner_id, epoch, work.now
    token.expires_at = ends = ends if token.expires_at is None else min(token.expires_at, ends)
    event = TokenHandedOver(
        token_id=token.id,
        label=token.label,
        former_owner_id=former,
        owner_id=owner_id,
        rotate_by=ends.isoformat(),
    )
    await record(work, event, account_id=owner_id, target=str(token.id))
    await work.db.flush()  # there is nothing to judge before
    await work.db.refresh(token, ["state"])
    return token


async def revoke(work: Work, token_id: UUID) -> Token:
    """End a token, from the commit on. Doing it twice is the same as doing it once.

    Raises:
        NotFound: no such token in this tenant.
    """
    token = await find(work, token_id, lock=True)
    if token.revoked_at is None:
        token.revoked_at = work.now
        token.revoked_because = "revoked"
        await record(
            work,
            TokenRevoked(token_id=token.id, label=token.label),
            account_id=token.owner_id,
            target=str(token.id),
        )
        await work.db.refresh(token, ["state"])
    return token


async def find(work: Work, token_id: UUID, *, lock: bool = False) -> Token:
    """The tenant's token with this id.

    Raises:
        NotFound: there is none.
    """
    query = select(Token).where(Token.tenant_id == work.tenant.id, Token.id == token_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    token = await work.db.scalar(query)
    if token is None:
        raise NotFound("token")
    return token


async def is_live(work: Work, token_id: UUID, token_digest: bytes) -> bool:
    """Whether a token somebody kept in clear still has an open row here."""
    token = await work.db.scalar(
        select(Token).where(Token.tenant_id == work.tenant.id, Token.id == token_id, Token.digest == token_digest)
    )
    return token is not None and is_open(token, work.now)


async def every(work: Work) -> Sequence[Token]:
    """The tenant's tokens, newest first, ended ones too; what people use with the product is not among them."""
    return (
        await work.db.scalars(
            select(Token)
            .where(Token.tenant_id == work.tenant.id, OPENS_ROLLCALL)
            .order_by(Token.created_at.desc())
            .limit(500)
        )
    ).all()


async def not_revoked(work: Work, *, and_revoked: int = 0) -> Sequence[Token]:
    """The tenant's tokens that nobody has revoked, newest first, and so many of the latest revoked ones.

    How each stands is judged row by row, so nobody has all those judged that were replaced over the years.
    """
    mine = (Token.tenant_id == work.tenant.id, OPENS_ROLLCALL)
    rows = select(Token).order_by(Token.created_at.desc())
    there = (await work.db.scalars(rows.where(*mine, Token.revoked_at.is_(None)).limit(500))).all()
    gone = (await work.db.scalars(rows.where(*mine, Token.revoked_at.is_not(None)).limit(and_revoked))).all()
    return sorted([*there, *gone], key=lambda each: each.created_at, reverse=True)


async def owned(work: Work, account_ids: Iterable[UUID]) -> Mapping[UUID, int]:
    """How many open tokens for Rollcall itself hang on each of these people being an active admin."""
    wanted = [*account_ids]
    rows = await work.db.execute(
        select(Token.owner_id, func.count())
        .where(Token.tenant_id == work.tenant.id, Token.owner_id.in_(wanted), OPENS_ROLLCALL)
        .where(Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > work.now))
        .group_by(Token.owner_id)
    )
    counted = {row[0]: int(row[1]) for row in rows}
    return {each: counted.get(each, 0) for each in wanted}


async def page(work: Work, *, limit: int = paging.USUAL, cursor: str | None = None) -> Page[Token]:
    """Some of the tenant's tokens, newest first, ended ones too.

    Raises:
        NoSuchCursor: the cursor is none of ours.
    """
    rows = select(Token).where(Token.tenant_id == work.tenant.id, OPENS_ROLLCALL)
    return await paging.page(work.db, rows, Token.created_at, Token.id, limit=limit, cursor=cursor, descending=True)


def _check(work: Work, scopes: Sequence[Scope], owner_id: UUID | None, expires_at: datetime | None) -> None:
    if not scopes:
        msg = f"scopes: at least one of {', '.join(Scope)}"
        raise Invalid(msg, param="scopes")
    if {Scope.ADMIN, Scope.AUDITOR} & {*scopes} and len(scopes) > 1:
        msg = "scopes: a token for the management API (admin), one for auditors and one for SCIM are different tokens"
        raise Invalid(msg, param="scopes")
    if expires_at is not None and expires_at <= work.now:
        msg = "expires_at: lies in the past"
        raise Invalid(msg, param="expires_at")
    if owner_id is None and (Scope.ADMIN in scopes or work.actor.kind is ActorKind.PERSON):
        msg = "owner: an active admin of the tenant is needed; only ops may issue one without, for SCIM or auditors"
        raise Invalid(msg, param="owner")


def _by_ops(work: Work) -> bool:
    return work.actor.kind in (ActorKind.OPERATOR, ActorKind.SYSTEM)


def _check_issuer(work: Work, tenant: Tenant) -> None:
    if not _by_ops(work) and tenant.token_issuing == "ops":  # noqa: S105  # a policy's name
        msg = "Tokens of this tenant are issued by the vendor's support; ask them for one."
        raise Forbidden(msg)


def _check_rotatable(work: Work, token: Token) -> None:
    """Whoever rotates a token is shown one that opens the same: ops' own and other admins' are not theirs to have."""
    if not set(token.scopes) & set(Scope):
        msg = "This is a person's own token for the product; issue them another one and revoke this."
        raise Forbidden(msg)
    if not _by_ops(work) and token.owner_id is None:
        msg = "This token was issued by the vendor's support; ask them to rotate it, or issue one of your own."
        raise Forbidden(msg)
    if not _by_ops(work) and Scope.ADMIN in token.scopes and token.owner_id != work.actor.owner_id:
        msg = "This is another admin's own token; only they can rotate it."
        raise Forbidden(msg)
    if not is_open(token, work.now) or token.replaced_by is not None:
        raise TokenEnded


async def _epoch_of_owner(work: Work, owner_id: UUID | None) -> int | None:
    """The epoch of an owner who can be one, held until the token is committed."""
    if owner_id is None:
        return None
    owner = await locked_for_issuing(work, owner_id)
    if not owner.is_admin:
        raise NotAnAdmin
    return owner.epoch


async def _check_room(work: Work) -> None:
    await lock_name(work, "tokens")
    live = await work.db.scalar(
        select(func.count())
        .select_from(Token)
        .where(
            Token.tenant_id == work.tenant.id,
            OPENS_ROLLCALL,
            Token.revoked_at.is_(None),
            or_(Token.expires_at.is_(None), Token.expires_at > work.now),
        )
    )
    if int(live or 0) >= MOST_LIVE:
        raise TooManyTokens(MOST_LIVE)


def mint(
    work: Work,
    *,
    label: str,
    scopes: Sequence[str],
    owner_id: UUID | None,
    epoch: int | None,
    expires_at: datetime | None,
) -> NewToken:
    """A new token's row and text, for the doors that have decided that there is to be one."""
    token_id = uuid4()
    kind = TokenKind.SCIM if {Scope.SCIM, Scope.SCIM_READ} & set(scopes) else TokenKind.PERSONAL
    opened_by = new_token(kind, work.tenant.id, token_id)
    row = Token(
        tenant_id=work.tenant.id,
        id=token_id,
        label=label,
        scopes=[*scopes],
        owner_id=owner_id,
        epoch=epoch,
        digest=digest(opened_by),
        issued_by=work.actor.label,
        expires_at=expires_at,
        created_at=work.now,
    )
    work.db.add(row)
    return NewToken(row, opened_by)


async def judged(work: Work, new: NewToken) -> NewToken:
    """A new token once it is written, with how it stands."""
    await work.db.flush()  # there is nothing to judge before
    await work.db.refresh(new.row, ["state"])
    return new
