"""Answers in SCIM's media type, whole or only the attributes that were asked for (RFC 7644 §3.9)."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from litestar import Response

from rollcall.api.prepared import Prepared
from rollcall.provisioning.calls import Answer
from rollcall.scim.projection import project

MEDIA_TYPE = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Selection:
    """The parameters ``attributes`` and ``excludedAttributes`` of a request."""

    attributes: str | None = None
    excluded: str | None = None

    @property
    def of_members(self) -> bool:
        """Whether a group's members are to be answered: leaving them out spares a large group's reading."""
        if self.attributes:
            return "members" in self.attributes.casefold()
        return "members" not in (self.excluded or "").casefold()

    @property
    def of_everything(self) -> bool:
        """Whether all of a resource is answered, so that its bytes need not be parsed."""
        return not (self.attributes or self.excluded)


def read_selection(parameters: Mapping[str, str]) -> Selection:
    """Read which attributes a caller asks for; the parameters' names are compared without case.

    Raises:
        InvalidValue: both parameters are given, or one is longer than any client needs.
    """
    given = {name.casefold(): value for name, value in parameters.items()}
    selection = Selection(given.get("attributes"), given.get("excludedattributes"))
    if not selection.of_everything:
        project({}, selection.attributes, selection.excluded)
    return selection


def resource(answer: Answer, selection: Selection, *, status: int = 200) -> Response[bytes]:
    """One resource, its location and version repeated in the headers; no body for who has that version."""
    if answer.known:
        return _bare(answer, status=304)
    body = answer.body
    if not selection.of_everything:
        body = orjson.dumps(project(orjson.loads(body), selection.attributes, selection.excluded))
    return Prepared(
        body,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Location": answer.location, "ETag": answer.etag},
    )


def patched(answer: Answer, selection: Selection) -> Response[bytes]:
    """A changed resource, or its headers alone where the profile has it so and no attributes were asked for.

    Who asks for some is answered with the resource (RFC 7644 §3.5.2).
    """
    return nothing(answer) if answer.quiet and selection.of_everything else resource(answer, selection)


def nothing(answer: Answer) -> Response[bytes]:
    """A changed resource's headers without its body."""
    return _bare(answer, status=204)


def _bare(answer: Answer, *, status: int) -> Response[bytes]:
    return Response(b"", status_code=status, headers={"Location": answer.location, "ETag": answer.etag})


def page(body: bytes, selection: Selection) -> bytes:
    """A ListResponse with each of its resources cut to what was asked for."""
    if selection.of_everything:
        return body
    listed = orjson.loads(body)
    listed["Resources"] = [project(each, selection.attributes, selection.excluded) for each in listed["Resources"]]
    return orjson.dumps(listed)


def message(body: bytes) -> Response[bytes]:
    """Any other body of the protocol."""
    return Prepared(body, media_type=MEDIA_TYPE)
