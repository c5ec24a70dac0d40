"""The OpenAPI document as the page shows it: groups of calls, their parameters, bodies and answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

Json = dict[str, Any]

_KEYS = {"operator": "operator key", "application": "application key", "admin": "admin's token"}


@dataclass(frozen=True, slots=True)
class Field:
    """A value that is sent or answered."""

    name: str
    kind: str
    required: bool
    said: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value in the address, and what it may be."""

    name: str
    place: str
    kind: str
    required: bool
    said: str
    choices: Sequence[str]
    usual: str
    number: bool


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent along."""

    media_type: str
    example: str
    required: bool
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Answer:
    """What may come back."""

    status: str
    said: str
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call."""

    id: str
    method: str
    path: str
    summary: str
    said: str
    keys: str
    parameters: Sequence[Parameter]
    body: Body | None
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Group:
    """Calls about one thing."""

    name: str
    said: str
    operations: Sequence[Operation]


def groups(document: Json) -> list[Group]:
    """All calls, in the order of the document's tags."""
    read = Reader(document)
    operations = [
        (operation["tags"][0], read.operation(path, method, operation))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return [
        Group(tag["name"], tag["description"], [each for name, each in operations if name == tag["name"]])
        for tag in document["tags"]
    ]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the parts of one document, following its references."""

    document: Json

    def operation(self, path: str, method: str, operation: Json) -> Operation:
        """A call."""
        keys = [_KEYS[key] for each in operation["security"] for key in each]
        return Operation(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            said=operation["description"],
            keys=" or ".join(keys),
            parameters=[self.parameter(each) for each in operation.get("parameters", [])],
            body=self.body(operation["requestBody"]) if "requestBody" in operation else None,
            answers=[self.answer(status, answer) for status, answer in operation["responses"].items()],
        )

    def parameter(self, parameter: Json) -> Parameter:
        """A parameter of path or query."""
        schema = self.resolved(parameter["schema"])
        choices = ["true", "false"] if schema.get("type") == "boolean" else schema.get("enum", [])
        usual = schema.get("default")
        return Parameter(
            name=parameter["name"],
            place=parameter["in"],
            kind=self.kind(schema),
            required=parameter.get("required", False),
            said=parameter.get("description", ""),
            choices=[str(choice) for choice in choices],
            usual="" if usual is None else str(usual).lower() if isinstance(usual, bool) else str(usual),
            number=schema.get("type") == "integer",
        )

    def body(self, body: Json) -> Body:
        """What is sent along, with an example to begin with."""
        media_type, content = next(iter(body["content"].items()))
        schema = self.resolved(content["schema"])
        example = content.get("example", schema.get("examples", [{}])[0])
        if media_type == "application/json":
            text = orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
        else:
            text = "&".join(f"{name}={value}" for name, value in example.items())
        return Body(media_type, text, body.get("required", False), list(self.fields(schema)))

    def answer(self, status: str, answer: Json) -> Answer:
        """What may come back with one status; refusals all look alike, so their fields are not repeated."""
        answer = self.resolved(answer)
        contents: list[Json] = list(answer.get("content", {}).values())
        schema: Json = contents[0]["schema"] if contents else {}
        return Answer(status, answer["description"], list(self.fields(schema)) if status < "400" else ())

    def fields(self, schema: Json, depth: int = 0) -> Iterator[Field]:
        """The fields of an object, or of the objects in a list or under names, and two levels of objects in those."""
        schema = self.resolved(schema)
        schema = self.resolved(schema.get("items") or _under_names(schema) or schema)
        for name, value in schema.get("properties", {}).items():
            required = name in schema.get("required", [])
            yield Field(name, self.kind(value), required, _said(self.resolved(value)), depth)
            if depth < 2:
                yield from self.fields(_not_null(value), depth + 1)

    def kind(self, schema: Json) -> str:
        """What a value is, in a few words."""
        schema = self.resolved(schema)
        if choices := schema.get("enum"):
            return " or ".join(f'"{choice}"' if isinstance(choice, str) else "null" for choice in choices)
        if several := schema.get("oneOf") or schema.get("anyOf"):
            return " or ".join(self.kind(each) for each in several)
        types: str | list[str] = schema.get("type", "anything")
        if isinstance(types, list):
            return " or ".join(self.kind({**schema, "type": each}) for each in types)
        if types == "array":
            return f"list of {self.kind(schema.get('items', {}))}"
        return schema["format"] if "format" in schema and types == "string" else types

    def resolved(self, node: Json) -> Json:
        """*node*, or what it refers to."""
        while "$ref" in node:
            target: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node


def _under_names(schema: Json) -> Json | None:
    """What stands under each name of an object whose names are free."""
    free = schema.get("additionalProperties")
    return cast("Json", free) if isinstance(free, dict) else None


def _not_null(schema: Json) -> Json:
    choices = [each for each in schema.get("oneOf", schema.get("anyOf", [])) if each.get("type") != "null"]
    return choices[0] if len(choices) == 1 else schema


def _said(schema: Json) -> str:
    """A field's description and its limits, in a sentence."""
    said = [schema["description"]] if "description" in schema else []
    for key, sentence in _LIMITS.items():
        if key in schema:
            said.append(f"{sentence} {schema[key]}")
    if schema.get("default") not in (None, [], {}):
        said.append(f"{orjson.dumps(schema['default']).decode()} if left out")
    return "; ".join(said)


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters: at most",
    "maxItems": "how many: at most",
}
