"""Exports: lists as files, by the filters of their pages, whole and in pages, for admins of the tenant alone."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar

from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import Tenant
from proof.test_receipts import completed
from rollcall.console import exporting, exports
from rollcall.console.exporting import ExportRunning, Turn, cell
from rollcall.db import Connection
from rollcall.paging import Page
from rollcall.settings import Settings
from rollcall.work import Work

LISTS = ("activity", "people", "departures", "groups")


def read_csv(text: str) -> list[dict[str, str]]:
    """The rows of a file for spreadsheets."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def read_lines(text: str) -> list[dict[str, Any]]:
    """The rows of a file for programs."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", LISTS)
async def test_each_list(
    browser: Browser, acme: Tenant, other: Tenant, owner: Connection, settings: Settings, name: str
) -> None:
    """Each list says how many rows it has, and both files have as many, of this tenant and no other."""
    for tenant in (acme, other):
        await completed(tenant, owner, settings)
        await tenant.scim.post("/Groups", json={"displayName": f"Crew of {tenant.slug}"})
        await tenant.callers.app.state.context.batched_entries.flush()
    await signed_in(browser, acme, acme.admin)
    assert f"/console/{name}/export" in (await browser.open(f"/console/{name}")).text

    page = (await browser.open(f"/console/{name}/export")).text
    first = await browser.open(f"/console/{name}/export/csv")
    second = await browser.open(f"/console/{name}/export/jsonl")

    rows, lines = read_csv(first.text), read_lines(second.text)
    assert rows
    if name != "activity":  # each file is an entry of it
        assert f">{len(rows):,}</strong>" in page
        assert len(rows) == len(lines)
    columns = {each.name: list(each.columns) for each in exports.EXPORTED}[name]
    assert [list(each) for each in (rows[0], lines[0])] == [columns, columns]
    assert other.slug not in first.text
    assert other.slug not in second.text
    assert f'filename="{name}-{acme.slug}-' in first.headers["content-disposition"]
    entries = await acme.audit(action="console.exported")
    assert [entry["person_id"] for entry in entries] == [acme.admin["id"]] * 2


async def test_the_filters_are_kept(browser: Browser, acme: Tenant) -> None:
    """What the page was filtered by, the file is filtered by."""
    await acme.person("maria@acme.test")
    await acme.person("noor@acme.test")
    assert (await acme.scim.post("/Users", json={"userName": ""})).status_code == 400
    await signed_in(browser, acme, acme.admin)
    link = browser.addresses("/export")  # none on the account page
    assert link == []

    refused = await browser.open("/console/activity", outcome="refused")
    assert "/console/activity/export?outcome=refused" in refused.text
    lines = read_lines((await browser.open("/console/activity/export/jsonl", outcome="refused")).text)
    assert {each["outcome"] for each in lines} == {"refused"}
    asked = await browser.open("/console/people/export", q="MAR")
    assert ">1</strong>" in asked.text
    assert "/console/people/export/csv?q=MAR" in asked.text
    found = read_csv((await browser.open("/console/people/export/csv", q="MAR")).text)
    assert [each["user_name"] for each in found] == ["maria@acme.test"]


async def test_formulas(browser: Browser, acme: Tenant) -> None:
    """A name that a spreadsheet would run is marked as text in the CSV, and is as it is in JSON Lines."""
    name = '=HYPERLINK("http://evil.test")'
    await acme.person("maria@acme.test", displayName=name)
    await signed_in(browser, acme, acme.admin)
    sheet = (await browser.open("/console/people/export/csv", q="maria")).text
    (row,) = read_csv(sheet)
    assert row["display_name"] == f"'{name}"
    (_, line) = sheet.splitlines()
    assert re.fullmatch(r'("([^"]|"")*",)*"([^"]|"")*"', line), "every cell is quoted"
    (line,) = read_lines((await browser.open("/console/people/export/jsonl", q="maria")).text)
    assert line["display_name"] == name
    for risky in ("\ufeff=1", "\xa0=1", "\u200b=1", "\x0b +1", "\xad@x"):
        assert cell(risky) == f"'{risky}"
    assert cell("\t=1") == "'\t'=1"
    for between in (";", "\t", "\n", "\r", "; \u200b"):
        separator, unseen = between[:1], between[1:]
        assert cell(f"Maria{separator}{unseen}=1{separator}b") == f"Maria{separator}'{unseen}=1{separator}b"
    for harmless in ("maria@acme.test", "2026-11-30", "a = b", "x; y", "01a20117-ed40"):
        assert cell(harmless) == harmless
    for risky in ("=1", "+1", "-1", "@x", "\tx", "\rx", " =1", "＝1"):  # noqa: RUF001  # as in exporting
        assert cell(risky) == f"'{risky}"
    assert [cell(each) for each in (-1, 0.5, None, True, "a-b", ["x", "y"])] == ["-1", "0.5", "", "true", "a-b", "x y"]


async def test_who_may(browser: Browser, acme: Tenant) -> None:
    """Who came by a link takes what it opens and nothing else; nobody takes anything; no other format exists."""
    for name in LISTS:
        assert (await browser.open(f"/console/{name}/export/csv")).status_code == 303
    await entered(browser, await a_link(acme, "activity"))
    answers = {name: (await browser.open(f"/console/{name}/export/csv")).status_code for name in LISTS}
    assert answers == {"activity": 200, "people": 403, "departures": 403, "groups": 403}
    assert (await browser.open("/console/activity/export/xml")).status_code == 404


async def test_one_at_a_time(browser: Browser, acme: Tenant, console_app: Litestar, owner: Connection) -> None:
    """While a session downloads one file it begins no other one; the next may begin when the first is over."""
    await signed_in(browser, acme, acme.admin)
    session = await owner.fetchval(
        "SELECT id FROM sessions WHERE tenant_id = $1 AND purpose = 'console' ORDER BY id DESC", UUID(acme.id)
    )
    turn = Turn(console_app.state.redis, session)
    await turn.begin()
    refused = await browser.open("/console/people/export/csv")
    assert (refused.status_code, "downloading a file already" in refused.text) == (409, True)

    async def nothing() -> AsyncGenerator[bytes]:
        yield b"row"
        with pytest.raises(ExportRunning):
            await Turn(console_app.state.redis, session).begin()

    assert [piece async for piece in turn.during(nothing())] == [b"row"]
    for _ in range(2):
        assert (await browser.open("/console/people/export/csv")).status_code == 200


async def test_broken_off(browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """A download that somebody cancels ends the session's turn, so that the next one may begin."""
    redis = console_app.state.redis
    turn = Turn(redis, acme.id)
    await turn.begin()

    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"row"

    taken = asyncio.Event()

    async def take() -> None:
        async for _ in turn.during(endless()):
            taken.set()

    taking = asyncio.create_task(take())
    await taken.wait()
    async with asyncio.timeout(60):
        while not taking.done():  # Python 3.11 loses a cancellation that comes just as a wait with a time-out ends
            taking.cancel()
            await asyncio.sleep(0.01)
    assert taking.cancelled()
    async with asyncio.timeout(60):
        while await redis.exists(f"rollcall:export:{acme.id}"):
            await asyncio.sleep(0.01)


async def test_pages_and_the_limit(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read a page at a time, each in work of its own that is over before its rows are sent, up to a limit."""
    monkeypatch.setattr(exporting, "AT_ONCE", 2)
    monkeypatch.setattr(exporting, "MOST_ROWS", 5)
    for _ in range(6):
        await acme.person()
    opened: list[Work] = []

    @asynccontextmanager
    async def work() -> AsyncGenerator[Work]:
        async with acme.work() as one:
            opened.append(one)
            yield one
        opened.append(one)

    async def read(one: Work, cursor: str | None, limit: int) -> Page[Any]:
        return await people.read({}, one, cursor, limit)

    (people,) = [each for each in exports.EXPORTED if each.name == "people"]
    pieces: list[bytes] = []
    async for piece in exporting.file(work, read, people.columns, "jsonl"):
        assert len(opened) % 2 == 0
        pieces.append(piece)

    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 1]


async def test_leaving_ends_it(acme: Tenant, browser: Browser) -> None:
    """Who is no admin any more begins no file."""
    await signed_in(browser, acme, acme.admin)
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
    assert (await browser.open("/console/people/export/csv")).status_code == 403
