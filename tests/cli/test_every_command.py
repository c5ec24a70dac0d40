"""Every command there is runs with its defaults against real engines, says what it is for, and prints JSON."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
import pytest_asyncio

from cli.shell import Shell, environment_of
from factories import Callers, Tenant, a_tenant
from proof.test_mass_changes import alerts, left
from proof.test_receipts import completed
from rollcall.cli.main import main
from rollcall.db import Connection
from rollcall.engines.processes import free_port
from rollcall.settings import Settings

OUTSIDE = "https://93.184.215.14/hook"


@dataclass(frozen=True)
class World:
    """What commands are about: a tenant that has one of everything."""

    acme: Tenant
    folder: Path
    shell: Shell
    owner: Connection

    @property
    def slug(self) -> str:
        """The tenant's slug."""
        return self.acme.slug

    async def made(self, *words: str) -> dict[str, Any]:
        """Type a command that makes something; what it printed as JSON."""
        return json.loads((await self.shell(*words, "--json")).well)


Words = tuple[str, ...]
Entry = Callable[[World], Awaitable[Words]]


def plainly(*words: str) -> Entry:
    """Words that need nothing made first; TENANT, PERSON, GROUP and FOLDER stand for the world's."""

    async def entry(world: World) -> Words:
        named = {
            "TENANT": world.slug,
            "PERSON": world.acme.admin["user_name"],
            "GROUP": "dart-guests",
            "FILE": str(world.folder / "tenants.toml"),
            "NEW": f"{world.slug}-new",
        }
        return tuple(named.get(word, word) for word in words)

    return entry


async def of_token(world: World) -> Words:
    token = await world.made("tokens", "issue", world.slug, "--label", "for a command")
    return (world.slug, token["id"])


async def of_paid_tenant(world: World) -> Words:
    tenant = await a_tenant(world.acme.callers, customer=str(uuid4()))
    return (tenant.slug,)


async def of_customer(world: World) -> Words:
    return (world.slug, str(uuid4()))


async def of_token_to_hand_over(world: World) -> Words:
    other = await a_tenant(world.acme.callers, owner_leaves="offboarding_only")
    await world.shell("people", "appoint", other.slug, (await other.person("zoe"))["userName"])
    await world.shell("people", "deactivate", other.slug, other.admin["user_name"], "--yes")
    return (other.slug, other.token["id"], "--owner", "zoe")


async def of_key(world: World) -> Words:
    await world.shell("keys", "issue", "operator", "--label", "for a command")
    return (json.loads((await world.shell("keys", "list", "--json")).well)["data"][-1]["id"],)


async def of_operator(world: World) -> Words:
    name = f"{uuid4()}@vendor.test"
    await world.shell("operators", "invite", name, "--role", "ops")
    return (name, "--role", "billing")


async def of_operator_to_remove(world: World) -> Words:
    return (await of_operator(world))[:1]


async def of_person(world: World) -> Words:
    return (world.slug, (await world.acme.person())["userName"])


async def of_destination(world: World) -> Words:
    made = await world.made("destinations", "create", world.slug, "--url", OUTSIDE, "--label", "for a command")
    return (world.slug, made["id"])


async def of_receipt(world: World) -> Words:
    receipt = await completed(world.acme, world.owner, world.shell.settings)
    return (world.slug, receipt["id"])


async def of_statement(world: World) -> Words:
    statement, keys = world.folder / "receipt.jws", world.folder / "keys.json"
    statement.write_text((await world.shell("receipts", "show", *await of_receipt(world), "--jws")).well)
    keys.write_text((await world.shell("receipts", "keys")).well)
    return (str(statement), "--keys", str(keys))


async def of_month(world: World) -> Words:
    return (world.slug, f"{datetime.now(UTC):%Y-%m}", "--out", str(world.folder / "month.zip"))


async def of_alert(world: World) -> Words:
    other = await a_tenant(world.acme.callers, mass_change_threshold=1)
    await left(other, world.owner, 2)
    return (other.slug, str((await alerts(other))[0]["id"]))


async def of_namesakes(world: World) -> Words:
    former = await world.acme.person("namesake")
    account = (await world.acme.callers.operator.get(f"{world.acme.v1}/people/{former['id']}")).json()["id"]
    await world.acme.scim.delete(f"/Users/{former['id']}")
    await world.acme.person("namesake")
    return (world.slug, "namesake", account)


async def of_today(world: World) -> Words:
    return (world.slug, f"{datetime.now(UTC):%Y-%m-%d}")


async def of_override(world: World) -> Words:
    await world.made("plans", "override", world.slug, "seat_policy", "overage", "--reason", "a courtesy week")
    return (world.slug, "seat_policy")


async def of_signing_key(world: World) -> Words:
    made = await world.made("signing-keys", "rotate", "--now")
    return (made["kid"],)


COMMANDS: dict[str, Entry] = {
    "migrate": plainly(),
    "config": plainly(),
    "doctor": plainly(),
    "secret reseal": plainly(),
    "signing-keys list": plainly(),
    "signing-keys rotate": plainly("--now"),
    "signing-keys revoke": of_signing_key,
    "receipts list": plainly("TENANT"),
    "receipts show": of_receipt,
    "receipts bundle": of_month,
    "receipts keys": plainly(),
    "receipts verify": of_statement,
    "people on": of_today,
    "tenants last-admin": plainly("TENANT", "keep_one"),
    "tenants deputy": of_person,
    "tenants break-glass": plainly("TENANT", "PERSON"),
    "alerts list": plainly("TENANT"),
    "alerts release": of_alert,
    "tenants apply": plainly("FILE"),
    "tenants export": plainly(),
    "tenants list": plainly(),
    "tenants show": plainly("TENANT"),
    "tenants create": plainly("NEW", "--name", "New", "--plan", "business"),
    "tenants plan": plainly("TENANT", "business"),
    "tenants profile": plainly("TENANT", "default"),
    "tenants provider": plainly("TENANT"),
    "tenants lapse": plainly("TENANT"),
    "tenants seats": plainly("TENANT"),
    "tenants pause": plainly("typed-for-commands"),
    "tenants unpause": plainly("TENANT"),
    "tenants threshold": plainly("TENANT", "100"),
    "tenants owner-leaves": plainly("TENANT", "stop"),
    "tenants suspend": plainly("typed-for-commands"),
    "tenants resume": plainly("TENANT"),
    "plans list": plainly(),
    "plans usage": plainly(),
    "plans explain": plainly("TENANT"),
    "plans preview": plainly("TENANT", "free"),
    "plans override": plainly("TENANT", "seats", "100000", "--reason", "a trial"),
    "plans end-override": of_override,
    "billing show": of_paid_tenant,
    "billing parked": plainly(),
    "billing assign": of_customer,
    "billing prices": plainly(),
    "billing reconcile": of_paid_tenant,
    "billing secret": plainly(),
    "tokens list": plainly("TENANT"),
    "tokens issue": plainly("TENANT", "--label", "with the defaults"),
    "tokens rotate": of_token,
    "tokens hand-over": of_token_to_hand_over,
    "tokens revoke": of_token,
    "people list": plainly("TENANT"),
    "people show": plainly("TENANT", "PERSON"),
    "people appoint": of_person,
    "people demote": of_person,
    "people deactivate": of_person,
    "people reactivate": of_person,
    "people link": of_namesakes,
    "groups list": plainly("TENANT"),
    "groups show": plainly("TENANT", "GROUP"),
    "roles show": plainly("TENANT"),
    "roles compare": plainly("TENANT", "2", "--dry-run"),
    "roles try": plainly("TENANT", "DART_Guest"),
    "explain": plainly("TENANT", "PERSON"),
    "cases list": plainly("TENANT"),
    "deviations": plainly("TENANT"),
    "console code": of_person,
    "console password": plainly("TENANT", "PERSON", "--remove"),
    "operators invite": plainly("with the defaults", "--role", "support"),
    "operators list": plainly(),
    "operators change": of_operator,
    "operators remove": of_operator_to_remove,
    "keys issue": plainly("operator", "--label", "with the defaults"),
    "keys list": plainly(),
    "keys revoke": of_key,
    "destinations list": plainly("TENANT"),
    "destinations create": plainly("TENANT", "--url", OUTSIDE, "--label", "with the defaults"),
    "destinations rotate-secret": of_destination,
    "destinations enable": of_destination,
    "destinations disable": of_destination,
    "destinations remove": of_destination,
    "destinations test": of_destination,
    "destinations deliveries": of_destination,
    "destinations replay": of_destination,
    "audit": plainly("TENANT"),
    "outbox": plainly(),
}
"""The least that has to be typed after each command, with whatever that names made first."""

ASK_FIRST = {
    "up",
    "tenants apply",
    "signing-keys revoke",
    "tenants suspend",
    "tenants plan",
    "tenants lapse",
    "tokens rotate",
    "tokens revoke",
    "people demote",
    "people deactivate",
    "keys revoke",
    "operators remove",
    "destinations disable",
    "destinations remove",
}
"""Those that may cut somebody off."""

PROCESSES = {
    "serve": ("--port", "PORT"),
    "worker": (),
    "relay": (),
    "beat": (),
}
"""Those that run until they are stopped."""

TESTED_ELSEWHERE = {
    "up": "cli/test_up.py",
    "try": "cli/test_up.py",
    "health": "cli/test_health.py",
    "listen": "journeys/test_listen.py",
}

FINDINGS = {"doctor": {0, 1, 3}}
"""What a command may end with that ran well and found something; no relay runs here, and doctor says so."""

WITHOUT_JSON = {
    "migrate": "it prints a sentence",
    "destinations remove": "nothing is left to print",
    "audit": "one object a line: see test_audits",
}


def leaves(command: click.Command, context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, with the words that name it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, context, f"{path} {name}".strip())


LEAVES = dict(leaves(main, click.Context(main, info_name="rollcall")))


def options(path: str) -> set[str]:
    return {option for parameter in LEAVES[path].params for option in parameter.opts}


@pytest_asyncio.fixture(scope="module")
async def acme(callers: Callers, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """A tenant with people, a group, a conflict case and a provider with deviations."""
    acme = await a_tenant(callers)
    guest = await acme.person("guest@acme.test", roles=[{"value": "dart-guests", "primary": "True"}])
    group = await acme.scim.post("/Groups", json={"displayName": "dart-guests", "members": [{"value": guest["id"]}]})
    assert group.status_code == 201, group.text
    two = [{"value": "dart-guests"}, {"value": "dart-admins"}]
    refused = await acme.scim.post("/Users", json={"userName": "torn@acme.test", "roles": two})
    assert refused.status_code == 400
    return acme


@pytest_asyncio.fixture
async def world(acme: Tenant, settings: Settings, owner: Connection, tmp_path: Path) -> World:
    """Everything that commands are about."""
    (tmp_path / "tenants.toml").write_text(
        '[tenants.typed-for-commands]\nname = "Typed"\nplan = "business"\n\n'
        '[[tenants.typed-for-commands.admins]]\nuser_name = "ada@typed.test"\n'
    )
    world = World(acme, tmp_path, Shell(settings), owner)
    (await world.shell("tenants", "apply", str(tmp_path / "tenants.toml"))).well  # noqa: B018  # it asserts
    return world


def test_every_command_has_an_entry() -> None:
    """A command that nobody runs here does not get in: give it the least that has to be typed."""
    named = COMMANDS.keys() | PROCESSES.keys() | TESTED_ELSEWHERE.keys()
    assert LEAVES.keys() == named


@pytest.mark.parametrize("path", LEAVES)
def test_choices_are_texts(path: str) -> None:
    """No option offers an enumeration's members: click would know them by other names than its default."""
    for parameter in LEAVES[path].params:
        if isinstance(parameter.type, click.Choice):
            assert {type(choice) for choice in parameter.type.choices} == {str}


@pytest.mark.parametrize("path", LEAVES)
async def test_help(path: str, settings: Settings) -> None:
    """Every command says what it is for, without settings and without a database."""
    said = await Shell(settings)(*path.split(), "--help", ROLLCALL_DATABASE_URL="", ROLLCALL_SECRET_KEYS="")
    assert said.well.startswith(f"Usage: rollcall {path} ")
    assert (LEAVES[path].help or "").partition("\n")[0][:20] in said.out


@pytest.mark.parametrize("path", COMMANDS)
async def test_it_runs(path: str, world: World) -> None:
    """With its defaults and the least that has to be typed, it does what it is for; once more as JSON, if it prints."""
    typed = await COMMANDS[path](world)
    agreed = ("--yes",) if path in ASK_FIRST else ()
    said = await world.shell(*path.split(), *typed, *agreed)
    assert said.code in FINDINGS.get(path, {0}), said
    assert said.out or said.err
    if path in WITHOUT_JSON:
        return
    assert "--json" in options(path)
    if path in {"tenants create", "people link", "signing-keys revoke"}:
        return  # once only, and its JSON is that of others
    again = await COMMANDS[path](world)
    as_json = await world.shell(*path.split(), *again, *agreed, "--json")
    assert as_json.code in FINDINGS.get(path, {0}), as_json
    json.loads(as_json.out)


@pytest.mark.parametrize("path", LEAVES)
def test_who_asks(path: str) -> None:
    """Exactly the acts that may cut somebody off have --yes."""
    assert ("--yes" in options(path)) == (path in ASK_FIRST)


@pytest.mark.parametrize("path", PROCESSES)
async def test_it_starts_and_stops(path: str, settings: Settings, tmp_path: Path) -> None:
    """A process starts with its defaults, stays, and ends without a traceback when it is asked to."""
    words = [str(free_port(None)) if word == "PORT" else word for word in PROCESSES[path]]
    process = subprocess.Popen(  # noqa: ASYNC220  # it is waited for in a thread
        [sys.executable, "-m", "rollcall", path, *words],
        env=environ | environment_of(settings),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 6)
        process.send_signal(signal.SIGTERM)
        said, _ = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
    assert "Traceback" not in said, said
