"""What ``rollcall up`` was asked for, and where its servers are: what it tells the process that does it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say."""

    port: int
    host: str
    data_dir: Path
    ready_file: Path | None
    manifest: Path | None
    apply_anew: bool
    fresh: bool
    sure: bool
    web_processes: int


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, and the servers' addresses as the environment variables that settings are read from."""

    wanted: Wanted
    addresses: Mapping[str, str]

    def written(self) -> str:
        """One line; it has passwords in it."""
        return json.dumps(asdict(self), default=str)

    def again(self) -> "Order":
        """The same for a second time: the file that was to be applied anew has been."""
        return replace(self, wanted=replace(self.wanted, apply_anew=False))

    @classmethod
    def read(cls, line: str) -> "Order":
        """What `written` gave."""
        order = json.loads(line)
        paths = {name: order["wanted"][name] for name in ("data_dir", "ready_file", "manifest")}
        options = order["wanted"] | {name: Path(path) if path else None for name, path in paths.items()}
        return cls(Wanted(**options), order["addresses"])
