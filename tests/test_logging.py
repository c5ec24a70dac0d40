"""Logs: one form for every line, and never a secret in one."""

import json
import logging as standard
import subprocess
import sys
from collections.abc import Generator
from typing import Any
from uuid import uuid4

import pytest
import structlog

from rollcall import logging
from rollcall.crypto import TokenKind, new_token
from rollcall.current_call import CurrentCall, current_call, name_key

PASSWORD = "s3cret"
URL = f"postgresql://rollcall:{PASSWORD}@db.internal:5432/rollcall"


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    """Puts the logging of the other tests back."""
    root, before = standard.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("kind", TokenKind)
def test_tokens_are_masked(kind: TokenKind) -> None:
    """Of a token, whatever its kind, the kind is left."""
    text = new_token(kind, uuid4(), uuid4())
    assert logging.masked(f"Bearer {text}, said twice: {text}") == (
        f"Bearer rc_{kind.value}_***, said twice: rc_{kind.value}_***"
    )


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (URL, "postgresql://rollcall:***@db.internal:5432/rollcall"),
        ("redis://:s3cret@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        ("postgresql+asyncpg://u:s3cret@h/d", "postgresql+asyncpg://u:***@h/d"),
        ("https://u:p@s3cret@h/d", "https://u:***@h/d"),
        ("two: a://b:s3cret@c and d://e:s3cret@f", "two: a://b:***@c and d://e:***@f"),
    ],
)
def test_passwords_in_addresses(text: str, left: str) -> None:
    """Of an address with a password, everything but the password is left."""
    assert logging.masked(text) == left


@pytest.mark.parametrize(
    "text",
    ["", "rc_scim_", "http://127.0.0.1:8000/scim/v2", "https://host:8000/a@b", "maria@example.test", "10:30 @ noon"],
)
def test_what_is_no_secret(text: str) -> None:
    """Other text is left as it is."""
    assert logging.masked(text) == text


def test_anywhere_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A secret is masked in the message, in a value, however deep in lists and dictionaries, and in bytes."""
    logging.configure(environment="production", level="INFO")
    token = new_token(TokenKind.SCIM, uuid4(), uuid4())
    structlog.get_logger("test").warning(
        f"seen {token}",
        plain=token,
        deep={"a": [{"b": (token, {token})}]},
        url=URL,
        raw=token.encode(),
        count=3,
        nothing=None,
        right=True,
    )
    output = capsys.readouterr().err
    assert token not in output
    assert token.split("_")[4] not in output
    assert PASSWORD not in output
    line = json.loads(output)
    assert line["deep"]["a"][0]["b"][0] == "rc_scim_***"
    assert (line["count"], line["nothing"], line["right"]) == (3, None, True)


def test_in_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    """A secret in an exception's text, its cause's, or an exception given as a value is masked too."""
    logging.configure(environment="production", level="INFO")
    token = new_token(TokenKind.SESSION, uuid4(), uuid4())
    try:
        try:
            raise ConnectionError(URL)
        except ConnectionError as cause:
            raise ValueError(token) from cause
    except ValueError as error:
        structlog.get_logger("test").exception("failed", error=error)
        standard.getLogger("elsewhere").exception("failed with %s", error)
    output = capsys.readouterr().err
    assert len(output.splitlines()) == 2
    assert token.split("_")[4] not in output
    assert PASSWORD not in output
    assert output.count("ValueError") >= 2


def test_other_peoples_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of libraries have the same form, and their arguments are masked as well."""
    logging.configure(environment="production", level="INFO")
    token = new_token(TokenKind.APPLICATION, uuid4(), uuid4())
    standard.getLogger("library").warning("calling %s with %s", URL, token)
    (line,) = lines(capsys)
    assert (line["level"], line["logger"]) == ("warning", "library")
    assert line["event"] == "calling postgresql://rollcall:***@db.internal:5432/rollcall with rc_app_***"


def test_form(capsys: pytest.CaptureFixture[str]) -> None:
    """In production a line is one JSON object with its time in UTC, level, logger, the call's id and whose it is."""
    logging.configure(environment="production", level="INFO")
    tenant_id, key_id = uuid4(), uuid4()
    token = current_call.set(CurrentCall("r-1"))
    try:
        structlog.get_logger("test").info("said", tenant="acme")
        name_key(tenant_id, key_id)
        standard.getLogger("library").info("said")
    finally:
        current_call.reset(token)
    ours, theirs = lines(capsys)
    for line in (ours, theirs):
        assert (line["event"], line["level"], line["request_id"]) == ("said", "info", "r-1")
        assert line["timestamp"].endswith("Z")
    assert (ours["tenant"], "key_id" in ours) == ("acme", False)
    assert (theirs["tenant"], theirs["key_id"]) == (str(tenant_id), str(key_id))


def test_level(capsys: pytest.CaptureFixture[str]) -> None:
    """What is less severe than the level is not logged, whoever says it."""
    logging.configure(environment="production", level="WARNING")
    for logger in (structlog.get_logger("test"), standard.getLogger("library")):
        logger.info("quiet")
        logger.warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud", "loud"]


def test_while_developing(capsys: pytest.CaptureFixture[str]) -> None:
    """While developing, lines are for people, and just as free of secrets."""
    logging.configure(environment="development", level="INFO")
    token = new_token(TokenKind.SCIM, uuid4(), uuid4())
    structlog.get_logger("test").info("said", url=URL, token=token)
    output = capsys.readouterr().err
    assert "said" in output
    assert not output.startswith("{")
    assert PASSWORD not in output
    assert token not in output


def test_warnings_and_what_ends_a_process() -> None:
    """In production Python's warnings, and the error that nobody expected, are lines of the log like all others."""
    code = (
        "import warnings; from rollcall import logging; "
        "logging.configure(environment='production', level='INFO'); "
        f"warnings.warn('old', stacklevel=1); raise ValueError({URL!r})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    warning, failure = (json.loads(line) for line in ended.stderr.splitlines())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "old" in warning["event"]
    assert (failure["level"], failure["event"]) == ("critical", "ended by an error nobody expected")
    assert "ValueError" in failure["exception"]
    assert PASSWORD not in ended.stderr
