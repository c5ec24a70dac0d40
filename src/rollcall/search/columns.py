"""Where the attributes of a kind of resource are kept: in a column, in rows beside it, or in the document.

A place is asked for by an attribute's path as `scim.filters.read_filter` spells it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from scim2_models.path import AttrPath, CompareOperator
from sqlalchemy import ColumnElement, ScalarSelect, Select, Text, func, literal, or_, select, true

from rollcall.directory.models import GroupRow, UserRow
from rollcall.scim.name_keys import composed
from rollcall.scim.resources import ResourceKind, key
from rollcall.search.given import TENANT, GivenText
from rollcall.search.operands import Condition, Identifier, Key, Moment, Operand, Value, Written

ITSELF: Final = "value"
"""What an entry of a simple attribute is asked for, having no parts."""

Entry = Callable[[str], Operand]
"""The parts of one entry of a multi-valued attribute, by their names."""


class Entries(ABC):
    """The entries of a multi-valued attribute."""

    @abstractmethod
    def any(self, condition: Callable[[Entry], Condition]) -> Condition:
        """Whether one of them satisfies *condition*."""

    @abstractmethod
    def assigned(self) -> Condition:
        """Whether there is a list of them at all."""

    @abstractmethod
    def present(self) -> Condition:
        """Whether one of them has a value in it."""

    @abstractmethod
    def first(self, part: str) -> Value:
        """What resources are sorted by: the primary entry's part, or else the first one's (RFC 7644 §3.4.2.3)."""

    def valued(self, operation: CompareOperator, value: GivenText) -> Condition | None:  # noqa: ARG002  # few have such rows
        """Whether the `value` of one of them compares so, if rows beside the resource tell; None if none do."""
        return None


class Places(ABC):
    """Where the attributes of one kind of resource are kept, in one tenant."""

    kind: ClassVar[ResourceKind]
    row: ClassVar[type[UserRow] | type[GroupRow]]

    def __init__(self, base_url: str) -> None:
        self.tenant_id = TENANT
        self.base_url = base_url

    @property
    def mine(self) -> Condition:
        """Only rows of this tenant."""
        return self.row.tenant_id == self.tenant_id

    @abstractmethod
    def columns(self, *, members: Condition | bool) -> Sequence[ColumnElement[Any]]:
        """What a page brings of a resource, named as the hot look-ups name it; of *members* only groups have any.

        Where that is a condition, the members come with the rows of which it holds.
        """

    @abstractmethod
    def entries(self, path: AttrPath) -> Entries:
        """The entries of the multi-valued attribute at *path*."""

    def operand(self, path: AttrPath) -> Operand:  # noqa: PLR0911  # one for each attribute that is kept in a column
        """The value of the singular attribute at *path*."""
        row = self.row
        match str(path):
            case "id":
                return Identifier(row.id)
            case "externalId":
                return Key(row.external_id, composed)
            case "displayName":
                return Key(row.display_name_key, key)
            case "meta.created":
                return Moment(row.created_at)
            case "meta.lastModified":
                return Moment(row.last_modified)
            case "meta.resourceType":
                return Written(literal(self.kind.name, Text), case_exact=True)
            case "meta.location":
                return Written(self.location(self.kind, row.id), case_exact=False)
            case "meta.version":
                return Written(func.concat('W/"', row.version, '"', type_=Text()), case_exact=True)
            case _:
                return self.elsewhere(path)

    def elsewhere(self, path: AttrPath) -> Operand:
        """The value of an attribute that not every kind of resource has."""
        raise AssertionError(f"{path} of a {self.kind.name} is kept nowhere")

    def location(self, kind: ResourceKind, resource_id: Value) -> ColumnElement[str]:
        """The address of a resource."""
        return func.concat(f"{self.base_url}{kind.endpoint}/", resource_id, type_=Text())


class Constants(Entries):
    """A simple attribute that has the same values everywhere."""

    def __init__(self, values: Sequence[str]) -> None:
        self.values = values

    def any(self, condition: Callable[[Entry], Condition]) -> Condition:
        return or_(*(condition(lambda _, value=value: self._operand(value)) for value in self.values))

    def assigned(self) -> Condition:
        return true()

    def present(self) -> Condition:
        return true()

    def first(self, part: str) -> Value:  # noqa: ARG002  # it has none
        return self._operand(self.values[0]).sort_key

    def _operand(self, value: str) -> Operand:
        return Written(literal(value, Text), case_exact=False)


def exists_in(table: Any, *conditions: Condition) -> Condition:
    """Whether *table* has a row that satisfies all of the conditions."""
    return select(literal(1)).select_from(table).where(*conditions).exists()


def one_of(chosen: Select[Any]) -> ScalarSelect[Any]:
    """The first row of *chosen*."""
    return chosen.limit(1).scalar_subquery()
