"""The processes of an installation: web, worker, relay, beat, and the migration before them."""

import asyncio
import os
import signal
from pathlib import Path

import click
from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar

from rollcall import db, logging, tables
from rollcall.app import create_app
from rollcall.cli.exposing import Address, answering_prometheus, metrics_option
from rollcall.cli.running import give_up, settings_or_give_up
from rollcall.settings import read_settings
from rollcall.worker.app import PROMPT, WAITING, make_celery, prepare_processes
from rollcall.worker.relay import relay as run_relay


def web() -> Litestar:
    """The application of one web process, as the server loads it."""
    settings = read_settings()
    logging.configure(environment=settings.environment, level=settings.log_level)
    return create_app(settings)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
@metrics_option
@click.pass_context
def serve(context: click.Context, host: str, port: int, workers: int, metrics_at: Address | None) -> None:
    """Serve SCIM, the management API and the console."""
    settings_or_give_up()
    context.with_resource(answering_prometheus(metrics_at, together=True))
    Granian(
        "rollcall.cli.serving:web",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
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
@metrics_option
@click.pass_context
def worker(context: click.Context, queues: frozenset[str], concurrency: int | None, metrics_at: Address | None) -> None:
    """Run Celery's worker: everything that reaches outside happens here. It takes two: see --queues."""
    settings = settings_or_give_up()
    threads = bool(queues & {*WAITING})
    answering = context.with_resource(answering_prometheus(metrics_at, together=not threads, at_once=threads))
    prepare_processes(settings, forking=not threads, on_ready=answering)
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
@metrics_option
@click.pass_context
def relay(context: click.Context, metrics_at: Address | None) -> None:
    """Hand the outbox over to the worker. Any number may run."""
    settings = settings_or_give_up()
    context.with_resource(answering_prometheus(metrics_at))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await run_relay(settings, stop)
        except db.RoleUnbound as unfit:
            give_up(str(unfit))

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
