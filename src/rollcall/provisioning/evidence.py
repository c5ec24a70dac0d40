"""By what callers' providers can be recognised: gathered in memory, written down in batches.

Meeting a mark again is a look into a dictionary. A new one is written down with the next batch, one that is known at
most once a minute, with how often it was met meanwhile.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from rollcall.scim.recognising import Seen, agent_mark

WRITTEN_EVERY: Final = 60.0
"""Seconds from one writing of a mark that is known to the next one."""

MOST: Final = 50_000
"""Marks of all tenants that a process remembers; then it begins anew."""

AGENTS_OF_A_TENANT: Final = 20
"""User-Agents of a tenant that a process tells apart; a caller can make up any number."""

Key = tuple[UUID, str]


@dataclass(slots=True)
class _Met:
    first: datetime
    last: datetime
    times: int = 1


@dataclass(slots=True)
class Evidence:
    """The marks that callers leave. One for each process."""

    _met: dict[Key, _Met] = field(default_factory=dict[Key, _Met])
    _written: dict[Key, float] = field(default_factory=dict[Key, float])
    _agents: dict[UUID, set[str]] = field(default_factory=dict[UUID, set[str]])
    _new: set[UUID] = field(default_factory=set[UUID])

    def called(self, tenant_id: UUID, at: datetime, agent: str | None, asked: str | None) -> None:
        """A caller of this tenant has passed the gate, calls itself *agent*, and asked what has the mark *asked*."""
        if agent:
            known = self._agents.setdefault(tenant_id, set())
            mark = agent_mark(agent)
            if mark in known or len(known) < AGENTS_OF_A_TENANT:
                known.add(mark)
                self.met(tenant_id, at, mark)
        if asked is not None:
            self.met(tenant_id, at, asked)

    def met(self, tenant_id: UUID, at: datetime, mark: str) -> None:
        """A caller of this tenant has left a mark."""
        met = self._met.get((tenant_id, mark))
        if met is None:
            self._met[tenant_id, mark] = _Met(at, at)
        else:
            met.last = at
            met.times += 1

    def due(self, *, everything: bool = False) -> dict[Key, Seen]:
        """What is to be written down now; it is forgotten here, so whoever can't write it puts it back."""
        now = time.monotonic()
        if len(self._written) > MOST or len(self._agents) > MOST:
            self._written.clear()
            self._agents.clear()
        taken: dict[Key, Seen] = {}
        for key in list(self._met):
            written = self._written.get(key)
            if everything or written is None or written <= now - WRITTEN_EVERY:
                met = self._met.pop(key)
                taken[key] = Seen(key[1], met.first, met.last, met.times)
        return taken

    def written(self, keys: Iterable[Key]) -> None:
        """These are written down; tenants with one that was new to this process are to be looked at."""
        now = time.monotonic()
        for key in keys:
            if key not in self._written:
                self._new.add(key[0])
            self._written[key] = now

    def put_back(self, taken: dict[Key, Seen]) -> None:
        """These could not be written down."""
        for key, seen in taken.items():
            met = self._met.get(key)
            if met is None:
                self._met[key] = _Met(seen.first, seen.last, seen.times)
            else:
                met.first = seen.first
                met.times += seen.times

    @property
    def to_look_at(self) -> list[UUID]:
        """Tenants of whom there is something new."""
        return list(self._new)

    def looked_at(self, tenants: Iterable[UUID]) -> None:
        """These have been looked at."""
        self._new.difference_update(tenants)
