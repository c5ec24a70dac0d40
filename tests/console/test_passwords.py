"""Passwords for emergencies: for those alone whom ops have named; strangers learn nothing, nobody starves."""

import asyncio
import threading
import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar

from console.conftest import Browser, signed_in
from console.test_strangers import statements
from factories import Callers, Tenant
from rollcall.access import hashing, passwords
from rollcall.access.attempts import MOST_FOR_AN_ACCOUNT
from rollcall.access.hashing import Hashing
from rollcall.db import Connection
from rollcall.errors import Unavailable

Browsers = Callable[[], Browser]
SESSION = "__Host-rollcall-session"
RIGHT, WRONG = "correct horse battery staple", "correct horse battery stable"
WEAK = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
"""Older parameters; quick, too."""


async def allow(tenant: Tenant, *names: str) -> None:
    """Name those who may have a password, as ops do."""
    answer = await tenant.callers.operator.patch(tenant.v1, json={"break_glass": [*names]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["break_glass"] == [*names]


def admins_name(tenant: Tenant) -> str:
    return str(tenant.admin["user_name"])


async def with_password(tenant: Tenant, hashed: str | None = None) -> None:
    """The tenant's admin has a password."""
    await allow(tenant, admins_name(tenant))
    async with tenant.work() as work:
        await passwords.keep(work, UUID(tenant.admin["id"]), hashed or WEAK.hash(RIGHT))


async def entered(browser: Browser, tenant: Tenant, password: str = RIGHT, name: str | None = None) -> httpx.Response:
    """The answer to all three fields."""
    await browser.open("/console/sign-in/password", workspace=tenant.slug)
    fields = {"workspace": tenant.slug, "user_name": name or admins_name(tenant), "password": password}
    return await browser.send("/console/sign-in/password", **fields)


async def test_set_and_used(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """Whoever is named sets one, signs in with it, sees it on their page, and removes it."""
    await allow(acme, admins_name(acme).upper())
    browser, later = await signed_in(browsers(), acme, acme.admin), browsers()
    await browser.open("/console/account/password")
    for fields, said in (
        ({"password": "short", "again": "short"}, "Choose 15 to 200 characters"),
        ({"password": "x" * 201, "again": "x" * 201}, "Choose 15 to 200 characters"),
        ({"password": RIGHT, "again": WRONG}, "The two are not the same"),
    ):
        refused = await browser.send("/console/account/password", **fields)
        assert (refused.status_code, said in refused.text) == (400, True), refused.text
        assert fields["password"] not in refused.text

    done = await browser.send("/console/account/password", password=RIGHT, again=RIGHT)

    assert "The password is set." in (await browser.follow(done)).text
    kept = await owner.fetchval("SELECT hash FROM passwords WHERE tenant_id = $1", UUID(acme.id))
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await entered(later, acme)).status_code == 303
    assert "Last used" in (await later.open("/console/account")).text
    (entry,) = [each for each in await acme.audit(action="console.signed_in") if each["payload"]["way"] == "password"]
    assert entry["person_id"] == acme.admin["id"]
    await browser.open("/console/account/password/remove")
    assert (
        "The password is removed."
        in (await browser.follow(await browser.send("/console/account/password/remove"))).text
    )
    assert (await entered(browsers(), acme)).status_code == 403
    assert await owner.fetchval("SELECT hash FROM passwords WHERE tenant_id = $1", UUID(acme.id)) == ""


async def test_an_admin_closes_it(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A person's page shows their password beside their other ways in, and an admin closes it there."""
    await allow(acme, admins_name(acme))
    browser, person = await signed_in(browsers(), acme, acme.admin), acme.admin["id"]
    await browser.open("/console/account/password")
    await browser.send("/console/account/password", password=RIGHT, again=RIGHT)
    kept = await owner.fetchval("SELECT id FROM passwords WHERE tenant_id = $1", UUID(acme.id))
    close = f"/console/people/{person}/ways-in/password/{kept}/close"

    assert close in (await browser.open(f"/console/people/{person}")).text
    assert "Close the password" in (await browser.open(close)).text
    assert (await browser.send(close)).status_code == 303
    assert (await entered(browsers(), acme)).status_code == 403


async def test_only_for_who_is_named(browsers: Browsers, acme: Tenant) -> None:
    """Nobody else sets one, and one that there is opens nothing once its person is named no more."""
    browser = await signed_in(browsers(), acme, acme.admin)
    assert "Password for emergencies" not in (await browser.open("/console/account")).text
    assert (await browser.open("/console/account/password")).status_code == 409
    assert (await browser.send("/console/account/password", password=RIGHT, again=RIGHT)).status_code == 409
    await with_password(acme)
    assert (await entered(browsers(), acme)).status_code == 303

    await allow(acme)

    assert (await entered(browsers(), acme)).status_code == 403
    assert "you are allowed none any more" in (await browser.open("/console/account")).text


async def test_a_stranger_learns_nothing(
    browsers: Browsers, acme: Tenant, other: Tenant, console_app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such workspace, nobody of that name, no password, a wrong one: one answer, the same statements, one hash."""
    await with_password(acme)
    hashes: list[str] = []
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, kept: str, password: str) -> bool:
        hashes.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    answers: list[tuple[int, str, int]] = []
    fields = {"user_name": "ada", "password": WRONG}
    for workspace, name in (
        (acme.slug, admins_name(acme)),
        (acme.slug, "nobody"),
        (other.slug, admins_name(other)),
        ("nowhere", "nobody"),
    ):
        browser = browsers()
        await browser.open("/console/sign-in/password")
        with statements(console_app) as made:
            fields |= {"workspace": workspace, "user_name": name}
            answer = await browser.send("/console/sign-in/password", **fields)
        said = answer.text.replace(name, "").replace(workspace, "").replace(browser.csrf, "")
        answers.append((answer.status_code, said, len(made)))

    assert len(set(answers)) == 1
    assert answers[0][0] == 403
    assert len(hashes) == 4


async def test_attempts_are_limited(browsers: Browsers, acme: Tenant) -> None:
    """So many a minute for one account from one place, right or wrong and however it is spelled; others go on."""
    await with_password(acme)
    answers = [(await entered(browsers(), acme, WRONG)).status_code for _ in range(MOST_FOR_AN_ACCOUNT)]
    assert answers == [403] * MOST_FOR_AN_ACCOUNT

    wide = "".join(chr(ord(each) + 0xFEE0) for each in admins_name(acme).upper())
    for spelled in (f" {admins_name(acme).upper()} ", wide, f"\u200b{admins_name(acme)}"):
        late = await entered(browsers(), acme, name=spelled)
        assert late.status_code == 429, spelled
        assert 0 < int(late.headers["retry-after"]) <= 60
    assert (await entered(browsers(), acme, WRONG, name="somebody else")).status_code == 403


async def test_long_ones_are_not_composed(browsers: Browsers, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of combining marks are wrong like any other password, and nobody's time is spent on composing them."""
    await with_password(acme)
    browser, long = await signed_in(browsers(), acme, acme.admin), "\u0301\u0327" * 4_800
    composed: list[int] = []
    normalize = unicodedata.normalize

    def noted(form: Any, text: str) -> str:
        composed.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", noted)
    refused = await entered(browsers(), acme, long)
    assert (refused.status_code, "These open nothing" in refused.text) == (403, True)
    await browser.open("/console/account/password")
    answer = await browser.send("/console/account/password", password=long[:4_800], again=long[:4_800])
    assert (answer.status_code, "Choose 15 to 200 characters" in answer.text) == (400, True)
    assert (await browser.send("/console/confirm", act="/console/", password=long)).status_code == 403
    assert max(composed, default=0) <= passwords.LONGEST + 1


async def test_leaving_ends_it(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A departure closes it with all else, counts it, and a reactivation does not bring it back."""
    await with_password(acme)
    person = f"{acme.v1}/people/{acme.admin['id']}"
    await acme.callers.operator.post(f"{person}/deactivate")
    (entry,) = await acme.audit(action="user.deactivated")
    assert entry["payload"]["closed"]["passwords"] == 1
    assert await owner.fetchval("SELECT hash FROM passwords WHERE tenant_id = $1", UUID(acme.id)) == ""
    assert (await entered(browsers(), acme)).status_code == 403

    await acme.callers.operator.post(f"{person}/reactivate")

    assert (await entered(browsers(), acme)).status_code == 403
    reopened = "UPDATE passwords SET closed_at = NULL WHERE tenant_id = $1"
    await owner.execute(reopened, UUID(acme.id))
    assert (await entered(browsers(), acme)).status_code == 403, "its epoch is another"


async def test_it_outlives_a_lapse(browsers: Browsers, acme: Tenant) -> None:
    """On a plan without SCIM it opens the console as before; a suspended tenant's opens nothing."""
    await with_password(acme)
    await acme.callers.operator.patch(acme.v1, json={"plan": "free"})
    assert (await entered(browsers(), acme)).status_code == 303

    await acme.callers.operator.post(f"{acme.v1}/suspend")

    assert (await entered(browsers(), acme)).status_code == 403


async def test_parameters_change(browsers: Browsers, acme: Tenant, owner: Connection) -> None:
    """A hash that was made with other parameters is renewed when its password is right, and by nothing else."""
    await with_password(acme)
    hashed = "SELECT hash FROM passwords WHERE tenant_id = $1 AND closed_at IS NULL"
    assert (await entered(browsers(), acme, WRONG)).status_code == 403
    assert "m=1024," in await owner.fetchval(hashed, UUID(acme.id))

    assert (await entered(browsers(), acme)).status_code == 303

    assert "m=65536," in await owner.fetchval(hashed, UUID(acme.id))
    assert (await entered(browsers(), acme)).status_code == 303


async def test_so_many_at_once(browsers: Browsers, acme: Tenant, console_app: Litestar) -> None:
    """Beyond those that may wait it is 503 with a time to come again, and other pages answer meanwhile."""
    await with_password(acme)
    let_go = threading.Event()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:  # noqa: A002  # the library's name
            let_go.wait(300)
            return super().verify(hash, password)

    usual, console_app.state.hashing = console_app.state.hashing, Hashing(Slow(time_cost=1, memory_cost=1024))
    waiting: list[asyncio.Task[Any]] = []
    try:
        waiting += [asyncio.create_task(console_app.state.hashing.verified(None, WRONG)) for _ in range(hashing.MOST)]
        await asyncio.sleep(0)
        refused = await entered(browsers(), acme)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, str(hashing.WAIT_SECONDS))
        assert (await browsers().open("/console/sign-in")).status_code == 200
    finally:
        let_go.set()
        await asyncio.gather(*waiting)
        console_app.state.hashing.stop()
        console_app.state.hashing = usual
    assert (await entered(browsers(), acme)).status_code == 303


async def test_room_is_given_back() -> None:
    """Whoever goes away while their hash waits takes up its room until it is done, and no longer."""
    let_go = threading.Event()

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            let_go.wait(300)
            return super().hash(password, salt=salt)

    crowded = Hashing(Slow(time_cost=1, memory_cost=1024))
    tasks = [asyncio.create_task(crowded.hashed(RIGHT)) for _ in range(hashing.MOST)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(Unavailable):
        await crowded.hashed(RIGHT)
    let_go.set()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await crowded.hashed(RIGHT)
                break
            except Unavailable:
                await asyncio.sleep(0.01)
    crowded.stop()


async def test_changed_meanwhile(acme: Tenant, callers: Callers) -> None:
    """Whoever's password was right and is another one as they come in is refused."""
    await with_password(acme)
    async with acme.work() as work:
        kept = await passwords.find(work, admins_name(acme))
    assert kept is not None
    await with_password(acme)

    async with acme.work() as work:
        with pytest.raises(passwords.PasswordRefused):
            await passwords.prove(work, kept, renewed=None)


@pytest.mark.parametrize("names", [[""], ["x" * 321], [f"p{each}@acme.test" for each in range(11)], "ada", None])
async def test_names_that_can_not_be(acme: Tenant, names: Any) -> None:
    """A few userNames are named, and nothing else."""
    assert (await acme.callers.operator.patch(acme.v1, json={"break_glass": names})).status_code == 400
