"""The processes that work behind the web: worker, beat and relay."""

import asyncio
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click

from rollcall import garbage, stalls
from rollcall.cli.exposing import Address, answering_prometheus, metrics_option
from rollcall.cli.running import run_until_stopped, settings_or_give_up, wait_for_tables
from rollcall.worker.app import PROMPT, WAITING, make_celery, prepare_processes, work
from rollcall.worker.beating import beating
from rollcall.worker.heartbeats import say_that_worker_lives, scheduler_that_says_it_lives
from rollcall.worker.relay import relay as run_relay


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
    wait_for_tables(settings)
    threads = bool(queues & {*WAITING})
    answering = context.with_resource(answering_prometheus(metrics_at, together=not threads, at_once=threads))
    prepare_processes(settings, forking=not threads, on_ready=answering)
    say_that_worker_lives(settings, queues)
    context.exit(work(settings, queues, threads=threads, at_once=concurrency or (32 if threads else 2)))


@click.command()
@click.option(
    "--schedule",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("celerybeat-schedule"),
    show_default=True,
    help="File in which beat remembers what it ran when.",
)
def beat(schedule: Path) -> None:
    """Run Celery's beat: one is enough for an installation, and two do no harm."""
    settings = settings_or_give_up()
    wait_for_tables(settings)
    prepare_processes(settings)
    app = make_celery(settings)
    scheduler = scheduler_that_says_it_lives(settings)
    garbage.started()
    app.Beat(schedule=str(schedule), scheduler=scheduler, pidfile=None, loglevel=settings.log_level, quiet=True).run()


@click.command()
@click.option(
    "--beat-schedule",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Run beat in this process too, which remembers in FILE what it ran when; one is enough, two do no harm.",
)
@metrics_option
@click.pass_context
def relay(context: click.Context, beat_schedule: Path | None, metrics_at: Address | None) -> None:
    """Hand the outbox over to the worker. Any number may run."""
    settings = settings_or_give_up()
    wait_for_tables(settings)
    context.with_resource(answering_prometheus(metrics_at))

    async def watched(stop: asyncio.Event) -> None:
        garbage.started()
        stalls.watch()
        ended = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        with beating(settings, beat_schedule, when_ended=ended) if beat_schedule else nullcontext():
            await run_relay(settings, stop)

    run_until_stopped(watched)
