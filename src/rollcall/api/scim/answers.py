"""Answers in SCIM's media type."""

from litestar import Response

from rollcall.directory.users import Answer
from rollcall.scim.documents import etag

MEDIA_TYPE = "application/scim+json"


def resource(answer: Answer, *, status: int = 200) -> Response[bytes]:
    """One resource, its location and version repeated in the headers."""
    return Response(
        answer.body,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Location": answer.location, "ETag": etag(answer.version)},
    )


def message(body: bytes) -> Response[bytes]:
    """Any other body of the protocol."""
    return Response(body, media_type=MEDIA_TYPE)
