"""The OpenAPI document: what the framework reads off the handlers, completed."""

import inspect
from collections.abc import Iterator
from typing import Any, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from rollcall.api.docs import words
from rollcall.api.docs.webhooks import webhooks
from rollcall.api.errors import MEDIA_TYPE
from rollcall.api.v1.bodies import Body
from rollcall.api.v1.callers import OF, Guard, call_name
from rollcall.api.v1.operator_roles import roles_for
from rollcall.directory.rules import RoleRule

Json = dict[str, Any]

_REF = "#/components/schemas/"


def _json(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"{_REF}{schema}"}}}


def described(app: Litestar) -> Json:
    """The document of *app*. Every call in it has a summary, a description, its keys and its refusals."""
    document: Json = _plain(app.openapi_schema.to_schema())
    document["components"]["schemas"] |= _further_schemas() | _bodies(document["components"]["schemas"])
    document["components"]["responses"] = {status: _refusal(status, said) for status, said in words.REFUSALS.items()}
    for name, example in words.EXAMPLES.items():
        if name in document["components"]["schemas"]:
            document["components"]["schemas"][name]["examples"] = [example]
    for path, method, handler in described_handlers(app):
        _complete(document["paths"][path][method], path, method, handler)
    _say_what_is_a_rule(document)
    document["webhooks"] = webhooks()
    return document


def described_handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Every handler that belongs in the document, with its path and method as they stand there."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if handler.resolve_include_in_schema():
                    yield route.path_format, method.lower(), handler


def _complete(operation: Json, path: str, method: str, handler: HTTPRouteHandler) -> None:
    operation["summary"] = call_name(handler).replace("_", " ").capitalize()
    operation["description"] = _said_of(handler)
    for parameter in operation.get("parameters", []):
        _complete_parameter(parameter)
    if "requestBody" in operation:
        _complete_body(operation["requestBody"])
    operation["responses"] = _answers(operation) | _refusals(path, method)
    if any(parameter["in"] == "header" for parameter in operation.get("parameters", [])):  # an Idempotency-Key
        operation["responses"] |= _refused_with("422", "429")
    if path.startswith("/oauth/"):
        _complete_oauth(operation, call_name(handler))
    else:
        operation["security"] = [{key: []} for key in _keys(handler)]


def _said_of(handler: HTTPRouteHandler) -> str:
    said = (inspect.getdoc(handler.fn) or "").replace("``", "`")
    if "operator" in _keys(handler):
        roles = " and ".join(f"`{role}`" for role in roles_for(handler))
        said += f"\n\nOf operators' keys, those of the role {roles}."
    return said + words.OF.get(handler.opt.get(OF, ""), "")


def _keys(handler: HTTPRouteHandler) -> tuple[str, ...]:
    """The kinds of keys that a handler's guard lets through; none if no guard is one of ours."""
    guards = cast("list[Guard]", handler.resolve_guards())  # pyright: ignore[reportUnknownMemberType]  # of connections of any kind
    return next((keys for guard, keys in words.KEYS_BEHIND.items() if guard in guards), ())


_OAUTH: dict[str, tuple[Json, Json]] = {
    "introspect_token": (words.FORM, _json("Introspection")),
    "introspect_batch": ({"required": True, "content": _json("Credentials")}, _json("Introspections")),
    "revoke_credential": (words.FORM, {}),
}
"""What ``/oauth`` is sent and answers; it reads and writes bytes by itself, so nothing can be read off its types."""


def _complete_oauth(operation: Json, name: str) -> None:
    operation["security"] = [{"application": []}]
    operation["requestBody"], operation["responses"]["200"]["content"] = _OAUTH[name]
    for status in ("404", "409"):
        del operation["responses"][status]
    for status, said in words.REFUSALS.items():
        if status in operation["responses"]:
            operation["responses"][status] = {"description": said, "content": _json("OAuthError")}


def _complete_parameter(parameter: Json) -> None:
    """Say what it means; one that may be left out is left out, and never sent as null."""
    parameter.setdefault("description", words.PARAMETERS.get(parameter["name"], ""))
    schema = parameter["schema"]
    if isinstance(schema.get("type"), list):
        schema["type"] = next(each for each in schema["type"] if each != "null")
    if "enum" in schema:
        schema["enum"] = [each for each in schema["enum"] if each is not None]


def _complete_body(body: Json) -> None:
    """A body that may be null may be left out."""
    for content in body["content"].values():
        choices = content["schema"].get("oneOf", [])
        if len(choices) == 2 and {"type": "null"} in choices:
            content["schema"] = next(choice for choice in choices if choice != {"type": "null"})
            body["required"] = False


def _answers(operation: Json) -> Json:
    """What the framework read off the handler, less the refusals it thinks of: ours look otherwise."""
    return {
        status: {**answer, "description": words.ANSWERS.get(status, answer["description"])}
        for status, answer in operation["responses"].items()
        if status < "400"
    }


def _refusals(path: str, method: str) -> Json:
    statuses = {"400", "401", "403", "500", "503"}
    if "{" in path or method != "get":
        statuses.add("404")
    if method != "get":
        statuses |= {"409", "413"}
    if path.endswith("/sign-in/begin"):
        statuses.add("429")
    return _refused_with(*sorted(statuses))


def _refused_with(*statuses: str) -> Json:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _refusal(status: str, said: str) -> Json:
    answer: Json = {"description": said, "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}}}}
    if status in ("429", "503"):
        wait = {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}}
        answer["headers"] = {"Retry-After": wait}
    return answer


def _bodies(named: Json) -> Json:
    """The bodies as pydantic describes them: what it will not take stands there too, which the framework leaves out."""
    found: Json = {}
    for kind in Body.__subclasses__():
        if kind.__name__ in named:
            schema = _untitled(_plain(kind.model_json_schema(ref_template=_REF + "{model}")))
            found |= schema.pop("$defs", {})
            found[kind.__name__] = {"title": kind.__name__, **schema}
    return found


def _untitled(node: Any) -> Any:
    """*node* without the titles that pydantic makes of names, and without defaults that say nothing."""
    if isinstance(node, list):
        return [_untitled(each) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    given = cast("Json", node)
    silent = {"title"} | ({"default"} if given.get("default", 0) is None else set[str]())
    return {
        key: {name: _untitled(each) for name, each in value.items()} if key == "properties" else _untitled(value)
        for key, value in given.items()
        if key not in silent
    }


def _further_schemas() -> Json:
    """What no handler's types name: refusals, introspection, and the role rule, which is read behind the handler."""
    rule: Json = RoleRule.model_json_schema(ref_template=_REF + "{model}")
    parts = rule.pop("$defs", {})
    introspection = {
        "Introspection": words.INTROSPECTION_ANSWER,
        "Credentials": words.MANY,
        "Introspections": words.MANY_ANSWERS,
    }
    return {"Problem": words.PROBLEM, "OAuthError": words.OAUTH_ERROR, **introspection, "RoleRule": rule, **parts}


def _say_what_is_a_rule(document: Json) -> None:
    rule = {"$ref": f"{_REF}RoleRule"}
    document["components"]["schemas"]["NewTenant"]["properties"]["role_rule"] = {"oneOf": [rule, {"type": "null"}]}
    address = "/v1/tenants/{tenant}/role-rule"
    for operation in (document["paths"][address]["put"], document["paths"][f"{address}/preview"]["post"]):
        operation["requestBody"]["content"]["application/json"]["schema"] = rule


_DEFAULTS = (("deprecated", False), ("allowEmptyValue", False), ("allowReserved", False))


def _plain(node: Any) -> Any:
    """*node* said more shortly: "or null" as a second type, whole numbers as such, nothing that is only a default."""
    if isinstance(node, list):
        return [_plain(each) for each in cast("list[Any]", node)]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    given = cast("Json", node)
    said: Json = {key: _plain(value) for key, value in given.items() if (key, value) not in _DEFAULTS}
    key = "anyOf" if "anyOf" in said else "oneOf"
    choices: list[Json] = said.get(key, [])
    if len(choices) == 2 and choices[1] == {"type": "null"} and isinstance(choices[0].get("type"), str):
        del said[key]
        if "enum" in choices[0]:
            choices[0]["enum"].append(None)
        return {**choices[0], **said, "type": [choices[0]["type"], "null"]}
    return said
