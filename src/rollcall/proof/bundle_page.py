"""The page of a bundle: what it is, who left, how soon everything was closed, and how anybody verifies it.

It is read by auditors from their own disk: plain HTML of one file, without scripts, and nothing is loaded.
"""

from base64 import urlsafe_b64decode
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from html import escape
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any

import orjson

IN_MEMORY = 256 * 1024
"""Bytes of the list that are held; what is longer waits in a temporary file."""

PART = 64 * 1024

CLASSES = {
    "sessions": "Sessions",
    "tokens": "Tokens",
    "passkeys": "Passkeys",
    "external": "Other credentials",
    "passwords": "Passwords",
}
"""What a departure closes, as the page calls it; a class without a name here is called as the receipts call it."""


@dataclass(slots=True)
class _Sum:
    """One class of what was closed, or one kind of who was told, over the month."""

    number: int = 0
    people: int = 0
    late: int = 0
    slowest: float = 0.0


class Departures:
    """The departures of a bundle, as they are added; they end up as rows of its page."""

    def __init__(self) -> None:
        self._rows: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by __exit__
        self._closed: dict[str, _Sum] = {}
        self._told: dict[str, _Sum] = {}

    def __enter__(self) -> "Departures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.close()

    def add(self, statement: str, file: str) -> None:
        """One more, by its signed receipt, which stands in this file."""
        claims = _said(statement)
        closed, destinations = claims["closed"], claims["destinations"]
        for each in closed["credentials"]:
            found = self._closed.setdefault(each["class"], _Sum())
            if each["count"]:
                found.number += each["count"]
                found.people += 1
                found.slowest = max(found.slowest, closed["seconds"])
        for each in destinations["each"]:
            found = self._told.setdefault(each["kind"], _Sum())
            found.number += 1
            found.late += not each["met"]
            found.slowest = max(found.slowest, each["seconds"])
        self._rows.write(_row(claims, file).encode())

    def parts(self, facts: Mapping[str, Any]) -> Generator[bytes]:
        """The page, part after part; *facts* are the manifest's."""
        yield f"{_head(facts)}{_sums(self._closed, self._told)}{_LIST}".encode()
        self._rows.seek(0)
        while part := self._rows.read(PART):
            yield part
        name = escape(facts["tenant"]["slug"])
        yield _END.format(iss=escape(facts["iss"]), name=name, month=facts["month"]).encode()


def _said(statement: str) -> dict[str, Any]:
    """What a receipt of ours says; its signature is not looked at here."""
    payload = statement.split(".")[1]
    return orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _name(kind: str) -> str:
    return CLASSES.get(kind, kind)


def _seconds(length: float) -> str:
    return f"{length:.3f} s"


def _row(claims: Mapping[str, Any], file: str) -> str:
    closed = claims["closed"]
    cells = (
        claims["closed_at"],
        claims["person"]["user_name"],
        claims["reason"],
        _seconds(closed["seconds"]),
        _what(closed),
        _heard(claims["destinations"]),
        f"{claims['jti']} in {file}",
    )
    return f"<tr>{''.join(f'<td>{_cell(each)}</td>' for each in cells)}</tr>\n"


def _what(closed: Mapping[str, Any]) -> str:
    open_ones = [each for each in closed["credentials"] if each["count"]]
    said = ", ".join(f"{_name(each['class'])}: {each['count']}" for each in open_ones) or "nothing was open"
    if restricted := closed.get("restricted"):
        goes_on = ", ".join(f"{_name(each['class'])}: {each['count']}" for each in restricted)
        said = f"{said}. Goes on for what only takes away, as the company has chosen: {goes_on}"
    return said


def _heard(told: Mapping[str, Any]) -> str:
    if not told["each"]:
        return "nobody had to be told"
    slowest = _seconds(max(each["seconds"] for each in told["each"]))
    return f"{len(told['each'])}, {'all' if told['met'] else 'NOT all'} in time; the last after {slowest}"


def _cell(said: str) -> str:
    """A cell; characters that can't be seen are written out, so that nobody's name breaks a line."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in said))


def _head(facts: Mapping[str, Any]) -> str:
    waiting = facts["incomplete"]
    said = (
        "Every departure of the month that had happened when this was begun is in it."
        if not waiting
        else f"<strong>{waiting:,} more</strong> of the month are not in it: they have still to be settled, or a "
        "destination to be told of them, so their receipts are not signed yet. Make the bundle again later."
    )
    return _HEAD.format(
        month=facts["month"],
        slug=escape(facts["tenant"]["slug"]),
        tenant=escape(facts["tenant"]["id"]),
        iss=escape(facts["iss"]),
        made=facts["made_at"],
        receipts=f"{facts['receipts']:,}",
        waiting=said,
    )


def _sums(closed: Mapping[str, _Sum], told: Mapping[str, _Sum]) -> str:
    rows = [
        f"<tr><th scope=row>{escape(_name(kind))}</th><td>{each.number:,}</td><td>{each.people:,}</td>"
        f"<td>{_seconds(each.slowest) if each.number else 'none was open'}</td></tr>"
        for kind, each in sorted(closed.items())
    ]
    heard = [
        f"<tr><th scope=row>{escape(kind.capitalize())}</th><td>{each.number:,}</td><td>{each.late:,}</td>"
        f"<td>{_seconds(each.slowest)}</td></tr>"
        for kind, each in sorted(told.items())
    ]
    found = _CLOSED.format(rows="\n".join(rows)) if rows else ""
    return found + (_TOLD.format(rows="\n".join(heard)) if heard else "")


_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Departures of {month}: {slug}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
div.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #8886 }}
pre {{ overflow-x: auto; padding: .75rem; border: 1px solid #8886; border-radius: 6px }}
</style>
</head>
<body>
<h1>Departures of {month}: {slug}</h1>
<p>This file belongs to a bundle that Rollcall made for auditors. It answers, for each person of “{slug}” who lost
access in this month (by UTC): when everything they could get in with was closed, and who was told. The signed receipts
beside it prove what it lists; this page itself proves nothing.</p>
<table>
<tr><th scope="row">Company</th><td>{slug} ({tenant})</td></tr>
<tr><th scope="row">Signed by</th><td>{iss}</td></tr>
<tr><th scope="row">Made</th><td>{made}</td></tr>
<tr><th scope="row">Receipts</th><td>{receipts}</td></tr>
</table>
<p>{waiting}</p>
"""

_CLOSED = """<h2>How soon everything was closed</h2>
<p>Counted from the arrival of the request that somebody is to leave. One transaction closes everything of a person, so
all their classes have the same time.</p>
<div class="wide"><table>
<thead><tr><th scope="col">Class</th><th scope="col">Closed</th><th scope="col">Of people</th>
<th scope="col">The slowest</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
"""

_TOLD = """<h2>Who was told</h2>
<div class="wide"><table>
<thead><tr><th scope="col">Kind</th><th scope="col">Messages</th><th scope="col">Not within 300 s</th>
<th scope="col">The slowest</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
"""

_LIST = """<h2>Who left</h2>
<div class="wide"><table>
<thead><tr><th scope="col">Closed (UTC)</th><th scope="col">Person</th><th scope="col">Reason</th>
<th scope="col">Time to close</th><th scope="col">What was closed</th><th scope="col">Destinations</th>
<th scope="col">Receipt</th></tr></thead>
<tbody>
"""

_END = """</tbody></table></div>
<h2>How to verify it</h2>
<ol>
<li>Fetch the public keys from the installation you trust, not from whoever gave you this:
<pre>curl -s {iss}/.well-known/receipt-keys.json &gt; keys.json</pre>
Off-line, take <code>keys.json</code> of this bundle, and compare its <code>kid</code>s with a copy that you trust.</li>
<li>Verify the bundle, which needs no connection and no settings:
<pre>rollcall receipts verify departures-{name}-{month}.zip --keys keys.json</pre>
It checks the signature of <code>manifest.jws</code>, every file against its digest there, and the signature of every
receipt, that it is of this company and month, and that none is there twice.</li>
</ol>
<p>A single receipt is one line of a file under <code>receipts/</code>: a compact JWS (RFC 7515), signed
with ES256, or RS256 if it is older. Any library that reads JWS verifies it, and so does {iss}/verify in a browser.</p>
</body>
</html>
"""
