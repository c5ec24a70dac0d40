"""The first people of tenants that were made in the same transaction: taken in by one statement for many tenants."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import orjson

from rollcall.directory import mapping, people, role_states, statements
from rollcall.directory.mapping import Cause
from rollcall.directory.people import Draft
from rollcall.directory.rules import RoleRule
from rollcall.journal.events import UserProvisioned
from rollcall.journal.record import call_of
from rollcall.tenancy import seats
from rollcall.work import Fleet, TenantRef

_FIRST_VERSION = 1
"""The version of the role rule that a new tenant has."""


@dataclass(frozen=True, slots=True)
class Founder:
    """Somebody who is taken in by hand as their tenant begins, with a role of its rule."""

    tenant: TenantRef
    rule: RoleRule
    draft: Draft
    role: str


async def take_in(fleet: Fleet, founders: Sequence[Founder]) -> None:
    """Take founders in, those of a tenant one after the other, as `people.take_in` does it for one person.

    Raises:
        Invalid: a draft can't be a person.
        UnknownRole: the tenant has no such role.
        SeatsExhausted: a tenant's plan has fewer seats.
    """
    cause = Cause(fleet.origin.request_id, fleet.now, "added by hand")
    written = orjson.dumps([_prepared(each, cause) for each in founders]).decode()
    call = call_of(fleet.actor, fleet.origin, UserProvisioned.topic)
    full = await statements.take_in_founders(fleet, written, json.dumps(call))
    if full is not None:
        async with fleet.within(TenantRef(UUID(str(full)), "")) as work:
            raise await seats.exhausted(work)


def _prepared(founder: Founder, cause: Cause) -> dict[str, object]:
    rule = founder.rule
    state = role_states.given_by_hand(rule, role_states.fresh(rule), founder.role)
    document = people.document_of(founder.draft)
    change = mapping.new_user(document, rule, _FIRST_VERSION, mapping.Judged(state), cause)
    return {
        "tenant": str(founder.tenant.id),
        "change": orjson.Fragment(replace(change, seat="any").as_json()),
        "payload": UserProvisioned(role=state.role).payload(),
    }
