"""What an act would cut off, in numbers and names, as sentences for whoever is about to do it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from rollcall.access import accounts, external, passkeys, personal_tokens, sessions, tokens
from rollcall.access.models import Account, Token
from rollcall.access.token_states import TokenState
from rollcall.access.tokens import Scope
from rollcall.cli.showing import ago, counted
from rollcall.directory import deputies
from rollcall.paging import MOST
from rollcall.tenancy import tenants
from rollcall.tenancy.lapse import LapseTerms
from rollcall.work import Work

MOST_NAMED = 5


async def by_suspension(work: Work) -> list[str]:
    """What stops when the tenant is suspended: everything."""
    found = await _working(work)
    used = [await _last_use(work, found)] if found else []
    signed_in = await sessions.count_in_tenant(work)
    said = (
        f"Everything of {work.tenant.slug} is refused from the next call on: "
        f"{counted(await accounts.active(work), 'active person', 'active people')}, "
        f"{counted(signed_in, 'open session')}, {await _tokens(work, found)}."
    )
    return [said, *used]


async def by_losing_scim(work: Work, plan: str, lapse: LapseTerms) -> list[str]:
    """What stops when the tenant's plan no longer includes SCIM; nothing if no token of it works now.

    *lapse* are the terms of the plan that it has.
    """
    found = [token for token in await _working(work) if {Scope.SCIM, Scope.SCIM_READ} & set(token.scopes)]
    if not found:
        return []
    people = counted(await accounts.active(work), "active person is", "active people are")
    loses = "loses" if len(found) == 1 else "lose"
    said = (
        f"The plan {plan} does not include SCIM: {await _tokens(work, found)} {loses} what gives ({lapse}), "
        f"and {people} no longer kept up to date."
    )
    return [said, await _last_use(work, found)]


async def by_losing_admin(work: Work, account: Account) -> list[str]:
    """What stops when somebody is no longer an admin."""
    if not (account.active and account.is_admin):
        return []
    found = [token for token in await _working(work) if token.owner_id == account.id]
    said = [await _no_admin(work, account)] if await accounts.admins(work) == 1 else []
    outlives = (await tenants.own(work)).owner_leaves == "offboarding_only"
    restricted = [token for token in found if outlives and Scope.SCIM in token.scopes]
    if ending := [token for token in found if token not in restricted]:
        said.append(f"{await _tokens(work, ending)} {'stops' if len(ending) == 1 else 'stop'}.")
    if restricted:
        takes = "takes" if len(restricted) == 1 else "take"
        said.append(f"{await _tokens(work, restricted)} only {takes} away until another admin takes it over.")
    return [*said, await _last_use(work, found)] if found else said


async def by_leaving(work: Work, account: Account) -> list[str]:
    """What stops when an admin is deactivated: what they own and whatever they come in with."""
    said = await by_losing_admin(work, account)
    if not said:
        return []
    ways = [
        counted(await sessions.count(work, account.id), "session"),
        counted(len(await personal_tokens.live_of_person(work, account.id)), "personal token"),
        counted(len(await passkeys.of_person(work, account.id)), "passkey"),
        counted(len((await external.page(work, account.id, limit=MOST)).rows), "registered credential"),
    ]
    return [*said, f"{account.user_name} loses {', '.join(ways[:-1])} and {ways[-1]}."]


async def by_ending(work: Work, token: Token) -> list[str]:
    """What stops when a token ends; nothing if it does not work anyway."""
    if not TokenState(token.state).works:
        return []
    said = [f"{await _tokens(work, [token])} stops.", await _last_use(work, [token])]
    others = [other for other in await _working(work) if other.id != token.id and set(other.scopes) & set(token.scopes)]
    if Scope.SCIM in token.scopes and not others:
        people = counted(await accounts.active(work), "active person is", "active people are")
        said.append(f"It is the last one of {work.tenant.slug} for SCIM: {people} no longer kept up to date.")
    return said


async def _working(work: Work) -> Sequence[Token]:
    return [token for token in await tokens.every(work) if TokenState(token.state).works]


async def _tokens(work: Work, found: Sequence[Token]) -> str:
    """So many live tokens of so many owners, by name."""
    if not found:
        return "no live token"
    names = await accounts.names(work, (token.owner_id for token in found))
    owners = {token.owner_id for token in found}
    listed = ", ".join(f"“{token.label}” of {_owner(token, names)}" for token in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{counted(len(found), 'live token')} of {counted(len(owners), 'owner')} ({listed}{more})"


def _owner(token: Token, names: Mapping[UUID, str]) -> str:
    return "the tenant" if token.owner_id is None else names.get(token.owner_id, str(token.owner_id))


async def _last_use(work: Work, found: Sequence[Token]) -> str:
    used: list[tuple[datetime, Token]] = [
        (token.last_used_at, token) for token in found if token.last_used_at is not None
    ]
    if not used:
        return "Never used so far."
    at, token = max(used, key=lambda each: each[0])
    source = token.last_used_from or "an unknown address"
    return f"Last used {ago(at, now=max(at, work.now))} by “{token.label}” from {source}."


async def _no_admin(work: Work, account: Account) -> str:
    deputy = await deputies.of(work)
    keeps = (await tenants.own(work)).last_admin == "keep_one"
    if keeps and deputy is not None and deputy.account.active and deputy.account.id != account.id:
        return (
            f"{account.user_name} is the last active admin of {work.tenant.slug}: the deputy, "
            f"{deputy.account.user_name}, becomes one at that moment."
        )
    return (
        f"{account.user_name} is the last active admin of {work.tenant.slug}: nobody is left who can own a token, "
        "issue one or edit roles, until ops appoint another."
    )
