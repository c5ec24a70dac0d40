"""SCIM 2.0 for identity providers. Nothing a caller sent is judged before its token has passed the gate."""

from litestar import Router

from rollcall.api.requests import LARGEST_BODY
from rollcall.api.scim import discovery, errors, groups, users
from rollcall.scim.errors import SCIMException

router = Router(
    "/scim/v2",
    route_handlers=[
        discovery.service_provider_config,
        discovery.resource_types,
        discovery.resource_type,
        discovery.schemas,
        discovery.schema,
        users.list_users,
        users.search_users,
        users.get_user,
        users.create_user,
        users.replace_user,
        users.patch_user,
        users.delete_user,
        groups.list_groups,
        groups.search_groups,
        groups.get_group,
        groups.create_group,
        groups.replace_group,
        groups.patch_group,
        groups.delete_group,
    ],
    exception_handlers={SCIMException: errors.answer_refusal, Exception: errors.answer_exception},
    request_max_body_size=LARGEST_BODY,
    include_in_schema=False,
)
