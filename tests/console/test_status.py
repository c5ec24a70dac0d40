"""/status: what is running, for anybody."""

import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from pydantic import SecretStr

from factories import Callers, a_tenant, deactivation, in_process
from rollcall import broker
from rollcall.app import create_app
from rollcall.broker import BEAT, QUEUES, RELAY
from rollcall.checks.backlog import Progress
from rollcall.cli.embedded import Engines, prepare, running
from rollcall.console.status import Tone, deliveries_part
from rollcall.crypto import new_secret_key
from rollcall.db import Database
from rollcall.journal import outbox
from rollcall.settings import Settings
from rollcall.work import SYSTEM, RequestOrigin, open_fleet
from rollcall.worker.heartbeats import say_alive

BASE = "http://rollcall.test"


def parts(page: httpx.Response) -> dict[str, str]:
    """The state of each part, as the page's badges say it."""
    rows = re.findall(r"<h3>(\w+)</h3>\s*<span class=\"badge \w+\"><svg.*?</svg>([\w ]+)</span>", page.text, re.DOTALL)
    return dict(rows)


@asynccontextmanager
async def visitor(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who looks at an installation of its own."""
    app = create_app(settings)
    async with app.lifespan(), httpx.AsyncClient(transport=in_process(app), base_url=BASE) as client:
        yield client


def nobody_listens() -> str:
    """An address at which no broker is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


async def test_all_well(settings: Settings) -> None:
    """With everything running the page is 200 and says so of each part."""
    async with visitor(settings) as client:
        page = await client.get("/status")

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = parts(page)
    assert found["Database"] == found["Broker"] == "OK"
    assert found["Deliveries"] in {"Nothing waiting", "On their way", "Late"}
    assert found["Workers"] in {"Running", "Missing"}
    assert f"{settings.public_url}/scim/v2" in page.text


async def test_leads_on(http: httpx.AsyncClient) -> None:
    """Every address the page links to answers."""
    page = await http.get("/status")

    links = set(re.findall(r'href="(/[^"]*)"', page.text))
    assert {"/v1/docs", "/scim/v2/ServiceProviderConfig"} <= links
    for link in links:
        assert (await http.get(link, follow_redirects=True)).status_code == 200, link
    assert "rollcall --help" in page.text


async def test_broker_away(settings: Settings) -> None:
    """Without a broker the page is 200, and says that requests go on and deliveries wait."""
    alone = settings.model_copy(update={"redis_url": SecretStr(nobody_listens())})
    async with visitor(alone) as client:
        page = await client.get("/status")

    assert page.status_code == 200
    assert (parts(page)["Database"], parts(page)["Broker"], parts(page)["Workers"]) == ("OK", "Away", "Not known")
    assert "something needs a look" in page.text


def settings_of(engines: Engines) -> Settings:
    """Settings that point at these engines."""
    return Settings(
        database_url=SecretStr(engines.database_url),
        redis_url=SecretStr(engines.valkey.url),
        secret_keys=(SecretStr(new_secret_key()),),
        environment="development",
    )


async def test_database_behind_then_away(tmp_path: Path) -> None:
    """Tables that are missing, and then a database that stops, each give a page with status 503 that says what to do.

    What readiness answers agrees with it.
    """
    with running(tmp_path, durable=False) as (postgres, valkey):
        async with visitor(settings_of(await prepare(postgres, valkey))) as client:
            behind, unready = await client.get("/status"), await client.get("/health/ready")
            postgres.stop()
            away, unable = await client.get("/status"), await client.get("/health/ready")

    assert (behind.status_code, unready.status_code) == (503, 503)
    well = {"Broker": "OK", "Workers": "Missing", "Deliveries": "Not known", "Housekeeping": "Not known"}
    assert parts(behind) == {"Database": "Migrations behind", **well}
    assert "rollcall migrate" in behind.text
    assert "rollcall migrate" in unready.json()["checks"]["database"]
    assert (away.status_code, unable.status_code) == (503, 503)
    assert parts(away) == {"Database": "Away", **well}
    assert "rollcall doctor" in away.text
    assert unable.json()["checks"]["database"] == "away"


async def test_deliveries_waiting(settings: Settings, callers: Callers, database: Database) -> None:
    """Messages that wait are told of without a number, and nothing on the page names the tenant they are of."""
    acme = await a_tenant(callers)
    person = await acme.person()
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())
    async with open_fleet(database, SYSTEM, RequestOrigin("test")) as fleet:
        assert (await outbox.backlog(fleet)).waiting

    async with visitor(settings) as client:
        page = await client.get("/status")

    assert parts(page)["Deliveries"] in {"On their way", "Late"}
    assert acme.slug not in page.text
    assert acme.id not in page.text


async def test_says_no_secret(settings: Settings, http: httpx.AsyncClient) -> None:
    """No address of an engine stands on the page."""
    page = (await http.get("/status")).text

    for url in (settings.database_url, settings.redis_url):
        where = url.get_secret_value().rpartition("@")[2]
        assert where not in page
        assert where.partition("/")[0] not in page


@pytest.mark.parametrize(
    ("found", "state", "tone"),
    [
        (Progress.NOTHING_WAITS, "Nothing waiting", Tone.GOOD),
        (Progress.ON_ITS_WAY, "On their way", Tone.GOOD),
        (Progress.LATE, "Late", Tone.NOTICE),
        (Progress.STUCK, "Late", Tone.NOTICE),
        (Progress.GIVEN_UP, "Given up", Tone.NOTICE),
        (None, "Not known", Tone.NOTICE),
    ],
)
def test_deliveries_in_words(found: Progress | None, state: str, tone: Tone) -> None:
    """What waits is told by how long it has waited, never by how much it is."""
    part = deliveries_part(found)

    assert (part.state, part.tone) == (state, tone)
    assert not re.search(r"\d", part.state + part.said)


async def test_who_is_running(settings: Settings, engines: Engines) -> None:
    """With relay, workers and beat alive the page says so, and it names none of them that is missing."""
    alone = settings.model_copy(update={"redis_url": SecretStr(f"{engines.valkey.url.rpartition('/')[0]}/3")})
    redis = broker.connect_blocking(alone)
    say_alive(redis, [RELAY, BEAT, *QUEUES], seconds=60)
    async with visitor(alone) as client:
        assert parts(await client.get("/status"))["Workers"] == "Running"
    redis.delete(broker.heartbeat(RELAY))
    async with visitor(alone) as client:
        page = await client.get("/status")
    redis.delete(*map(broker.heartbeat, [BEAT, *QUEUES]))
    redis.close()
    assert (page.status_code, parts(page)["Workers"]) == (200, "Missing")


async def test_kept_for_a_crowd(app: Litestar, http: httpx.AsyncClient) -> None:
    """Visitors within a moment get the same page, also with a query that makes it look like another."""
    first = await http.get("/status")
    second = await http.get("/status", params={"anything": "else"})

    assert first.text == second.text
    assert await app.stores.get("response_cache").exists("console_status en")
