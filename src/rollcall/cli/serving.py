"""The web processes of an installation, and the one that starts them and starts them again."""

import multiprocessing
from typing import Any, cast

import click
import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from litestar import Litestar
from litestar.types import ASGIApp

from rollcall import garbage, logging, orphans, stalls
from rollcall.app import create_app
from rollcall.cli.exposing import Address, answering_prometheus, metrics_option
from rollcall.cli.listening import insist_on_port, usable_url
from rollcall.cli.running import settings_or_give_up, wait_for_tables
from rollcall.console import languages
from rollcall.settings import read_settings

log = structlog.get_logger(__name__)

_THROUGH_OURS: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""The server's own lines, when a web process ends or won't start, go where all others go."""


def web() -> ASGIApp:
    """The application of one web process, as the server loads it."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        orphans.end_with(parent.pid)
    settings = read_settings()
    logging.configure(environment=settings.environment, level=settings.log_level)
    app = create_app(settings, lingers=True)
    app.on_startup.append(_begun)
    return cast("ASGIApp", app)


async def _begun(app: Litestar) -> None:
    garbage.started()
    app.on_shutdown.append(stalls.watch().stop)


_BUFFER = 65_536
"""Bytes of a connection that the server reads ahead; the longest head that is taken, too."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Web processes.")
@metrics_option
@click.pass_context
def serve(context: click.Context, host: str, port: int, workers: int, metrics_at: Address | None) -> None:
    """Serve SCIM, the management API and the console.

    Waits for the database, and until it is migrated. When this process ends, by whatever death, so do its web
    processes.
    """
    settings = settings_or_give_up()
    try:
        languages.of_settings(settings)
    except languages.CatalogueBroken as broken:
        raise click.ClickException(str(broken)) from None
    insist_on_port(host, port)
    wait_for_tables(settings)
    number = insist_on_port(host, port)  # somebody may have taken it while we waited
    context.with_resource(answering_prometheus(metrics_at, together=True))
    server = Granian(
        "rollcall.cli.serving:web",
        address=number,
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
        log_level=LogLevels.warning,
        log_dictconfig=_THROUGH_OURS,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
    )
    server.on_startup(
        lambda: log.info("serving", address=usable_url(host, port), host=host, port=port, processes=workers)
    )
    server.on_shutdown(lambda: log.info("no longer serving"))
    if multiprocessing.get_start_method() == "fork":
        garbage.before_fork()
    else:  # as on Python 3.14: each web process imports for itself, and shares nothing
        garbage.started()
    server.serve()
