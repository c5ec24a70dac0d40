"""What ended long ago is forgotten: sessions, tokens, passkeys, passwords, external credentials, codes, challenges."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text

from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.journal.housekeeping import KEEP_DEAD_FOR, KEEP_DONE_FOR
from rollcall.journal.keeping import Did, in_batches

KEEP_SESSIONS_FOR: Final = timedelta(days=1)
"""How long a session is kept after it would have expired. Nobody asks for it then, and a departure has to close it too:
whoever has 20,000 of them leaves as slowly as fifteen others."""

KEEP_LEFT_FOR: Final = KEEP_DEAD_FOR + KEEP_DONE_FOR
"""How long a session that a departure closed waits for the receipt that purges it: longer than the departure does."""

KEEP_CREDENTIALS_FOR: Final = timedelta(days=400)
"""How long it can be looked up what was given to whom once that has ended: tokens, passkeys, passwords, external
credentials. A token that is forgotten is one that nobody knows."""

KEEP_CHALLENGES_FOR: Final = timedelta(days=1)

_FORGET_SESSIONS = text(qualified("SELECT fn.forget_sessions(:before, :left, :limit)"))
_FORGET_TOKENS = text(qualified("SELECT fn.forget_tokens(:before, :limit)"))
_FORGET_PASSKEYS = text(qualified("SELECT fn.forget_passkeys(:before, :limit)"))
_FORGET_PASSWORDS = text(qualified("SELECT fn.forget_passwords(:before, :limit)"))
_FORGET_MAIL_CODES = text(qualified("SELECT fn.forget_mail_codes(:before, :limit)"))
_FORGET_EXTERNAL = text(qualified("SELECT fn.forget_external(:before, :limit)"))
_FORGET_HISTORY = text(qualified("SELECT fn.forget_account_history(:limit)"))
_FORGET_CHALLENGES = text(qualified("SELECT fn.forget_challenges(:before, :limit)"))


async def forget_sessions(database: Database, *, now: datetime | None = None) -> Did:
    """Delete sessions that are over for a day, closed ones with the day on which they would have expired."""
    now = now or datetime.now(UTC)
    facts = {"before": now - KEEP_SESSIONS_FOR, "left": now - KEEP_LEFT_FOR}
    return {"sessions_forgotten": await in_batches(database, _FORGET_SESSIONS, facts)}


async def forget_credentials(database: Database, *, now: datetime | None = None) -> Did:
    """Delete what else was a way in and ended long ago, and who was active longer ago than audits are kept."""
    now = now or datetime.now(UTC)
    ended, expired = {"before": now - KEEP_CREDENTIALS_FOR}, {"before": now - KEEP_CHALLENGES_FOR}
    return {
        "tokens_forgotten": await in_batches(database, _FORGET_TOKENS, ended),
        "passkeys_forgotten": await in_batches(database, _FORGET_PASSKEYS, ended),
        "passwords_forgotten": await in_batches(database, _FORGET_PASSWORDS, ended),
        "mail_codes_forgotten": await in_batches(database, _FORGET_MAIL_CODES, expired),
        "external_forgotten": await in_batches(database, _FORGET_EXTERNAL, ended),
        "history_forgotten": await in_batches(database, _FORGET_HISTORY, {}),
        "challenges_forgotten": await in_batches(database, _FORGET_CHALLENGES, expired),
    }
