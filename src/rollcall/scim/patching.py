"""Carrying out a patch on a person: scim2-models does it, and what it would pass over or take too long is refused."""

from collections.abc import Iterator
from typing import Final, cast

from pydantic import ValidationError
from scim2_models import InvalidValueException, PatchOp, PatchOperation, Path

from rollcall.scim.errors import InvalidValue, NoTarget, SCIMException, from_validation, shown
from rollcall.scim.filters import count_terms
from rollcall.scim.profiles import POLICY
from rollcall.scim.resources import User

MOST_WORK: Final = 40_000
"""Comparisons that one patch may cost, at about ten microseconds each."""

_EACH_ENTRY: Final = 5
"""What an operation on entries costs for each of them before its filter compares anything: copies, mostly."""


def apply(patch: PatchOp[User], user: User) -> None:
    """Carry out every operation on *user*, in order.

    If one is refused, *user* is spoilt: work on a copy (`documents.patched` does).

    Raises:
        SCIMException: an operation can't be carried out, or would change nothing though it says it does.
    """
    _check_work(patch, user)
    try:
        for step in _steps(patch):
            _check_fans_out(step, user)
            step.patch(user, scim_policy=POLICY)
    except ValidationError as exc:
        raise from_validation(exc) from exc
    except InvalidValueException as exc:
        raise _told(exc) from exc


def _check_work(patch: PatchOp[User], user: User) -> None:
    """Refuse what would occupy the process for seconds: many filters over long lists."""
    operations = patch.operations or []
    entries = sum(len(cast("list[object]", value)) for _, value in user if isinstance(value, list))
    entries += sum(_listed(operation.value) for operation in operations)
    work = entries * sum(_weight(operation) for operation in operations)
    if work > MOST_WORK:
        raise InvalidValue(detail="Operations: together they compare too many values; send several requests")


def _listed(value: object) -> int:
    if isinstance(value, list):
        return len(cast("list[object]", value))
    if isinstance(value, dict):
        return sum(_listed(part) for part in cast("dict[str, object]", value).values())
    return 0


def _weight(operation: PatchOperation[User]) -> int:
    """What an operation costs for each entry there is; nothing, unless it is about entries."""
    if not operation.path:
        return _EACH_ENTRY if _listed(operation.value) else 0
    binding = Path[User](operation.path).resolve()
    if binding is None or not binding.is_multivalued:
        return 0
    removed = _listed(operation.value) if operation.op == PatchOperation.Op.remove else 0
    return _EACH_ENTRY + removed + count_terms(operation.path)


def _steps(patch: PatchOp[User]) -> Iterator[PatchOp[User]]:
    """All operations at once, unless one has to be judged by what the earlier ones left."""
    operations = patch.operations or []
    if not any(_fans_out(operation) for operation in operations):
        yield patch
        return
    for operation in operations:
        yield PatchOp[User].model_construct(operations=[operation])


def _fans_out(operation: PatchOperation[User]) -> bool:
    """Whether it writes a sub-attribute of every entry, as with the path `emails.value`."""
    if operation.op == PatchOperation.Op.remove or not operation.path:
        return False
    path = cast("Path[User]", Path[User](operation.path))
    if "." not in path.attr or path.value_filter is not None:
        return False
    binding = path.resolve()
    return binding is not None and binding.is_multivalued


def _check_fans_out(step: PatchOp[User], user: User) -> None:
    """Refuse a write to all entries when there are none: the library would skip it without a word."""
    for operation in step.operations or []:
        if _fans_out(operation) and not Path[User](str(operation.path)).get(user):
            text = str(operation.path)
            raise NoTarget(path=text, detail=f"{shown(text)}: there is no entry to write to")


def _told(exc: InvalidValueException) -> SCIMException:
    """The library puts pydantic's own text in some details; ours names the attribute and quotes nothing."""
    if isinstance(exc.__cause__, ValidationError):
        return from_validation(exc.__cause__)
    return InvalidValue(attribute=exc.attribute, detail=exc.detail)
