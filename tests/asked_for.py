"""Slow folders of tests, which are collected only when they are asked for."""

from pathlib import Path

import pytest


def left_out(folder: Path, config: pytest.Config) -> bool | None:
    """What ``pytest_ignore_collect`` says of a folder: true unless it, or something in it, was named."""
    named = [Path(str(argument).partition("::")[0]).absolute() for argument in config.args]
    return None if any(each == folder or folder in each.parents for each in named) else True
