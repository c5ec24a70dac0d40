"""The page of commands says what the commands say, and the completion it describes completes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rollcall.cli.listing import page
from rollcall.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
PROGRAM = Path(sys.executable).with_name("rollcall")


def test_the_page_is_written_from_the_commands() -> None:
    """After a change of a command write it anew: python -m rollcall.cli.listing > docs/commands.md."""
    assert PAGE.read_text() == page(main)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str) -> None:
    """The line that the page gives for a shell makes a script that knows our name."""
    assert f"_ROLLCALL_COMPLETE={shell}_source" in PAGE.read_text()
    if shutil.which("bash") is None and shell == "bash":
        pytest.skip("click asks bash for its version")
    made = CliRunner().invoke(main, [], prog_name="rollcall", env={"_ROLLCALL_COMPLETE": f"{shell}_source"})
    assert made.exit_code == 0, made.output
    assert "_ROLLCALL_COMPLETE" in made.stdout
    assert "rollcall" in made.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("rollcall tok", ["tokens"]),
        ("rollcall tokens re", ["revoke"]),
        ("rollcall tokens issue acme --scope scim", ["scim", "scim:read"]),
        ("rollcall destinations deliveries acme x --sta", ["--state"]),
    ],
)
def test_completing(typed: str, offered: list[str]) -> None:
    """What has been typed is completed: commands, options, and the choices of an option."""
    words = {"_ROLLCALL_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = CliRunner().invoke(main, [], prog_name="rollcall", env=words)
    assert [line.rpartition(",")[2] for line in done.stdout.split()] == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_in_a_bash() -> None:
    """A bash that has read the script completes a command."""
    script = (
        'eval "$(_ROLLCALL_COMPLETE=bash_source rollcall)"; COMP_WORDS=(rollcall peop); COMP_CWORD=1; '
        '_rollcall_completion rollcall peop rollcall; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "people", done.stderr
