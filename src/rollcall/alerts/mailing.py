"""Sending what admins are to be mailed: claimed, sent without a transaction, and marked, so that nothing is lost.

A worker that is killed after a mail was sent and before that was marked sends it again, under the same Message-ID.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from sqlalchemy import RowMapping, text

from rollcall.alerts.mail import TOPICS, Reader, compose, unsubscribe_address, wording
from rollcall.alerts.refusing_mail import MailKey
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.journal.models import Notice
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_fleet, open_work

log = structlog.get_logger(__name__)

AT_ONCE: Final = 50
"""Notices that are claimed together."""

MOST_READERS: Final = 50
"""Admins of a tenant who are written to."""

SECONDS: Final = 20.0
"""How long the mail server may take for an answer."""

_ORIGIN = RequestOrigin(request_id="mail")
_CLAIM = text("""
    WITH due AS (
        SELECT tenant_id, id FROM notices WHERE sent_at IS NULL AND due_at <= clock_timestamp()
         ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE notices n SET attempts = n.attempts + 1,
           due_at = clock_timestamp() + least(interval '1 hour', interval '1 minute' * 2 ^ least(n.attempts, 10))
      FROM due WHERE n.tenant_id = due.tenant_id AND n.id = due.id
    RETURNING n.tenant_id, n.id, n.topic, n.payload, n.created_at, n.told
""")
_READERS = text("""
    SELECT a.id, coalesce(s.document #>> '{emails,0,value}', a.user_name) AS address, n.name
      FROM accounts a
      JOIN tenants n ON n.id = a.tenant_id
      LEFT JOIN users s ON s.tenant_id = a.tenant_id AND s.account_id = a.id
     WHERE a.tenant_id = :tenant AND a.active AND a.is_admin AND a.id <> ALL (CAST(:told AS uuid[]))
       AND NOT EXISTS (SELECT FROM mail_refusals r
                        WHERE r.tenant_id = a.tenant_id AND r.account_id = a.id AND r.kind = :kind)
     ORDER BY a.id LIMIT :limit
""")
_TOLD = text("UPDATE notices SET told = told || CAST(:account AS uuid) WHERE tenant_id = :tenant AND id = :id")
_SENT = text("UPDATE notices SET sent_at = clock_timestamp() WHERE tenant_id = :tenant AND id = :id")


@dataclass(frozen=True, slots=True)
class Post:
    """How mail leaves: the server's address, who sends, and what makes links."""

    url: str
    sender: str
    public_url: str
    sealer: Sealer

    @classmethod
    def of(cls, settings: Settings) -> "Post | None":
        """That of an installation; None where none is set."""
        if settings.smtp_url is None:
            return None
        host = urlsplit(settings.public_url).hostname
        sender = settings.mail_from or f"Rollcall <rollcall@{host}>"
        return cls(settings.smtp_url.get_secret_value(), sender, settings.public_url, Sealer.of(settings))

    def client(self) -> aiosmtplib.SMTP:
        """A client of the server, not connected yet. A password is never sent in clear."""
        parts = urlsplit(self.url)
        is_tls = parts.scheme == "smtps"
        return aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port or (465 if is_tls else 587),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=is_tls,
            start_tls=None if is_tls or not parts.username else True,
            timeout=SECONDS,
        )


async def send(database: Database, post: Post) -> int:
    """Send what is due; returns how many mails went. What could not be sent is due again later."""
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        due = (await fleet.db.execute(_CLAIM, {"limit": AT_ONCE})).mappings().all()
    if not due:
        return 0
    number = 0
    try:
        async with post.client() as client:
            for row in due:
                number += await _send(database, post, client, row)
    except (aiosmtplib.SMTPException, OSError) as error:
        log.warning("mail could not be sent; it is tried again", error=repr(error))
    return number


async def _send(database: Database, post: Post, client: aiosmtplib.SMTP, row: RowMapping) -> int:
    tenant = TenantRef(row["tenant_id"], "")
    if row["topic"] not in TOPICS:  # of a later version, whose worker has words for it
        log.warning("a notice is left to a later version", topic=row["topic"], notice_id=str(row["id"]))
        return 0
    notice = Notice(**{name: row[name] for name in ("tenant_id", "id", "topic", "payload", "created_at", "told")})
    said = wording(notice.topic, notice.payload, "")
    readers, name = await _readers(database, notice, said.kind)
    said = wording(notice.topic, notice.payload, name)
    number, failed = 0, False
    for reader in readers:
        key = MailKey(tenant.id, reader.account_id, said.kind).sealed(post.sealer)
        address = unsubscribe_address(post.public_url, key)
        mail = compose(notice, said, reader, sender=post.sender, unsubscribe=address)
        try:
            await client.send_message(mail)
        except aiosmtplib.SMTPResponseException as error:
            failed = failed or error.code < 500  # a refusal for good concerns this address alone
            log.warning("a mail was not taken", notice_id=str(notice.id), code=error.code, error=error.message)
            continue
        except aiosmtplib.SMTPRecipientsRefused:
            log.warning("a mail was not taken: its address is refused", notice_id=str(notice.id))
            continue
        number += 1
        await _mark(database, tenant, _TOLD, notice, account=reader.account_id)
    if not failed:
        await _mark(database, tenant, _SENT, notice)
    return number


async def _readers(database: Database, notice: Notice, kind: str) -> tuple[Sequence[Reader], str]:
    tenant = TenantRef(notice.tenant_id, "")
    asked: dict[str, Any] = {"tenant": tenant.id, "told": notice.told, "kind": kind, "limit": MOST_READERS}
    async with open_work(database, tenant, SYSTEM, _ORIGIN) as work:
        rows = (await work.db.execute(_READERS, asked)).all()
    found = [Reader(row.id, row.address) for row in rows if "@" in row.address and row.address.isascii()]
    return found, rows[0].name if rows else ""


async def _mark(database: Database, tenant: TenantRef, statement: Any, notice: Notice, **facts: object) -> None:
    async with open_work(database, tenant, SYSTEM, _ORIGIN) as work:
        await work.db.execute(statement, {"tenant": tenant.id, "id": notice.id, **facts})
