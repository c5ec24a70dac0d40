"""A software authenticator: it holds a private key and answers WebAuthn's ceremonies as a phone or a key does."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from factories import Callers, Tenant

USER_PRESENT, USER_VERIFIED, NEW_CREDENTIAL = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    """Bytes as WebAuthn's JSON has them."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Bytes out of WebAuthn's JSON."""
    return urlsafe_b64decode(text + "===")


@dataclass
class Authenticator:
    """A device that holds one passkey; what it says about the page and itself can be made wrong."""

    origin: str = "http://rollcall.test"
    domain: str = "rollcall.test"
    verified: bool = True
    counts: bool = True
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: token_bytes(32))
    user_handle: bytes | None = None
    _key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a passkey and answer with its public half, with the attestation format ``none``."""
        self.user_handle = decoded(options["user"]["id"])
        credential = b"\x00" * 16 + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self._public_key()
        attestation: dict[str, Any] = {
            "fmt": "none",
            "attStmt": {},
            "authData": self._data(NEW_CREDENTIAL) + credential,
        }
        return self._answer(
            {
                "clientDataJSON": encoded(self._client_data("webauthn.create", options)),
                "attestationObject": encoded(cbor2.dumps(attestation)),
                "transports": ["internal", "hybrid"],
            }
        )

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """Sign a challenge."""
        if self.counts:
            self.count += 1
        client_data, data = self._client_data("webauthn.get", options), self._data()
        signature = self._key.sign(data + sha256(client_data).digest(), ECDSA(SHA256()))
        response = {
            "clientDataJSON": encoded(client_data),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
        }
        if self.user_handle is not None:
            response["userHandle"] = encoded(self.user_handle)
        return self._answer(response)

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        name = encoded(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _data(self, flags: int = 0) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verified else 0)
        return sha256(self.domain.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _public_key(self) -> bytes:
        """The key as COSE has it: EC2, ES256, P-256, x, y (RFC 9053 §7.1.1)."""
        point = self._key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        return cbor2.dumps(key)


async def begun(tenant: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    """The first half of a registration."""
    answer = await tenant.callers.product.post(f"{tenant.v1}/people/{person['id']}/passkeys/begin")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def registered(
    tenant: Tenant, person: dict[str, Any], device: Authenticator | None = None, **wanted: Any
) -> Authenticator:
    """A device that holds a passkey of this person, registered as the product does it."""
    device = device or Authenticator()
    ceremony = await begun(tenant, person)
    answer = await tenant.callers.product.post(
        f"{tenant.v1}/people/{person['id']}/passkeys",
        json={"challenge": ceremony["challenge"], "credential": device.create(ceremony["options"]), **wanted},
    )
    assert answer.status_code == 201, answer.text
    return device


async def sign_in_begun(callers: Callers, tenant: Tenant, **who: Any) -> dict[str, Any]:
    """The first half of a sign-in."""
    answer = await callers.product.post(f"{tenant.v1}/passkeys/sign-in/begin", json=who)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def signed_in(tenant: Tenant, device: Authenticator, **who: Any) -> Any:
    """A whole sign-in; returns the answer to its second half."""
    ceremony = await sign_in_begun(tenant.callers, tenant, **who)
    return await tenant.callers.product.post(
        f"{tenant.v1}/passkeys/sign-in",
        json={"challenge": ceremony["challenge"], "credential": device.get(ceremony["options"])},
    )
