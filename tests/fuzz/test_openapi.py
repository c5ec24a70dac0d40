"""Whatever fits the management API's own description, and much that doesn't, sent to it by an operator."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    positive_data_acceptance,  # pyright: ignore[reportUnknownVariableType]  # its decorator hides the type
)

from authenticator import registered
from factories import Callers, Tenant, a_tenant

BOUNDED = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
BROKEN = settings(BOUNDED, max_examples=5)

_ADDRESS = "a destination is at a public https address, and hears of topics that its kind can say"
_WHOLE = "JSON Schema takes 5.0 for a whole number, and here it is none"
_AUTHENTICATOR = "only an authenticator can make an answer to a challenge"

REFUSED_ALL_THE_SAME: Mapping[str, str] = {
    "create_tenant": "the slug is no UUID, and a role rule is one thing with all its names",
    "change_tenant": _WHOLE,
    "create_person": "a role is one of the tenant's, and a userName can be stored",
    "give_role": "a role is one of the tenant's",
    "issue_token": "an admin's token and one for SCIM are two, and an expiry lies ahead",
    "rotate_token": _WHOLE,
    "pause_tenant": _WHOLE,
    "set_override": "a key is one that can be overridden, and its value one that fits it",
    "end_override": "a key is one that can be overridden",
    "list_usage": "a month is one of the calendar's",
    "download_bundle": "a month is one of the calendar's, and has begun",
    "issue_personal_token": "a scope is in the product's own words, and an expiry lies ahead",
    "register_external_credential": "a kind is a short word in lower case, and an expiry lies ahead",
    "register_passkey": _AUTHENTICATOR,
    "finish_passkey_sign_in": _AUTHENTICATOR,
    "begin_passkey_sign_in": "a person is named in one way or not at all",
    "create_portal_link": "a label and days are for one kind of link, which has one intent",
    "open_session": "a person is named in exactly one way",
    "put_role_rule": "a rule is one thing: its default is one of its roles, and no two roles share a name",
    "preview_role_rule": "as for the rule that is put in force",
    "create_destination": _ADDRESS,
    "change_destination": _ADDRESS,
    "rotate_destination_secret": _WHOLE,
    "create_installation_destination": _ADDRESS,
    "change_installation_destination": _ADDRESS,
    "rotate_installation_destination_secret": _WHOLE,
    "introspect_token": "an empty form field is no credential",
    "revoke_credential": "an empty form field is no credential",
    "read_audit": "a moment in another zone may lie outside the years 1 to 9999",
    "read_installation_audit": "as for a tenant's",
}
"""Calls that refuse some of what fits their description, each with what no description can say.

Everything else takes whatever fits. Cursors are left out everywhere: one is good only if a page gave it.
"""


@dataclass(frozen=True)
class Caller:
    """Who sends the cases: an operator, from a thread that knows of no event loop."""

    client: httpx.AsyncClient
    loop: asyncio.AbstractEventLoop
    known: dict[str, str]
    """Path parameters that lead somewhere."""

    def send(self, case: Any) -> httpx.Response:
        """Call the application as requests would."""
        prepared = requests.Request(**_of_requests(case, str(self.client.base_url))).prepare()
        request = self.client.build_request(
            str(prepared.method),
            str(prepared.url),
            content=_bytes(prepared.body),
            headers=cast("dict[str, str]", dict(prepared.headers)),
        )
        answer = asyncio.run_coroutine_threadsafe(self.client.send(request), self.loop)
        return answer.result(timeout=30)

    def try_all(self, operation: Any) -> None:
        """Send what describes *operation*, first with path parameters that lead somewhere, then with any."""
        parameters = operation.path_parameters
        known = {each.name: self.known[each.name] for each in parameters if each.name in self.known}
        name = operation.definition.raw["operationId"]
        excluded: list[Any] = [positive_data_acceptance] if name in REFUSED_ALL_THE_SAME else []
        self._try(BOUNDED, operation.as_strategy(path_parameters=known), excluded)
        self._try(BROKEN, operation.as_strategy(), excluded)
        with suppress(Unsatisfiable):  # some take nothing that could be wrong
            self._try(BROKEN, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE, path_parameters=known))

    def _try(self, bounds: settings, cases: st.SearchStrategy[Any], excluded: Sequence[Any] = ()) -> None:
        @bounds
        @given(case=cases)
        def each(case: Any) -> None:
            assume(case.body is not None)  # null says the same as no body, where one may be left out
            if case.meta.generation.mode is GenerationMode.POSITIVE:  # what PostgreSQL can't hold is refused everywhere
                assume("\\x00" not in repr((case.path_parameters, case.query, case.body)))
            if case.query is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
                case.query.pop("cursor", None)
            case.validate_response(self.send(case), excluded_checks=excluded)

        cast("Callable[[], None]", each)()


def _of_requests(case: Any, base_url: str) -> dict[str, Any]:
    given_by = case.as_transport_kwargs(base_url=base_url)
    return {name: value for name, value in given_by.items() if name not in ("timeout", "verify", "allow_redirects")}


def _bytes(body: Any) -> bytes | None:
    return body.encode() if isinstance(body, str) else body


@pytest.mark.bound(600)
async def test_openapi(callers: Callers) -> None:
    """Every operation answers as its description says, and never with a 5xx.

    A body that fits its description may still be refused: that a plan exists, no description can say.
    """
    document = (await callers.operator.get("/v1/openapi.json")).json()
    loop = asyncio.get_running_loop()

    wrong: list[str] = []
    described: Any = schemathesis.openapi.from_dict(without_security(document))
    for found in described.get_all_operations():
        operation = found.ok()
        caller = Caller(callers.operator, loop, await known_in(await a_tenant(callers)))
        try:
            await asyncio.to_thread(caller.try_all, operation)
        except BaseExceptionGroup as failures:
            wrong.append(str(failures))

    assert not wrong, "\n\n".join(wrong)


async def test_nobody(callers: Callers, http: httpx.AsyncClient) -> None:
    """Every operation answers 401 to whoever has no key, before anything else is looked at."""
    document = (await callers.operator.get("/v1/openapi.json")).json()
    for address, operations in document["paths"].items():
        for method in operations:
            answer = await http.request(method, address, content=b"{")
            assert answer.status_code == 401, (method, address)


def without_security(document: dict[str, Any]) -> dict[str, Any]:
    """The description less its keys: the caller has the right one and sends it with every call."""
    components = {name: part for name, part in document["components"].items() if name != "securitySchemes"}
    paths = {
        address: {
            method: {name: part for name, part in operation.items() if name != "security"}
            for method, operation in operations.items()
        }
        for address, operations in document["paths"].items()
    }
    rest = {name: part for name, part in document.items() if name != "security"}
    return {**rest, "components": components, "paths": paths}


async def known_in(tenant: Tenant) -> dict[str, str]:
    """A person of *tenant*, and what they and it have."""
    person = await tenant.person()
    session = await tenant.callers.product.post("/v1/sessions", json={"tenant": tenant.slug, "person": person["id"]})
    token = await tenant.issue_token()
    credential = await tenant.external(person)
    await registered(tenant, person)
    (passkey,) = (await tenant.callers.product.get(f"{tenant.v1}/people/{person['id']}/passkeys")).json()["data"]
    return {
        "passkey": passkey["id"],
        "credential": credential["id"],
        "tenant": tenant.slug,
        "person": person["id"],
        "session": session.json()["id"],
        "token": token["id"],
    }
