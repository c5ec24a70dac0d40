"""A rehearsal in words: what each call meant, by the answer that it had, and what to change where it was refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never, cast
from urllib.parse import urlencode

import orjson
from babel.numbers import format_decimal
from markupsafe import Markup

from rollcall.console.role_cases import UNKNOWN, remedy
from rollcall.console.words import domain, gettext, mark, mark_plural, ngettext, spoken
from rollcall.provisioning.rehearsals.lines import About, Look
from rollcall.provisioning.rehearsals.performing import Looked, Rehearsed, Step
from rollcall.scim.providers import PROFILES

LONGEST_SHOWN = 4000
"""Characters of a body that are shown."""

_REQUEST = re.compile(r" \(request \w+\)$")
"""What ends a refusal's detail; the request is none that anybody could look up."""

_WAYS = {
    "sessions": mark_plural("%(count)s session", "%(count)s sessions"),
    "tokens": mark_plural("%(count)s token", "%(count)s tokens"),
    "passkeys": mark_plural("%(count)s passkey", "%(count)s passkeys"),
    "external": mark_plural("%(count)s external credential", "%(count)s external credentials"),
    "passwords": mark_plural("%(count)s password", "%(count)s passwords"),
}
_GO_ON = mark("Take the assignment away again when the real connection is made: it ends the same way.")


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
            gettext(chapter.title),
            [
                _call(each, rehearsed.provider, who, product) if isinstance(each, Step) else _seen(each)
                for each in chapter.steps
            ],
        )
        for chapter in rehearsed.chapters
    ]


def _call(step: Step, provider: str, who: str, product: str) -> Told:
    title = gettext(step.line.does, who=who, **step.line.facts)
    if step.status is None:
        said = gettext("It can't be sent, for what it is about was not made.")
        return Told("notice", title, said, call=step.method)
    tone, said, what_to_do, name = _refused(step, provider, product) if step.is_refused else _done(step, provider)
    if (taken := step.says("tenant.profile_taken")) is not None:
        recognised = gettext(
            "%(product)s recognised %(provider)s by it, and answers as that wants.",
            product=product,
            provider=gettext(PROFILES[str(taken["profile"])].label),
        )
        said = _after_another(said, recognised)
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
    detail = domain(_REQUEST.sub("", str(answer.get("detail") or ""))) or gettext("It says nothing more.")
    if step.line.about is About.CONTRADICT:
        why = gettext("Refused, and nothing was changed: she keeps the role %(role)s.", role=_role(step))
        return "notice", _after_another(why, detail), _if_they_contradict(provider), ""
    if step.line.about is About.JOIN and step.status == 400:
        why = gettext("Refused, and nothing was changed.")
        return "bad", _after_another(why, detail), remedy(provider), ""
    said = _after_another(gettext("Refused."), detail)
    if step.status == 403:
        return "bad", said, gettext("Ask the support of %(product)s what your plan has.", product=product), ""
    ask = gettext("Ask the support of %(product)s, with what was sent and answered here.", product=product)
    return "bad", said, ask, ""


def _if_they_contradict(provider: str) -> str:
    return gettext("If somebody's names contradict each other: %(remedy)s", remedy=remedy(provider))


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
    is_out = step.person is not None and not step.person.active
    match step.line.about:
        case About.LOOK_UP | About.LOOK_UP_GROUP:
            return _found(step)
        case About.READ:
            return gettext("As she is now. She is inactive.") if is_out else gettext("As she is now.")
        case About.CREATE:
            return _after_another(gettext("She is here, as %(role)s.", role=_role(step)), _why(step))
        case About.TEST:
            return gettext("Answered.")
        case _:
            return gettext("Done. She is inactive.") if is_out else gettext("Done.")


def _found(step: Step) -> str:
    total = int(cast("Mapping[str, int]", step.answer or {}).get("totalResults", 0))
    if step.line.about is About.LOOK_UP_GROUP:
        return (
            ngettext("%(count)s found.", "%(count)s found.", total) if total else gettext("There is no such group yet.")
        )
    if not total:
        return gettext("Nobody of that name is here, so she is created next.")
    listed = cast("Mapping[str, Sequence[Mapping[str, object]]]", step.answer)["Resources"]
    if listed[0].get("active"):
        return gettext("She is found.")
    return gettext("She is found, and inactive: she is not created anew.")


def _pushed(step: Step) -> Said:
    if step.means is not None:
        return "good", gettext("Whoever is in it is %(role)s.", role=step.means), "", ""
    said = _after_another(gettext("Taken, but being in it gives no role."), domain(step.reads))
    return "notice", said, gettext(UNKNOWN), step.line.group


def _given(step: Step, provider: str) -> Said:
    if step.person is not None and step.person.explained["conflict"] is not None:
        held = gettext("Taken, but held: she keeps the role %(role)s, and a case is opened.", role=_role(step))
        return "notice", _after_another(held, _why(step)), _if_they_contradict(provider), ""
    names = [] if step.person is None else step.person.explained["names"]
    unknown = next((each["name"] for each in names if each["kind"] == "ungrantable"), "")
    if unknown or not any(each["role"] for each in names):
        unread = [domain(each["why"]) for each in names if each["role"] is None]
        taken = gettext("Taken, but it gives no role: she is %(role)s.", role=_role(step))
        return "notice", _after_another(taken, _why(step), *unread[:1]), gettext(UNKNOWN), unknown
    return "good", _after_another(gettext("She is %(role)s.", role=_role(step)), _why(step)), "", ""


def _left(step: Step) -> Said:
    gone = step.says("user.deactivated")
    if gone is None:
        return "bad", gettext("She was not deactivated."), gettext(_GO_ON), ""
    closed = _counted(cast("Mapping[str, object]", gone.get("closed") or {}))
    if not closed:
        return "good", gettext("She is out; she had nothing open that had to be closed."), "", ""
    said = gettext("She is out, and in the same moment what she had open was closed: %(closed)s.", closed=closed)
    return "good", said, "", ""


def _seen(looked: Looked) -> Told:
    """What Rollcall saw by itself."""
    match looked.look:
        case Look.SIGN_IN:
            return Told("good", gettext("Meanwhile she signs in to the product"), gettext("Her session is good."))
        case Look.SIGNED_OUT:
            asks = gettext("The product asks whether her session is good")
            if looked.is_good:
                return Told("bad", asks, gettext("It is still good, which must not be."))
            return Told("good", asks, gettext("It is good no more."))
        case Look.RECEIPT:
            return Told("good", gettext("A receipt is made"), _of_receipt(looked))
        case _:
            assert_never(looked.look)


def _of_receipt(looked: Looked) -> str:
    seconds = format_decimal(max(looked.seconds, 0.001), format="0.000", locale=spoken().locale)
    if closed := _counted(looked.closed):
        return gettext(
            "It counts what was closed, %(seconds)s seconds after the call had come: %(closed)s. A real one is signed, "
            "and kept.",
            seconds=seconds,
            closed=closed,
        )
    return gettext(
        "It says that nothing was open, %(seconds)s seconds after the call had come. A real one is signed, and kept.",
        seconds=seconds,
    )


def _counted(closed: Mapping[str, object]) -> str:
    """How many of what were closed; empty where nothing was."""
    numbers = [(int(str(closed.get(way) or 0)), forms) for way, forms in _WAYS.items()]
    return ", ".join(ngettext(*forms, number) for number, forms in numbers if number)


def _role(step: Step) -> str:
    return gettext("the default") if step.person is None else step.person.explained["label"]


def _why(step: Step) -> str:
    return "" if step.person is None else domain(step.person.explained["why"])


def _shown(body: object) -> str:
    """A body for people to read, cut where it is long."""
    if body is None:
        return ""
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    left = len(text) - LONGEST_SHOWN
    if left <= 0:
        return text
    rest = ngettext("… and %(count)s character more", "… and %(count)s characters more", left)
    return f"{text[:LONGEST_SHOWN]}\n{rest}"


def _after_another(*sentences: str) -> Markup:
    """Whole sentences, one after another; what is empty is left out."""
    return Markup(" ").join(each for each in sentences if each)
