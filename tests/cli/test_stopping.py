"""Acts that cut somebody off say who and what in numbers and names, ask, and in scripts need --yes."""

import asyncio
import re

import pytest

from cli.shell import Shell, at_terminal
from factories import Callers, Tenant, a_tenant
from rollcall.settings import Settings

ASKS = "This cuts somebody off, and nobody is here to be asked. Nothing was changed: add --yes to do it."


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Nobody is at the keyboard."""
    return Shell(settings)


async def used(acme: Tenant) -> None:
    """The tenant's provider has called."""
    assert (await acme.scim.get("/Users")).status_code == 200
    await acme.callers.app.state.context.batched_entries.flush()


async def test_a_plan_without_scim(shell: Shell, callers: Callers) -> None:
    """A plan without SCIM takes what gives from tokens: whose, when they were last used, how many people they keep."""
    acme = await a_tenant(callers)
    await acme.person()
    await acme.issue_token(label="Entra")
    await used(acme)

    asked = await shell("tenants", "plan", acme.slug, "free")
    assert (
        f"2 live tokens of 2 owners (“Entra” of the tenant, “identity provider” of ada@{acme.slug}.test)"
        in asked.misuse
    )
    assert "lose what gives (0 days of grace, then offboarding only without an end)" in asked.err
    assert "2 active people are no longer kept up to date" in asked.err
    assert re.search(r"Last used (now|\d+ s ago) by “identity provider” from 127\.0\.0\.1\.", asked.err)
    assert ASKS in asked.err
    assert (await acme.scim.get("/Users")).status_code == 200

    assert (await shell("tenants", "plan", acme.slug, "free", "--yes")).well.endswith("from the next call on.\n")
    assert (await acme.scim.post("/Users", json={"userName": "joiner"})).status_code == 403
    harmless = await shell("tenants", "plan", acme.slug, "business")
    assert (harmless.well.endswith("from the next call on.\n"), harmless.err) == (True, "")


async def test_a_suspension(shell: Shell, callers: Callers) -> None:
    """A suspension stops everything: people, sessions and tokens are counted; suspending again asks nothing."""
    acme = await a_tenant(callers)
    made = await callers.operator.post(f"{acme.v1}/people", json={"user_name": "maria"})  # not by the token's own call
    await acme.session(made.json())
    asked = await shell("tenants", "suspend", acme.slug)
    assert "2 active people, 1 open session, 1 live token of 1 owner" in asked.misuse
    assert "Never used so far." in asked.err
    assert (await shell("tenants", "suspend", acme.slug, "--yes")).well == f"{acme.slug} is suspended.\n"
    assert (await shell("tenants", "suspend", acme.slug)).err == ""


@pytest.mark.parametrize("act", ["demote", "deactivate"])
async def test_the_last_admin(shell: Shell, callers: Callers, act: str) -> None:
    """Whoever is the last admin, or owns a token that works, does not go without a question; anybody else does."""
    acme = await a_tenant(callers)
    maria = await acme.person()
    assert (await shell("people", act, acme.slug, maria["userName"])).err == ""
    asked = await shell("people", act, acme.slug, acme.admin["user_name"])
    assert f"{acme.admin['user_name']} is the last active admin of {acme.slug}" in asked.misuse
    assert "1 live token of 1 owner (“identity provider”" in asked.err
    assert ("loses 0 sessions, 0 personal tokens, 0 passkeys and 0 registered" in asked.err) == (act == "deactivate")
    assert (await shell("people", act, acme.slug, acme.admin["user_name"], "--yes")).code == 0
    assert (await acme.scim.get("/Users")).status_code == 401


async def test_an_owner_whose_connection_goes_on(shell: Shell, callers: Callers) -> None:
    """Where a connection outlives its owner it is said that it only takes away, and what else they own stops."""
    acme = await a_tenant(callers, owner_leaves="offboarding_only")
    await acme.issue_token(label="theirs", scopes=["admin"], owner=acme.admin["id"])
    asked = await shell("people", "deactivate", acme.slug, acme.admin["user_name"])
    assert "1 live token of 1 owner (“theirs” of" in asked.misuse
    assert "(“identity provider” of ada" in asked.err
    assert "only takes away until another admin takes it over." in asked.err
    assert (await shell("people", "deactivate", acme.slug, acme.admin["user_name"], "--yes")).code == 0
    assert (await acme.scim.get("/Users")).status_code == 200


async def test_a_token(shell: Shell, callers: Callers) -> None:
    """Ending a token that works asks, with what it was used for; one that has ended is revoked without a word."""
    acme = await a_tenant(callers)
    for words in (["revoke"], ["rotate", "--overlap-hours", "0"]):
        asked = await shell("tokens", *words, acme.slug, acme.token["id"])
        assert "1 live token of 1 owner" in asked.misuse
        assert f"It is the last one of {acme.slug} for SCIM: 1 active person is no longer kept" in asked.err
    assert (await shell("tokens", "revoke", acme.slug, acme.token["id"], "--yes")).code == 0
    again = await shell("tokens", "revoke", acme.slug, acme.token["id"])
    assert (again.well, again.err) == ("Revoked: the next call with it is refused.\n", "")
    nobody = await shell("tokens", "revoke", acme.slug, "x")
    assert nobody.refusal == f"“x” is not the id of a token; see 'rollcall tokens list {acme.slug}'."


async def test_a_destination(shell: Shell, callers: Callers) -> None:
    """A destination that is silenced is named, with how many deliveries are cancelled."""
    acme = await a_tenant(callers)
    wanted = {"url": "https://93.184.215.14/hook", "label": "CRM"}
    made = (await callers.operator.post(f"{acme.v1}/destinations", json=wanted)).json()
    assert (await shell("destinations", "test", acme.slug, made["id"])).code == 0
    for act in ("disable", "remove"):
        asked = await shell("destinations", act, acme.slug, made["id"])
        assert "“CRM” (webhook at 93.184.215.14, which hears everything) hears nothing more" in asked.misuse
        assert "1 delivery waiting for it is cancelled" in asked.err
    assert (await shell("destinations", "disable", acme.slug, made["id"], "--yes")).code == 0
    assert (await shell("destinations", "disable", acme.slug, made["id"])).err == ""


async def test_a_key(shell: Shell) -> None:
    """A key is named with what else of its kind still works."""
    await shell("keys", "issue", "application", "--label", "web")
    listed = await shell("keys", "list")
    key = next(line.split()[0] for line in listed.well.splitlines() if " web " in line)
    asked = await shell("keys", "revoke", key)
    assert "A key of the product, “web”, stops; " in asked.misuse
    assert (await shell("keys", "revoke", key, "--yes")).code == 0


@pytest.mark.slow
async def test_at_a_terminal(settings: Settings, callers: Callers) -> None:
    """At a terminal it asks: a no changes nothing, a yes does it; moments are relative there, and NO_COLOR is kept."""
    acme = await a_tenant(callers)
    await used(acme)
    revoke = ("tokens", "revoke", acme.slug, acme.token["id"])
    code, shown = await asyncio.to_thread(at_terminal, settings, "n\n", *revoke)
    assert (code, "Go on? [y/N]" in shown, "Nothing was changed." in shown, "\x1b[3" in shown) == (1, True, True, True)
    assert (await acme.scim.get("/Users")).status_code == 200

    code, shown = await asyncio.to_thread(at_terminal, settings, "", "tokens", "list", acme.slug, NO_COLOR="1")
    assert (code, " ago" in shown, "\x1b[3" in shown) == (0, True, False), shown

    code, shown = await asyncio.to_thread(at_terminal, settings, "y\n", *revoke)
    assert (code, "Revoked" in shown) == (0, True), shown
    assert (await acme.scim.get("/Users")).status_code == 401


async def test_a_deputy_is_named(callers: Callers, shell: Shell) -> None:
    """Whoever lets the last admin go is told who becomes one then."""
    acme = await a_tenant(callers, last_admin="keep_one")
    deputy = await acme.person()
    await callers.operator.put(f"{acme.v1}/deputy", json={"person": deputy["id"]})
    asked = await shell("people", "deactivate", acme.slug, acme.admin["user_name"])
    assert asked.code == 2
    assert f"the deputy, {deputy['userName']}, becomes one at that moment" in asked.err
