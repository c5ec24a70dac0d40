"""Webhooks as the product signs them, checked by the client."""

import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollcall.events import webhooks
from rollcall_client import WebhookNotVerified, verify

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
BODY = """{"type": "user.deactivated", "timestamp": "2026-01-01T00:00:00Z",
           "data": {"person": {"user_name": "éva"}}}""".encode()
NOW = datetime(2026, 1, 2, tzinfo=UTC)
OLD, NEW = webhooks.new_secret(), webhooks.new_secret()


def headers(*secrets: str, sent: datetime = NOW, body: bytes = BODY) -> dict[str, str]:
    """What the product sends beside *body*."""
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(sent.timestamp())),
        "Webhook-Signature": webhooks.signatures(secrets, "msg_1", sent, body),
    }


def test_signed_by_the_product() -> None:
    """What the product signs verifies, also while its secret is rotated, on either side."""
    for signed, known in (((NEW,), NEW), ((OLD, NEW), NEW), ((OLD, NEW), OLD), ((NEW,), [OLD, NEW])):
        told = verify(BODY, headers(*signed), known, now=NOW.timestamp())
        assert (told.id, told.type) == ("msg_1", "user.deactivated")
        assert told.data["person"]["user_name"] == "éva"


@pytest.mark.parametrize(
    ("said", "body", "why"),
    [
        (headers(OLD), BODY, "not signed with this secret"),
        (headers(NEW), BODY.replace(b"deactivated", b"reactivated"), "not signed with this secret"),
        (headers(NEW) | {"Webhook-Id": "msg_2"}, BODY, "not signed with this secret"),
        (headers(NEW) | {"Webhook-Signature": "v1,"}, BODY, "not signed with this secret"),
        (headers(NEW) | {"Webhook-Signature": "v1a,\xe9"}, BODY, "not signed with this secret"),
        (headers(NEW) | {"Webhook-Timestamp": "soon"}, BODY, "are needed"),
        ({}, BODY, "are needed"),
        (headers(NEW, sent=NOW - timedelta(seconds=301)), BODY, "more than 300 s ago"),
        (headers(NEW, sent=NOW + timedelta(seconds=301)), BODY, "more than 300 s ago"),
        (headers(NEW, body=b"[]"), b"[]", "nothing that can be read"),
    ],
)
def test_not_from_the_product(said: dict[str, str], body: bytes, why: str) -> None:
    """What is signed otherwise, changed, old or no webhook is refused with the reason."""
    with pytest.raises(WebhookNotVerified, match=why):
        verify(body, said, NEW, now=NOW.timestamp())


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "nonsense"])
def test_no_secret(secret: str) -> None:
    """What is no secret verifies nothing, and says so."""
    with pytest.raises(ValueError, match="no webhook's secret"):
        verify(BODY, headers(NEW), secret, now=NOW.timestamp())


def test_is_a_package(tmp_path: Path) -> None:
    """The client builds by itself, says that it is typed, and asks for httpx alone."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True, timeout=120)
    wheel = zipfile.ZipFile(next(tmp_path.glob("rollcall_client-*.whl")))
    assert "rollcall_client/py.typed" in wheel.namelist()
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: httpx>=0.27"
    ]
