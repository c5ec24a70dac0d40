"""What a process remembers of callers it admitted lately: never whether they may, which is asked every time.

It is what lets a change be worked out before the gate is asked, so that the gate and the change are one statement. The
statement is given what was remembered and refuses as stale what is no longer so.
"""

import time
from dataclasses import dataclass, field
from uuid import UUID

from rollcall.crypto import TokenText
from rollcall.scim.providers import Profile

SECONDS = 60.0
"""How long a caller is remembered. Nothing takes effect later for it: the statement compares what it goes by, and one
who is refused is forgotten."""

MOST = 4096
"""Callers, and groups, that are remembered at a time."""


@dataclass(frozen=True, slots=True)
class RecentCaller:
    """A caller as the gate last described them, with their tenant's role rule."""

    label: str
    owner_id: UUID | None
    profile: Profile
    rate: int
    burst: int
    rule: str = ""
    """Their tenant's role rule, as it is stored; asked for only by those who write."""
    rule_version: int = 0


@dataclass(slots=True)
class RecentCallers:
    """The callers admitted lately. One for each process."""

    _callers: dict[bytes, tuple[float, RecentCaller]] = field(default_factory=dict[bytes, tuple[float, RecentCaller]])
    _plain_groups: dict[tuple[UUID, UUID], int] = field(default_factory=dict[tuple[UUID, UUID], int])

    def keep(self, token: TokenText, caller: RecentCaller) -> None:
        """Remember the caller with this token."""
        if len(self._callers) >= MOST:
            self._callers.clear()
        self._callers[token.digest] = (time.monotonic() + SECONDS, caller)

    def recall(self, token: TokenText) -> RecentCaller | None:
        """The caller who presented this very token within the last minute."""
        until, caller = self._callers.get(token.digest, (0.0, None))
        return caller if time.monotonic() < until else None

    def keep_plain_group(self, tenant_id: UUID, group_id: UUID, rule_version: int) -> None:
        """Remember that by this version of the role rule it makes nobody's role who is in the group.

        Any change after which it might has another version, one of nesting or of a name too.
        """
        if len(self._plain_groups) >= MOST:
            self._plain_groups.clear()
        self._plain_groups[tenant_id, group_id] = rule_version

    def is_plain_group(self, tenant_id: UUID, group_id: UUID, rule_version: int) -> bool:
        """Whether that is known of the group by this version of the rule."""
        return self._plain_groups.get((tenant_id, group_id)) == rule_version

    def forget(self, token: TokenText) -> None:
        """Forget a caller of whom something was no longer so."""
        self._callers.pop(token.digest, None)
