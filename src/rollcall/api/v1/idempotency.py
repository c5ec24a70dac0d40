"""``Idempotency-Key``: a creation that is called again with the same key is answered again, and done once."""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any, cast

import orjson
import structlog
from litestar.params import HeaderParameter
from litestar.serialization import encode_json

from rollcall.api.prepared import Prepared
from rollcall.api.requests import AnyRequest
from rollcall.api.v1.callers import actor_of, key_presented
from rollcall.crypto import CallersSeal
from rollcall.errors import Invalid
from rollcall.journal.answers import Attempt, Repeated, StoredAnswer
from rollcall.work import Fleet, Work

log = structlog.get_logger(__name__)

NAME = "Idempotency-Key"
LONGEST = 255

Handler = Callable[..., Awaitable[Any]]

Key = Annotated[
    str | None,
    HeaderParameter(
        name=NAME,
        description="Your own name for this call, a random UUID best. Sent again within 24 hours with the same address "
        "and body, the call is answered as the first time and nothing is done twice.",
        schema_extra={"minLength": 1, "maxLength": LONGEST, "pattern": "^[ -~]+$"},
    ),
]

_ARGUMENT = "idempotency_key"
_WORK = ("work", "fleet", "reach")
"""What handlers call the transaction they are given."""

_REPLAYED = {"Idempotent-Replayed": "true"}
_WITHHELD = {**_REPLAYED, "Idempotent-Secret": "withheld"}


def idempotent(*, shows: str | None = None) -> Callable[[Handler], Handler]:
    """Let a handler that creates take an ``Idempotency-Key``; it stands under the route's decorator.

    *shows* names the field of its answer that is shown once: ten minutes later it is null for whoever repeats the call.
    The handler takes ``work``, ``fleet`` or ``reach``: the answer is kept in that transaction; a refusal is not.
    """

    def decorate(handler: Handler) -> Handler:
        wants_request = "request" in inspect.signature(handler).parameters

        @wraps(handler)
        async def create_once(**given: Any) -> Any:
            request: AnyRequest = given["request"]
            key: str | None = given.pop(_ARGUMENT)
            if not wants_request:
                del given["request"]
            if key is None:
                return await handler(**given)
            work: Work | Fleet = next(given[name] for name in _WORK if name in given)
            attempt = await _attempt(request, key)
            repeated = await attempt.begin(work)
            if repeated is not None:
                return _again(repeated)
            answer = _answer(request, await handler(**given), shows)
            await attempt.end(work, answer)
            return Prepared(answer.body, status_code=answer.status, media_type="application/json")

        return _taking_a_key(create_once, handler)

    return decorate


def takes_a_key(handler: Handler) -> bool:
    """Whether a route's function is one that `idempotent` has wrapped."""
    return _ARGUMENT in inspect.signature(handler).parameters


def _taking_a_key(wrapper: Handler, handler: Handler) -> Handler:
    """*wrapper* with the parameters of *handler* and what it needs itself, as the framework reads them."""
    added = {"request": AnyRequest, _ARGUMENT: Key}
    signature = inspect.signature(handler)
    parameters = dict(signature.parameters) | {
        name: inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=None if name == _ARGUMENT else inspect.Parameter.empty,
        )
        for name, annotation in added.items()
        if name not in signature.parameters
    }
    in_order = sorted(parameters.values(), key=lambda parameter: parameter.kind)
    cast("Any", wrapper).__signature__ = signature.replace(parameters=in_order)
    wrapper.__annotations__ = {**handler.__annotations__, **added}
    return wrapper


async def _attempt(request: AnyRequest, key: str) -> Attempt:
    """The call as it is told from others.

    Raises:
        Invalid: the key can't be one.
    """
    if len(request.headers.getall(NAME)) > 1 or not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        msg = f"{NAME}: send one, of 1 to {LONGEST} printable ASCII characters; a random UUID is best"
        raise Invalid(msg)
    caller_id = actor_of(request).id
    assert caller_id is not None, "every key of the management API has an id"
    seal = CallersSeal.of(key_presented(request), key)
    scope = request.scope
    said = (scope["method"].encode(), scope["path"].encode(errors="replace"), scope["query_string"])
    return Attempt(caller_id, seal, seal.fingerprint(*said, _in_one_spelling(await request.body())))


def _in_one_spelling(body: bytes) -> bytes:
    """A body by what it says: the order of its members and the space between them make no other call."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return body


def _answer(request: AnyRequest, result: Any, shows: str | None) -> StoredAnswer:
    """What a handler returned, written out as it is sent."""
    handler = cast("Any", request.route_handler)
    body = encode_json(result, handler.default_serializer)
    without = None
    if shows is not None:
        said = orjson.loads(body)
        if said[shows] is not None:
            without = orjson.dumps(said | {shows: None})
    return StoredAnswer(handler.status_code, body, without)


def _again(repeated: Repeated) -> Prepared:
    log.info("answered again", status=repeated.status, secret_withheld=repeated.withheld)
    headers = _WITHHELD if repeated.withheld else _REPLAYED
    return Prepared(repeated.body, status_code=repeated.status, media_type="application/json", headers=headers)
