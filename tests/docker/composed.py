"""What ``docker/`` says, read as programs read it: the services of compose.yaml, with their variables filled in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker"

_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True)
class Service:
    """One service of compose.yaml."""

    name: str
    said: Mapping[str, Any]

    @property
    def ours(self) -> bool:
        """Whether it runs Rollcall."""
        return self.said["image"].startswith("rollcall:")

    @property
    def command(self) -> Sequence[str]:
        """What it runs; of ours, the arguments of ``rollcall``."""
        return self.said.get("command", [])

    @property
    def environment(self) -> Mapping[str, str]:
        """Its environment variables."""
        return self.said.get("environment", {})

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets that it finds in /run/secrets."""
        return self.said.get("secrets", [])

    @property
    def after(self) -> Mapping[str, str]:
        """What it waits for, and until when."""
        return {name: how["condition"] for name, how in self.said.get("depends_on", {}).items()}

    @property
    def replicas(self) -> int:
        """How many of it run."""
        return self.said.get("deploy", {}).get("replicas", 1)


def document(environment: Mapping[str, str] = {}) -> Any:
    """compose.yaml with its variables as *environment* has them, or else as it says itself."""

    def fill_in(text: str) -> str:
        filled = _VARIABLE.sub(lambda found: environment.get(found[1]) or found[2], text)
        assert "${" not in filled, f"a variable without a default value: {filled}"
        return filled

    return yaml.safe_load(fill_in((FOLDER / "compose.yaml").read_text()))


def variables() -> set[str]:
    """The variables that compose.yaml lets its operator set."""
    return {found[1] for found in _VARIABLE.finditer((FOLDER / "compose.yaml").read_text())}


def services(environment: Mapping[str, str] = {}) -> dict[str, Service]:
    """The services by name, each after those it depends on."""
    every = {name: Service(name, said) for name, said in document(environment)["services"].items()}
    ordered: dict[str, Service] = {}
    while len(ordered) < len(every):
        ready = [each for name, each in every.items() if name not in ordered and ordered.keys() >= each.after.keys()]
        assert ready, f"these wait for each other, or for one that is not there: {every.keys() - ordered.keys()}"
        ordered |= {each.name: each for each in ready}
    return ordered
