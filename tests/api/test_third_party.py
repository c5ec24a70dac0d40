"""Other people's SCIM clients against the application: one that is used, and one that looks for mistakes."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest_asyncio
from litestar import Litestar
from scim2_client import BaseSyncSCIMClient
from scim2_client.client import RawResponse
from scim2_client.engines.asgi import ASGISCIMClient
from scim2_client.engines.inprocess import InProcessResponse
from scim2_models import Error, PatchOp, SearchRequest
from scim2_tester import Status, check_server

from factories import Tenant


def client_of(app: Litestar, tenant: Tenant) -> ASGISCIMClient:
    """scim2-client, as the tenant's identity provider."""
    return ASGISCIMClient(
        app,  # pyright: ignore[reportArgumentType]  # its scope is a TypedDict, the client's any mapping
        base_url=f"{tenant.callers.base_url}/scim/v2",
        headers={"Authorization": f"Bearer {tenant.token['token']}"},
    )


@pytest_asyncio.fixture
async def client(app: Litestar, acme: Tenant) -> AsyncGenerator[ASGISCIMClient]:
    """scim2-client, that knows the service by its discovery documents only."""
    client = client_of(app, acme)
    await client.discover()
    yield client


async def test_discovery(client: Any) -> None:
    """The client finds out what there is: a service without bulk, and the resource User with its extension."""
    assert client.provider.config is not None
    assert client.provider.config.patch is not None
    assert client.provider.config.patch.supported
    assert "User" in [kind.name for kind in client.provider.resource_types]
    model = client.get_resource_model("User")
    assert "EnterpriseUser" in str(model.get_extension_models())


async def test_a_life(client: Any) -> None:
    """The client creates somebody, finds them, replaces, changes and removes them, and understands each answer."""
    model = client.get_resource_model("User")
    created = await client.create(model(user_name="maria", external_id="7"))
    assert (created.user_name, created.active) == ("maria", True)

    wanted = SearchRequest[Any](filter='userName eq "MARIA"')  # pyright: ignore[reportArgumentType]  # it coerces text
    found = await client.query(model, query_parameters=wanted)
    assert [person.id for person in found.resources] == [created.id]

    created.display_name = "Maria"
    replaced = await client.replace(created)
    assert (replaced.display_name, replaced.meta.version) == ("Maria", 'W/"2"')

    operations = [{"op": "replace", "path": "active", "value": False}, {"op": "remove", "path": "displayName"}]
    changes = PatchOp[model].model_validate({"Operations": operations})
    changed = await client.modify(model, created.id, changes)
    assert (changed.active, changed.display_name) == (False, None)

    await client.delete(model, created.id)
    gone = await client.query(model, created.id, raise_scim_errors=False)
    assert (type(gone), gone.status) == (Error, 404)


async def test_its_errors(client: Any) -> None:
    """The client understands a refusal."""
    model = client.get_resource_model("User")
    await client.create(model(user_name="maria"))

    double = await client.create(model(user_name="MARIA"), raise_scim_errors=False)

    assert (type(double), double.status, double.scim_type) == (Error, 409, "uniqueness")


class FromAnotherThread(BaseSyncSCIMClient):
    """The same client for a caller that does not know of event loops, and runs in a thread of its own."""

    def __init__(self, asked: ASGISCIMClient, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._asked, self._loop = asked, loop

    def request(self, method: str, url: str, **parameters: Any) -> InProcessResponse:
        """Have the loop's own thread call the application."""
        answer = asyncio.run_coroutine_threadsafe(self._asked.request(method, url, **parameters), self._loop)
        return answer.result(timeout=30)

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return endpoint.startswith(("/", self._asked.base_url))

    def _parse_json(self, response: RawResponse) -> Any:
        assert isinstance(response, InProcessResponse)
        return response.json()


async def test_scim2_tester(app: Litestar, acme: Tenant) -> None:
    """scim2-tester, which tries every attribute with every verb, finds nothing wrong."""
    client = FromAnotherThread(client_of(app, acme), asyncio.get_running_loop())

    results = await asyncio.to_thread(check_server, client)

    assert len(results) > 130
    assert [f"{each.title}: {each.reason}" for each in results if each.status is not Status.SUCCESS] == []
