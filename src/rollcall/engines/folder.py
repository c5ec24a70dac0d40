"""What lives in the data directory beside the engines' own files: the lock, how to get in, and the logs."""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from rollcall.engines.errors import AlreadyRunning, EngineFailed

TAIL_LINES = 15
TAIL_BYTES = 16_384


@contextmanager
def lock(data_dir: Path) -> Generator[None]:
    """Keep every other process out of *data_dir* for as long as the block runs.

    The kernel gives the lock back when its holder ends, however that happens, so it is never stale. Children
    started with `exec` do not hold it; one that is only forked would, for as long as it lives.

    Raises:
        AlreadyRunning: at once, when another process has it.
        EngineFailed: the directory cannot be made or written to.
    """
    make_private(data_dir)
    path = data_dir / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            written = file.read().strip()
            raise AlreadyRunning(str(data_dir), int(written) if written.isdecimal() else None) from None
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            # The file stays: removing it would let two processes lock two files of one name.
            file.truncate(0)


def make_private(folder: Path) -> None:
    """Make *folder*, and what leads to it, if it is not there; a new one is for its owner only.

    Raises:
        EngineFailed: it cannot be made, or is not ours to write to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, PermissionError("it belongs to another account"))


def _unusable(folder: Path, error: OSError) -> EngineFailed:
    return EngineFailed(
        f"the data directory {folder} cannot be used: {error}",
        remedy="choose a directory you can write to, or start as the account that owns this one",
    )


@dataclass(frozen=True, slots=True)
class Access:
    """How to get into an engine; the port is None until it has been started once."""

    password: str
    port: int | None = None

    @classmethod
    def invented(cls) -> "Access":
        """A new password of 256 random bits that needs no quoting anywhere."""
        return cls(secrets.token_urlsafe(32))

    def at(self, port: int) -> "Access":
        """The same password on *port*."""
        return replace(self, port=port)


def recall(path: Path) -> Access | None:
    """What `remember` wrote to *path*; None when nothing has been.

    Raises:
        EngineFailed: something is there that we have not written.
    """
    try:
        found = json.loads(path.read_text())
        return Access(password=str(found["password"]), port=found["port"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EngineFailed(
            f"the file {path}, which holds an engine's password, cannot be read: {error!r}",
            remedy="bring it back from a copy, or move the data directory away to begin anew",
        ) from error


def remember(path: Path, access: Access) -> None:
    """Keep *access* in *path*, readable by the owner only; a crash leaves the old content or the new."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(access), file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Log:
    """The file that takes everything an engine prints; the one of the start before is kept as `.1`."""

    path: Path

    def rotate(self) -> None:
        """Begin a new file."""
        make_private(self.path.parent)
        if self.path.exists():
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))

    def open(self) -> BinaryIO:
        """The file, open for adding to its end."""
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")

    def size(self) -> int:
        """How long it is now, in bytes: what `tail` takes as *since*."""
        return self.path.stat().st_size if self.path.exists() else 0

    def tail(self, *, since: int = 0) -> str:
        """The last lines, none of them from before the byte *since*."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(max(since, self.size() - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])
