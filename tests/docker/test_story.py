"""compose.yaml carried out with plain processes: each service in its order, with its command and its environment.

What a container engine would do is done by hand: names of services become addresses of this machine, /run/secrets a
folder, replicas processes at ports of their own. The engines are real, and their roles are made by roles.sql; the proxy
is Caddy with our Caddyfile, where Caddy is installed.
"""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from docker.composed import FOLDER, ROOT, Service, services
from journeys.conftest import client, eventually
from rollcall.engines import Postgres, lock, programs
from rollcall.engines.processes import account_for, end, free_port, spawn

RUN = [sys.executable, "-m", "rollcall"]
FIGURES = "0.0.0.0:9464"
SHIM = """#!/bin/sh
# Stands for "docker compose -f compose.yaml run --rm -T ops ..." and "... cp proxy:PATH TO".
shift 3
case "$1" in
run)
    shift 4
    for word; do shift; set -- "$@" "${{word#/}}"; done  # /tenants.toml is mounted there; here it is in the folder
    set -a; . {environment}; set +a
    cd {folder} && exec {python} -m rollcall "$@" ;;
cp) cp {certificates}"${{2#proxy:/data/caddy}}" "$3" ;;
esac
"""


@dataclass
class Composed:
    """The services, running."""

    folder: Path
    postgres: Postgres
    broker_port: int
    domain: str
    services: Mapping[str, Service]
    web_ports: Sequence[int]
    stack: ExitStack
    figures_at: dict[str, str] = field(default_factory=dict[str, str])
    running: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict[str, "subprocess.Popen[bytes]"])

    @property
    def secrets(self) -> Path:
        """What stands for /run/secrets."""
        return self.folder / "docker" / "secrets"

    def here(self, text: str) -> str:
        """*text* with addresses of this machine in place of those inside compose's networks."""
        text = text.replace("/run/secrets/", f"{self.secrets}/").replace("@postgres:5432/", self.database)
        return text.replace("@valkey:6379/", f"@127.0.0.1:{self.broker_port}/").replace("172.30.84.2", "127.0.0.1")

    @property
    def database(self) -> str:
        """Where the database is, as it stands in an address."""
        return re.sub(r".*@", "@", self.postgres.superuser_url).rpartition("/")[0] + "/"

    def environment(self, service: Service) -> dict[str, str]:
        """The environment of a service, and nothing of ours."""
        return {"PATH": os.environ["PATH"], **{name: self.here(value) for name, value in service.environment.items()}}

    def run(self, service: Service) -> None:
        """Carry out one service: to its end if others wait for that, and otherwise until it answers or goes on."""
        match service.name:
            case "postgres":
                self.make_roles()
            case "valkey":
                self.start("valkey", self.start_broker())
            case "proxy":
                self.start_proxy()
            case "migrate":
                ended = subprocess.run(
                    [*RUN, *service.command],
                    env=self.environment(service),
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=120,
                )
                assert ended.returncode == 0, ended.stderr
            case "web":
                for port in self.web_ports:
                    words = [{"0.0.0.0": "127.0.0.1", "8000": str(port)}.get(word, word) for word in service.command]
                    self.start(f"web-{port}", [*RUN, *self.with_figures(f"web-{port}", words)], service)
                eventually(lambda: all(self.healthy(port) for port in self.web_ports), within=60)
            case _:
                words = [self.here(word).replace("/tmp/", f"{self.folder}/") for word in service.command]
                self.start(service.name, [*RUN, *self.with_figures(service.name, words)], service)

    def with_figures(self, name: str, words: Sequence[str]) -> Sequence[str]:
        """The command with a port of this machine for its figures, where it has any."""
        if FIGURES not in words:
            return words
        self.figures_at[name] = f"127.0.0.1:{free_port(None)}"
        return [self.figures_at[name] if word == FIGURES else word for word in words]

    def figure(self, name: str, line: str) -> float:
        """What a process says of one figure; 0 if it has none such."""
        text = httpx.get(f"http://{self.figures_at[name]}/metrics").text
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def start(self, name: str, command: Sequence[str], service: Service | None = None) -> None:
        """Start a process; what it prints is in NAME.log."""
        environment = self.environment(service) if service else {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / f"{name}.log").open("wb") as output:
            self.running[name] = spawn(
                command,
                folder=Path("/"),
                account=None,
                output=output,
                when_orphaned=signal.SIGTERM,
                environment=environment,
            )
        self.stack.callback(end, self.running[name], ((signal.SIGTERM, 20),))

    def healthy(self, port: int) -> bool:
        """What the image's health check finds."""
        self.all_run()
        url = f"http://127.0.0.1:{port}/health/ready"
        return subprocess.run([*RUN, "health", url], capture_output=True, check=False, timeout=30).returncode == 0

    def all_run(self) -> None:
        """See that nothing has ended."""
        for name, process in self.running.items():
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()

    def make_roles(self) -> None:
        """What PostgreSQL's image does with roles.sql when its volume is empty."""
        script = self.folder / "roles.sql"
        script.write_text(self.here((FOLDER / "roles.sql").read_text()))
        psql = programs.postgres(account_for(self.folder)) / "psql"
        subprocess.run(
            [psql, self.postgres.superuser_url, "-q", "-f", script], check=True, capture_output=True, timeout=30
        )

    def start_broker(self) -> Sequence[str]:
        """Valkey with the file that secrets.sh wrote, at a port of this machine."""
        address = ("--bind", "127.0.0.1", "--port", str(self.broker_port), "--dir", str(self.folder))
        return [str(programs.valkey(None)), str(self.secrets / "valkey.conf"), *address]

    def start_proxy(self) -> None:
        """Caddy, where it is installed, with the web processes named one by one: there is no name service for them."""
        caddy = shutil.which("caddy")
        if caddy is None:
            return
        text = (FOLDER / "Caddyfile").read_text()
        upstreams = "to " + " ".join(f"127.0.0.1:{port}" for port in self.web_ports)
        text, replaced = re.subn(r"dynamic a web 8000 \{.*?\}", upstreams, text, flags=re.DOTALL)
        assert replaced == 1
        port = self.domain.partition(":")[2]
        inside = f"admin off\n\thttp_port {free_port(None)}\n\thttps_port {port}\n\tskip_install_trust\n\tstorage"
        text = text.replace("admin off", f"{inside} file_system {self.folder}/certificates", 1)
        (self.folder / "Caddyfile").write_text(text.replace("{$ROLLCALL_DOMAIN:localhost}", self.domain))
        self.start("proxy", [caddy, "run", "--adapter", "caddyfile", "--config", str(self.folder / "Caddyfile")])
        eventually((self.folder / "certificates/pki/authorities/local/root.crt").exists)

    def shell(self, script: str, **environment: str) -> str:
        """What a shell prints in the working copy, with ``docker`` in its path."""
        surroundings = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", **environment}
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.folder,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install_shim(self) -> None:
        """A ``docker`` that runs what try.sh asks for as a plain process, with the environment of ``ops``."""
        (self.folder / "bin").mkdir()
        ops = self.environment(self.services["ops"]).items()
        variables = self.folder / "ops.env"
        variables.write_text("".join(f"{name}='{value}'\n" for name, value in ops if name != "PATH"))
        shutil.copy(ROOT / "tenants.example.toml", self.folder / "tenants.toml")
        shim = self.folder / "bin" / "docker"
        certificates = self.folder / "certificates"
        shim.write_text(
            SHIM.format(environment=variables, folder=self.folder, python=sys.executable, certificates=certificates)
        )
        shim.chmod(0o755)


@contextmanager
def composed(folder: Path) -> Generator[Composed]:
    """All services but ``ops``, each once those it waits for are there; ended in the reverse order."""
    folder.chmod(0o755)
    (folder / "docker").mkdir()
    for name in ("secrets.sh", "try.sh", "compose.yaml"):
        shutil.copy(FOLDER / name, folder / "docker" / name)
    subprocess.run(["sh", folder / "docker" / "secrets.sh"], check=True, capture_output=True, timeout=30)
    domain = f"localhost:{free_port(None)}"
    ports = [free_port(None) for _ in range(services()["web"].replicas)]
    data = folder / "data"
    with lock(data), Postgres(data, durable=False) as postgres, ExitStack() as stack:
        every = services({"ROLLCALL_DOMAIN": domain})
        running = Composed(folder, postgres, free_port(None), domain, every, ports, stack)
        for secret in running.secrets.iterdir():
            said = running.here(secret.read_text())
            secret.unlink()
            secret.write_text(said)
        running.install_shim()
        for service in every.values():
            if "profiles" not in service.said:
                running.run(service)
        yield running


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Generator[Composed]:
    """The services, running."""
    with composed(tmp_path_factory.mktemp("composed")) as running:
        yield running


def test_somebody_leaves(installation: Composed) -> None:
    """Created through one web process, known in the other, deactivated, gone in both, and proven by the worker."""
    first, second = (f"http://127.0.0.1:{port}" for port in installation.web_ports)
    installation.shell("docker compose -f x run --rm -T ops tenants apply /tenants.toml")
    keys = {
        kind: installation.shell(f"docker compose -f x run --rm -T ops keys issue {kind} --label test").strip()
        for kind in ("operator", "application")
    }
    with (
        client(first, keys["operator"]) as operator,
        client(second, keys["application"]) as product,
    ):
        token = operator.post("/v1/tenants/juniper/tokens", json={"label": "provider"}).json()["token"]
        with client(f"{first}/scim/v2", token) as scim:
            maria = scim.post("/Users", json={"userName": "maria@composed.example"}).json()
            opened = product.post("/v1/sessions", json={"tenant": "juniper", "person": maria["id"]}).json()
            asked = {"token": opened["token"]}
            assert product.post("/oauth/introspect", data=asked).json()["active"] is True
            gone = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
            assert scim.patch(f"/Users/{maria['id']}", json=gone).json()["active"] is False
            assert product.post("/oauth/introspect", data=asked).json() == {"active": False}
        receipts = f"/v1/tenants/juniper/people/{maria['id']}/receipts"
        assert eventually(lambda: "complete" in operator.get(receipts).text, within=60)
    installation.all_run()


def test_everybody_has_figures(installation: Composed) -> None:
    """Each part answers Prometheus, without a key, for all of its processes; none says whose figures they are."""
    names = {"relay", "worker", "delivery", *(f"web-{port}" for port in installation.web_ports)}
    assert installation.figures_at.keys() == names
    for name, address in installation.figures_at.items():
        health = [*RUN, "health", f"http://{address}/metrics"]
        assert subprocess.run(health, capture_output=True, check=False, timeout=30).returncode == 0, name
        assert httpx.get(f"http://{address}/").status_code == 404
    first, second = (f"web-{port}" for port in installation.web_ports)
    patched = 'route="/scim/v2/Users/{user_id}"'
    counted = f'rollcall_calls_total{{method="PATCH",outcome="answered",profile="default",{patched}}}'
    assert installation.figure(first, counted) == 1
    assert installation.figure(second, counted) == 0
    asked = 'rollcall_calls_total{method="POST",outcome="answered",profile="",route="/oauth/introspect"}'
    assert installation.figure(second, asked) == 2
    settled = 'rollcall_tasks_total{outcome="completed",task="rollcall.settle_departures"}'
    assert eventually(lambda: installation.figure("worker", settled) >= 1)
    assert installation.figure("relay", 'rollcall_relay_tasks_total{queue="revocation"}') >= 1
    assert installation.figure("relay", 'rollcall_relay_rounds_total{outcome="well"}') >= 1
    assert eventually(lambda: installation.figure("relay", 'rollcall_outbox_waiting{kind="message"}') == 0, within=30)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_the_readme_runs(installation: Composed) -> None:
    """try.sh makes what the lines of docs/try-it.md use, and these work, through the proxy and its certificate."""
    said = installation.shell("docker/try.sh", ROLLCALL_DOMAIN=installation.domain)
    assert "Now: . docker/secrets/try.sh" in said
    block = re.search(
        r"<!-- a test runs these lines -->\n```sh\n(.*?)```", (ROOT / "docs/try-it.md").read_text(), re.DOTALL
    )
    assert block is not None
    pasted = installation.shell(block[1].replace(". .rollcall/try.sh", ". docker/secrets/try.sh"))
    answers = [json.loads(answer) for answer in re.sub(r"}\s*{", "}\n{", pasted.strip()).splitlines()]
    assert answers[0]["userName"] == "maria@juniper.example"
    assert answers[0]["meta"]["location"].startswith(f"https://{installation.domain}/scim/v2/")
    assert answers[1]["active"] is True
    assert answers[-1] == {"active": False}


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_figures_stay_inside(installation: Composed) -> None:
    """The proxy answers for what is public, and not for the figures of operations."""
    authority = installation.folder / "certificates/pki/authorities/local/root.crt"
    with httpx.Client(
        base_url=f"https://{installation.domain}", verify=ssl.create_default_context(cafile=authority)
    ) as outside:
        assert eventually(lambda: outside.get("/health/live").status_code == 200)
        assert outside.get("/metrics").status_code == 404
