"""What one person has open: their sessions, passkeys, personal tokens and registered credentials; and closing one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from rollcall.access import external, passkeys, passwords, personal_tokens, sessions, tokens
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of
from rollcall.console.requests import see
from rollcall.console.visitors import PersonWork, admin_work, admins
from rollcall.console.words import domain, gettext, mark
from rollcall.directory import people
from rollcall.errors import NotFound
from rollcall.paging import MOST
from rollcall.work import Work

PAGE = "/console/people"
_ADMINS = [admins()]
_WORK = {"work": admin_work}
MOST_SHOWN = 10
KINDS = {
    "passkey": (
        mark("Close the passkey “%(label)s” of %(user_name)s?"),
        mark("They can't sign in with it any more. Sessions that it opened stay open until they end."),
    ),
    "token": (
        mark("Close the personal token “%(label)s” of %(user_name)s?"),
        mark("Whatever uses it is refused from its next request on. It can't be opened again."),
    ),
    "credential": (
        mark("Close the registered credential “%(label)s” of %(user_name)s?"),
        mark("Whoever shows it is refused from the next question on."),
    ),
    "password": (
        mark("Close the password “%(label)s” of %(user_name)s?"),
        mark("It opens the console no more. Sessions that it opened stay open until they end."),
    ),
}
"""What can be closed one by one: what is asked before, and what closing it does."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """Something that lets a person in."""

    kind: str
    """One of `KINDS`, or ``session``, which ends by itself or with the person's access."""
    id: UUID
    what: str
    label: str
    since: datetime
    ends: datetime | None
    used: datetime | None = None


async def of_person(work: Work, account_id: UUID, *, limit: int = MOST_SHOWN) -> Sequence[WayIn]:
    """What a person has open, the newest *limit* of each class."""
    found = [
        WayIn(
            "session",
            row.id,
            gettext("Session"),
            row.label or domain(row.purpose.replace("_", " ")),
            row.created_at,
            row.expires_at,
        )
        for row in await sessions.of_person(work, account_id, limit=limit)
    ]
    found += [
        WayIn(
            "passkey",
            row.id,
            gettext("Passkey"),
            row.label or gettext("without a name"),
            row.created_at,
            None,
            row.last_used_at,
        )
        for row in (await passkeys.page(work, account_id, limit=limit)).rows
    ]
    found += [
        WayIn("token", row.id, gettext("Personal token"), row.label, row.created_at, row.expires_at, row.last_used_at)
        for row in (await personal_tokens.live_of_person(work, account_id))[:limit]
    ]
    found += [
        WayIn(
            "credential",
            row.id,
            domain(row.kind.replace("_", " ").capitalize()),
            row.label or row.name,
            row.created_at,
            row.expires_at,
        )
        for row in (await external.page(work, account_id, limit=limit)).rows
    ]
    if (kept := await passwords.of_person(work, account_id)) is not None:
        found.append(
            WayIn(
                "password",
                kept.id,
                gettext("Password"),
                gettext("for emergencies"),
                kept.created_at,
                None,
                kept.last_used_at,
            )
        )
    return found


@get(
    "/people/{person:str}/ways-in/{kind:str}/{way:str}/close",
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_ask_close_way_in",
)
async def ask_to_close(
    request: Request[Any, Any, Any], work: PersonWork, person: FromPath[str], kind: FromPath[str], way: FromPath[str]
) -> Response[str]:
    """Say what closing one of a person's ways in does."""
    account = (await people.find(work, id_of(person, "person"))).account
    found = await _find(work, account.id, kind, way)
    asks, does = KINDS[kind]
    return confirmation_page(
        request,
        Confirmation(
            title=gettext(asks, label=found.label, user_name=account.user_name),
            said=[gettext(does), gettext("To close everything they have open, end their access.")],
            facts=[
                (gettext("Since"), found.since),
                (gettext("Last used"), found.used),
                (gettext("Ends by itself"), found.ends),
            ],
            button=gettext("Close it"),
            back=f"{PAGE}/{account.id}",
        ),
    )


@post(
    "/people/{person:str}/ways-in/{kind:str}/{way:str}/close",
    status_code=200,
    guards=_ADMINS,
    dependencies=_WORK,
    name="console_close_way_in",
)
async def close(work: PersonWork, person: FromPath[str], kind: FromPath[str], way: FromPath[str]) -> Response[Any]:
    """Close one of a person's ways in, at once."""
    account = (await people.find(work, id_of(person, "person"))).account
    found = await _find(work, account.id, kind, way)
    match found.kind:
        case "passkey":
            await passkeys.close(work, account.id, found.id)
        case "token":
            await tokens.revoke(work, found.id)
        case "password":
            await passwords.remove(work, account.id)
        case _:
            await external.close(work, found.id)
    return see(f"{PAGE}/{account.id}?done=closed")


async def _find(work: Work, account_id: UUID, kind: str, way: str) -> WayIn:
    wanted = id_of(way, "way in")
    if kind in KINDS:
        for each in await of_person(work, account_id, limit=MOST):
            if (each.kind, each.id) == (kind, wanted):
                return each
    raise NotFound("way in")
