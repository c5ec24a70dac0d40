"""``rollcall tenants``: what people type, what they read, and how a refusal ends."""

import json
from pathlib import Path

import pytest

from cli.shell import Said, Shell
from factories import ORIGIN, Callers
from rollcall.settings import Settings
from rollcall.tenancy import payment
from rollcall.tenancy import tenants as doors
from rollcall.tenancy.standing import Standing
from rollcall.work import SYSTEM, open_fleet

FILE = """\
[plans.cli-small]
name = "Small"

[plans.cli-large]
name = "Large"
features = ["scim"]

[tenants.{slug}]
name = "Typed Ltd"
plan = "cli-small"

[[tenants.{slug}.admins]]
user_name = "ada@{slug}.test"
"""


class TenantsShell:
    """A shell in a folder of its own, for ``rollcall tenants``."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        self.shell = Shell(settings)

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder."""
        (self.folder / name).write_text(text)

    async def run(self, *commands: str) -> list[Said]:
        """Type ``rollcall tenants`` with each of *commands*, one after the other."""
        return [await self.shell("tenants", *command.split(), LOGNAME="margot") for command in commands]


@pytest.fixture
def shell(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TenantsShell:
    """A shell in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return TenantsShell(settings, tmp_path)


async def test_from_a_file_to_a_tenant(shell: TenantsShell) -> None:
    """A file is tried, applied, found applied, and its tenant shown to people and to programs."""
    shell.write("tenants.toml", FILE.format(slug="typed"))
    tried, applied, again, listed, listed_json, shown, shown_json = await shell.run(
        "apply tenants.toml --dry-run",
        "apply tenants.toml",
        "apply tenants.toml",
        "list",
        "list --json",
        "show typed",
        "show typed --json",
    )
    made = [
        "+ plan cli-small",
        "+ plan cli-large",
        "+ tenant typed (plan cli-small, roles admin, member)",
        "+ admin ada@typed.test in typed (role admin)",
    ]
    assert tried.well.splitlines() == [*made, "4 changes to make; nothing was changed."]
    assert applied.well.splitlines() == [*made, "4 changes made."]
    assert again.well == "Nothing to change.\n"
    assert "typed" in listed.well
    by_slug = {tenant["slug"]: tenant for tenant in json.loads(listed_json.well)["data"]}
    assert (by_slug["typed"]["plan"], by_slug["typed"]["status"]) == ("cli-small", "active")
    assert "Typed Ltd (typed, active)" in shown.well
    assert "1, 1 active, 1 of them admins" in shown.well
    assert "admin, member (see 'rollcall roles show typed')" in shown.well
    facts = json.loads(shown_json.well)
    assert (facts["people"], facts["admins"], facts["role_rule"]["default"]) == (1, 1, "member")


async def test_one_tenant_changed(shell: TenantsShell) -> None:
    """A tenant's plan is changed, and it is suspended and resumed, each once and again without harm."""
    shell.write("one.toml", FILE.format(slug="typed-one"))
    show = "show typed-one --json"
    _, moved, again, suspended, shown, resumed, shown_again, refused = await shell.run(
        "apply one.toml",
        "plan typed-one cli-large",
        "plan typed-one cli-large",
        "suspend typed-one --yes",
        show,
        "resume typed-one",
        show,
        "plan typed-one platinum",
    )
    assert moved.well == "typed-one: cli-small -> cli-large, from the next call on.\n"
    assert again.well == "typed-one is on cli-large already.\n"
    assert suspended.well == "typed-one is suspended.\n"
    assert "1 active person" in suspended.err
    assert json.loads(shown.well)["status"] == "suspended"
    assert resumed.well == "typed-one is active.\n"
    assert json.loads(shown_again.well)["status"] == "active"
    assert refused.refusal == "There is no such plan as “platinum”."


async def test_a_profile(shell: TenantsShell) -> None:
    """A tenant's provider profile is changed, once and again without harm, and a profile that is none is refused."""
    shell.write("read.toml", FILE.format(slug="typed-read"))
    _, changed, again, shown, shown_json, nobody, none = await shell.run(
        "apply read.toml",
        "profile typed-read entra",
        "profile typed-read entra",
        "show typed-read",
        "show typed-read --json",
        "profile typed-reed entra",
        "profile typed-read ping",
    )
    assert changed.well == "typed-read: profile auto -> entra, from the next call on.\n"
    assert again.well == "typed-read has the profile entra already.\n"
    assert "Microsoft Entra ID (profile entra)" in shown.well
    assert json.loads(shown_json.well)["profile"] == "entra"
    assert nobody.refusal.startswith("There is no tenant “typed-reed”. Did you mean “typed-read”")
    assert none.code == 2
    assert "'auto', 'default', 'entra', 'okta'" in none.err


async def test_refusals(shell: TenantsShell) -> None:
    """Whatever is refused ends with its reason and exit code 1, and without a traceback."""
    shell.write("wrong.toml", '[plans.x]\nnme = "X"\n\n[tenants.y]\nname = "Y"\nplan = "gone"\n')
    shell.write("lost.toml", '[tenants.y]\nname = "Y"\nplan = "gone"\n')
    wrong, lost, nowhere, *nobody = await shell.run(
        "apply wrong.toml",
        "apply lost.toml",
        "apply nowhere.toml",
        "show nobody",
        "suspend nobody",
        "resume nobody",
        "plan nobody free",
    )
    assert wrong.refusal.splitlines() == [
        "wrong.toml, line 1, [plans.x] name: is missing",
        'wrong.toml, line 2, [plans.x] nme: there is no such key; did you mean "name"?',
    ]
    assert lost.refusal.startswith('lost.toml, line 3, [tenants.y] plan: there is no plan "gone"; the plans are: ')
    assert nowhere.refusal == "nowhere.toml: can't be read: No such file or directory"
    assert {said.refusal for said in nobody} == {"There is no tenant “nobody”. See 'rollcall tenants list'."}


async def test_whoever_typed_is_in_the_audit(shell: TenantsShell, callers: Callers) -> None:
    """The audit names the account of the machine that ran the command."""
    shell.write("three.toml", FILE.format(slug="typed-three"))
    await shell.run("apply three.toml", "suspend typed-three --yes")
    answer = await callers.operator.get("/v1/tenants/typed-three/audit")
    done = [(entry["action"], entry["actor_kind"], entry["actor_label"]) for entry in answer.json()["data"]]
    assert done == [
        ("tenant.suspended", "system", "cli:margot"),
        ("user.provisioned", "system", "cli:margot"),
        ("tenant.created", "system", "cli:margot"),
    ]


async def test_who_keeps_scim_is_not_warned_of(shell: TenantsShell, callers: Callers) -> None:
    """A tenant that pays for SCIM, or has it by an override, keeps it on a plan without: nobody is asked."""
    large = FILE.format(slug="keeps").replace('plan = "cli-small"', 'plan = "cli-large"')
    shell.write("tenants.toml", large)
    shell.write("smaller.toml", FILE.format(slug="keeps"))
    by_hand = '\n[tenants.keeps.overrides.scim]\nvalue = true\nreason = "a trial"\nends_at = 2099-01-31\n'
    shell.write("trial.toml", FILE.format(slug="keeps") + by_hand)
    shell.write("over.toml", FILE.format(slug="keeps").replace("\n[[", "\noverrides = {}\n\n[["))
    (await shell.run("apply tenants.toml"))[0].well  # noqa: B018  # it asserts
    assert (await shell.shell("tokens", "issue", "keeps", "--label", "Okta")).code == 0
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        row = await doors.find(fleet, "keeps")
        await payment.apply(fleet, row, Standing(features=("scim",)), provider="entitlements")
    for command in ("apply smaller.toml", "apply tenants.toml", "plan keeps cli-small", "plan keeps cli-large"):
        assert "does not include SCIM" not in (await shell.run(command))[0].well

    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        await payment.apply(fleet, await doors.find(fleet, "keeps"), None, provider="")
    (refused,) = await shell.run("apply smaller.toml")
    assert (refused.code, "keeps: The plan cli-small does not include SCIM" in refused.err) == (2, True)
    assert "change" in (await shell.run("apply trial.toml"))[0].well
    (refused,) = await shell.run("apply over.toml")
    assert (refused.code, "keeps: The plan cli-small does not include SCIM" in refused.err) == (2, True)


async def test_a_file_that_cuts_somebody_off(shell: TenantsShell) -> None:
    """A file that suspends a tenant, or takes SCIM from its plan, says whom that stops, and needs a yes."""
    large = FILE.format(slug="cut").replace('plan = "cli-small"', 'plan = "cli-large"')
    shell.write("tenants.toml", large)
    shell.write("smaller.toml", FILE.format(slug="cut"))
    shell.write("suspended.toml", large.replace('plan = "cli-large"', 'plan = "cli-large"\nstatus = "suspended"'))
    (await shell.run("apply tenants.toml"))[0].well  # noqa: B018  # it asserts
    issued = await shell.shell("tokens", "issue", "cut", "--label", "Okta")
    assert issued.code == 0, issued.err

    refused, suspended = await shell.run("apply smaller.toml", "apply suspended.toml")
    for said, what in ((refused, "does not include SCIM"), (suspended, "is refused from the next call on")):
        assert said.code == 2
        assert what in said.err
        assert "cut: " in said.err
        assert "add --yes" in said.err
    (kept,) = await shell.run("show cut --json")
    assert json.loads(kept.well)["plan"] == "cli-large"
    done, shown = await shell.run("apply smaller.toml --yes", "show cut --json")
    assert "1 change made." in done.well
    assert json.loads(shown.well)["plan"] == "cli-small"


async def test_a_plans_edit_beforehand(shell: TenantsShell) -> None:
    """The dry run says of each tenant of an edited plan what that means for it, and changes nothing."""
    plan = '[plans.edited]\nname = "Edited"\nfeatures = ["scim"]\nseats = 9\n'
    admin = '[[tenants.of-edited.admins]]\nuser_name = "ada@edited.test"\n'
    whole = plan + '[tenants.of-edited]\nname = "T"\nplan = "edited"\n' + admin
    shell.write("before.toml", whole)
    shell.write("after.toml", whole.replace('"scim"', "").replace("9", "1"))
    applied, tried, as_json, again = await shell.run(
        "apply before.toml",
        "apply after.toml --dry-run",
        "apply after.toml --dry-run --json",
        "apply before.toml",
    )
    assert "made" in applied.well
    assert "of-edited: loses SCIM (Edited does not include it): 1 active people" in tried.well
    assert "of-edited: seats 9 -> 1, 1 used: full, newcomers are refused" in tried.well
    assert len(json.loads(as_json.well)["affected"]) == 2
    assert "Nothing to change" in again.well
