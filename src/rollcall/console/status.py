"""The status page: what is running, and where to go from there.

Anybody can open it, so it names no tenant, shows no address but the public one, and counts nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

from litestar import Request, Response, get
from sqlalchemy.exc import SQLAlchemyError

from rollcall.checks import processes
from rollcall.checks.backlog import Progress, look, progress
from rollcall.checks.everything import of_the_broker
from rollcall.checks.model import Check, State
from rollcall.console.pages import page
from rollcall.console.words import gettext, spoken
from rollcall.db import Database
from rollcall.journal import health
from rollcall.journal.health import DatabaseState, Health

SECONDS_KEPT = 2
"""How long a page is handed out again, so that a crowd at this address asks the database no more than one visitor."""

AnyRequest = Request[Any, Any, Any]


class Tone(StrEnum):
    """How much attention something asks for."""

    GOOD = "good"
    NOTICE = "notice"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the installation: its state in a word and in a sentence, and the command that helps, if any."""

    name: str
    tone: Tone
    state: str
    said: str
    command: str | None = None


def _one_for_all(_request: AnyRequest) -> str:
    """Every visitor gets the same page in their language, whatever query they make up."""
    return f"console_status {spoken().tag}"


@get("/status", name="console_status", include_in_schema=False, cache=SECONDS_KEPT, cache_key_builder=_one_for_all)
async def status_page(request: AnyRequest) -> Response[str]:
    """What is running, and where to go from there; 503 when requests can't be served."""
    state = request.app.state
    found = await health.look(state.database.pool, state.redis, state.revisions)
    waiting = await _progress(state.database) if found.able else None
    running = await of_the_broker(state.redis) if found.broker else None
    parts = [
        database_part(found),
        broker_part(found),
        workers_part(running),
        deliveries_part(waiting),
        house_part(found),
    ]
    return page(
        "status/page.html",
        brand=state.brand,
        status_code=200 if found.able else 503,
        verdict=verdict(parts),
        parts=parts,
        scim_address=state.context.base_url,
        looked_at=datetime.now(UTC),
    )


async def _progress(database: Database) -> Progress | None:
    """How well things go out, or ``None`` if the database does not say so soon."""
    try:
        async with asyncio.timeout(2):
            return progress(*await look(database))
    except (SQLAlchemyError, OSError, TimeoutError):
        return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All parts in one sentence."""

    tone: Tone
    said: str


def verdict(parts: list[Part]) -> Verdict:
    """The worst part decides."""
    tones = {part.tone for part in parts}
    if Tone.BAD in tones:
        return Verdict(Tone.BAD, gettext("Rollcall can't serve requests right now."))
    if Tone.NOTICE in tones:
        return Verdict(Tone.NOTICE, gettext("Rollcall is serving, and something needs a look."))
    return Verdict(Tone.GOOD, gettext("Everything is running."))


def database_part(found: Health) -> Part:
    """PostgreSQL."""
    match found.database:
        case DatabaseState.OK:
            return Part(
                gettext("Database"),
                Tone.GOOD,
                gettext("OK"),
                gettext("PostgreSQL answers, and its tables are current."),
            )
        case DatabaseState.BEHIND:
            said = gettext(
                "PostgreSQL answers, but its tables are not the ones this version needs. Bring them up to date:"
            )
            return Part(gettext("Database"), Tone.BAD, gettext("Migrations behind"), said, "rollcall migrate")
        case DatabaseState.EDITED:
            said = gettext(
                "The tables were made by an unreleased version of Rollcall, and can't be brought up to date:"
            )
            return Part(gettext("Database"), Tone.BAD, gettext("Unreleased"), said, "rollcall migrate --check")
        case DatabaseState.UNWRITABLE:
            said = gettext(
                "PostgreSQL answers and takes no writes, so nobody can join or leave: %(because)s. What only asks is "
                "answered. This says more:",
                because=found.because,
            )
            return Part(gettext("Database"), Tone.BAD, gettext("No writes"), said, "rollcall doctor")
        case DatabaseState.AWAY:
            said = gettext(
                "PostgreSQL does not answer, so every request is refused. Nothing that was answered is lost. "
                "See that the server runs and that ROLLCALL_DATABASE_URL leads to it; this says more:"
            )
            return Part(gettext("Database"), Tone.BAD, gettext("Away"), said, "rollcall doctor")
        case _:
            assert_never(found.database)


def broker_part(found: Health) -> Part:
    """Redis or Valkey."""
    if found.broker:
        return Part(gettext("Broker"), Tone.GOOD, gettext("OK"), gettext("Redis or Valkey answers."))
    said = gettext(
        "Redis or Valkey does not answer. No request waits for it: each process keeps rate limits by itself, and "
        "deliveries go out when it is back. This says more:"
    )
    return Part(gettext("Broker"), Tone.NOTICE, gettext("Away"), said, "rollcall doctor")


def workers_part(found: Sequence[Check] | None) -> Part:
    """What runs beside the web processes; unknown while the broker is away."""
    states = {each.name: each.state for each in found or ()}
    here = [states.get(name, State.UNKNOWN) for name in (processes.RELAYS, processes.WORKERS, processes.BEATS)]
    if State.UNKNOWN in here:
        return Part(
            gettext("Workers"), Tone.NOTICE, gettext("Not known"), gettext("This can be told when the broker is well.")
        )
    if all(state is State.OK for state in here):
        return Part(gettext("Workers"), Tone.GOOD, gettext("Running"), gettext("Relay, workers and beat are running."))
    said = gettext("A relay, a worker or beat is not running, so something that was promised waits. This says which:")
    return Part(gettext("Workers"), Tone.NOTICE, gettext("Missing"), said, "rollcall doctor")


def deliveries_part(found: Progress | None) -> Part:
    """What still has to go out, without numbers: they would tell strangers how much is going on."""
    match found:
        case None:
            return Part(
                gettext("Deliveries"),
                Tone.NOTICE,
                gettext("Not known"),
                gettext("This can be told when the database is well."),
            )
        case Progress.GIVEN_UP:
            said = gettext("Something failed for three days and was given up. See what and why:")
            return Part(gettext("Deliveries"), Tone.NOTICE, gettext("Given up"), said, "rollcall doctor")
        case Progress.LATE | Progress.STUCK:
            said = gettext(
                "Deliveries have been waiting for longer than they should. See that the relay and the workers run:"
            )
            return Part(gettext("Deliveries"), Tone.NOTICE, gettext("Late"), said, "rollcall doctor")
        case Progress.ON_ITS_WAY:
            return Part(
                gettext("Deliveries"),
                Tone.GOOD,
                gettext("On their way"),
                gettext("Deliveries are waiting, none for long."),
            )
        case Progress.NOTHING_WAITS:
            return Part(
                gettext("Deliveries"),
                Tone.GOOD,
                gettext("Nothing waiting"),
                gettext("Everything that had to go out has gone out."),
            )
        case _:
            assert_never(found)


def house_part(found: Health) -> Part:
    """What is done regularly."""
    if not found.able:
        return Part(
            gettext("Housekeeping"),
            Tone.NOTICE,
            gettext("Not known"),
            gettext("This can be told when the database is well."),
        )
    if not found.late:
        return Part(
            gettext("Housekeeping"),
            Tone.GOOD,
            gettext("Done"),
            gettext("What has to be done regularly was done within three hours."),
        )
    said = gettext(
        "What has to be done regularly was not done for hours: the audit's months are made ahead, and what is old is "
        "forgotten. Nobody waits for that yet; this says more:"
    )
    return Part(gettext("Housekeeping"), Tone.NOTICE, gettext("Late"), said, "rollcall doctor")
