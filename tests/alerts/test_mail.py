"""Admins are mailed what they should look at, once, over real SMTP, and have no more of a kind if they like."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from pydantic import SecretStr, ValidationError

from factories import Callers, Tenant, a_tenant
from rollcall.alerts import judging, mailing
from rollcall.alerts.mailing import Post
from rollcall.db import Connection
from rollcall.settings import Settings


@dataclass
class MailServer:
    """Takes mail, or refuses it, and keeps what it took."""

    port: int = 0
    answer: str = "250 OK"
    refuses: set[str] = field(default_factory=set[str])
    refusal: str = "550 nobody here is called so"
    taken: list[EmailMessage] = field(default_factory=list[EmailMessage])

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refuses:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            mail = message_from_bytes(cast("bytes", envelope.content), policy=policy.default)
            self.taken.append(mail)
        return self.answer

    def to(self, tenant: Tenant) -> list[EmailMessage]:
        """What was sent to people of a tenant."""
        return [mail for mail in self.taken if str(mail["To"]).endswith(f"@{tenant.slug}.test")]


@asynccontextmanager
async def a_mail_server() -> AsyncGenerator[MailServer]:
    kept = MailServer()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(kept), "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()


def post_of(settings: Settings, server: MailServer) -> Post:
    with_mail = settings.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{server.port}")})
    post = Post.of(with_mail)
    assert post is not None
    return post


async def send(callers: Callers, settings: Settings, server: MailServer) -> None:
    """What a worker does every thirty seconds, until nothing is due."""
    while await mailing.send(callers.database, post_of(settings, server)):
        pass


async def nothing_is_due(owner: Connection) -> None:
    """What other tests left is not looked at."""
    await owner.execute("DELETE FROM notices")


async def due_again(owner: Connection, tenant: Tenant) -> None:
    await owner.execute("UPDATE notices SET due_at = now() WHERE tenant_id = $1", UUID(tenant.id))


def plain(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return cast("str", body.get_content())


def html(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return cast("str", body.get_content())


async def test_an_alert_is_mailed(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Each admin gets it once, as text and HTML, with what is the matter and what to do; nobody else does."""
    await nothing_is_due(owner)
    acme = await a_tenant(callers)
    await callers.operator.post(f"{acme.v1}/people", json={"user_name": f"zoe@{acme.slug}.test", "role": "admin"})
    await acme.person()
    await owner.execute(
        "UPDATE tokens SET expires_at = now() + interval '5 days', label = '<Okta>' WHERE tenant_id = $1", UUID(acme.id)
    )
    await owner.execute("DELETE FROM notices")  # that a token was made
    await judging.judge(callers.database)
    async with a_mail_server() as server:
        await send(callers, settings, server)
        await due_again(owner, acme)
        await send(callers, settings, server)
    mails = [mail for mail in server.to(acme) if "a token ends soon" in mail["Subject"]]
    assert {mail["To"] for mail in mails} == {f"ada@{acme.slug}.test", f"zoe@{acme.slug}.test"}
    assert len(mails) == 2
    mail = mails[0]
    assert mail["Subject"] == f"{acme.slug.title()}: a token ends soon"
    assert "The token “<Okta>” ends within 7 days" in plain(mail)
    assert "Rotate it, or issue another one" in plain(mail)
    assert "&lt;Okta&gt;" in html(mail)
    assert "<Okta>" not in html(mail)
    assert (mail["From"], mail["Auto-Submitted"]) == ("Rollcall <rollcall@rollcall.test>", "auto-generated")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]


async def test_what_becomes_of_tokens_and_what_the_vendor_does(
    callers: Callers, owner: Connection, settings: Settings
) -> None:
    """A token that is made, rotated or handed over is mailed, and so is a suspension and another plan."""
    await nothing_is_due(owner)
    acme = await a_tenant(callers, owner_leaves="offboarding_only")
    await callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/rotate", json={"overlap_seconds": 60})
    zoe = await callers.operator.post(f"{acme.v1}/people", json={"user_name": f"zoe@{acme.slug}.test", "role": "admin"})
    await callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
    handed = f"{acme.v1}/tokens/{acme.token['id']}/hand-over"
    assert (await callers.operator.post(handed, json={"owner": zoe.json()["id"]})).status_code == 200
    for verb in ("suspend", "resume"):
        await callers.operator.post(f"{acme.v1}/{verb}")
    await callers.operator.patch(acme.v1, json={"plan": "enterprise"})
    async with a_mail_server() as server:
        await send(callers, settings, server)
    said = "\n".join(map(plain, server.to(acme)))
    for words in (
        "A new token was made: “identity provider”.",
        "A token was replaced; the old one works for 60 seconds more.",
        "was handed over to another admin",
        "suspended your organisation",
        "resumed your organisation",
        "changed your plan from business to enterprise",
    ):
        assert words in said
    assert {mail["To"] for mail in server.to(acme)} == {f"zoe@{acme.slug}.test"}, "who left is written nothing"


async def test_no_more_of_a_kind(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Following the link asks, and only the POST ends mail of that kind, for this admin; other kinds still come."""
    await nothing_is_due(owner)
    acme = await a_tenant(callers)
    async with a_mail_server() as server:
        await send(callers, settings, server)
        (first,) = server.to(acme)
        address = re.sub(r"[<>\s]", "", first["List-Unsubscribe"])
        assert address in plain(first).replace("\n", "")
        stranger: httpx.AsyncClient = callers.bearer("nothing")
        page = await stranger.get(address)
        assert (page.status_code, "<form" in page.text, "tokens" in page.text) == (200, True, True)
        await acme.issue_token()
        await send(callers, settings, server)
        assert len(server.to(acme)) == 2, "looking at the page changes nothing"
        for _ in range(2):
            done = await stranger.post(address, data={"List-Unsubscribe": "One-Click"})
            assert (done.status_code, "no more mail" in done.text) == (200, True)
        await acme.issue_token()
        await callers.operator.post(f"{acme.v1}/suspend")
        await send(callers, settings, server)
    assert [mail["Subject"].partition(": ")[2] for mail in server.to(acme)[2:]] == ["a change by the vendor"]
    for forged in ("x", address.rpartition("=")[2][:-8] + "AAAAAAAA"):
        assert (await stranger.get("/mail/unsubscribe", params={"key": forged})).status_code == 404
        assert (await stranger.post("/mail/unsubscribe", params={"key": forged})).status_code == 404


async def test_a_server_that_is_away(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Nothing is lost while the mail server is away or busy; what it refuses for good is not tried for ever."""
    await nothing_is_due(owner)
    acme = await a_tenant(callers)
    async with a_mail_server() as server:
        gone = MailServer(port=server.port)
    assert await mailing.send(callers.database, post_of(settings, gone)) == 0
    waiting = "SELECT count(*) FROM notices WHERE tenant_id = $1 AND sent_at IS NULL"
    assert await owner.fetchval(waiting, UUID(acme.id)) == 1
    assert await owner.fetchval("SELECT due_at > now() FROM notices WHERE tenant_id = $1", UUID(acme.id))
    async with a_mail_server() as server:
        server.answer = "451 come again later"
        await due_again(owner, acme)
        assert await mailing.send(callers.database, post_of(settings, server)) == 0
        assert await owner.fetchval(waiting, UUID(acme.id)) == 1
        server.answer = "250 OK"
        await due_again(owner, acme)
        await send(callers, settings, server)
        assert len(server.to(acme)) == 1
        server.refuses.add(f"ada@{acme.slug}.test")
        await acme.issue_token()
        assert await mailing.send(callers.database, post_of(settings, server)) == 0
    assert await owner.fetchval(waiting, UUID(acme.id)) == 0


async def test_two_workers(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Two workers at the same moment send a mail once."""
    await nothing_is_due(owner)
    acme = await a_tenant(callers)
    async with a_mail_server() as server:
        await asyncio.gather(*(mailing.send(callers.database, post_of(settings, server)) for _ in range(4)))
    assert len(server.to(acme)) == 1


async def test_without_a_server_nothing_piles_up(callers: Callers, owner: Connection, settings: Settings) -> None:
    """Where no mail is sent, what would have been is forgotten after three days."""
    assert Post.of(settings) is None
    acme = await a_tenant(callers)
    await owner.execute("UPDATE notices SET created_at = now() - interval '4 days' WHERE tenant_id = $1", UUID(acme.id))
    await judging.judge(callers.database)
    assert await owner.fetchval("SELECT count(*) FROM notices WHERE tenant_id = $1", UUID(acme.id)) == 0


@pytest.mark.parametrize("url", ["mail.acme.test", "http://mail.acme.test", "smtp://", "smtp:587"])
def test_which_server(settings: Settings, url: str) -> None:
    """An address that is no mail server's is refused as the settings are read."""
    with pytest.raises(ValidationError, match="smtp://user:password@host:587"):
        Settings.model_validate({**settings.model_dump(), "smtp_url": url})


@pytest.mark.parametrize("sender", ["nobody", "Evil <x@y.test>\r\nBcc: z@y.test"])
def test_who_mail_is_from(settings: Settings, sender: str) -> None:
    """A sender that is no address, or more than one line, is refused as the settings are read."""
    with pytest.raises(ValidationError):
        Settings.model_validate({**settings.model_dump(), "mail_from": sender})
