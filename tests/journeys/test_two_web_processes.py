"""Two web processes on one database, asked over real HTTP at once: for the last seat, and while a plan changes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cli.processes import rollcall
from cli.shell import environment_of
from factories import ORIGIN, USER, Callers, Tenant, a_tenant, alive, deactivation, make_callers
from installations import Installation, an_installation
from journeys.conftest import eventually
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.engines.processes import free_port
from rollcall.settings import Settings
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet

pytestmark = [pytest.mark.slow, pytest.mark.bound(300)]

ROUNDS = 25
CREATIONS = 1_000
AT_ONCE = 4
"""Calls to each process."""


@dataclass(frozen=True)
class Web:
    """Two web processes of one installation."""

    installation: Installation
    callers: Callers
    ports: tuple[int, int]

    def providers(self, tenant: Tenant) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
        """The tenant's identity provider, which calls the one and the other process."""
        headers = {"Authorization": f"Bearer {tenant.token['token']}"}
        one, other = (f"http://127.0.0.1:{port}/scim/v2" for port in self.ports)
        return (
            httpx.AsyncClient(base_url=one, headers=headers, timeout=60),
            httpx.AsyncClient(base_url=other, headers=headers, timeout=60),
        )

    def operator(self) -> httpx.AsyncClient:
        """Ops, who call the second process."""
        headers = {"Authorization": self.callers.operator.headers["Authorization"]}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ports[1]}", headers=headers, timeout=60)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest_asyncio.fixture(scope="module")
async def web(engines: Engines, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Web]:
    """Two processes, each started by its command, and plans to put tenants on."""
    ports, folder = (free_port(None), free_port(None)), tmp_path_factory.mktemp("web")
    async with (
        an_installation(engines, settings) as there,
        alive(create_app(there.settings)) as app,
        make_callers(app, app.state.database, settings.public_url) as callers,
    ):
        async with open_fleet(app.state.database, SYSTEM, ORIGIN) as fleet:
            await plans.define(fleet, "pair", PlanTerms(name="Pair", features=("scim",), seats=2, rate_per_second=0))
            await plans.define(fleet, "bare", PlanTerms(name="Bare", rate_per_second=0))
        with ExitStack() as stack:
            for port in ports:
                surroundings = environment_of(there.settings)
                stack.enter_context(rollcall(folder / f"{port}", surroundings, "serve", "--port", str(port)))
            for port in ports:
                await asyncio.to_thread(eventually, lambda port=port: is_ready(port), within=200)
            yield Web(there, callers, ports)


async def create(provider: httpx.AsyncClient, user_name: str) -> httpx.Response:
    """Create somebody; where the process has too much to do, once more, as providers do it."""
    body: dict[str, Any] = {"schemas": [USER], "userName": user_name}
    while (answer := await provider.post("/Users", json=body)).status_code == 503:
        await asyncio.sleep(0.05)
    return answer


async def test_the_last_seat(web: Web) -> None:
    """Of two who come by two processes at the same moment one is let in, and the other is told why and what to do."""
    acme = await a_tenant(web.callers, plan="pair")
    one, other = web.providers(acme)
    async with one, other:
        for number in range(ROUNDS):
            both = await asyncio.gather(create(one, f"one-{number}"), create(other, f"other-{number}"))
            in_order = sorted(both, key=lambda answer: answer.status_code)
            assert [answer.status_code for answer in in_order] == [201, 403], [answer.text for answer in both]
            made, refused = (answer.json() for answer in in_order)
            assert refused["detail"].startswith(
                "The plan Pair has 2 seats, and 2 people are active, so nobody more is let in: nothing was changed. "
                "Deactivate somebody who has left, or ask the vendor for more seats; then provision this person again."
            )
            answer = await (other if number % 2 else one).patch(f"/Users/{made['id']}", json=deactivation())
            assert answer.status_code in (200, 204)
    active = "SELECT count(*) FROM accounts WHERE tenant_id = $1::uuid AND active"
    assert await web.installation.owner.fetchval(active, acme.id) == 1


async def test_a_plan_changes_beside_creations(web: Web) -> None:
    """Once a plan without SCIM is answered nobody is created any more, through neither process; leavers still leave."""
    acme = await a_tenant(web.callers)
    names = iter(range(CREATIONS))
    answers: list[tuple[bool, httpx.Response]] = []
    """Each with whether it was asked for after the answer about the plan."""
    changed = asyncio.Event()

    async def people() -> int:
        count = "SELECT count(*) FROM users WHERE tenant_id = $1::uuid"
        return await web.installation.owner.fetchval(count, acme.id)

    async def call(provider: httpx.AsyncClient) -> None:
        for number in names:
            late = changed.is_set()
            answers.append((late, await create(provider, f"person-{number}")))

    async def change(operator: httpx.AsyncClient) -> int:
        while len(answers) < CREATIONS // 3:
            await asyncio.sleep(0.01)
        answer = await operator.patch(acme.v1, json={"plan": "bare"})
        changed.set()
        assert answer.status_code == 200, answer.text
        return await people()

    first, second = web.providers(acme)
    async with first, second, web.operator() as operator:
        calls = [call(provider) for provider in (first, second) for _ in range(AT_ONCE)]
        at_the_answer, *_ = await asyncio.gather(change(operator), *calls)
        created = [answer for _, answer in answers if answer.status_code == 201]
        assert len(answers) == CREATIONS
        assert await people() == at_the_answer == len(created) + 1, "ada was there before"
        late = [answer for late, answer in answers if late]
        assert len(late) > AT_ONCE
        assert {answer.status_code for answer in late} == {403}
        assert "Bare" in late[0].json()["detail"]
        assert {answer.status_code for _, answer in answers} == {201, 403}
        gone = await first.patch(f"/Users/{created[0].json()['id']}", json=deactivation())
        assert gone.status_code in (200, 204), gone.text
