"""A person's row as it is answered."""

from dataclasses import replace

from rollcall.access.gate import Admitted, Call
from rollcall.db import Row
from rollcall.directory.calls import Answer
from rollcall.scim import documents


def etag(row: Row) -> str:
    """The entity tag of the person in *row*."""
    return documents.etag(row["version"], row["groups"])


def answer(call: Call, row: Row, document: bytes | str, groups: str | None) -> Answer:
    """The person with this *document* and these *groups*; *row* has the rest."""
    location = f"{call.door.base_url}/Users/{row['id']}"
    body = documents.render(
        document,
        id=str(row["id"]),
        resource_type="User",
        created=row["created_at"],
        last_modified=row["last_modified"],
        version=row["version"],
        location=location,
        groups_json=groups,
    )
    return Answer(body, location, documents.etag(row["version"], groups))


def quieted(admitted: Admitted, patched: Answer) -> Answer:
    """The answer to a PATCH as the tenant's profile has it: with the resource, or without."""
    return replace(patched, quiet=not admitted.profile.patch_answers_body)
