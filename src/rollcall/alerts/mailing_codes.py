"""Mailing codes that were asked for with an address: to whoever is an admin by it, and to nobody else.

The code is made here and stands in the mail alone. Each is marked as its mail was taken. What was not taken is due
again in seconds, with a new one; what a worker that was killed had claimed, as its lease ends. Only the newest mail's
is good.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Final
from uuid import UUID

import aiosmtplib
import orjson
import structlog
from sqlalchemy import RowMapping, TextClause, text

from rollcall.access.mail_codes import PATIENCE, new_code
from rollcall.access.sign_in_codes import plain
from rollcall.alerts.mailing import Post
from rollcall.crypto import digest
from rollcall.db import Database
from rollcall.functions import qualified
from rollcall.work import SYSTEM, RequestOrigin, open_fleet

log = structlog.get_logger(__name__)

AT_ONCE: Final = 10
"""Codes that are made together: a slow mail server takes so many within a task's time."""

LEASE: Final = timedelta(seconds=120)
"""How long a worker has what it claimed: longer than its task may run (`worker.tasks`), so that nobody mails it too."""

AGAIN: Final = timedelta(seconds=20)
"""When a code that was not sent is due again."""

_ORIGIN = RequestOrigin(request_id="sign-in mail")
_CLAIM = text("""
    WITH due AS (
        SELECT id FROM mail_codes
         WHERE sent_at IS NULL AND due_at <= clock_timestamp()
           AND created_at > clock_timestamp() - CAST(:patience AS interval)
         ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    UPDATE mail_codes c SET due_at = clock_timestamp() + CAST(:lease AS interval)
      FROM due WHERE c.id = due.id RETURNING c.id, c.address
""")
_FIND = text(qualified("SELECT address, tenant_id, account_id FROM fn.admins_addressed(:addresses)"))
_KEEP = text("UPDATE mail_codes SET digest = :digest, found = CAST(:found AS jsonb) WHERE id = :id")
_SENT = text("UPDATE mail_codes SET sent_at = clock_timestamp() WHERE id = ANY(:ids)")
_AGAIN = text("UPDATE mail_codes SET due_at = clock_timestamp() + CAST(:again AS interval) WHERE id = ANY(:ids)")


async def send(database: Database, post: Post, product: str) -> int:
    """Send the codes that are due; returns how many mails went. *product* is what customers call this installation."""
    written = await _written(database)
    if not written:
        return 0
    left: list[UUID] = [row["id"] for row, _ in written]
    try:
        async with post.client() as client:
            for row, code in written:
                if await _send(client, compose(row["address"], code, product, sender=post.sender)):
                    await _mark(database, _SENT, ids=[row["id"]])
                    left.remove(row["id"])
    except (aiosmtplib.SMTPException, OSError) as error:
        log.warning("codes could not be mailed; they are tried again", error=repr(error))
    if left:
        await _mark(database, _AGAIN, ids=left, again=AGAIN)
    return len(written) - len(left)


async def _mark(database: Database, statement: TextClause, **facts: object) -> None:
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        await fleet.db.execute(statement, facts)


async def _written(database: Database) -> Sequence[tuple[RowMapping, str]]:
    """What is due, and a code for each whose address is an admin's; the others are done with."""
    async with open_fleet(database, SYSTEM, _ORIGIN) as fleet:
        facts = {"limit": AT_ONCE, "patience": PATIENCE, "lease": LEASE}
        due = (await fleet.db.execute(_CLAIM, facts)).mappings().all()
        if not due:
            return ()
        found: defaultdict[str, list[list[str]]] = defaultdict(list)
        for row in await fleet.db.execute(_FIND, {"addresses": sorted({row["address"] for row in due})}):
            found[row.address].append([str(row.tenant_id), str(row.account_id)])
        written = [(row, new_code()) for row in due if row["address"] in found]
        for row, code in written:
            theirs = orjson.dumps(found[row["address"]]).decode()
            await fleet.db.execute(_KEEP, {"id": row["id"], "digest": digest(plain(code)), "found": theirs})
        if others := [row["id"] for row in due if row["address"] not in found]:
            await fleet.db.execute(_SENT, {"ids": others})
    return written


async def _send(client: aiosmtplib.SMTP, mail: EmailMessage) -> bool:
    """Send one; returns whether it is over, for good or ill."""
    try:
        await client.send_message(mail)
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = [each.code for each in error.recipients]
        log.warning("a code was not taken: its address is refused", codes=codes)
        return all(code >= 500 for code in codes)  # for good; others are told to come again
    except aiosmtplib.SMTPResponseException as error:
        log.warning("a code was not taken", code=error.code, error=error.message)
        return error.code >= 500  # for good
    return True


def compose(address: str, code: str, product: str, *, sender: str) -> EmailMessage:
    """The mail: the code, what it is for, and what to do if it was not asked for."""
    minutes = int(PATIENCE.total_seconds() // 60)
    what = (
        f"Your code to sign in to the console of {product}. It is good once, for {minutes} minutes from when you asked."
    )
    where = "Enter it in the browser in which you asked for it, and give it to nobody: nobody of ours asks for it."
    otherwise = "If you did not ask for it, you need do nothing."
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, address
    mail["Subject"] = f"{' '.join(product.split())}: {code} is your code to sign in"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{code}\n\n{what}\n{where}\n\n{otherwise}\n")
    mail.add_alternative(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(code)}</title>"
        f"<body style='font-family:sans-serif;max-width:40em'><p style='font:1.6em monospace'>{code}</p>"
        f"<p>{escape(what)} {escape(where)}</p><p style='color:#555'>{escape(otherwise)}</p>",
        subtype="html",
    )
    return mail
