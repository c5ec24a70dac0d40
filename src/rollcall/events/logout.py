"""Logout tokens: OpenID Connect Back-Channel Logout 1.0, for products that already sign people out that way.

A departure ends all sessions of a person (``sub`` alone), a closed session only that one (``sid`` beside it).
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from rollcall.events.outgoing import Destination, Message, Outgoing
from rollcall.proof import signing
from rollcall.work import Work

KIND = "logout+jwt"
"""The ``typ`` of a logout token's header, §2.4."""

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME = timedelta(minutes=2)
"""How long a token is good for, as §4 recommends; each attempt to deliver has one of its own."""

_HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "Cache-Control": "no-store",
}


async def outgoing(work: Work, destination: Destination, message: Message) -> Outgoing | None:
    """The POST of §2.5; ``None`` for what ends nobody's session."""
    ended = _ended(message)
    if ended is None:
        return None
    assert destination.audience is not None, "registering a logout destination asks for the client it is for"
    claims: dict[str, Any] = {
        "iss": destination.signing.public_url,
        "aud": destination.audience,
        "iat": int(work.now.timestamp()),
        "exp": int((work.now + LIFETIME).timestamp()),
        # Fresh for every attempt: who remembers them refuses one a second time, when only the answer had got lost.
        "jti": str(uuid4()),
        **ended,
        "events": {EVENT: {}},
    }
    token = await signing.sign(work, destination.signing.sealer, signing.FOR_TOKENS, kind=KIND, claims=claims)
    return Outgoing(destination.url, _HEADERS, urlencode({"logout_token": token}).encode())


def _ended(message: Message) -> dict[str, str] | None:
    if message.account_id is None:
        return None
    match message.topic:
        case "user.deactivated":
            return {"sub": str(message.account_id)}
        case "session.closed":
            return {"sub": str(message.account_id), "sid": str(message.payload["session_id"])}
        case _:
            return None
