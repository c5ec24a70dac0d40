"""Whether what has to be done regularly is done: partitions made ahead, what is old forgotten."""

from rollcall.checks.asking import Grounds
from rollcall.checks.model import Check, ok, warning
from rollcall.journal import keeping

HOUSEKEEPING = "housekeeping"


async def housekeeping(grounds: Grounds) -> Check:
    """Whether each part was done within the last hours."""
    late = await keeping.late(grounds.database.pool)
    if not late:
        return ok(HOUSEKEEPING, "each part of the house was kept within three hours")
    said = "; ".join(f"{each.part} since {each.since:%Y-%m-%d %H:%M} UTC{_because(each.error)}" for each in late)
    return warning(
        HOUSEKEEPING,
        f"the house is not kept: {said}",
        "see that beat and a 'rollcall worker' run, and what the worker logs as 'a part of the house is not kept'",
    )


def _because(error: str | None) -> str:
    return "" if error is None else f" ({' '.join(error.split())[:300]})"
