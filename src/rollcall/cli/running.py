"""How commands run: settings from the environment, one database, refusals as a line and not as a traceback."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar
from uuid import uuid4

import click
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import db, logging
from rollcall.crypto import CannotOpen
from rollcall.db import Database
from rollcall.errors import Refusal
from rollcall.settings import Settings, read_settings
from rollcall.work import Actor, ActorKind, Origin

T = TypeVar("T")

_REMEDIES: dict[int | str, str] = {
    "secret_keys": "; 'rollcall secret' prints a fresh key, keep it as you keep a password"
}
"""What to do about a setting, where its name does not say it."""


def actor() -> Actor:
    """Whoever is at the keyboard, as the audit will name them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(ActorKind.SYSTEM, f"cli:{name}")


def origin() -> Origin:
    """A command's own request id."""
    return Origin(request_id=f"cli-{uuid4().hex[:12]}", method="CLI", path=" ".join(sys.argv[1:3]))


def give_up(message: str) -> NoReturn:
    """End the command with a line that says why, and what to do."""
    click.secho(message, fg="red", err=True)
    sys.exit(1)


def settings_or_give_up() -> Settings:
    """The settings, or a line for each that is missing or malformed."""
    try:
        settings = read_settings()
    except ValidationError as error:
        lines = [
            f"ROLLCALL_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}{_REMEDIES.get(each['loc'][0], '')}"
            for each in error.errors()
        ]
        give_up(
            "\n".join([*lines, "Set these environment variables, or use 'rollcall up' for everything on one machine."])
        )
    logging.configure(environment=settings.environment, level=settings.log_level)
    return settings


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
    except CannotOpen as sealed:
        give_up(str(sealed))
    except (OSError, SQLAlchemyError, *db.DatabaseError) as error:
        give_up(f"The database can't be used: {logging.masked(str(error))}\nSee 'rollcall doctor'.")
