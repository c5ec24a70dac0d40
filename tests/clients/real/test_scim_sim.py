"""scim-sim 0.2.0, which simulates an identity provider: made-up people, pushed with their groups.

It has no command to change or deactivate somebody: what it can do is create and remove people, and make, fill, empty
and remove groups. Removing a group with it removes everybody who is in it.
"""

import re
import subprocess
from pathlib import Path

import pytest

from clients.real.running import PATIENCE, Customer, Product, installed


class Simulator:
    """``scim-sim``, which keeps address and token in a file at home and ends with 0 whatever happens."""

    def __init__(self, programs: Path, home: Path) -> None:
        self.program, self.home = programs / "scim-sim", home

    def __call__(self, *words: str, typed: str = "") -> str:
        """What a command says; a failure begins with a red cross."""
        ended = subprocess.run(
            [self.program, *words],
            env={"HOME": str(self.home), "PYTHONUTF8": "1"},
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert "❌" not in ended.stdout, ended.stdout
        return ended.stdout

    def made(self, *words: str) -> str:
        """The id of what a command makes."""
        said = self(*words)
        found = re.search(r"ID: (\S+)", said)
        assert found is not None, said
        return found[1]


@pytest.fixture(scope="session")
def customer(product: Product) -> Customer:
    """A customer whose provider is simulated."""
    return product.customer("simulated")


@pytest.fixture(scope="session")
def simulator(installations: Path, customer: Customer, tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """The simulator, set up as it asks for it."""
    simulator = Simulator(installed(installations, "scim-clients"), tmp_path_factory.mktemp("home"))
    said = simulator("setup", typed=f"{customer.scim_url}\n{customer.scim_token}\n")
    assert "saved" in said
    return simulator


def test_lives(customer: Customer, simulator: Simulator) -> None:
    """Made-up people come, get a role by their group, lose it, and go; what the simulator shows is what is stored."""
    first, second = simulator.made("add-user"), simulator.made("add-user")
    people = {name: each["role"] for name, each in customer.people().items()}
    assert list(people.values()) == ["member", "member"]
    name = next(name for name in people if (customer.resource("Users", name) or {})["id"] == first)
    session = customer.session(customer.person(name))

    group = simulator.made("create-group", "dart-guests")
    simulator("add-to-group", first, group)
    simulator("add-to-group", second, group)
    assert [each["role"] for each in customer.people().values()] == ["guest", "guest"]
    stored = customer.resource("Groups", "dart-guests")
    assert stored is not None
    assert {each["value"] for each in stored["members"]} == {first, second}
    shown = simulator("show")
    assert "dart-guests" in shown
    assert name in shown

    simulator("remove-from-group", second, group)
    assert sorted(each["role"] for each in customer.people().values()) == ["guest", "member"]
    assert customer.is_live(session)
    simulator("delete-group", group)
    assert customer.resource("Groups", "dart-guests") is None
    assert customer.resource("Users", name) is None
    assert not customer.is_live(session)
    simulator("remove-user", second)
    assert all(customer.resource("Users", each) is None for each in people)
