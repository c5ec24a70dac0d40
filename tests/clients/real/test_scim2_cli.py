"""scim2-cli 0.6.0, a SCIM client for the command line, which learns the service by its discovery documents."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clients.real.running import PATIENCE, Customer, Product, installed


class Cli:
    """``scim2`` as somebody types it."""

    def __init__(self, programs: Path, customer: Customer) -> None:
        self.program = programs / "scim2"
        self.environment = {
            "PATH": os.environ["PATH"],
            "SCIM_CLI_URL": customer.scim_url,
            "SCIM_CLI_HEADERS": f"Authorization: Bearer {customer.scim_token}",
        }

    def __call__(self, *words: str) -> Any:
        """What a command prints; it has to end well."""
        ended = subprocess.run(
            [self.program, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, f"{words}: {ended.stdout} {ended.stderr}"
        return json.loads(ended.stdout) if ended.stdout.strip() else None


@pytest.fixture(scope="session")
def customer(product: Product) -> Customer:
    """A customer who provisions by hand."""
    return product.customer("by-hand")


@pytest.fixture(scope="session")
def scim2(installations: Path, customer: Customer) -> Cli:
    """The client, with the customer's address and token."""
    return Cli(installed(installations, "scim-clients"), customer)


def test_a_life(customer: Customer, scim2: Cli) -> None:
    """Somebody is taken in, changed, put into a group that gives a role, deactivated and removed."""
    bea = scim2("create", "user", "--user-name", "bea@by-hand.test", "--external-id", "7", "--display-name", "Bea")
    assert customer.person("bea@by-hand.test")["active"] is True
    session = customer.session(customer.person("bea@by-hand.test"))

    scim2("modify", "user", bea["id"], "replace", "displayName", "Bea Bell", "add", "title", "Dr")
    stored = customer.resource("Users", "bea@by-hand.test")
    assert stored is not None
    assert (stored["displayName"], stored["title"], stored["externalId"]) == ("Bea Bell", "Dr", "7")

    members = json.dumps([{"value": bea["id"]}])
    group = scim2("create", "group", "--display-name", "dart-guests", "--members", members)
    assert customer.person("bea@by-hand.test")["role"] == "guest"
    scim2("modify", "group", group["id"], "remove", f'members[value eq "{bea["id"]}"]')
    assert customer.person("bea@by-hand.test")["role"] == "member"
    scim2("delete", "group", group["id"])
    assert customer.resource("Groups", "dart-guests") is None

    replaced = scim2(
        "replace",
        "user",
        "--id",
        bea["id"],
        "--user-name",
        "bea@by-hand.test",
        "--active",
        "true",
        "--display-name",
        "Bea B",
    )
    assert replaced["displayName"] == "Bea B"
    assert customer.is_live(session)
    scim2("modify", "user", bea["id"], "replace", "active", "false")
    assert customer.person("bea@by-hand.test")["active"] is False
    assert not customer.is_live(session)

    scim2("delete", "user", bea["id"])
    assert customer.resource("Users", "bea@by-hand.test") is None


def test_questions(customer: Customer, scim2: Cli) -> None:
    """It finds people by a filter, by GET and by POST, and says what a refusal says."""
    made = scim2("create", "user", "--user-name", "cleo@by-hand.test")
    for verb in ("query", "search"):
        found = scim2(verb, "user", "--filter", 'userName eq "CLEO@by-hand.test"')
        assert [each["id"] for each in found["Resources"]] == [made["id"]]
    with pytest.raises(AssertionError, match="uniqueness"):
        scim2("create", "user", "--user-name", "cleo@by-hand.test")


def test_its_own_checks(scim2: Cli) -> None:
    """Its compliance check, scim2-tester's, finds nothing wrong."""
    ended = subprocess.run(
        [scim2.program, "test"],
        env=scim2.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ERROR" not in ended.stdout
    assert "SUCCESS" in ended.stdout
