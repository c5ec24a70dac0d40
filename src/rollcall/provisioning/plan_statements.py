"""What a refusal says of the tenant's plan: its lapse, its seats, and the plans that would do."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from rollcall.db import Pool, Row
from rollcall.functions import qualified
from rollcall.provisioning.context import Call

_PLANS = "SELECT name FROM plans WHERE 'scim' = ANY (features) ORDER BY name"
_LAPSE = qualified(
    "SELECT state, plan, lapsed_at, offboarding_from, closes_at, paused_seconds,"
    " fn.token_state($1, $2) AS stands FROM fn.lapse_facts($1)"
)


async def plans_with_scim(pool: Pool) -> Sequence[str]:
    """The names of the plans that include SCIM."""
    return [row["name"] for row in await pool.fetch(_PLANS)]


async def lapse_facts(call: Call) -> Row:
    """What is left of SCIM to a call's tenant (``state``), what its ``plan`` is called, the dates of lapse and pause,
    and how the token stands (``stands``)."""
    tenant_id = call.token.tenant_id
    row = await call.context.pool.fetchrow(_LAPSE, tenant_id, call.token.id, of=tenant_id)
    return cast("Row", row)  # whoever asks has been let into the tenant


_SEATS = qualified("SELECT plan, allowed, used FROM fn.seat_facts($1)")


async def seat_facts(pool: Pool, tenant_id: UUID) -> Row:
    """How many active people a tenant may have (``allowed``) and has (``used``), and what its ``plan`` is called."""
    row = await pool.fetchrow(_SEATS, tenant_id, of=tenant_id)
    return cast("Row", row)  # as above
