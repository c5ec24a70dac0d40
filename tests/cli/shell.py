"""A shell for commands: whatever is typed in it, no command may end in a traceback."""

import asyncio
import logging
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from threading import Lock

from click.testing import CliRunner

from rollcall.cli.main import main
from rollcall.settings import Settings


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def well(self) -> str:
        """What a command prints that goes well."""
        assert self.code == 0, self.err
        return self.out

    @property
    def refusal(self) -> str:
        """What a command says that is refused: a reason, nothing else, and exit code 1."""
        assert (self.code, self.out) == (1, ""), self
        return self.err.strip()

    @property
    def misuse(self) -> str:
        """What is said of a command that can't be typed so: a sentence, and exit code 2."""
        assert (self.code, self.out) == (2, ""), self
        return self.err.strip()


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as a command finds them."""
    assert settings.migration_database_url is not None
    return {
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_MIGRATION_DATABASE_URL": settings.migration_database_url.get_secret_value(),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": ",".join(key.get_secret_value() for key in settings.secret_keys),
        "ROLLCALL_PUBLIC_URL": settings.public_url,
        "ROLLCALL_ENVIRONMENT": "development",
        "ROLLCALL_LOG_LEVEL": "WARNING",
    }


@dataclass(frozen=True)
class Shell:
    """Commands typed in this process, by somebody whose environment points at the engines."""

    settings: Settings

    async def __call__(self, *words: str, **environment: str) -> Said:
        """Type a command; nobody is at the keyboard to be asked."""
        return await asyncio.to_thread(typed, words, environment_of(self.settings) | environment)


_ONE_AT_A_TIME = Lock()


def typed(words: tuple[str, ...], environment: dict[str, str], given: str | None = None) -> Said:
    """Type a command in this process; *given* is its standard input."""
    root = logging.getLogger()
    with _ONE_AT_A_TIME:  # standard output and the environment are the process's
        handlers, level = root.handlers[:], root.level
        try:
            done = CliRunner().invoke(main, list(words), input=given, env=environment, prog_name="rollcall")
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"a traceback of 'rollcall {' '.join(words)}'") from done.exception
    assert "Traceback" not in done.output, done.output
    return Said(done.exit_code, done.stdout, done.stderr)


def rollcall(settings: Settings, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Type a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "rollcall", *words],
        env=os.environ | environment_of(settings) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def at_terminal(settings: Settings, answer: str, *words: str, **environment: str) -> tuple[int, str]:
    """Type a command at a terminal, and answer what it asks; returns its exit code and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rollcall", *words],
        env=os.environ | environment_of(settings) | {"TERM": "xterm", "COLUMNS": "100"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # that is how a terminal ends
    finally:
        os.close(ours)
    return process.wait(60), shown.decode()
