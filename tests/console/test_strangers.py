"""What strangers at the sign-in page can do to others: nothing, and learn nothing by how much work they make."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import event

from authenticator import Authenticator, sign_in_begun
from console.conftest import Browser, a_device, signed_in
from factories import Callers, Tenant
from rollcall.access import challenges
from rollcall.crypto import Sealer
from rollcall.db import Connection

BEGIN, FINISH = "/console/sign-in/passkey/begin", "/console/sign-in/passkey"
Browsers = Callable[[], Browser]


@contextmanager
def statements(app: Litestar) -> Generator[list[str]]:
    """The statements that the application makes meanwhile, beside those of the hot paths."""
    made: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        made.append(statement)

    engine = app.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield made
    event.remove(engine, "before_cursor_execute", note)


async def begun(browser: Browser, workspace: str) -> dict[str, Any]:
    """A sign-in that has begun."""
    await browser.open("/console/sign-in")
    answer = await browser.call(BEGIN, workspace=workspace)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finished(browser: Browser, workspace: str, challenge: str, credential: dict[str, Any]) -> httpx.Response:
    """The answer to the second half."""
    return await browser.call(FINISH, workspace=workspace, challenge=challenge, credential=credential)


async def kept(owner: Connection, tenant: Tenant) -> list[str]:
    """The challenges that are kept for a tenant, by purpose."""
    rows = await owner.fetch("SELECT purpose FROM passkey_challenges WHERE tenant_id = $1", UUID(tenant.id))
    return [row["purpose"] for row in rows]


async def test_begins_are_kept_nowhere(
    browser: Browser, acme: Tenant, callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many sign-ins strangers begin, and answer wrongly, nothing is kept, and the product goes on."""
    monkeypatch.setattr(challenges, "MOST_SIGN_INS", 5)
    for _ in range(15):
        ceremony = await begun(browser, acme.slug)
        device = a_device()
        device.user_handle = uuid4().bytes
        answer = await finished(browser, acme.slug, ceremony["challenge"], device.get(ceremony["options"]))
        assert answer.status_code == 403

    assert await kept(owner, acme) == []
    assert (await sign_in_begun(callers, acme))["challenge"]


async def test_an_answer_is_good_once(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """Whoever repeats somebody's answer is refused, though no server but PostgreSQL remembers it."""
    device = await (await signed_in(browsers(), acme, acme.admin)).add_passkey()
    browser, thief = browsers(), browsers()
    ceremony = await begun(browser, acme.slug)
    credential = device.get(ceremony["options"])
    await thief.open("/console/sign-in")

    first = await finished(browser, acme.slug, ceremony["challenge"], credential)
    second = await finished(thief, acme.slug, ceremony["challenge"], credential)

    assert (first.status_code, second.status_code) == (200, 403)
    assert await kept(owner, acme) == ["answered"]
    assert await acme.audit(action="passkey.copy_suspected") == []


async def test_two_at_the_same_moment(browsers: Browsers, acme: Tenant) -> None:
    """Of several who send one answer at the same moment one gets in."""
    device = await (await signed_in(browsers(), acme, acme.admin)).add_passkey()
    device.counts = False
    browser = browsers()
    ceremony = await begun(browser, acme.slug)
    credential = device.get(ceremony["options"])

    answers = await asyncio.gather(*(finished(browser, acme.slug, ceremony["challenge"], credential) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403, 403]


async def test_right_answer_that_was_refused(browsers: Browsers, acme: Tenant) -> None:
    """A right answer is spent too if it was refused for another reason: it opens nothing when that is over."""
    device = await (await signed_in(browsers(), acme, acme.admin)).add_passkey()
    browser = browsers()
    ceremony = await begun(browser, acme.slug)
    credential = device.get(ceremony["options"])
    await acme.callers.operator.post(f"{acme.v1}/suspend")
    assert (await finished(browser, acme.slug, ceremony["challenge"], credential)).status_code == 403
    await acme.callers.operator.post(f"{acme.v1}/resume")

    assert (await finished(browser, acme.slug, ceremony["challenge"], credential)).status_code == 403
    assert (await browser.use(acme.slug, device)).status_code == 200


async def test_sealed_for_something_else(
    browsers: Browsers, acme: Tenant, other: Tenant, console_app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A challenge of another workspace, an older, altered or foreign one, or another sealed text opens nothing."""
    device = await (await signed_in(browsers(), acme, acme.admin)).add_passkey()
    browser = browsers()
    sealer: Sealer = console_app.state.sealer

    async def tried(challenge: str, ceremony: dict[str, Any]) -> int:
        return (await finished(browser, acme.slug, challenge, device.get(ceremony["options"]))).status_code

    elsewhere, here = await begun(browser, other.slug), await begun(browser, acme.slug)
    monkeypatch.setattr(challenges, "PATIENCE", timedelta(seconds=-1))
    late = await begun(browser, acme.slug)

    assert await tried(elsewhere["challenge"], elsewhere) == 403
    assert await tried(late["challenge"], late) == 403
    assert await tried(here["challenge"][:-4] + "AAA=", here) == 403
    for text in ("", "\u20ac", sealer.seal(b"{}"), sealer.seal(b"[1]"), sealer.seal(b"\xff")):
        assert await tried(text, here) == 403, text
    assert await tried(here["challenge"], here) == 200


async def enter_code(browser: Browser, workspace: str) -> int:
    await browser.open("/console/sign-in")
    return (await browser.send("/console/sign-in", workspace=workspace, code="AAAAA-AAAAA-AAAAA-AAAAA")).status_code


async def begin(browser: Browser, workspace: str) -> int:
    await begun(browser, workspace)
    return 403


async def finish(browser: Browser, workspace: str) -> int:
    ceremony, device = await begun(browser, workspace), Authenticator()
    device.user_handle = uuid4().bytes
    credential = device.get(ceremony["options"])
    return (await finished(browser, workspace, ceremony["challenge"], credential)).status_code


async def finish_wrongly(browser: Browser, workspace: str) -> int:
    await browser.open("/console/sign-in")
    return (await finished(browser, workspace, "none", {"id": "none"})).status_code


@pytest.mark.parametrize("way", [enter_code, begin, finish, finish_wrongly])
async def test_the_same_work(
    browser: Browser, acme: Tenant, console_app: Litestar, way: Callable[[Browser, str], Awaitable[int]]
) -> None:
    """A workspace that there is costs the same statements as one that there is not, or can't be."""
    made: list[list[str]] = []
    for workspace in (acme.slug, "nowhere", "no such name", str(uuid4()), ""):
        with statements(console_app) as each:
            assert await way(browser, workspace) == 403
        made.append(each)

    assert [len(each) for each in made] == [len(made[0])] * len(made)
    assert made[:3] == [made[0]] * 3
    assert bool(made[0]) is (way is not begin)
