"""``rollcall doctor``: is everything as it has to be, and if not, what to do."""

import asyncio
import sys
from collections import Counter

import click
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rollcall import broker, db, logging, tables
from rollcall.access import signing
from rollcall.cli import secret
from rollcall.cli.running import actor, origin, settings_or_give_up
from rollcall.crypto import CannotOpen, Sealer, Under
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE, Database
from rollcall.journal import outbox
from rollcall.settings import Settings
from rollcall.work import open_fleet
from rollcall.worker.relay import HEARTBEAT_KEY

Finding = tuple[bool, str]

_NO_SIGNING_KEY: Finding = (False, "there is no signing key: run 'rollcall migrate'")

_RIGHTS = f"""
SELECT rolsuper OR rolbypassrls AS free,
       pg_has_role(rolname, '{RUNTIME_ROLE}', 'USAGE') AS serves,
       pg_has_role(rolname, '{FLEET_ROLE}', 'USAGE') AS inherits_fleet,
       EXISTS (SELECT FROM pg_tables WHERE tableowner = current_user AND tablename = 'users') AS owns
  FROM pg_roles WHERE rolname = current_user
"""  # noqa: S608  # the names are ours


@click.command()
def doctor() -> None:
    """Check settings, database, rights, migrations, broker, relay and outbox; say what to do about each."""
    settings = settings_or_give_up()
    findings = asyncio.run(_examine(settings))
    for well, said in findings:
        click.secho(("ok    " if well else "NOT OK ") + said, fg=None if well else "red")
    sys.exit(0 if all(well for well, _ in findings) else 1)


async def _examine(settings: Settings) -> list[Finding]:
    findings: list[Finding] = [(True, "settings are complete"), (True, _destination_ports(settings))]
    try:
        database = await db.connect(settings)
    except (OSError, SQLAlchemyError, *db.DatabaseError) as error:
        said = logging.masked(str(error))
        return [*findings, (False, f"the database can't be reached ({said}): check ROLLCALL_DATABASE_URL")]
    try:
        findings += await _examine_database(database, Sealer.of(settings))
    finally:
        await database.close()
    return [*findings, *await _examine_broker(settings)]


def _destination_ports(settings: Settings) -> str:
    if settings.allow_private_destinations:
        return "destinations may be anywhere, at any port: ROLLCALL_ALLOW_PRIVATE_DESTINATIONS is for development"
    ports = ", ".join(str(port) for port in settings.destination_ports)
    return f"destinations are called at the ports {ports}; ROLLCALL_DESTINATION_PORTS allows others"


async def _examine_database(database: Database, sealer: Sealer) -> list[Finding]:
    version = int(await database.pool.fetchval("SHOW server_version_num"))
    findings: list[Finding] = [
        (version >= 180000, f"PostgreSQL is {version // 10000} (18 is needed)"),
    ]
    try:
        stands = await database.pool.fetchval("SELECT version_num FROM alembic_version")
        rights = await database.pool.fetchrow(_RIGHTS)
    except db.DatabaseError:
        return [*findings, (False, "the tables are missing: run 'rollcall migrate'")]
    newest = tables.newest_revision()
    findings.append((stands == newest, f"the tables stand at {stands}; run 'rollcall migrate' if that is not {newest}"))
    assert rights is not None
    bound = rights["serves"] and not (rights["free"] or rights["owns"] or rights["inherits_fleet"])
    findings.append(
        (bound, "the running role is bound by row-level security; if not, run 'rollcall migrate' with another role")
    )
    async with open_fleet(database, actor(), origin()) as fleet:
        waiting = await outbox.backlog(fleet)
        signs = await signing.every(fleet)
    findings.append(_examine_secrets(await secret.standing(database, sealer)) if signs else _NO_SIGNING_KEY)
    findings.append(
        (
            waiting.oldest_seconds < 60 and waiting.dead == 0,
            (
                f"the outbox has {waiting.waiting} waiting, the oldest for {waiting.oldest_seconds:.0f} s, and "
                f"{waiting.dead} dead; if they pile up, see that relay and worker run"
            ),
        )
    )
    return findings


def _examine_secrets(stood: Counter[Under]) -> Finding:
    if lost := stood[Under.NONE]:
        return (False, f"ROLLCALL_SECRET_KEYS does not open what is stored: {lost} of it. {CannotOpen()}")
    if older := stood[Under.OLDER]:
        remedy = "'rollcall secret reseal' brings it under the first"
        return (True, f"ROLLCALL_SECRET_KEYS opens what is stored; {older} of it takes an older key: {remedy}")
    return (True, "the first of ROLLCALL_SECRET_KEYS opens everything that is stored")


async def _examine_broker(settings: Settings) -> list[Finding]:
    redis = broker.connect(settings, patience=2)
    try:
        heartbeat = await redis.get(HEARTBEAT_KEY)
    except (RedisError, OSError) as error:
        said = logging.masked(str(error))
        return [(False, f"Redis or Valkey can't be reached ({said}): check ROLLCALL_REDIS_URL")]
    finally:
        await redis.aclose()
    return [
        (True, "the broker answers"),
        (heartbeat is not None, "a relay is running; if not, start 'rollcall relay'"),
    ]
