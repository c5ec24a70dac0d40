"""What is done regularly, part by part; one that fails keeps no other from being done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import structlog

from rollcall.access import housekeeping as access
from rollcall.alerts import judging
from rollcall.billing import inbox
from rollcall.db import Database
from rollcall.directory import housekeeping as directory
from rollcall.events import housekeeping as events
from rollcall.events.outgoing import Signing
from rollcall.journal import housekeeping as journal
from rollcall.journal import keeping, partitions
from rollcall.journal.keeping import Did, Part
from rollcall.provisioning import profile_taking
from rollcall.tenancy import retention

log = structlog.get_logger(__name__)


def parts(
    database: Database, signing: Signing, archive: Path | None = None
) -> Mapping[Part, Callable[[], Awaitable[Did]]]:
    """How each part is done, in order."""
    return {
        Part.PARTITIONS: partial(partitions.make, database),
        Part.RECEIPTS: partial(events.complete_receipts, database, signing),
        Part.ANSWERS: partial(journal.forget_answers, database),
        Part.COUNTS: partial(journal.forget_counts, database),
        Part.MESSAGES: partial(journal.forget_messages, database),
        Part.DESTINATIONS: partial(events.forget_destinations, database),
        Part.PAYMENT: partial(inbox.forget, database),
        Part.MARKS: partial(profile_taking.forget_marks, database),
        Part.SESSIONS: partial(access.forget_sessions, database),
        Part.CREDENTIALS: partial(access.forget_credentials, database),
        Part.CASES: partial(directory.forget_cases, database),
        Part.ALERTS: partial(judging.judge, database),
        Part.RETENTION: partial(retention.keep, database, archive=archive),
    }


async def keep(database: Database, signing: Signing, archive: Path | None = None) -> Sequence[str]:
    """Do all parts that nobody else is doing; returns the names of those that failed.

    Months of the audit are written into *archive* before they are dropped.
    """
    failed: list[str] = []
    for part, do in parts(database, signing, archive).items():
        try:
            did = await keeping.keep(database, part, do)
        except Exception:  # whatever it was, the other parts are due as well
            log.warning("a part of the house is not kept; it is tried again within the hour", part=part, exc_info=True)
            failed.append(part.value)
        else:
            if did is not None:
                log.info("house kept", part=part.value, **did)
    return failed
