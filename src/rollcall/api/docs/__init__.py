"""The management API described: the OpenAPI document, and a page to read and try it that needs no other server."""

from rollcall.api.docs.pages import errors_page, openapi_config, openapi_document, scim_openapi_document

__all__ = ["errors_page", "openapi_config", "openapi_document", "scim_openapi_document"]
