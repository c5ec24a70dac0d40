"""Errors are one sentence with a way on; a mistyped command, tenant or person is met with a guess at what was meant."""

import pytest

from cli.shell import Shell
from factories import Callers, a_tenant
from rollcall.settings import Settings


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("tenant list", "No such command 'tenant'. (Did you mean one of: 'tenants'?) See 'rollcall --help'."),
        ("tokens lst x", "See 'rollcall tokens --help'."),
        ("tokens list", "Missing argument 'TENANT'. See 'rollcall tokens list --help'."),
        ("tokens issue x", "Missing option '--label'. See 'rollcall tokens issue --help'."),
        ("tokens issue x --label y --scope skim", "'skim' is not one of 'scim', 'scim:read', 'admin', 'auditor'."),
        ("people list x --limt 3", "'--limit'"),
    ],
)
async def test_mistyped(settings: Settings, typed: str, said: str) -> None:
    """What can't be typed so ends with exit code 2, one line, and where to look."""
    misuse = (await Shell(settings)(*typed.split())).misuse
    assert said.partition(". (")[0] in misuse
    assert "See 'rollcall" in misuse
    assert len(misuse.splitlines()) == 1
    if "tenant" in typed or "lst" in typed:
        assert "id you mean" in misuse


async def test_meant(settings: Settings, callers: Callers) -> None:
    """A tenant or a person that there is not is compared with those there are."""
    shell, acme = Shell(settings), await a_tenant(callers, slug="guessed-at")
    tenant = await shell("tokens", "list", "guesed-at")
    assert tenant.refusal == "There is no tenant “guesed-at”. Did you mean “guessed-at”? See 'rollcall tenants list'."
    person = await shell("people", "show", acme.slug, "Adda@guessed-at.test")
    assert "Did you mean “ada@guessed-at.test”?" in person.refusal
    assert person.refusal.endswith("See 'rollcall people list guessed-at'.")
    nobody = await shell("explain", acme.slug, "zoe")
    assert nobody.refusal == "There is nobody called “zoe” in guessed-at. See 'rollcall people list guessed-at'."
