"""The frame around the pages: where somebody can go, by who they are and what they came for."""

from dataclasses import dataclass

from rollcall.access.console_sessions import SignedIn
from rollcall.access.operator_sessions import SignedInOperator
from rollcall.access.portal_links import Intent
from rollcall.console.words import mark
from rollcall.tenancy.operators import RIGHTS, Right

HOME = "/console/"
FLEET = "/console/operators"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the console, in the navigation."""

    label: str
    address: str
    icon: str
    intent: Intent | None = None
    """The intent of a portal link that opens it; None where none does."""
    right: Right | None = None
    """What an operator needs for it; None where it is no operator's."""


SECTIONS = (
    Section(mark("Overview"), HOME, "layout-dashboard"),
    Section(mark("Set-up"), "/console/setup", "plug", Intent.SETUP),
    Section(mark("Tokens"), "/console/tokens", "key-round", Intent.TOKENS),
    Section(mark("People"), "/console/people", "users"),
    Section(mark("Groups"), "/console/groups", "users-round"),
    Section(mark("Roles"), "/console/roles", "workflow", Intent.ROLES),
    Section(mark("Activity"), "/console/activity", "activity", Intent.ACTIVITY),
    Section(mark("Departures"), "/console/departures", "user-minus", Intent.DEPARTURES),
    Section(mark("Webhooks"), "/console/webhooks", "webhook"),
    Section(mark("Plan"), "/console/plan", "credit-card"),
    Section(mark("Team and security"), "/console/team", "shield-check"),
)
OPERATORS = (
    Section(mark("Fleet"), FLEET, "layout-dashboard", right=Right.LOOK),
    Section(mark("Queues"), f"{FLEET}/queues", "activity", right=Right.QUEUES),
)
"""The parts for operators."""
ACCOUNT = Section(mark("Account"), "/console/account", "user")


def sections_of(visitor: SignedIn | SignedInOperator) -> tuple[Section, ...]:
    """Where this visitor can go; what they can't open is not shown."""
    if isinstance(visitor, SignedInOperator):
        return tuple(each for each in OPERATORS if each.right is not None and visitor.role in RIGHTS[each.right])
    if visitor.intent is not None:
        return tuple(each for each in SECTIONS if each.intent == visitor.intent)
    if visitor.is_looking:
        return SECTIONS
    return (*SECTIONS, ACCOUNT) if visitor.is_admin else (ACCOUNT,)


def first_page(visitor: SignedIn | SignedInOperator) -> str:
    """Where this visitor begins."""
    return sections_of(visitor)[0].address


def is_current(section: Section, path: str) -> bool:
    """Whether a page belongs to a section."""
    if section.address == FLEET:
        return path.rstrip("/") == FLEET or path.startswith(f"{FLEET}/tenants")
    return path.rstrip("/") == "/console" if section.address == HOME else path.startswith(section.address)
