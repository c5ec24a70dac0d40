"""What a resource model declares, as a table that requests are read against.

Built from the models once, so that no attribute is named a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import Base64Bytes, BaseModel
from scim2_models import CaseExact, Extension, Mutability, Required, Resource


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: how SCIM spells it, and what fits in it."""

    name: str
    boolean: bool
    text: bool
    """Any string at all; a reference, a label from a list or a time takes only some."""
    labels: frozenset[str]
    """The strings it takes, if it takes only those of a list."""
    binary: bool
    case_exact: bool
    multi_valued: bool
    read_only: bool
    required: bool
    parts: "Mapping[str, Attribute]"
    """Its sub-attributes, or an extension's attributes, by names in lower case; none if it is simple."""

    @property
    def has_value(self) -> bool:
        """Whether it is one of those whose entries keep what matters in `value` (RFC 7643 §2.4)."""
        return "value" in self.parts


def attributes_of(model: type[Resource[Any]] | type[Extension]) -> Mapping[str, Attribute]:
    """The attributes of a resource by their names in lower case (RFC 7643 §2.1), extensions by their URN."""
    return _declared(model)


def _declared(model: type[BaseModel]) -> dict[str, Attribute]:
    table: dict[str, Attribute] = {}
    for field_name, field in model.model_fields.items():
        # Messages, complex attributes and extensions all share the library's base, which knows these answers.
        name = str(field.serialization_alias or field_name)
        table[name.lower()] = _attribute(model, field_name, name)
    return table


def _attribute(model: Any, field_name: str, name: str) -> Attribute:
    kind: Any = model.get_field_root_type(field_name)
    return Attribute(
        name=name,
        boolean=kind is bool,
        text=kind is str,
        labels=_labels(kind),
        binary=kind is Base64Bytes,
        case_exact=model.get_field_annotation(field_name, CaseExact) == CaseExact.true,
        multi_valued=model.get_field_multiplicity(field_name),
        read_only=model.get_field_annotation(field_name, Mutability) == Mutability.read_only,
        required=model.get_field_annotation(field_name, Required) == Required.true,
        parts=_parts(kind) if isinstance(kind, type) else {},
    )


def _labels(kind: Any) -> frozenset[str]:
    return (
        frozenset(str(label.value) for label in kind)
        if isinstance(kind, type) and issubclass(kind, Enum)
        else frozenset()
    )


def _parts(kind: type[Any]) -> dict[str, Attribute]:
    if not issubclass(kind, BaseModel):
        return {}
    return {name: part for name, part in _declared(kind).items() if name != "schemas"}
