"""What applying a manifest would do, one value for each change; as text, one readable line.

``+`` is new, ``~`` becomes something else, ``!`` needs a hand and is left as it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal
from uuid import UUID

from rollcall.directory.people import Draft
from rollcall.directory.rules import RoleDefinition, RoleRule
from rollcall.manifest.model import OverrideTable
from rollcall.tenancy.overrides import Override
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.prices import PriceTerms
from rollcall.tenancy.tenants import TenantTerms

Mark = Literal["+", "~", "!"]


@dataclass(frozen=True, slots=True)
class PlanAdded:
    """A plan that the database does not have."""

    mark: ClassVar[Mark] = "+"
    key: str
    terms: PlanTerms

    def __str__(self) -> str:
        return f"+ plan {self.key}"


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """A plan with other terms."""

    mark: ClassVar[Mark] = "~"
    key: str
    before: PlanTerms
    after: PlanTerms

    def __str__(self) -> str:
        parts = [
            *_became(
                ("name", self.before.name, self.after.name),
                ("seats", self.before.seats or "any", self.after.seats or "any"),
                ("seat_policy", self.before.seat_policy, self.after.seat_policy),
                ("rate_per_second", self.before.rate_per_second, self.after.rate_per_second),
                ("rate_burst", self.before.rate_burst, self.after.rate_burst),
                ("retention_days", self.before.retention_days, self.after.retention_days),
                ("lapse", self.before.lapse, self.after.lapse),
            ),
            *_gained("feature", self.before.features, self.after.features),
        ]
        if self.before.closed != self.after.closed:
            parts.append("closed: no tenant is put on it any more" if self.after.closed else "open again")
        return f"~ plan {self.key}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class PricesChanged:
    """Other prices at the payment provider, or prices that stand for something else."""

    mark: ClassVar[Mark] = "~"
    before: Mapping[str, PriceTerms]
    after: Mapping[str, PriceTerms]

    def __str__(self) -> str:
        kept = [price for price in self.after if price in self.before]
        parts = [
            *_gained("price", self.before, self.after),
            *_became(*((f"price {price}", self.before[price], self.after[price]) for price in kept)),
        ]
        return f"~ prices: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class TenantAdded:
    """A tenant that the database does not have."""

    mark: ClassVar[Mark] = "+"
    slug: str
    terms: TenantTerms
    rule: RoleRule

    def __str__(self) -> str:
        return f"+ tenant {self.slug} (plan {self.terms.plan}, roles {', '.join(self.rule.roles)})"


@dataclass(frozen=True, slots=True)
class TenantChanged:
    """A tenant with other terms."""

    mark: ClassVar[Mark] = "~"
    slug: str
    before: TenantTerms
    after: TenantTerms

    def __str__(self) -> str:
        before, after = self.before, self.after
        parts = _became(
            ("name", before.name, after.name),
            ("external_id", before.external_id or "none", after.external_id or "none"),
            ("customer", before.customer or "none", after.customer or "none"),
            ("plan", before.plan, after.plan),
            ("tokens", before.token_issuing, after.token_issuing),
            ("owner_leaves", before.owner_leaves, after.owner_leaves),
            ("last_admin", before.last_admin, after.last_admin),
            ("break_glass", " ".join(before.break_glass) or "nobody", " ".join(after.break_glass) or "nobody"),
            ("profile", before.profile, after.profile),
            ("rate_per_second", _or_plans(before.rate_per_second), _or_plans(after.rate_per_second)),
            ("rate_burst", _or_plans(before.rate_burst), _or_plans(after.rate_burst)),
            ("mass_change_threshold", before.mass_change_threshold, after.mass_change_threshold),
        )
        parts = [*parts, *_changed_metadata(before.metadata, after.metadata)]
        return f"~ tenant {self.slug}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A tenant that is suspended, or let in again."""

    mark: ClassVar[Mark] = "~"
    slug: str
    after: Literal["active", "suspended"]

    def __str__(self) -> str:
        return f"~ tenant {self.slug}: {'suspended' if self.after == 'suspended' else 'active again'}"


@dataclass(frozen=True, slots=True)
class TenantClosed:
    """A tenant that the file does not name, and that is suspended for it."""

    mark: ClassVar[Mark] = "~"
    slug: str

    def __str__(self) -> str:
        return f"~ tenant {self.slug}: closed, for the file does not name it: suspended"


@dataclass(frozen=True, slots=True)
class OverrideSet:
    """Something that a tenant has otherwise than its plan says from now on, in the place of what it had so."""

    mark: ClassVar[Mark] = "~"
    slug: str
    key: str
    before: Override | None
    after: OverrideTable

    def __str__(self) -> str:
        old, new = self.before, self.after
        until = _until(new.ends_at)
        if old is None:
            return f"~ tenant {self.slug}: override {self.key} {_plainly(new.value)}, {until} ({new.reason})"
        parts = _became(
            ("value", _plainly(old.value), _plainly(new.value)),
            ("reason", f'"{old.reason}"', f'"{new.reason}"'),
            ("by", old.by, new.by or old.by),
            ("ends", _until(old.ends_at), until),
        )
        return f"~ tenant {self.slug}: override {self.key}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class OverrideEnded:
    """Something that a tenant has as its plan says again."""

    mark: ClassVar[Mark] = "~"
    slug: str
    key: str

    def __str__(self) -> str:
        return f"~ tenant {self.slug}: override {self.key} ends"


@dataclass(frozen=True, slots=True)
class RuleChanged:
    """A tenant with another role rule."""

    mark: ClassVar[Mark] = "~"
    slug: str
    before: RoleRule
    after: RoleRule

    def __str__(self) -> str:
        before, after = self.before, self.after
        parts = [
            *_became(
                ("prefix", before.prefix or "none", after.prefix or "none"),
                ("default", before.default, after.default),
                ("sources", _listed(before.sources), _listed(after.sources)),
                ("on_conflict", before.on_conflict, after.on_conflict),
                ("comparison", before.comparison, after.comparison),
            ),
            *_gained("role", before.roles, after.roles),
            *_changed_roles(before, after),
        ]
        return f"~ tenant {self.slug} role rule: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class AdminAdded:
    """An admin whom the tenant's directory does not have."""

    mark: ClassVar[Mark] = "+"
    slug: str
    draft: Draft
    role: str

    def __str__(self) -> str:
        return f"+ admin {self.draft.user_name} in {self.slug} (role {self.role})"


@dataclass(frozen=True, slots=True)
class AdminAppointed:
    """Somebody who is there already and gets an admin role by hand."""

    mark: ClassVar[Mark] = "~"
    slug: str
    user_name: str
    account_id: UUID
    before: str
    role: str

    def __str__(self) -> str:
        return f"~ admin {self.user_name} in {self.slug}: role {self.before} -> {self.role}"


@dataclass(frozen=True, slots=True)
class AdminInactive:
    """An admin who was deactivated; a file does not let anybody in again."""

    mark: ClassVar[Mark] = "!"
    slug: str
    user_name: str

    def __str__(self) -> str:
        return f"! admin {self.user_name} in {self.slug} is deactivated; reactivate them by hand"


@dataclass(frozen=True, slots=True)
class AdminRemoved:
    """An admin whom the identity provider deleted; a file does not take anybody in again."""

    mark: ClassVar[Mark] = "!"
    slug: str
    user_name: str

    def __str__(self) -> str:
        return f"! admin {self.user_name} in {self.slug} was removed by the identity provider; take them in by hand"


@dataclass(frozen=True, slots=True)
class DeputyNamed:
    """Somebody who becomes an admin when there is none any more; None: nobody does."""

    mark: ClassVar[Mark] = "~"
    slug: str
    user_name: str | None
    account_id: UUID | None

    def __str__(self) -> str:
        return f"~ tenant {self.slug}: {'no deputy any more' if self.user_name is None else f'deputy {self.user_name}'}"


@dataclass(frozen=True, slots=True)
class DeputyUnfit:
    """Whom the file names as the deputy can't be it: they are not there, deactivated, or an admin."""

    mark: ClassVar[Mark] = "!"
    slug: str
    user_name: str
    why: Literal["absent", "inactive", "admin"]

    def __str__(self) -> str:
        said = {
            "absent": "is not in its directory; apply the file again once their provider has sent them",
            "inactive": "is deactivated; name somebody else",
            "admin": "is an admin; name somebody who is none",
        }
        return f"! deputy {self.user_name} in {self.slug} {said[self.why]}"


PlanChange = PlanAdded | PlanChanged
TermsChange = TenantChanged | StatusChanged | TenantClosed | OverrideSet | OverrideEnded
PeopleChange = RuleChanged | AdminAdded | AdminAppointed | DeputyNamed
Warned = AdminInactive | AdminRemoved | DeputyUnfit
TenantChange = TenantAdded | TermsChange | PeopleChange | Warned
Change = PlanChange | PricesChanged | TenantChange


def _became(*facts: tuple[str, object, object]) -> Iterator[str]:
    for name, before, after in facts:
        if before != after:
            yield f"{name} {before} -> {after}"


def _gained(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[str]:
    old, new = sorted(before), list(after)  # the database keeps no order
    yield from (f"+ {what} {name}" for name in new if name not in old)
    yield from (f"- {what} {name}" for name in old if name not in new)


def _changed_metadata(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    yield from _gained("metadata", before, after)
    kept = [name for name in after if name in before]
    yield from _became(*((f"metadata {name}", f'"{before[name]}"', f'"{after[name]}"') for name in kept))


def _changed_roles(before: RoleRule, after: RoleRule) -> Iterator[str]:
    for name, role in after.roles.items():
        if (old := before.roles.get(name)) is not None and old != role:
            yield f"role {name} has {' and '.join(_role_differences(old, role))}"


def _role_differences(before: RoleDefinition, after: RoleDefinition) -> Iterator[str]:
    if before.label != after.label:
        yield f'the label "{after.label}"'
    if before.admin != after.admin:
        yield "admin rights" if after.admin else "no admin rights"
    if before.names != after.names:
        yield f"the names {_listed(after.names)}"
    if before.aliases != after.aliases:
        yield f"the aliases {_listed(after.aliases)}"


def _listed(names: Iterable[str]) -> str:
    return " ".join(sorted(names)) or "none"


def _plainly(value: object) -> str:
    return "true" if value is True else str(value)


def _until(ends_at: datetime | None) -> str:
    return "until somebody ends it" if ends_at is None else f"until {ends_at.astimezone(UTC).isoformat()}"


def _or_plans(own: int | None) -> object:
    return "the plan's" if own is None else own
