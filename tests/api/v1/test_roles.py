"""/v1/tenants/{tenant}/role-rule: read, edited, refused."""

from typing import Any

import httpx
import pytest

from api.expect import turned_down
from factories import DART_RULE, Tenant

ROLES = DART_RULE["roles"]


async def test_read_and_edit(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """An edit raises the version and is read back; putting the same again changes nothing."""
    before = (await operator.get(f"{acme.v1}/role-rule")).json()
    assert (before["version"], before["rule"]["prefix"], before["rule"]["on_conflict"]) == (1, "dart-", "reject")

    for changed in (True, False):
        edited = (await operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "on_conflict": "hold"})).json()
        assert (edited["version"], edited["changed"], edited["rule"]["on_conflict"]) == (2, changed, "hold")

    assert (await operator.get(f"{acme.v1}/role-rule")).json()["version"] == 2
    assert len(await acme.audit(action="role_rule.changed")) == 1


async def test_what_was_read_can_be_put(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """A rule as it is answered can be put back as it is."""
    rule = (await operator.get(f"{acme.v1}/role-rule")).json()["rule"]

    assert (await operator.put(f"{acme.v1}/role-rule", json=rule)).json()["changed"] is False


@pytest.mark.parametrize(
    ("rule", "saying"),
    [
        ({}, "roles"),
        ({**DART_RULE, "default": "emperor"}, "emperor"),
        ({**DART_RULE, "default": "admin"}, "default"),
        ({**DART_RULE, "default": 7}, "default"),
        ({**DART_RULE, "prefix": "-"}, "prefix"),
        ({**DART_RULE, "sources": ["moon"]}, "sources"),
        ({**DART_RULE, "on_conflict": "panic"}, "on_conflict"),
        ({**DART_RULE, "roles": {**ROLES, "Big Boss": {"label": "B"}}}, "Big Boss"),
        ({**DART_RULE, "roles": {**ROLES, "boss": {"label": ""}}}, "roles.boss.label"),
        ({**DART_RULE, "roles": {**ROLES, "boss": {"label": "B", "names": ["admin"]}}}, "two roles"),
        ({**DART_RULE, "roles": {**ROLES, "boss": {"label": "a\x00b"}}}, "control character"),
        ({**DART_RULE, "roles": {"member": {"label": "M"}}}, "admin"),
        ({**DART_RULE, "roles": []}, "roles"),
        ({**DART_RULE, "colour": "red"}, "colour"),
    ],
)
async def test_what_is_no_rule(operator: httpx.AsyncClient, acme: Tenant, rule: Any, saying: str) -> None:
    """A rule that can't be is refused with the place and the reason, and the one in force stays."""
    turned_down(await operator.put(f"{acme.v1}/role-rule", json=rule), 400, "invalid", saying)

    assert (await operator.get(f"{acme.v1}/role-rule")).json()["version"] == 1


async def test_role_that_is_gone(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """Whoever had a role that an edit takes away has the default from then on; nobody keeps rights by it."""
    person = await acme.person("maria", roles=["dart-technical-admins"])
    roles = {key: role for key, role in ROLES.items() if key != "technical-admin"}

    await operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "roles": roles})

    assert (await operator.get(f"{acme.v1}/people/{person['id']}")).json()["role"] == "member"


async def test_role_that_is_no_longer_an_admins(operator: httpx.AsyncClient, acme: Tenant) -> None:
    """When an edit makes a role no admin's, the tokens that its holders own stop."""
    roles = {**ROLES, "admin": {**ROLES["admin"], "admin": False}, "owner": {"label": "Owner", "admin": True}}

    await operator.put(f"{acme.v1}/role-rule", json={**DART_RULE, "roles": roles})

    assert (await operator.get(f"{acme.v1}/people/{acme.admin['id']}")).json()["is_admin"] is False
    assert (await acme.scim.get("/Users")).status_code == 401
