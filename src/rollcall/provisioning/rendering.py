"""A person's row, and a group's, as they are answered."""

from dataclasses import replace

from rollcall.db import Row
from rollcall.provisioning.calls import Answer
from rollcall.provisioning.context import Admitted, Call
from rollcall.scim import documents
from rollcall.scim.groups import render_group

FEW = 100
"""Members that a group is shown with in the answer to a change of some of them."""

NOBODY = "[]"
"""The members' JSON of a group that has none."""


def etag(row: Row) -> str:
    """The entity tag of the person in *row*."""
    return documents.etag(row["version"], row["groups"])


def answer(call: Call, row: Row, document: bytes | str, groups: str | None) -> Answer:
    """The person with this *document* and these *groups*; *row* has the rest."""
    location = f"{call.context.base_url}/Users/{row['id']}"
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


def own_attributes(call: Call, row: Row) -> dict[str, object]:
    """The attributes of the person in *row* that are ours to say."""
    return documents.ours(
        id=str(row["id"]),
        resource_type="User",
        created=row["created_at"],
        last_modified=row["last_modified"],
        version=row["version"],
        location=f"{call.context.base_url}/Users/{row['id']}",
        groups_json=row["groups"],
    )


def group_answer(call: Call, row: Row, members: str | None) -> Answer:
    """A group as it is answered, with the members' JSON where there is one."""
    location = f"{call.context.base_url}/Groups/{row['id']}"
    body = render_group(
        id=str(row["id"]),
        display_name=row["display_name"],
        external_id=row["external_id"],
        members_json=None if members == NOBODY else members,
        created=row["created_at"],
        last_modified=row["last_modified"],
        version=row["version"],
        location=location,
    )
    return Answer(body, location, documents.etag(row["version"]))


def members_shown(admitted: Admitted, *, wanted: bool) -> int:
    """How many members a group may have to be shown in the answer to a PATCH; 0 when none are shown at all."""
    return FEW if wanted and admitted.profile.patch_answers_body else 0


def patched_group(admitted: Admitted, row: Row, members: str | None, *, wanted: bool) -> Answer:
    """The answer to the PATCH of a group, without its body where the profile or the number of members has it so."""
    quiet = not admitted.profile.patch_answers_body or (wanted and members is None)
    return replace(group_answer(admitted.call, row, members), quiet=quiet)


def quieted(admitted: Admitted, patched: Answer) -> Answer:
    """The answer to a PATCH as the tenant's profile has it: with the resource, or without."""
    return replace(patched, quiet=not admitted.profile.patch_answers_body)
