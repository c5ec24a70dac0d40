"""People and groups that exist for one transaction, and the same ones as scim2-models has them in memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from scim2_models import ScimPolicy
from scim2_models.path import FilterNode
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from factories import DART_RULE, Tenant
from rollcall.db import Row
from rollcall.directory import mapping, role_states
from rollcall.directory.rules import RoleRule
from rollcall.functions import qualified
from rollcall.scim import documents
from rollcall.scim.name_keys import composed
from rollcall.scim.profiles import read_user
from rollcall.scim.resources import GROUPS, USERS, Group, ResourceKind, User, key
from rollcall.search import paging
from rollcall.search.queries import Query
from rollcall.work import enter_tenant

BASE = "http://rollcall.test/scim/v2"
AS_WE_COMPARE = ScimPolicy(comparison_key=lambda binding, value: composed(value) if binding.case_exact else key(value))
"""What scim2-models needs to be told to compare as we do; it would fold case a little less."""

_RULE = RoleRule.model_validate(DART_RULE)
_NEW = text(qualified("SELECT * FROM fn.write_new_user(:tenant, CAST(:change AS jsonb))"))
_DATED = text("UPDATE users SET created_at = :created, last_modified = :modified WHERE id = :id")
_GROUP = text(
    "INSERT INTO groups (tenant_id, display_name, display_name_key, external_id, version, created_at, last_modified) "
    "VALUES (:tenant, :name, :key, :external, :version, :created, :modified) RETURNING id"
)
_IN_GROUP = text("INSERT INTO group_users (tenant_id, group_id, user_id) VALUES (:tenant, :group, :member)")
_UNDER_GROUP = text("INSERT INTO group_children (tenant_id, group_id, child_id) VALUES (:tenant, :group, :member)")


@dataclass(frozen=True)
class Made:
    """Somebody to be made: what a provider would send, and when that was."""

    payload: dict[str, Any]
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    modified: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MadeGroup:
    """A group to be made; *people* are places in the list of people, *under* is the place of the group above it."""

    name: str
    external_id: str | None = None
    version: int = 1
    people: frozenset[int] = frozenset()
    under: frozenset[int] = frozenset()
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    modified: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Scratch:
    """A tenant's directory, inside a transaction that leaves nothing behind."""

    db: AsyncSession
    tenant_id: UUID

    async def make(self, people: Sequence[Made], groups: Sequence[MadeGroup] = ()) -> tuple[list[UUID], list[UUID]]:
        """Make people and groups; returns their ids."""
        users = [await self._person(made) for made in people]
        made_groups: list[UUID] = []
        for made in groups:
            made_groups.append(await self._group(made, users, made_groups))
        await self.db.execute(text(qualified("SELECT fn.rebuild_closure(:tenant)")), {"tenant": self.tenant_id})
        return users, made_groups

    async def ask(self, query: Query) -> paging.ResourcePage:
        """The page that a query brings."""
        asked = paging.statement(query, self.tenant_id, BASE)
        found = await (await self.db.connection()).exec_driver_sql(asked.text, asked.arguments)
        return paging.page(query, found.mappings().all())

    async def found(self, tree: FilterNode, kind: ResourceKind = USERS) -> set[str]:
        """The ids of those a filter finds in the database."""
        page = await self.ask(Query(tree=tree, kind=kind, count=200))
        assert page.total == len(page.rows)
        return {str(row["id"]) for row in page.rows}

    async def resources(self, kind: ResourceKind = USERS) -> list[User] | list[Group]:
        """Everybody as scim2-models has them."""
        page = await self.ask(Query(kind=kind, count=200))
        if kind is GROUPS:
            return [Group.model_validate(group_resource(row)) for row in page.rows]
        return [User.model_validate(user_resource(row)) for row in page.rows]

    async def _person(self, made: Made) -> UUID:
        document = documents.document(read_user(made.payload).user)
        judged = mapping.Judged(role_states.fresh(_RULE))
        cause = mapping.Cause("test", made.created, "test")
        change = mapping.new_user(document, _RULE, 1, judged, cause)
        new = {"tenant": self.tenant_id, "change": change.as_json()}
        row = (await self.db.execute(_NEW, new)).mappings().one()
        dated = {"created": made.created, "modified": made.modified, "id": row["id"]}
        await self.db.execute(_DATED, dated)
        return row["id"]

    async def _group(self, made: MadeGroup, users: list[UUID], groups: list[UUID]) -> UUID:
        facts = {
            "tenant": self.tenant_id,
            "name": made.name,
            "key": key(made.name),
            "external": None if made.external_id is None else composed(made.external_id),
            "version": made.version,
            "created": made.created,
            "modified": made.modified,
        }
        group_id: UUID = (await self.db.execute(_GROUP, facts)).scalar_one()
        for member in {users[place % len(users)] for place in made.people}:
            await self.db.execute(_IN_GROUP, {"tenant": self.tenant_id, "group": group_id, "member": member})
        for above in {groups[place % len(groups)] for place in made.under} if groups else ():
            await self.db.execute(_UNDER_GROUP, {"tenant": self.tenant_id, "group": above, "member": group_id})
        return group_id


@asynccontextmanager
async def scratch(tenant: Tenant) -> AsyncGenerator[Scratch]:
    """Open a transaction in the tenant and take everything back as the block ends."""
    tenant_id = UUID(tenant.id)
    async with tenant.callers.database.sessions() as db, db.begin() as transaction:
        await enter_tenant(db, tenant_id)
        yield Scratch(db, tenant_id)
        await transaction.rollback()


def user_resource(row: Row) -> dict[str, Any]:
    """A person as they are answered."""
    resource = orjson.loads(row["document"]) | _common(row, USERS)
    return resource if row["groups"] is None else resource | {"groups": orjson.loads(row["groups"])}


def group_resource(row: Row) -> dict[str, Any]:
    """A group as it is answered."""
    resource = {"schemas": [GROUPS.schema], "displayName": row["display_name"]} | _common(row, GROUPS)
    if row["external_id"] is not None:
        resource["externalId"] = row["external_id"]
    return resource if row["members"] is None else resource | {"members": orjson.loads(row["members"])}


def _common(row: Row, kind: ResourceKind) -> dict[str, Any]:
    meta = {
        "resourceType": kind.name,
        "created": documents.timestamp(row["created_at"]),
        "lastModified": documents.timestamp(row["last_modified"]),
        "location": f"{BASE}{kind.endpoint}/{row['id']}",
        "version": documents.etag(row["version"]),
    }
    return {"id": str(row["id"]), "meta": meta}
