"""Whether PostgreSQL is as it has to be: version, tables, roles, partitions, clock, and what stands before it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from redis.exceptions import RedisError

from rollcall.checks.asking import SECONDS, Grounds
from rollcall.checks.model import Check, failed, ok, warning
from rollcall.db import FLEET_ROLE, RUNTIME_ROLE
from rollcall.functions import qualified
from rollcall.journal import health, writing
from rollcall.journal.health import DatabaseState

VERSION = "postgresql"
TABLES = "tables"
ROLE = "role"
POOLER = "pooler"
WRITES = "writes"
PARTITIONS = "partitions"
CLOCK = "clock"

OLDEST_VERSION = 18
CLOCK_OFF_SECONDS = 2.0
"""From this difference on clocks are worth a look."""
CLOCK_WRONG_SECONDS = 60.0
"""From this difference on tokens and tasks run out at the wrong time."""
POOLER_SECONDS = 2.0
POOLER_TRIES = 4

_RIGHTS = f"""
SELECT rolname, rolsuper OR rolbypassrls AS free,
       pg_has_role(rolname, '{RUNTIME_ROLE}', 'USAGE') AS serves,
       pg_has_role(rolname, '{FLEET_ROLE}', 'USAGE') AS inherits_fleet,
       EXISTS (SELECT FROM pg_class c
                WHERE c.oid = to_regclass('users') AND pg_has_role(c.relowner, 'MEMBER')) AS owns
  FROM pg_roles WHERE rolname = current_user
"""  # noqa: S608  # the names are ours

_MONTHS = qualified("""
SELECT DISTINCT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, step
  FROM (SELECT 0, now() UNION ALL
        SELECT 1, (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC') m (step, at)
 CROSS JOIN unnest(ARRAY['audit_entries', 'audit_payloads']) AS t (name)
 WHERE NOT EXISTS (SELECT FROM fn.audit_partitions(t.name) p WHERE p.begins <= m.at AND m.at < p.ends)
 ORDER BY step
""")
"""The months of this moment and of the next month's first one, for which there is no partition."""


async def version(grounds: Grounds) -> Check:
    """Whether PostgreSQL is new enough."""
    number = int(await grounds.database.pool.fetchval("SHOW server_version_num")) // 10000
    if number < OLDEST_VERSION:
        return failed(VERSION, f"PostgreSQL is {number}", f"use PostgreSQL {OLDEST_VERSION} or newer")
    return ok(VERSION, f"PostgreSQL is {number}")


async def tables(grounds: Grounds) -> Check:
    """Whether the tables are those that this version needs."""
    found = await health.look(grounds.database.pool, grounds.redis, grounds.revisions, patience=SECONDS)
    match found.database:
        case DatabaseState.OK | DatabaseState.UNWRITABLE:
            return ok(TABLES, f"the tables stand at {found.revision}, which is current")
        case DatabaseState.BEHIND if found.revision is None:
            return failed(TABLES, "the tables are missing", "run 'rollcall migrate'")
        case DatabaseState.BEHIND:
            stands = f"the tables stand at {found.revision}, and this version needs {grounds.revisions.newest}"
            said = stands if found.revision != grounds.revisions.newest else "this version's functions are missing"
            return failed(TABLES, said, "run 'rollcall migrate --check', then 'rollcall migrate'")
        case DatabaseState.EDITED:
            said = f"the tables were made by an unreleased version, whose {found.revision} was another"
            return failed(TABLES, said, "'rollcall migrate --check' says what to do")
        case DatabaseState.AWAY:
            raise TimeoutError


async def writes(grounds: Grounds) -> Check:
    """Whether anything can be written; on a full disk all can be read."""
    because = await writing.refusal_now(grounds.database.pool, patience=SECONDS)
    if because is None:
        return ok(WRITES, "PostgreSQL takes writes")
    return failed(
        WRITES,
        f"PostgreSQL takes no writes, so nobody can leave: {because}",
        "see 'When the disk is full' in docs/operations.md; if it is a standby, let ROLLCALL_DATABASE_URL lead to the "
        "primary",
    )


async def role(grounds: Grounds) -> Check:
    """Whether row-level security binds the running role."""
    rights = await grounds.database.pool.fetchrow(_RIGHTS)
    assert rights is not None
    remedy = (
        "let ROLLCALL_DATABASE_URL name a role made by CREATE ROLE … LOGIN and nothing more, and run 'rollcall migrate'"
    )
    who = f'the running role "{rights["rolname"]}"'
    if rights["free"] or rights["owns"]:
        return failed(ROLE, f"{who} is a superuser, bypasses row-level security or owns the tables", remedy)
    if rights["inherits_fleet"]:
        return failed(ROLE, f"{who} inherits {FLEET_ROLE}, which sees every tenant", "run 'rollcall migrate'")
    if not rights["serves"]:
        return failed(ROLE, f"{who} lacks {RUNTIME_ROLE}", "run 'rollcall migrate'")
    return ok(ROLE, f"{who} is bound by row-level security")


async def partitions(grounds: Grounds) -> Check:
    """Whether the audit has a partition for this month and the next one."""
    missing = await grounds.database.pool.fetch(_MONTHS)
    if not missing:
        return ok(PARTITIONS, "the audit has partitions for this month and the next")
    months = " and ".join(row["month"] for row in missing)
    remedy = "see that beat and a 'rollcall worker' run: housekeeping makes them every hour"
    said = f"the audit has no partition for {months}; entries go into the default one"
    return (failed if missing[0]["step"] == 0 else warning)(PARTITIONS, said, remedy)


async def clock(grounds: Grounds) -> Check:
    """Whether the clocks of this machine, of the database and of the broker agree."""
    theirs = {"PostgreSQL": await _offset(grounds, _database_time)}
    with suppress(RedisError, OSError):  # that it is away is said elsewhere
        theirs["Redis"] = await _offset(grounds, _broker_time)
    server, off = max(theirs.items(), key=lambda each: abs(each[1]))
    if abs(off) < CLOCK_OFF_SECONDS:
        return ok(CLOCK, f"the clocks of this machine and of {' and '.join(theirs)} agree within two seconds")
    said = f"the clock of {server} is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's"
    judge = failed if abs(off) >= CLOCK_WRONG_SECONDS else warning
    return judge(CLOCK, said, "have every machine set its clock by NTP (chrony, systemd-timesyncd)")


async def _offset(grounds: Grounds, ask: Callable[[Grounds], Awaitable[datetime]]) -> float:
    """Seconds that a server's clock is ahead of ours, give or take half of what the question took."""
    before = datetime.now(UTC)
    theirs = await ask(grounds)
    after = datetime.now(UTC)
    early, late = (before - theirs).total_seconds(), (theirs - after).total_seconds()
    return late if late > 0 else -early if early > 0 else 0.0


async def _database_time(grounds: Grounds) -> datetime:
    return await grounds.database.pool.fetchval("SELECT clock_timestamp()")


async def _broker_time(grounds: Grounds) -> datetime:
    seconds, microseconds = cast("tuple[int, int]", await cast("Any", grounds.redis).time())
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


async def pooler(grounds: Grounds) -> Check:
    """Whether a pooler before PostgreSQL keeps named statements, which every process uses unless a setting says not to.

    A pooler answers a new connection with a process id of its own making. One that hands a server's connection to
    whoever has a transaction loses a statement that was prepared on another one, unless it keeps track of them.
    """
    url = grounds.settings.database_url.get_secret_value()
    opened: list[Any] = []

    async def connection() -> Any:
        connect = cast("Any", asyncpg).connect
        limits = {"timeout": POOLER_SECONDS, "command_timeout": POOLER_SECONDS}
        opened.append(await connect(url, **limits, statement_cache_size=0))
        return opened[-1]

    try:
        first = await connection()
        if first.get_server_pid() == await first.fetchval("SELECT pg_backend_pid()"):
            return ok(POOLER, "no pooler stands before PostgreSQL")
        if not grounds.settings.database_named_statements:
            return ok(POOLER, "a pooler stands before PostgreSQL, and statements have no names that it could lose")
        if await _loses_statements(first, connection):
            return failed(
                POOLER,
                "a pooler stands before PostgreSQL and loses named statements: most calls fail",
                "set ROLLCALL_DATABASE_NAMED_STATEMENTS=false for every process; or use PgBouncer 1.21 or newer with "
                "max_prepared_statements = 200, or pool_mode = session",
            )
        return ok(POOLER, "a pooler stands before PostgreSQL, and keeps named statements")
    finally:
        for each in opened:
            each.terminate()


async def _loses_statements(first: Any, connection: Callable[[], Awaitable[Any]]) -> bool:
    """Prepare on one of the server's connections, have others hold one each, and ask on whichever is left.

    Once another one answered, the pooler has brought the statement there; where the same one always does, it is ours.
    """
    try:
        prepared = await first.prepare("SELECT pg_backend_pid() AS rollcall", name=f"rollcall_{token_hex(4)}")
        before = await prepared.fetchval()
        for _ in range(POOLER_TRIES):
            holder = await connection()
            await holder.execute("BEGIN")
            if await prepared.fetchval() != before:
                return False
    except asyncpg.InvalidSQLStatementNameError:
        return True
    return False
