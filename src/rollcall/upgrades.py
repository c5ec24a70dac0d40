"""What an upgrade of a database will meet, found out without changing anything."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from rollcall import catalogue, installing, logging, revisions, tables
from rollcall.checks.model import Check, failed, ok, warning
from rollcall.db import Connection, DatabaseError
from rollcall.directory.twins import Twins, listed
from rollcall.settings import Settings

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a database stands, what is to come, and what stands in the way."""

    stands_at: str | None
    """None for a database that nothing was migrated in, or that does not answer."""
    newest: str
    to_come: Sequence[revisions.Revision]
    checks: Sequence[Check]
    twins: Sequence[Twins] = ()
    """People, and groups, whose names are the same though both were taken: see `names`."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is about to be done to the database behind a connection that can only read."""

    owner: Connection
    settings: Settings
    stands_at: str | None
    to_come: Sequence[revisions.Revision]
    twins: Sequence[Twins]


COUNT_SECONDS = 20
"""How long the entries that are about to be deleted may be counted."""

_OF_PLANS = """
SELECT t.id AS tenant_id, p.retention_days AS days, NULL::timestamptz AS begins
  FROM tenants t JOIN plans p ON p.key = t.plan
"""
"""What will count for each tenant where nothing was deleted before."""
_ANNOUNCED = """
SELECT tenant_id, days, counts_from AS begins FROM audit_retention WHERE counts_from > now()
 UNION ALL SELECT tenant_id, shorter_days, shorter_from FROM audit_retention WHERE shorter_from > now()
 UNION ALL SELECT t.id, p.retention_days, NULL FROM tenants t JOIN plans p ON p.key = t.plan
            WHERE NOT EXISTS (SELECT FROM audit_retention r WHERE r.tenant_id = t.id)
"""
"""What was announced and does not count yet, and what will be announced."""
_DUE = """
SELECT count(*) AS entries, count(DISTINCT e.tenant_id) AS tenants, min(e.at) AS oldest, min(r.begins) AS begins
  FROM ({retention}) r
  JOIN audit_entries e ON e.tenant_id = r.tenant_id AND e.at < now() - make_interval(days => r.days)
"""
_KEEP_IT = "to keep it, raise retention_days of the plans before, or export it with 'rollcall audit TENANT --all'"

AUDITORS = "2026_11_30_auditors"
_OF_THE_PRODUCT = """
SELECT count(*) FROM tokens
 WHERE 'auditor' = ANY (scopes) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""

Question = Callable[[Upgrade], Awaitable[Check]]


async def examine(settings: Settings) -> Outlook:
    """Look at what an upgrade will meet; the connection is one that can change nothing."""
    newest = revisions.newest()
    try:
        owner = await _reading(settings)
    except tables.MigrationRefused as refused:
        return Outlook(None, newest, (), [failed("owner", "the owner's address is missing", str(refused))])
    except (OSError, TimeoutError, *DatabaseError) as error:
        said = f"the database can't be reached as the owner of the tables ({logging.masked(str(error)) or 'no answer'})"
        return Outlook(None, newest, (), [failed("owner", said, "see ROLLCALL_MIGRATION_DATABASE_URL")])
    try:
        stands_at = await tables.current_revision(owner)
        twins = await listed(owner) if stands_at and revisions.is_known(stands_at) else ()
        upgrade = Upgrade(owner, settings, stands_at, to_come(stands_at), twins)
        return Outlook(stands_at, newest, upgrade.to_come, [await ask(upgrade) for ask in QUESTIONS], twins)
    finally:
        await owner.close()


async def _reading(settings: Settings) -> Connection:
    owner = await tables.connect_as_owner(settings, timeout=CONNECT_SECONDS)
    await owner.execute("SET default_transaction_read_only = on")
    return owner


def to_come(stands_at: str | None) -> Sequence[revisions.Revision]:
    """The revisions after the one that a database stands at, in the order in which they run; empty if it is unknown."""
    if stands_at is not None and not revisions.is_known(stands_at):
        return ()
    return revisions.after(stands_at)


async def revision(upgrade: Upgrade) -> Check:
    """Whether this version knows where the database stands, and whether anything is to be done."""
    if upgrade.stands_at is not None and not revisions.is_known(upgrade.stands_at):
        return failed(
            "revision", f"the database stands at {upgrade.stands_at}", tables.from_the_future(upgrade.stands_at)
        )
    if not upgrade.to_come:
        return ok("revision", f"the database stands at {upgrade.stands_at}, the newest revision")
    where = f"stands at {upgrade.stands_at}" if upgrade.stands_at else "is empty"
    number = len(upgrade.to_come)
    said = f"the database {where}; {number} revision{'' if number == 1 else 's'} to come"
    return warning("revision", said, "run 'rollcall migrate' before new code is started")


async def foundation(upgrade: Upgrade) -> Check:
    """Whether a database that stands at the first revision was made by the one that is frozen now."""
    if upgrade.stands_at != catalogue.FOUNDATION:
        return ok("foundation", "the first revision is not the one to look at")
    if differing := await catalogue.edited(upgrade.owner):
        return failed("foundation", f"{len(differing)} objects are not as revised", catalogue.refusal(differing))
    return ok("foundation", "the tables and functions are what the first revision makes")


async def roles(upgrade: Upgrade) -> Check:
    """Whether the running role is one that isolation can rest on, and the owner may do what is to be done."""
    try:
        runtime = await tables.user_of(upgrade.settings.database_url.get_secret_value(), timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, *DatabaseError) as error:
        said = f"the database can't be reached as the running role ({logging.masked(str(error)) or 'no answer'})"
        return failed("roles", said, "see ROLLCALL_DATABASE_URL")
    try:
        await tables.check_roles(upgrade.owner, runtime)
    except tables.MigrationRefused as refused:
        return failed("roles", "the database's roles are not what isolation needs", str(refused))
    return ok("roles", f'the running role "{runtime}" is bound by row-level security')


async def functions_of_this_version(upgrade: Upgrade) -> Check:
    """Whether the functions of this version are installed, and of how many others nobody makes use any more."""
    if upgrade.stands_at is None or upgrade.to_come:
        return ok("functions", "this version's functions come with the revisions")
    if await installing.is_missing(upgrade.owner):
        said = "this version's functions are not installed"
        return warning("functions", said, "run 'rollcall migrate' before new code is started")
    if unused := await installing.unused(upgrade.owner):
        said = f"installed; those of other versions that no process has used for a day: {', '.join(unused)}"
        return ok("functions", f"{said} ('rollcall migrate --prune' removes them)")
    return ok("functions", "this version's functions are installed")


async def names(upgrade: Upgrade) -> Check:
    """How many names are the same as another one's; they stay, so nothing stands in the way."""
    if not upgrade.twins:
        return ok("names", "no two people, and no two groups, have names that are the same")
    number = len(upgrade.twins)
    said = f"{number} name{' is' if number == 1 else 's are'} shared by twins, who stay and are listed below"
    return ok("names", f"{said}: each is found by their own spelling; rename all but one at the identity provider")


async def history(upgrade: Upgrade) -> Check:
    """Whether entries of the audit are about to be deleted that nobody has been told of yet."""
    if upgrade.stands_at is None:
        return ok("history", "there is no audit yet")
    started = await upgrade.owner.fetchval("SELECT to_regclass('audit_retention') IS NOT NULL")
    try:
        async with upgrade.owner.transaction():
            await upgrade.owner.execute(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'")
            row = await upgrade.owner.fetchrow(_DUE.format(retention=_ANNOUNCED if started else _OF_PLANS))
    except asyncpg.QueryCanceledError:
        said = f"more of the audit is older than plans keep it than can be counted in {COUNT_SECONDS} s"
        return warning("history", said, _KEEP_IT)
    assert row is not None
    if not row["entries"]:
        return ok("history", "nothing of the audit is about to be deleted for the first time")
    when = (
        f"from {row['begins']:%Y-%m-%d} on"
        if row["begins"]
        else "seven days after housekeeping has run for the first time"
    )
    said = (
        f"{row['entries']:,} entries of {row['tenants']} tenants, the oldest of {row['oldest']:%Y-%m-%d}, are older "
        f"than their plans keep them, and will be deleted {when}"
    )
    return warning("history", said, _KEEP_IT)


async def scopes(upgrade: Upgrade) -> Check:
    """Whether tokens of the product have the scope that the revision of auditors makes Rollcall's own."""
    if upgrade.stands_at is None or AUDITORS not in {each.id for each in upgrade.to_come}:
        return ok("scopes", "no token of the product has a scope of Rollcall's own")
    number = await upgrade.owner.fetchval(_OF_THE_PRODUCT)
    if not number:
        return ok("scopes", "no token of the product has a scope of Rollcall's own")
    said = f"{number:,} live tokens of the product have the scope auditor, which becomes Rollcall's own"
    return failed("scopes", said, "give whoever has one a token with another scope, and revoke these")


QUESTIONS: Sequence[Question] = (revision, foundation, roles, functions_of_this_version, names, history, scopes)
"""What is asked of a database before it is upgraded, in this order; a new question is a function here."""
