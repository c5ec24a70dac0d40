"""From a clean clone to the first person provisioned: how long somebody waits who tries Rollcall for the first time.

It needs nothing but Python, git and make: it clones the working copy as it is committed, runs what the README says, and
creates one person with the address and the token that ``make up`` prints.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

GOAL_SECONDS = 60
LONGEST_SECONDS = 900
HERE = Path(__file__).resolve().parents[1]
PERSON = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "first@juniper.example"}


class Stopwatch:
    """How long each phase took."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, float]] = []
        self._begun = time.monotonic()

    def phase(self, name: str) -> None:
        """*name* is what has taken the time since the last one ended."""
        now = time.monotonic()
        self.phases.append((name, now - self._begun))
        self._begun = now
        print(f"  {name:<44}{self.phases[-1][1]:6.1f} s", flush=True)

    @property
    def total(self) -> float:
        """Seconds altogether."""
        return sum(seconds for _, seconds in self.phases)


def main() -> int:
    """Print the seconds of each phase; 1 when they are more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="where the product is to listen [8765]")
    parser.add_argument("--goal", type=float, default=GOAL_SECONDS, help="seconds it may take [60]")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall first person ") as folder:
        clone = Path(folder) / "rollcall"
        watch = Stopwatch()
        subprocess.run(["git", "clone", "--quiet", str(HERE), str(clone)], check=True)
        watch.phase("clone")
        run(["make", "-s", "embedded"], clone)
        watch.phase("make: environment and packages")
        first_person(clone, chosen.port, watch)
    reached = watch.total <= chosen.goal
    verdict = f"{'within' if reached else 'over'} {chosen.goal:g} s"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = f"{used.ru_utime + used.ru_stime:.0f} s of processors; load {os.getloadavg()[0]:.1f} on {os.cpu_count()}"
    print(f"  {'clean clone to first person':<44}{watch.total:6.1f} s ({verdict}; {busy})")
    return 0 if reached else 1


def run(command: list[str], folder: Path) -> None:
    """Run it as somebody does who has no settings of ours."""
    subprocess.run(command, cwd=folder, env=surroundings(), check=True, timeout=LONGEST_SECONDS)


def surroundings() -> dict[str, str]:
    """The environment without what steers Rollcall or an outer make."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ROLLCALL_", "MAKE", "MFLAGS"))}


def first_person(clone: Path, port: int, watch: Stopwatch) -> None:
    """Start the product, read what it prints, create somebody, and stop it."""
    product = subprocess.Popen(
        ["make", "-s", "up", f"ARGS=--port {port}"],
        cwd=clone,
        env=surroundings() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        token, url = read_announcement(product, watch)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        call = urllib.request.Request(f"{url}/Users", json.dumps(PERSON).encode(), headers)
        with urllib.request.urlopen(call, timeout=60) as answer:
            assert answer.status == 201
        watch.phase("first person created")
    finally:
        os.killpg(product.pid, signal.SIGINT)  # as a Ctrl-C at a terminal
        product.wait(60)


def read_announcement(product: "subprocess.Popen[str]", watch: Stopwatch) -> tuple[str, str]:
    """The token and the SCIM URL, as soon as they are printed; the phases of the start on the way."""
    assert product.stdout is not None
    printed = ""
    for line in product.stdout:
        printed += line
        for sign, name in (
            ("Starting PostgreSQL", "make up: begins"),
            ("both answer", "engines answer"),
            ("it stands at", "database migrated"),
            ("is applied", "plans and tenants applied"),
            ("Rollcall is running", "every process answers"),
        ):
            if sign in line:
                watch.phase(name)
        token, url = re.search(r"Token +(rc_scim_\S+)", printed), re.search(r"SCIM URL +(\S+)", printed)
        if token and url:
            return token[1], url[1]
    sys.exit(f"The product did not start:\n{printed}")


if __name__ == "__main__":
    for tool in ("git", "make"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is needed, and is not there.")
    sys.exit(main())
