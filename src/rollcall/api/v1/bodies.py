"""What all bodies of the management API have in common."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, field_validator

from rollcall.scim.reader import unholdable


class Body(BaseModel):
    """A body: nothing in it is unknown, and no text is one that the database can't hold."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        if isinstance(value, str) and (found := unholdable(value)) is not None:
            msg = f"holds {found}"
            raise ValueError(msg)
        return value


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
