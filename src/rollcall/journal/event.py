"""What every event is: a topic, and facts."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    topic: ClassVar[str]
    announced: ClassVar[bool] = True

    def payload(self) -> dict[str, Any]:
        """The event's facts as JSON can carry them."""
        facts = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: str(value) if isinstance(value, UUID) else value for name, value in facts}
