"""The process below ``rollcall up`` that has loaded the application, and forks web, relay and workers from it.

It is given its order on its standard input, so that it loads while the engines start. It opens no connection and runs
no event loop, for neither outlasts a fork: what takes one is done by processes that are forked for it and end.
"""

import sys
from functools import partial
from importlib import import_module
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import click
from sqlalchemy.orm import configure_mappers

from rollcall import garbage
from rollcall.cli.children import Children
from rollcall.cli.forking import call_us
from rollcall.cli.giving_up import give_up
from rollcall.cli.interrupting import Stopped, signals_raise
from rollcall.cli.preparing import announce_when_ready, prepare_database, settle_on
from rollcall.cli.wanted import Order
from rollcall.engines import EngineFailed
from rollcall.worker.app import WAITING

LOADED = (
    "rollcall.cli.serving",
    "rollcall.cli.working",
    "anyio._backends._asyncio",
    "celery.app.control",
    "celery.app.events",
    "celery.backends.base",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.control",
    "celery.worker.strategy",
    "cffi.cparser",
    "encodings.idna",
    "kombu.transport.redis",
    "litestar.plugins.pydantic",
)
"""What the children are, and what they would load by themselves when they begin: here, so that they share it."""


def look_after() -> None:
    """Do what is ordered, until somebody stops us."""
    try:
        with signals_raise():
            call_us("parent")
            _load()
            if line := sys.stdin.readline():  # nothing comes from an 'up' that has ended
                _look_after(Order.read(line))
    except Stopped:
        pass
    except EngineFailed as failure:
        give_up(str(failure))


def _load() -> None:
    for module in LOADED:
        import_module(module)
    configure_mappers()
    SSLContext(PROTOCOL_TLS_CLIENT)  # OpenSSL begins with its first context, and takes three megabytes for it


def _look_after(order: Order) -> None:
    wanted = order.wanted
    settings = settle_on(order)
    garbage.before_fork()
    with Children(wanted.data_dir / "logs") as children:
        children.errand("preparing", partial(prepare_database, settings, wanted))
        click.echo("Starting web, relay, worker, delivery and beat …")
        address = ("--host", wanted.host, "--port", str(wanted.port))
        children.start("web", "serve", *address, "--workers", str(wanted.web_processes))
        children.start("worker", "worker")
        children.start("delivery", "worker", "--queues", ",".join(WAITING))
        children.start("relay", "relay", "--beat-schedule", str(wanted.data_dir.resolve() / "beat-schedule"))
        children.errand("starting", partial(announce_when_ready, settings, wanted, children.pids))
        children.watch()
