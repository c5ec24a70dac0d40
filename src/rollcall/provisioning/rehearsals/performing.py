"""A rehearsal on its stage: a provider's calls go through the SCIM routes, and what came of each is noted."""

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, cast
from urllib.parse import urlencode
from uuid import UUID

import orjson
from sqlalchemy import select

from rollcall.access import introspection, sessions, tokens
from rollcall.access.tokens import Scope
from rollcall.crypto import TokenKind
from rollcall.directory import mapping, people, role_states
from rollcall.directory.role_states import Explanation
from rollcall.directory.rules import RoleRule, Seen
from rollcall.journal.models import OutboxMessage
from rollcall.proof import receipts
from rollcall.provisioning.context import GateContext
from rollcall.provisioning.rehearsals.lines import Body, Chapter, Line, Look, Missing, filled
from rollcall.provisioning.rehearsals.providers import KEPT, Cast, Dialect, conversation
from rollcall.provisioning.rehearsals.stage import Stage
from rollcall.tenancy import operators, tenants
from rollcall.work import SYSTEM, RequestOrigin, Work, open_fleet, open_work

USUAL_NAMES = 4
"""How many of the rule's own names are pushed where nobody gave any."""

LEFT = "user.deactivated"


@dataclass(frozen=True, slots=True)
class Sent:
    """A call as it is sent."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """What was answered."""

    status: int
    body: bytes


class Answers(Protocol):
    """The SCIM routes, for a caller inside the process; *context* is what they find of the installation."""

    def __call__(self, context: GateContext, sent: Sent) -> Awaitable[Received]: ...


@dataclass(frozen=True, slots=True)
class Happened:
    """What was announced of a call: nobody hears it, and everybody who would have."""

    topic: str
    payload: Body


@dataclass(frozen=True, slots=True)
class PersonNow:
    """How somebody stands after a call."""

    active: bool
    explained: Explanation


@dataclass(frozen=True, slots=True)
class Step:
    """A call with what came of it; *status* is None where it could not be sent, as it names what was never made."""

    line: Line
    method: str
    path: str
    """With what was asked, for people to read."""
    body: object = None
    status: int | None = None
    answer: Any = None
    happened: Sequence[Happened] = ()
    person: PersonNow | None = None
    reads: str = ""
    """How the rule reads the name of the group, in the words of `explain`."""
    means: str | None = None
    """The role that this name means."""

    @property
    def is_refused(self) -> bool:
        """Whether the service refused it."""
        return self.status is not None and self.status >= 400

    def says(self, topic: str) -> Body | None:
        """What was announced under *topic*, if that was."""
        return next((each.payload for each in self.happened if each.topic == topic), None)


@dataclass(frozen=True, slots=True)
class Looked:
    """What Rollcall saw by itself: whether a session is good, or what a receipt counts."""

    look: Look
    is_good: bool | None = None
    closed: Body = field(default_factory=dict[str, object])
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Played:
    """A chapter as it went."""

    title: str
    steps: Sequence[Step | Looked]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A rehearsal that is over. Nothing of it is left but this."""

    provider: str
    chapters: Sequence[Played]
    profile: str
    """The profile in effect as it ended."""
    stopped: bool
    """Whether the provider would have gone no further."""


def cast_of(rule: RoleRule, given: Sequence[str]) -> Cast:
    """Which names are pushed, and which of them Ana is given: one that means a role, and one that contradicts it."""
    by_groups = "groups" in rule.sources or "roles" not in rule.sources
    names = [*given] or [*rule.published_values()][:USUAL_NAMES] or ["Everybody"]
    means = {name: _meant(rule, name, by_groups=by_groups) for name in names}
    # One that shows something first: a role that is neither what everybody has nor makes an admin.
    modest = [
        name for name in names if means[name] in rule.roles and means[name] not in {rule.default, *rule.admin_roles}
    ]
    counting = [name for name in names if means[name] is not None]
    first = next(iter([*modest, *counting, *names]))
    torn = (name for name in counting if means[name] != means[first])
    return Cast(names, first, next(torn, None) if first in counting else None, by_groups)


def _meant(rule: RoleRule, name: str, *, by_groups: bool) -> str | None:
    """The role that a name means; another text where it begins like one and is none, which counts for a conflict."""
    (read,) = rule.read([_seen(name, by_groups=by_groups)]).names
    return read.role or (f"no role, {read.spelling}" if read.kind == "ungrantable" else None)


def _seen(name: str, *, by_groups: bool) -> Seen:
    return Seen.in_group(name) if by_groups else Seen(name, "roles")


def _read(rule: RoleRule, name: str) -> tuple[str, str | None]:
    """How the name of a group is read, in words, and the label of the role that it means."""
    if not name:
        return "", None
    reading = rule.read([Seen.in_group(name)])
    (said,) = role_states.explanation(rule, role_states.fresh(rule), reading)["names"]
    return said["why"], None if said["role"] is None else rule.roles[said["role"]].label


class Performance:
    """One rehearsal on its stage."""

    def __init__(
        self, stage: Stage, origin: RequestOrigin, context: GateContext, answers: Answers, dialect: Dialect
    ) -> None:
        self._stage = stage
        self._origin = origin
        self._context = context
        self._answers = answers
        self._dialect = dialect
        self._ids: dict[str, str] = {}
        self._heard = UUID(int=0)
        self._left: UUID | None = None
        self._session = ""

    async def play(self, provider: str, names: Sequence[str]) -> Rehearsed:
        """Have the whole conversation, or as much of it as the provider would."""
        rule, token, application = await self._prepared()
        played: list[Played] = []
        stopped = False
        for chapter in conversation(self._dialect, cast_of(rule, names)):
            steps = [step async for step in self._steps(chapter, rule, token, application)]
            if steps:
                played.append(Played(chapter.title, steps))
            stopped = chapter.decides and any(isinstance(each, Step) and each.is_refused for each in steps)
            if stopped:
                break
        async with self._work() as work:
            profile = (await tenants.own(work)).profile
        return Rehearsed(provider, played, profile, stopped=stopped)

    def _work(self) -> AbstractAsyncContextManager[Work]:
        return open_work(self._stage.database, self._stage.tenant, SYSTEM, self._origin)

    async def _prepared(self) -> tuple[RoleRule, str, str]:
        """The rule; a token for the provider, and a key for the product that asks about sessions."""
        async with open_fleet(self._stage.database, SYSTEM, self._origin) as fleet:
            application = await operators.issue_key(fleet, TokenKind.APPLICATION, label="rehearsal")
            async with fleet.within(self._stage.tenant) as work:
                rule = mapping.rule_of(await tenants.own(work))
                new = await tokens.issue(work, label="rehearsal", scopes=[Scope.SCIM], owner_id=None)
        await self._stage.turn_back()
        async with self._work() as work:
            await self._happened(work)
        return rule, new.text, application

    async def _steps(
        self, chapter: Chapter, rule: RoleRule, token: str, application: str
    ) -> AsyncGenerator[Step | Looked]:
        """What comes of a chapter; nothing more where the provider would go no further."""
        for line in chapter.lines:
            if isinstance(line, Line):
                step = await self._say(line, rule, token)
                yield step
                if step.is_refused and chapter.decides:
                    return
            elif (looked := await self._look(line, application)) is not None:
                yield looked

    async def _say(self, line: Line, rule: RoleRule, token: str) -> Step:
        """Have one call answered, and note what it changed."""
        try:
            method, path = cast("str", filled(line.ask, self._ids)).split(" ", 1)
            body = filled(line.body, self._ids)
        except Missing:
            return Step(line, line.ask.split(" ", 1)[0], "")
        query = urlencode(line.query)
        sent = Sent(method, f"/scim/v2{path}", query, self._headers(token), b"" if body is None else orjson.dumps(body))
        received = await self._answers(self._context, sent)
        await self._context.batched_entries.flush()
        answer: Any = orjson.loads(received.body) if received.body else None
        if line.keep and received.status == 201:
            self._ids[line.keep] = answer["id"]
        read, means = _read(rule, line.group)
        async with self._work() as work:
            happened = await self._happened(work)
            person = await self._person(work) if line.person else None
        asked = "&".join(f"{name}={value}" for name, value in line.query.items())
        shown = f"{sent.path}?{asked}" if asked else sent.path
        return Step(line, method, shown, body, received.status, answer, happened, person, read, means)

    def _headers(self, token: str) -> Sequence[tuple[bytes, bytes]]:
        said = {"authorization": f"Bearer {token}", "content-type": self._dialect.media_type}
        if self._dialect.agent is not None:
            said["user-agent"] = self._dialect.agent
        return [(name.encode(), value.encode()) for name, value in said.items()]

    async def _happened(self, work: Work) -> Sequence[Happened]:
        """What was announced since this was asked last."""
        mine = (OutboxMessage.tenant_id == work.tenant.id, OutboxMessage.id > self._heard)
        rows = (await work.db.scalars(select(OutboxMessage).where(*mine).order_by(OutboxMessage.id))).all()
        for row in rows:
            self._heard = row.id
            if row.topic == LEFT and KEPT in self._ids:
                self._left = row.id
        return [Happened(row.topic, row.payload) for row in rows]

    async def _person(self, work: Work) -> PersonNow | None:
        if KEPT not in self._ids:
            return None
        person = await people.find(work, UUID(self._ids[KEPT]))
        return PersonNow(person.account.active, await people.explain(work, person.account.id))

    async def _look(self, look: Look, application: str) -> Looked | None:
        """What Rollcall sees by itself; None where there is nothing to be seen, as nobody came or nobody left."""
        match look:
            case Look.SIGN_IN if KEPT in self._ids:
                async with self._work() as work:
                    person = await people.find(work, UUID(self._ids[KEPT]))
                    if not person.account.active:
                        return None
                    new = await sessions.open_session(work, person.account.id, lifetime=timedelta(hours=1))
                    await work.db.flush()
                    await self._happened(work)
                self._session = new.text
                return Looked(look, is_good=await self._is_good(application))
            case Look.SIGNED_OUT if self._session:
                return Looked(look, is_good=await self._is_good(application))
            case Look.RECEIPT if self._left is not None:
                async with self._work() as work:
                    await receipts.settle(work, self._left)
                    receipt = await receipts.find(work, self._left)
                    seconds = (receipt.closed_at - receipt.arrived_at).total_seconds()
                    return Looked(look, closed=receipt.closed, seconds=seconds)
            case _:
                return None

    async def _is_good(self, application: str) -> bool:
        """What the product hears when it asks about the session."""
        client = introspection.client_of(application)
        return await introspection.introspect(self._stage.database.access_pool, client, self._session) is not None
