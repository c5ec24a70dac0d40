"""``rollcall health``: what a container's health check hears."""

import subprocess
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rollcall.engines.processes import free_port


class _Process(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {
            "/health/ready": (200, b'{"status": "ready"}'),
            "/unable": (503, b'{"checks": {"database": "away", "broker": "ok"}}'),
        }.get(self.path, (500, b"?"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's names
        pass


@pytest.fixture(scope="module")
def base() -> Generator[str]:
    """A process that answers."""
    with HTTPServer(("127.0.0.1", 0), _Process) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def health(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code, and all that is printed."""
    command = [sys.executable, "-m", "rollcall", "health", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_able(base: str) -> None:
    """A process that can serve is well; no setting is needed, and a proxy for going out is not asked."""
    assert health(f"{base}/health/ready", http_proxy="http://127.0.0.1:1") == (0, f"ok     {base}/health/ready\n")


def test_unable(base: str) -> None:
    """One that can't says which check failed."""
    code, said = health(f"{base}/unable")
    assert (code, said) == (1, f"NOT OK {base}/unable answers 503: database: away; broker: ok\n")
    assert health(f"{base}/other") == (1, f"NOT OK {base}/other answers 500\n")


def test_away() -> None:
    """One that does not answer is a line, and no traceback."""
    url = f"http://127.0.0.1:{free_port(None)}/"
    code, said = health(url)
    assert code == 1
    assert said.startswith(f"NOT OK {url} does not answer (")
    assert said.count("\n") == 1


def test_no_address() -> None:
    """What is no address is refused with an example."""
    code, said = health("localhost")
    assert code == 2
    assert "http://127.0.0.1:8000/health/ready" in said
