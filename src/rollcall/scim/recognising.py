"""Which provider it is that calls, told by what it sends: marks, of whom each is one, and when they leave no doubt.

A mark is a short text. It is a provider's by the tables here: what it calls itself, what it asks in which order, and
the deviations that only one provider is known to send.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from rollcall.scim.providers import PROFILES
from rollcall.scim.values import Deviation

AGENT: Final = "user-agent:"
"""How the mark begins that is a User-Agent; the rest is what it said."""

LONGEST_AGENT: Final = 100

COUNTS_FOR: Final = timedelta(days=30)
"""A mark that was not seen for so long says nothing any more: the tenant may have changed its provider."""

ENOUGH: Final = 2
"""Points that recognise a provider, if no other one has any. Its own name gives two, any other mark one: a name can be
made up by the holder of the tenant's token alone, and a single deviation can be shared by somebody we don't know."""

_IN_A_ROW: Final = timedelta(minutes=1)
"""The longest time between two questions that are asked one after the other."""

_OKTA: Final = "https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-11"
_ENTRA: Final = (
    "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups"
)
_SEEN: Final = "as it has been seen; not documented by the provider"


class Query(StrEnum):
    """What a list request asks, where that is worth remembering."""

    TWO_PEOPLE = "query:users-1-2"
    HUNDRED_GROUPS = "query:groups-1-100"
    RANDOM_NAME = "query:users-random-name"
    GROUP_WITHOUT_MEMBERS = "query:groups-name-without-members"


@dataclass(frozen=True, slots=True)
class MarkLine:
    """One mark: whose it is, what is sent, and where that is written down."""

    provider: str
    sends: str
    documented: str


QUERIES: Final[Mapping[str, MarkLine]] = MappingProxyType(
    {
        Query.TWO_PEOPLE: MarkLine("okta", "GET /Users?startIndex=1&count=2, as it is switched on", _OKTA),
        Query.RANDOM_NAME: MarkLine("entra", "a look-up of a random userName, to test the connection", _ENTRA),
        Query.GROUP_WITHOUT_MEMBERS: MarkLine(
            "entra", "a look-up of a group by displayName with excludedAttributes=members", _ENTRA
        ),
    }
)
"""Questions that one provider alone asks."""

ORDERS: Final[Mapping[tuple[str, str], MarkLine]] = MappingProxyType(
    {
        (Query.TWO_PEOPLE, Query.HUNDRED_GROUPS): MarkLine("okta", "then GET /Groups?startIndex=1&count=100", _OKTA),
    }
)
"""Questions that one provider alone asks one after the other."""

_SHAPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        Deviation.CAPITALISED_OP: "entra",
        Deviation.ROLE_DETAILS: "entra",
        Deviation.STRING_IN_FILTER: "entra",
        Deviation.PATH_IN_KEY: "entra",
        Deviation.WRAPPED_VALUE: "entra",
        Deviation.EXTRA_MEMBER: "entra",
        Deviation.BRACKETED_LIST: "entra",
        Deviation.OWN_ID: "okta",
    }
)
"""Deviations that only one provider is known to send."""

_NAMES: Final = (
    ("okta", "okta"),
    ("azure", "entra"),
    ("entra", "entra"),
    ("onelogin", "onelogin"),
    ("jumpcloud", "jumpcloud"),
)
_RANDOM_NAME: Final = re.compile(r'userName eq "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"', re.IGNORECASE | re.ASCII)
_PAGES: Final[Mapping[tuple[bool, str, str], Query]] = MappingProxyType(
    {
        (False, "1", "2"): Query.TWO_PEOPLE,
        (True, "1", "100"): Query.HUNDRED_GROUPS,
    }
)


def query_mark(parameters: Mapping[str, str], *, of_groups: bool) -> str | None:
    """The mark that a list request leaves, spelt as providers spell it; None for most."""
    asked = parameters.get("filter")
    if asked is None:
        page = (of_groups, parameters.get("startIndex", ""), parameters.get("count", ""))
        return _PAGES.get(page) if len(parameters) == 2 else None
    if of_groups:
        plainly = parameters.get("excludedAttributes") == "members" and asked.startswith("displayName eq ")
        return Query.GROUP_WITHOUT_MEMBERS if plainly else None
    return Query.RANDOM_NAME if _RANDOM_NAME.fullmatch(asked) else None


def shape_mark(deviation: str) -> str | None:
    """The mark that a line of the ledger is; None for most."""
    name = deviation.partition(":")[0]
    return name if name in _SHAPES else None


def agent_mark(agent: str) -> str:
    """The mark that a User-Agent is, cut where it is too long."""
    return AGENT + agent[:LONGEST_AGENT]


@dataclass(frozen=True, slots=True)
class Seen:
    """A mark as it was met: when first, when last, and about how often."""

    mark: str
    first: datetime
    last: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A mark with what it says: whose it is, or nobody's we know."""

    seen: Seen
    provider: str | None
    says: str
    documented: str
    points: int


@dataclass(frozen=True, slots=True)
class Recognised:
    """What all marks of a tenant come to."""

    provider: str | None
    """The key of the profile of whom they are beyond doubt; never of one that is nobody's in particular."""
    candidates: tuple[str, ...]
    """Everybody of whom there is any mark."""
    findings: tuple[Finding, ...]

    @property
    def label(self) -> str | None:
        """What the provider is called."""
        return None if self.provider is None else PROFILES[self.provider].label

    @property
    def evidence(self) -> list[str]:
        """The marks that speak for the provider."""
        return [
            each.seen.mark for each in self.findings if each.provider is not None and each.provider == self.provider
        ]


def recognise(marks: Iterable[Seen], now: datetime) -> Recognised:
    """Say whose marks these are, latest first; what is too old for *now* is left out."""
    fresh = sorted((each for each in marks if now - each.last < COUNTS_FOR), key=lambda each: each.last, reverse=True)
    findings = [*(_finding(each) for each in fresh), *_in_order({each.mark: each for each in fresh})]
    points: dict[str, int] = {}
    for each in findings:
        if each.provider is not None:
            points[each.provider] = points.get(each.provider, 0) + each.points
    candidates = tuple(sorted(points))
    alone = candidates[0] if len(candidates) == 1 and points[candidates[0]] >= ENOUGH else None
    return Recognised(alone, candidates, tuple(findings))


def _finding(seen: Seen) -> Finding:
    if seen.mark.startswith(AGENT):
        agent = seen.mark.removeprefix(AGENT)
        provider = _named(agent)
        return Finding(seen, provider, f"calls itself {agent}", _OKTA if provider == "okta" else _SEEN, ENOUGH)
    if (line := QUERIES.get(seen.mark)) is not None:
        return Finding(seen, line.provider, line.sends, line.documented, 1)
    if (provider := _SHAPES.get(seen.mark)) is not None:
        return Finding(seen, provider, f"the deviation {seen.mark}", "see its line in the ledger", 1)
    return Finding(seen, None, seen.mark, "", 0)


def _in_order(marks: Mapping[str, Seen]) -> Iterable[Finding]:
    for (before, after), line in ORDERS.items():
        first, second = marks.get(before), marks.get(after)
        if first and second and any(timedelta() <= gap <= _IN_A_ROW for gap in _gaps(first, second)):
            seen = Seen(f"order:{before}>{after}", first.first, second.last, min(first.times, second.times))
            yield Finding(seen, line.provider, line.sends, line.documented, 1)


def _gaps(first: Seen, second: Seen) -> tuple[timedelta, timedelta]:
    """How long after the one the other came: when both came first, and when both came last."""
    return second.first - first.first, second.last - first.last


def _named(agent: str) -> str | None:
    """Whom a User-Agent names; nobody, if it names two."""
    said = agent.lower()
    named = {provider for word, provider in _NAMES if word in said}
    return named.pop() if len(named) == 1 else None
