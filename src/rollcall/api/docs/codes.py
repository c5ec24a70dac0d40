"""Every code that a refusal can carry, read off the classes: for the page at ``/v1/errors`` and for ``docs/errors.md``.

The second is written anew by the command that stands in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from rollcall.errors import Refusal

_ELSEWHERE = ("rollcall.manifest.", "rollcall.cli.", "rollcall.api.oauth.")
"""What is refused on a command line only, or in the shape of an RFC, and so never as a problem."""

_HEAD = """\
# Codes of refusals

Every refusal of `/v1` and of whatever else is not SCIM or `/oauth` is `application/problem+json` (RFC 9457).
Its `code` is one of these and does not change; its `type` leads to the code's line on the page `/v1/errors` of your
installation.
See [the conventions](api.md#refusals) for the other fields.

This page is written by the command below, from the classes that refuse:

```
python -c 'from rollcall.api.docs import codes; print(codes.markdown(), end="")' > docs/errors.md
```

| Code | Status | What is true | What to do |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of refusal."""

    code: str
    status: int
    title: str
    advice: str


def catalogue() -> list[Code]:
    """All codes, by status and name."""
    import_module("rollcall.app")  # brings every module that can refuse a request
    found = {each.code: Code(each.code, each.status, each.title(), each.advice) for each in _own(Refusal)}
    return sorted(found.values(), key=lambda each: (each.status, each.code))


def markdown() -> str:
    """The page for ``docs/``."""
    lines = [f"| `{each.code}` | {each.status} | {each.title} | {each.advice} |\n" for each in catalogue()]
    return _HEAD + "".join(lines)


def _own(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    """The classes beneath *kind* that have a code of their own."""
    for each in kind.__subclasses__():
        if "code" in vars(each) and each.__module__.startswith("rollcall.") and not _is_elsewhere(each):
            yield each
        yield from _own(each)


def _is_elsewhere(kind: type[Refusal]) -> bool:
    return f"{kind.__module__}.".startswith(_ELSEWHERE)
