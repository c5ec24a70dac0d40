"""What all bodies of the management API have in common."""

from datetime import UTC, datetime
from typing import Annotated, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, field_validator

from rollcall.scim.reader import unholdable


class Body(BaseModel):
    """A body: nothing in it is unknown, and no text is one that the database can't hold."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        for each in _texts(value):
            if (found := unholdable(each)) is not None:
                msg = f"holds {found}"
                raise ValueError(msg)
        return value


def _texts(value: object) -> list[str]:
    """The text that *value* is, or the texts it lists."""
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, str)]


def storable_moment(moment: datetime) -> datetime:
    """*moment* in UTC; one without a time zone is taken to be.

    Raises:
        ValueError: it lies outside the years 1 to 9999 there.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        msg = "lies outside the years 1 to 9999"
        raise ValueError(msg) from None


Moment = Annotated[AwareDatetime, AfterValidator(storable_moment)]
"""A point in time that can be stored."""
