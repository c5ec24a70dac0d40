"""``rollcall keys``: roles of operators' keys are chosen, shown and refused where there are none."""

import json

import pytest

from cli.shell import Shell
from factories import Callers
from rollcall.settings import Settings


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Nobody is at the keyboard."""
    return Shell(settings)


@pytest.mark.parametrize(
    ("typed", "role", "overview"),
    [((), "ops", 200), (("--role", "support"), "support", 200), (("--role", "billing"), "billing", 403)],
)
async def test_role_of_a_key(shell: Shell, callers: Callers, typed: tuple[str, ...], role: str, overview: int) -> None:
    """A key has the role that was asked for, everything if none was, and the list says which."""
    made = json.loads((await shell("keys", "issue", "operator", "--label", f"of {role}", *typed, "--json")).well)
    assert made["role"] == role
    listed = json.loads((await shell("keys", "list", "--json")).well)["data"]
    assert (listed[-1]["label"], listed[-1]["role"]) == (f"of {role}", role)
    async with callers.bearer(made["key"]) as client:
        assert (await client.get("/v1/audit")).status_code == overview
        assert (await client.get("/v1/plans")).status_code == 200


async def test_no_role_for_the_product(shell: Shell) -> None:
    """The product's key has no role, and asking for one is refused with what to do; so is a role that is none."""
    refused = await shell("keys", "issue", "application", "--label", "web", "--role", "support")
    assert refused.code == 2
    assert "the product's has none" in refused.err
    refused = await shell("keys", "issue", "operator", "--label", "x", "--role", "admin")
    assert refused.code == 2
    assert "'ops', 'billing', 'support'" in refused.err
    made = json.loads((await shell("keys", "issue", "application", "--label", "web", "--json")).well)
    assert made["role"] is None
