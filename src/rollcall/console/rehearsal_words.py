"""A rehearsal in words: what each call meant, by the answer that it had, and what to change where it was refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never, cast
from urllib.parse import urlencode

import orjson

from rollcall.console.role_cases import UNKNOWN, remedy
from rollcall.provisioning.rehearsals.lines import About, Look
from rollcall.provisioning.rehearsals.performing import Looked, Rehearsed, Step
from rollcall.scim.providers import PROFILES

LONGEST_SHOWN = 4000
"""Characters of a body that are shown."""

_REQUEST = re.compile(r" \(request \w+\)$")
"""What ends a refusal's detail; the request is none that anybody could look up."""

_WAYS = {
    "sessions": ("session", "sessions"),
    "tokens": ("token", "tokens"),
    "passkeys": ("passkey", "passkeys"),
    "external": ("external credential", "external credentials"),
    "passwords": ("password", "passwords"),
}
_GO_ON = "Take the assignment away again when the real connection is made: it ends the same way."


@dataclass(frozen=True, slots=True)
class Told:
    """A step in words. *tone* is good, notice or bad."""

    tone: str
    title: str
    said: str
    remedy: str = ""
    try_name: str = ""
    """Where a name can be given a role, if that is what helps."""
    call: str = ""
    status: int | None = None
    sent: str = ""
    answered: str = ""
    on_purpose: bool = False
    """Whether it is there to show what becomes of what nobody should send."""


@dataclass(frozen=True, slots=True)
class ToldChapter:
    """A chapter in words."""

    title: str
    steps: Sequence[Told]


def told(rehearsed: Rehearsed, who: str, product: str) -> Sequence[ToldChapter]:
    """A rehearsal in words; *who* is what the provider is called, *product* what the installation is."""
    return [
        ToldChapter(
            chapter.title,
            [
                _call(each, rehearsed.provider, who, product) if isinstance(each, Step) else _seen(each)
                for each in chapter.steps
            ],
        )
        for chapter in rehearsed.chapters
    ]


def _call(step: Step, provider: str, who: str, product: str) -> Told:
    title = f"{who} {step.line.does}"
    if step.line.group and step.line.about is not About.LOOK_UP_GROUP:
        title = f"{title}: {step.line.group}"
    if step.status is None:
        said = "It can't be sent, for what it is about was not made."
        return Told("notice", title, said, call=step.method)
    tone, said, what_to_do, name = _refused(step, provider, product) if step.is_refused else _done(step, provider)
    if (taken := step.says("tenant.profile_taken")) is not None:
        said = f"{said} {product} recognised {PROFILES[str(taken['profile'])].label} by it, and answers as that wants."
    return Told(
        tone,
        title,
        said,
        what_to_do,
        f"/console/roles?{urlencode({'name': name})}#try" if name else "",
        f"{step.method} {step.path}",
        step.status,
        _shown(step.body),
        _shown(step.answer),
        on_purpose=step.line.about is About.CONTRADICT,
    )


Said = tuple[str, str, str, str]
"""Tone, what was meant, what to change, and a name that could be given a role."""


def _refused(step: Step, provider: str, product: str) -> Said:
    """What a refusal says, and what ends it."""
    answer = cast("Mapping[str, object]", step.answer or {})
    detail = _REQUEST.sub("", str(answer.get("detail") or "It says nothing more."))
    if step.line.about is About.CONTRADICT:
        why = f"Refused, and nothing was changed: she keeps the role {_role(step)}. {detail}"
        return "notice", why, f"If somebody's names contradict each other: {remedy(provider)}", ""
    if step.line.about is About.JOIN and step.status == 400:
        return "bad", f"Refused, and nothing was changed. {detail}", remedy(provider), ""
    if step.status == 403:
        return "bad", f"Refused. {detail}", f"Ask the support of {product} what your plan has.", ""
    return "bad", f"Refused. {detail}", f"Ask the support of {product}, with what was sent and answered here.", ""


def _done(step: Step, provider: str) -> Said:
    """What a call meant that was taken."""
    match step.line.about:
        case About.PUSH:
            return _pushed(step)
        case About.JOIN | About.CONTRADICT:
            return _given(step, provider)
        case About.DEACTIVATE:
            return _left(step)
        case _:
            return "good", _taken(step), "", ""


def _taken(step: Step) -> str:
    inactive = "" if step.person is None or step.person.active else " She is inactive."
    match step.line.about:
        case About.LOOK_UP | About.LOOK_UP_GROUP:
            return _found(step)
        case About.READ:
            return f"As she is now.{inactive}"
        case About.CREATE:
            return f"She is here, as {_role(step)}. {_why(step)}"
        case About.TEST:
            return "Answered."
        case _:
            return f"Done.{inactive}"


def _found(step: Step) -> str:
    total = int(cast("Mapping[str, int]", step.answer or {}).get("totalResults", 0))
    if step.line.about is About.LOOK_UP_GROUP:
        return "There is no such group yet." if not total else f"{total} found."
    if not total:
        return "Nobody of that name is here, so she is created next."
    listed = cast("Mapping[str, Sequence[Mapping[str, object]]]", step.answer)["Resources"]
    return "She is found." if listed[0].get("active") else "She is found, and inactive: she is not created anew."


def _pushed(step: Step) -> Said:
    if step.means is not None:
        return "good", f"Whoever is in it is {step.means}.", "", ""
    return "notice", f"Taken, but being in it gives no role. {step.reads}", UNKNOWN, step.line.group


def _given(step: Step, provider: str) -> Said:
    if step.person is not None and step.person.explained["conflict"] is not None:
        said = f"Taken, but held: she keeps the role {_role(step)}, and a case is opened. {_why(step)}"
        return "notice", said, f"If somebody's names contradict each other: {remedy(provider)}", ""
    names = [] if step.person is None else step.person.explained["names"]
    unknown = next((each["name"] for each in names if each["kind"] == "ungrantable"), "")
    if unknown or not any(each["role"] for each in names):
        unread = [each["why"] for each in names if each["role"] is None]
        why = " ".join([_why(step), *unread[:1]])
        return "notice", f"Taken, but it gives no role: she is {_role(step)}. {why}", UNKNOWN, unknown
    return "good", f"She is {_role(step)}. {_why(step)}", "", ""


def _left(step: Step) -> Said:
    gone = step.says("user.deactivated")
    if gone is None:
        return "bad", "She was not deactivated.", _GO_ON, ""
    closed = _counted(cast("Mapping[str, object]", gone.get("closed") or {}))
    return "good", f"She is out, and in the same moment what she had open was closed: {closed}.", "", ""


def _seen(looked: Looked) -> Told:
    """What Rollcall saw by itself."""
    match looked.look:
        case Look.SIGN_IN:
            return Told("good", "Meanwhile she signs in to the product", "Her session is good.")
        case Look.SIGNED_OUT:
            said = "It is good no more." if not looked.is_good else "It is still good, which must not be."
            tone = "bad" if looked.is_good else "good"
            return Told(tone, "The product asks whether her session is good", said)
        case Look.RECEIPT:
            took = f"{max(looked.seconds, 0.001):.3f} seconds after the call had come"
            said = f"It counts what was closed, {took}: {_counted(looked.closed)}. A real one is signed, and kept."
            return Told("good", "A receipt is made", said)
        case _:
            assert_never(looked.look)


def _counted(closed: Mapping[str, object]) -> str:
    """How many of what were closed."""
    numbers = [(int(str(closed.get(way) or 0)), names) for way, names in _WAYS.items()]
    said = [f"{number} {names[0] if number == 1 else names[1]}" for number, names in numbers if number]
    return " and ".join(said) or "nothing was open"


def _role(step: Step) -> str:
    return "the default" if step.person is None else step.person.explained["label"]


def _why(step: Step) -> str:
    return "" if step.person is None else step.person.explained["why"]


def _shown(body: object) -> str:
    """A body for people to read, cut where it is long."""
    if body is None:
        return ""
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    left = len(text) - LONGEST_SHOWN
    return text if left <= 0 else f"{text[:LONGEST_SHOWN]}\n… and {left:,} characters more"
