"""The statements of the directory: one function for each function of the database that writes people and rules."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, Uuid, select, text

from rollcall.db import fn
from rollcall.directory.user_changes import UserChange
from rollcall.functions import qualified
from rollcall.work import Fleet, Work

_NEW = text(qualified("SELECT * FROM fn.write_new_user(:tenant, CAST(:change AS jsonb))"))
_FOUNDERS = text(qualified("SELECT fn.take_in_founders(CAST(:people AS jsonb), CAST(:call AS jsonb))"))
_SAVE = text(qualified("SELECT * FROM fn.write_user(:tenant, :user, CAST(:change AS jsonb))"))
_LEAVE = text(qualified("SELECT * FROM fn.write_departure(:tenant, :user, CAST(:change AS jsonb))"))
_TAKE_OUT = text(
    qualified("SELECT * FROM fn.take_out_refused(:tenant, :limit, CAST(:change AS jsonb), CAST(:call AS jsonb))")
)
_SETTLE = text(qualified("SELECT fn.settle_cases(:tenant, :user, :account, :request_id, CAST(:change AS jsonb))"))
_HOLD_EXTERNAL_ID = text(qualified("SELECT fn.hold_external_id(:tenant, :external_id)"))
_HOLD_RULE = text(qualified("SELECT fn.hold_rule(:tenant)"))
_OPEN_CASES = text(qualified("SELECT fn.open_cases_of_many(:tenant, :request_id, CAST(:people AS jsonb))"))
_PEOPLE_WITHOUT = text(qualified("SELECT * FROM fn.people_without(:tenant, :group, :most)"))
_VALUES_OF_ROLES = text(qualified("SELECT fn.values_of_roles(:tenant)"))
_ALIKE = text(
    qualified(
        "SELECT * FROM fn.people_alike(:tenant, CAST(:roles AS jsonb[]), CAST(:least AS integer[]),"
        " CAST(:most AS integer[]), CAST(:groups AS uuid[]), CAST(:means AS integer[]), NULL)"
    )
)
_GIVE_ROLES = text(
    qualified("SELECT fn.give_roles(:tenant, :request_id, CAST(:accounts AS bytea[]), CAST(:roles AS jsonb))")
)
_WRITE_ROLES = text(
    qualified("SELECT fn.write_roles(:tenant, :request_id, CAST(:accounts AS bytea[]), CAST(:roles AS jsonb))")
)
_TO_JUDGE = text(qualified("SELECT * FROM fn.people_to_judge(:tenant, CAST(:accounts AS uuid[]), :groups)"))
_ADD_TO_CHANGE = text(qualified("SELECT fn.add_to_role_change(:tenant, :request_id, :accounts)"))
_END_CHANGE = text(qualified("SELECT fn.end_role_change(:tenant)"))
_NEXT_OF_CHANGE = text(qualified("SELECT * FROM fn.next_to_judge(:tenant, :after, :limit, :seconds, :groups)"))
_CLOSE_CASES = text(
    qualified("SELECT fn.close_cases_of_many(:tenant, :conflicting, :unknown, NULL, 'the role rule was edited')")
)
_COUNT = text(qualified("SELECT fn.count_unknown_roles(:tenant, CAST(:times AS jsonb))"))


async def take_out_refused(work: Work, limit: int, change: str, call: Mapping[str, Any]) -> tuple[int, int]:
    """Have some leave who did so while the tenant was suspended; how many were on the list, and how many left by it."""
    given = {"tenant": work.tenant.id, "limit": limit, "change": change, "call": orjson.dumps(call).decode()}
    row = (await work.db.execute(_TAKE_OUT, given)).one()
    return row.listed, row.left_now


async def write_new_user(work: Work, change: UserChange) -> RowMapping:
    """Write a new person's rows. ``outcome``: done, or seats where none is left for them.

    Raises:
        IntegrityError: the userName is taken.
    """
    return (await work.db.execute(_NEW, {"tenant": work.tenant.id, "change": change.as_json()})).mappings().one()


async def take_in_founders(fleet: Fleet, people: str, call: str) -> UUID | None:
    """Write the first people of new tenants; the tenant for whom no seat was left, None if everybody is in."""
    async with fleet.within_each() as db:
        return await db.scalar(_FOUNDERS, {"people": people, "call": call})


async def write_user(work: Work, user_id: UUID, change: UserChange) -> RowMapping:
    """Write a judged change of a person. ``outcome``: done, stale, not_found, seats; ``reason``: what was closed."""
    given = {"tenant": work.tenant.id, "user": user_id, "change": change.as_json()}
    return (await work.db.execute(_SAVE, given)).mappings().one()


async def write_departure(work: Work, user_id: UUID, change: UserChange) -> RowMapping:
    """Have an active person leave. ``outcome``: done, or judge if nobody like that is there; ``reason``: as above."""
    given = {"tenant": work.tenant.id, "user": user_id, "change": change.as_json()}
    return (await work.db.execute(_LEAVE, given)).mappings().one()


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


async def open_cases_of_many(work: Work, people: Sequence[Mapping[str, Any]]) -> None:
    """Open the cases of people whose names an edited rule can't follow; each as the function's comment says."""
    given = {"tenant": work.tenant.id, "request_id": work.origin.request_id}
    await work.db.execute(_OPEN_CASES, given | {"people": _json(people)})


async def people_without(work: Work, group: UUID, *, most: int) -> Sequence[RowMapping]:
    """What would decide the roles of the first *most* people in a group if it went; nobody is locked."""
    rows = await work.db.execute(_PEOPLE_WITHOUT, {"tenant": work.tenant.id, "group": group, "most": most})
    return rows.mappings().all()


async def values_of_roles(work: Work) -> Sequence[str]:
    """The values of ``roles`` that people here have, as JSON, each once."""
    return (await work.db.scalars(_VALUES_OF_ROLES, {"tenant": work.tenant.id})).all()


class Names(Protocol):
    """What names mean, by numbers, as the database takes it: `judging.Said`."""

    roles: list[str]
    least: list[int]
    most: list[int]
    groups: list[UUID]
    means: list[int]


async def people_alike(work: Work, names: Names) -> Sequence[RowMapping]:
    """Everybody, put together where role state and names are alike."""
    given = {name: getattr(names, name) for name in ("roles", "least", "most", "groups", "means")}
    return (await work.db.execute(_ALIKE, given | {"tenant": work.tenant.id})).mappings().all()


async def give_roles(work: Work, accounts: Sequence[bytes], roles: Sequence[Mapping[str, Any]]) -> None:
    """Give many people another role at once: each packed *accounts* that of *roles* in its place."""
    given = {"tenant": work.tenant.id, "request_id": work.origin.request_id}
    await work.db.execute(_GIVE_ROLES, given | {"accounts": [*accounts], "roles": _json(roles)})


async def write_roles(work: Work, accounts: Sequence[bytes], roles: Sequence[Mapping[str, Any]]) -> None:
    """The same, of people who are locked."""
    given = {"tenant": work.tenant.id, "request_id": work.origin.request_id}
    await work.db.execute(_WRITE_ROLES, given | {"accounts": [*accounts], "roles": _json(roles)})


async def people_to_judge(work: Work, account_ids: Sequence[UUID], *, groups: bool) -> Sequence[RowMapping]:
    """People, locked until the transaction ends, put together where all that decides their role is the same."""
    given = {"tenant": work.tenant.id, "accounts": [*account_ids], "groups": groups}
    return (await work.db.execute(_TO_JUDGE, given)).mappings().all()


async def add_to_role_change(work: Work, accounts: bytes) -> None:
    """Put down to whom, by their packed ids, a large change has still to be brought."""
    given = {"tenant": work.tenant.id, "request_id": work.origin.request_id, "accounts": accounts}
    await work.db.execute(_ADD_TO_CHANGE, given)


async def end_role_change(work: Work) -> None:
    """Forget to whom large changes had still to be brought."""
    await work.db.execute(_END_CHANGE, {"tenant": work.tenant.id})


async def next_of_role_change(
    work: Work, *, after: UUID, limit: int, seconds: float, groups: bool
) -> Sequence[RowMapping]:
    """Take the next people off the list, for as long as this transaction stands, and lock them; nobody: it has ended.

    They come as from `people_to_judge`. The change is nobody else's meanwhile, and for *seconds* from now.
    """
    given = {"tenant": work.tenant.id, "after": after, "limit": limit, "seconds": seconds, "groups": groups}
    return (await work.db.execute(_NEXT_OF_CHANGE, given)).mappings().all()


async def close_cases_of_rule(work: Work, conflicting: bytes, unknown: bytes) -> None:
    """Close the cases of stored names of everybody but these accounts, packed, by the kind of case."""
    given = {"tenant": work.tenant.id, "conflicting": conflicting, "unknown": unknown}
    await work.db.execute(_CLOSE_CASES, given)


async def count_unknown_roles(work: Work, times: Mapping[str, int]) -> None:
    """Count in today's ledger how often each of these deviations was met."""
    await work.db.execute(_COUNT, {"tenant": work.tenant.id, "times": _json(times)})


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
