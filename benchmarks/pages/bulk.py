"""Bulk statements, which stand beside their module in a file of the same name, each under its own in brackets."""

import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"^-- \[([a-z_]+)\]$", re.MULTILINE)


def statements(module: str) -> Mapping[str, str]:
    """Those of a module, by their names; *module* is its file."""
    _, *parts = _NAME.split(Path(module).with_suffix(".sql").read_text())
    return dict(zip(parts[::2], parts[1::2], strict=True))
