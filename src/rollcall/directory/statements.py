"""The statements of the directory: one function for each function of the database that writes people and rules."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, Uuid, select, text

from rollcall.db import fn
from rollcall.directory.user_changes import UserChange
from rollcall.functions import qualified
from rollcall.work import Work

_NEW = text(qualified("SELECT * FROM fn.write_new_user(:tenant, CAST(:change AS jsonb))"))
_SAVE = text(qualified("SELECT * FROM fn.write_user(:tenant, :user, CAST(:change AS jsonb))"))
_SETTLE = text(qualified("SELECT fn.settle_cases(:tenant, :user, :account, :request_id, CAST(:change AS jsonb))"))
_HOLD_EXTERNAL_ID = text(qualified("SELECT fn.hold_external_id(:tenant, :external_id)"))
_HOLD_RULE = text(qualified("SELECT fn.hold_rule(:tenant)"))
_BRING_RULE = text(qualified("SELECT fn.bring_rule(:tenant, :request_id, CAST(:people AS jsonb))"))
_COUNT = text(qualified("SELECT fn.count_unknown_roles(:tenant, CAST(:times AS jsonb))"))


async def write_new_user(work: Work, change: UserChange) -> RowMapping:
    """Write a new person's rows.

    Raises:
        IntegrityError: the userName is taken.
    """
    return (await work.db.execute(_NEW, {"tenant": work.tenant.id, "change": change.as_json()})).mappings().one()


async def write_user(work: Work, user_id: UUID, change: UserChange) -> RowMapping:
    """Write a judged change of a person. ``outcome``: done, stale, not_found; ``reason``: what was closed, as JSON."""
    given = {"tenant": work.tenant.id, "user": user_id, "change": change.as_json()}
    return (await work.db.execute(_SAVE, given)).mappings().one()


async def settle_cases(work: Work, user_id: UUID, account_id: UUID, change: UserChange) -> None:
    """Open and close a person's cases as a change that was written says."""
    given = {"tenant": work.tenant.id, "user": user_id, "account": account_id, "request_id": work.origin.request_id}
    await work.db.execute(_SETTLE, given | {"change": change.as_json()})


async def user_called(work: Work, name_key: str, first_key: str | None) -> UUID | None:
    """The resource of whoever has a userName, by its key and, if another, its key of the first version."""
    return await work.db.scalar(select(fn.user_called(work.tenant.id, name_key, first_key, type_=Uuid())))


async def group_names_of(work: Work, user_id: UUID) -> tuple[str, ...]:
    """The names of the groups a person is in, directly or through others."""
    names = await work.db.scalar(select(fn.group_names_of(work.tenant.id, user_id)))
    return tuple(names or ())


async def hold_external_id(work: Work, external_id: str) -> None:
    """Wait for whoever creates or removes somebody with this externalId, and keep the next one waiting."""
    await work.db.execute(_HOLD_EXTERNAL_ID, {"tenant": work.tenant.id, "external_id": external_id})


async def hold_rule(work: Work) -> None:
    """Wait for all who use the role rule, so that it can be edited."""
    await work.db.execute(_HOLD_RULE, {"tenant": work.tenant.id})


async def bring_rule(work: Work, people: Sequence[Mapping[str, Any]]) -> None:
    """Give people what an edited rule makes of their names; each as the function's comment says."""
    given = {"tenant": work.tenant.id, "request_id": work.origin.request_id}
    await work.db.execute(_BRING_RULE, given | {"people": _json(people)})


async def count_unknown_roles(work: Work, times: Mapping[str, int]) -> None:
    """Count in today's ledger how often each of these deviations was met."""
    await work.db.execute(_COUNT, {"tenant": work.tenant.id, "times": _json(times)})


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
