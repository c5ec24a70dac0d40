"""Profiles that take themselves: a tenant's provider is recognised by the marks it left, and its profile taken once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
import structlog
from sqlalchemy import text

from rollcall.db import FLEET_ROLE, Database, DatabaseError, Pool
from rollcall.functions import qualified
from rollcall.journal.events import TenantProfileTaken
from rollcall.journal.keeping import Did, in_batches
from rollcall.journal.record import call_of
from rollcall.scim.providers import PROFILES
from rollcall.scim.recognising import COUNTS_FOR, Recognised, Seen, recognise
from rollcall.work import SYSTEM, RequestOrigin

log = structlog.get_logger(__name__)

QUIET: Final = timedelta(minutes=60)
"""So long nothing may have been changed by the provider; a tenant of which nothing ever was has been quiet."""

KEEP_FOR: Final = timedelta(days=90)
"""After so long without being seen a mark is forgotten."""

_ORIGIN: Final = RequestOrigin(request_id="recognise providers")

_UNDECIDED = """
SELECT m.tenant_id, m.mark, m.first_seen, m.last_seen, m.times
  FROM provider_marks m JOIN tenants n ON n.id = m.tenant_id
 WHERE n.profile_auto AND n.profile_taken_at IS NULL AND m.last_seen > $2 AND ($1::uuid[] IS NULL OR n.id = ANY ($1))
"""
_FORGET = text("""
    WITH gone AS (
        DELETE FROM provider_marks m USING (
            SELECT tenant_id, mark FROM provider_marks WHERE last_seen < :before LIMIT :limit) f
         WHERE m.tenant_id = f.tenant_id AND m.mark = f.mark RETURNING m.mark)
    SELECT count(*) FROM gone
""")
_TAKE = qualified("SELECT fn.take_profile($1, $2, $3, $4, $5)")


async def look_at(pool: Pool, tenants: Sequence[UUID] | None = None) -> list[UUID]:
    """Take the profiles of those of *tenants*, or of all, whose provider is recognised; returns who got one.

    Where something stands against it, it is left to the next look.
    """
    now = datetime.now(UTC)
    marks: dict[UUID, list[Seen]] = {}
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {FLEET_ROLE}")
        for row in await connection.fetch(_UNDECIDED, tenants, now - COUNTS_FOR):
            seen = Seen(row["mark"], row["first_seen"], row["last_seen"], row["times"])
            marks.setdefault(row["tenant_id"], []).append(seen)
    return [tenant for tenant, seen in marks.items() if await _take(pool, tenant, recognise(seen, now))]


async def _take(pool: Pool, tenant: UUID, recognised: Recognised) -> bool:
    if recognised.provider is None:
        return False
    profile = PROFILES[recognised.provider]
    event = TenantProfileTaken(profile=profile.key, evidence=recognised.evidence)
    described = call_of(SYSTEM, _ORIGIN, event.topic) | {"payload": event.payload()}
    try:
        why = await pool.fetchval(
            _TAKE, tenant, profile.key, profile.unique_group_names, QUIET, orjson.dumps(described).decode()
        )
    except DatabaseError as error:
        log.warning("a profile could not be taken; it is tried again", tenant=str(tenant), error=str(error))
        return False
    if why is not None:
        return False
    log.info("profile taken", tenant=str(tenant), profile=profile.key, evidence=recognised.evidence)
    return True


async def forget_marks(database: Database) -> Did:
    """Forget marks that were not seen for three months."""
    before = {"before": datetime.now(UTC) - KEEP_FOR}
    return {"marks_forgotten": await in_batches(database, _FORGET, before)}
