"""What ``rollcall up`` prints when everything answers."""

import shlex
import sys
from pathlib import Path

import click

from rollcall.access.authenticators import pages_address
from rollcall.cli.credentials import Credentials


def announce(credentials: Credentials, base_url: str, local_url: str, data_dir: Path) -> None:
    """Say where everything is, and what to do next."""
    lines = ["", "Rollcall is running.", ""]
    facts = {
        "Console": f"{pages_address(base_url)}/console/",
        "API docs": f"{base_url}/v1/docs",
        "SCIM URL": f"{base_url}/scim/v2",
    }
    if local_url != base_url:
        facts["From here"] = local_url
    lines += [f"  {name:<15}{value}" for name, value in facts.items()]
    lines += _about_tokens(credentials, local_url, data_dir)
    lines += ["", f"Logs are in {data_dir / 'logs'}. Ctrl-C stops everything."]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def _about_tokens(credentials: Credentials, local_url: str, data_dir: Path) -> list[str]:
    ops, program = shlex.quote(str(data_dir / "ops.sh")), shlex.quote(_program())
    folder = "" if data_dir == Path(".rollcall") else f" --data-dir {shlex.quote(str(data_dir))}"
    if (shown := credentials.to_show()) is None:
        return [
            "",
            "There is no token for trying: none could be issued, or somebody else made all tenants. To issue one:",
            "",
            f"  (. {ops} && rollcall tokens issue TENANT)",
        ]
    slug, access = shown
    return [
        f"  {'Token':<15}{access.scim_token}",
        f"  {'':<15}(tenant {slug}, plan {access.plan}; all tokens and keys: {data_dir / 'credentials.json'})",
        "",
        "See somebody join, move and leave, step by step, in a second terminal:",
        "",
        f"  {program} try{folder}",
        "",
        "Or ask for yourself:",
        "",
        f"  curl -s -H 'Authorization: Bearer {access.scim_token}' '{local_url}/scim/v2/Users'",
        "",
        "Sign in to the console with a code, good for ten minutes (a passkey can be added there):",
        "",
        f"  (. {ops} && rollcall console code {slug} {shlex.quote(access.admin or 'USER_NAME')})",
    ]


def _program() -> str:
    """What to call this program where it was started, as short as it can be."""
    program = Path(sys.executable).with_name("rollcall")
    try:
        return str(program.relative_to(Path.cwd()))
    except ValueError:
        return str(program)
