"""Rollcall as processes of its own, a tenant for a client, and clients installed from their lock files."""

import subprocess
import sys
import venv
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from factories import DART_RULE
from journeys.conftest import eventually, rollcall_up, wait_for_ready_file
from rollcall.engines.processes import free_port

ROOT = Path(__file__).parents[3]
PATIENCE = 120
"""Seconds that a client may take for one thing; a machine may be busy with others."""


def installed(folder: Path, name: str) -> Path:
    """Install what ``requirements-NAME.lock`` has into an environment of its own; returns where its programs are."""
    place = folder / name
    if not place.exists():
        venv.create(place, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "-q", "--no-input"]
        locked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", f"requirements-{name}.lock"]
        subprocess.run([*pip, "--disable-pip-version-check", *locked], cwd=ROOT, check=True, timeout=500)
    return place / "bin"


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant whose identity provider is a client under test; what it has done is read by ops and by the product."""

    slug: str
    scim_url: str
    scim_token: str
    operator: httpx.Client
    application: httpx.Client

    def people(self) -> dict[str, dict[str, Any]]:
        """Everybody there is, by userName, but for the admin who owns the token."""
        answer = self.operator.get(f"/v1/tenants/{self.slug}/people", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return {each["user_name"]: each for each in answer.json()["data"] if not each["user_name"].startswith("ada@")}

    def person(self, user_name: str) -> dict[str, Any]:
        """What the product knows of somebody."""
        return self.people()[user_name]

    def resource(self, kind: str, name: str) -> dict[str, Any] | None:
        """What is stored of a user or a group, found by the name it has."""
        attribute = {"Users": "userName", "Groups": "displayName"}[kind]
        headers = {"Authorization": f"Bearer {self.scim_token}"}
        asked = {"filter": f'{attribute} eq "{name}"'}
        answer = httpx.get(f"{self.scim_url}/{kind}", params=asked, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        found = answer.json()["Resources"]
        return found[0] if found else None

    def session(self, person: dict[str, Any]) -> str:
        """Sign somebody in, as the product does; returns the session's token."""
        answer = self.application.post("/v1/sessions", json={"tenant": self.slug, "person": person["id"]})
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    def is_live(self, session: str) -> bool:
        """Whether a session is still good."""
        answer = self.application.post("/oauth/introspect", data={"token": session})
        assert answer.status_code == 200, answer.text
        return answer.json()["active"]

    def agents(self) -> list[str]:
        """What the client has called itself, by the evidence that is kept of providers."""

        def known() -> list[str]:
            answer = self.operator.get(f"/v1/tenants/{self.slug}/provider")
            assert answer.status_code == 200, answer.text
            marks = [each["mark"] for each in answer.json()["evidence"]]
            return [mark.removeprefix("user-agent:") for mark in marks if mark.startswith("user-agent:")]

        return eventually(known, within=PATIENCE)


@dataclass(frozen=True, slots=True)
class Product:
    """A running installation."""

    scim_url: str
    operator: httpx.Client
    application: httpx.Client

    def customer(self, slug: str) -> Customer:
        """Take on a customer, with the dart- rule, an admin called ada, and a SCIM token of hers."""
        address = f"/v1/tenants/{slug}"
        terms = {"plan": "business", "rate_per_second": 0, "role_rule": DART_RULE}
        self._made("/v1/tenants", {"slug": slug, "name": slug, **terms})
        admin = self._made(f"{address}/people", {"user_name": f"ada@{slug}.test", "role": "admin"})
        token = self._made(f"{address}/tokens", {"label": "a real client", "owner": admin["id"]})
        return Customer(slug, self.scim_url, token["token"], self.operator, self.application)

    def _made(self, address: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.operator.post(address, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def running_product(home: Path) -> Generator[Product]:
    """An installation that ends with the block.

    It does not announce cursors (``ROLLCALL_ANNOUNCE_CURSORS``), for clients whose library forbids what it knows not.
    """
    options = ("--port", str(free_port(None)), "--ready-file", str(home / "ready.json"))
    with rollcall_up(home / "data", *options, ROLLCALL_ANNOUNCE_CURSORS="false") as process:
        ready = wait_for_ready_file(process, home / "ready.json", home / "data.out")

        def by(key: str) -> httpx.Client:
            return httpx.Client(
                base_url=ready["base_url"], headers={"Authorization": f"Bearer {ready[key]}"}, timeout=PATIENCE
            )

        with by("operator_key") as operator, by("application_key") as application:
            yield Product(ready["scim_url"], operator, application)
