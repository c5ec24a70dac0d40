"""The statements of manifests: one function for each function of the database that asks several tenants at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text

from rollcall.functions import qualified
from rollcall.work import Fleet

_NAMED = text(qualified("SELECT * FROM fn.people_named(CAST(:asked AS jsonb))"))
_ADMINS = text(qualified("SELECT * FROM fn.admins_of(CAST(:tenants AS uuid[]))"))

_DEPUTIES = text(qualified("SELECT * FROM fn.deputies_of(CAST(:tenants AS uuid[]))"))


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a file names in one tenant."""

    tenant: UUID
    names: Sequence[str]
    """Keys of userNames, by both comparisons."""
    ids: Sequence[str]
    """externalIds."""


async def people_named(fleet: Fleet, asked: Sequence[Asked]) -> Sequence[RowMapping]:
    """Who is there of those that a file names: ``tenant account outside_id is_active state person``."""
    given = orjson.dumps([{"tenant": str(each.tenant), "names": each.names, "ids": each.ids} for each in asked])
    async with fleet.within_each() as db:
        return (await db.execute(_NAMED, {"asked": given.decode()})).mappings().all()


async def admins_of(fleet: Fleet, tenants: Sequence[UUID]) -> Sequence[RowMapping]:
    """The active admins of tenants, in the order in which they came: ``tenant role_key state person``."""
    async with fleet.within_each() as db:
        return (await db.execute(_ADMINS, {"tenants": [*tenants]})).mappings().all()


async def deputies_of(fleet: Fleet, tenants: Sequence[UUID]) -> Mapping[UUID, str]:
    """The userNames of the deputies of tenants who could be named anew: active, and no admin."""
    async with fleet.within_each() as db:
        rows = (await db.execute(_DEPUTIES, {"tenants": [*tenants]})).all()
    return {row.tenant: row.user_name for row in rows}
