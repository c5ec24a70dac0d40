"""The management API's own description, walked by tests that hold every call to one convention."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import httpx

from factories import Tenant

Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """A call as the document has it."""

    document: Json
    method: str
    path: str
    described: Json

    def address(self, known: dict[str, str]) -> str:
        """Where to send it; a parameter that is not known leads to nothing."""
        names = [each["name"] for each in self.described.get("parameters", []) if each["in"] == "path"]
        return self.path.format(**{name: known.get(name, str(uuid4())) for name in names})

    @property
    def query(self) -> dict[str, Json]:
        """The query's parameters by name, each with its schema."""
        parameters = self.described.get("parameters", [])
        return {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}

    @property
    def answer(self) -> Json:
        """The schema of what comes back when it is carried out; empty if that is no JSON."""
        status = min(self.described["responses"])
        content = self.described["responses"][status].get("content", {})
        return resolved(self.document, content.get("application/json", {}).get("schema", {}))

    @property
    def body(self) -> tuple[str, Json] | None:
        """The name and schema of its JSON body."""
        content = self.described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        return content["schema"]["$ref"].rpartition("/")[2], resolved(self.document, content["schema"])


def operations(document: Json) -> Iterator[Operation]:
    """All calls under ``/v1``."""
    for path, item in document["paths"].items():
        if path.startswith("/v1/"):
            for method, described in item.items():
                yield Operation(document, method.upper(), path, described)


async def document_of(http: httpx.AsyncClient) -> Json:
    """The document as anybody gets it."""
    return (await http.get("/v1/openapi.json")).json()


def resolved(document: Json, schema: Json) -> Json:
    """*schema*, or what it refers to."""
    while "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = target
    return schema


def choices(document: Json, schema: Json) -> list[Json]:
    """The schemas that a value may follow."""
    schema = resolved(document, schema)
    several: list[Json] = [] if "type" in schema else schema.get("oneOf", schema.get("anyOf", []))
    return [choice for each in several for choice in choices(document, each)] if several else [schema]


def types(document: Json, schema: Json) -> set[str]:
    """The JSON types that a value may have."""
    found: set[str] = set()
    for each in choices(document, schema):
        said = each.get("type", "string" if "enum" in each else [])
        found |= {said} if isinstance(said, str) else set(cast("list[str]", said))
    return found


async def known_in(tenant: Tenant) -> dict[str, str]:
    """Path parameters that lead somewhere."""
    person = await tenant.person()
    return {"tenant": tenant.slug, "person": person["id"], "day": f"{datetime.now(UTC):%Y-%m-%d}"}
