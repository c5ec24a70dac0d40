"""Whether large changes of roles get on: what they give is brought to people by workers, batch by batch."""

from datetime import timedelta

from rollcall.checks.asking import ACTOR, ORIGIN, Grounds
from rollcall.checks.model import Check, ok, warning
from rollcall.directory import role_changes as changes
from rollcall.work import open_fleet

ROLE_CHANGES = "role-changes"

LONGEST = timedelta(minutes=10)
"""How long one may take; a hundred thousand people take less than a minute."""

_NAMED = 3


async def role_changes(grounds: Grounds) -> Check:
    """Whether one has begun long ago and has not come to everybody yet."""
    async with open_fleet(grounds.database, ACTOR, ORIGIN) as fleet:
        lasting = await changes.lasting(fleet, longer_than=LONGEST)
    if not lasting:
        return ok(ROLE_CHANGES, "no large change of roles takes longer than it should")
    named = ", ".join(f"{slug} since {began_at:%Y-%m-%d %H:%M} UTC" for slug, began_at in lasting[:_NAMED])
    more = f" and {len(lasting) - _NAMED} more" if len(lasting) > _NAMED else ""
    return warning(
        ROLE_CHANGES,
        f"large changes of roles have not come to everybody: {named}{more}; nobody has rights that they have lost",
        "see that 'rollcall relay' and a 'rollcall worker' run, and what the worker logs of rollcall.bring_roles; "
        "'rollcall roles show TENANT' says how many are left",
    )
