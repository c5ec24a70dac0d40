"""The processes that are measured: started, waited for, ended, and asked how much processor time they took."""

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

STARTING_SECONDS = 60


class NeverReady(RuntimeError):
    """A server did not answer in time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A web process, or rather a small family of them, on a port of its own."""

    port: int
    process: psutil.Process

    def memory(self) -> int:
        """Bytes that the family's largest process holds in memory."""
        return max(each.memory_info().rss for each in family(self.process))


@contextmanager
def started(command: list[str], port: int, environment: Mapping[str, str], ready: str) -> Generator[Server]:
    """Run ``python`` with *command* until the block ends; it begins when the address *ready* answers.

    Raises:
        NeverReady: it ended, or did not answer within a minute.
    """
    process = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment})
    try:
        _wait(process, port, ready)
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process | None) -> float:
    """Processor time that a process and all that it started have taken so far; 0 for none."""
    total = 0.0
    if process is None:
        return total
    for each in family(process):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def free_port() -> int:
    """A port that nobody listens on at the moment, below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _wait(process: subprocess.Popen[bytes], port: int, ready: str) -> None:
    give_up_at = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise NeverReady(f"{process.args} ended with {process.returncode}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", ready)
            if connection.getresponse().status < 500:
                return
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.1)
    raise NeverReady(f"{process.args} did not answer on port {port} within {STARTING_SECONDS} seconds")
