"""``rollcall up`` as a newcomer runs it, and what they paste from what it prints."""

import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from journeys.conftest import rollcall_up, wait_for_ready_file
from rollcall.engines.processes import free_port


@dataclass(frozen=True)
class Served:
    """A running installation."""

    home: Path
    ready: dict[str, Any]

    @property
    def console(self) -> str:
        """Where the console is."""
        return self.ready["console_url"].rstrip("/")

    def code(self, *others: str) -> str:
        """A code for the admin it names, or for another tenant and person: the printed line, pasted."""
        printed = re.search(
            r"^ +(\(\. .*rollcall console code .*\))$", (self.home / "data.out").read_text(), re.MULTILINE
        )
        assert printed is not None
        line = re.sub(r"console code .*\)", f"console code {' '.join(others)})", printed[1]) if others else printed[1]
        made = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
        return made.stdout.strip()

    def invitation(self, name: str, role: str) -> str:
        """A link that invites an operator, made by the command beside the printed one."""
        printed = re.search(
            r"^ +\((\. .*)rollcall console code .*\)$", (self.home / "data.out").read_text(), re.MULTILINE
        )
        assert printed is not None
        line = f"{printed[1]}rollcall operators invite {name} --role {role}"
        made = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=True)
        return made.stdout.strip()

    def operator(self) -> httpx.Client:
        """Ops."""
        key = {"Authorization": f"Bearer {self.ready['operator_key']}"}
        return httpx.Client(base_url=self.ready["base_url"], headers=key)


@contextmanager
def served(home: Path, **environment: str) -> Generator[Served]:
    """An installation that ends with the block; *environment* are settings that it has beside the usual ones."""
    options = ("--port", str(free_port(None)), "--ready-file", str(home / "ready.json"))
    with rollcall_up(home / "data", *options, **environment) as process:
        yield Served(home, wait_for_ready_file(process, home / "ready.json", home / "data.out"))
