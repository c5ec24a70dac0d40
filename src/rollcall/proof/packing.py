"""A ZIP that is sent while it is written: nothing of it is held but what has not been taken yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import IO, Any, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo


class _Outgoing:
    """What has been written and not been taken. It can't be sought in, so the ZIP is written from front to back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Take a piece in."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Everything that was written can be taken already."""

    def taken(self) -> bytes:
        """What has come since the last time."""
        found, self._pieces = b"".join(self._pieces), []
        return found


@dataclass(slots=True)
class _Open:
    """The file that is being written."""

    name: str
    handle: IO[bytes]
    digest: Any = field(default_factory=sha256)
    size: int = 0


class Packed:
    """A ZIP under way: files are begun, written, and ended one after the other."""

    def __init__(self) -> None:
        self._out = _Outgoing()
        self._archive = ZipFile(cast("IO[bytes]", self._out), "w", ZIP_DEFLATED)
        self._open: _Open | None = None
        self._files: list[dict[str, Any]] = []

    @property
    def files(self) -> Sequence[dict[str, Any]]:
        """The files that have been ended: name, length in bytes, and SHA-256 in hex."""
        return self._files

    def begin(self, name: str, day: date) -> None:
        """Begin a file, dated so; the one before is ended."""
        self.end()
        entry = ZipInfo(name, (day.year, day.month, day.day, 0, 0, 0))
        entry.compress_type = ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        self._open = _Open(name, self._archive.open(entry, "w"))

    @property
    def name(self) -> str | None:
        """The file that is being written."""
        return None if self._open is None else self._open.name

    def write(self, piece: bytes) -> None:
        """Write more of the file that has been begun."""
        assert self._open is not None, "a file has been begun"
        self._open.handle.write(piece)
        self._open.digest.update(piece)
        self._open.size += len(piece)

    def end(self) -> None:
        """End the file that is being written, if there is one."""
        if self._open is not None:
            self._open.handle.close()
            said = {"name": self._open.name, "bytes": self._open.size, "sha256": self._open.digest.hexdigest()}
            self._files.append(said)
            self._open = None

    def close(self) -> None:
        """End the last file, and write what a ZIP ends with."""
        self.end()
        self._archive.close()

    def taken(self) -> bytes:
        """What can be sent now and has not been."""
        return self._out.taken()
