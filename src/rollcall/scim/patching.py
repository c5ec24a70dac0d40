"""Carrying out a patch on a person: scim2-models does it, and what it would pass over or take too long is refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from pydantic import ValidationError
from scim2_models import InvalidValueException, PatchOp, PatchOperation, Path, ScimPolicy
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from rollcall.scim.edits import Edit
from rollcall.scim.errors import InvalidValue, Mutability, NoTarget, SCIMException, from_validation, shown
from rollcall.scim.filters import count_terms
from rollcall.scim.removing import Selecting, Wanted, remove_listed, remove_roles, respelled
from rollcall.scim.resources import USER_ATTRIBUTES, User
from rollcall.scim.role_names import Spelling
from rollcall.scim.values import Claim, Deviation, Reading, Unknown

MOST_WORK: Final = 40_000
"""Comparisons that one patch may cost, at about ten microseconds each."""

_EACH_ENTRY: Final = 5
"""What an operation on entries costs for each of them before its filter compares anything: copies, mostly."""

_DESCRIBING: Final = frozenset({"type", "primary"})
"""Parts that say which of several an entry is; what it holds is another matter."""

POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.forbid,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.forbid,
)
"""What scim2-models is told of the table of deviations; the rest has been rewritten before it reads anything."""

_MAKING_ENTRIES: Final = POLICY.model_copy(update={"unmatched_path_filter": ScimPolicy.UnmatchedPathFilter.create})


PATCH_SCHEMA: Final = str(PatchOp.__schema__)

# The library makes a class anew, or looks for it, each time it is named.
_Operation, Message = PatchOperation[User], PatchOp[User]


@dataclass(frozen=True, slots=True)
class Patch:
    """The operations of a PATCH as they have been read."""

    given: Sequence[Mapping[str, object]]
    """Each by the standard's names: `op`, `path` and `value`."""
    edits: tuple[Edit, ...] | None = None
    """What the operations do to a document, if each can be carried out on one."""
    judged: PatchOp[User] | None = None
    """The message, if scim2-models has judged it; of edits it would check nothing that has not been checked."""
    claims: tuple[Claim, ...] = ()
    """What it says of attributes that are ours to say; it may repeat what is so."""
    strict: bool = False
    """Whether the tenant takes the standard to the letter."""

    @property
    def message(self) -> PatchOp[User]:
        """The operations as scim2-models carries them out."""
        if self.judged is not None:
            return self.judged
        built = [
            _Operation.model_construct(set(operation), **{**operation, "op": PatchOperation.Op(operation["op"])})
            for operation in self.given
        ]
        return Message.model_construct(schemas=[PATCH_SCHEMA], operations=built)

    @property
    def operations(self) -> list[PatchOperation[User]]:
        return self.message.operations or []


def check_work(patch: Patch, document: Mapping[str, object]) -> None:
    """Refuse what would occupy the process for seconds: many filters over long lists.

    Raises:
        InvalidValue: *patch* is that, on *document*.
    """
    entries = sum(len(cast("list[object]", value)) for value in document.values() if isinstance(value, list))
    entries += sum(_listed(operation.get("value")) for operation in patch.given)
    # Nearly every patch ends here: a path has no more terms than spaces, and each is weighed only if it may matter.
    most = sum(_EACH_ENTRY + 1 + _listed(each.get("value")) + str(each.get("path")).count(" ") for each in patch.given)
    if entries * most > MOST_WORK and entries * sum(map(_weight, patch.given)) > MOST_WORK:
        raise InvalidValue(detail="Operations: together they compare too many values; send several requests")


def apply(patch: Patch, user: User, *, spelling: Spelling | None = None) -> tuple[str, ...]:
    """Carry out every operation on *user*, in order; returns the deviations that only show when that is done.

    *spelling* is how the tenant's role rule reads a name, by which roles are found.
    If one is refused, *user* is spoilt: work on a copy (`documents.work_out` does).

    Raises:
        SCIMException: an operation can't be carried out, or would change nothing though it says it does.
    """
    reading = Reading(Unknown.REFUSED_STRICTLY if patch.strict else Unknown.REFUSED)
    try:
        for step in _steps(patch):
            if isinstance(step, PatchOp):
                step.patch(user, scim_policy=POLICY)
            else:
                _carry_out(step, Selecting(user, spelling, reading))
    except ValidationError as exc:
        raise from_validation(exc) from exc
    except InvalidValueException as exc:
        raise _told(exc) from exc
    return reading.deviations


def check_claims(patch: Patch, own: Mapping[str, object]) -> None:
    """Refuse what a patch says of attributes that are ours to say, unless it is so; *own* holds what is.

    Raises:
        Mutability: it is not.
    """
    for claim in patch.claims:
        if not _repeats(own.get(claim.attribute), claim.value):
            name = claim.attribute
            raise Mutability(attribute=name, detail=f"{name}: it is read-only; leave it out, or repeat what it is")


def _repeats(held: object, said: object) -> bool:
    """Whether *said* is so; of an object it may leave parts out."""
    if isinstance(said, dict) and isinstance(held, dict):
        facts = cast("dict[str, object]", held)
        return all(_repeats(facts.get(name), part) for name, part in cast("dict[str, object]", said).items())
    if isinstance(said, list) and isinstance(held, list):
        ours, theirs = cast("list[object]", held), cast("list[object]", said)
        return len(ours) == len(theirs) and all(map(_repeats, ours, theirs))
    return held == said


def _listed(value: object) -> int:
    if isinstance(value, list):
        return len(cast("list[object]", value))
    if isinstance(value, dict):
        return sum(_listed(part) for part in cast("dict[str, object]", value).values())
    return 0


def _weight(operation: Mapping[str, object]) -> int:
    """What an operation costs for each entry there is; nothing, unless it is about entries."""
    listed, path = _listed(operation.get("value")), operation.get("path")
    if not path:
        return _EACH_ENTRY if listed else 0
    binding = Path[User](str(path)).resolve()
    if binding is None or not binding.is_multivalued:
        return 0
    return _EACH_ENTRY + (listed if operation["op"] == "remove" else 0) + count_terms(str(path))


def _steps(patch: Patch) -> Iterator[PatchOp[User] | PatchOperation[User]]:
    """The operations, as many together as can be; one that has to be judged by what the earlier ones left is alone."""
    together: list[PatchOperation[User]] = []
    for operation in patch.operations:
        if not _stands_alone(operation):
            together.append(operation)
            continue
        if together:
            yield _of(*together)
            together = []
        yield operation
    if together:
        yield _of(*together)


def _of(*operations: PatchOperation[User]) -> PatchOp[User]:
    return PatchOp[User].model_construct(operations=list(operations))


def _stands_alone(operation: PatchOperation[User]) -> bool:
    """Whether it selects entries, or writes a part of every entry as with the path `emails.value`."""
    if not operation.path:
        return False
    path = cast("Path[User]", Path[User](operation.path))
    return path.value_filter is not None or _is_listed_removal(operation) or _fans_out(operation, path)


def _is_listed_removal(operation: PatchOperation[User]) -> bool:
    return operation.op == PatchOperation.Op.remove and isinstance(operation.value, list)


def _fans_out(operation: PatchOperation[User], path: Path[User]) -> bool:
    if operation.op == PatchOperation.Op.remove or "." not in path.attr or path.value_filter is not None:
        return False
    binding = path.resolve()
    return binding is not None and binding.is_multivalued


def _carry_out(operation: PatchOperation[User], selecting: Selecting) -> None:
    """Carry out an operation on entries."""
    user, path = selecting.user, cast("Path[User]", Path[User](operation.path or ""))
    if _is_listed_removal(operation):
        left = remove_listed(selecting, USER_ATTRIBUTES[path.attr.lower()], cast("list[Wanted]", operation.value))
        if left:
            _of(operation.model_copy(update={"value": left})).patch(user, scim_policy=POLICY)
        return
    policy = POLICY
    if path.value_filter is None:
        _check_fans_out(path, user)
    elif operation.op == PatchOperation.Op.remove and path.attr.lower() == "roles":
        remove_roles(selecting, path)
        return
    else:
        path = respelled(selecting, path)
        if operation.op != PatchOperation.Op.remove:
            policy = _policy(path, selecting)
    _of(operation.model_copy(update={"path": path})).patch(user, scim_policy=policy)


def _policy(path: Path[User], selecting: Selecting) -> ScimPolicy:
    """How a write is carried out whose filter may match nothing.

    RFC 7644 §3.5.2.3 has noTarget for that. Where the filter only describes an entry, as Entra's
    `emails[type eq "work"]` does, one is made; by what an entry holds none is ever made, as it might be a role.
    """
    assert path.value_filter is not None
    attribute = path.attr.partition(".")[0]
    entries = Path[User](f"{attribute}[{path.value_filter}]")
    if selecting.reading.strict or not _describes(path.value_filter) or entries.get(selecting.user) is not None:
        return POLICY
    selecting.reading.note(Deviation.UNMATCHED_FILTER, attribute)
    return _MAKING_ENTRIES


def _describes(selection: FilterNode) -> bool:
    """Whether a filter is nothing but equality on what describes an entry."""
    terms = (selection,)
    if isinstance(selection, LogicalExpr) and selection.op is LogicalOperator.and_:
        terms = selection.terms
    return all(
        isinstance(term, Comparison) and term.op is CompareOperator.eq and str(term.attr_path).lower() in _DESCRIBING
        for term in terms
    )


def _check_fans_out(path: Path[User], user: User) -> None:
    """Refuse a write to all entries when there are none: the library would skip it without a word."""
    if not path.get(user):
        raise NoTarget(path=str(path), detail=f"{shown(str(path))}: there is no entry to write to")


def _told(exc: InvalidValueException) -> SCIMException:
    """The library puts pydantic's own text in some details; ours names the attribute and quotes nothing."""
    if isinstance(exc.__cause__, ValidationError):
        return from_validation(exc.__cause__)
    return InvalidValue(attribute=exc.attribute, detail=exc.detail)
