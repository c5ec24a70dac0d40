"""The discovery documents (RFC 7644 §4), rendered from the models that validate.

They say the truth about this service and nothing more: what is announced here is what providers will use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scim2_models import (
    Attribute,
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    ETag,
    External,
    Filter,
    Meta,
    Pagination,
    Patch,
    Reference,
    Resource,
    ResourceType,
    Schema,
    ServiceProviderConfig,
    Sort,
)

from rollcall.scim.resources import EnterpriseUser, Group, User


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this service can do; a field is changed when the thing itself works, and not before."""

    patch: bool = True
    filter: bool = True
    most_results: int = 200
    bulk: bool = False
    most_bulk_operations: int = 0
    largest_bulk: int = 0
    sort: bool = False
    etag: bool = False
    change_password: bool = False
    cursors: bool = False
    """Whether pages by cursor (RFC 9865) are announced, beside those by index, which remain the default."""
    usual_results: int = 100
    """Resources on a page when the client doesn't say."""
    cursor_seconds: int = 600
    """How long a cursor is good for."""


def service_provider_config(base_url: str, able: Capabilities = Capabilities()) -> dict[str, Any]:
    """The ServiceProviderConfig of the service at *base_url*, which has no slash at its end."""
    config = ServiceProviderConfig(
        patch=Patch(supported=able.patch),
        bulk=Bulk(
            supported=able.bulk,
            max_operations=able.most_bulk_operations,
            max_payload_size=able.largest_bulk,
        ),
        filter=Filter(supported=able.filter, max_results=able.most_results),
        change_password=ChangePassword(supported=able.change_password),
        sort=Sort(supported=able.sort),
        etag=ETag(supported=able.etag),
        pagination=_pagination(able) if able.cursors else None,
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="OAuth Bearer Token",
                description="The SCIM token of the tenant, in the Authorization header",
                spec_uri=Reference[External]("https://www.rfc-editor.org/info/rfc6750"),
                primary=True,
            )
        ],
    )
    return _answered(config, "ServiceProviderConfig", f"{base_url}/ServiceProviderConfig")


def resource_types(base_url: str) -> list[dict[str, Any]]:
    """The ResourceTypes that are served."""
    kinds: list[dict[str, Any]] = []
    for model in (User, Group):
        kind = ResourceType.from_resource(model)
        kind.description = model.__doc__
        kinds.append(_answered(kind, "ResourceType", f"{base_url}/ResourceTypes/{kind.id}"))
    return kinds


def schemas(base_url: str, role_values: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The Schemas of what is served; *role_values* are the names that a tenant's roles may have."""
    described = [User.to_schema(), Group.to_schema(), EnterpriseUser.to_schema()]
    if role_values is not None:
        _role_value(described[0]).canonical_values = list(role_values)
    return [_answered(schema, "Schema", f"{base_url}/Schemas/{schema.id}") for schema in described]


def _pagination(able: Capabilities) -> Pagination:
    return Pagination(
        cursor=True,
        index=True,
        default_pagination_method=Pagination.DefaultPaginationMethod.index,
        default_page_size=able.usual_results,
        max_page_size=able.most_results,
        cursor_timeout=able.cursor_seconds,
    )


def _role_value(schema: Schema) -> Attribute:
    roles = next(attribute for attribute in schema.attributes or [] if attribute.name == "roles")
    return next(part for part in roles.sub_attributes or [] if part.name == "value")


def _answered(resource: Resource[Any], kind: str, location: str) -> dict[str, Any]:
    resource.meta = Meta(resource_type=kind, location=location)
    return resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
