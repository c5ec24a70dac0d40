"""The refusal of somebody for whom no seat is left, as their identity provider's admin reads it."""

from uuid import UUID

from rollcall.provisioning import plan_statements
from rollcall.provisioning.calls import refused
from rollcall.provisioning.context import Admitted
from rollcall.scim.errors import Forbidden
from rollcall.tenancy.seats import said_of_exhausted


async def no_seat(admitted: Admitted, payload: object, *, target: UUID | None = None) -> Forbidden:
    """The refusal, once it is written down.

    It is 403, as what a plan does not include is: 409 would say that the person is here already, and providers would
    look for them; 5xx and 429 would have them stop everything, departures too.
    """
    facts = await plan_statements.seat_facts(admitted.call.context.pool, admitted.call.token.tenant_id)
    refusal = Forbidden(detail=said_of_exhausted(facts["plan"], facts["allowed"], facts["used"]))
    await refused(admitted, refusal, payload=payload, target=target)
    return refusal
