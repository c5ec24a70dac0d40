"""Bundles: a month's departures in one file for auditors, made as it is sent.

It is a ZIP of the signed receipts, the public keys, a page that explains them, and a manifest: the digests of all that,
signed as receipts are. Receipts are read a page at a time, each in a transaction of its own, so neither the memory of a
process nor a connection is held for long, however many have left.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
from sqlalchemy import DateTime, func, select

from rollcall import paging
from rollcall.crypto import Sealer
from rollcall.db import Pool
from rollcall.errors import Invalid
from rollcall.journal.events import UserDeactivated
from rollcall.journal.models import OutboxMessage
from rollcall.paging import Page
from rollcall.proof import signing
from rollcall.proof.bundle_page import Departures
from rollcall.proof.models import Receipt
from rollcall.proof.packing import Packed
from rollcall.proof.receipts import moment
from rollcall.tenancy.usage import month_of
from rollcall.work import Work

KIND = "receipt-bundle+jwt"
"""The ``typ`` of a manifest's header."""

MANIFEST, KEYS, PAGE, RECEIPTS = "manifest.jws", "keys.json", "index.html", "receipts/"
"""What stands in a bundle: three files, and a folder with a file for each day, a signed receipt a line."""

FIRST, AT_ONCE = 50, 250
"""Receipts that are read, and packed, at once: the first time, and then."""

MOST_MONTHS = 60
"""Months back that are offered."""

FIRST_YEAR = 1980
"""The first year that a ZIP can write as a file's date."""

Opened = Callable[[], AbstractAsyncContextManager[Work]]
"""Opens a short piece of work on the tenant; whose key has ended meanwhile is refused there."""


class Found(NamedTuple):
    """What a bundle needs of a receipt."""

    id: UUID
    closed_at: datetime
    statement: str | None


@dataclass(frozen=True, slots=True)
class Maker:
    """What a bundle is made with: work on its tenant, the keys, and this installation's public address."""

    opened: Opened
    pool: Pool
    sealer: Sealer
    issuer: str


def wanted_month(said: str, now: datetime) -> date:
    """The month of which somebody wants the bundle, by its first day.

    Raises:
        Invalid: it is no month, has not begun, or is before 1980, of which no ZIP can say that a file is.
    """
    month = month_of(said)
    if month.year < FIRST_YEAR:
        msg = f"month: {said} is before {FIRST_YEAR}, so nobody can have left in it; ask for a later one, as 2026-11"
        raise Invalid(msg, param="month")
    if _begin(month) > now:
        msg = f"month: {said} has not begun, so nobody has left in it yet; ask for one that has"
        raise Invalid(msg, param="month")
    return month


def file_name(slug: str, month: date) -> str:
    """What the bundle is called where it is kept."""
    return f"departures-{slug}-{month:%Y-%m}.zip"


async def months(work: Work) -> list[date]:
    """The months of which there may be a bundle, the latest first: from the first departure to now."""
    first = await work.db.scalar(select(func.min(Receipt.closed_at)).where(Receipt.tenant_id == work.tenant.id))
    found: list[date] = []
    month = work.now.date().replace(day=1)
    while first is not None and _end(month) > first and len(found) < MOST_MONTHS:
        found.append(month)
        month = date(month.year - (month.month == 1), (month.month + 10) % 12 + 1, 1)
    return found


async def closed_in(work: Work, month: date, *, cursor: str | None = None) -> Page[Found]:
    """Some of the receipts of those who left in a month, the first to leave first."""
    rows = select(Receipt.id, Receipt.closed_at, Receipt.statement).where(
        Receipt.tenant_id == work.tenant.id, Receipt.closed_at >= _begin(month), Receipt.closed_at < _end(month)
    )
    by = (Receipt.closed_at, Receipt.id)
    found = await paging.page_of_several(
        work.db, rows, *by, limit=AT_ONCE if cursor else min(FIRST, AT_ONCE), cursor=cursor
    )
    return found.of(lambda row: Found(*row))


async def not_settled(work: Work, month: date) -> set[UUID]:
    """The departures of a month that have no receipt at all yet: the worker has still to settle them."""
    closed_at = OutboxMessage.payload["closed_at"].astext.cast(DateTime(timezone=True))
    rows = select(OutboxMessage.id).where(
        OutboxMessage.tenant_id == work.tenant.id,
        OutboxMessage.topic == UserDeactivated.topic,
        OutboxMessage.done_at.is_(None),
        closed_at >= _begin(month),
        closed_at < _end(month),
    )
    return set(await work.db.scalars(rows))


class Bundle:
    """One bundle while it is made. What it counts is true once it has been read to its end."""

    def __init__(self, maker: Maker, month: date) -> None:
        self.receipts = 0
        self.incomplete = 0
        """Departures of the month whose receipt is not signed yet: a destination has still to be reached, or the worker
        has still to settle them."""
        self._begun: datetime | None = None
        """From then on nothing new is waited for: who leaves while it is made may be missing."""
        self._missing: set[UUID] = set()
        """Departures without a receipt as it was begun, but for those that were settled in time to be in it."""
        self._maker = maker
        self._month = month
        self._packed = Packed()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The file, piece after piece.

        Raises:
            KeyEnded: whoever asked may not ask any more; the file breaks off.
            NoSigningKey, CannotOpen: the manifest can't be signed; it breaks off as well.
        """
        async for piece in self._steps():
            if piece:
                yield piece

    async def _steps(self) -> AsyncGenerator[bytes]:
        with Departures() as page:
            cursor, more = None, True
            while more:
                async with self._maker.opened() as work:
                    if self._begun is None:
                        self._begun, self._missing = work.now, await not_settled(work, self._month)
                    found = await closed_in(work, self._month, cursor=cursor)
                for row in found.rows:
                    self._add(row, page)
                cursor, more = found.next_cursor, found.next_cursor is not None
                yield self._packed.taken()
            self.incomplete += len(self._missing)
            async for piece in self._rest(page):
                yield piece

    def _add(self, row: Found, page: Departures) -> None:
        self._missing.discard(row.id)  # a receipt has the id of its message
        if row.statement is None:
            self.incomplete += 1
            return
        day = row.closed_at.astimezone(UTC).date()
        name = f"{RECEIPTS}{day}.jws"
        if self._packed.name != name:
            self._packed.begin(name, day)
        self._packed.write(f"{row.statement}\n".encode())
        page.add(row.statement, name)
        self.receipts += 1

    async def _rest(self, page: Departures) -> AsyncGenerator[bytes]:
        """The keys, the page and the manifest. Nothing is held of the database while somebody takes a piece."""
        packed, day = self._packed, self._month
        keys = await signing.published(self._maker.pool, ever=True)
        packed.begin(KEYS, day)
        packed.write(orjson.dumps(keys, option=orjson.OPT_INDENT_2))
        async with self._maker.opened() as work:
            facts = self._facts(work)
        packed.begin(PAGE, day)
        for part in page.parts(facts):
            packed.write(part)
            yield packed.taken()
        packed.end()
        async with self._maker.opened() as work:
            said = {"iat": int(work.now.timestamp()), "jti": str(uuid4()), **facts, "files": list(packed.files)}
            manifest = await signing.sign(work, self._maker.sealer, signing.FOR_RECEIPTS, kind=KIND, claims=said)
        packed.begin(MANIFEST, day)
        packed.write(manifest.encode())
        packed.close()
        yield packed.taken()

    def _facts(self, work: Work) -> dict[str, Any]:
        return {
            "iss": self._maker.issuer,
            "tenant": {"id": str(work.tenant.id), "slug": work.tenant.slug},
            "month": f"{self._month:%Y-%m}",
            "made_at": moment(self._begun or work.now),
            "receipts": self.receipts,
            "incomplete": self.incomplete,
        }


def _begin(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def _end(month: date) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
