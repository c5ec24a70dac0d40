"""Discovery documents: they read under the protocol's own rules, and they say what is true."""

import pytest
from scim2_models import Context, ResourceType, Schema, ScimProvider, ServiceProviderConfig

from rollcall.scim.discovery import Capabilities, resource_types, schemas, service_provider_config
from rollcall.scim.resources import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA

BASE = "https://example.com/scim/v2"
ANSWER = Context.RESOURCE_QUERY_RESPONSE


def test_service_provider_config() -> None:
    """The configuration announces what works today and no more."""
    shown = service_provider_config(BASE)
    config = ServiceProviderConfig.model_validate(shown, scim_ctx=ANSWER)
    assert shown["patch"] == {"supported": True}
    assert shown["filter"] == {"supported": True, "maxResults": 200}
    assert shown["bulk"] == {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}
    assert [shown[name]["supported"] for name in ("changePassword", "sort", "etag")] == [False] * 3
    (scheme,) = shown["authenticationSchemes"]
    assert (scheme["type"], scheme["primary"]) == ("oauthbearertoken", True)
    assert "documentationUri" not in shown
    assert shown["meta"] == {"resourceType": "ServiceProviderConfig", "location": f"{BASE}/ServiceProviderConfig"}
    assert config.patch is not None


def test_capabilities_are_one_line_each() -> None:
    """What is switched on is announced."""
    shown = service_provider_config(BASE, Capabilities(bulk=True, most_bulk_operations=1_000, etag=True))
    assert shown["bulk"]["maxOperations"] == 1_000
    assert shown["etag"] == {"supported": True}
    assert "pagination" not in shown


def test_pages_by_cursor() -> None:
    """Cursors are announced with how long they live, and pages by index stay the default (RFC 9865 §4)."""
    shown = service_provider_config(BASE, Capabilities(cursors=True, cursor_seconds=900))
    assert shown["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 100,
        "maxPageSize": 200,
        "cursorTimeout": 900,
    }
    ServiceProviderConfig.model_validate(shown, scim_ctx=ANSWER)


def test_resource_types() -> None:
    """Users are served at /Users, with the enterprise extension as an option, and groups at /Groups."""
    shown, group = resource_types(BASE)
    for kind in (shown, group):
        ResourceType.model_validate(kind, scim_ctx=ANSWER)
    assert (group["id"], group["endpoint"], group["schema"]) == ("Group", "/Groups", GROUP_SCHEMA)
    assert "schemaExtensions" not in group
    assert (shown["id"], shown["endpoint"], shown["schema"]) == ("User", "/Users", USER_SCHEMA)
    assert shown["schemaExtensions"] == [{"schema": ENTERPRISE_SCHEMA, "required": False}]
    assert shown["meta"] == {"resourceType": "ResourceType", "location": f"{BASE}/ResourceTypes/User"}


def test_schemas() -> None:
    """The schemas are those of the models, and read as schemas."""
    shown = {schema["id"]: schema for schema in schemas(BASE, None)}
    assert {urn: schema["name"] for urn, schema in shown.items()} == {
        USER_SCHEMA: "User",
        GROUP_SCHEMA: "Group",
        ENTERPRISE_SCHEMA: "EnterpriseUser",
    }
    for urn, schema in shown.items():
        Schema.model_validate(schema, scim_ctx=ANSWER)
        assert schema["meta"] == {"resourceType": "Schema", "location": f"{BASE}/Schemas/{urn}"}
    user = {attribute["name"]: attribute for attribute in shown[USER_SCHEMA]["attributes"]}
    assert (user["password"]["mutability"], user["password"]["returned"]) == ("writeOnly", "never")
    assert (user["userName"]["required"], user["userName"]["uniqueness"]) == (True, "server")
    email = {part["name"]: part for part in user["emails"]["subAttributes"]}
    assert (email["value"]["type"], email["value"]["description"]) == ("string", "Email addresses for the user.")
    group = {attribute["name"]: attribute for attribute in shown[GROUP_SCHEMA]["attributes"]}
    assert group["displayName"]["required"] is True
    assert {part["name"]: (part["required"], part["mutability"]) for part in group["members"]["subAttributes"]} == {
        "value": (True, "immutable"),
        "$ref": (False, "immutable"),
        "type": (False, "immutable"),
        "display": (False, "immutable"),
    }
    manager = {
        part["name"]: part["required"]
        for attribute in shown[ENTERPRISE_SCHEMA]["attributes"]
        if attribute["name"] == "manager"
        for part in attribute["subAttributes"]
    }
    assert manager == {"value": False, "$ref": False, "displayName": False}


@pytest.mark.parametrize("values", [None, [], ["owner", "member"]])
def test_role_values_are_shown_to_those_who_may_know(values: list[str] | None) -> None:
    """A tenant's role names stand in its own schema, and in nobody else's afterwards."""
    assert _role_value(values).get("canonicalValues") == (values or None)
    assert "canonicalValues" not in _role_value(None)


def _role_value(values: list[str] | None) -> dict[str, object]:
    user = schemas(BASE, values)[0]
    roles = next(attribute for attribute in user["attributes"] if attribute["name"] == "roles")
    return next(part for part in roles["subAttributes"] if part["name"] == "value")


def test_client_can_build_itself_from_discovery() -> None:
    """A client that reads the documents arrives at the resource that is served."""
    provider = ScimProvider.from_discovery(
        [Schema.model_validate(schema) for schema in schemas(BASE, None)],
        [ResourceType.model_validate(kind) for kind in resource_types(BASE)],
        ServiceProviderConfig.model_validate(service_provider_config(BASE)),
    )
    assert provider.model_for_endpoint("/Users") is not None
    assert provider.model_for_endpoint("/Groups") is not None
