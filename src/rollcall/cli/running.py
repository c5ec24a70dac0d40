"""How commands run: settings from the environment, one database, refusals as a line and not as a traceback."""

import asyncio
import getpass
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar
from uuid import uuid4

import structlog
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from rollcall import db, logging, waiting
from rollcall.cli.giving_up import give_up
from rollcall.crypto import CannotOpen
from rollcall.db import Database
from rollcall.errors import Refusal
from rollcall.settings import Settings, examine_environment
from rollcall.work import Actor, ActorKind, RequestOrigin

T = TypeVar("T")

log = structlog.get_logger(__name__)

DATABASE_FAILURES = (OSError, TimeoutError, SQLAlchemyError, *db.DatabaseError)
"""What is raised when the database is away or refuses."""


def actor() -> Actor:
    """Whoever is at the keyboard, as the audit will name them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(ActorKind.SYSTEM, f"cli:{name}")


def origin() -> RequestOrigin:
    """A command's own request id."""
    return RequestOrigin(request_id=f"cli-{uuid4().hex[:12]}", method="CLI", path=" ".join(sys.argv[1:3]))


def settings_or_give_up() -> Settings:
    """The settings, or a line for each that is missing or malformed; what looks like one and is none is logged."""
    reading = examine_environment()
    if reading.settings is None:
        lines = [*map(str, reading.problems), *map(str, reading.unknown)]
        give_up("\n".join([*lines, "'rollcall config' shows them all; 'rollcall up' runs everything on one machine."]))
    logging.configure(environment=reading.settings.environment, level=reading.settings.log_level)
    for stranger in reading.unknown:
        log.warning(str(stranger))
    return reading.settings


def run_until_stopped(run: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run what ends soon after its event is set, which Ctrl-C and a polite kill do.

    The first process of a container is not ended by a signal that it does not handle.
    """

    async def until_stopped() -> T:
        stop = asyncio.Event()
        if threading.current_thread() is threading.main_thread():  # no other one gets signals
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await run(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(until_stopped())


def wait_for_tables(settings: Settings) -> None:
    """Wait until the database answers and is migrated; a process that is stopped meanwhile ends here."""
    try:
        there = run_until_stopped(lambda stop: waiting.for_tables(settings, stop))
    except db.RoleUnbound as unfit:
        give_up(str(unfit))
    if not there:
        stop_waiting()


def stop_waiting() -> NoReturn:
    """End a process that was asked to while it waited."""
    log.info("stopped while waiting for the database")
    sys.exit(0)


def run_with_database(command: Callable[[Database], Awaitable[T]], settings: Settings | None = None) -> T:
    """Run *command* against the database; what is refused ends with its reason and exit code 1."""
    chosen = settings or settings_or_give_up()

    async def run() -> T:
        database = await db.connect(chosen)
        try:
            return await command(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except Refusal as refusal:
        give_up(refusal.detail)
    except (CannotOpen, db.RoleUnbound) as unfit:
        give_up(str(unfit))
    except DATABASE_FAILURES as error:
        give_up(f"The database can't be used: {logging.masked(str(error))}\nSee 'rollcall doctor'.")
