"""What stands in the ``Authorization`` header of a SCIM call: the token in it, or what is wrong and what to change.

Nothing here asks the database, so no answer can tell whether a token of any kind is live: only what the text itself
shows is said, and none of the text is repeated.
"""

import re

from rollcall.crypto import TOKEN_SHAPE, TokenKind, TokenText, length_of, read_token
from rollcall.scim.errors import Unauthorized

_PREFIX = "rc_scim_"
_SEND = "Send 'Authorization: Bearer rc_scim_…'"
_FIELD = "the provider's field for the token (providers call it Secret Token, API Token, Bearer Token or Authorization)"

_FOREIGN_KINDS = {
    TokenKind.OPERATOR: "an operator's key (rc_op_…)",
    TokenKind.APPLICATION: "an application key (rc_app_…)",
    TokenKind.PERSONAL: "a person's own token (rc_pat_…)",
    TokenKind.SESSION: "a session (rc_ses_…)",
    TokenKind.OPERATOR_SESSION: "an operator's session (rc_ops_…)",
}
_KIND = re.compile(r"rc_([a-z]+)_")
_OTHER_THINGS = (
    (re.compile(r"whsec_"), "the secret of a webhook (whsec_…)"),
    (re.compile(r"(?:[0-9A-Z]{5}-?){4}\Z"), "a code for signing in to the console"),
    (re.compile(r"eyJ"), "a JSON Web Token (eyJ…), which the provider has made or got elsewhere"),
)
_QUOTES = "\"'`“”„\u2018\u2019«»<>"
_SCHEMES = ("Basic", "Digest", "Negotiate", "NTLM", "OAuth", "Token", "ApiKey", "SSWS", "AWS4-HMAC-SHA256")


def read_scim_token(authorization: str | None) -> TokenText:
    """The SCIM token that a caller presents.

    Raises:
        Unauthorized: there is none, or it can't be one; the detail says what is there instead.
    """
    if authorization is None:
        raise Unauthorized(
            detail=f"The request came without an Authorization header. {_SEND}: put the token into {_FIELD}. "
            "If it is there, something in between (a proxy) takes the header away."
        )
    scheme, _, rest = authorization.strip().partition(" ")
    text = rest.strip()
    if scheme.lower() != "bearer":
        raise Unauthorized(detail=_without_bearer(authorization.strip(), scheme))
    token = read_token(text)
    if token is None or token.kind is not TokenKind.SCIM:
        raise Unauthorized(detail=_no_scim_token(text))
    return token


def _without_bearer(authorization: str, scheme: str) -> str:
    if not authorization:
        return f"The Authorization header is empty. {_SEND}: put the token into {_FIELD}."
    if scheme.lower().startswith("bearer") or authorization.lower().startswith("authorization"):
        return (
            f"The Authorization header has to be the word Bearer, one space and the token, and nothing else. {_SEND}."
        )
    named = next((each for each in _SCHEMES if each.lower() == scheme.lower()), None)
    if named is not None:
        return (
            f"The Authorization header says '{named}', and SCIM here takes a bearer token. {_SEND}: "
            "choose the bearer token (HTTP header, OAuth bearer token) as the way the provider authenticates, not a "
            "user name and password."
        )
    stripped = authorization.strip(_QUOTES)
    if stripped.startswith(_PREFIX):
        return (
            "The Authorization header holds a token without the word Bearer before it. "
            "This provider sends its field as it is: write 'Bearer ', with one space, in front of the token there."
        )
    if (kind := _foreign_kind(stripped)) is not None:
        return _foreign(kind)
    return f"The Authorization header does not begin with the word Bearer. {_SEND}: put the token into {_FIELD}."


def _no_scim_token(text: str) -> str:
    """What is wrong with a text that came after ``Bearer``."""
    if not text:
        return f"The Authorization header says Bearer, and no token follows. Put the token into {_FIELD}, and save it."
    if (again := _said_again(text)) is not None:
        return again
    bare = text.strip(_QUOTES + " \t")
    if (kind := _foreign_kind(bare)) is not None:
        return _foreign(kind)
    thing = next((what for pattern, what in _OTHER_THINGS if pattern.match(bare)), None)
    return _spoilt(text) if thing is None else _other_thing(thing)


def _said_again(text: str) -> str | None:
    first = text.partition(" ")[0].rstrip(":").lower()
    if first == "bearer":
        return (
            "The word Bearer comes twice: the provider adds it by itself. Put the token alone into its field, "
            "beginning with rc_scim_ and without the word Bearer."
        )
    if first == "authorization":
        return (
            "The provider adds 'Authorization: Bearer' by itself, and its field holds the whole line. Put the token "
            "alone into it, beginning with rc_scim_."
        )
    return None


def _foreign_kind(text: str) -> TokenKind | None:
    shape = _KIND.match(text)
    return next((kind for kind in _FOREIGN_KINDS if shape is not None and shape[1] == kind.value), None)


def _foreign(kind: TokenKind) -> str:
    return _other_thing(_FOREIGN_KINDS[kind]) + " Whoever runs the provider has seen this one: have it replaced."


def _other_thing(what: str) -> str:
    return (
        f"This is {what}, not a SCIM token, and opens nothing here. Put a token that begins with rc_scim_ into "
        "the provider: an admin of the tenant or the vendor's support issues one."
    )


def _spoilt(text: str) -> str:
    """What is wrong with a text that should be a SCIM token, as far as the text shows it."""
    if (around := _around(text)) is not None:
        return around
    bare = text.strip(_QUOTES + " \t")
    if not bare.lower().startswith(_PREFIX):
        return (
            "What follows Bearer is not a SCIM token: one begins with rc_scim_. If this one did, its beginning was "
            "left out: copy it again, whole."
        )
    if "*" in bare or "…" in bare or "..." in bare:
        return (
            "This is a SCIM token as lists and logs show it, with its secret hidden. The whole token is shown once, "
            "when it is issued: put that one into the provider, or issue a new one."
        )
    whole = length_of(TokenKind.SCIM)
    if len(bare) < whole:
        return (
            f"This SCIM token is cut off: {_characters(whole - len(bare))} of {whole} missing. Copy it again, whole; "
            "some fields and spreadsheets shorten what is pasted into them."
        )
    if len(bare) > whole:
        return (
            f"This SCIM token is {_characters(len(bare) - whole, missing=False)} too long; one has {whole}. "
            "Empty the field, and paste the token once."
        )
    return (
        "This SCIM token is mistyped: it has the right length, and its last seven characters don't fit the others. "
        "Copy it again; don't type it."
    )


def _around(text: str) -> str | None:
    """What stands around or inside a token that would be a good one without it."""
    if _is_token(text.strip(_QUOTES + " \t")):
        return "There are quotation marks around the token. Take them out of the provider's field."
    if _is_token("".join(text.replace("\\n", "").replace("%0A", "").replace("%0a", "").split())):
        return "There is a space or a line break in the token, or after it. Take it out of the provider's field."
    found = TOKEN_SHAPE.search(text)
    if found is not None and _is_token(found[0]):
        before, after = found.start(), len(text) - found.end()
        return (
            f"There is something around the token: {_characters(before, missing=False)} before it and {after} after "
            "it, perhaps invisible ones. Empty the provider's field, and paste the token alone."
        )
    if _is_token(text.lower()):
        return "The token was changed to capital letters. Copy it again as it was shown; it has none."
    return None


def _is_token(text: str) -> bool:
    token = read_token(text)
    return token is not None and token.kind is TokenKind.SCIM


def _characters(number: int, *, missing: bool = True) -> str:
    counted = "1 character" if number == 1 else f"{number} characters"
    return counted if not missing else f"{counted} {'is' if number == 1 else 'are'}"
