"""What an event is: a value that is entered into the audit and, if it is announced, told to the outside."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    topic: ClassVar[str]
    announced: ClassVar[bool] = True
    mailed: ClassVar[bool] = False
    """Whether the tenant's admins are written to, where this installation sends mail."""

    def payload(self) -> dict[str, Any]:
        """The event's facts as JSON can carry them."""
        facts = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: str(value) if isinstance(value, UUID) else value for name, value in facts}
