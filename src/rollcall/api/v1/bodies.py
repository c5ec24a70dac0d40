"""What bodies of the management API have in common: nothing in them is unknown, converted or guessed at.

And the one way in which they name a person.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self, cast
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from rollcall.api.saying import said, unknown
from rollcall.directory import people
from rollcall.directory.people import Person
from rollcall.scim.reader import unholdable
from rollcall.work import Work


class Body(BaseModel):
    """A body: each field is of its own JSON type, none is unknown, and every text is one the database can hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Self:
        """Read what the framework decoded, as JSON: there an id and a moment are texts, and ``true`` is no number.

        Raises:
            Invalid: it is no such body; the message says of each field what is wrong.
        """
        try:
            return cls.model_validate_json(json.dumps(obj))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        raise said([(".".join(map(str, each["loc"])), _message(cls, cast("dict[str, Any]", each))) for each in found])

    @field_validator("*")
    @classmethod
    def _storable(cls, value: object) -> object:
        for each in _texts(value):
            if (found := unholdable(each)) is not None:
                msg = f"holds {found}"
                raise ValueError(msg)
        return value


def _message(kind: type[Body], found: dict[str, Any]) -> str:
    if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
        return unknown(str(found["loc"][0]), kind.model_fields, what="field")
    return "there is no such field" if found["type"] == "extra_forbidden" else str(found["msg"])


class NamesPerson(Body):
    """A body that names a person in one of three ways."""

    person: UUID | None = Field(default=None, description="the product's id of the person, or SCIM's")
    user_name: str | None = Field(default=None, description="their userName; case makes no difference")
    external_id: str | None = Field(default=None, description="their externalId: what their provider calls them")

    def ways(self) -> int:
        """In how many ways the person is named."""
        return sum(way is not None for way in (self.person, self.user_name, self.external_id))

    async def named(self, work: Work) -> Person | None:
        """The person who is named; None if nobody is.

        Raises:
            NotFound: it is nobody of this tenant.
            Ambiguous: the external id is several people's.
        """
        if self.person is not None:
            return await people.find(work, self.person)
        if self.user_name is not None:
            return await people.find_by_user_name(work, self.user_name)
        if self.external_id is not None:
            return await people.find_by_external_id(work, self.external_id)
        return None


def _texts(value: object) -> list[str]:
    """The text that *value* is, or the texts it lists or names."""
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    if isinstance(value, dict):
        named = cast("dict[object, object]", value)
        listed = [*named, *named.values()]
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
