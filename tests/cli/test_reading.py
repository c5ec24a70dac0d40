"""What ops read of a tenant: people and why, groups and their roles, cases, deviations, audit; as /v1 says it."""

import json
from typing import Any

import pytest
import pytest_asyncio

from cli.shell import Shell
from factories import Callers, Tenant, a_tenant
from rollcall.settings import Settings


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Somebody in ops."""
    return Shell(settings)


@pytest_asyncio.fixture(scope="module")
async def acme(callers: Callers) -> Tenant:
    """A tenant whose provider has sent a guest, groups, and a conflict."""
    acme = await a_tenant(callers)
    guest = await acme.person("gus@acme.test", displayName="Gus", roles=[{"value": "dart-guests", "primary": "True"}])
    inner = await acme.scim.post("/Groups", json={"displayName": "Cooks", "members": [{"value": guest["id"]}]})
    members = [{"value": guest["id"]}, {"value": inner.json()["id"], "type": "Group"}]
    outer = await acme.scim.post("/Groups", json={"displayName": "DART_guest", "members": members})
    assert outer.status_code == 201, outer.text
    assert (await acme.scim.post("/Groups", json={"displayName": "dart-emperors"})).status_code == 201
    two = [{"value": "dart-guests"}, {"value": "dart-admins"}]
    assert (await acme.scim.post("/Users", json={"userName": "torn@acme.test", "roles": two})).status_code == 400
    await acme.session(guest)
    await callers.app.state.context.batched_entries.flush()
    return acme


async def as_json(shell: Shell, *words: str) -> Any:
    return json.loads((await shell(*words, "--json")).well)


async def test_a_person(shell: Shell, acme: Tenant) -> None:
    """A person is shown with their role and why, their groups, and how many ways in they have open."""
    said = (await shell("people", "show", acme.slug, "GUS@acme.test")).well
    assert "Guest (guest)" in said
    assert "Cooks" in said
    assert "1 session, 0 owned tokens, 0 personal tokens, 0 passkeys" in said
    shown = await as_json(shell, "people", "show", acme.slug, "gus@acme.test")
    assert (shown["user_name"], shown["role"], shown["open"]["sessions"]) == ("gus@acme.test", "guest", 1)
    assert sorted(shown["groups"]) == ["Cooks", "DART_guest"]
    admin = await as_json(shell, "people", "show", acme.slug, acme.admin["id"])
    assert admin["open"]["tokens_owned"] == 1


async def test_groups(shell: Shell, acme: Tenant) -> None:
    """Groups are listed by name with their members and the role that membership makes; one is shown by its name."""
    listed = (await as_json(shell, "groups", "list", acme.slug))["data"]
    assert [(each["display_name"], each["members"], each["role"]) for each in listed] == [
        ("Cooks", 1, None),
        ("dart-emperors", 0, None),
        ("DART_guest", 2, "guest"),
    ]
    assert [each["read_as"] for each in listed] == ["ignored", "ungrantable", "role"]
    shown = await as_json(shell, "groups", "show", acme.slug, "dart_GUEST")
    assert (shown["user_names"], shown["group_names"]) == (["gus@acme.test"], ["Cooks"])
    assert "(no such role)" in (await shell("groups", "list", acme.slug)).well
    gone = await shell("groups", "show", acme.slug, "Chefs")
    assert gone.refusal == "There is no such group as “Chefs”."
    page = await as_json(shell, "groups", "list", acme.slug, "--limit", "1", "--offset", "1")
    assert [each["display_name"] for each in page["data"]] == ["dart-emperors"]


@pytest.mark.parametrize(
    ("name", "role", "read_as"),
    [("DART_Guest", "guest", "role"), ("dart-emperors", None, "ungrantable"), ("Dart Players", None, "ignored")],
)
async def test_a_name(shell: Shell, acme: Tenant, name: str, role: str | None, read_as: str) -> None:
    """A name is tried before anybody sends it, in roles and as a group's."""
    tried = await as_json(shell, "roles", "try", acme.slug, name)
    assert (tried["roles"]["role"], tried["roles"]["read_as"]) == (role, read_as)
    assert tried["groups"]["read_as"] == read_as


async def test_roles(shell: Shell, acme: Tenant) -> None:
    """The rule is shown with its prefix and the names that mean each role, as /v1 has it."""
    said = (await shell("roles", "show", acme.slug)).well
    assert "dart-technical-admins" in said
    rule = await acme.callers.operator.get(f"{acme.v1}/role-rule")
    assert await as_json(shell, "roles", "show", acme.slug) == rule.json()


async def test_cases_and_deviations(shell: Shell, acme: Tenant) -> None:
    """An open case says who and what caused it; the ledger says what the provider does otherwise than the standard."""
    (case,) = (await as_json(shell, "cases", "list", acme.slug))["data"]
    assert (case["user_name"], case["roles"]) == ("torn@acme.test", ["admin", "guest"])
    said = (await shell("cases", "list", acme.slug)).well
    assert "torn@acme.test" in said
    assert "dart-admins in roles" in said
    assert (await as_json(shell, "cases", "list", acme.slug, "--closed"))["data"] == []
    deviations = (await as_json(shell, "deviations", acme.slug))["data"]
    assert deviations
    assert {"day", "deviation", "times", "provider", "does", "read_as", "setting"} == deviations[0].keys()
    (said,) = [each for each in deviations if each["deviation"].startswith("string-boolean")] or deviations[:1]
    assert said["does"] in " ".join((await shell("deviations", acme.slug)).well.split())


async def test_the_provider(shell: Shell, acme: Tenant) -> None:
    """Who the provider is, is said with the evidence, and as the management API says it."""
    await acme.scim.get("/Users", headers={"User-Agent": "Okta SCIM Client 1.0.0"})
    await acme.callers.app.state.context.batched_entries.flush()
    said = (await shell("tenants", "provider", acme.slug)).well
    assert "calls itself Okta SCIM Client 1.0.0" in said
    assert f"rollcall tenants profile {acme.slug} okta" in said
    told = await as_json(shell, "tenants", "provider", acme.slug)
    theirs = (await acme.callers.operator.get(f"{acme.v1}/provider")).json()
    assert told.keys() == theirs.keys()
    assert (told["recognised"], told["profile_in_effect"]) == (theirs["recognised"], "default") == ("okta", "default")
    assert "Any provider (profile default)" in (await shell("tenants", "show", acme.slug)).well


async def test_lists_are_as_v1_says(shell: Shell, acme: Tenant) -> None:
    """JSON has the fields of the management API, and moments to the second."""
    tokens = (await as_json(shell, "tokens", "list", acme.slug))["data"]
    answered = await acme.callers.operator.get(f"{acme.v1}/tokens")
    theirs: dict[str, Any] = answered.json()["data"][0]
    assert tokens[0].keys() == theirs.keys()
    assert tokens[0]["created_at"] == theirs["created_at"][:19] + "Z"
    listed = (await shell("tokens", "list", acme.slug)).well
    assert f"ada@{acme.slug}.test" in listed


async def test_a_secret_is_in_json_once(shell: Shell, acme: Tenant, callers: Callers) -> None:
    """A new token is in the JSON that issues it and opens the door; no list has it."""
    issued = await as_json(shell, "tokens", "issue", acme.slug, "--label", "by hand", "--days", "30")
    assert (issued["state"], issued["scopes"]) == ("live", ["scim"])
    async with callers.bearer(issued["token"], path="/scim/v2") as provider:
        assert (await provider.get("/Users")).status_code == 200
    assert issued["token"] not in (await shell("tokens", "list", acme.slug, "--json")).well


async def test_why_a_token_does_not_work(shell: Shell, callers: Callers) -> None:
    """A token whose owner is no longer an admin is not live, and the list says why and what to do."""
    acme = await a_tenant(callers)
    assert (await callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")).status_code == 200
    said = (await shell("tokens", "list", acme.slug)).well
    assert "owner_not_admin" in said
    assert "Its owner is no longer an admin. Make the owner an admin again" in said


async def test_a_tenant_by_hand(shell: Shell) -> None:
    """A customer is taken on with its admin, who can own a token at once; the same slug again is refused."""
    words = ("tenants", "create", "by-hand", "--name", "By Hand", "--plan", "business", "--admin", "ada@hand.test")
    made = await as_json(shell, *words)
    assert (made["slug"], made["plan"], made["status"]) == ("by-hand", "business", "active")
    token = await as_json(shell, "tokens", "issue", "by-hand", "--label", "x", "--owner", "ada@hand.test")
    assert token["state"] == "live"
    assert "There is a tenant “by-hand” already" in (await shell(*words)).refusal
    low = await shell("tenants", "create", "low", "--name", "Low", "--plan", "business", "--rate", "3")
    assert "at least 25" in low.refusal


async def test_an_export(shell: Shell, callers: Callers) -> None:
    """The whole audit comes out, one object a line, however many pages it takes; progress goes to standard error."""
    acme = await a_tenant(callers)
    for _ in range(3):
        await acme.person()
    whole = await shell("audit", acme.slug, "--all")
    entries = [json.loads(line) for line in whole.well.splitlines()]
    assert len({entry["id"] for entry in entries}) == len(entries) == len(await acme.audit())
    assert f"{len(entries)} entries" in whole.err
