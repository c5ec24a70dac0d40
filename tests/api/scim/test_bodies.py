"""Bodies: what is read of them, when, and what is refused before anybody looks at what it says."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from api.expect import done, refused
from factories import USER, Tenant
from rollcall.provisioning import calls
from rollcall.scim import reader

LIMIT = 1_048_576
WRITES = ["POST /Users", "PUT /Users/{id}", "PATCH /Users/{id}", "POST /Users/.search"]


async def send(tenant: Tenant, write: str, content: Any, **headers: str) -> httpx.Response:
    """Send a body as it is, to ada's address where one is needed."""
    method, _, address = write.partition(" ")
    given = {"content-type": "application/scim+json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return await tenant.scim.request(method, address.format(id=tenant.admin["scim_id"]), content=content, headers=given)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n",
        b"{",
        b"nonsense",
        b"[]",
        b'"userName"',
        b"null",
        b'{"userName": "m"} {}',
        b'{"userName": "m",}',
        b"{'userName': 'm'}",
        b'{"userName": NaN}',
        b'{"userName": 123456789012345678901234567890}',
        b'{"userName": 1e999}',
        b'{"userName": "m", "userName": "n"}',
        b'{"userName": "m", "USERNAME": "n"}',
        b'{"userName": "m", "name": {"givenName": "a", "givenname": "b"}}',
        b'{"userName": "m\\u0000"}',
        b'{"userName": "m\x00"}',
        b'{"m\\u0000": "m"}',
        b'{"userName": "\\ud800"}',
        b'{"userName": "\\udc00\\ud800"}',
        b'{"\\ud800": "m"}',
        b'{"userName": "\xed\xa0\x80"}',
        b'{"userName": "\xff"}',
        b'\xef\xbb\xbf{"userName": "m"}',
        '{"userName": "m"}'.encode("utf-16"),
        b'{"userName": ' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"userName": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_malformed(acme: Tenant, content: bytes) -> None:
    """A body that is not one sound JSON object is 400 invalidSyntax, whatever it is sent to, and changes nothing."""
    for write in WRITES:
        refused(await send(acme, write, content), 400, "invalidSyntax")

    assert done(await acme.scim.get("/Users"))["totalResults"] == 1


@pytest.mark.parametrize("write", WRITES)
async def test_too_large(acme: Tenant, write: str) -> None:
    """A body of one byte too many is 413, and the refusal stands in the audit."""
    refused(await send(acme, write, b" " * LIMIT + b"{"), 413, saying=str(LIMIT))

    assert (await acme.audit())[0]["status"] == 413


async def test_largest(acme: Tenant) -> None:
    """A body of exactly as many bytes as are read is read."""
    person = b'{"userName": "m"}'

    assert done(await send(acme, "POST /Users", b" " * (LIMIT - len(person)) + person), 201)["userName"] == "m"


@pytest.mark.parametrize("write", WRITES)
async def test_too_large_without_length(acme: Tenant, write: str) -> None:
    """A body that does not say how long it is, is read up to the limit and no further."""
    sent = 0

    async def chunks() -> AsyncGenerator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 65_536
            yield b" " * 65_536

    refused(await send(acme, write, chunks()), 413)

    assert sent <= LIMIT + 2 * 65_536


async def test_nothing_is_read_of_an_unknown_caller(acme: Tenant) -> None:
    """A caller whom the gate refuses is refused without a byte of the body being read."""
    read = 0

    async def chunks() -> AsyncGenerator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    token = acme.token["token"]
    async with acme.callers.bearer(token[:-10] + "0123456789", path="/scim/v2") as stranger:
        refused(await stranger.post("/Users", content=chunks()), 401)
    await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")
    refused(await acme.scim.post("/Users", content=chunks()), 401)

    assert read == 0


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "x"],
)
async def test_other_media_types(acme: Tenant, content_type: str) -> None:
    """A body declared to be something else than SCIM or JSON in UTF-8 is 415."""
    for write in WRITES:
        refused(await send(acme, write, b'{"userName": "m"}', content_type=content_type), 415)


@pytest.mark.parametrize(
    "content_type", ["application/scim+json", "application/json", "Application/JSON; Charset=UTF-8", ""]
)
async def test_media_types(acme: Tenant, content_type: str) -> None:
    """SCIM and JSON are taken, also with a charset, and what has no type at all is read as SCIM."""
    assert done(await send(acme, "POST /Users", b'{"userName": "m"}', content_type=content_type), 201)


async def test_escapes_of_whole_characters(acme: Tenant) -> None:
    """A pair of escaped surrogates is the character that it means."""
    person = done(await send(acme, "POST /Users", b'{"userName": "\\ud83d\\ude00"}'), 201)

    assert person["userName"] == "\N{GRINNING FACE}"


async def test_large_bodies_are_read_one_at_a_time(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of several hundred kilobytes are read one after the other, and small ones are answered meanwhile."""
    at_once: list[int] = []
    under_way = 0
    go_on = threading.Event()
    read_json = reader.read_json

    def slowly(body: bytes, **limits: int) -> dict[str, object]:
        nonlocal under_way
        if len(body) < calls.LARGE:
            return read_json(body, **limits)
        under_way += 1
        at_once.append(under_way)
        try:
            assert go_on.wait(30)
            return read_json(body, **limits)
        finally:
            under_way -= 1

    monkeypatch.setattr(reader, "read_json", slowly)
    large = {"schemas": [USER], "title": "x" * 300_000}
    waiting = [asyncio.create_task(acme.scim.post("/Users", json=large | {"userName": f"large-{n}"})) for n in range(3)]
    async with asyncio.timeout(30):
        while not at_once:
            await asyncio.sleep(0.01)
    assert (await acme.scim.post("/Users", json={"schemas": [USER], "userName": "small"})).status_code == 201
    assert not any(task.done() for task in waiting)
    go_on.set()
    answers = await asyncio.gather(*waiting)
    assert all(answer.status_code < 500 for answer in answers), [answer.text[:200] for answer in answers]
    assert at_once == [1, 1, 1]
