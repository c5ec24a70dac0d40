"""``rollcall listen``: webhooks as they arrive on a developer's machine."""

import json
import queue
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, cast

import click
from standardwebhooks import Webhook, WebhookVerificationError

from rollcall.cli.giving_up import give_up

PATIENCE = 10.0
"""Seconds that Rollcall has to register the destination, or to remove it."""

LARGEST_BODY = 1024 * 1024

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Arrived:
    """A webhook that came in. *verified* is None where there is no secret to check it with."""

    id: str
    body: bytes
    verified: bool | None

    def read(self) -> dict[str, Any]:
        """What it says; nothing if that is no JSON object."""
        try:
            said: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


@dataclass(frozen=True, slots=True)
class Management:
    """The management API of the installation that is to call."""

    url: str
    key: str
    tenant: str | None

    @property
    def _destinations(self) -> str:
        return f"{self.url.rstrip('/')}/v1{f'/tenants/{self.tenant}' if self.tenant else ''}/destinations"

    def register(self, url: str, topics: Sequence[str]) -> tuple[str, str]:
        """Have *url* called, and return the destination's id and its secret."""
        wanted = {"url": url, "label": "rollcall listen", "topics": list(topics)}
        made = self._ask("POST", self._destinations, wanted)
        return made["id"], made["secret"]

    def remove(self, identifier: str) -> None:
        """Have it called no more."""
        self._ask("DELETE", f"{self._destinations}/{identifier}")

    def _ask(self, method: str, url: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  # checked when the option is read
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=PATIENCE) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            give_up(f"{method} {url} was refused ({refusal.code}): {_detail(refusal.read())}")
        except (urllib.error.URLError, OSError) as error:
            give_up(f"{url} does not answer ({getattr(error, 'reason', error)}): see that Rollcall runs, and --url.")


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]


def _web_address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        msg = f"'{value}' is no address; http://127.0.0.1:8000 is one"
        raise click.BadParameter(msg)
    return value


@click.command()
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of 127.0.0.1 to listen on; any if left out."
)
@click.option(
    "--url",
    envvar="ROLLCALL_URL",
    show_envvar=True,
    default="http://127.0.0.1:8000",
    show_default=True,
    callback=_web_address,
    help="The installation that is to call.",
)
@click.option("--key", envvar="OPERATOR_KEY", show_envvar=True, help="An operator's key, or an admin's token.")
@click.option("--tenant", help="Hear of this tenant only, by slug or id; an admin's token needs it.")
@click.option(
    "--topic", "topics", multiple=True, help="What to hear, such as user.deactivated; everything if left out."
)
@click.option(
    "--reached-at", callback=_web_address, help="Where the installation reaches this machine, if not at 127.0.0.1."
)
@click.option("--secret", envvar="WEBHOOK_SECRET", show_envvar=True, help="Register nothing, and verify with this.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")
def listen(
    port: int,
    url: str,
    key: str | None,
    tenant: str | None,
    topics: tuple[str, ...],
    reached_at: str | None,
    secret: str | None,
    as_json: bool,
) -> None:
    """Print webhooks as they arrive on this machine, until Ctrl-C.

    With a key a destination is registered for as long as this runs. The installation has to be allowed to call this
    machine: 'rollcall up' is, others need ROLLCALL_ALLOW_PRIVATE_DESTINATIONS or a tunnel named by --reached-at.
    """
    if secret is None and key is None:
        give_up(
            "There is nobody to register with: give --key (or OPERATOR_KEY; '. .rollcall/try.sh' sets it), "
            "or the --secret of a webhook that calls here already."
        )
    arrived: queue.SimpleQueue[Arrived | None] = queue.SimpleQueue()
    with _receiving(port, arrived) as receiver, _stopped_by_signals(arrived):
        here = f"http://127.0.0.1:{receiver.server_port}/"
        if secret is not None:
            receiver.webhook = _webhook(secret)
            click.secho(f"Listening at {here}. Ctrl-C ends it.", err=True)
            _print_all(arrived, as_json=as_json)
            return
        management = Management(url, key or "", tenant)
        identifier, made = management.register(reached_at or here, topics)
        receiver.webhook = _webhook(made)
        try:
            whose = tenant or "every tenant"
            click.secho(f"Listening at {here} to what happens in {whose}. Ctrl-C ends it.", err=True)
            _print_all(arrived, as_json=as_json)
        finally:
            management.remove(identifier)
            click.secho("The destination is removed.", err=True)


def _webhook(secret: str) -> Webhook:
    try:
        if not secret.startswith("whsec_"):
            raise ValueError  # the library takes any base 64
        return Webhook(secret)
    except (ValueError, RuntimeError):
        give_up("This is no webhook's secret: one begins with whsec_ and was shown when the webhook was registered.")


class _Receiver(ThreadingHTTPServer):
    daemon_threads = True
    webhook: Webhook | None = None

    def __init__(self, port: int, arrived: "queue.SimpleQueue[Arrived | None]") -> None:
        super().__init__(("127.0.0.1", port), _Call)
        self.arrived = arrived


class _Call(BaseHTTPRequestHandler):
    server: _Receiver  # pyright: ignore[reportIncompatibleVariableOverride]  # the only one that there is
    timeout = 10

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        webhook, verified = self.server.webhook, None
        if webhook is not None:
            try:
                webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
                verified = True
            except (WebhookVerificationError, ValueError):
                verified = False
        self.server.arrived.put(Arrived(self.headers.get("webhook-id", ""), body, verified))
        self._answer(401 if verified is False else 204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's names
        """Say nothing: what arrives is printed."""


@contextmanager
def _receiving(port: int, arrived: "queue.SimpleQueue[Arrived | None]") -> Generator[_Receiver]:
    try:
        receiver = _Receiver(port, arrived)
    except OSError as error:
        give_up(f"Port {port} of 127.0.0.1 can't be listened on ({error.strerror}); choose another with --port.")
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        receiver.server_close()


@contextmanager
def _stopped_by_signals(arrived: "queue.SimpleQueue[Arrived | None]") -> Generator[None]:
    """Have Ctrl-C and a polite kill end the printing, and nothing else: the destination is to be removed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        arrived.put(None)

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _print_all(arrived: "queue.SimpleQueue[Arrived | None]", *, as_json: bool) -> None:
    while (one := arrived.get()) is not None:
        click.echo(_line(one) if as_json else _paragraph(one))


def _line(one: Arrived) -> str:
    said = one.read()
    return json.dumps({"id": one.id, "type": said.get("type"), "verified": one.verified, "body": said})


def _paragraph(one: Arrived) -> str:
    """What arrived, for people. Other people's words are escaped, and drive nobody's terminal."""
    said = one.read()
    event = click.style(_plain(said.get("type", "no event")), bold=True)
    words = [event, _plain(_who(said)), _plain(one.id), _VERIFIED[one.verified]]
    return f"{'  '.join(words)}\n{json.dumps(said, indent=2)}"


_VERIFIED = {
    True: click.style("verified", fg="green"),
    False: click.style("NOT VERIFIED: its signature was not made with this secret", fg="red"),
    None: "not checked",
}


def _plain(word: object) -> str:
    text = str(word)
    return text if text.isprintable() else ascii(text)


def _who(said: dict[str, Any]) -> object:
    try:
        return said["data"]["person"]["user_name"]
    except (KeyError, TypeError):
        return "nobody in particular"
