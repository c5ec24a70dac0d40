"""The stored form of a person, and the bytes it is answered with.

A document is what PostgreSQL keeps as JSONB: SCIM's own names, without what is kept in columns (`id`,
`meta`), what is derived (`groups`) and what is never kept (`password`). Reads splice it into an answer
without parsing it, and the list of groups beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast
from zlib import crc32

import orjson
from scim2_models import ListResponse, ScimPolicy

from rollcall.scim.editing import edited
from rollcall.scim.edits import Beyond, written
from rollcall.scim.merging import without_doubles
from rollcall.scim.patching import Patch, apply, check_claims, check_work
from rollcall.scim.plain import PlainUser
from rollcall.scim.reader import unholdable
from rollcall.scim.resources import ENTERPRISE_SCHEMA, SHORTEST_LIMIT, USER_SCHEMA, USERS, User, check_limits
from rollcall.scim.role_names import Spelling
from rollcall.scim.role_view import RoleView
from rollcall.scim.values import Reading, Unknown

_STORED: Final = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
"""While versions of Rollcall run side by side, one must not lose what a newer one stored."""

_NOT_KEPT: Final = ("id", "meta", "groups", "password")
_IDENTIFYING: Final = frozenset({"userName", "externalId", "active"})
_LIST_SCHEMA: Final = str(ListResponse.__schema__)


def document(user: User | PlainUser) -> dict[str, object]:
    """What is kept of *user*: always with the right `schemas`, and with `active`, which defaults to true.

    Raises:
        InvalidValue: it holds what can't be stored (see `resources.check_limits`).
    """
    kept: dict[str, object] = (
        dict(user.attributes) if isinstance(user, PlainUser) else user.model_dump(scim_policy=_STORED)
    )
    for name in _NOT_KEPT:
        kept.pop(name, None)
    kept["schemas"] = [USER_SCHEMA, ENTERPRISE_SCHEMA] if ENTERPRISE_SCHEMA in kept else [USER_SCHEMA]
    kept.setdefault("active", True)
    check_limits(kept)
    return kept


def from_document(document: Mapping[str, object], *, id: str | None = None) -> User:  # noqa: A002 - SCIM's name
    """The person a document describes, ready to be patched."""
    return User.model_validate({**document, "id": id}, scim_policy=_STORED)


@dataclass(frozen=True, slots=True)
class Patched:
    """What a patch makes of a document."""

    document: dict[str, object]
    deviations: tuple[str, ...] = ()
    """What the provider did otherwise than the standard and that only shows against what is stored."""


def work_out(
    document: Mapping[str, object],
    patch: Patch,
    *,
    own: Mapping[str, object] | None = None,
    spelling: Spelling | None = None,
) -> Patched:
    """*document* with every operation of *patch* applied, in order; *document* itself is left as it is.

    *own* holds the attributes that are ours to say, `id`, `meta` and `groups`, which a patch may repeat. *spelling* is
    how the tenant's role rule reads a name: a role that is taken away by another spelling of its name is found by it.
    If `active` has been removed it is not there afterwards, and whoever is not said to be active is not: nobody gets in
    by it.

    Raises:
        SCIMException: one operation can't be carried out, so none is (RFC 7644 §3.5.2).
    """
    check_claims(patch, {"meta": {"resourceType": USERS.name}, **(own or {})})
    check_work(patch, document)
    if patch.edits is not None:
        reading = Reading(Unknown.REFUSED_STRICTLY if patch.strict else Unknown.REFUSED)
        with suppress(Beyond):
            result = edited(document, patch.edits, reading, spelling)
            check_limits(result)
            return Patched(result, reading.deviations)
    view = RoleView(without_doubles(document))
    user = from_document(view.document)
    view.watch(user)
    deviations = apply(patch, user, spelling=spelling)
    view.close(user)
    result = without_doubles(_document(user))
    if user.active is None:
        del result["active"]
    return Patched(result, deviations)


def only_deactivates(patch: Patch) -> bool:
    """Whether all that *patch* says is ``active=false``."""
    return _plain(patch) == {"active": False}


def only_describes(patch: Patch) -> dict[str, object] | None:
    """The attributes that *patch* assigns, if they are all plain and nobody is found or judged by them; else None.

    None as well where one of them may be too long: that is for `work_out` to say.
    """
    assigned = _plain(patch)
    if not assigned or not _IDENTIFYING.isdisjoint(assigned):
        return None
    texts = [value for value in assigned.values() if isinstance(value, str)]
    if any(len(text) > SHORTEST_LIMIT for text in texts) or unholdable("".join(texts)) is not None:
        return None
    return assigned


def replaced(document: Mapping[str, object], user: User | PlainUser) -> dict[str, object]:
    """What is kept after a PUT of *user*: RFC 7644 §3.5.1 clears what it doesn't give.

    Except `active`: a provider that leaves it out says nothing about it, and must neither let somebody back
    in nor shut anybody out by saying nothing.
    """
    kept = _document(user)
    if user.active is None:
        del kept["active"]
        kept |= {name: value for name, value in document.items() if name == "active"}
    return kept


def emails(document: Mapping[str, object]) -> tuple[str, ...]:
    """The addresses, in order."""
    return tuple(
        value for entry in _entries(document, "emails") if isinstance(value := entry.get("value"), str) and value
    )


def etag(version: int, groups_json: bytes | str | None = None) -> str:
    """The entity tag of a version, weak because one version can be rendered in several ways.

    A person's groups change without the person's version. So a checksum of the text they are answered with is
    part of the tag, and the text has to list them in the same order each time. No groups, no checksum.
    """
    groups = _bytes(groups_json or b"").strip()
    if groups in (b"", b"[]"):
        return f'W/"{version}"'
    return f'W/"{version}.{crc32(groups):08x}"'


def timestamp(moment: datetime) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    if moment.tzinfo is UTC:
        return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone is no moment")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def meta(
    resource_type: str, *, created: datetime, last_modified: datetime, location: str, version: str
) -> dict[str, str]:
    """What a resource's `meta` says; *version* is its entity tag."""
    begun = timestamp(created)
    return {
        "resourceType": resource_type,
        "created": begun,
        "lastModified": begun if last_modified == created else timestamp(last_modified),
        "location": location,
        "version": version,
    }


def ours(
    *,
    id: str,  # noqa: A002 - SCIM's name
    resource_type: str,
    created: datetime,
    last_modified: datetime,
    version: int,
    location: str,
    groups_json: bytes | str | None = None,
) -> dict[str, object]:
    """The attributes of a person that are ours to say, as they are answered; `work_out` lets a patch repeat them."""
    tag = etag(version, groups_json)
    about = meta(resource_type, created=created, last_modified=last_modified, location=location, version=tag)
    return {"id": id, "meta": about, "groups": orjson.loads(groups_json or b"[]")}


def render(
    document_json: bytes | str,
    *,
    id: str,  # noqa: A002 - SCIM's name
    resource_type: str,
    created: datetime,
    last_modified: datetime,
    version: int,
    location: str,
    groups_json: bytes | str | None = None,
) -> bytes:
    """The resource as it is answered: `id` and `meta`, then the stored text, which is not parsed.

    The text has to be a JSON object that has neither of the two, nor `groups`, as `document` makes them;
    *groups_json* has to be a JSON array.
    """
    tag = etag(version, groups_json)
    about = meta(resource_type, created=created, last_modified=last_modified, location=location, version=tag)
    head = orjson.dumps({"id": id, "meta": about})[:-1]
    if groups_json is not None:
        head += b',"groups":' + _bytes(groups_json)
    rest = _bytes(document_json).strip()[1:]
    return head + (b"," if rest.lstrip() != b"}" else b"") + rest


def list_page(
    rendered: Sequence[bytes], *, total: int | None, start_index: int | None = None, next_cursor: str | None = None
) -> bytes:
    """The ListResponse of one page (RFC 7644 §3.4.2); `Resources` is there also when it is empty.

    A page found by its index says where it begins. One found by a cursor says where the next one is, unless it
    is the last, and need not know how many there are in total (RFC 9865 §2).
    """
    numbers: dict[str, object] = {
        "schemas": [_LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": len(rendered),
        "nextCursor": next_cursor,
    }
    head = orjson.dumps({name: value for name, value in numbers.items() if value is not None})
    return b"".join((head[:-1], b',"Resources":[', b",".join(rendered), b"]}"))


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


_document = document
"""`document` under a name that the arguments called so don't hide."""


def _plain(patch: Patch) -> dict[str, object] | None:
    """The attributes that a patch assigns, if that is all it does."""
    return None if patch.claims or patch.edits is None else written(patch.edits)


def _entries(document: Mapping[str, object], name: str) -> Iterator[Mapping[str, object]]:
    values = document.get(name)
    for entry in cast("list[object]", values) if isinstance(values, list) else ():
        if isinstance(entry, dict):
            yield cast("dict[str, object]", entry)
