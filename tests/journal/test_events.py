"""Events: the vocabulary that customers rely on."""

import json
import re
from dataclasses import fields
from typing import Any
from uuid import UUID, uuid4

import pytest

from rollcall.journal import events
from rollcall.journal.event import Event
from rollcall.journal.events import TOPICS

SAMPLES: dict[Any, Any] = {
    str: "x",
    int: 1,
    bool: True,
    UUID: UUID(int=1),
    list[str]: ["x"],
    dict[str, Any]: {"x": 1},
    dict[str, int]: {"x": 1},
    UUID | None: None,
    str | None: None,
    int | None: None,
    bool | int | str: True,
}


def sample(kind: type[Event]) -> Event:
    """An event of this kind, with something in each field."""
    return kind(**{field.name: SAMPLES[field.type] for field in fields(kind)})


def test_topics_are_names() -> None:
    """A topic is a noun and what happened to it, in lower case, and each belongs to one event."""
    assert len(TOPICS) >= 20
    for topic, kind in TOPICS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", topic)
        assert kind.topic == topic
    there = {name: value for part in (events, *events.PARTS) for name, value in vars(part).items()}
    named = [kind for kind in there.values() if isinstance(kind, type) and issubclass(kind, Event)]
    assert len(named) - 1 == len(TOPICS)


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_payloads_are_json(topic: str) -> None:
    """Every event can be told as JSON, under its topic."""
    event = sample(TOPICS[topic])
    told = json.loads(json.dumps(events.message(event)))
    assert told["topic"] == topic
    assert {**told, "topic": topic} == events.message(event)


def test_ids_are_text() -> None:
    """Ids are told as text."""
    session = uuid4()
    assert events.SessionClosed(session_id=session).payload() == {"session_id": str(session)}
