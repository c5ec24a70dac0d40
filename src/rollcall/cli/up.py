"""``rollcall up``: the whole product on one machine, for trying and developing.

This process has the engines and one process more, from which all others are forked (`parent`); it loads nothing of the
application itself.
"""

import asyncio
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import click

from rollcall.cli import embedded
from rollcall.cli.fresh import begin_anew
from rollcall.cli.giving_up import give_up, why_not_started
from rollcall.cli.interrupting import Stopped, signals_raise
from rollcall.cli.listening import insist_on_port
from rollcall.cli.loaded import Loaded
from rollcall.cli.wanted import Order, Wanted
from rollcall.engines import EngineFailed, lock

ADDRESSES = ("ROLLCALL_DATABASE_URL", "ROLLCALL_MIGRATION_DATABASE_URL", "ROLLCALL_REDIS_URL")


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
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
@click.option("--apply", "apply_anew", is_flag=True, help="Apply the file of plans and tenants at a later start, too.")
@click.option("--fresh", is_flag=True, help="Begin anew: delete what earlier starts keep in the data directory.")
@click.option("--yes", "sure", is_flag=True, help="Delete it without asking.")
@click.option("--web-processes", default=1, show_default=True, type=click.IntRange(1, 16), help="Web processes.")
def up(**options: Any) -> None:
    """Run the whole product on this machine: engines, web, relay with beat, and workers.

    The first start applies a file of plans and tenants; later ones leave them as they are by then.

    With ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL and ROLLCALL_REDIS_URL set it uses those servers
    instead of starting its own. ROLLCALL_PUBLIC_URL is the address at which others reach it, if that is another one
    than where it listens. Ctrl-C stops everything it started.
    """
    wanted = Wanted(**options)
    if wanted.ready_file is not None:
        wanted.ready_file.unlink(missing_ok=True)
    try:
        with signals_raise():
            _run(wanted)
    except Stopped:
        click.echo("Stopped.")
    except EngineFailed as failure:
        give_up(str(failure))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        give_up(why_not_started(error, str(error), wanted.data_dir))
    finally:
        if wanted.ready_file is not None:
            wanted.ready_file.unlink(missing_ok=True)


def _run(wanted: Wanted) -> None:
    given = _given_servers()
    if given and wanted.fresh:
        give_up("--fresh deletes what the engines started here keep; servers of your own are for you to empty.")
    with lock(wanted.data_dir):
        insist_on_port(wanted.host, wanted.port)
        if wanted.fresh:
            begin_anew(wanted.data_dir, sure=wanted.sure)
        with Loaded() as loaded, _servers(given, wanted.data_dir) as (addresses, revive_engines):
            loaded.watch(Order(wanted, addresses), revive_engines)


def _given_servers() -> Mapping[str, str]:
    """The addresses of servers that somebody else runs, as they were given: all of them, or none."""
    named = {name: each for name in ADDRESSES for each in (name, f"{name}_FILE") if os.environ.get(each)}
    given = {each: os.environ[each] for each in named.values()}
    if given and len(named) < len(ADDRESSES):
        missing = ", ".join(name for name in ADDRESSES if name not in named)
        give_up(f"To use your own servers set {missing} too; to have engines started here, set none of them.")
    return given


@contextmanager
def _servers(given: Mapping[str, str], data_dir: Path) -> Generator[tuple[Mapping[str, str], Callable[[], None]]]:
    """The servers' addresses, given or of engines of our own, and what starts one of ours again that has ended."""
    if given:
        yield given, lambda: None
        return
    click.echo("Starting PostgreSQL and Valkey …")
    begun = time.monotonic()
    with embedded.started(data_dir) as (postgres, valkey):

        def revive() -> None:
            for engine in (postgres, valkey):
                if not engine.running:
                    click.secho(f"{engine.title} has ended; starting it again.", fg="yellow", err=True)
                    engine.start()

        engines = asyncio.run(embedded.prepare(postgres, valkey))
        click.echo(f"  both answer after {time.monotonic() - begun:.1f} s")
        yield engines.environment, revive
