"""The whole product as processes of its own, over real HTTP, on engines that a story may stop and start."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import stripe_stand_in
from factories import DART_RULE
from rollcall.cli.embedded import Engines, prepare, running
from rollcall.engines.processes import free_port
from stripe_stand_in import Stripe, stripe_api

_NUMBERS = count(1)


@dataclass(frozen=True)
class Customer:
    """A tenant in a story, with its identity provider, its admin and its way into the management API."""

    product: "Product"
    slug: str
    admin: dict[str, Any]
    token: dict[str, Any]
    scim: httpx.Client

    def create(self, user_name: str, **attributes: Any) -> dict[str, Any]:
        """Have the identity provider create a person."""
        answer = self.scim.post("/Users", json={"userName": user_name, **attributes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def patch(self, person: dict[str, Any], *operations: dict[str, Any]) -> httpx.Response:
        """Have the identity provider change a person."""
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
        return self.scim.patch(f"/Users/{person['id']}", json=body)

    def deactivate(self, person: dict[str, Any]) -> httpx.Response:
        """Have the identity provider say that somebody left."""
        return self.patch(person, {"op": "replace", "path": "active", "value": False})

    def session(self, person: dict[str, Any]) -> httpx.Response:
        """Have the product open a session."""
        return self.product.application.post("/v1/sessions", json={"tenant": self.slug, "person": person["id"]})

    def receipts(self, person: dict[str, Any]) -> list[dict[str, Any]]:
        """The receipts of a person's departures."""
        return self.ask(f"/people/{person['id']}/receipts")["data"]

    def ask(self, path: str, **parameters: Any) -> Any:
        """Read something of this tenant as ops."""
        answer = self.product.operator.get(f"/v1/tenants/{self.slug}{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tell(self, path: str, **body: Any) -> Any:
        """Change something of this tenant as ops."""
        answer = self.product.operator.post(f"/v1/tenants/{self.slug}{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


@dataclass(frozen=True)
class Product:
    """A running installation."""

    process: subprocess.Popen[bytes]
    engines: Engines
    data_dir: Path
    ready: dict[str, Any]
    operator: httpx.Client
    application: httpx.Client
    clients: ExitStack
    stripe: Stripe
    """The payment provider."""

    def command(self, *words: str) -> str:
        """What a command prints that ops type on this machine."""
        line = f". {self.data_dir / 'ops.sh'} && exec {sys.executable} -m rollcall {shlex.join(words)}"
        typed = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False)
        assert typed.returncode == 0, typed.stderr
        return typed.stdout

    def customer(self, *, plan: str = "business", **more: Any) -> Customer:
        """Take on a customer with the dart- rule, an admin, and a SCIM token that the admin owns."""
        slug = f"customer-{next(_NUMBERS)}"
        terms = {"slug": slug, "name": slug, "plan": plan, "rate_per_second": 0, "role_rule": DART_RULE, **more}
        made = self.operator.post("/v1/tenants", json=terms)
        assert made.status_code == 201, made.text
        base = f"/v1/tenants/{slug}"
        admin = self.operator.post(f"{base}/people", json={"user_name": f"ada@{slug}.test", "role": "admin"}).json()
        token = self.operator.post(f"{base}/tokens", json={"label": "provider", "owner": admin["id"]}).json()
        return Customer(self, slug, admin, token, self.provider(token["token"]))

    def provider(self, token: str) -> httpx.Client:
        """An identity provider that has this token."""
        return self.clients.enter_context(client(self.ready["scim_url"], token))

    def is_live(self, credential: str) -> bool:
        """What the product hears about a credential."""
        answer = self.application.post("/oauth/introspect", data={"token": credential})
        assert answer.status_code == 200, answer.text
        if not answer.json()["active"]:
            assert answer.json() == {"active": False}
        return answer.json()["active"]

    def processes(self, part: str) -> list[psutil.Process]:
        """The processes of web, relay, worker or delivery, with what they forked, oldest first."""
        return called(part, psutil.Process(self.process.pid).children(recursive=True))


def called(part: str, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that ``rollcall up`` calls by the name of a part, and that are still there."""
    found: list[psutil.Process] = []
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            if each.name() == f"rollcall-{part}"[:15]:  # more is not kept of it
                found.append(each)
    return found


def client(base_url: str, token: str) -> httpx.Client:
    """Somebody who calls *base_url* with *token*."""
    return httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def eventually(holds: Callable[[], Any], *, within: float = 60) -> Any:
    """Wait until *holds* gives something true, and return that."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, f"did not come true within {within} s"
        time.sleep(0.05)
    return found


@contextmanager
def rollcall_up(data_dir: Path, *arguments: str, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """``rollcall up`` as a process of its own; stopped as by Ctrl-C when the block ends."""
    command = [sys.executable, "-m", "rollcall", "up", "--data-dir", str(data_dir), *arguments]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")}
    with (data_dir.parent / f"{data_dir.name}.out").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=surroundings | environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def wait_for_ready_file(process: subprocess.Popen[bytes], path: Path, output: Path) -> dict[str, Any]:
    """What the ready file says, once it is there."""

    def written() -> bool:
        assert process.poll() is None, output.read_text()
        return path.exists()

    eventually(written, within=150)  # a machine may be busy with others
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def stripe() -> Generator[Stripe]:
    """Stripe's API, as far as it is asked."""
    with stripe_api() as there:
        yield there


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory, stripe: Stripe) -> Generator[Product]:
    """The product on two web processes, using servers it was given; leases are short, so that stories are."""
    base = tmp_path_factory.mktemp("journeys")
    data_dir, ready_file = base / "data", base / "ready.json"
    with running(base / "engines", durable=False) as (postgres, valkey):
        engines = asyncio.run(prepare(postgres, valkey))
        port = free_port(None)
        environment = engines.environment | {
            "ROLLCALL_OUTBOX_LEASE_SECONDS": "3",
            "ROLLCALL_OUTBOX_POLL_SECONDS": "0.1",
            "ROLLCALL_ENVIRONMENT": "production",
            "ROLLCALL_STRIPE_WEBHOOK_SECRETS": stripe_stand_in.SECRET,
            "ROLLCALL_STRIPE_API_KEY": stripe_stand_in.API_KEY,
            "ROLLCALL_STRIPE_API_URL": stripe.url,
        }
        options = ("--port", str(port), "--ready-file", str(ready_file), "--web-processes", "2")
        with rollcall_up(data_dir, *options, **environment) as process:
            ready = wait_for_ready_file(process, ready_file, base / "data.out")
            with ExitStack() as clients:
                operator = clients.enter_context(client(ready["base_url"], ready["operator_key"]))
                application = clients.enter_context(client(ready["base_url"], ready["application_key"]))
                yield Product(process, engines, data_dir, ready, operator, application, clients, stripe)


@pytest.fixture
def customer(product: Product) -> Customer:
    """A fresh customer."""
    return product.customer()
