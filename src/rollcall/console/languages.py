"""Which languages the console speaks, read from catalogues at the start, and which one of them a visitor gets."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.core import Locale, UnknownLocaleError, negotiate_locale
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from rollcall.console.requests import AnyRequest
from rollcall.console.words import ENGLISH, Language, speak
from rollcall.settings import Settings

OURS = Path(__file__).parent / "locale"
"""The catalogues that come along."""

DOMAIN = "console"
_LONGEST = 500
"""Characters of Accept-Language that are looked at."""

_PUT_IN = re.compile(r"%\((\w+)\)s")
_MARKED = re.compile(r"\*\*.+?\*\*|</?[a-z][^<>]*>")
"""What a translation has to keep as it is: a provider's own names, and tags."""


class CatalogueBroken(Exception):
    """A catalogue can't be used; the message names the file, the sentence and what is wrong with it."""


@dataclass(frozen=True)
class Languages:
    """Those that pages can be in; the *usual* one is for visitors who ask for none of them."""

    by_tag: Mapping[str, Language]
    usual: Language

    @property
    def are_several(self) -> bool:
        """Whether the language of a page depends on who asks."""
        return len(self.by_tag) > 1

    def asked_for(self, accepted: str) -> Language:
        """The best for whoever sends this as ``Accept-Language``."""
        return _negotiated(self, accepted[:_LONGEST]) if self.are_several and accepted else self.usual

    def __hash__(self) -> int:
        return id(self)


@lru_cache(maxsize=512)
def _negotiated(languages: Languages, accepted: str) -> Language:
    tag = negotiate_locale(list(_preferred(accepted)), list(languages.by_tag), sep="-")
    return languages.usual if tag is None else languages.by_tag[tag]


def _preferred(accepted: str) -> Iterator[str]:
    """The tags of a header, the dearest first; those that are not wanted at all are left out."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(","):
        tag, _, rest = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", rest)
        weighed.append((1.0 if not rest else float(weight[1]) if weight else 0.0, tag.strip()))
    return (tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0)


def of_settings(settings: Settings) -> Languages:
    """English, what comes along, and what the operator has dropped in, which counts before what comes along.

    Raises:
        CatalogueBroken: one can't be used, or the usual language is none of them.
    """
    found = {ENGLISH.tag: ENGLISH}
    for folder in (OURS, *([settings.console_locales] if settings.console_locales else ())):
        for file in sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
            language = _read(file)
            found[language.tag] = language
    usual = found.get(settings.console_language.replace("_", "-"))
    if usual is None:
        msg = f"ROLLCALL_CONSOLE_LANGUAGE is {settings.console_language}, and there are only {', '.join(found)}."
        raise CatalogueBroken(msg)
    several = len(found) > 1
    return Languages(
        {tag: replace(each, varies=several) for tag, each in found.items()}, replace(usual, varies=several)
    )


def _read(file: Path) -> Language:
    name = file.parts[-3]
    try:
        locale = Locale.parse(name, sep="-" if "-" in name else "_")
    except (UnknownLocaleError, ValueError) as fault:
        msg = f"{file}: the folder {name} has to be named for a language, such as de or pt_BR: {fault}"
        raise CatalogueBroken(msg) from None
    try:
        with file.open("rb") as lines:
            catalogue = read_po(lines, locale=locale, abort_invalid=True)
    except (OSError, PoFileError, ValueError, LookupError) as fault:  # no such encoding is the last
        msg = f"{file} can't be read: {fault}"
        raise CatalogueBroken(msg) from None
    for message in catalogue:
        if message.id and not message.fuzzy:
            _check(file, catalogue, message)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language(name.replace("_", "-"), locale, Translations(compiled, DOMAIN))


def _check(file: Path, catalogue: Catalog, message: Message) -> None:
    """Refuse a translation that would break a page: what is put in has to be there, and what is marked has to stay.

    Raises:
        CatalogueBroken: the file, the line and the sentence stand in it.
    """
    is_plural = isinstance(message.id, tuple)
    ids, said = _texts(message.id), _texts(message.string)
    if not any(said):
        return
    if is_plural and len(said) != catalogue.num_plurals:
        raise _fault(file, message, f"it needs {catalogue.num_plurals} forms, and has {len(said)}")
    wanted = {name for each in ids for name in _PUT_IN.findall(each)}
    for each in said:
        if not each:
            raise _fault(file, message, "one of its forms is empty")
        names = set(_PUT_IN.findall(each))
        if names - wanted or (not is_plural and wanted - names):
            raise _fault(file, message, f"it has to have {_listed(wanted)}, and has {_listed(names)}")
        if wanted and "%" in _PUT_IN.sub("", each).replace("%%", ""):
            raise _fault(file, message, "a sign % has to be doubled: %%")
        if sorted(_MARKED.findall(each)) not in [sorted(_MARKED.findall(original)) for original in ids]:
            raise _fault(file, message, "tags and what stands between ** have to stay as they are")


def _texts(text: str | Iterable[str] | None) -> list[str]:
    return [text or ""] if isinstance(text, str | None) else list(text)


def _listed(names: set[str]) -> str:
    return ", ".join(f"%({name})s" for name in sorted(names)) or "nothing put in"


def _fault(file: Path, message: Message, wrong: str) -> CatalogueBroken:
    return CatalogueBroken(f"{file}, line {message.lineno}: the translation of “{_texts(message.id)[0]}”: {wrong}.")


class InTheirLanguage(ASGIMiddleware):
    """Has pages be in the visitor's language."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, languages: Languages) -> None:
        self._languages = languages

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find it out before anything is said; what is said of a fault further out is in it too."""
        speak(self._languages.asked_for(AnyRequest(scope).headers.get("accept-language", "")))
        await next_app(scope, receive, send)
