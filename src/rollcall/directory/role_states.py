"""A person's role, where it comes from, and what each event makes of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from rollcall.directory.rules import NameKind, Reading, ReadName, RoleDefinition, RoleRule
from rollcall.errors import Invalid


class RoleOrigin(StrEnum):
    """Why a person has the role they have."""

    DEFAULT = "default"
    HAND = "hand"
    PROVIDER = "provider"
    OVERRIDE = "override"


class UnknownRole(Invalid):
    """The role is none of the tenant's."""

    code = "unknown_role"
    advice = "Choose one of the roles that the detail lists, or add the role to the tenant's rule first."

    def __init__(self, role: str, known: tuple[str, ...]) -> None:
        super().__init__(f'There is no role "{role}"; the roles are {", ".join(known)}.', param="role")
        self.role = role
        self.known = known


class ConflictingRoles(Invalid):
    """The provider names more than one role for one person."""

    code = "conflicting_roles"
    advice = "Take away all but one of the names that the detail lists."

    def __init__(self, reading: Reading) -> None:
        super().__init__(reading.describe())
        self.reading = reading


@dataclass(frozen=True, slots=True)
class RoleState:
    """The role a person has, and what is remembered to find the next one.

    *managed* is set by the first name from the provider that counts, and stays set. *provider_role* is what
    the provider's names mean, beneath an *override*; *by_hand* counts only until the person is managed. *withheld* is
    what the names mean that a removal has left, where it is another role: a removal gives none.
    """

    role: str
    origin: RoleOrigin
    by_hand: str | None
    managed: bool
    provider_role: str | None
    override: str | None
    withheld: str | None = None

    def stored(self) -> dict[str, str | bool | None]:
        """The state in its stored form."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        if self.withheld is None:
            del facts["withheld"]  # as in states that were stored before there was one
        return facts


def fresh(rule: RoleRule) -> RoleState:
    """The role state of somebody about whom nothing has been said."""
    return _settled(rule, by_hand=None, managed=False, provider_role=None, override=None)


def provider_says(rule: RoleRule, role_state: RoleState, reading: Reading) -> RoleState:
    """Follow the provider. Once it has named a role, naming none means the default.

    Raises:
        ConflictingRoles: the names contradict each other; refuse the change, or keep the role with `held`.
    """
    if reading.conflict:
        raise ConflictingRoles(reading)
    return _settled(
        rule,
        by_hand=role_state.by_hand,
        managed=role_state.managed or reading.managed,
        provider_role=reading.role,
        override=role_state.override,
    )


def gives(rule: RoleRule, before: RoleState, after: RoleState) -> bool:
    """Whether somebody gets a role: another one, which is not the default, or is one of admins."""
    return after.role != before.role and (after.role != rule.default or after.role in rule.admin_roles)


def held(rule: RoleRule, role_state: RoleState, *, withheld: str | None = None) -> RoleState:
    """Keep the role while the provider's names contradict each other, or mean one that is *withheld*.

    The provider is in charge from then on: taking all names away means the default.
    """
    kept = role_state.role if role_state.override is None else role_state.provider_role
    by_default = role_state.origin is RoleOrigin.DEFAULT and role_state.role == rule.default
    return _settled(
        rule,
        by_hand=role_state.by_hand,
        managed=True,
        provider_role=None if by_default else kept,
        override=role_state.override,
        withheld=withheld,
    )


def named(rule: RoleRule, role_state: RoleState, reading: Reading) -> RoleState:
    """What names that were said make of a role: where they contradict each other, it stays."""
    return held(rule, role_state) if reading.conflict else provider_says(rule, role_state, reading)


def removed(rule: RoleRule, role_state: RoleState, reading: Reading) -> RoleState:
    """What a removal leaves of a role whose names have *reading* now: nobody gets another one, but for the default."""
    if reading.conflict:
        return held(rule, role_state)
    after = provider_says(rule, role_state, reading)
    return held(rule, role_state, withheld=reading.role) if gives(rule, role_state, after) else after


def given_by_hand(rule: RoleRule, role_state: RoleState, role: str) -> RoleState:
    """Give a role at once: an override where the provider decides, else until the provider first speaks.

    Raises:
        UnknownRole: the tenant has no such role.
    """
    if role not in rule.roles:
        raise UnknownRole(role, tuple(rule.roles))
    return _settled(
        rule,
        by_hand=role_state.by_hand if role_state.managed else role,
        managed=role_state.managed,
        provider_role=role_state.provider_role,
        override=role if role_state.managed else role_state.override,
        withheld=role_state.withheld,
    )


def override_lifted(rule: RoleRule, role_state: RoleState) -> RoleState:
    """Let the provider decide again. Without an override nothing changes."""
    return _settled(
        rule,
        by_hand=role_state.by_hand,
        managed=role_state.managed,
        provider_role=role_state.provider_role,
        override=None,
        withheld=role_state.withheld,
    )


def rule_changed(rule: RoleRule, role_state: RoleState, reading: Reading) -> RoleState:
    """Apply an edited *rule*, by which the person's stored names give *reading*.

    Where they conflict now, the person keeps the role they had, if it still exists; so they do where their names mean
    what was withheld from them.
    """
    if reading.conflict:
        return held(rule, role_state)
    if role_state.withheld is not None and role_state.withheld == reading.role:
        return held(rule, role_state, withheld=reading.role)
    return provider_says(rule, role_state, reading)


def _settled(
    rule: RoleRule,
    *,
    by_hand: str | None,
    managed: bool,
    provider_role: str | None,
    override: str | None,
    withheld: str | None = None,
) -> RoleState:
    """Decide the role. A remembered role that the rule no longer has falls back to the default.

    So does an override: lifting it in silence could give back the very role it was there to take away.
    """
    by_hand = by_hand if by_hand in rule.roles else None
    provider_role = provider_role if managed and provider_role in rule.roles else None
    if override is not None and override not in rule.roles:
        override = rule.default

    role, origin = rule.default, RoleOrigin.DEFAULT
    if override is not None:
        role, origin = override, RoleOrigin.OVERRIDE
    elif managed and provider_role is not None:
        role, origin = provider_role, RoleOrigin.PROVIDER
    elif not managed and by_hand is not None:
        role, origin = by_hand, RoleOrigin.HAND
    return RoleState(role, origin, by_hand, managed, provider_role, override, withheld)


class ExplainedName(TypedDict):
    """One name from the provider, and how it was read."""

    name: str
    source: str
    kind: NameKind
    role: str | None
    why: str


class Explanation(TypedDict):
    """The answer to "why does this person have this role?"."""

    role: str
    label: str
    admin: bool
    origin: str
    why: str
    managed: bool
    by_hand: str | None
    provider_role: str | None
    override: str | None
    conflict: str | None
    names: list[ExplainedName]


def explanation(rule: RoleRule, role_state: RoleState, reading: Reading) -> Explanation:
    """Say which names were seen, from where, how they were read, and why the role is what it is.

    *reading* is of the names stored now. A role that an edit of the rule has just removed, from a person whom
    the edit has not reached yet, is shown by its key.
    """
    definition = rule.roles.get(role_state.role, RoleDefinition(label=role_state.role))
    return {
        "role": role_state.role,
        "label": definition.label,
        "admin": definition.admin,
        "origin": role_state.origin.value,
        "why": _why(role_state, reading),
        "managed": role_state.managed,
        "by_hand": role_state.by_hand,
        "provider_role": role_state.provider_role,
        "override": role_state.override,
        "conflict": reading.describe() if reading.conflict else None,
        "names": [_explained(rule, name) for name in reading.names],
    }


def _why(role_state: RoleState, reading: Reading) -> str:
    if role_state.origin is RoleOrigin.OVERRIDE:
        return f"Given by hand, over what the provider says ({reading.describe()}), until it is lifted."
    if reading.conflict:
        return f"The role from before is kept, because the provider names {reading.describe()}."
    if role_state.origin is RoleOrigin.HAND:
        return "Given by hand; the provider has not named a role yet."
    if role_state.withheld is not None:
        return (
            "The role from before is kept: something was removed, which gives nobody another role. What is left is "
            f"{reading.describe()}; it is given when the provider names it again."
        )
    return _why_by_provider(role_state, reading)


def _why_by_provider(role_state: RoleState, reading: Reading) -> str:
    if role_state.origin is RoleOrigin.PROVIDER:
        return f"The provider names {reading.describe()}."
    if role_state.managed:
        return f"The provider decides and names {reading.describe()}, so the default applies."
    return "Neither the provider nor anybody by hand has named a role, so the default applies."


def _explained(rule: RoleRule, name: ReadName) -> ExplainedName:
    return {
        "name": name.name,
        "source": name.source,
        "kind": name.kind,
        "role": name.role,
        "why": _why_read_so(rule, name),
    }


def _why_read_so(rule: RoleRule, name: ReadName) -> str:
    if name.role is not None:
        return f'Means the role "{rule.roles[name.role].label}".'
    if name.kind == "ungrantable":
        return f'Begins with "{rule.prefix}", but is no role here.'
    if not rule.reads(name.source):
        return "The rule does not look for roles there."
    if rule.prefix is None:
        return "Is none of the exact names that mean a role."
    return f'Does not begin with "{rule.prefix}", so it is none of ours.'
