"""Whatever is sent, nothing fails: a great many made-up requests to the real addresses."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.expect import ERROR
from factories import USER, Callers, Tenant, a_tenant

MANY = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

texts = st.text(max_size=12) | st.sampled_from(["", "True", "dart-admins", "maria", "a@b.c", "\x00", "\ud800", "{"])
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts
names = st.sampled_from(
    [
        "schemas",
        "id",
        "meta",
        "externalId",
        "userName",
        "USERNAME",
        "name",
        "displayName",
        "active",
        "emails",
        "roles",
        "password",
        "groups",
        "value",
        "primary",
        "type",
        "x509Certificates",
        "addresses",
        "photos",
        ENTERPRISE,
        "manager",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=3),
    max_leaves=8,
)
paths = (
    names
    | st.sampled_from(
        [
            "name.givenName",
            'emails[type eq "work"].value',
            "emails[primary eq true]",
            'roles[primary eq "True"].value',
            f"{ENTERPRISE}:manager",
            f"{ENTERPRISE}:manager.value",
            f"{USER}:emails",
            "emails.value",
            "emails[",
            "meta.created",
            'x509Certificates[value eq "MQ=="]',
            'addresses[type eq "work" and not (country pr)].locality',
            "roles.value",
        ]
    )
    | texts
)
bodies = st.dictionaries(names | texts, values, max_size=6)
people = bodies.map(lambda body: {**body, "userName": body.get("userName", "maria")})
operations = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "Add", "remove", "replace", "move"]) | values,
        "path": paths | values,
        "value": values,
    },
)
patches = st.fixed_dictionaries({"Operations": st.lists(operations, max_size=4)}, optional={"schemas": values})
filters = st.builds(
    " ".join,
    st.lists(
        st.sampled_from(
            ["eq", "ne", "co", "sw", "pr", "gt", "and", "or", "not", "(", ")", "[", "]", '"a"', "true", "null", "1"]
        )
        | paths
        | texts.map(lambda text: f'"{text}"'),
        max_size=6,
    ),
)


@pytest_asyncio.fixture(scope="module")
async def tenant(callers: Callers) -> Tenant:
    """One tenant for all the requests of this module."""
    return await a_tenant(callers)


@pytest_asyncio.fixture(scope="module")
async def maria(tenant: Tenant) -> dict[str, Any]:
    """Somebody to be changed in every way."""
    return await tenant.person("maria", emails=[{"value": "m@x", "type": "work"}], roles=["dart-guests"])


def sent(body: object) -> bytes:
    """A body as careless clients write it: with NaN, half surrogate pairs and numbers of any size."""
    return json.dumps(body).encode()


def sound(answer: httpx.Response) -> None:
    """An answer is either what was asked for, or a refusal in the protocol's own words."""
    assert answer.status_code < 500, answer.request.content
    if answer.status_code >= 400:
        body = answer.json()
        assert body["schemas"] == [ERROR]
        assert body["status"] == str(answer.status_code)
        assert body["detail"]


@MANY
@given(body=people | bodies)
async def test_any_creation(tenant: Tenant, body: dict[str, Any]) -> None:
    """Any body of a POST is carried out or refused, and what was created can be read, found and removed."""
    answer = await tenant.scim.post("/Users", content=sent(body))

    sound(answer)
    if answer.status_code == 201:
        address = f"/Users/{answer.json()['id']}"
        assert (await tenant.scim.get(address)).json() == answer.json()
        assert (await tenant.scim.delete(address)).status_code == 204


@MANY
@given(body=people | bodies)
async def test_any_replacement(tenant: Tenant, maria: dict[str, Any], body: dict[str, Any]) -> None:
    """Any body of a PUT is carried out or refused, and what is answered is what is stored."""
    answer = await tenant.scim.put(f"/Users/{maria['id']}", content=sent(body))

    sound(answer)
    if answer.status_code == 200:
        assert (await tenant.scim.get(f"/Users/{maria['id']}")).json() == answer.json()


@MANY
@given(body=patches | bodies)
async def test_any_patch(tenant: Tenant, maria: dict[str, Any], body: dict[str, Any]) -> None:
    """Any PATCH is carried out or refused, and what is answered is what is stored."""
    before = (await tenant.scim.get(f"/Users/{maria['id']}")).json()

    answer = await tenant.scim.patch(f"/Users/{maria['id']}", content=sent(body))

    sound(answer)
    after = (await tenant.scim.get(f"/Users/{maria['id']}")).json()
    assert after == (answer.json() if answer.status_code == 200 else before)


@MANY
@given(text=filters, start=st.integers() | texts, count=st.integers() | texts, attributes=texts | paths)
async def test_any_question(tenant: Tenant, text: str, start: object, count: object, attributes: str) -> None:
    """Any list request is answered with a page or refused."""
    asked = {"filter": text, "startIndex": str(start), "count": str(count), "attributes": attributes}
    parameters = {name: value.encode("utf-8", "replace").decode() for name, value in asked.items()}

    sound(await tenant.scim.get("/Users", params=parameters))
    sound(await tenant.scim.get("/Users", params={"filter": parameters["filter"]}))


@MANY
@given(address=st.text(max_size=20))
async def test_any_address(tenant: Tenant, address: str) -> None:
    """Any id is somebody's or nobody's."""
    quoted = quote(address, errors="replace", safe="")

    answer = await tenant.scim.get(f"/Users/{quoted}")

    assert answer.status_code in (200, 404, 405)
