"""``rollcall tenants``: what people type, what they read, and how a refusal ends."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import Callers
from rollcall.settings import Settings

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


class Shell:
    """A shell whose environment points at the engines."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
            "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
            "ROLLCALL_ENVIRONMENT": "development",
            "ROLLCALL_LOG_LEVEL": "WARNING",
            "LOGNAME": "margot",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type ``rollcall tenants`` and *words*."""
        return subprocess.run(
            [sys.executable, "-m", "rollcall", "tenants", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def reads(self, *words: str) -> str:
        """What a command prints that goes well."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *words: str) -> str:
        """What a command says that is refused: a reason, exit code 1, and no traceback."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr.strip()


@pytest.fixture(scope="module")
def shell(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in a folder with a manifest."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "tenants.toml").write_text(FILE.format(slug="typed"))
    return Shell(settings, folder)


def test_from_a_file_to_a_tenant(shell: Shell) -> None:
    """A file is tried, applied, found applied, and its tenant shown to people and to programs."""
    made = (
        "+ plan cli-small\n+ plan cli-large\n+ tenant typed (plan cli-small, roles admin, member)\n"
        "+ admin ada@typed.test in typed (role admin)\n"
    )
    assert shell.reads("apply", "tenants.toml", "--dry-run") == made + "4 changes to make; nothing was changed.\n"
    assert shell.reads("apply", "tenants.toml") == made + "4 changes made.\n"
    assert shell.reads("apply", "tenants.toml") == "Nothing to change.\n"

    assert "typed" in shell.reads("list")
    listed = {tenant["slug"]: tenant for tenant in json.loads(shell.reads("list", "--json"))}
    assert (listed["typed"]["plan"], listed["typed"]["status"]) == ("cli-small", "active")

    shown = shell.reads("show", "typed")
    assert "Typed Ltd (typed, active)" in shown
    assert "1, 1 of them active admins" in shown
    assert "role admin (admin): Admin; named by hand only" in shown
    facts = json.loads(shell.reads("show", "typed", "--json"))
    assert (facts["people"], facts["admins"], facts["role_rule"]["default"]) == (1, 1, "member")


def test_one_tenant_changed(shell: Shell) -> None:
    """A tenant's plan is changed, and it is suspended and resumed, each once and again without harm."""
    (shell.folder / "one.toml").write_text(FILE.format(slug="typed-one"))
    shell.reads("apply", "one.toml")
    changed = "typed-one: cli-small -> cli-large, from the next call on.\n"
    assert shell.reads("plan", "typed-one", "cli-large") == changed
    assert shell.reads("plan", "typed-one", "cli-large") == "typed-one is on cli-large already.\n"
    assert shell.reads("suspend", "typed-one") == "typed-one is suspended.\n"
    assert json.loads(shell.reads("show", "typed-one", "--json"))["status"] == "suspended"
    assert shell.reads("resume", "typed-one") == "typed-one is active.\n"
    assert json.loads(shell.reads("show", "typed-one", "--json"))["status"] == "active"


def test_refusals(shell: Shell) -> None:
    """Whatever is refused ends with its reason and exit code 1."""
    (shell.folder / "wrong.toml").write_text('[plans.x]\nnme = "X"\n\n[tenants.y]\nname = "Y"\nplan = "gone"\n')
    assert shell.refusal("apply", "wrong.toml").split("\n") == [
        "wrong.toml, line 1, [plans.x] name: is missing",
        'wrong.toml, line 2, [plans.x] nme: there is no such key; did you mean "name"?',
    ]
    (shell.folder / "lost.toml").write_text('[tenants.y]\nname = "Y"\nplan = "gone"\n')
    assert shell.refusal("apply", "lost.toml").startswith(
        'lost.toml, line 3, [tenants.y] plan: there is no plan "gone"'
    )
    assert shell.refusal("apply", "nowhere.toml") == "nowhere.toml: can't be read: No such file or directory"
    for words in (("show", "nobody"), ("suspend", "nobody"), ("resume", "nobody"), ("plan", "nobody", "cli-large")):
        assert shell.refusal(*words) == "There is no such tenant."


def test_unknown_plan(shell: Shell) -> None:
    """A tenant can't be put on a plan that nobody defined."""
    (shell.folder / "two.toml").write_text(FILE.format(slug="typed-two"))
    shell.reads("apply", "two.toml")
    assert shell.refusal("plan", "typed-two", "platinum") == "There is no such plan as “platinum”."


async def test_whoever_typed_is_in_the_audit(shell: Shell, callers: Callers) -> None:
    """The audit names the account of the machine that ran the command."""
    (shell.folder / "three.toml").write_text(FILE.format(slug="typed-three"))
    await asyncio.to_thread(shell.reads, "apply", "three.toml")
    await asyncio.to_thread(shell.reads, "suspend", "typed-three")
    answer = await callers.operator.get("/v1/tenants/typed-three/audit")
    done = [(entry["action"], entry["actor_kind"], entry["actor_label"]) for entry in answer.json()["entries"]]
    assert done == [
        ("tenant.suspended", "system", "cli:margot"),
        ("user.provisioned", "system", "cli:margot"),
        ("tenant.created", "system", "cli:margot"),
    ]
