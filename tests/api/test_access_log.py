"""The access log: off unless an operator wants it, and then a line for each request that tells nobody's secrets."""

import json
import logging as standard
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from io import StringIO
from types import FunctionType
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
import structlog
from litestar import Litestar

from factories import Tenant, alive, in_process
from rollcall import logging
from rollcall.app import create_app
from rollcall.settings import Settings

Log = Callable[[], list[dict[str, Any]]]


@pytest_asyncio.fixture(scope="module")
async def logging_app(settings: Settings) -> AsyncGenerator[Litestar]:
    """The application with its access log."""
    async with alive(create_app(settings.model_copy(update={"access_log": True}))) as app:
        yield app


@pytest.fixture
def log() -> Generator[Log]:
    """Reads the access log's lines since it was read last, as a production has them."""
    root, before = standard.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    logging.configure(environment="production", level="INFO")
    output = StringIO()
    cast("standard.StreamHandler[Any]", root.handlers[0]).setStream(output)

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in output.getvalue().splitlines()]
        output.seek(0)
        output.truncate()
        return [line for line in lines if line["logger"] == "rollcall.api.access_log"]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def calling(app: Litestar, headers: Any = None) -> httpx.AsyncClient:
    """Somebody who calls *app*."""
    return httpx.AsyncClient(transport=in_process(app), base_url="http://rollcall.test", headers=headers)


async def test_a_line_for_each_request(
    logging_app: Litestar, acme: Tenant, log: Callable[[], list[dict[str, Any]]]
) -> None:
    """It says method, route, status, time, bytes, request id and tenant, and nothing of ids, queries and tokens."""
    token = acme.token["token"]
    person = await acme.person()
    log()
    async with calling(logging_app, acme.scim.headers) as provider:
        found = await provider.get("/scim/v2/Users", params={"filter": 'userName eq "secret-name"'})
        read = await provider.get(f"/scim/v2/Users/{person['id']}", headers={"X-Request-Id": "r-1"})
        await provider.head(f"/scim/v2/Users/{person['id']}")
    async with calling(logging_app, acme.callers.operator.headers) as operator:
        await operator.get(acme.v1)
    listed, one, head, tenant = log()
    assert (
        one.items()
        >= {
            "event": "request",
            "level": "info",
            "method": "GET",
            "status": 200,
            "bytes": len(read.content),
            "request_id": "r-1",
            "tenant": acme.id,
        }.items()
    )
    assert one["route"] == "/scim/v2/Users/{user_id}"
    assert 0 < one["ms"] < 60_000
    assert (listed["route"], listed["bytes"]) == ("/scim/v2/Users", len(found.content))
    assert (head["method"], head["status"], head["bytes"]) == ("HEAD", 200, 0)
    assert (tenant["route"], tenant["tenant"]) == ("/v1/tenants/{tenant}", acme.slug)
    text = json.dumps([listed, one, head, tenant])
    for secret in (token, token.split("_")[4], "secret-name", person["id"]):
        assert secret not in text


async def test_who_is_not_known(logging_app: Litestar, acme: Tenant, log: Log) -> None:
    """A refused token names no tenant, and an address that leads nowhere has no route."""
    forged = acme.token["token"].replace("rc_scim_", "rc_pat_")
    async with calling(logging_app, {"Authorization": f"Bearer {forged}"}) as stranger:
        await stranger.get("/scim/v2/Users")
        await stranger.get("/no/such/rc_scim_place")
    refused, lost = log()
    assert (refused["status"], refused["tenant"]) == (401, None)
    assert (lost["status"], lost["route"], lost["tenant"]) == (404, None, None)


async def test_off_unless_wanted(acme: Tenant, app: Litestar, log: Log) -> None:
    """Without the setting there is no line, and nothing stands in a request's way."""
    assert (await acme.scim.get("/Users")).status_code == 200
    assert log() == []
    wrapped: Any = app.asgi_handler
    assert "access_log" not in set(wrappers(wrapped))


def wrappers(app: Any) -> Iterator[str]:
    """The functions that an application is wrapped in, outermost first."""
    if isinstance(app, FunctionType):
        yield app.__qualname__.partition(".")[0]
        for cell in app.__closure__ or ():
            yield from wrappers(cell.cell_contents)
