"""Replaying a conversation: what a provider asks, turn by turn, and what it relies on in each answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from api.expect import ERROR, LIST_RESPONSE
from factories import Tenant

USUAL = {"GET": 200, "POST": 201, "PUT": 200, "DELETE": 204}
_NAME = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True)
class Turn:
    """One request, and the parts of its answer that the provider reads.

    ``<maria>``, anywhere in it, is the id that an earlier answer gave to what was kept as ``maria``.
    """

    ask: str
    """Method and address, as in ``GET /Users/<maria>``."""
    body: object = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None
    """What is answered; None means what the method usually answers."""
    answers: object = None
    """What the answer holds, among other things; after a PATCH without a body, what is stored."""
    lacks: Sequence[str] = ()
    """Attributes that are not in the answer, or not in any of the resources it lists."""
    keep: str = ""
    """The name under which later turns find the id in this answer."""


async def with_profile(tenant: Tenant, profile: str) -> Tenant:
    """The same tenant, whose calls are read and answered as *profile* says from now on."""
    answer = await tenant.callers.operator.patch(tenant.v1, json={"profile": profile})
    assert answer.status_code == 200, answer.text
    return tenant


async def replay(
    tenant: Tenant,
    conversation: Sequence[Turn],
    known: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/scim+json",
    patched: int = 200,
) -> dict[str, str]:
    """Have the conversation; returns the ids of everything that was kept, *known* ones included.

    *media_type* is what the provider calls its bodies, *patched* what it expects to hear after a PATCH.
    """
    ids = dict(known or {})
    for number, turn in enumerate(conversation, 1):
        method, address = cast("str", filled(turn.ask, ids)).split(" ", 1)
        said = f"turn {number}, {turn.ask}"
        answer = await tenant.scim.request(
            method,
            address,
            json=filled(turn.body, ids),
            params=cast("dict[str, str]", filled(dict(turn.query), ids)) or None,
            headers={"Content-Type": media_type},
        )
        expected = turn.status or (patched if method == "PATCH" else USUAL[method])
        assert answer.status_code == expected, f"{said}: {answer.status_code} {answer.text}"
        if method == "PATCH" and answer.status_code == 204:
            answer = await tenant.scim.get(address)
        check_form(answer, said)
        if turn.answers is not None:
            check_holds(filled(turn.answers, ids), answer.json(), said)
        check_lacks(turn.lacks, answer, said)
        if turn.keep:
            ids[turn.keep] = answer.json()["id"]
    return ids


def filled(value: object, ids: Mapping[str, str]) -> object:
    """*value* with every ``<name>`` in it replaced by the id of that name."""
    match value:
        case str():
            return _NAME.sub(lambda found: ids[found[1]], value)
        case dict():
            parts = cast("dict[str, object]", value)
            return {cast("str", filled(name, ids)): filled(part, ids) for name, part in parts.items()}
        case list() | tuple():
            return [filled(part, ids) for part in cast("list[object]", value)]
        case _:
            return value


def check_form(answer: httpx.Response, said: str) -> None:
    """What every provider relies on, whatever it has asked for."""
    if answer.status_code == 204:
        assert not answer.content, said
        return
    assert answer.headers["content-type"] == "application/scim+json", said
    body = answer.json()
    match body["schemas"]:
        case [schema] if schema == ERROR:
            assert body["status"] == str(answer.status_code), said
            assert body["detail"], said
        case [schema] if schema == LIST_RESPONSE:
            numbers = [body["totalResults"], body["startIndex"], body["itemsPerPage"]]
            assert [type(number) for number in numbers] == [int, int, int], said
            assert len(body["Resources"]) == body["itemsPerPage"], said
            assert all(each["id"] for each in body["Resources"]), said
        case _ if "id" in body:
            assert answer.headers["location"] == body["meta"]["location"], said
            assert answer.headers["etag"] == body["meta"]["version"], said
        case _:
            pass


def check_holds(expected: object, actual: object, said: str, path: str = "") -> None:
    """Check that *actual* has everything *expected* has; lists of objects may come in any order."""
    where = f"{said}: {path or 'the answer'} is {actual!r}, not {expected!r}"
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        given = cast("dict[str, object]", actual)
        for name, part in cast("dict[str, object]", expected).items():
            if part == [] and name not in given:
                continue  # RFC 7643 §2.5: an empty list and no list are the same
            assert name in given, f"{said}: there is no {path}{name} in {given!r}"
            check_holds(part, given[name], said, f"{path}{name}.")
    elif isinstance(expected, list):
        assert isinstance(actual, list), where
        wanted, found = cast("list[Any]", expected), cast("list[Any]", actual)
        assert len(wanted) == len(found), where
        pairs = zip(sorted(wanted, key=_order), sorted(found, key=_order), strict=True)
        for number, (one, other) in enumerate(pairs):
            check_holds(one, other, said, f"{path}{number}.")
    else:
        assert expected == actual, where


def check_lacks(names: Sequence[str], answer: httpx.Response, said: str) -> None:
    """Check that an answer has none of these attributes."""
    if not names:
        return
    body = answer.json()
    for resource in body.get("Resources", [body]):
        assert not set(names) & set(resource), f"{said}: {resource}"


def _order(entry: Any) -> str:
    """Something that an expected entry and the actual one have in common."""
    if isinstance(entry, dict):
        parts = cast("dict[str, object]", entry)
        return str(parts.get("value") or parts.get("userName") or parts.get("displayName") or parts.get("id"))
    return str(entry)


def found(*resources: object, total: int | None = None) -> dict[str, object]:
    """A ListResponse with these resources."""
    return {"totalResults": len(resources) if total is None else total, "Resources": list(resources)}


async def role_of(tenant: Tenant, person_id: str) -> str:
    """The role that the product hears of."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{person_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["role"]
