"""What is wrong with fields and parameters, in words without the vocabulary of the libraries that found it."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from rollcall.errors import Invalid

_IN_PLAIN_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"^'data'$", "is missing; send JSON with Content-Type: application/json"),
        (r"^Value error, ", ""),
        (r"^Field required$", "is missing"),
        (r"^Input should be a valid dictionary or instance of \w+$", "has to be a JSON object"),
        (r"^Input should be a valid dictionary$", "has to be a JSON object"),
        (r"^Input should be a valid list$", "has to be a list"),
        (r"^Input should be a valid string$", "has to be text"),
        (r"^Input should be a valid boolean$", "has to be true or false"),
        (r"^Input should be a valid integer$", "has to be a whole number"),
        (r"^Expected `object`, got `\w+`$", "has to be a JSON object"),
        (r"^Input should have timezone info$", "needs a time zone, as in 2026-01-31T12:00:00Z"),
        (r"^Invalid RFC3339 encoded datetime$", "has to be a moment, as 2026-01-31T12:00:00Z is one"),
        (r"^Invalid UUID$", "has to be an id, as 0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f is one"),
        (r"^Invalid enum value '(.*)'$", r'can\'t be "\1"'),
        (r"^Expected `int`, got `\w+`$", "has to be a whole number"),
        (r"^Expected `bool`, got `\w+`$", "has to be true or false"),
        (r"^Expected `int` >= (\d+)$", r"has to be at least \1"),
        (r"^Expected `int` <= (\d+)$", r"has to be at most \1"),
        (r"^Input should be less than or equal to (-?\d+)$", r"has to be at most \1"),
        (r"^Input should be greater than or equal to (-?\d+)$", r"has to be at least \1"),
        (r"^(?:Input|String|List|Value) should (have|be) ", r"has to \1 "),
    )
)
"""What the two validators say, and what we say instead; anything else is passed on as it is."""


MOST_SAID = 10
"""Fields of one body that are named; how many others are wrong is said in a number."""


def said(found: Sequence[tuple[str, str]], *, others: int = 0, or_else: str = "can't be read") -> Invalid:
    """A refusal that says of each field what is wrong with it; the first is the one at fault."""
    if not found:
        return Invalid(or_else)
    others += max(len(found) - MOST_SAID, 0)
    each = [f"{where or 'body'}: {in_plain_words(message)}" for where, message in found[:MOST_SAID]]
    if others:
        each.append(f"and {others} more")
    return Invalid("; ".join(each), param=found[0][0] or "body")


def in_plain_words(message: str) -> str:
    """What a validator found, as we say it."""
    for pattern, words in _IN_PLAIN_WORDS:
        message = pattern.sub(words, message)
    return message


def unknown(name: str, known: Collection[str], *, what: str) -> str:
    """That there is no such field or parameter, with the one that was probably meant or all there are."""
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"there is no such {what}; did you mean {near[0]}?"
    return f"there is no such {what}; there are: {', '.join(sorted(known))}" if known else f"there are no {what}s here"
