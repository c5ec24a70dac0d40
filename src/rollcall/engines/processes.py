"""Starting children that never outlive us, as an account with few rights; waiting for them, and ending them."""

import os
import pwd
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from rollcall import orphans
from rollcall.engines.errors import OWN_ENGINES, EngineFailed
from rollcall.orphans import ON_LINUX

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""All that a child sees of the environment: a PGDATA or LANG of the caller's must not change what it does."""

POLL_SECONDS = 0.02
PORTS = range(20_000, 32_000)
"""Below those that systems use for outgoing connections, which could take an engine's port as it restarts."""

Steps = Sequence[tuple[signal.Signals, float]]
"""Signals to send one after the other, each with the seconds it gets to work."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system that an engine runs as, in place of root."""

    name: str
    uid: int
    gid: int


def account_for(folder: Path) -> Account | None:
    """Who is to run an engine that keeps its files in *folder*; None means whoever we are.

    Only root has a choice: it takes the owner of the folder, and `nobody` when there is none yet.

    Raises:
        EngineFailed: the account does not exist, or we are not root and the folder is someone else's.
    """
    owner = folder.stat().st_uid if folder.exists() else 0
    us = os.geteuid()
    if us != 0:
        if folder.exists() and owner != us:
            raise EngineFailed(
                f"{folder} belongs to the account with the number {owner}, and we are {us}",
                remedy="start as that account, or choose another data directory",
            )
        return None
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    except KeyError as error:
        raise EngineFailed(
            f"an engine must not run as root, and there is no account to run it as: {error.args[0]}",
            remedy=f"start as an ordinary user, or {OWN_ENGINES}",
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def give(folder: Path, account: Account | None) -> None:
    """Make *folder*, if it is not there, one that only *account* can enter.

    Raises:
        OSError: it is a link, which could have root give away anything, or it is no folder.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


@contextmanager
def whispered(text: str, account: Account | None) -> Generator[int]:
    """A pipe from which a child of *account* reads *text*, so that it is in no file and on no command line.

    The text has to be short: all of it goes into the pipe before anyone reads.
    """
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(text)
        if account:
            os.fchown(reading, account.uid, account.gid)
        yield reading
    finally:
        os.close(reading)


def spawn(
    command: Sequence[str | Path],
    *,
    folder: Path,
    account: Account | None,
    output: BinaryIO | None,
    when_orphaned: signal.Signals,
    stdin: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    environment: Mapping[str, str] = MappingProxyType(ENVIRONMENT),
) -> subprocess.Popen[bytes]:
    """Start *command* in *folder* as *account*, in a session of its own so that a Ctrl-C reaches only us.

    What it prints goes to *output*, or where ours goes.

    On Linux the kernel sends it *when_orphaned* if we end first, by whatever death. It also does so when the
    *thread* that started the child ends; hence all are started from one thread that stays until we exit.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=folder,  # entered before the account changes: that one may be unable to reach it by name
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_tie_to_us(when_orphaned) if ON_LINUX else None,  # noqa: PLW1509  system calls only
        )

    return _starter(os.getpid()).submit(start).result()


@cache
def _starter(_process: int) -> ThreadPoolExecutor:
    """The thread that starts children, for the process of that number: a fork does not inherit threads."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="engines")


def _tie_to_us(when_orphaned: signal.Signals) -> Callable[[], None]:
    """What a child does before it becomes the engine, already as its account: changing that would undo it."""
    us = os.getpid()
    orphans.c_library()
    return lambda: orphans.end_with(us, when_orphaned)


def end(process: subprocess.Popen[bytes], steps: Steps) -> None:
    """End *process* by *steps*, and by SIGKILL if it outlasts them; one that has ended already is fine."""
    for step, patience in steps:
        process.send_signal(step)
        process.send_signal(signal.SIGCONT)  # one that has been halted could not act on it
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()


def free_port(preferred: int | None) -> int:
    """A port of 127.0.0.1 that nobody listens on just now: the preferred one, if that can be.

    Someone may take it before it is used, so whoever uses it tries again with another.
    """
    for port in (preferred, *random.sample(PORTS, 50), 0):
        if port is None:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the engines do
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EngineFailed("no port of 127.0.0.1 is free", remedy="end programs that listen there, and try again")


def wait_for(process: subprocess.Popen[bytes], answers: Callable[[], bool], patience: float) -> bool:
    """True as soon as *answers* says so; False when the process has ended instead.

    Raises:
        TimeoutError: neither has happened within *patience* seconds.
    """
    if not wait_until(lambda: process.poll() is not None or answers(), patience):
        raise TimeoutError
    return process.poll() is None


def wait_until(holds: Callable[[], bool], patience: float) -> bool:
    """Whether *holds* came true within *patience* seconds."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
