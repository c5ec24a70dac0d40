"""From one tenant's page to the same of another one: where an operator is, and which tenants they looked at last.

Which ones is kept in a cookie that is sealed for that operator alone; it opens nothing.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from rollcall.access.operator_sessions import SignedInOperator
from rollcall.console.cookies import tenants_shown
from rollcall.console.frame import FLEET
from rollcall.console.requests import AnyRequest
from rollcall.crypto import CannotOpen

MOST = 6
"""Tenants that are remembered."""

SECTIONS = {"": "", "plan": "#plan", "suspend": "/suspend", "pause": "/pause", "view": "/view"}
"""The parts of a tenant's pages that every tenant has, and where each begins."""

_LONGEST = 1500
"""Characters of a cookie that are looked at; ours have about 800 at the most."""

_HERE = re.compile(rf"{FLEET}/tenants/([a-z0-9][a-z0-9-]{{0,62}})(?:/([a-z]+))?(?:/|$)")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Switch:
    """What the switch of a page offers."""

    slug: str
    """Whose page it is."""
    section: str
    recent: tuple[tuple[str, str], ...]
    """The tenants looked at before, the latest first: each slug with the address of the same section."""


def switch_for(request: AnyRequest, somebody: object) -> Switch | None:
    """The switch for the page that is asked for; None where no tenant's is, or no operator looks."""
    here = _HERE.match(request.scope["path"])
    if here is None or not isinstance(somebody, SignedInOperator):
        return None
    section = here[2] if here[2] in SECTIONS else ""
    recent = tuple((each, same(each, section)) for each in recent_of(request, somebody) if each != here[1])
    return Switch(here[1], section, recent)


def same(slug: str, section: str) -> str:
    """The address of a section of a tenant's; of its first page, if there is no such section."""
    return f"{FLEET}/tenants/{slug}{SECTIONS.get(section, '')}"


def recent_of(request: AnyRequest, somebody: SignedInOperator) -> list[str]:
    """The tenants that this operator looked at last, as their browser shows them."""
    shown = tenants_shown(request)
    if not shown or len(shown) > _LONGEST:
        return []
    try:
        opened: object = json.loads(request.app.state.sealer.open(shown))
    except (CannotOpen, ValueError):
        return []
    said = cast("dict[str, Any]", opened) if isinstance(opened, dict) else {}
    if said.get("for") != "tenants" or said.get("operator") != str(somebody.operator_id):
        return []
    return [each for each in said["slugs"] if _SLUG.fullmatch(each)][:MOST]


def sealed_with(request: AnyRequest, somebody: SignedInOperator, slug: str) -> str:
    """What the cookie holds once they have looked at this tenant too."""
    slugs = [slug, *(each for each in recent_of(request, somebody) if each != slug)][:MOST]
    said = {"for": "tenants", "operator": str(somebody.operator_id), "slugs": slugs}
    return request.app.state.sealer.seal(json.dumps(said).encode())
