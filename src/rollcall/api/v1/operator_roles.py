"""Which calls of the management API the roles of operators' keys open: ``ops`` all, ``support`` what reads, and more.

What right a call needs stands beside the handler that serves it, and which roles have it in `tenancy.operators.RIGHTS`.
"""

from collections.abc import Sequence
from typing import Any

from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from rollcall.errors import Forbidden
from rollcall.tenancy.operators import RIGHTS, OperatorRole, Right
from rollcall.work import Actor

_ALSO = "operators"
"""The option of a handler that names the roles beside ``ops`` to which it is open, whatever its method."""


def needs(right: Right) -> dict[str, Any]:
    """The option of a handler that is open to whoever has this right."""
    return {_ALSO: RIGHTS[right]}


def roles_for(handler: BaseRouteHandler) -> Sequence[OperatorRole]:
    """The roles to which a call is open, ``ops`` first."""
    also = set(handler.opt.get(_ALSO, ()))
    if isinstance(handler, HTTPRouteHandler) and handler.http_methods <= {"GET", "HEAD"}:
        also.add(OperatorRole.SUPPORT)
    return [role for role in OperatorRole if role is OperatorRole.OPS or role in also]


def check_role(actor: Actor, *roles: OperatorRole, to: str = "") -> None:
    """Let an operator's key through that has one of these roles, and whoever is no operator.

    Raises:
        Forbidden: the key's role is another one; the detail names those that are needed.
    """
    if actor.role is None or actor.role in roles:
        return
    makes = f"rollcall keys issue operator --role {roles[0]} --label …"
    msg = (
        f"This needs an operator key of the role {' or '.join(roles)}{to}; the one you sent, “{actor.label}”, has the "
        f"role {actor.role}. Use another key, or have ops make one: {makes}"
    )
    raise Forbidden(msg)
