"""``rollcall listen``, told by the real worker."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from journeys.conftest import Customer, Product, eventually
from rollcall.engines.processes import free_port
from rollcall.events.webhooks import new_secret

pytestmark = pytest.mark.slow


@contextmanager
def listening(folder: Path, *arguments: str, **environment: str) -> Generator[tuple[Path, Path]]:
    """``rollcall listen`` as a process of its own: where what it prints goes, and what it says about itself."""
    printed, said = folder / "printed", folder / "said"
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    with printed.open("wb") as output, said.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "rollcall", "listen", *arguments],
            stdout=output,
            stderr=errors,
            env={**surroundings, "PYTHONUNBUFFERED": "1", **environment},
        )
        try:
            eventually(lambda: "Listening at" in said.read_text() or process.poll() is not None)
            yield printed, said
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0, said.read_text()


def listed(customer: Customer) -> list[dict[str, Any]]:
    """The customer's destinations."""
    answer: Any = customer.ask("/destinations")
    return answer["data"] if isinstance(answer, dict) else answer  # pyright: ignore[reportUnknownVariableType]


def test_prints_what_the_worker_tells(product: Product, customer: Customer, tmp_path: Path) -> None:
    """Somebody leaves, and the developer reads who, verified; the destination is gone afterwards."""
    options = ("--url", product.ready["base_url"], "--tenant", customer.slug, "--topic", "user.deactivated")
    with listening(tmp_path, *options, OPERATOR_KEY=product.ready["operator_key"]) as (printed, said):
        (destination,) = listed(customer)
        assert destination["label"] == "rollcall listen"
        maria = customer.create("maria@acme.test")
        customer.deactivate(maria)
        first = eventually(lambda: printed.read_text().partition("\n")[0])
        eventually(lambda: printed.read_text().endswith("}\n"))
        body = json.loads(printed.read_text().partition("\n")[2])
    assert re.fullmatch(r"user\.deactivated  maria@acme\.test  msg_[0-9a-f]{32}  verified", first)
    assert body["data"]["person"]["id"] == maria["id"] or body["data"]["person"]["user_name"] == "maria@acme.test"
    assert "The destination is removed." in said.read_text()
    assert listed(customer) == []


def test_one_line_for_programs(product: Product, customer: Customer, tmp_path: Path) -> None:
    """With --json each webhook is one JSON object on a line."""
    options = ("--url", product.ready["base_url"], "--tenant", customer.slug, "--json")
    with listening(tmp_path, *options, OPERATOR_KEY=product.ready["operator_key"]) as (printed, _):
        customer.create("ida@acme.test")
        line = json.loads(eventually(lambda: printed.read_text().partition("\n")[0]))
    assert line["verified"] is True
    assert line["type"] == "user.provisioned"
    assert line["body"]["data"]["person"]["user_name"] == "ida@acme.test"


def test_what_is_not_signed_is_refused(tmp_path: Path) -> None:
    """Without a registration it verifies with the secret it was given, and takes nothing that another one signed."""
    secret, port = new_secret(), free_port(None)
    with listening(tmp_path, "--port", str(port), "--json", WEBHOOK_SECRET=secret) as (printed, _):
        for known, status in ((secret, 204), (new_secret(), 401)):
            assert call(port, known).status_code == status
        lines = eventually(lambda: len(found := printed.read_text().splitlines()) == 2 and found)
    assert [json.loads(line)["verified"] for line in lines] == [True, False]


def call(port: int, secret: str) -> httpx.Response:
    """A webhook, signed with *secret*."""
    now, body = datetime.now(UTC), '{"type": "user.created", "data": {}}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "There is nobody to register with: give --key"),
        (("--secret", "nonsense"), "This is no webhook's secret"),
        (("--url", "localhost", "--key", "x"), "'localhost' is no address; http://127.0.0.1:8000 is one"),
        (("--url", "http://127.0.0.1:1", "--key", "x"), "does not answer (Connection refused"),
    ],
)
def test_says_what_is_missing(arguments: tuple[str, ...], said: str) -> None:
    """What keeps it from listening is a line with the remedy."""
    ended = subprocess.run(
        [sys.executable, "-m", "rollcall", "listen", *arguments],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    assert said in re.sub(r"\s+", " ", ended.stderr.replace("[Errno 111] ", ""))
