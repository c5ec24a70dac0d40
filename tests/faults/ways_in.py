"""What lets somebody in, in every way there is, and the product that is asked whether it still does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import orjson

from authenticator import Authenticator

PATIENCE = 60.0
"""Seconds for which a client tries again what got no answer, or one that says that the server has failed."""

DOMAIN = "company.test"
"""What passkeys are bound to in these stories."""

KIND = "ssh_key"


@dataclass
class WaysIn:
    """What somebody can come in with: a session and a personal token, and some have every other way too."""

    shown: list[str]
    """A personal token and sessions, in clear."""
    device: Authenticator | None = None
    """Holds their passkey."""
    key: str | None = None
    """What the product calls a credential of its own that it gave them."""

    @property
    def closed(self) -> dict[str, int]:
        """What a receipt has to say of them."""
        passkeys, external = int(self.device is not None), int(self.key is not None)
        return {
            "sessions": len(self.shown) - 1,
            "tokens": 1,
            "passkeys": passkeys,
            "external": external,
            "passwords": 0,
        }

    @property
    def number(self) -> int:
        """How many credentials there are."""
        return sum(self.closed.values())


@dataclass(frozen=True)
class Product:
    """One customer's people in the product, which asks Rollcall on every request."""

    http: httpx.Client
    tenant: str
    """The part of an address that says whose people are meant."""

    def equip(self, person: str, ways: WaysIn) -> None:
        """Register a passkey of somebody, and a key that the product gave them."""
        address = f"{self.tenant}/people/{person}"
        ways.device = Authenticator(origin=f"https://{DOMAIN}", domain=DOMAIN)
        begun = self.http.post(f"{address}/passkeys/begin").raise_for_status().json()
        given = {"challenge": begun["challenge"], "credential": ways.device.create(begun["options"])}
        self.http.post(f"{address}/passkeys", json=given).raise_for_status()
        ways.key = f"key of {person}"
        self.http.post(f"{address}/external-credentials", json={"kind": KIND, "name": ways.key}).raise_for_status()

    def let_in(self, *everybody: WaysIn) -> int:
        """How many of their credentials are good. A session that a passkey opens is one more way in from then on."""
        shown = [each for ways in everybody for each in ways.shown]
        good = sum(self._live(shown[first : first + 100]) for first in range(0, len(shown), 100))
        return good + sum(self._signs_in(ways) + self._key_is_good(ways) for ways in everybody)

    def _live(self, shown: Sequence[str]) -> int:
        asked = orjson.dumps({"tokens": list(shown)})
        answer = insist(lambda: self.http.post("/oauth/introspect/batch", content=asked))
        assert answer.status_code == 200, answer.text
        return sum(each["active"] for each in answer.json()["answers"])

    def _signs_in(self, ways: WaysIn) -> bool:
        device = ways.device
        if device is None:
            return False
        answer = insist(lambda: self._sign_in(device))
        if answer.status_code == 201:
            ways.shown.append(answer.json()["token"])
        return answer.status_code == 201

    def _sign_in(self, device: Authenticator) -> httpx.Response:
        answer = self.http.post(f"{self.tenant}/passkeys/sign-in/begin", json={})
        if answer.status_code != 200:
            return answer
        begun = answer.json()
        answered = {"challenge": begun["challenge"], "credential": device.get(begun["options"])}
        return self.http.post(f"{self.tenant}/passkeys/sign-in", json=answered)

    def _key_is_good(self, ways: WaysIn) -> bool:
        if ways.key is None:
            return False
        named = {"kind": KIND, "name": ways.key}
        state = insist(lambda: self.http.get(f"{self.tenant}/external-credentials/state", params=named))
        assert state.status_code == 200, state.text
        return state.json()["active"]


def insist(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until there is an answer that does not say that the server has failed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if (answer := ask()).status_code < 500:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "no answer"
        time.sleep(0.1)
