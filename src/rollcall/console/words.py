"""The words of the console in the language of the page that is being made: sentences, numbers, dates, distances.

Sentences are written in English where they are said, whole, with ``%(name)s`` for what is put in; a catalogue has the
same in another language. A constant of a module is marked, and said in the page's language where it is shown.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from gettext import NullTranslations
from math import inf
from typing import Literal

from babel.core import Locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup, escape


@dataclass(frozen=True, slots=True)
class Language:
    """A language that pages can be in."""

    tag: str
    """As the pages name it, such as ``pt-BR``."""
    locale: Locale
    catalogue: NullTranslations
    varies: bool = False
    """Whether others get the same page in another language."""

    @property
    def is_english(self) -> bool:
        """Whether it is the one in which everything is written here."""
        return self.tag == "en"


ENGLISH = Language("en", Locale("en"), NullTranslations())
_spoken: ContextVar[Language] = ContextVar("language", default=ENGLISH)

Unit = Literal["second", "minute", "hour", "day"]
_STEPS: Sequence[tuple[int, int, Unit]] = (
    *((60, 1, "second"), (3600, 60, "minute")),
    *((86400, 3600, "hour"), (100 * 86400, 86400, "day")),
)


def speak(language: Language) -> None:
    """Have the page that answers this request be in *language*; each request is a task of its own."""
    _spoken.set(language)


def spoken() -> Language:
    """The language of the page that is being made."""
    return _spoken.get()


def mark(message: str) -> str:
    """A constant that is said later, for the catalogue; it stays what it is."""
    return message


def mark_plural(one: str, several: str) -> tuple[str, str]:
    """The same for a sentence about so many of something."""
    return one, several


def gettext(message: str, /, **facts: object) -> str:
    """A sentence in the page's language, with these facts in it."""
    said = _spoken.get().catalogue.gettext(message) if message else ""
    return _with(said, facts) if facts else said


def ngettext(one: str, several: str, number: int, /, **facts: object) -> str:
    """A sentence about so many of something; *number* is in it as ``%(count)s``."""
    said = _spoken.get().catalogue.ngettext(one, several, number)
    return _with(said, {"count": number_said(number), **facts})


def plain(message: str) -> str:
    """A sentence as the catalogue has it, for templates, which put in the facts by themselves."""
    return _spoken.get().catalogue.gettext(message)


def plain_plural(one: str, several: str, number: int) -> str:
    """The same of a sentence about so many of something."""
    return _spoken.get().catalogue.ngettext(one, several, number)


def _with(said: str, facts: Mapping[str, object]) -> str:
    if any(hasattr(each, "__html__") for each in facts.values()):
        return escape(said) % facts
    return said % facts


def options(choices: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """What a form offers, by marked constants."""
    return [(key, gettext(said)) for key, said in choices.items()]


def of(said: Mapping[str, str], key: str | None) -> str | None:
    """The marked constant of a key; None where there is none."""
    return gettext(said[key]) if key is not None and key in said else None


def domain(said: str) -> str:
    """A sentence that the domain says: by the catalogue where it stands there whole, else English, and marked so."""
    found = gettext(said)
    if found != said or spoken().is_english or not said:
        return found
    return Markup('<span lang="en">{}</span>').format(said)


def english() -> Markup:
    """For an element whose words stay English: says so where the page is in another language."""
    return Markup("") if spoken().is_english else Markup(' lang="en"')


def number_said(number: int) -> str:
    """A whole number, its thousands set apart."""
    language = spoken()
    return f"{number:,}" if language.is_english else format_decimal(number, locale=language.locale)


def exactly(moment: datetime, *, seconds: bool = False) -> str:
    """A point in time, by UTC; a script says it by the reader's clock."""
    language, at = spoken(), moment.astimezone(UTC)
    if language.is_english:
        return at.strftime("%-d %B %Y, %H:%M:%S UTC" if seconds else "%-d %B %Y, %H:%M UTC")
    day = format_date(at.date(), "long", locale=language.locale)
    time = format_time(at.time(), "medium" if seconds else "short", locale=language.locale)
    return gettext("%(date)s, %(time)s UTC", date=day, time=time)


def month_said(day: date) -> str:
    """A month of a year."""
    language = spoken()
    return day.strftime("%B %Y") if language.is_english else format_skeleton("yMMMM", day, locale=language.locale)


def day_said(day: date) -> str:
    """A day, without its year."""
    language = spoken()
    return day.strftime("%-d %B") if language.is_english else format_skeleton("MMMMd", day, locale=language.locale)


def relative(moment: datetime, now: datetime) -> str:
    """How long ago something was, or how long it will be, as people say it."""
    seconds, language = int((now - moment).total_seconds()), spoken()
    away = abs(seconds)
    if away < 5:
        return gettext("just now")
    for most, size, unit in _STEPS:
        if away < most:
            return _distance(language.tag, away // size * size if seconds < 0 else -(away // size * size), unit)
    at = moment.astimezone(UTC)
    if language.is_english:
        return at.strftime("%-d %b %Y")
    return format_date(at.date(), "medium", locale=language.locale)


@lru_cache(maxsize=2048)
def _distance(tag: str, seconds: int, unit: Unit) -> str:
    """So many seconds from now, in one unit: a page of fifty rows says the same few again and again."""
    locale = Locale.parse(tag, sep="-")
    # No unit but the wanted one reaches a threshold that is infinite.
    return format_timedelta(
        timedelta(seconds=seconds), granularity=unit, threshold=inf, add_direction=True, locale=locale
    )
