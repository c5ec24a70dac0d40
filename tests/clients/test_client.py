"""The client against the real application: sessions, questions, refusals, and nobody let in on a guess."""

import asyncio
import time
from collections.abc import Callable, Coroutine

import httpx
import pytest
from litestar import Litestar

from factories import Tenant, deactivation, in_process
from rollcall_client import Rollcall, RollcallAway, RollcallError, RollcallRefused

ADDRESS = "http://rollcall.test"


async def test_from_sign_in_to_departure(rollcall: Rollcall, acme: Tenant) -> None:
    """A session is good, says whose it is, and is over at the very next question after its person has left."""
    maria = await acme.person("maria@acme.test")
    opened = await rollcall.open_session(acme.slug, user_name="maria@acme.test", label="laptop")
    said = await rollcall.introspect(opened.token)
    assert (said.active, said.is_session, said.user_name, said.role) == (True, True, "maria@acme.test", "member")
    assert (said.tenant, said.tenant_id, said.person_id) == (acme.slug, opened.tenant_id, opened.person_id)
    assert said.expires_at is not None
    assert abs((said.expires_at - opened.expires_at).total_seconds()) <= 1
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    assert (await rollcall.introspect(opened.token)).active is False


async def test_closed(rollcall: Rollcall, acme: Tenant) -> None:
    """A closed session is over; closing it again is no error, and neither is closing what never was."""
    maria = await acme.person()
    opened = await rollcall.open_session(acme.slug, person=maria["id"], lifetime_seconds=60)
    for token in (opened.token, opened.token, "nonsense"):
        await rollcall.close_session(token)
    assert (await rollcall.introspect(opened.token)).active is False


async def test_many(rollcall: Rollcall, acme: Tenant) -> None:
    """Answers about many come in the order of the questions."""
    maria = await acme.person()
    opened = [await rollcall.open_session(acme.slug, person=maria["id"]) for _ in range(2)]
    said = await rollcall.introspect_many([opened[0].token, "nonsense", opened[1].token])
    assert [each.id for each in said] == [opened[0].id, None, opened[1].id]
    assert await rollcall.introspect_many([]) == []
    with pytest.raises(ValueError, match="100 credentials at most, not 101"):
        await rollcall.introspect_many(["x"] * 101)


async def test_refused(rollcall: Rollcall, acme: Tenant) -> None:
    """A refusal carries its code, its sentence and the request's id."""
    with pytest.raises(RollcallRefused) as refused:
        await rollcall.open_session(acme.slug, user_name="nobody@acme.test")
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert refused.value.detail
    assert refused.value.request_id


async def test_wrong_key(app: Litestar) -> None:
    """With a key that is none nobody is let in, and the reason is Rollcall's."""
    async with Rollcall(ADDRESS, "rc_app_nonsense", transport=in_process(app)) as client:
        with pytest.raises(RollcallRefused, match="invalid_client"):
            await client.introspect("anything")


Answers = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


async def hangs(_request: httpx.Request) -> httpx.Response:
    """Rollcall, or something in between, that never answers."""
    await asyncio.sleep(3600)
    raise AssertionError


def answers(status: int, body: str) -> Answers:
    """Something else than Rollcall, or Rollcall on a bad day."""

    async def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=body)

    return answer


@pytest.mark.parametrize(
    "behave",
    [
        hangs,
        answers(500, '{"code": "failed", "detail": "our side", "request_id": "1"}'),
        answers(502, "<html>bad gateway</html>"),
        answers(301, ""),
        answers(200, "<html>sign in to the wireless network</html>"),
        answers(200, "[]"),
        answers(200, '"true"'),
        answers(200, '{"active": true}'),
        answers(200, '{"active": true, "jti": "1", "tenant": "a", "tenant_id": "1", "scope": 7}'),
        answers(204, ""),
    ],
)
async def test_nobody_knows(behave: Answers) -> None:
    """Whatever is no answer of Rollcall is told apart from yes, within the bound."""
    async with Rollcall("http://away", "key", timeout=0.3, transport=httpx.MockTransport(behave)) as client:
        begun = time.monotonic()
        try:
            said = await client.introspect("token")
        except RollcallError:
            pass
        else:
            assert said.active is False
        with pytest.raises(RollcallError):
            await client.introspect_many(["token"])
        assert time.monotonic() - begun < 5


async def test_only_true_is_yes() -> None:
    """A credential is good if the answer says exactly that."""
    for word in ("1", '"true"', "null", "[]", "{}"):
        transport = httpx.MockTransport(answers(200, f'{{"active": {word}}}'))
        async with Rollcall("http://odd", "key", transport=transport) as client:
            assert (await client.introspect("token")).active is False


async def test_nobody_listens() -> None:
    """A closed port is an answer at once: nobody knows."""
    async with Rollcall("http://127.0.0.1:1", "key") as client:
        with pytest.raises(RollcallAway, match=r"did not answer within 2\.0 s"):
            await client.introspect("token")


def test_without_a_bound() -> None:
    """A client that could wait for ever, or has no address, can't be made."""
    for seconds in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="number of seconds"):
            Rollcall("https://rollcall.test", "key", timeout=seconds)
    with pytest.raises(ValueError, match="begins with https://"):
        Rollcall("rollcall.test", "key")
