"""The OpenAPI document of ``/scim/v2``, read off its routes and the Schemas that its discovery answers.

It is a document of its own: media type, errors, lists and keys are the RFCs' and not those of ``/v1``.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from rollcall import api
from rollcall.api.scim.answers import MEDIA_TYPE
from rollcall.scim.discovery import schemas

Json = dict[str, Any]

PATH = "/v1/openapi-scim.json"

_BASE = "/scim/v2"
_REF = "#/components/schemas/"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_TYPES: dict[str, Json] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer"},
    "dateTime": {"type": "string", "format": "date-time"},
    "reference": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}
_PARAMETERS: dict[str, tuple[Json, str]] = {
    "filter": ({"type": "string"}, 'Only those that fit, such as `userName eq "maria"` (RFC 7644 §3.4.2.2).'),
    "sortBy": ({"type": "string"}, "The attribute to sort by."),
    "sortOrder": ({"type": "string", "enum": ["ascending", "descending"]}, "Which way."),
    "startIndex": ({"type": "integer"}, "The first to answer, from 1; less is taken as 1."),
    "count": ({"type": "integer"}, "How many to answer; less than 0 is taken as 0."),
    "cursor": ({"type": "string"}, "Where to continue (RFC 9865); empty for the first page."),
}
_PARTS: dict[str, tuple[Json, str]] = {
    "attributes": ({"type": "string"}, "Only these attributes, with commas between."),
    "excludedAttributes": ({"type": "string"}, "All but these attributes, with commas between."),
}
_REFUSALS = {
    "400": "What was sent can't be carried out; `scimType` says why.",
    "401": "There is no token, or none that is live.",
    "403": "The plan or the token's scope does not reach this far.",
    "404": "There is no such resource.",
    "409": "Another resource has this name.",
    "412": "The resource is another version than the one in If-Match.",
    "413": "The body is longer than what is read.",
    "429": "More calls than the plan allows; `Retry-After` says how long to wait.",
    "500": "Something went wrong on our side.",
    "503": "The database is away or too busy; `Retry-After` says how long to wait.",
}
_ANSWERS = {"get": "200", "post": "201", "put": "200", "patch": "200", "delete": "204"}


def scim_document(app: Litestar) -> Json:
    """The document of *app*'s SCIM endpoints."""
    base = f"{app.state.public_url}{_BASE}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rollcall SCIM 2.0",
            "version": api.VERSION,
            "description": "What identity providers call (RFC 7643, RFC 7644, RFC 9865). The token says which tenant.",
        },
        "servers": [{"url": base}],
        "security": [{"token": []}],
        "paths": _paths(app),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A tenant's SCIM token."}},
            "schemas": _schemas(base),
        },
    }


def _paths(app: Litestar) -> Json:
    paths: Json = {}
    for path, method, handler in scim_handlers(app):
        paths.setdefault(path, {})[method] = _operation(path, method, handler)
    return paths


def scim_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Every SCIM handler with its path and method, without the paths in lower case, which are the same again."""
    for route in app.routes:
        path = route.path_format.removeprefix(_BASE)
        if isinstance(route, HTTPRoute) and route.path_format.startswith(f"{_BASE}/"):
            for method, (handler, _) in route.route_handler_map.items():
                if method not in ("OPTIONS", "HEAD") and not path.startswith(("/users", "/groups")):
                    yield path, method.lower(), handler


def _operation(path: str, method: str, handler: HTTPRouteHandler) -> Json:
    kind = "Group" if path.startswith("/Groups") else "User"
    status = "200" if path.endswith(".search") or path == "/Bulk" else _ANSWERS[method]
    answer: Json = {"description": "Done."}
    if status != "204":
        answer["content"] = _body(_answered(path, method, kind))
    operation: Json = {
        "operationId": handler.handler_name,
        "summary": handler.handler_name.replace("_", " ").capitalize(),
        "description": (inspect.getdoc(handler.fn) or "").replace("``", "`"),
        "parameters": list(_parameters(path, method)),
        "responses": {status: answer} | {each: _refusal(said) for each, said in _REFUSALS.items()},
    }
    if method in ("post", "put", "patch"):
        operation["requestBody"] = {"required": True, "content": _body(_sent(path, method, kind))}
    if _is_public(path):
        operation["security"] = [{}, {"token": []}]
    if method == "patch":
        operation["responses"]["204"] = {"description": "Done; the tenant's profile or the size asks for no body."}
    return operation


def _parameters(path: str, method: str) -> Iterator[Json]:
    for name in (part.strip("{}") for part in path.split("/") if part.startswith("{")):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": "Its id."}
    if path in ("/Users", "/Groups") and method == "get":
        yield from _in_query(_PARAMETERS)
    if not _is_public(path) and method != "delete" and not path.endswith(".search") and path != "/Bulk":
        yield from _in_query(_PARTS)
    if "{" in path and method in ("put", "patch", "delete"):
        said = "Only if it still is this version."
        yield {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}, "description": said}


def _in_query(parameters: dict[str, tuple[Json, str]]) -> Iterator[Json]:
    for name, (schema, said) in parameters.items():
        yield {"name": name, "in": "query", "required": False, "schema": schema, "description": said}


def _is_public(path: str) -> bool:
    return path.startswith(("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"))


def _answered(path: str, method: str, kind: str) -> str:
    if path == "/Bulk":
        return "BulkResponse"
    if (
        path.endswith(".search")
        or path in ("/ResourceTypes", "/Schemas")
        or (method == "get" and path[1:] == f"{kind}s")
    ):
        return "ListResponse"
    return "Document" if _is_public(path) else kind


def _sent(path: str, method: str, kind: str) -> str:
    if path == "/Bulk":
        return "BulkRequest"
    if path.endswith(".search"):
        return "SearchRequest"
    return "PatchOp" if method == "patch" else kind


def _body(schema: str) -> Json:
    return {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}{schema}"}}}


def _refusal(said: str) -> Json:
    return {"description": said, "content": _body("Error")}


def _schemas(base: str) -> Json:
    users, groups, enterprise = schemas(base)
    user, extension = _resource(users), _object(enterprise["attributes"])
    user["properties"][enterprise["id"]] = extension
    return {"User": user, "Group": _resource(groups), **_MESSAGES}


def _resource(schema: Json) -> Json:
    resource = _object(schema["attributes"])
    resource["properties"] = {
        "schemas": {"type": "array", "items": {"type": "string"}},
        "id": {"type": "string", "readOnly": True},
        "externalId": {"type": "string"},
        "meta": {"type": "object", "readOnly": True},
        **resource["properties"],
    }
    return {**resource, "description": schema.get("description", "")}


def _object(attributes: list[Json]) -> Json:
    required = [each["name"] for each in attributes if each.get("required")]
    properties = {each["name"]: _attribute(each) for each in attributes}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _attribute(attribute: Json) -> Json:
    parts: list[Json] = attribute.get("subAttributes", [])
    said: Json = dict(_TYPES.get(attribute["type"], {"type": "string"})) if not parts else _object(parts)
    if attribute.get("multiValued"):
        said = {"type": "array", "items": said}
    if attribute.get("description"):
        said["description"] = attribute["description"]
    if attribute.get("mutability") == "readOnly":
        said["readOnly"] = True
    return said


_URNS: Json = {"type": "array", "items": {"type": "string"}}
_OBJECTS: Json = {"type": "array", "items": {"type": "object"}}
_MESSAGES: Json = {
    "Document": {"type": "object", "required": ["schemas"], "properties": {"schemas": _URNS}},
    "ListResponse": {
        "type": "object",
        "required": ["schemas"],
        "properties": {
            "schemas": {"type": "array", "items": {"const": _LIST}},
            "totalResults": {"type": "integer"},
            "startIndex": {"type": "integer"},
            "itemsPerPage": {"type": "integer"},
            "nextCursor": {"type": "string"},
            "Resources": _OBJECTS,
        },
    },
    "SearchRequest": {
        "type": "object",
        "required": ["schemas"],
        "properties": {
            "schemas": _URNS,
            **{name: schema for name, (schema, _) in _PARAMETERS.items()},
            "attributes": _URNS,
            "excludedAttributes": _URNS,
        },
    },
    "PatchOp": {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {
            "schemas": _URNS,
            "Operations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["op"],
                    "properties": {
                        "op": {"enum": ["add", "remove", "replace"]},
                        "path": {"type": "string"},
                        "value": {},
                    },
                },
            },
        },
    },
    "BulkRequest": {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {"schemas": _URNS, "failOnErrors": {"type": "integer"}, "Operations": _OBJECTS},
    },
    "BulkResponse": {
        "type": "object",
        "required": ["schemas", "Operations"],
        "properties": {"schemas": _URNS, "Operations": _OBJECTS},
    },
    "Error": {
        "type": "object",
        "required": ["schemas", "status"],
        "properties": {
            "schemas": _URNS,
            "status": {"type": "string"},
            "scimType": {"type": "string"},
            "detail": {"type": "string"},
        },
    },
}
