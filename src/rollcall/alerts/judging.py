"""Opening and closing alerts, some tenants at a time: what is due is PostgreSQL's to say (``sql/alerts.sql``)."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import text

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.keeping import ORIGIN, Did, in_batches
from rollcall.scim.providers import PROFILES
from rollcall.tenancy import overrides
from rollcall.work import SYSTEM, open_fleet

AT_ONCE: Final = 100
"""Tenants that are looked at in one transaction."""

KEEP_FOR: Final = timedelta(days=90)
"""How long an alert is shown that is over."""

KEEP_NOTICES_FOR: Final = timedelta(days=3)
"""How long admins may be mailed what has happened; nobody is where no mail is sent."""

_FIRST: Final = UUID(int=0)
_JUDGE = text(qualified("SELECT * FROM fn.judge_alerts(:after, :limit, CAST(:quiet AS jsonb))"))
_FORGET_NOTICES = text("""
    WITH gone AS (
        DELETE FROM notices WHERE (tenant_id, id) IN (
            SELECT tenant_id, id FROM notices WHERE created_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED)
        RETURNING id)
    SELECT count(*) FROM gone
""")
_FORGET = text(qualified("SELECT fn.forget_alerts(:before, :limit)"))


async def judge(database: Database) -> Did:
    """Open and close the alerts of all tenants, some of them in each transaction, and forget what was over long ago.

    With the same look it is told which overrides have run out.
    """
    done = Counter({"opened": 0, "closed": 0, "overrides_ended": 0})
    after = _FIRST
    while True:
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            row = (await fleet.db.execute(_JUDGE, {"after": after, "limit": AT_ONCE, "quiet": _quiet()})).one()
        done.update(opened=row.opened, closed=row.closed)
        if row.listed < AT_ONCE:
            break
        after = row.last_tenant
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        done.update(overrides_ended=await overrides.tell_ended(fleet))
    now = datetime.now(UTC)
    forgotten = await in_batches(database, _FORGET, {"before": now - KEEP_FOR})
    notices = await in_batches(database, _FORGET_NOTICES, {"before": now - KEEP_NOTICES_FOR})
    return {**done, "forgotten": forgotten, "notices_forgotten": notices}


def _quiet() -> str:
    return orjson.dumps({key: profile.quiet_after.total_seconds() for key, profile in PROFILES.items()}).decode()
