"""Every table there is, and how a database is brought to them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from advanced_alchemy.alembic.commands import AlembicCommands
from sqlalchemy import Connection as AlchemyConnection
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.util import await_only

from rollcall import catalogue, installing, revisions
from rollcall.access import models as access
from rollcall.alerts import models as alerts
from rollcall.billing import models as billing
from rollcall.crypto import Sealer
from rollcall.db import BOUNDS, FLEET_ROLE, RUNTIME_ROLE, Base, Connection, DatabaseError, alchemy_config, connect
from rollcall.directory import models as directory
from rollcall.directory import twins
from rollcall.events import models as events
from rollcall.journal import models as journal
from rollcall.logging import masked
from rollcall.proof import models as proof
from rollcall.proof import signing
from rollcall.settings import Settings
from rollcall.tenancy import models as tenancy
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

__all__ = [
    "access",
    "alerts",
    "billing",
    "directory",
    "events",
    "journal",
    "metadata",
    "migrate",
    "proof",
    "run_script",
    "run_sql",
    "tenancy",
]

metadata: MetaData = Base.metadata


class MigrationRefused(RuntimeError):
    """The database can't be brought to the present tables; the message says what to do."""


class MigrationStopped(RuntimeError):
    """A revision failed and was undone, those before it stand; the message says where that leaves the database."""


_MET_OTHERS = {"55P03", "40P01"}
"""PostgreSQL's codes for a lock that was not had in time, and for a deadlock."""

REVISION_TRIES = 3
"""How often a revision is begun that did not get a lock, or was undone to end a deadlock."""


def from_the_future(revision: str) -> str:
    """What to say of a database that stands at a revision which this version does not have, and what to do."""
    return (
        f"the database stands at {revision}, which this version of Rollcall does not know: a newer one has migrated "
        "it; run that one, or bring back a backup from before"
    )


def run_script(connection: AlchemyConnection, script: Path) -> None:
    """Run a file of SQL statements inside a migration's transaction."""
    run_sql(connection, script.read_text())


def run_sql(connection: AlchemyConnection, text: str) -> None:
    """Run SQL statements inside a migration's transaction."""
    driver = cast("Connection", connection.connection.driver_connection)
    await_only(driver.execute(text))


async def migrate(settings: Settings) -> None:
    """Bring the database to the present tables and the running role to its rights. Safe to repeat.

    Raises:
        MigrationRefused: the owner's address is missing, the roles are not what isolation needs, or the tables were
            made by another version that this one can't go on from.
        MigrationStopped: a revision failed; the next run goes on from the one before it.
    """
    owner_url = owner_address(settings)
    runtime = await user_of(settings.database_url.get_secret_value())
    owner = await connect_as_owner(settings)
    try:
        # Whoever migrates at the same moment waits; the lock goes with the connection.
        await owner.execute("SELECT pg_advisory_lock(hashtextextended('rollcall migrate', 0))")
        await _refuse_strange_tables(owner)
        await _prepare_roles(owner, runtime)
        await _revise(owner, owner_url)
        await installing.install(owner)
        await twins.fill(owner)
        await _grant(owner, runtime)
        await _check_rights(owner, runtime)
        await _bound_waits(settings)
        await _make_signing_key(settings)
    finally:
        await owner.close()


async def _revise(owner: Connection, owner_url: str) -> None:
    """Bring the database to the newest revision, a transaction for each; one that met others is tried again.

    Raises:
        MigrationRefused, MigrationStopped: a revision refused, or failed; those before it stand.
    """
    tries = 0
    while True:
        stood_at = await current_revision(owner)
        try:
            return await asyncio.to_thread(lambda: AlembicCommands(alchemy_config(owner_url)).upgrade())
        except (SQLAlchemyError, *DatabaseError) as error:
            stands_at = await current_revision(owner)
            tries = tries + 1 if stands_at == stood_at else 1
            if tries == REVISION_TRIES or not _met_others(error):
                raise MigrationStopped(_stopped_at(stands_at, error)) from error


def _cause(error: Exception) -> BaseException:
    """What PostgreSQL said, without what SQLAlchemy adds to it, the whole statement among that."""
    orig = error.orig if isinstance(error, DBAPIError) else None
    return (orig and orig.__cause__) or error


def _met_others(error: Exception) -> bool:
    return getattr(_cause(error), "sqlstate", None) in _MET_OTHERS


def _stopped_at(stands_at: str | None, error: Exception) -> str:
    failed, *later = [each.id for each in revisions.after(stands_at)]
    return (
        f"the revision {failed} failed and was undone: {masked(str(_cause(error)))}\n"
        f"The database stands at {stands_at or 'no revision'}; {len(later)} more were to come after that one."
    )


async def _bound_waits(settings: Settings) -> None:
    """Bound what the running role waits for (`db.BOUNDS`).

    They are the role's own settings in this database, so they hold behind a pooler that keeps no setting of a session.
    """
    runner = await _connect(settings.database_url.get_secret_value())
    try:
        database = await runner.fetchval("SELECT quote_ident(current_database())")
        for name, bound in BOUNDS.items():
            await runner.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = '{bound}'")
    finally:
        await runner.close()


async def _make_signing_key(settings: Settings) -> None:
    database = await connect(settings)
    try:
        async with open_fleet(database, SYSTEM, RequestOrigin(request_id="migrate")) as fleet:
            await signing.ensure_keys(fleet, Sealer.of(settings))
    finally:
        await database.close()


async def prune_functions(settings: Settings) -> Sequence[str]:
    """Remove the functions of versions that no process uses any more; returns the names of their schemas."""
    owner = await connect_as_owner(settings)
    try:
        return await installing.prune(owner)
    finally:
        await owner.close()


def owner_address(settings: Settings) -> str:
    """The address of the role that owns the tables.

    Raises:
        MigrationRefused: it is not set.
    """
    if settings.migration_database_url is None:
        msg = "set ROLLCALL_MIGRATION_DATABASE_URL to the address of the role that owns the tables"
        raise MigrationRefused(msg)
    return settings.migration_database_url.get_secret_value()


async def connect_as_owner(settings: Settings, *, timeout: float | None = None) -> Connection:  # noqa: ASYNC109  # the driver's
    """A connection as the role that owns the tables, made within *timeout* seconds.

    Raises:
        MigrationRefused: its address is not set.
    """
    return cast("Connection", await _connect(owner_address(settings), timeout))


async def current_revision(owner: Connection) -> str | None:
    """The revision that a database stands at; None if nothing was migrated in it."""
    if await owner.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
        return None
    return cast("str | None", await owner.fetchval("SELECT version_num FROM alembic_version"))


async def _refuse_strange_tables(owner: Connection) -> None:
    stands_at = await current_revision(owner)
    if stands_at is not None and not revisions.is_known(stands_at):
        raise MigrationRefused(from_the_future(stands_at))
    if stands_at == catalogue.FOUNDATION and (differing := await catalogue.edited(owner)):
        raise MigrationRefused(catalogue.refusal(differing))


async def _connect(url: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # the driver's
    return await cast("Any", asyncpg).connect(
        url, timeout=timeout or 60, statement_cache_size=0
    )  # a pooler may lose named ones


async def user_of(url: str, *, timeout: float | None = None) -> str:  # noqa: ASYNC109  # the driver's
    """The role that an address leads to, asked within *timeout* seconds."""
    connection = await _connect(url, timeout)
    try:
        return cast("str", await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


_RIGHT_TO_GRANT = """
SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
            THEN CASE WHEN pg_has_role($2::name, $1::name, 'MEMBER')
                        OR pg_has_role($1::name, 'MEMBER WITH ADMIN OPTION')
                      THEN 'may' ELSE 'may not grant' END
            WHEN (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'may'
            ELSE 'may not create' END
"""


async def check_roles(owner: Connection, runtime: str) -> None:
    """Change nothing, and find out whether migrating would be refused because of the roles.

    Raises:
        MigrationRefused: it would; the message says what to do.
    """
    await _check_unbound(owner, runtime)
    quoted = await owner.fetchval("SELECT quote_ident($1)", runtime)
    held = 0
    for role, how in _GRANTS:
        right = await owner.fetchval(_RIGHT_TO_GRANT, role, runtime)
        if right == "may not create":
            raise MigrationRefused(_may_not_make(role))
        if right == "may not grant":
            raise MigrationRefused(_may_not_grant(role, quoted, how))
        held += bool(await owner.fetchval(_HELD, quoted, role))
    if held == len(_GRANTS):
        await _check_rights(owner, runtime)


def _may_not_make(role: str) -> str:
    return (
        f'the owner may not create the role "{role}": have an administrator run '
        f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER WITH ADMIN OPTION;"
    )


async def _check_unbound(owner: Connection, runtime: str) -> None:
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


async def _prepare_roles(owner: Connection, runtime: str) -> None:
    await _check_unbound(owner, runtime)
    for role in (RUNTIME_ROLE, FLEET_ROLE):
        try:
            if not await owner.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
                await owner.execute(f"CREATE ROLE {role} NOLOGIN")
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            pass  # another installation on this server made it a moment ago
        except asyncpg.InsufficientPrivilegeError as error:
            raise MigrationRefused(_may_not_make(role)) from error


_GRANTS = ((RUNTIME_ROLE, "INHERIT TRUE, SET TRUE"), (FLEET_ROLE, "INHERIT FALSE, SET TRUE"))
_HELD = "SELECT count(*) FROM pg_auth_members m WHERE m.member = to_regrole($1) AND m.roleid = to_regrole($2)"


def _may_not_grant(role: str, quoted: str, how: str) -> str:
    return f"the owner may not grant a role: have an administrator run GRANT {role} TO {quoted} WITH {how};"


async def _grant(owner: Connection, runtime: str) -> None:
    quoted = await owner.fetchval("SELECT quote_ident($1)", runtime)
    for role, how in _GRANTS:
        if await owner.fetchval(_HELD, quoted, role):
            continue
        try:
            await owner.execute(f"GRANT {role} TO {quoted} WITH {how}")
        except asyncpg.InsufficientPrivilegeError as error:
            raise MigrationRefused(_may_not_grant(role, quoted, how)) from error


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
