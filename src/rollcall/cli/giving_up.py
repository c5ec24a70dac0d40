"""Ending a command with a line that says why, and what to do."""

import errno
import sys
from pathlib import Path
from typing import NoReturn

import click


def give_up(message: str) -> NoReturn:
    """End the command with a line that says why, and what to do."""
    click.secho(message, fg="red", err=True)
    sys.exit(1)


def why_not_started(error: BaseException, said: str, data_dir: Path) -> str:
    """A failure of the disk or of a server, which *said* something, with what to do about it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {data_dir} is full. Make room, or choose another place with --data-dir."
    return f"It could not be started: {said}\nLogs, if there are any, are in {data_dir / 'logs'}."
