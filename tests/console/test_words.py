"""The console's words: one catalogue, other languages as files beside it, and nothing said that is not in it."""

import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from babel.messages.pofile import read_po, write_po
from click.testing import CliRunner
from jinja2 import Environment, nodes

from console.conftest import CONSOLE_URL
from console.pseudo import TEMPLATE, dropped_in
from factories import alive, in_process
from rollcall.app import create_app
from rollcall.cli.main import main
from rollcall.console import languages, pages, words
from rollcall.console.assets import FOLDER
from rollcall.console.languages import CatalogueBroken, Languages
from rollcall.settings import Settings

ROOT = Path(__file__).parents[2]
TEMPLATES = Path(pages.__file__).parent / "templates"
PROTOCOL = {"ms", "min", "s", "h", "externalId", "userName", "Rollcall", "API", "HTTP"}
EXAMPLES = {"XXXXX-XXXXX", "XXXXX-XXXXX-XXXXX-XXXXX"}
BEGIN = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an operator drops a language in."""
    return tmp_path


@asynccontextmanager
async def serving(settings: Settings, folder: Path, usual: str = "en") -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who looks at an installation with these languages."""
    changed = {"public_url": CONSOLE_URL, "console_locales": folder, "console_language": usual}
    async with (
        alive(create_app(settings.model_copy(update=changed))) as app,
        httpx.AsyncClient(transport=in_process(app), base_url=CONSOLE_URL) as client,
    ):
        yield client


def written(folder: Path, tag: str, *messages: str) -> Path:
    """A file with these messages."""
    file = folder / tag / "LC_MESSAGES" / "console.po"
    file.parent.mkdir(parents=True)
    file.write_text(BEGIN + "\n".join(messages))
    return file


def read(settings: Settings, folder: Path, usual: str = "en") -> Languages:
    """The languages of an installation with this folder."""
    return languages.of_settings(settings.model_copy(update={"console_locales": folder, "console_language": usual}))


def test_the_catalogue_is_new(tmp_path: Path) -> None:
    """The catalogue in the package holds what the pages say today; ``make words`` writes it."""
    made = tmp_path / "console.pot"
    pybabel = Path(sys.executable).with_name("pybabel")
    subprocess.run(["sh", "scripts/words", pybabel, made], cwd=ROOT, check=True, timeout=120)
    assert made.read_text() == TEMPLATE.read_text(), "the words have changed: run make words"


class _Texts(HTMLParser):
    """What stands in a page's markup as it is written, but for code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what attributes say."""
        self._silent += tag in ("code", "pre")
        self.found += [value for name, value in attrs if name in ("aria-label", "title", "placeholder") and value]

    def handle_endtag(self, tag: str) -> None:
        """Listen again after code."""
        self._silent -= tag in ("code", "pre")

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not self._silent:
            self.found.append(data)


@pytest.mark.parametrize("template", sorted(str(each.relative_to(TEMPLATES)) for each in TEMPLATES.rglob("*.html")))
def test_no_words_beside_the_catalogue(template: str) -> None:
    """A template holds no word that is not handed to the catalogue, in whichever branch it stands."""
    environment: Environment = pages._templates  # pyright: ignore[reportPrivateUsage]
    reader = _Texts()
    tree = environment.parse((TEMPLATES / template).read_text())
    reader.feed("".join(each.data for each in tree.find_all(nodes.TemplateData)))
    said = [each for each in reader.found if each not in EXAMPLES]
    assert {word for each in said for word in re.findall(r"[A-Za-z]+", each)} <= PROTOCOL


def test_no_words_in_scripts() -> None:
    """A script holds no sentence of its own; it finds what it says in the page."""
    for script in ("console.js", "passkeys.js", "verify.js"):
        code = re.sub(r"^\s*//.*$", "", (FOLDER / script).read_text(), flags=re.MULTILINE)
        strings = re.findall(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`', code)
        said = {each for pair in strings for each in pair if re.search(r"[A-Za-z]{2,} [a-z]{2,}", each)}
        assert said <= {"use strict"}, script


async def test_nobody_but_english(settings: Settings, folder: Path) -> None:
    """Where there is no second language, nothing depends on what a browser asks for."""
    async with serving(settings, folder) as client:
        page = await client.get("/console/sign-in", headers={"Accept-Language": "de"})
    assert '<html lang="en">' in page.text
    assert "Accept-Language" not in page.headers.get("vary", "")


async def test_in_the_visitors_language(settings: Settings, folder: Path) -> None:
    """A page is in the best language of those that are asked for and there; it says which, and that others differ."""
    dropped_in(folder, "de")
    dropped_in(folder, "pt_BR")
    async with serving(settings, folder) as client:
        for asked, tag in (
            ("de-CH,de;q=0.9,en;q=0.5", "de"),
            ("en-GB,de;q=0.9", "en"),
            ("fr, pt-BR;q=0.4", "pt-BR"),
            ("de;q=0, *;q=0.1", "en"),
            ("fr", "en"),
            ("", "en"),
            ("~;q=x,,;;" * 300, "en"),
        ):
            page = await client.get("/console/sign-in", headers={"Accept-Language": asked})
            assert f'<html lang="{tag}">' in page.text, asked
            assert ("⟦Sign in⟧" in page.text) == (tag != "en")
            assert page.headers["vary"] == "Accept-Language"


async def test_the_usual_language(settings: Settings, folder: Path) -> None:
    """Whoever asks for nothing that is there gets the installation's language; a refusal and a fault are in it too."""
    dropped_in(folder, "de")
    async with serving(settings, folder, "de") as client:
        assert "⟦Sign in⟧" in (await client.get("/console/sign-in")).text
        assert "⟦There is no such page⟧" in (await client.get("/console/nothing")).text
        forged = await client.post("/console/sign-in", headers={"Accept-Language": "fr"})
        assert (forged.status_code, "⟦This form is not good any more⟧" in forged.text) == (403, True)
        assert "<h1>Sign in" in (await client.get("/console/sign-in", headers={"Accept-Language": "en"})).text


async def test_the_status_page_in_each_language(settings: Settings, folder: Path) -> None:
    """The page that is handed out to a crowd is kept in each language by itself."""
    dropped_in(folder, "de")
    async with serving(settings, folder) as client:
        for _ in range(2):
            for tag in ("de", "en"):
                page = await client.get("/status", headers={"Accept-Language": tag})
                assert f'<html lang="{tag}">' in page.text


MESSAGE = 'msgid "Back to %(product)s"\nmsgstr "{}"\n'


@pytest.mark.parametrize(
    ("tag", "message", "wrong"),
    [
        ("de", MESSAGE.format("Zurück zu %(produkt)s"), r"has to have %\(product\)s, and has %\(produkt\)s"),
        ("de", MESSAGE.format("Zurück"), r"has to have %\(product\)s, and has nothing"),
        ("de", MESSAGE.format("100 % zurück zu %(product)s"), "has to be doubled"),
        ("de", 'msgid "Sign in"\nmsgstr "<b onclick=x>Anmelden</b>"\n', "have to stay as they are"),
        ("de", 'msgid "Choose **Edit**."\nmsgstr "**Ändern** wählen."\n', "have to stay as they are"),
        ("de", 'msgid "%(count)s day"\nmsgid_plural "%(count)s days"\nmsgstr[0] "%(count)s Tag"\n', "forms"),
        ("de", "Sign in means Anmelden\n", "can't be read"),
        ("klingon-land", "", "has to be named for a language"),
    ],
)
def test_a_broken_file(settings: Settings, folder: Path, tag: str, message: str, wrong: str) -> None:
    """A file that would break a page stops the start, with the file, the sentence and what is wrong with it."""
    file = written(folder, tag, message)
    with pytest.raises(CatalogueBroken, match=wrong) as broken:
        read(settings, folder)
    assert str(file) in str(broken.value)


def test_a_language_that_is_not_there(settings: Settings, folder: Path) -> None:
    """The installation's language has to be one of those that are there."""
    with pytest.raises(CatalogueBroken, match="ROLLCALL_CONSOLE_LANGUAGE is fr, and there are only en"):
        read(settings, folder, "fr")


def test_serve_says_so(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``rollcall serve`` ends with a sentence instead of starting with a broken file."""
    written(folder, "de", MESSAGE.format("Zurück"))
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"ROLLCALL_{name.upper()}", getattr(settings, name).get_secret_value())
    monkeypatch.setenv("ROLLCALL_SECRET_KEYS", settings.secret_keys[0].get_secret_value())
    monkeypatch.setenv("ROLLCALL_CONSOLE_LOCALES", str(folder))
    ended = CliRunner().invoke(main, ["serve"])
    assert ended.exit_code == 1
    assert "the translation of “Back to %(product)s”" in ended.output


def test_what_is_not_translated_stays_english(settings: Settings, folder: Path) -> None:
    """A file may have a few sentences only; fuzzy and empty ones count as not there."""
    fuzzy = '#, fuzzy\nmsgid "Groups"\nmsgstr "Hunde"\n'
    written(folder, "de", 'msgid "Roles"\nmsgstr "Rollen"\n', fuzzy, 'msgid "Plan"\nmsgstr ""\n')
    said = read(settings, folder).by_tag["de"].catalogue
    assert [said.gettext(each) for each in ("Roles", "Groups", "Plan", "Team")] == ["Rollen", "Groups", "Plan", "Team"]


@pytest.fixture
def german(settings: Settings, folder: Path) -> Callable[[], None]:
    """Have what is said be German; it ends with the test's own task."""
    dropped_in(folder, "de")
    german = read(settings, folder).by_tag["de"]
    return lambda: words.speak(german)


async def test_dates_and_numbers(german: Callable[[], None]) -> None:
    """Times, distances and numbers are as the page's language has them."""
    now = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
    english = [words.relative(now - timedelta(minutes=3), now), words.number_said(12345), words.month_said(now.date())]
    assert english == ["3 minutes ago", "12,345", "March 2026"]
    german()
    try:
        assert words.relative(now - timedelta(minutes=3), now) == "vor 3 Minuten"
        assert words.relative(now + timedelta(days=20, seconds=5), now) == "in 20 Tagen"
        assert words.relative(now - timedelta(days=200), now) == "13.08.2025"
        assert words.exactly(now) == "1. März 2026, 14:05⟦ UTC⟧"
        assert (words.number_said(12345), words.month_said(date(2026, 3, 1))) == ("12.345", "März 2026")
        assert str(words.domain("42 is no sentence of ours.")) == '<span lang="en">42 is no sentence of ours.</span>'
    finally:
        words.speak(words.ENGLISH)


@pytest.mark.parametrize("seconds", [5, 59, 60, 3599, 3600, 86399, 86400, 99 * 86400])
def test_english_distances(seconds: int) -> None:
    """In English a distance is said as ever: one unit, rounded down."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    size, unit = next((each[1], each[2]) for each in words._STEPS if seconds < each[0])  # pyright: ignore[reportPrivateUsage]
    count = seconds // size
    said = f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    assert words.relative(now - timedelta(seconds=seconds), now) == f"{said} ago"
    assert words.relative(now + timedelta(seconds=seconds), now) == f"in {said}"


def test_beginning_a_language(settings: Settings, folder: Path) -> None:
    """The command in the docs makes a file that can be translated, and is taken."""
    docs = (ROOT / "docs/console.md").read_text()
    (line,) = re.findall(r"^pybabel init .*$", docs, re.MULTILINE)
    command = line.replace("locales", str(folder)).split()
    pybabel = Path(sys.executable).with_name("pybabel")
    subprocess.run([pybabel, *command[1:]], cwd=ROOT, check=True, timeout=60, capture_output=True)
    (file,) = folder.rglob("console.po")
    with file.open("rb") as lines:
        catalogue = read_po(lines)
    message = catalogue.get("Sign in")
    assert message is not None
    message.string = "Anmelden"
    with file.open("wb") as lines:
        write_po(lines, catalogue)
    assert read(settings, folder).by_tag["de"].catalogue.gettext("Sign in") == "Anmelden"


def test_every_translation_fits(settings: Settings, folder: Path) -> None:
    """A whole catalogue is taken, and each of its sentences can be said."""
    dropped_in(folder, "de")
    said = read(settings, folder).by_tag["de"].catalogue
    with TEMPLATE.open("rb") as lines:
        for message in read_po(lines):
            if isinstance(message.id, str) and message.id:
                assert said.gettext(message.id) != message.id or not re.search(
                    r"\w", re.sub(r"%\(\w+\)s", "", message.id)
                )
