"""The processes of an installation: web, worker, relay, beat, and the migration before them."""

import asyncio
import os
import signal
from pathlib import Path
from typing import cast

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from litestar.types import ASGIApp

from rollcall import logging, tables
from rollcall.api.receiving import lingering
from rollcall.app import create_app
from rollcall.cli.running import give_up, settings_or_give_up
from rollcall.settings import read_settings
from rollcall.worker.app import PROMPT, WAITING, make_celery, prepare_processes
from rollcall.worker.relay import relay as run_relay


def web() -> ASGIApp:
    """The application of one web process, as the server loads it."""
    settings = read_settings()
    logging.configure(environment=settings.environment, level=settings.log_level)
    return lingering(cast("ASGIApp", create_app(settings)))


_BUFFER = 65_536
"""Bytes of a connection that the server reads ahead; the longest head that is taken, too."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve SCIM, the management API and the console."""
    settings = settings_or_give_up()
    Granian(
        "rollcall.cli.serving:web",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
        # HTTP/1 alone: only there are connections closed that send nothing, or half a head.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=settings.head_seconds * 1000, max_buffer_size=_BUFFER),
        backpressure=settings.connections,
        factory=True,
        websockets=False,
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    ).serve()


def _queues(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[str]:
    """Read the names of queues; what follows a departure is never to wait behind somebody who is slow to listen."""
    names = frozenset(name.strip() for name in value.split(","))
    if unknown := sorted(names - {*PROMPT, *WAITING}):
        msg = f"there is no queue {', '.join(unknown)}; there are {', '.join((*PROMPT, *WAITING))}"
        raise click.BadParameter(msg)
    if names & {*PROMPT} and names & {*WAITING}:
        msg = f"run one worker for {','.join(PROMPT)} and another for {','.join(WAITING)}: neither is to wait"
        raise click.BadParameter(msg)
    return names


@click.command()
@click.option(
    "--queues",
    default=",".join(PROMPT),
    show_default=True,
    callback=_queues,
    help=f"What this worker does; another one does {','.join(WAITING)}.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    help="Tasks at a time: 2 processes, or for deliveries, which mostly wait, 32 threads.",
)
def worker(queues: frozenset[str], concurrency: int | None) -> None:
    """Run Celery's worker: everything that reaches outside happens here. It takes two: see --queues."""
    settings = settings_or_give_up()
    threads = bool(queues & {*WAITING})
    prepare_processes(settings, forking=not threads)
    app = make_celery(settings)
    app.set_default()
    app.worker_main(
        [
            "worker",
            f"--pool={'threads' if threads else 'prefork'}",
            f"--concurrency={concurrency or (32 if threads else 2)}",
            f"--queues={','.join(sorted(queues))}",
            f"--hostname={'delivery' if threads else 'rollcall'}-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            f"--loglevel={settings.log_level}",
        ]
    )


@click.command()
@click.option(
    "--schedule",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("celerybeat-schedule"),
    show_default=True,
    help="File in which beat remembers what it ran when.",
)
def beat(schedule: Path) -> None:
    """Run Celery's beat: one for an installation."""
    settings = settings_or_give_up()
    prepare_processes(settings)
    make_celery(settings).Beat(schedule=str(schedule), pidfile=None, loglevel=settings.log_level).run()


@click.command()
def relay() -> None:
    """Hand the outbox over to the worker. Any number may run."""
    settings = settings_or_give_up()

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_relay(settings, stop)

    asyncio.run(run())


@click.command()
def migrate() -> None:
    """Bring the database to the present tables, and the running role to its rights."""
    settings = settings_or_give_up()
    try:
        asyncio.run(tables.migrate(settings))
    except tables.MigrationRefused as refusal:
        give_up(str(refusal))
    click.echo(f"The database stands at {tables.newest_revision()}.")
