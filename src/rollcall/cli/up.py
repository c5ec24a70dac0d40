"""``rollcall up``: the whole product on one machine, for trying and developing."""

import asyncio
import json
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from rollcall import tables
from rollcall.access.authenticators import pages_address
from rollcall.cli import embedded
from rollcall.cli.children import Children
from rollcall.cli.credentials import Credentials, commands_for_shells, issue_missing, secret_key, write_private
from rollcall.cli.running import give_up, settings_or_give_up
from rollcall.engines import AlreadyRunning, EngineFailed, lock
from rollcall.manifest.problems import ManifestInvalid
from rollcall.worker.app import WAITING

ADDRESSES = ("ROLLCALL_DATABASE_URL", "ROLLCALL_MIGRATION_DATABASE_URL", "ROLLCALL_REDIS_URL")


class Stopped(Exception):
    """Somebody pressed Ctrl-C or asked the process to end."""


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--data-dir",
    default=Path(".rollcall"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the engines keep their data, and the tokens made for trying.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write addresses and keys here, as JSON only you can read, once everything answers.",
)
@click.option(
    "--tenants",
    "manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The plans and tenants to start with; tenants.example.toml if left out.",
)
@click.option("--web-processes", default=1, show_default=True, type=click.IntRange(1, 16), help="Web processes.")
def up(
    port: int, host: str, data_dir: Path, ready_file: Path | None, manifest: Path | None, web_processes: int
) -> None:
    """Run the whole product on this machine: engines, web, relay, worker and beat.

    With ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL and ROLLCALL_REDIS_URL set it uses those servers
    instead of starting its own. Ctrl-C stops everything it started.
    """
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    _check_port(host, port)
    try:
        with _signals_raise(), _servers(data_dir) as (addresses, revive_engines):
            _run(addresses, revive_engines, host, port, data_dir, ready_file, manifest, web_processes)
    except Stopped:
        click.echo("Stopped.")
    except (EngineFailed, AlreadyRunning, tables.MigrationRefused, ManifestInvalid) as failure:
        give_up(str(failure))
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _run(  # one parameter for each option
    addresses: Mapping[str, str],
    revive_engines: Callable[[], None],
    host: str,
    port: int,
    data_dir: Path,
    ready_file: Path | None,
    manifest: Path | None,
    web_processes: int,
) -> None:
    base_url = os.environ.get("ROLLCALL_PUBLIC_URL", f"http://{host}:{port}").rstrip("/")
    os.environ.update(addresses)
    os.environ["ROLLCALL_PUBLIC_URL"] = base_url
    if not os.environ.get("ROLLCALL_SECRET_KEYS_FILE"):
        own = data_dir / "secret.key"
        os.environ["ROLLCALL_SECRET_KEYS"] = os.environ.get("ROLLCALL_SECRET_KEYS") or secret_key(own)
    os.environ.setdefault("ROLLCALL_ENVIRONMENT", "development")
    os.environ.setdefault("ROLLCALL_ALLOW_PRIVATE_DESTINATIONS", "true")
    settings = settings_or_give_up()
    click.echo("Bringing the database to the present tables …")
    asyncio.run(tables.migrate(settings))
    credentials = asyncio.run(
        issue_missing(settings, data_dir / "credentials.json", manifest or _example(), say=click.echo)
    )
    with Children(os.environ, data_dir / "logs") as children:
        children.start("web", "serve", "--host", host, "--port", str(port), "--workers", str(web_processes))
        children.start("relay", "relay")
        children.start("worker", "worker")
        children.start("delivery", "worker", "--queues", ",".join(WAITING))
        children.start("beat", "beat", "--schedule", str(data_dir.resolve() / "beat-schedule"))
        children.wait_until_ready(f"http://{_reachable(host)}:{port}/health/ready", settings, workers=2)
        write_private(data_dir / "try.sh", credentials.for_shells(base_url))
        write_private(data_dir / "ops.sh", commands_for_shells(os.environ))
        _announce(credentials, base_url, f"http://{_reachable(host)}:{port}", data_dir)
        if ready_file is not None:
            write_private(ready_file, json.dumps(credentials.for_programs(base_url), indent=2))
        children.watch(revive_engines)


@contextmanager
def _servers(data_dir: Path) -> Generator[tuple[Mapping[str, str], Callable[[], None]]]:
    """The servers' addresses, given or of engines of our own, and what starts one of ours again that has ended."""
    named = {name: each for name in ADDRESSES for each in (name, f"{name}_FILE") if os.environ.get(each)}
    given = {each: os.environ[each] for each in named.values()}
    if given and len(named) < len(ADDRESSES):
        missing = ", ".join(name for name in ADDRESSES if name not in named)
        give_up(f"To use your own servers set {missing} too; to have engines started here, set none of them.")
    if given:
        with lock(data_dir):
            yield given, lambda: None
        return
    click.echo("Starting PostgreSQL and Valkey …")
    with embedded.running(data_dir) as (postgres, valkey):

        def revive() -> None:
            for engine in (postgres, valkey):
                if not engine.running:
                    click.secho(f"{engine.title} has ended; starting it again.", fg="yellow", err=True)
                    engine.start()

        yield asyncio.run(embedded.prepare(postgres, valkey)).environment, revive


def _example() -> Path:
    packaged = Path(tables.__file__).parent / "tenants.example.toml"
    return packaged if packaged.is_file() else Path(tables.__file__).parents[2] / "tenants.example.toml"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  # compared, not listened on


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            give_up(f"Port {port} of {host} can't be listened on ({error.strerror}); choose another with --port.")


@contextmanager
def _signals_raise() -> Generator[None]:
    """Turn Ctrl-C and a polite kill into an exception, once; what is being stopped is not interrupted again."""
    assert threading.current_thread() is threading.main_thread()

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


def _announce(credentials: Credentials, base_url: str, local_url: str, data_dir: Path) -> None:
    slug, shown = credentials.to_show()
    ops = shlex.quote(str(data_dir / "ops.sh"))
    click.echo(
        f"""
Rollcall is running.

  Console        {pages_address(base_url)}/console/
  API docs       {base_url}/v1/docs
  SCIM URL       {base_url}/scim/v2
  Token          {shown.scim_token}
                 (tenant {slug}, plan {shown.plan}; all tokens and keys: {data_dir / "credentials.json"})

Try it (". {shlex.quote(str(data_dir / "try.sh"))}" sets the variables that the README uses):

  curl -s -H 'Authorization: Bearer {shown.scim_token}' '{local_url}/scim/v2/Users'

Sign in to the console with a code, good for ten minutes (a passkey can be added there):

  (. {ops} && rollcall console code {slug} {shlex.quote(shown.admin or "USER_NAME")})

Logs are in {data_dir / "logs"}. Ctrl-C stops everything."""
    )
    sys.stdout.flush()
