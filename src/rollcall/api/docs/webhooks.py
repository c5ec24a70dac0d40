"""The webhooks of the OpenAPI document: what a receiver is sent, read off the table of events."""

import inspect
from typing import Any

from pydantic import TypeAdapter

from rollcall.events.webhooks import DEPARTURE
from rollcall.journal.event import Event
from rollcall.journal.events import TOPICS

Json = dict[str, Any]

_HEADERS = {
    "webhook-id": "What the message is known by: the same in every retry and replay, so that it can be acted on once.",
    "webhook-timestamp": "When this call was signed, in seconds since 1970; refuse what is older than five minutes.",
    "webhook-signature": "`v1,` and the signature of `id.timestamp.body`, for each live secret; a space is between.",
}

_TENANT: Json = {
    "type": "object",
    "required": ["id", "slug"],
    "properties": {"id": {"type": "string", "format": "uuid"}, "slug": {"type": "string"}},
}

_PERSON: Json = {
    "type": ["object", "null"],
    "description": "the person it is about, by the product's id; null if it is about nobody",
    "required": ["id", "user_name"],
    "properties": {"id": {"type": "string", "format": "uuid"}, "user_name": {"type": ["string", "null"]}},
}

_ANSWERS: Json = {
    "2XX": {"description": "Taken; it is not sent again."},
    "default": {"description": "Anything else, a redirect too, is a failure: it is sent again for three days."},
}


def webhooks() -> Json:
    """The calls that destinations of the kind ``webhook`` are sent, by topic."""
    return {topic: {"post": _call(topic, event)} for topic, event in sorted(TOPICS.items()) if event.announced}


def _call(topic: str, event: type[Event]) -> Json:
    said = inspect.getdoc(event) or ""
    return {
        "operationId": f"hear_{topic.replace('.', '_')}",
        "summary": topic,
        "description": "" if said.startswith(f"{event.__name__}(") else said,
        "tags": ["destinations"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": said_of, "schema": {"type": "string"}}
            for name, said_of in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(topic, event)}}},
        "responses": _ANSWERS,
    }


def _body(topic: str, event: type[Event]) -> Json:
    return {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": topic},
            "timestamp": {"type": "string", "format": "date-time", "description": "when it happened"},
            "data": _data(topic, event),
        },
    }


def _data(topic: str, event: type[Event]) -> Json:
    """The event's own facts and whom it is about; of a message that would be too large, only the latter."""
    schema: Json = TypeAdapter(event).json_schema()
    facts: Json = {name: _without_title(each) for name, each in schema.get("properties", {}).items()}
    if topic == "user.deactivated":
        facts |= {name: {"type": "string"} for name in DEPARTURE}
    too_large = {"type": "boolean", "description": "true where the facts were too many to send; ask /v1 for them"}
    return {
        "type": "object",
        "required": ["tenant", "person"],
        "properties": {**facts, "too_large": too_large, "tenant": _TENANT, "person": _PERSON},
    }


def _without_title(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name != "title"}
