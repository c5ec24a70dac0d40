"""/v1/openapi.json and /v1/errors: the management API described, for programs, and what each refusal means."""

import re
from dataclasses import fields
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from factories import DART_RULE, Callers, a_tenant
from rollcall.api.docs import codes, words
from rollcall.api.docs.scim import scim_handlers
from rollcall.errors import Refusal
from rollcall.journal.events import TOPICS

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="session")
async def document(http: httpx.AsyncClient) -> Json:
    """The document, as a program without any key gets it."""
    answer = await http.get("/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    return answer.json()


def operations(document: Json) -> list[tuple[str, Json]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_valid(document: Json) -> None:
    """The document is valid OpenAPI 3.1."""
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_complete(app: Litestar, document: Json) -> None:
    """Every call of the management API is in the document."""
    for route in app.routes:
        path = route.path_format
        if (
            isinstance(route, HTTPRoute)
            and path.startswith("/v1/")
            and not path.startswith(("/v1/docs", "/v1/open", "/v1/errors"))
        ):
            for method in route.methods - {"OPTIONS"}:
                assert method.lower() in document["paths"].get(path, {}), f"{method} {path}"


def test_explained(document: Json) -> None:
    """Every call has a name of its own, a summary, a sentence on what it does, a known group, and its keys."""
    tags = {tag["name"] for tag in document["tags"]}
    for call, operation in operations(document):
        assert re.fullmatch(r"[A-Z][a-z]+( [a-z0-9]+)+", operation["summary"]), call
        assert operation["description"].endswith("."), f"{call}: say in the handler's docstring what it does"
        assert set(operation["tags"]) <= tags, f"{call}: describe its tag in api/docs/words.py"
        assert operation["security"], f"{call}: name its guard in api/docs/words.py"
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(tag["description"] for tag in document["tags"])


def test_parameters_explained(document: Json) -> None:
    """Every parameter says what it means, and none is sent as null."""
    for call, operation in operations(document):
        for parameter in operation.get("parameters", []):
            where = f"{call}: {parameter['name']}: describe it in its handler or in api/docs/words.py"
            assert parameter["description"], where
            assert "null" not in str(parameter["schema"]), where


def test_keys(document: Json) -> None:
    """The keys that a call takes are bearer tokens, and differ as the guards do."""
    for scheme in document["components"]["securitySchemes"].values():
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    keys = {
        operation["operationId"]: {key for each in operation["security"] for key in each}
        for _, operation in operations(document)
    }
    assert keys["create_tenant"] == {"operator"}
    assert keys["issue_token"] == {"operator", "admin"}
    assert keys["open_session"] == {"operator", "application"}
    assert keys["list_people"] == {"operator", "application", "admin"}
    assert keys["introspect_token"] == {"application"}


def test_refusals(document: Json) -> None:
    """Every call says how it refuses, in the one form that refusals have; under /oauth it is the RFCs'."""
    for call, operation in operations(document):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"400", "401", "403", "500", "503"} <= set(refusals), call
        assert {"409", "413"} <= set(refusals) or call.startswith("GET") or "/oauth/" in call, call
        for status, answer in refusals.items():
            if "/oauth/" in call:
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/OAuthError"}, call
            else:
                assert answer == {"$ref": f"#/components/responses/{status}"}, call
    for status, answer in document["components"]["responses"].items():
        assert answer["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert ("Retry-After" in answer.get("headers", {})) == (status in ("429", "503"))


def test_webhooks(document: Json) -> None:
    """Everything that is announced is a webhook of the document, with its payload, its headers and what to answer."""
    announced = {topic: event for topic, event in TOPICS.items() if event.announced}
    assert set(document["webhooks"]) == set(announced)
    for topic, item in document["webhooks"].items():
        call = item["post"]
        assert [each["name"] for each in call["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
        data = call["requestBody"]["content"]["application/json"]["schema"]["properties"]["data"]
        assert {each.name for each in fields(announced[topic])} <= set(data["properties"]), topic
        assert set(call["responses"]) == {"2XX", "default"}


async def test_every_code_is_on_the_page(http: httpx.AsyncClient) -> None:
    """The page of codes has every class that can refuse a request, at the place a problem's type leads to."""
    page = await http.get("/v1/errors")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for code in codes.catalogue():
        assert f'id="{code.code}"' in page.text
        assert code.advice in unescape(page.text)
    problem = (await http.get("/v1/tenants")).json()
    assert problem["type"].partition("#")[0].endswith("/v1/errors")
    assert f'id="{problem["type"].partition("#")[2]}"' in page.text


def test_codes_are_one_thing_each() -> None:
    """A code has one class, a sentence that says what is true, and one that says what to do."""
    seen: dict[str, type[Refusal]] = {}
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "code" in vars(kind) and kind.__module__.startswith("rollcall."):
            assert kind.code not in seen, f"{kind} and {seen[kind.code]} have one code"
            seen[kind.code] = kind
            assert kind.__doc__, kind
            assert kind is Refusal or "advice" in vars(kind), f"say in {kind}.advice what to do about it"
    assert {each.code for each in codes.catalogue()} <= set(seen)


def test_codes_in_the_documentation() -> None:
    """docs/errors.md lists what the classes say."""
    written = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    assert written == codes.markdown(), "run: python -m rollcall.api.docs.codes > docs/errors.md"


async def test_refusals_as_described(http: httpx.AsyncClient, document: Json) -> None:
    """A real refusal has exactly the fields that the document gives it."""
    answer = await http.get("/v1/tenants")

    problem = document["components"]["schemas"]["Problem"]
    assert set(answer.json()) == set(problem["properties"]) == set(problem["required"])


def test_examples_are_used(document: Json) -> None:
    """Every JSON body comes with an example, and no example is left from a body that is gone."""
    schemas = document["components"]["schemas"]
    assert set(words.EXAMPLES) <= set(schemas)
    for call, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            given = schemas[name].get("examples") if media_type == "application/json" else content.get("example")
            assert given, f"{call}: add an example to api/docs/words.py"


async def test_examples_work(callers: Callers) -> None:
    """The examples, sent as they are one after the other, are carried out."""
    acme = await a_tenant(callers, rule={**DART_RULE, "prefix": "acme-"})
    ops, examples = callers.operator, words.EXAMPLES

    made = await ops.post("/v1/tenants", json={**examples["NewTenant"], "slug": f"{acme.slug}-b"})
    person = await ops.post(f"{acme.v1}/people", json=examples["NewPerson"])
    assert (made.status_code, person.status_code) == (201, 201), made.text + person.text
    maria = f"{acme.v1}/people/{person.json()['id']}"
    session = {**examples["SessionWanted"], "tenant": acme.slug}
    token = await ops.post(f"{acme.v1}/tokens", json=examples["TokenWanted"])
    for answer in (
        token,
        await callers.product.post("/v1/sessions", json=session),
        await ops.post(f"{acme.v1}/tokens/{token.json()['id']}/rotate", json=examples["Rotation"]),
        await ops.post(f"{maria}/role", json=examples["RoleGiven"]),
        await ops.post(f"{maria}/deactivate", json=examples["Deactivation"]),
        await ops.put(f"{acme.v1}/role-rule", json=examples["RoleRule"]),
        await ops.patch(acme.v1, json=examples["TenantChange"]),
    ):
        assert answer.is_success, answer.text


async def test_scim_has_a_document_of_its_own(app: Litestar, http: httpx.AsyncClient) -> None:
    """The SCIM endpoints are described beside them, all of them, in valid OpenAPI and in the RFCs' media type."""
    answer = await http.get("/v1/openapi-scim.json")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    scim = answer.json()
    validate(scim)
    for path, method, _ in scim_handlers(app):
        described = scim["paths"][path][method]
        assert described["description"], (method, path)
        for response in described["responses"].values():
            assert set(response.get("content", {})) <= {"application/scim+json"}
    assert {"/Users", "/Users/{user_id}", "/Groups", "/Bulk", "/Me", "/.search", "/Schemas"} <= set(scim["paths"])
    user = scim["components"]["schemas"]["User"]
    assert user["required"] == ["userName"]
    assert user["properties"]["emails"]["items"]["properties"]["value"]["type"] == "string"
    assert not [path for path in (await http.get("/v1/openapi.json")).json()["paths"] if path.startswith("/scim")]
