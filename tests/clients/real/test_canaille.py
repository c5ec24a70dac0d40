"""Canaille 0.3.6, an identity provider, by its own SCIM client.

It asks for any version of scim2-client and scim2-models. With those of today it can't be imported (``cannot import name
'SCIMClientError' from 'scim2_client'``); with 0.7.5 and 0.6.12, which it was written with, it works, where
``ROLLCALL_ANNOUNCE_CURSORS`` is false: that library forbids attributes it does not know.
"""

import subprocess
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from clients.real.running import PATIENCE, Customer, Product, installed

DRIVER = Path(__file__).with_name("canaille_driver.py")
Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def customer(product: Product) -> Customer:
    """A customer with Canaille."""
    return product.customer("canaille")


@pytest.fixture(scope="module")
def tell(installations: Path, customer: Customer, tmp_path_factory: pytest.TempPathFactory) -> Generator[Tell]:
    """Canaille, which does what it is told, and has told Rollcall when it says so."""
    programs = installed(installations, "canaille")
    log = tmp_path_factory.mktemp("canaille") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [programs / "python", DRIVER, customer.scim_url, customer.scim_token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as canaille,
    ):
        assert canaille.stdin is not None
        assert canaille.stdout is not None
        asked, answers = canaille.stdin, canaille.stdout

        def say(word: str) -> None:
            asked.write(f"{word}\n")
            asked.flush()
            while (line := answers.readline()) and not line.startswith("done: "):
                pass
            assert line == f"done: {word}\n", log.read_text()
            assert "failed" not in log.read_text(), log.read_text()

        yield say
        asked.close()
        canaille.wait(PATIENCE)


def test_a_life(customer: Customer, tell: Tell) -> None:
    """Somebody is taken in, changed, put into a group that gives a role, locked and removed."""
    tell("create")
    stored = customer.resource("Users", "alice")
    assert stored is not None
    assert (stored["name"]["familyName"], stored["emails"][0]["value"]) == ("Archer", "alice@canaille.test")
    assert customer.person("alice")["active"] is True
    session = customer.session(customer.person("alice"))

    tell("change")
    stored = customer.resource("Users", "alice")
    assert stored is not None
    assert (stored["name"]["familyName"], stored["title"]) == ("Bowman", "Dr")

    tell("group")
    assert customer.person("alice")["role"] == "guest"
    assert customer.is_live(session)

    tell("deactivate")
    assert customer.person("alice")["active"] is False
    assert not customer.is_live(session)

    tell("ungroup")
    assert customer.resource("Groups", "dart-guests") is None
    tell("delete")
    assert customer.resource("Users", "alice") is None
    assert customer.agents()[0].startswith("python-httpx/")
