"""Every table there is, and how a database is brought to them."""

import asyncio
from pathlib import Path
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from advanced_alchemy.alembic.commands import AlembicCommands
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy import MetaData
from sqlalchemy.util import await_only

from rollcall.access import models as access
from rollcall.access import signing
from rollcall.crypto import Sealer
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE, Base, Connection, alchemy_config, connect
from rollcall.directory import models as directory
from rollcall.events import models as events
from rollcall.journal import models as journal
from rollcall.settings import Settings, migrations_folder
from rollcall.tenancy import models as tenancy
from rollcall.work import SYSTEM, Origin, open_fleet

__all__ = ["access", "directory", "events", "journal", "metadata", "migrate", "run_script", "tenancy"]

metadata: MetaData = Base.metadata


class MigrationRefused(RuntimeError):
    """The database can't be brought to the present tables; the message says what to do."""


def newest_revision() -> str:
    """The revision a current database stands at."""
    return cast("str", ScriptDirectory(str(migrations_folder())).get_current_head())


def run_script(connection: AlchemyConnection, script: Path) -> None:
    """Run a file of SQL statements inside a migration's transaction."""
    driver = cast("Connection", connection.connection.driver_connection)
    await_only(driver.execute(script.read_text()))


async def migrate(settings: Settings) -> None:
    """Bring the database to the present tables and the running role to its rights. Safe to repeat.

    Raises:
        MigrationRefused: the owner's address is missing, or the roles are not what isolation needs.
    """
    if settings.migration_database_url is None:
        msg = "set ROLLCALL_MIGRATION_DATABASE_URL to the address of the role that owns the tables"
        raise MigrationRefused(msg)
    owner_url = settings.migration_database_url.get_secret_value()
    runtime = await _user_of(settings.database_url.get_secret_value())
    owner = await _connect(owner_url)
    try:
        # Whoever migrates at the same moment waits; the lock goes with the connection.
        await owner.execute("SELECT pg_advisory_lock(hashtextextended('rollcall migrate', 0))")
        await _prepare_roles(owner, runtime)
        await asyncio.to_thread(lambda: AlembicCommands(alchemy_config(owner_url)).upgrade())
        await _grant(owner, runtime)
        await _check_rights(owner, runtime)
        await _bound_waits(settings)
        await _make_signing_key(settings)
    finally:
        await owner.close()


async def _bound_waits(settings: Settings) -> None:
    """Have PostgreSQL look whether the caller of a waiting statement is still there.

    Without it a statement that was given up goes on waiting for its lock, and commits when it gets it. It is the
    running role's own setting in this database, so it holds behind a pooler that keeps no setting of a session.
    """
    runner = await _connect(settings.database_url.get_secret_value())
    try:
        database = await runner.fetchval("SELECT quote_ident(current_database())")
        await runner.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET client_connection_check_interval = '500ms'"
        )
    finally:
        await runner.close()


async def _make_signing_key(settings: Settings) -> None:
    database = await connect(settings)
    try:
        async with open_fleet(database, SYSTEM, Origin(request_id="migrate")) as fleet:
            await signing.ensure_key(fleet, Sealer.of(settings))
    finally:
        await database.close()


async def _connect(url: str) -> Any:
    return cast("Any", await asyncpg.connect(url))  # pyright: ignore[reportUnknownMemberType]


async def _user_of(url: str) -> str:
    connection = await _connect(url)
    try:
        return cast("str", await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


async def _prepare_roles(owner: Connection, runtime: str) -> None:
    # A member of the owner's role would own the tables too; superusers and the owner itself count as members here.
    unbound = await owner.fetchval(
        "SELECT pg_has_role(rolname, current_user, 'MEMBER') OR rolsuper OR rolbypassrls FROM pg_roles "
        "WHERE rolname = $1",
        runtime,
    )
    if unbound:
        msg = (
            f'the running role "{runtime}" must neither own the tables nor bypass row-level security: let '
            "ROLLCALL_DATABASE_URL name a role made by CREATE ROLE … LOGIN and nothing more, "
            "and ROLLCALL_MIGRATION_DATABASE_URL another one"
        )
        raise MigrationRefused(msg)
    for role in (RUNTIME_ROLE, FLEET_ROLE):
        try:
            if not await owner.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
                await owner.execute(f"CREATE ROLE {role} NOLOGIN")
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            pass  # another installation on this server made it a moment ago
        except asyncpg.InsufficientPrivilegeError as error:
            msg = (
                f'the owner may not create the role "{role}": have an administrator run '
                f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER WITH ADMIN OPTION;"
            )
            raise MigrationRefused(msg) from error


async def _grant(owner: Connection, runtime: str) -> None:
    quoted = await owner.fetchval("SELECT quote_ident($1)", runtime)
    held = "SELECT count(*) FROM pg_auth_members m WHERE m.member = $1::regrole AND m.roleid = $2::regrole"
    for role, how in ((RUNTIME_ROLE, "INHERIT TRUE, SET TRUE"), (FLEET_ROLE, "INHERIT FALSE, SET TRUE")):
        if await owner.fetchval(held, quoted, role):
            continue
        try:
            await owner.execute(f"GRANT {role} TO {quoted} WITH {how}")
        except asyncpg.InsufficientPrivilegeError as error:
            msg = f"the owner may not grant a role: have an administrator run GRANT {role} TO {quoted} WITH {how};"
            raise MigrationRefused(msg) from error


async def _check_rights(owner: Connection, runtime: str) -> None:
    """A grant made by hand inherits by default; of the fleet role that would open every tenant to every request."""
    rights = await owner.fetchrow(
        "SELECT pg_has_role(rolname, $2::name, 'USAGE') AS serves, pg_has_role(rolname, $3::name, 'SET') AS steps, "
        "pg_has_role(rolname, $3::name, 'USAGE') AS inherits, quote_ident(rolname) AS quoted "
        "FROM pg_roles WHERE rolname = $1",
        runtime,
        RUNTIME_ROLE,
        FLEET_ROLE,
    )
    assert rights is not None
    for role, right, how in (
        (RUNTIME_ROLE, rights["serves"], "INHERIT TRUE, SET TRUE"),
        (FLEET_ROLE, rights["steps"] and not rights["inherits"], "INHERIT FALSE, SET TRUE"),
    ):
        if not right:
            msg = (
                f"the running role {rights['quoted']} must hold the role {role} WITH {how}: have an administrator run "
                f"REVOKE {role} FROM {rights['quoted']} CASCADE; GRANT {role} TO {rights['quoted']} WITH {how};"
            )
            raise MigrationRefused(msg)
