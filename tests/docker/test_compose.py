"""compose.yaml: valid by the specification's own schema, made of commands and settings that exist, and locked down."""

import subprocess
import sys
from pathlib import Path

import pytest

from docker.commands import parse
from docker.composed import FOLDER, ROOT, Service, document, services, variables
from rollcall.settings import Settings

OURS = [each for each in services().values() if each.ours]
OTHERS = {
    "postgres": {"POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"},
    "valkey": set[str](),
    "proxy": {"ROLLCALL_DOMAIN"},
}
"""The variables that images of others are given, each documented by that image; the proxy's is our Caddyfile's."""


def test_is_valid() -> None:
    """The file is what the compose specification's schema asks for."""
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    said = subprocess.run([*schema, FOLDER / "compose.yaml"], capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0, said.stdout + said.stderr


def test_has_every_part() -> None:
    """All that an installation is made of is there, the web twice, behind a proxy."""
    every = services()
    commands = {" ".join(each.command[:1]) for each in OURS}
    assert {"migrate", "serve", "relay", "worker"} <= commands
    assert {"postgres", "valkey", "proxy"} <= every.keys()
    assert every["web"].replicas == 2
    queues = {parse(each.command).params["queues"] for each in OURS if each.command[0] == "worker"}
    assert queues == {frozenset({"revocation", "housekeeping"}), frozenset({"delivery", "delivery-slow"})}
    assert every["postgres"].said["image"].startswith("postgres:18")
    assert every["valkey"].said["image"].startswith("valkey/valkey:9")


@pytest.mark.parametrize("service", OURS, ids=lambda each: each.name)
def test_commands_and_settings_exist(service: Service) -> None:
    """Each part's command is one of ours, with options it has, and each variable is a setting."""
    parse(service.command)
    for name in service.environment:
        setting = name.removeprefix("ROLLCALL_").removesuffix("_FILE").lower()
        assert name.startswith("ROLLCALL_")
        assert setting in Settings.model_fields, name
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    given = {name.removeprefix("ROLLCALL_").removesuffix("_FILE").lower() for name in service.environment}
    assert required <= given


def test_only_migrating_knows_the_owner() -> None:
    """The password of the role that owns the tables is in the hands of ``migrate`` alone."""
    knowing = {each.name for each in OURS if "migration_database_url" in each.secrets}
    assert knowing == {"migrate"}


def test_others_get_what_they_know() -> None:
    """Images of others are given the variables that they document."""
    others = {name: set(each.environment) for name, each in services().items() if not each.ours}
    assert others == OTHERS


def test_secrets_are_files() -> None:
    """Each secret that a service reads is one it is given, is declared, and is made by secrets.sh."""
    declared = document()["secrets"]
    script = (FOLDER / "secrets.sh").read_text()
    for name, how in declared.items():
        assert how == {"file": f"./secrets/{name}"}
        assert f"keep {name}\n" in script, name
    for service in services().values():
        assert set(service.secrets) <= declared.keys()
        read = [value for name, value in service.environment.items() if name.endswith("_FILE")]
        read += [word for word in service.command if word.startswith("/run/secrets/")]
        assert {value.removeprefix("/run/secrets/") for value in read} <= set(service.secrets), service.name
        assert not any("PASSWORD" in name and not name.endswith("_FILE") for name in service.environment)
    for name in ("database_owner_password", "database_web_password"):
        assert f"/run/secrets/{name}" in (FOLDER / "roles.sql").read_text()
        assert name in services()["postgres"].secrets


@pytest.mark.parametrize("service", services().values(), ids=lambda each: each.name)
def test_is_locked_down(service: Service) -> None:
    """Every container has a read-only root, no capability it does not need, and no way to gain any."""
    assert service.said["read_only"] is True
    assert service.said["cap_drop"] == ["ALL"]
    assert service.said["security_opt"] == ["no-new-privileges:true"]
    if service.ours:
        assert "cap_add" not in service.said
        assert not any("docker.sock" in str(each) for each in service.said.get("volumes", []))
    mounted = [each.split(":")[0] for each in service.said.get("volumes", [])]
    for path in mounted:
        assert path in document()["volumes"] or (FOLDER / path).exists(), path


def test_only_the_proxy_is_reached_from_outside() -> None:
    """One service publishes ports; engines and workers are on a network that leads nowhere."""
    every = services()
    assert [name for name, each in every.items() if "ports" in each.said] == ["proxy"]
    assert document()["networks"]["back"] == {"internal": True}
    for name in ("postgres", "valkey", "migrate", "relay", "worker"):
        assert every[name].said["networks"] == ["back"]


def test_the_proxy_is_the_one_believed() -> None:
    """What the proxy says of callers is believed because it comes from the proxy's fixed address."""
    every = services()
    address = every["proxy"].said["networks"]["front"]["ipv4_address"]
    assert address in every["web"].environment["ROLLCALL_TRUSTED_PROXIES"]


def test_everybody_waits_for_the_right_thing() -> None:
    """Nothing serves before the migration has ended well, nor migrates before the database answers."""
    every = services()
    assert every["migrate"].after == {"postgres": "service_healthy"}
    for service in OURS:
        if service.name != "migrate":
            assert service.after["migrate"] == "service_completed_successfully", service.name
    assert every["proxy"].after == {"web": "service_healthy"}
    assert every["migrate"].said["restart"] == "no"


def test_is_documented() -> None:
    """Every variable an operator can set stands in the documentation."""
    said = (ROOT / "docs" / "docker.md").read_text()
    for name in variables():
        assert f"`{name}`" in said, name
    assert "docker/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """A second run changes nothing, and nobody else enters the folder."""
    script, folder = tmp_path / "secrets.sh", tmp_path / "secrets"
    script.write_text((FOLDER / "secrets.sh").read_text())
    made: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run(["sh", script], check=True, capture_output=True, timeout=30)
        made.append({each.name: each.read_text() for each in folder.iterdir()})
    assert made[0] == made[1]
    assert made[0].keys() >= document()["secrets"].keys()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o444}
