"""How refusals are kept: the one place that decides it, for the audit and for the log.

Of one caller, reason and minute the first ten are kept one by one; the rest is counted, and when the minute is over
the count becomes one entry, or one line. So nobody who is refused fills the disk, however often they try.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from rollcall.errors import Refusal
from rollcall.journal.record import INSTALLATION, record_refusal
from rollcall.work import Actor, RequestOrigin, Work

log = structlog.get_logger(__name__)

SINGLY = 10
"""Refusals of one caller for one reason within a minute that are kept one by one."""

MOST = 10_000
"""Callers and reasons that are counted one by one at a time; the others count as one. About 5 MB in a process."""

MOST_LOGGED = 2_000
"""The same of log lines; so a process logs at most 20,000 refusals a minute, whoever calls."""

COUNTED = "refusals.counted"
"""The action of an entry that stands for many refused calls."""

_BY_THE_DATABASE: tuple[tuple[int, str | None], ...] = ((404, None), (409, "uniqueness"), (400, "invalidValue"))
"""Refusals that a database function finds out, and enters by itself."""

Facts = TypeVar("Facts")


@dataclass(slots=True)
class Count(Generic[Facts]):
    """The refusals of one caller, reason and minute beyond those that were kept one by one."""

    minute: datetime
    calls: int
    last: Facts | None
    """The last of them; None where it counts the callers that are not counted one by one."""


class RefusalTally(Generic[Facts]):
    """Counts refusals by caller and reason. One for each process and each thing that is kept."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._minute: datetime | None = None
        self._seen: dict[Hashable, int] = {}
        self._counts: dict[tuple[datetime, Hashable], Count[Facts]] = {}

    def is_single(self, key: Hashable, last: Facts, *, may_be: bool = True) -> bool:
        """Count one more; whether it is to be kept by itself. With *may_be* false it is not."""
        minute = _this_minute()
        if minute != self._minute:
            self._minute = minute
            self._seen.clear()
        if key in self._seen or len(self._seen) < self._most:
            seen = self._seen.setdefault(key, 0)
            if may_be and seen < SINGLY:
                self._seen[key] = seen + 1
                return True
        self._add(minute, key, 1, last)
        return False

    def is_used_up(self, key: Hashable) -> bool:
        """Whether as many as may be have been kept by themselves within this minute."""
        return self._seen.get(key, 0) >= SINGLY and self._minute == _this_minute()

    def left(self, key: Hashable) -> int:
        """How many may still be kept by themselves within this minute."""
        return SINGLY - self._seen.get(key, 0) if self._minute == _this_minute() else SINGLY

    def due(self, *, everything: bool = False) -> list[tuple[Hashable, Count[Facts]]]:
        """Take the counts of the minutes that are over, or all there are."""
        minute = _this_minute()
        over = [place for place in self._counts if everything or place[0] < minute]
        return [(place[1], self._counts.pop(place)) for place in over]

    def put_back(self, counts: list[tuple[Hashable, Count[Facts]]]) -> None:
        """Keep counts that were taken and could not be written down."""
        for key, count in counts:
            self._add(count.minute, key, count.calls, count.last)

    def _add(self, minute: datetime, key: Hashable, calls: int, last: Facts | None) -> None:
        if (minute, key) not in self._counts and len(self._counts) >= self._most:
            key, last = None, None
        count = self._counts.setdefault((minute, key), Count(minute, 0, last))
        count.calls += calls
        count.last = last


@dataclass(frozen=True, slots=True)
class RefusedCaller:
    """Whose call is refused: the key that was presented, as the audit names it."""

    tenant_id: UUID
    kind: str
    id: UUID | None
    label: str
    owner_id: UUID | None

    @classmethod
    def of(cls, actor: Actor, tenant_id: UUID | None) -> "RefusedCaller":
        """An actor whose refusal stands in this tenant's audit, or without one in the installation's."""
        return cls(tenant_id or INSTALLATION, actor.kind.value, actor.id, actor.label, actor.owner_id)


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused call: whose, where it came from, and the reason."""

    caller: RefusedCaller
    origin: RequestOrigin
    status: int
    code: str | None


@dataclass(slots=True)
class Refusals:
    """Decides how each refusal is kept. One for each process."""

    entries: RefusalTally[Refused] = field(default_factory=RefusalTally[Refused])
    lines: RefusalTally[dict[str, object]] = field(
        default_factory=lambda: RefusalTally[dict[str, object]](most=MOST_LOGGED)
    )

    def is_entered(
        self, caller: RefusedCaller, origin: RequestOrigin, *, status: int, code: str | None = None, may_be: bool = True
    ) -> bool:
        """Count a refusal by a known key; whether it has an entry of its own. With *may_be* false it has none.

        The reason is the status with the protocol's word for it (`code`), where there is one.
        """
        key = (caller.tenant_id, caller.id, status, code or None)
        return self.entries.is_single(key, Refused(caller, origin, status, code or None), may_be=may_be)

    async def enter(self, work: Work, action: str, refusal: Refusal) -> None:
        """Keep that somebody's work was refused: as an entry written with it, or in a count."""
        caller = RefusedCaller.of(work.actor, work.tenant.id)
        if self.is_entered(caller, work.origin, status=refusal.status, code=refusal.code):
            await record_refusal(work, action=action, status=refusal.status, detail=refusal.detail)

    def counted_by_now(self, tenant_id: UUID, actor_id: UUID) -> list[int]:
        """Statuses with which a database function refuses this key, and enters it no more within this minute."""
        return [
            status for status, code in _BY_THE_DATABASE if self.entries.is_used_up((tenant_id, actor_id, status, code))
        ]

    def singly_left(self, tenant_id: UUID, actor_id: UUID) -> int:
        """How many more creations under names that are taken have entries of their own, within this minute."""
        return self.entries.left((tenant_id, actor_id, 409, "uniqueness"))

    def log(self, who: Hashable, line: dict[str, object]) -> None:
        """Log the refused call of *who* (a key, a person, or for a stranger their address), or count the line."""
        if self.lines.is_single((who, line["status"], line["code"]), line):
            log.info("refused", **line)


def entry_of(count: Count[Refused]) -> dict[str, Any]:
    """What the entry of a count says, as ``audit_write`` takes it."""
    said: dict[str, Any] = {"calls": count.calls, "minute": count.minute.isoformat()}
    within = f"in the minute from {count.minute:%H:%M} UTC"
    if (last := count.last) is None:
        call = {"request_id": "none", "actor_kind": "system", "actor_label": "others", "action": COUNTED}
        detail = f"{count.calls} calls with further keys were refused {within}"
        return {"tenant_id": INSTALLATION, "call": call | {"payload": said}, "status": None, "detail": detail}
    caller = last.caller
    call: dict[str, Any] = {
        "action": COUNTED,
        "actor_kind": caller.kind,
        "actor_id": caller.id,
        "actor_label": caller.label,
        "owner_id": caller.owner_id,
        **last.origin.facts(),
        "payload": said | {"code": last.code},
    }
    detail = f"{count.calls} more calls were refused so {within}; this names the last of them"
    return {"tenant_id": caller.tenant_id, "call": call, "status": last.status, "detail": detail}


def _this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
