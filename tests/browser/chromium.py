"""A real Chromium, spoken to by pipes in its DevTools protocol, with an authenticator that is plugged into it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


_PLACE = """
import fcntl, os, sys
for given, wanted in [(fcntl.fcntl(int(sys.argv[at]), fcntl.F_DUPFD_CLOEXEC, 10), at + 2) for at in (1, 2)]:
    os.dup2(given, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and writes to 4."""

_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (it) =>
  window.violations.push(`${it.violatedDirective} ${it.blockedURI} ${it.sourceFile}:${it.lineNumber}`));
"""


def chromium() -> str | None:
    """Where Chromium is, if it is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageLeft(Exception):
    """The page went away before it had answered."""


class Tab:
    """One page that is looked at."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._write = to_browser
        self._read = from_browser
        self._last = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._complaints: list[str] = []
        self._requested: list[str] = []
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=_NOTE_VIOLATIONS)

    def call(self, method: str, **parameters: Any) -> Any:
        """Have the browser do something; returns what it answers."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            pass
        if "navigated or closed" in str(answer.get("error")):
            raise PageLeft
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, address: str) -> None:
        """Go to an address, and wait until its page is there."""
        self.ask("window.left = true")
        self.call("Page.navigate", url=address)
        self.until("!window.left && document.readyState === 'complete'")

    def until(self, condition: str, *, within: float = 60) -> Any:
        """Wait until a condition holds on the page."""
        deadline = time.monotonic() + within
        while not (found := self._tried(condition)):
            assert time.monotonic() < deadline, f"{condition} did not come true; the page says: {self.text()}"
            time.sleep(0.02)
        return found

    def text(self) -> str:
        """All that the page says."""
        return self.ask("document.querySelector('main').innerText")

    def type(self, selector: str, words: str) -> None:
        """Put the cursor into a field and type."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.ask("document.activeElement.select()")
        self.call("Input.insertText", text=words)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown" if text else "rawKeyDown",
            **common,
            **({"text": text} if text else {}),
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def follow(self, act: Callable[[], Any]) -> None:
        """Do something that leads to another page, and wait until that is there."""
        self.ask("window.left = true")
        act()
        self.until("!window.left && document.readyState === 'complete'")

    def click(self, selector: str) -> None:
        """Click on something."""
        with suppress(PageLeft):  # by the click
            self.ask(f"document.querySelector({json.dumps(selector)}).click()")

    def scripts(self, *, on: bool) -> None:
        """Let pages run scripts, or not."""
        self.call("Emulation.setScriptExecutionDisabled", value=not on)

    def complaints(self) -> list[str]:
        """What the browser had to say against the pages so far: blocked, failed, thrown."""
        self.call("Page.enable")
        return self._complaints

    def violations(self) -> list[str]:
        """What the policy of the page that is open has forbidden it: also what a script tried and took back."""
        return self.ask("window.violations")

    def requested(self) -> list[str]:
        """Every address that was asked for so far."""
        self.call("Page.enable")
        return self._requested

    def plug_in_authenticator(self) -> str:
        """Give the browser a device that keeps passkeys and whose owner always agrees; returns its id."""
        self.call("WebAuthn.enable")
        device = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        return self.call("WebAuthn.addVirtualAuthenticator", options=device)["authenticatorId"]

    def picture(self, path: Path, *, width: int, dark: bool = False, height: int | None = None) -> None:
        """Take a picture of the whole page, or of so much of it, as somebody sees it who wants nothing to move.

        The name of the file says its format: ``png`` or ``webp``.
        """
        tall = height or 800
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=tall, deviceScaleFactor=1, mobile=False)
        self.call(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )
        form: dict[str, Any] = {"format": "webp", "quality": 82} if path.suffix == ".webp" else {"format": "png"}
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=height is None, **form)
        path.write_bytes(base64.b64decode(taken["data"]))

    def _tried(self, condition: str) -> Any:
        """The condition's value; false while one page goes and the next one comes."""
        try:
            found = self.call("Runtime.evaluate", expression=condition, returnByValue=True)
        except PageLeft:
            return False
        return "exceptionDetails" not in found and found["result"].get("value")

    def _next(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            assert byte, "the browser has ended"
            read += byte
        told = json.loads(read)
        match told.get("method"):
            case "Log.entryAdded" if told["params"]["entry"]["level"] in {"warning", "error"}:
                self._complaints.append(told["params"]["entry"]["text"])
            case "Network.requestWillBeSent":
                self._requested.append(told["params"]["request"]["url"])
            case "Runtime.exceptionThrown":
                self._complaints.append(str(told["params"]["exceptionDetails"]))
            case _:
                pass
        return told


@contextmanager
def browsing(program: str) -> Generator[Tab]:
    """A browser with nothing in it, and one page; it is gone when the block ends."""
    their_in, to_browser = os.pipe()
    from_browser, their_out = os.pipe()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _PLACE,
                str(their_in),
                str(their_out),
                program,
                *OPTIONS,
                f"--user-data-dir={profile}",
            ],
            pass_fds=(their_in, their_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_in)
        os.close(their_out)
        try:
            with os.fdopen(to_browser, "wb", buffering=0) as write, os.fdopen(from_browser, "rb") as read:
                yield Tab(write, read)
        finally:
            process.terminate()
            process.wait(20)
