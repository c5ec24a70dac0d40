"""SCIM 2.0 for identity providers. Nothing a caller sent is judged before its token has passed the gate."""

from litestar import Router

from rollcall.api.requests import LARGEST_BODY
from rollcall.api.scim import bulk, discovery, errors, groups, lists, me, users
from rollcall.scim.errors import SCIMException

router = Router(
    "/scim/v2",
    route_handlers=[
        discovery.service_provider_config,
        discovery.resource_types,
        discovery.resource_type,
        discovery.schemas,
        discovery.schema,
        lists.list_users,
        lists.search_users,
        lists.list_groups,
        lists.search_groups,
        lists.search_everything,
        lists.query_everything,
        users.get_user,
        users.create_user,
        users.replace_user,
        users.patch_user,
        users.delete_user,
        groups.get_group,
        groups.create_group,
        groups.replace_group,
        groups.patch_group,
        groups.delete_group,
        me.get_me,
        me.replace_me,
        me.patch_me,
        me.delete_me,
        bulk.carry_out_bulk,
    ],
    exception_handlers={SCIMException: errors.answer_refusal, Exception: errors.answer_exception},
    request_max_body_size=LARGEST_BODY,
    include_in_schema=False,
)
