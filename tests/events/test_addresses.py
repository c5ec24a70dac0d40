"""Where a destination may be: judged when it is registered, and again for the very address that is called."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from events.conftest import CALL_SECONDS, Call, Listen, answering
from rollcall.events.addresses import AddressRules, DestinationRefused, Unreachable, is_public, read_url
from rollcall.events.outgoing import Outgoing
from rollcall.events.sending import LONGEST_RETRY_AFTER, Sender, presentable

INSIDE_ADDRESSES = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
]
OUTSIDE_ADDRESSES = ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
BAD_URLS = [
    "http://hooks.example/",
    "ftp://hooks.example/",
    "//hooks.example/",
    "hooks.example",
    "",
    "https://",
    "https:///path",
    "https://user@hooks.example/",
    "https://user:secret@hooks.example/",
    "https://@hooks.example/",
    "https://hooks.example:0/",
    "https://hooks.example:65536/",
    "https://hooks.example:http/",
    "https://hooks.example/#part",
    "https://hooks.example/a b",
    "https://hooks.example/\\..",
    "https://hooks.example\n.evil.example/",
    "https://hooks.exämple/",
    "https://[::1/",
    "https://" + "a" * 254 + "/",
    "https://hooks.example/" + "a" * 2000,
]


def resolving(*answers: Sequence[str]) -> AddressRules:
    """Rules for a name that resolves to the first answer, then to the next, and to the last from then on."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return AddressRules(resolve=resolve)


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
def test_inside(address: str) -> None:
    """What is private, loopback, link-local, reserved or no address is not public, however it is written."""
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE_ADDRESSES)
def test_outside(address: str) -> None:
    """What is somebody's on the open internet is public."""
    assert is_public(address)


@pytest.mark.parametrize("number", range(len(BAD_URLS)))
def test_bad_urls(number: int) -> None:
    """A URL that can't be a destination is refused with the reason, before any name is looked up."""
    with pytest.raises(DestinationRefused):
        read_url(BAD_URLS[number], allow_http=False)


@pytest.mark.parametrize("port", [1, 22, 25, 80, 444, 5432, 6379, 8080, 65535])
async def test_other_ports(port: int) -> None:
    """Only a web server's ports may be named, and the refusal says which; none of them costs a look-up."""
    with pytest.raises(DestinationRefused, match=rf"Port {port} is not called; destinations may be at 443 and 8443\."):
        await resolving([]).judge(f"https://hooks.example:{port}/")


async def test_ports_of_a_setting() -> None:
    """The usual ports are allowed, and what a setting names instead of them."""
    for url in ("https://hooks.example/", "https://hooks.example:443/", "https://hooks.example:8443/"):
        await resolving(["93.184.215.14"]).judge(url)
    own = replace(resolving(["93.184.215.14"]), ports=(9443,))
    assert (await own.judge("https://hooks.example:9443/")).port == 9443
    with pytest.raises(DestinationRefused, match="at 9443"):
        await own.judge("https://hooks.example/")


async def test_port_judged_again_when_called(listen: Listen) -> None:
    """A destination that was registered at another port is not called any more, and its delivery log says why."""
    receiver = await listen()
    sender = Sender(AddressRules(), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(f"https://8.8.8.8:{receiver.port}/", {}, b"{}"))
    assert answer.status is None
    assert f"Port {receiver.port} is not called" in answer.said
    assert "ROLLCALL_DESTINATION_PORTS" in answer.said
    with pytest.raises(Unreachable, match="ROLLCALL_DESTINATION_PORTS"):
        await AddressRules().addresses("8.8.8.8", receiver.port)
    await sender.close()


async def test_one_bad_address_is_enough() -> None:
    """A name is refused when one of its addresses is inside, even if the others are not."""
    with pytest.raises(DestinationRefused, match="not public"):
        await resolving(["93.184.215.14", "127.0.0.1"]).judge("https://hooks.example/")


async def test_no_address() -> None:
    """A name that has no address is refused at registration."""
    with pytest.raises(DestinationRefused, match="can't be resolved"):
        await resolving([]).judge("https://hooks.example/")


async def test_judged_again_when_called(listen: Listen) -> None:
    """A name that was public when it was registered, and points inside when it is called, is not called."""
    receiver = await listen()
    rules = replace(resolving(["93.184.215.14"], ["127.0.0.1"]), ports=(receiver.port,))
    url = f"https://hooks.example:{receiver.port}/"
    await rules.judge(url)
    sender = Sender(rules, seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(url, {}, b"{}"))
    await sender.close()
    assert answer.status is None
    assert "hooks.example has an address that is not public" in answer.said
    assert "127.0.0.1" not in answer.said, "what our own network calls its addresses is not told outside"
    assert receiver.calls == []


async def test_the_judged_address_is_the_one_called(listen: Listen) -> None:
    """The connection goes to the address that was judged; the name is not looked up a second time for it."""
    receiver = await listen()
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    sender = Sender(AddressRules(allow_private=True, resolve=resolve), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(f"http://hooks.example:{receiver.port}/x?y=1", {}, b"{}"))
    await sender.close()
    assert answer.taken
    assert asked == ["hooks.example"]
    (call,) = receiver.calls
    assert (call.path, call.headers["host"]) == ("/x?y=1", f"hooks.example:{receiver.port}")


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side of TLS that has a certificate for *name*, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "made.pem", folder / "made.key"
    pem.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_tls_asks_for_the_name(listen: Listen, tmp_path: Path) -> None:
    """The certificate has to be for the name in the URL, not for the address that is called."""
    server, trust = certificate(tmp_path, "hooks.example")
    receiver = await listen(tls=server)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    sender = Sender(AddressRules(allow_private=True, resolve=resolve), seconds=2, trust=trust)
    right = await sender.post(Outgoing(f"https://hooks.example:{receiver.port}/", {}, b"{}"))
    wrong = await sender.post(Outgoing(f"https://other.example:{receiver.port}/", {}, b"{}"))
    await sender.close()
    assert right.taken
    assert wrong.status is None
    assert "certificate" in wrong.said.lower()
    assert len(receiver.calls) == 1


async def test_the_next_address_is_tried(listen: Listen) -> None:
    """Where the first address of a name takes no connection, the next one does."""
    receiver = await listen()

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    sender = Sender(AddressRules(allow_private=True, resolve=resolve), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(f"http://hooks.example:{receiver.port}/", {}, b"{}"))
    await sender.close()
    assert answer.taken


async def test_proxies_of_the_environment(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy that the environment names is asked."""
    receiver, proxy = await listen(), await listen()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    sender = Sender(AddressRules(allow_private=True), seconds=CALL_SECONDS)
    assert (await sender.post(Outgoing(receiver.url, {}, b"{}"))).taken
    await sender.close()
    assert (len(receiver.calls), proxy.calls) == (1, [])


async def test_plain_http_is_refused_outside_development(listen: Listen) -> None:
    """A destination stored when private ones were allowed is not called once they are not."""
    receiver = await listen()
    sender = Sender(AddressRules(), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(receiver.url, {}, b"{}"))
    await sender.close()
    assert (answer.status, receiver.calls) == (None, [])


async def test_what_a_receiver_says_is_kept_short_and_harmless(listen: Listen) -> None:
    """Of an answer no control character, no token and no more than 200 characters are kept."""
    token = f"rc_scim_{UUID(int=1).int:025d}_{'0' * 25}_{'s' * 50}_{'c' * 7}"
    receiver = await listen(answering(500, body=f"no\x00pe \x1b[31m {token} " + "x" * 500))
    sender = Sender(AddressRules(allow_private=True), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(receiver.url, {}, b"{}"))
    await sender.close()
    assert answer.said.startswith("no pe  [31m rc_scim_*** xxx")
    assert len(answer.said) == 200
    assert presentable("") == ""


HOSTILE_WAITS = [
    "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
    "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
    "01 Jan 2026 99999999999999999:00:00",
    "9" * 5000,
    "\u00b2",
]


@pytest.mark.parametrize("number", range(len(HOSTILE_WAITS)))
async def test_hostile_retry_after(listen: Listen, number: int) -> None:
    """A wait that no calendar has is an answer like any other, and never a crash."""
    receiver = await listen(answering(503, f"retry-after: {HOSTILE_WAITS[number]}"))
    sender = Sender(AddressRules(allow_private=True), seconds=CALL_SECONDS)
    answer = await sender.post(Outgoing(receiver.url, {}, b"{}"))
    await sender.close()
    assert answer.status == 503
    assert answer.retry_after in (None, LONGEST_RETRY_AFTER)


async def test_a_body_in_crumbs(listen: Listen) -> None:
    """A body in very many pieces costs the worker no more than one in few."""

    async def behave(_call: Call) -> bytes:
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 60_000

    receiver = await listen(behave)
    sender = Sender(AddressRules(allow_private=True), seconds=CALL_SECONDS)
    answers = await asyncio.gather(*(sender.post(Outgoing(receiver.url, {}, b"{}")) for _ in range(10)))
    await sender.close()
    assert all(answer.taken for answer in answers)


async def test_asked_once_for_many_calls(listen: Listen) -> None:
    """Calls to one host that begin together look its name up once; one that gives up does not disturb the others."""
    receiver, asked = await listen(), 0

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.1)
        return ["127.0.0.1"]

    sender = Sender(AddressRules(allow_private=True, resolve=resolve), seconds=10)
    outgoing = Outgoing(f"http://hooks.example:{receiver.port}/", {}, b"{}")
    impatient = asyncio.create_task(sender.post(outgoing))
    calls = asyncio.gather(*(sender.post(outgoing) for _ in range(9)))
    await asyncio.sleep(0.05)
    impatient.cancel()
    assert all(answer.taken for answer in await calls)
    assert asked == 1
    await sender.close()


async def test_a_silent_address_leaves_time_for_the_next(listen: Listen) -> None:
    """Where the first address of a name says nothing at all, the next one is still tried in time."""
    receiver = await listen()
    with socket.socket() as silent:
        silent.bind(("127.0.0.2", receiver.port))
        silent.listen(0)
        full = [socket.socket() for _ in range(3)]
        for each in full:
            each.setblocking(False)
            each.connect_ex(("127.0.0.2", receiver.port))

        async def resolve(_host: str, _port: int) -> Sequence[str]:
            return ["127.0.0.2", "127.0.0.1"]

        sender = Sender(AddressRules(allow_private=True, resolve=resolve), seconds=2 * CALL_SECONDS)
        answer = await sender.post(Outgoing(f"http://hooks.example:{receiver.port}/", {}, b"{}"))
        await sender.close()
        for each in full:
            each.close()
    assert answer.taken, answer.said
