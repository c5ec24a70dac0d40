"""The embedded PostgreSQL: making its cluster, starting it, and knowing when it is ready."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from rollcall.engines import programs
from rollcall.engines.engine import Engine
from rollcall.engines.errors import EngineFailed
from rollcall.engines.folder import Access
from rollcall.engines.leftovers import command_of
from rollcall.engines.processes import Account, Steps, end, give, spawn, whispered
from rollcall.orphans import ON_LINUX

SUPERUSER = "postgres"
MAKING_SECONDS = 180
UNFINISHED = "postgres.unfinished-"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a file system, not a file of ours
SHARED_MEMORY_NEEDED = 32 * 1024 * 1024
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_prepared_transactions": "0",
    "shared_buffers": "128MB",
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
WITHOUT_DURABILITY = {"fsync": "off", "full_page_writes": "off"}


class Postgres(Engine):
    """One PostgreSQL server and its cluster, `data_dir/postgres`.

    With `durable=False` a crash of the operating system may spoil the data: faster, and right for tests.
    """

    title = "PostgreSQL"
    name = "postgres"
    program = "postgres"
    farewell: ClassVar[Steps] = ((signal.SIGINT, 20), (signal.SIGQUIT, 5))

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir)
        self._durable = durable

    @property
    def superuser_url(self) -> str:
        """The way in for whoever makes roles and databases."""
        return self.url(SUPERUSER, self.password, "postgres")

    def url(self, user: str, password: str, database: str) -> str:
        """The way in to *database* for a role that exists there."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def _first_access(self) -> Access:
        if self._folder.exists() and any(self._folder.iterdir()):
            raise EngineFailed(
                f"{self._folder} is there, but its password is not beside it in {self.name}.json",
                remedy="bring that file back from a copy, or move the data directory away to begin anew",
            )
        return super()._first_access()

    def _prepare(self, account: Account | None) -> None:
        for unfinished in self.data_dir.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if not (self._folder / "PG_VERSION").exists():
            self._make_cluster(account)
        give(self._folder, account)
        self._end_leftovers()
        self._forget_foreign_pid()

    def _make_cluster(self, account: Account | None) -> None:
        """Make a cluster somewhere else and move it in place: a half-made one never bears the name."""
        folder = Path(tempfile.mkdtemp(dir=self.data_dir, prefix=UNFINISHED))
        give(folder, account)
        self._run_initdb(folder, account)
        try:
            folder.rename(self._folder)
        except OSError as error:
            raise EngineFailed(
                f"{self._folder} is no PostgreSQL cluster, and holds something else: {error.strerror}",
                remedy="move it away, or choose another data directory",
            ) from error
        if self._durable:
            _write_through(self.data_dir)

    def _run_initdb(self, folder: Path, account: Account | None) -> None:
        with self.log.open() as output, whispered(f"{self.password}\n", account) as password:
            process = spawn(
                [
                    programs.postgres(account) / "initdb",
                    *("-D", _called(folder, account)),
                    f"--username={SUPERUSER}",
                    f"--pwfile=/dev/fd/{password}",
                    "--auth=scram-sha-256",
                    *(
                        "--encoding=UTF8",
                        "--locale=C",
                        "--locale-provider=builtin",
                        "--builtin-locale=C.UTF-8",
                    ),
                    "--no-instructions",
                    *(() if self._durable else ("--no-sync",)),
                ],
                folder=folder,
                account=account,
                output=output,
                pass_fds=[password],
                when_orphaned=signal.SIGKILL,
            )
        try:
            status = process.wait(MAKING_SECONDS)
        finally:
            end(process, [(signal.SIGTERM, 5)])
        if status != 0:
            raise self._failure(f"could not make its cluster (initdb ended with status {status})")

    def _forget_foreign_pid(self) -> None:
        """Remove the note of a server that is no more if its number now belongs to another program.

        PostgreSQL would take that program for the server and refuse to start. When we come here no process of
        this cluster is left that we started; a PostgreSQL of unknown origin is for PostgreSQL to judge.
        """
        note = self._folder / "postmaster.pid"
        pid = _first_number(note)
        if ON_LINUX and pid and self.program not in command_of(pid):
            note.unlink(missing_ok=True)

    def _launch(self, account: Account | None, port: int) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {
            "port": str(port),
            "cluster_name": self._mark(),
            "dynamic_shared_memory_type": _shared_memory(account),
            **({} if self._durable else WITHOUT_DURABILITY),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open() as output:
            return spawn(
                [programs.postgres(account) / "postgres", "-D", _called(self._folder, account), *options],
                folder=self._folder,
                account=account,
                output=output,
                when_orphaned=signal.SIGINT,
            )

    def _answers(self, port: int) -> bool:
        return self._says_ready() and _asks_for_password(port)

    def _says_ready(self) -> bool:
        """Whether the server in the folder is ours and has started: on the port, someone else may answer."""
        try:
            note = (self._folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(note) > 7 and note[0] == str(self.process.pid) and note[7].strip() == "ready"


def _called(folder: Path, account: Account | None) -> str:
    """What to call *folder* to a server that has been put in it, and may be unable to reach it by name."""
    return "/proc/self/cwd" if account and ON_LINUX else str(folder)


def _first_number(note: Path) -> int | None:
    try:
        first = note.read_text(errors="replace").split("\n", 1)[0]
    except FileNotFoundError:
        return None
    return int(first) if first.isdecimal() else None


def _shared_memory(account: Account | None) -> str:
    """The kind to use: containers may have a `/dev/shm` that is missing, closed or tiny."""
    if not ON_LINUX:
        return "posix"
    try:
        writable = bool(SHARED_MEMORY.stat().st_mode & 0o002) if account else os.access(SHARED_MEMORY, os.W_OK)
        return "posix" if writable and shutil.disk_usage(SHARED_MEMORY).free > SHARED_MEMORY_NEEDED else "mmap"
    except OSError:
        return "mmap"


def _asks_for_password(port: int) -> bool:
    """Whether a login is asked for its password; while it starts, PostgreSQL answers with an error."""
    wanted = f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack("!ii", len(wanted) + 8, 3 << 16) + wanted)
            return connection.recv(1024).startswith(b"R")  # read whole: an early end would be in its log
    except OSError:
        return False


def _write_through(folder: Path) -> None:
    """Have the disk know what *folder* contains, before anyone relies on it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
