"""Nothing that is sent to the management API is converted, passed over or guessed at."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.expect import turned_down
from api.v1.described import Json, choices, document_of, known_in, operations, types
from factories import Tenant
from rollcall.api.docs import words

VALUES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True, False],
    "integer": [1, 0],
    "number": [1.5],
    "string": ["true", "1"],
    "array": [[], [1]],
    "object": [{}, {"x": 1}],
}
"""Some values of each JSON type."""


def wrong(document: Json, schema: Json, given: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """*given* with one value in it of a type that *schema* does not allow, and the path to that value."""
    for name, field in schema.get("properties", {}).items():
        allowed = types(document, field) or set(VALUES)
        for kind in set(VALUES) - allowed - ({"integer"} if "number" in allowed else set()):
            for value in VALUES[kind]:
                yield ".".join((*at, name)), {**given, name: value}
        for choice in choices(document, field):
            if choice.get("type") == "object" and choice.get("properties"):
                inside = given.get(name) or words.EXAMPLES.get("RoleRule", {})
                for path, changed in wrong(document, choice, inside, (*at, name)):
                    yield path, {**given, name: changed}
            if choice.get("type") == "array":
                allowed_inside = types(document, choice.get("items", {})) or set(VALUES)
                for kind in set(VALUES) - allowed_inside:
                    yield ".".join((*at, name)), {**given, name: [VALUES[kind][0]]}


async def test_a_wrong_type_in_every_field_of_every_body(
    http: httpx.AsyncClient, operator: httpx.AsyncClient, acme: Tenant
) -> None:
    """A value of another JSON type is refused by the path of its field, and never taken for something else."""
    document, known = await document_of(http), await known_in(acme)
    tried = 0
    for operation in operations(document):
        if operation.body is None:
            continue
        name, schema = operation.body
        for path, body in wrong(document, schema, words.EXAMPLES[name]):
            answer = await operator.request(operation.method, operation.address(known), json=body)
            where = (operation.method, operation.path, path, body)
            assert answer.status_code == 400, (where, answer.text)
            assert (answer.json()["param"] or "").startswith(path), (where, answer.text)
            tried += 1
    assert tried > 300, "the bodies have been walked"


async def test_no_object(http: httpx.AsyncClient, operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A body that is no object is refused as a whole, and so is none where one is needed."""
    document, known = await document_of(http), await known_in(acme)
    for operation in operations(document):
        if operation.body is None:
            continue
        for body in (b"[]", b"1", b'"x"', b"true", b"{", b"\xff", b'{"a":1}', b"[" * 10_000):
            answer = await operator.request(
                operation.method,
                operation.address(known),
                content=body,
                headers={"Content-Type": "application/json"},
            )
            turned_down(answer, 400, "invalid")


@pytest.mark.parametrize(
    ("change", "param", "saying"),
    [
        ({"rate_per_second": False}, "rate_per_second", "has to be a whole number"),
        ({"rate_per_second": True}, "rate_per_second", "has to be a whole number"),
        ({"rate_per_second": "50"}, "rate_per_second", "has to be a whole number"),
        ({"rate_per_second": 50.0}, "rate_per_second", "has to be a whole number"),
        ({"rate_per_second": 10**30}, "rate_per_second", "at most 100000"),
        ({"rate_per_secnd": 50}, "rate_per_secnd", "did you mean rate_per_second?"),
        ({"xyz": 50}, "xyz", "there are: break_glass, customer, external_id, last_admin, mass_change_threshold"),
        ({"name": "a\x00b"}, "name", "a NUL character"),
    ],
)
async def test_said_in_plain_words(
    operator: httpx.AsyncClient, acme: Tenant, change: Json, param: str, saying: str
) -> None:
    """What is wrong with a field is said without a library's vocabulary, and changes nothing."""
    before = (await operator.get(acme.v1)).json()
    turned_down(await operator.patch(acme.v1, json=change), 400, "invalid", saying, param=param)
    assert (await operator.get(acme.v1)).json() == before


async def test_a_rule_inside_a_tenant(operator: httpx.AsyncClient) -> None:
    """A fault in a role rule is named by its whole path."""
    rule = {"prefix": "x-", "roles": {"member": {"label": "M", "admin": "yes"}}, "default": "member"}
    wanted = {"slug": "never-made", "name": "x", "plan": "free", "role_rule": rule}
    turned_down(await operator.post("/v1/tenants", json=wanted), 400, "invalid", param="role_rule.roles.member.admin")


async def test_every_parameter_of_every_query(
    http: httpx.AsyncClient, operator: httpx.AsyncClient, acme: Tenant
) -> None:
    """A parameter that is no text takes neither null nor an empty value, and none may be sent twice."""
    known = await known_in(acme)
    for operation in operations(await document_of(http)):
        for name, schema in operation.query.items():
            plain = schema.get("type") == "string" and "enum" not in schema and "format" not in schema
            questions: list[tuple[tuple[str, str], ...]] = [((name, "1"), (name, "1"))]
            if not plain:
                questions += [((name, text),) for text in ("null", "", "x", "1.0", " 1", "é")]
            if schema.get("type") == "boolean":
                questions += [((name, text),) for text in ("1", "0", "TRUE", "yes")]
            for question in questions:
                answer = await operator.request(operation.method, operation.address(known), params=question)
                turned_down(answer, 400, "invalid", name, param=name)


async def test_unknown_parameters(http: httpx.AsyncClient, operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A parameter that a call does not have is refused by its name, whatever the call."""
    known = await known_in(acme)
    for operation in operations(await document_of(http)):
        answer = await operator.request(operation.method, operation.address(known), params={"limt": "1"})
        turned_down(answer, 400, "invalid", "limt", param="limt")
        if "limit" in operation.query:
            assert "did you mean limit?" in answer.json()["detail"]


async def test_filters_do_not_vanish(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """``person=null`` is no way to leave a filter out."""
    for text in ("null", "", "None"):
        answer = await operator.get(f"{acme.v1}/audit", params={"person": text})
        turned_down(answer, 400, "invalid", "has to be an id", param="person")
