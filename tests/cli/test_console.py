"""``rollcall console``: ops let somebody in who has no passkey yet."""

import asyncio
import re
from datetime import timedelta
from uuid import UUID

from cli.shell import Said, Shell, environment_of, typed
from factories import Callers, a_tenant
from rollcall.access import passwords, sign_in_codes
from rollcall.access.console_sessions import LIFETIME
from rollcall.settings import Settings


async def test_a_code(settings: Settings, callers: Callers) -> None:
    """A code is printed that is good once, with where and how long; by userName or by id, and the last one counts."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    maria = await acme.person()

    first = await rollcall("console", "code", acme.slug, maria["userName"])
    second = await rollcall("console", "code", acme.slug, maria["id"])

    assert re.fullmatch(r"(\w{5}-){3}\w{5}\n", first.out), first.err
    assert f"http://rollcall.test/console/sign-in?workspace={acme.slug}" in first.err
    assert "10 minutes" in first.err
    async with acme.work() as work:
        new = await sign_in_codes.enter(work, second.out, lifetime=LIFETIME)
        assert (new.row.account_id, new.row.expires_at - work.now) == (UUID(maria["id"]), timedelta(hours=12))
    issued = await acme.audit(action="console.code_issued")
    assert len(issued) == 2
    assert issued[0]["actor_label"].startswith("cli:")


async def test_nobody_to_let_in(settings: Settings, callers: Callers) -> None:
    """Who is unknown, has left, or is of a suspended tenant gets none, and the error says what to do."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    maria = await acme.person()
    await callers.operator.post(f"{acme.v1}/people/{maria['id']}/deactivate")
    asked = {
        ("no-such-tenant", "maria"): "rollcall tenants list",
        (acme.slug, "nobody"): f"rollcall people list {acme.slug}",
        (acme.slug, maria["userName"]): f"rollcall people reactivate {acme.slug} {maria['userName']}",
    }
    for words, remedy in asked.items():
        said = await rollcall("console", "code", *words)
        assert (said.code, said.out) == (1, "")
        assert remedy in said.err

    await callers.operator.post(f"{acme.v1}/suspend")
    suspended = await rollcall("console", "code", acme.slug, acme.admin["user_name"])
    assert suspended.code == 1
    assert f"rollcall tenants resume {acme.slug}" in suspended.err


async def test_a_password(settings: Settings, callers: Callers) -> None:
    """Ops name who may have a password, and set it from the standard input; it is in no argument and no output."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    ada, password = acme.admin["user_name"], "correct horse battery staple"

    async def given(line: str) -> Said:
        words = ("console", "password", acme.slug, ada)
        return await asyncio.to_thread(typed, words, environment_of(settings), line)

    refused = await given(f"{password}\n")
    assert (refused.code, "rollcall tenants break-glass" in refused.err or "break_glass" in refused.err) == (1, True)
    named = await rollcall("tenants", "break-glass", acme.slug, acme.admin["id"])
    assert named.out == f"{acme.slug}: {ada} may have a password for the console.\n"
    for line in ("", "short\n", "x" * 201):
        said = await given(line)
        assert (said.code, "15 to 200 characters" in said.err) == (1, True)

    done = await given(f"{password}\n")

    assert (done.code, done.out) == (0, f"{ada} signs in at /console/sign-in/password from now on.\n")
    async with acme.work() as work:
        kept = await passwords.find(work, ada)
    assert kept is not None
    assert kept.hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    (entry,) = await acme.audit(action="console.password_set")
    assert entry["actor_label"].startswith("cli:")
    assert password not in str(await acme.audit())
    gone = await rollcall("console", "password", acme.slug, ada, "--remove")
    assert gone.out == f"{ada} has no password.\n"
    async with acme.work() as work:
        assert await passwords.find(work, ada) is None
    nobody = await rollcall("tenants", "break-glass", acme.slug, "--nobody")
    assert nobody.out == f"{acme.slug}: nobody may have a password for the console.\n"
    assert (await rollcall("tenants", "break-glass", acme.slug, ada, "--nobody")).code == 2
