"""Whether a body says that somebody leaves: the last `active` decides, in every shape that providers send it."""

from typing import Any

import pytest

from factories import PATCH_OP, USER
from rollcall.scim.intent import says_that_somebody_leaves


def operations(*each: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": [*each]}


def at(path: str | None, value: object, op: str = "replace") -> dict[str, Any]:
    return {"op": op, "value": value} if path is None else {"op": op, "path": path, "value": value}


@pytest.mark.parametrize(
    "body",
    [
        {"schemas": [USER], "userName": "maria", "active": False},
        {"userName": 7, "Active": "False"},
        {f"{USER}:active": False},
        {USER: {"active": False}},
        operations(at("active", False)),
        operations(at("Active", "false", "Replace")),
        operations(at(f"{USER}:active", [{"value": False}])),
        operations(at(None, {"active": False, "title": 7})),
        operations(at("active", True), at("active", False)),
        operations(at("active", False), at("nobodys", 7), {"op": "remove", "path": "title"}),
        operations(at("active", False), at("active", "perhaps")),
        {"operations": [7, None, at("ACTIVE", False, "ADD")]},
    ],
)
def test_it_does(body: dict[str, Any]) -> None:
    """Somebody leaves by these."""
    assert says_that_somebody_leaves(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userName": "maria"},
        {"active": True},
        {"active": 0},
        {"active": None},
        operations(),
        operations(at("title", False)),
        operations(at("active", False), at("active", True)),
        operations(at("active", False), at(None, {"active": "True"})),
        operations({"op": "remove", "path": "active"}),
        operations({"op": "remove", "path": "active", "value": False}),
        operations(at("active.value", False)),
        {"Operations": "active"},
    ],
)
def test_it_does_not(body: dict[str, Any]) -> None:
    """And nobody by these."""
    assert not says_that_somebody_leaves(body)
