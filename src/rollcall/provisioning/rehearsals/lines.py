"""What a conversation is made of: a provider's calls in their order, and what Rollcall itself looks at between them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

_PLACE = re.compile("\x1a([\\w-]+)\x1a")
"""Where an id is to stand; nobody's names have this character."""

Body = Mapping[str, object]


class About(StrEnum):
    """What a provider wants by a call, so that its answer can be put into words."""

    TEST = "test"
    LOOK_UP = "look_up"
    CREATE = "create"
    READ = "read"
    CHANGE = "change"
    LOOK_UP_GROUP = "look_up_group"
    PUSH = "push"
    JOIN = "join"
    """A role is given, by a group or by an attribute."""
    CONTRADICT = "contradict"
    """A second one is given, to show what becomes of that."""
    DEACTIVATE = "deactivate"
    REMOVE = "remove"
    REMOVE_GROUP = "remove_group"


@dataclass(frozen=True, slots=True)
class Line:
    """One call. What `id_of` says, anywhere in it, becomes the id that an earlier answer gave."""

    about: About
    does: str
    """What the provider does by it: a sentence into which *who*, *group*, and *name* and *other* are put."""
    ask: str
    """Method and address, as in ``GET /Users``."""
    body: Body | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    keep: str = ""
    person: str = ""
    """Whom it concerns, by the name under which they are kept."""
    group: str = ""
    """The name of the group that it concerns."""
    names: Sequence[str] = ()
    """The role names that it gives by an attribute."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What is put into the sentence, but for who does it."""
        return {"group": self.group, **dict(zip(("name", "other"), self.names, strict=False))}


class Look(StrEnum):
    """What Rollcall does by itself in a rehearsal, so that it can be seen."""

    SIGN_IN = "sign_in"
    """The person signs in to the product."""
    SIGNED_OUT = "signed_out"
    """The product asks whether that session is still good."""
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a conversation."""

    title: str
    lines: Sequence[Line | Look]
    decides: bool = False
    """Whether the provider goes no further where one of these is refused."""


class Missing(Exception):
    """A call names what was never made, so no provider could send it."""


def id_of(kept: str) -> str:
    """What stands in a call for the id of what is kept so."""
    return f"\x1a{kept}\x1a"


def filled(value: object, ids: Mapping[str, str]) -> object:
    """*value* with the ids in it.

    Raises:
        Missing: there is none.
    """
    match value:
        case str():
            return _PLACE.sub(lambda found: _of(found[1], ids), value)
        case dict():
            parts = cast("Mapping[str, object]", value)
            return {name: filled(part, ids) for name, part in parts.items()}
        case list():
            return [filled(part, ids) for part in cast("list[object]", value)]
        case _:
            return value


def _of(name: str, ids: Mapping[str, str]) -> str:
    if name not in ids:
        raise Missing(name)
    return ids[name]
