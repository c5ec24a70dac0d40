"""``python -m benchmarks.large_changes``: changes of everybody's role in one large tenant, from the call to their end.

A web process, a relay and a worker, as an installation runs them. A change has ended when it has been brought to
everybody it concerns. Each time the roles that are stored are counted by themselves, and have to be what the rule and
the groups say; and in the middle of one change the worker is killed, and another one goes on.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import orjson
import psutil

from benchmarks.dataset import RULE, Dataset, prepared, superuser
from benchmarks.http_client import HttpClient
from benchmarks.neighbours import FILLED, PATCH, json_request, operator_key
from benchmarks.servers import family, free_port, started

LONGEST_SECONDS = 15.0
"""The most that a large change may take to its end, on a machine that nothing else needs."""

GIVE_UP_SECONDS = 600.0
KILLED_AFTER = 0.5
"""Seconds after a change was answered at which its worker is killed."""

_WORKER = ("worker", "--queues", "revocation,housekeeping")
_LEFT = "SELECT count(*) FROM role_changes WHERE tenant_id = $1 AND ended_at IS NULL"
_OTHERS = "SELECT count(*) FROM accounts WHERE tenant_id = $1 AND role <> $2 AND NOT is_admin"
_WITH_ROLE = "SELECT count(*) FROM accounts WHERE tenant_id = $1 AND role = $2"


@dataclass(frozen=True, slots=True)
class Change:
    """A large change: the request that makes it, and the role that everybody, or so many, have when it has ended."""

    name: str
    write: Callable[[str], bytes]
    """Writes the request; given is the id of the last group that was made."""
    role: str
    people: int | None = None
    """How many have the role; None for everybody."""
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who changes: the provider of the club, and ops."""

    slug: str
    token: str
    key: str
    everybody: str
    """The group that everybody is in."""
    members: Sequence[str]

    def changes(self) -> list[Change]:
        """What is measured, one after the other; what one does the next one or the last takes back."""
        guests, filled = {**RULE, "default": "guest"}, [{"value": each} for each in self.members]
        group = {"displayName": "dart-guests", "members": filled}
        nested = {"displayName": "dart-guests", "members": [{"value": self.everybody}]}
        emptied = {"op": "remove", "path": "members"}
        number = len(self.members)
        return [
            Change("the default becomes another role", lambda _: self._rule(guests), "guest"),
            Change("and back", lambda _: self._rule(RULE), "member"),
            Change("a group of everybody comes to mean a role", lambda _: self._named("dart-guests"), "guest"),
            Change("it means none any more", lambda _: self._named("everybody"), "member"),
            Change("a group with everybody below it is made", lambda _: self._scim("POST", "/Groups", nested), "guest"),
            Change("it is deleted", lambda made: self._scim("DELETE", f"/Groups/{made}"), "member"),
            Change("a group of a role is filled", lambda _: self._scim("POST", "/Groups", group), "guest", number),
            Change("it is emptied", lambda made: self._patch(made, emptied), "member"),
            Change("the default, and the worker is killed", lambda _: self._rule(guests), "guest", killed=True),
        ]

    def _rule(self, rule: Mapping[str, Any]) -> bytes:
        return json_request("PUT", f"/v1/tenants/{self.slug}/role-rule", self.key, rule)

    def _named(self, name: str) -> bytes:
        return self._patch(self.everybody, {"op": "replace", "path": "displayName", "value": name})

    def _patch(self, group: str, operation: Mapping[str, Any]) -> bytes:
        return self._scim("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})

    def _scim(self, method: str, address: str, body: object = None) -> bytes:
        return json_request(method, f"/scim/v2{address}", self.token, body)


class Parts:
    """The relay and the worker beside the web process; the worker can be killed and replaced."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = {**os.environ, **environment}
        self._log = log
        self._relay = self._run("relay")
        self._worker = self._run(*_WORKER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._relay, self._worker):
            process.terminate()
        for process in (self._relay, self._worker):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill_worker(self) -> None:
        """Kill the worker with all that it started, and start another one."""
        for each in family(psutil.Process(self._worker.pid)):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self._worker.wait()
        self._worker = self._run(*_WORKER)

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "rollcall", *arguments], env=self._environment, stdout=output, stderr=output
            )


@click.command()
@click.option("--people", default=100_000, show_default=True, type=click.IntRange(3_000), help="Of the tenant.")
@click.option(
    "--longest", default=LONGEST_SECONDS, show_default=True, help="Seconds that a change may take to its end."
)
def main(people: int, longest: float) -> None:
    """Change everybody's role in several ways, and see each change to its end; fails where one takes too long."""
    with tempfile.TemporaryDirectory(prefix="rollcall-large-changes-") as folder, ExitStack() as running:
        dataset = running.enter_context(prepared(Path(folder) / "dataset", people=people, tenants=1, say=click.echo))
        port, environment = free_port(), dataset.environment()
        serve = ["-m", "rollcall", "serve", "--port", str(port)]
        running.enter_context(started(serve, port, environment, ready="/health/ready"))
        parts = running.enter_context(Parts(environment, Path(folder) / "parts.log"))
        slow = asyncio.run(_measured(dataset, port, parts, longest))
    if slow:
        raise click.ClickException(f"longer than {longest:g} s: {'; '.join(slow)}")


async def _measured(dataset: Dataset, port: int, parts: Parts, longest: float) -> list[str]:
    """Make each change and tell about it; returns those that took longer than they may."""
    caller = await _caller(dataset, port)
    for change in caller.changes()[:2]:  # the worker starts meanwhile
        async with HttpClient(port) as talker:
            await talker.ask(change.write(""))
        await _ended(dataset, change, time.monotonic())
    click.echo(f"load of the machine: {', '.join(f'{each:.1f}' for each in psutil.getloadavg())}\n")
    click.echo(f"{'the change':<44}{'answer s':>10}{'whole s':>10}")
    slow: list[str] = []
    made = ""
    for change in caller.changes():
        begun = time.monotonic()
        async with HttpClient(port) as talker:
            status, body = await talker.ask(change.write(made))
        answered = time.monotonic() - begun
        if status not in (200, 201, 204):
            raise click.ClickException(f"{change.name}: answered {status}: {body.decode()}")
        if status == 201:
            made = orjson.loads(body)["id"]
        if change.killed:
            await asyncio.sleep(KILLED_AFTER)
            parts.kill_worker()
        whole = await _ended(dataset, change, begun)
        click.echo(f"{change.name:<44}{answered:>10.1f}{whole:>10.1f}")
        if whole > longest and not change.killed:
            slow.append(change.name)
    return slow


async def _caller(dataset: Dataset, port: int) -> Caller:
    everybody = str(dataset.groups[-1].ids[0])
    wanted = json_request("GET", f"/scim/v2/Groups/{everybody}?attributes=members", dataset.club.token)
    async with HttpClient(port) as talker:
        status, body = await talker.ask(wanted)
    if status != 200:
        raise click.ClickException(f"the group of everybody can't be read: {body.decode()}")
    members = [member["value"] for member in orjson.loads(body)["members"][:FILLED]]
    return Caller("club", dataset.club.token, await operator_key(dataset), everybody, members)


async def _ended(dataset: Dataset, change: Change, begun: float) -> float:
    """Wait until a change has been brought to everybody; returns the seconds since it began.

    Raises:
        ClickException: it does not end, or the roles are not what they should be then.
    """
    club = dataset.club.id
    async with superuser(dataset.engines) as connection:
        while await connection.fetchval(_LEFT, club):
            if time.monotonic() - begun > GIVE_UP_SECONDS:
                raise click.ClickException(f"{change.name}: it has not ended after {GIVE_UP_SECONDS:g} s")
            await asyncio.sleep(0.1)
        whole = time.monotonic() - begun
        if change.people is None:
            wrong = await connection.fetchval(_OTHERS, club, change.role)
        else:
            wrong = await connection.fetchval(_WITH_ROLE, club, change.role) - change.people
    if wrong:
        raise click.ClickException(f"{change.name}: {abs(wrong)} people do not have the role that they should")
    return whole


if __name__ == "__main__":
    main()
