"""Verify: anybody finds out whether a receipt is genuine, in their browser, or here where scripts are off.

The page is public and names no tenant. What is sent here is looked at and kept nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile

from rollcall.console.assets import VERIFY
from rollcall.console.pages import page
from rollcall.console.requests import AnyRequest
from rollcall.console.script_words import FACTS
from rollcall.console.words import gettext
from rollcall.proof import signing, verifying
from rollcall.proof.verifying import NotVerified

PAGE = "/verify"
LARGEST = 524_288
"""Bytes of a form that are read: a receipt has some thousand, and three hundred more for each destination."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about a receipt."""

    genuine: bool
    said: str
    """Why it is not, for one that is not."""
    facts: list[tuple[str, str]]


@get(PAGE, name="console_verify", include_in_schema=False)
async def verify_page(request: Request[Any, Any, Any]) -> Response[str]:
    """The form: a receipt is pasted, or its file chosen."""
    return _page(request, None)


@post(PAGE, status_code=200, name="console_verify_here", include_in_schema=False, request_max_body_size=LARGEST)
async def verify_here(request: Request[Any, Any, Any]) -> Response[str]:
    """Verify what was sent, for browsers without scripts."""
    try:
        sent = await _sent(request)
    except (UnicodeDecodeError, LookupError):  # bytes that are no text, or in an encoding that there is not
        wrong = gettext("What was sent can't be read as text. Paste the receipt, or choose its file.")
        return _page(request, None, wrong=wrong, status_code=400)
    if not verifying.trimmed(sent):
        return _page(request, None, wrong=gettext("Paste a receipt, or choose its file."), status_code=400)
    keys = await signing.published(request.app.state.database.pool, ever=True)
    return _page(request, verdict(sent, orjson.dumps(keys)), pasted=sent.decode(errors="replace")[:LARGEST])


def verdict(sent: bytes, keys: bytes) -> Verdict:
    """Whether a receipt is genuine by these keys, and what it says if it is."""
    try:
        claims = verifying.verify(verifying.read_statement(sent), verifying.read_keys(keys))
    except NotVerified as reason:
        return Verdict(genuine=False, said=str(reason), facts=[])
    return Verdict(genuine=True, said="", facts=facts_of(claims))


def facts_of(claims: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a receipt says, for people; the script of the page says the same."""
    closed, told = claims["closed"], claims["destinations"]
    what = [f"{each['count']} {each['class']}" for each in closed["credentials"] if each["count"]]
    return [
        (gettext(FACTS["person"]), claims["person"]["user_name"]),
        (gettext(FACTS["company"]), claims["tenant"]["slug"]),
        (gettext(FACTS["asked"]), claims["arrived_at"]),
        (
            gettext(FACTS["closed"]),
            gettext(FACTS["later"], moment=claims["closed_at"], seconds=closed["seconds"]),
        ),
        (gettext(FACTS["what"]), ", ".join(what) or gettext(FACTS["nothing"])),
        (
            gettext(FACTS["destinations"]),
            _of_destinations(len(told["each"]), told["bound_seconds"], met=told["met"]),
        ),
        (gettext(FACTS["reason"]), claims["reason"]),
        (gettext(FACTS["signed"]), claims["iss"]),
        (gettext(FACTS["receipt"]), claims["jti"]),
    ]


def _of_destinations(number: int, seconds: int, *, met: bool) -> str:
    if not number:
        return gettext(FACTS["none"])
    said = FACTS["told"] if met else FACTS["not_told"]
    return gettext(said, number=number, seconds=seconds)


async def _sent(request: AnyRequest) -> bytes:
    form = await request.form()
    chosen, pasted = form.get("file"), form.get("statement", "")
    if isinstance(chosen, UploadFile) and (content := await chosen.read()):
        return content
    return pasted.encode(errors="replace") if isinstance(pasted, str) else b""


def _page(
    request: AnyRequest, found: Verdict | None, *, pasted: str = "", wrong: str = "", status_code: int = 200
) -> Response[str]:
    return page(
        "verify/page.html",
        brand=request.app.state.brand,
        status_code=status_code,
        scripts=(VERIFY,),
        found=found,
        pasted=pasted,
        wrong=wrong,
    )
