"""``python -m benchmarks.memory``: what the whole of ``rollcall up`` holds in memory, process by process.

Told is the proportional set size where the kernel knows it: what processes share is divided among them, so that the sum
is what the machine gives. Elsewhere it is the resident set size, whose sum counts what is shared once for each of them.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import psutil

from benchmarks.servers import family, free_port

STARTING_SECONDS = 180
MEGABYTE = 2**20


@click.command()
@click.option("--settling", default=6.0, show_default=True, type=click.FloatRange(0, 600), help="Seconds to wait.")
def main(settling: float) -> None:
    """Start the whole product with nobody asking it anything, and measure what each process holds."""
    with tempfile.TemporaryDirectory(prefix="rollcall-memory-") as folder, _up(Path(folder)) as up:
        time.sleep(settling)
        processes = family(up)
        engines = 0
        whole = 0
        for process in processes:
            whole += (size := _size(process))
            if (name := _name(process.cmdline())) is None:
                engines += size
                continue
            click.echo(f"{size / MEGABYTE:7.0f} MB  {name}")
        click.echo(f"{engines / MEGABYTE:7.0f} MB  PostgreSQL and Valkey")
        click.echo(f"{whole / MEGABYTE:7.0f} MB  altogether")


@contextmanager
def _up(folder: Path) -> Generator[psutil.Process]:
    """``rollcall up`` from the moment everything answers until the block ends.

    Raises:
        ClickException: it ended, or does not answer in time.
    """
    ready, log = folder / "ready.json", folder / "up.log"
    options = ["--port", str(free_port()), "--data-dir", str(folder / "data"), "--ready-file", str(ready)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "rollcall", "up", *options], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"'rollcall up' does not run:\n{log.read_text()}")
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _size(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return getattr(memory, "pss", memory.rss)


def _name(command: Sequence[str]) -> str | None:
    """What a process is, without the ports and folders of this run; None for one of the engines."""
    if "rollcall" not in command:
        return None
    words = command[command.index("rollcall") :]
    chosen = [word for word in words if not word.startswith(("/", "-")) and not word[0].isdigit()]
    return " ".join(chosen)


if __name__ == "__main__":
    sys.exit(main())
