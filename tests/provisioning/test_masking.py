"""Secrets in requests never reach the audit, in whatever shape a provider sends them."""

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import PATCH_OP, USER, Callers, a_tenant
from rollcall.db import Connection
from rollcall.provisioning.masking import masked
from rows import tables_with

SECRET = "Tr0ub4dor-and-3"
"""What must not be found again; where a test looks through tables, each has one of its own."""

NAMES = ["password", "Password", "PASSWORD", f"{USER}:password", f"{USER.upper()}:PassWord"]


def operation(**facts: Any) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": [facts]}


PATCHES = [
    *(operation(op="replace", path=name, value=SECRET) for name in NAMES),
    *(operation(op="add", value={name: SECRET}) for name in NAMES),
    operation(Op="Replace", Path="password", Value=SECRET),
    operation(op="replace", value={USER: {"password": SECRET}}),
    operation(op="replace", path=USER, value={"password": SECRET}),
    operation(op="replace", path=" password ", value=SECRET),
    operation(op="replace", path="password", value=[SECRET]),
    operation(op="replace", path="password", value={"value": SECRET}),
    operation(op="replace", path="password.value", value=SECRET),
    operation(op="replace", path='password[value eq "x"]', value=SECRET),
]


@pytest.mark.parametrize("patch", PATCHES, ids=range(len(PATCHES)))
async def test_patches(callers: Callers, owner: Connection, patch: dict[str, Any]) -> None:
    """A PATCH that sets a password, granted or refused, leaves its value in no row of any table."""
    tenant = await a_tenant(callers)
    secret = f"{SECRET}-{tenant.slug}-"
    patch = json.loads(json.dumps(patch).replace(SECRET, secret))
    maria = await tenant.person()
    answer = await tenant.scim.patch(f"/Users/{maria['id']}", json=patch)
    assert answer.status_code in (200, 204, 400), answer.text
    assert secret not in answer.text
    (entry,) = await tenant.audit(action="scim.users.patch")
    assert secret not in str(entry)
    assert await tables_with(owner, secret) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_whole_people(callers: Callers, owner: Connection, name: str, method: str) -> None:
    """A person sent with a password, granted or refused, leaves its value in no row of any table."""
    tenant = await a_tenant(callers)
    secret = f"{SECRET}-{tenant.slug}-"
    maria = await tenant.person()
    path = "/Users" if method == "POST" else f"/Users/{maria['id']}"
    for body in ({"userName": "new"}, {"userName": tenant.admin["user_name"]}, {"userName": 7}):
        answer = await tenant.scim.request(method, path, json={"schemas": [USER], name: secret} | body)
        assert answer.status_code in (200, 201, 400, 409), answer.text
        assert secret not in answer.text
    assert await tables_with(owner, secret) == []


def test_what_is_masked_is_shown_to_be() -> None:
    """A masked payload keeps its shape: one sees that a password was sent, and everything else as it was."""
    sent = {"userName": "m", "password": "x", "emails": [{"value": "m@x", "primary": True}]}
    assert masked(sent) == sent | {"password": "***"}
    patch = operation(op="replace", path="password", value="x")
    assert masked(patch) == operation(op="replace", path="password", value="***")


def test_what_is_no_secret_stays() -> None:
    """Attributes whose names only contain a secret's are left alone."""
    sent = {"passwordless": True, "tokens": 3, "path": "displayName", "value": "password"}
    assert masked(sent) == sent


def test_the_original_stays() -> None:
    """Masking copies: what is stored of the person is what was sent."""
    sent: dict[str, Any] = {"name": {"secret": "x"}, "list": [{"token": "y"}]}
    masked(sent)
    assert sent == {"name": {"secret": "x"}, "list": [{"token": "y"}]}


def nested(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )


@given(
    nested(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)),
    nested(st.just(SECRET)),
    st.sampled_from([*NAMES, "token", "secret", "Authorization"]),
    st.integers(min_value=0, max_value=4),
)
def test_at_any_depth(rest: object, secret: object, name: str, depth: int) -> None:
    """Whatever stands under a secret's name is masked, however deep it is and whatever its shape."""
    payload: object = {name: secret, "rest": rest}
    for level in range(depth):
        payload = [payload, rest] if level % 2 else {"inner": payload}
    assert SECRET not in str(masked(payload))


@given(nested(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)))
def test_nothing_else_changes(payload: object) -> None:
    """A payload without a secret's name in it is copied as it is."""
    names = str(payload).casefold()
    if not any(name in names for name in ("password", "token", "secret", "authorization")):
        assert masked(cast("Any", payload)) == payload
