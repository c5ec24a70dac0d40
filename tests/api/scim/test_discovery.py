"""Discovery: public, and the tenant's own where a token says whose."""

import httpx
import pytest

from api.expect import done, refused
from factories import Callers, Tenant, a_tenant, alive, in_process
from rollcall.app import create_app
from rollcall.settings import Settings

ADDRESSES = ["/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas"]
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize("address", [*ADDRESSES, f"/Schemas/{USER}"])
async def test_public(http: httpx.AsyncClient, acme: Tenant, address: str) -> None:
    """Discovery needs no token (RFC 7644 §4), and says with one what it says without, but for role names."""
    public = done(await http.get(f"/scim/v2{address}"))
    private = done(await acme.scim.get(address))

    if "Schemas" not in address:
        assert public == private
    assert "dart-" not in str(public)


async def test_locations_lead_back(http: httpx.AsyncClient) -> None:
    """Each document's meta.location is where it is found, at the public address."""
    for address in ADDRESSES:
        document = done(await http.get(f"/scim/v2{address}"))
        for each in document.get("Resources", [document]):
            assert done(await http.get(each["meta"]["location"])) == each


async def test_role_names(acme: Tenant) -> None:
    """With a token, the schema of a person names the tenant's own roles."""
    names = ["admins", "members", "guests", "technical-admins", "financial-admins"]
    schema = done(await acme.scim.get(f"/Schemas/{USER}"))

    roles = next(each for each in schema["attributes"] if each["name"] == "roles")
    value = next(each for each in roles["subAttributes"] if each["name"] == "value")
    assert set(value["canonicalValues"]) == {f"dart-{name}" for name in names}


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_token_is_judged(callers: Callers, acme: Tenant, address: str) -> None:
    """A token that is presented passes the whole gate, here too."""
    poor = await a_tenant(callers, plan="free")
    await callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")

    refused(await acme.scim.get(address), 401)
    refused(await poor.scim.get(address), 403)
    async with callers.bearer("nonsense", path="/scim/v2") as stranger:
        refused(await stranger.get(address), 401)


@pytest.mark.parametrize("address", ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"])
async def test_filters(http: httpx.AsyncClient, address: str) -> None:
    """Discovery documents can't be filtered: 403 (RFC 7644 §4)."""
    refused(await http.get(f"/scim/v2{address}", params={"filter": 'id eq "User"'}), 403)


@pytest.mark.parametrize("address", ["/ResourceTypes/Nothing", "/Schemas/urn:nothing", "/Schemas/5b6bb6b1"])
async def test_unknown(http: httpx.AsyncClient, address: str) -> None:
    """What is not there is 404."""
    refused(await http.get(f"/scim/v2{address}"), 404)


@pytest.mark.parametrize("announced", [True, False])
async def test_cursors_can_be_kept_quiet(settings: Settings, announced: bool) -> None:
    """Clients that refuse what they don't know need not be told of pages by cursor, which work all the same."""
    async with (
        alive(create_app(settings.model_copy(update={"announce_cursors": announced}))) as app,
        httpx.AsyncClient(transport=in_process(app), base_url=settings.public_url) as stranger,
    ):
        config = done(await stranger.get("/scim/v2/ServiceProviderConfig"))
    assert ("pagination" in config) is announced
