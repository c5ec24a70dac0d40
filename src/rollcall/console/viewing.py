"""An operator who looks at a tenant's pages as its admins see them, and changes nothing.

The form that begins it writes it into the tenant's audit, and is all that makes the cookie: sealed, for one tenant and
that operator's session alone. Their session and role are judged on every request, as on their own pages.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from rollcall.access.console_sessions import SignedIn
from rollcall.access.operator_sessions import OperatorNotSignedIn, SignedInOperator, who
from rollcall.console.cookies import operator_shown, view_shown
from rollcall.console.requests import AnyRequest, origin
from rollcall.crypto import NOBODY, CannotOpen, Sealer
from rollcall.errors import NotFound, Refusal
from rollcall.tenancy import tenants
from rollcall.tenancy.operators import RIGHTS, Right
from rollcall.work import SYSTEM, Actor, TenantRef, open_fleet

LASTS = timedelta(hours=1)
"""How long an operator may look before they say so once more."""

_LONGEST = 1000
"""Characters of a cookie that are looked at; ours have about 300."""


@dataclass(frozen=True, slots=True)
class Viewing(SignedIn):
    """An operator, in the place of one of the tenant's admins."""

    operator: SignedInOperator

    @property
    def is_looking(self) -> bool:
        """They change nothing."""
        return True

    def is_fresh(self, within: timedelta) -> bool:  # noqa: ARG002  # as SignedIn has it
        """They see what would be asked, and can do none of it."""
        return True

    @property
    def actor(self) -> Actor:
        """What they see is read in their own name."""
        return self.operator.actor


class OnlyLooking(Refusal):
    """An operator looks at a tenant's pages, or did until just now, and sent one of their forms."""

    status = 403
    code = "only_looking"
    advice = "Do it on the operators' own page of the tenant, or have an admin of the tenant do it."

    def __init__(self, *, ended: bool = False) -> None:
        super().__init__(
            "You looked at another company's pages as an operator, and that has ended, so nothing was changed. Open "
            "the page again, and see whose it is."
            if ended
            else "You look at these pages as an operator, so nothing was changed. Do it on your own page of the "
            "tenant, or have one of its admins do it."
        )
        self.ended = ended


def sealed_view(sealer: Sealer, somebody: SignedInOperator, tenant: TenantRef) -> str:
    """What the cookie holds."""
    said = {
        "for": "view",
        "session": str(somebody.session_id),
        "tenant": str(tenant.id),
        "until": (datetime.now(UTC) + LASTS).isoformat(),
    }
    return sealer.seal(json.dumps(said).encode())


async def viewing(request: AnyRequest, *, sees: bool) -> Viewing | None:
    """The operator who looks, and at which tenant; None if nobody does, or may any more.

    With *sees* their own session counts as used.
    """
    said = _opened(request.app.state.sealer, view_shown(request))
    if said is None:
        return None
    database = request.app.state.database
    try:
        somebody = await who(database.access_pool, operator_shown(request), sees=sees)
        if somebody.role not in RIGHTS[Right.VIEW] or said["session"] != str(somebody.session_id):
            return None
        async with open_fleet(database, SYSTEM, origin(request)) as fleet:
            row = await tenants.find(fleet, said["tenant"])
            tenant, name = tenants.ref(row), row.name
    except (OperatorNotSignedIn, NotFound):
        return None
    return Viewing(
        key=somebody.key,
        account_id=NOBODY,
        tenant=tenant,
        tenant_name=name,
        user_name=somebody.name,
        role="Operator",
        opened_at=somebody.opened_at,
        expires_at=somebody.expires_at,
        is_admin=True,
        intent=None,
        return_url=None,
        proved_at=somebody.opened_at,
        contact=None,
        operator=somebody,
    )


def _opened(sealer: Sealer, shown: str | None) -> dict[str, Any] | None:
    if not shown or len(shown) > _LONGEST:
        return None
    try:
        opened: object = json.loads(sealer.open(shown))
    except (CannotOpen, ValueError):
        return None
    said = cast("dict[str, Any]", opened) if isinstance(opened, dict) else {}
    if said.get("for") != "view" or datetime.fromisoformat(said["until"]) <= datetime.now(UTC):
        return None
    return said
