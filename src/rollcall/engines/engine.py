"""The life of one engine, whichever it is: started, watched, stopped, started again in the same place."""

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from rollcall.engines.errors import OWN_ENGINES, EngineFailed
from rollcall.engines.folder import Access, Log, make_private, recall, remember
from rollcall.engines.leftovers import end_leftovers
from rollcall.engines.processes import (
    Account,
    Steps,
    account_for,
    end,
    free_port,
    wait_for,
)

START_SECONDS = 30
"""Slow disks and a recovery after a crash take their time; a second is usual."""
ATTEMPTS = 5
"""Starts that may fail because someone took the port in the moment before."""


class Engine(ABC):
    """A server that keeps its files in *data_dir*, for its owner's eyes only, and is reached by password.

    Port and password stay the same over restarts, so an address handed out once stays good; only a port that
    someone else has taken meanwhile is replaced. Use one object from one thread at a time.
    """

    title: ClassVar[str]
    name: ClassVar[str]
    program: ClassVar[str]
    farewell: ClassVar[Steps]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.log = Log(self.data_dir / "logs" / f"{self.name}.log")
        self._access: Access | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _folder(self) -> Path:
        return self.data_dir / self.name

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1; it keeps its value while the engine is stopped."""
        if self._access is None or self._access.port is None:
            raise self._failure("has not been started yet")
        return self._access.port

    @property
    def password(self) -> str:
        """What lets a client in; at PostgreSQL, as its superuser."""
        if self._access is None:
            raise self._failure("has not been started yet")
        return self._access.password

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running server, or the one that ran last."""
        if self._process is None:
            raise self._failure("has not been started yet")
        return self._process

    @property
    def running(self) -> bool:
        """Whether we have started it and it has not ended since."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Do nothing if it runs.

        Raises:
            EngineFailed: it has ended, with the end of its log.
        """
        if not self.running:
            raise self._failure(f"has ended (status {self.process.returncode})")

    def start(self) -> None:
        """Start it, and return when it takes connections; fine if it runs already.

        Whatever an earlier start left running in this data directory is ended first.

        Raises:
            EngineFailed: it is not installed, or did not answer in time.
        """
        if self.running:
            return
        make_private(self.data_dir)
        try:
            self._start(account_for(self._folder))
        except (OSError, subprocess.SubprocessError) as error:
            raise self._failure(f"could not be started: {error}") from error

    def stop(self) -> None:
        """End it and wait until it has ended, politely at first; fine if it does not run."""
        if self._process is not None:
            end(self._process, self.farewell)

    def restart(self) -> None:
        """Stop it and start it again, on the same port if that is still free."""
        self.stop()
        self.start()

    def erase(self) -> None:
        """Delete everything it keeps, its password too; whatever an earlier start left running is ended first.

        Raises:
            EngineFailed: it runs, or something can't be deleted.
        """
        if self.running:
            raise self._failure("is running, so its data is not deleted")
        try:
            if self._folder.exists():
                self._end_leftovers()
                shutil.rmtree(self._folder)
            (self.data_dir / f"{self.name}.json").unlink(missing_ok=True)
        except OSError as error:
            raise self._failure(f"could not be deleted: {error}") from error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, account: Account | None) -> None:
        self.log.rotate()
        remembered = self.data_dir / f"{self.name}.json"
        self._access = recall(remembered) or self._first_access()
        remember(remembered, self._access)  # before anything is made that only this password opens
        self._prepare(account)
        self._access = self._access.at(self._serve(account, self._access.port))
        remember(remembered, self._access)

    def _serve(self, account: Account | None, preferred: int | None) -> int:
        """Bring the server up and return its port."""
        for _ in range(ATTEMPTS):
            port = free_port(preferred)
            since = self.log.size()
            self._process = process = self._launch(account, port)
            try:
                if wait_for(process, lambda: self._answers(port), START_SECONDS):  # noqa: B023  used in this turn only
                    return port
            except TimeoutError:
                self._kill()
                raise self._failure(f"did not answer within {START_SECONDS} seconds") from None
            except BaseException:
                self._kill()
                raise
            if "Address already in use" not in self.log.tail(since=since):
                raise self._failure(f"ended while it was starting (status {process.returncode})")
        raise self._failure(f"found its port taken {ATTEMPTS} times in a row")

    def _kill(self) -> None:
        end(self.process, [(signal.SIGQUIT, 5)])

    def _mark(self) -> str:
        """What an engine of this data directory has on its command line, and no other."""
        status = self._folder.stat()
        return f"rollcall-{status.st_dev}-{status.st_ino}"

    def _end_leftovers(self) -> None:
        end_leftovers(self.program, self._mark(), self._folder.stat().st_uid, self.farewell)

    def _failure(self, what: str) -> EngineFailed:
        return EngineFailed(
            f"the embedded {self.title} {what}; its log is {self.log.path}",
            remedy=f"see what the log says and start again, or {OWN_ENGINES}",
            log_tail=self.log.tail(),
        )

    def _first_access(self) -> Access:
        return Access.invented()

    @abstractmethod
    def _prepare(self, account: Account | None) -> None:
        """Have the folder ready, and nobody else at work in it."""

    @abstractmethod
    def _launch(self, account: Account | None, port: int) -> subprocess.Popen[bytes]:
        """Start the server."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Whether the server we have launched takes connections."""
