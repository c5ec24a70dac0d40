"""The SCIM routes for a caller inside the process: the same answers as from outside."""

from collections.abc import Sequence

import pytest

from factories import Callers, a_tenant
from rollcall.api.scim.inside import Inside
from rollcall.provisioning.rehearsals.performing import Sent


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/scim/v2/ServiceProviderConfig", ""),
        ("GET", "/scim/v2/Users", "startIndex=1&count=2"),
        ("GET", "/scim/v2/Users", "filter=(("),
        ("GET", "/scim/v2/Users/nobody", ""),
        ("PUT", "/scim/v2/Users", ""),
        ("GET", "/scim/v2/nothing", ""),
    ],
)
async def test_the_same_answers(callers: Callers, method: str, path: str, query: str) -> None:
    """Status and body are those that a caller over HTTP has, refusals and addresses without a route too."""
    acme = await a_tenant(callers)
    state = acme.callers.app.state
    inside = Inside(trusted_proxies=state.trusted_proxies, announces_cursors=state.announces_cursors)
    headers: Sequence[tuple[bytes, bytes]] = [
        (b"authorization", f"Bearer {acme.token['token']}".encode()),
        (b"x-request-id", b"the-same"),
    ]

    within = await inside(state.context, Sent(method, path, query, headers, b""))

    async with acme.callers.bearer(acme.token["token"]) as client:
        outside = await client.request(method, f"{path}?{query}", headers={"X-Request-Id": "the-same"})
    assert (within.status, within.body) == (outside.status_code, outside.content)
