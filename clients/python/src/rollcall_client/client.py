"""Asks Rollcall, within a bound of time, and remembers nothing: every answer is true as of now."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

import httpx

from rollcall_client.errors import RollcallAway, RollcallRefused

MOST_AT_ONCE = 100
"""Credentials that one question may be about."""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session as it is handed out once: *token* goes to the person's browser and can't be read again."""

    id: str
    token: str
    tenant_id: str
    person_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Introspection:
    """What Rollcall says about a credential right now. Everything but *active* is None unless it is good."""

    active: bool
    id: str | None = None
    is_session: bool = False
    """Whether it is a session; otherwise it is a token that a person or the tenant made, good for its *scopes*."""
    tenant: str | None = None
    """The tenant's slug."""
    tenant_id: str | None = None
    person_id: str | None = None
    user_name: str | None = None
    role: str | None = None
    """The person's role as of now: don't keep it."""
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Rollcall:
    """An installation of Rollcall, asked with an application key.

    Every call ends within *timeout* seconds, or raises `RollcallAway`. Nothing is asked twice: whoever called has
    waited long enough. Use one of these for a process, as an async context manager or with `aclose`.
    """

    def __init__(
        self,
        url: str,
        application_key: str,
        *,
        timeout: float = 2.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            msg = f"the address of Rollcall begins with https:// (or http:// while developing); '{url}' does not"
            raise ValueError(msg)
        if not (timeout > 0 and math.isfinite(timeout)):
            msg = "timeout has to be a number of seconds above 0: a question without a bound holds up your own callers"
            raise ValueError(msg)
        self._seconds = timeout
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {application_key}", "Accept": "application/json"},
            timeout=timeout,
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def open_session(
        self,
        tenant: str,
        *,
        person: str | None = None,
        user_name: str | None = None,
        lifetime_seconds: int | None = None,
        label: str | None = None,
    ) -> OpenedSession:
        """Open a session for somebody of *tenant* (id or slug), named by *person* (an id) or by *user_name*.

        Raises:
            RollcallRefused: they may not come in, or there is no such person or tenant.
            RollcallAway: there was no answer in time. A session may have been opened; nobody has its token.
        """
        wanted = {
            "tenant": tenant,
            "person": person,
            "user_name": user_name,
            "lifetime_seconds": lifetime_seconds,
            "label": label,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        said = await self._ask("/v1/sessions", json=body)
        try:
            return OpenedSession(
                id=said["id"],
                token=said["token"],
                tenant_id=said["tenant_id"],
                person_id=said["person_id"],
                expires_at=datetime.fromisoformat(said["expires_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(error) from error

    async def close_session(self, token: str) -> None:
        """End a session by its token, from the answer on. One that is over already is no error.

        Raises:
            RollcallAway: there was no answer in time: say so to the person, or try again. They may still be signed in.
            RollcallRefused: it is no session or token of a person.
        """
        await self._ask("/oauth/revoke", data={"token": token})

    async def introspect(self, token: str) -> Introspection:
        """Whether a session or token is good right now, and whose it is.

        Raises:
            RollcallError: nobody knows. Let nobody in.
        """
        return _introspection(await self._ask("/oauth/introspect", data={"token": token}))

    async def introspect_many(self, tokens: Sequence[str]) -> list[Introspection]:
        """The same about up to 100, in their order.

        Raises:
            ValueError: there are more.
            RollcallError: nobody knows. Let nobody in.
        """
        if len(tokens) > MOST_AT_ONCE:
            msg = f"one question is about {MOST_AT_ONCE} credentials at most, not {len(tokens)}"
            raise ValueError(msg)
        said = await self._ask("/oauth/introspect/batch", json={"tokens": list(tokens)})
        answers: Any = said.get("answers")
        if not isinstance(answers, list) or len(cast("list[Any]", answers)) != len(tokens):
            raise RollcallAway("Rollcall answered about another number of credentials than it was asked about")
        return [_introspection(each) for each in cast("list[Any]", answers)]

    async def _ask(
        self, path: str, *, json: Mapping[str, object] | None = None, data: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._http.post(path, json=json, data=data)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            said = str(error) or type(error).__name__
            raise RollcallAway(f"Rollcall did not answer within {self._seconds} s ({said})") from error
        if not answer.is_success:
            raise _refusal(answer)
        if not answer.content:
            return {}
        try:
            said = answer.json()
        except ValueError as error:
            raise _unreadable(error) from error
        if not isinstance(said, dict):
            raise RollcallAway("Rollcall's answer is no JSON object: see that the address is Rollcall's")
        return cast("dict[str, Any]", said)


def _refusal(answer: httpx.Response) -> RollcallRefused | RollcallAway:
    """What an answer without success means: from 500 on, and where nothing says why, nobody knows."""
    try:
        said: Any = answer.json()
        if "error" in said:  # the addresses of OAuth answer in its shape (RFC 6749 §5.2)
            said = {"code": said["error"], "detail": said["error_description"]}
        request_id = said.get("request_id") or answer.headers.get("x-request-id")
        refused = RollcallRefused(answer.status_code, said["code"], said["detail"], request_id)
    except (ValueError, KeyError, TypeError, AttributeError):
        return RollcallAway(f"what answered {answer.status_code} is not Rollcall: see that the address is Rollcall's")
    return RollcallAway(str(refused)) if answer.status_code >= 500 else refused


def _introspection(said: object) -> Introspection:
    """Read one answer; only the word ``true`` is yes."""
    if not isinstance(said, dict):
        raise RollcallAway("Rollcall's answer about a credential is no JSON object")
    claims = cast("dict[str, Any]", said)
    if claims.get("active") is not True:
        return Introspection(active=False)
    try:
        expires = claims.get("exp")
        return Introspection(
            active=True,
            id=claims["jti"],
            is_session="sid" in claims,
            tenant=claims["tenant"],
            tenant_id=claims["tenant_id"],
            person_id=claims.get("sub"),
            user_name=claims.get("username"),
            role=claims.get("role"),
            scopes=tuple(claims.get("scope", "").split()),
            expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> RollcallAway:
    return RollcallAway(f"Rollcall's answer can't be read ({error!r}): see that this client is as new as Rollcall")
