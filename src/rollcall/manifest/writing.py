"""Writing ``tenants.toml``: what the database holds, as a file that changes nothing when it is applied."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select

from rollcall.directory.rules import RoleRule
from rollcall.manifest import present, statements
from rollcall.manifest.comparing import STEP, Progress, report
from rollcall.manifest.model import MOST_ADMINS, AdminTable
from rollcall.manifest.present import PresentTenant
from rollcall.scim.name_keys import name_key
from rollcall.tenancy import prices
from rollcall.tenancy.models import Tenant
from rollcall.tenancy.overrides import Override
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.work import Fleet

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Plans, tenants and their admins as they were at {now:%Y-%m-%dT%H:%M:%SZ}, by 'rollcall tenants export'.
# Applied where it was written, this changes nothing. No secret is in it.
"""

Document = Mapping[str, object]


async def export(fleet: Fleet, slugs: Sequence[str] = (), *, progress: Progress | None = None) -> AsyncIterator[str]:
    """What the database holds, in parts: plans by key, prices, then all tenants by slug, or of these *slugs* alone."""
    yield _HEAD.format(now=fleet.now.astimezone(UTC))
    for key, terms in sorted((await present.terms_of_plans(fleet)).items()):
        yield "\n" + "\n".join(_plan(key, terms)) + "\n"
    yield "\n" + "\n".join(_prices(await prices.every(fleet))) + "\n"
    chosen = select(Tenant.id).order_by(Tenant.slug)
    ids = (await fleet.db.scalars(chosen.where(Tenant.slug.in_(slugs)) if slugs else chosen)).all()
    for begin in range(0, len(ids), STEP):
        some = ids[begin : begin + STEP]
        rows = (await fleet.db.scalars(select(Tenant).where(Tenant.id.in_(some)).order_by(Tenant.slug))).all()
        admins = await _admins(fleet, some)
        deputies = await statements.deputies_of(fleet, [row.id for row in rows if row.deputy_id is not None])
        for row in rows:
            tenant = present.present_tenant(row, fleet.now)
            yield "\n" + "\n".join(_tenant(tenant, admins.get(row.id, []), deputies.get(row.id))) + "\n"
        report(progress, "written", begin + len(some), len(ids))


async def _admins(fleet: Fleet, tenants: Sequence[UUID]) -> Mapping[UUID, Sequence[tuple[str, Document]]]:
    """The roles and documents of the active admins of tenants."""
    found: dict[UUID, list[tuple[str, Document]]] = {}
    for row in await statements.admins_of(fleet, tenants):
        found.setdefault(row["tenant"], []).append((row["role_key"], row["person"]))
    return found


def _plan(key: str, terms: PlanTerms) -> Iterator[str]:
    yield f"[plans.{_key(key)}]"
    unlimited = terms.lapse.offboarding_only_days is None
    lapse = {
        "grace_days": terms.lapse.grace_days,
        "offboarding_only_days": "unlimited" if unlimited else terms.lapse.offboarding_only_days,
    }
    yield from _pairs(
        {
            "name": terms.name,
            "features": sorted(terms.features),
            "seats": terms.seats,
            "seat_policy": terms.seat_policy,
            "rate_per_second": terms.rate_per_second,
            "rate_burst": terms.rate_burst,
            "retention_days": terms.retention_days,
            "lapse": lapse,
            "closed": terms.closed or None,
        }
    )


def _prices(every: Mapping[str, PriceTerms]) -> Iterator[str]:
    yield "[billing.prices]"
    for price, terms in every.items():
        yield from (
            f"\n[billing.prices.{_key(price)}]",
            *_pairs({"plan": terms.plan, "seats": "quantity" if terms.seats_by_quantity else None}),
        )


def _tenant(tenant: PresentTenant, admins: Sequence[tuple[str, Document]], deputy: str | None) -> Iterator[str]:
    terms, name = tenant.terms, _key(tenant.ref.slug)
    yield f"[tenants.{name}]"
    yield from _pairs(
        {
            "name": terms.name,
            "plan": terms.plan,
            "status": tenant.status,
            "tokens": terms.token_issuing,
            "owner_leaves": terms.owner_leaves,
            "last_admin": terms.last_admin,
            "deputy": deputy if deputy is not None and _stands({"user_name": deputy}) else None,
            "break_glass": [*terms.break_glass],
            "profile": terms.profile,
            "rate_per_second": "plan" if terms.rate_per_second is None else terms.rate_per_second,
            "rate_burst": "plan" if terms.rate_burst is None else terms.rate_burst,
            "mass_change_threshold": terms.mass_change_threshold,
            "external_id": terms.external_id,
            "customer": terms.customer,
            "metadata": dict(sorted(terms.metadata.items())),
            **({} if tenant.overrides else {"overrides": {}}),
        }
    )
    for key, override in sorted(tenant.overrides.items()):
        yield from (f"\n[tenants.{name}.overrides.{_key(key)}]", *_pairs(_override(override)))
    yield f"\n[tenants.{name}.roles]"
    yield from _rule(tenant.rule)
    tables = _tables_of(tenant.rule, admins)
    for table in tables:
        yield from (f"\n[[tenants.{name}.admins]]", *_pairs(table.model_dump()))
    if left := len(admins) - len(tables):
        yield f"\n# {left} more of its active admins can't stand in a file: there are too many, or for their names."


def _override(override: Override) -> Mapping[str, object]:
    return {
        "value": override.value,
        "reason": override.reason,
        "by": override.by,
        "ends_at": override.ends_at,
    }


def _rule(rule: RoleRule) -> Iterator[str]:
    facts = {"prefix": rule.prefix, "default": rule.default, "sources": sorted(rule.sources)}
    yield from _pairs({**facts, "on_conflict": rule.on_conflict, "comparison": rule.comparison})
    for key, role in sorted(rule.roles.items()):
        said = {"label": role.label, "admin": role.admin, "names": [*role.names], "aliases": [*role.aliases]}
        yield f"roles.{_key(key)} = {_value(said)}"


def _tables_of(rule: RoleRule, admins: Iterable[tuple[str, Document]]) -> Sequence[AdminTable]:
    """Those of the admins that a file can name, as many as it may; of names that are alike the first."""
    tables: list[AdminTable] = []
    names: set[str] = set()
    ids: set[str] = set()
    for role, document in admins:
        table = _admin(role, document) if role in rule.admin_roles else None
        if table is None or name_key(table.user_name) in names or len(tables) == MOST_ADMINS:
            continue
        names.add(name_key(table.user_name))
        if table.external_id in ids:
            table = table.model_copy(update={"external_id": None})
        if table.external_id is not None:
            ids.add(table.external_id)
        tables.append(table)
    return tables


def _admin(role: str, document: Document) -> AdminTable | None:
    """Somebody as a file names them; what can't stand there of what is not needed to find them is left out."""
    parts = cast("Document", document.get("name") or {})
    addresses = cast("Sequence[Document]", document.get("emails") or [])
    first = sorted(addresses, key=lambda each: each.get("primary") is not True)[:1]
    facts = {
        "given_name": parts.get("givenName"),
        "family_name": parts.get("familyName"),
        "display_name": document.get("displayName"),
        "email": first[0].get("value") if first else None,
        "external_id": document.get("externalId"),
    }
    told = {key: value for key, value in facts.items() if _stands({"user_name": "x", key: value})}
    needed = {"user_name": document["userName"], "role": role}
    return AdminTable.model_validate({**needed, **told}) if _stands(needed) else None


def _stands(facts: Mapping[str, object]) -> bool:
    try:
        AdminTable.model_validate(facts)
    except ValidationError:
        return False
    return True


def _pairs(facts: Mapping[str, object]) -> Iterator[str]:
    """A line for each key that has a value."""
    yield from (f"{_key(key)} = {_value(value)}" for key, value in facts.items() if value is not None)


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case datetime():
            return value.isoformat()
        case dict():
            inside = ", ".join(_pairs(value))  # pyright: ignore[reportUnknownArgumentType]
            return f"{{ {inside} }}" if inside else "{}"
        case list():
            return f"[{', '.join(map(_value, value))}]"  # pyright: ignore[reportUnknownArgumentType]
        case _:
            return str(value)
