"""Statements: a receipt checked off-line, with nothing but the public keys."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, RSAKey

from rollcall.proof import pairs
from rollcall.proof.pairs import KEY_BITS, Algorithm, SigningPair
from rollcall.proof.receipts import KIND
from rollcall.proof.signing import FOR_RECEIPTS

LARGEST = 1024 * 1024
_SAID = {
    "iss",
    "jti",
    "tenant",
    "person",
    "reason",
    "request_id",
    "transaction_id",
    "arrived_at",
    "closed_at",
    "closed",
    "completed_at",
    "destinations",
}


_WHITE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What ``trim`` takes away in JavaScript, so that the page and we read the same; ``strip`` alone takes other ones."""

_CHANGED = "The signature does not fit: the {} has been changed after it was signed."


class _Registry(jws.JWSRegistry):
    max_payload_length = LARGEST


class NotVerified(Exception):
    """The receipt proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Public keys by their ids, and those that are believed no more, with when that was said."""

    keys: Mapping[str, SigningPair]
    revoked: Mapping[str, str]


def read_keys(text: bytes) -> Trusted:
    """Public keys by their ids, as ``rollcall receipts keys`` prints them.

    Raises:
        NotVerified: it is no set of keys.
    """
    stated = _object(text, "The keys are no JSON Web Key Set; 'rollcall receipts keys' prints one.")
    listed, revoked = stated.get("keys"), stated.get("revoked", [])
    if not isinstance(listed, list) or not isinstance(revoked, list):
        msg = "The keys are no JSON Web Key Set; 'rollcall receipts keys' prints one."
        raise NotVerified(msg)
    found = [_key(each) for each in cast("list[object]", listed)]
    gone = [_revoked(each) for each in cast("list[object]", revoked)]
    return Trusted(
        keys=dict(each for each in found if each is not None),
        revoked=dict(each for each in gone if each is not None),
    )


def read_statement(text: bytes) -> str:
    """The compact JWS in a file: alone, or inside what ``/v1`` answers for a receipt.

    Raises:
        NotVerified: there is none in it.
    """
    if len(text) > LARGEST:
        msg = "This is no receipt: it is longer than any."
        raise NotVerified(msg)
    stripped = trimmed(text)
    if stripped.startswith("{"):
        stated = _object(stripped.encode(), "This is no receipt: it begins like JSON and is none.").get("statement")
        if not isinstance(stated, str):
            msg = "This receipt is not signed: it is not complete yet, or it is no receipt."
            raise NotVerified(msg)
        return stated
    if not stripped.isascii():
        msg = "This is no receipt: a signed one is a line of letters, digits, dots, - and _."
        raise NotVerified(msg)
    return stripped


def trimmed(text: bytes) -> str:
    """What somebody pasted or saved, without the white space around it that editors and pages leave there."""
    return text.decode(errors="replace").strip(_WHITE)


def verify(statement: str, trusted: Trusted) -> dict[str, Any]:
    """What a signed receipt says, if a trusted key signed it: by the algorithm that the key is for,
    whatever the header asks for.

    Raises:
        NotVerified: it was changed, signed by somebody else, or is no receipt.
    """
    claims = signed(statement, trusted, KIND, "receipt")
    if not claims.keys() >= _SAID:
        msg = "This is no receipt: what was signed does not say what receipts say."
        raise NotVerified(msg)
    return claims


def signed(statement: str, trusted: Trusted, kind: str, what: str) -> dict[str, Any]:
    """What a statement of this *kind* says, if a trusted key signed it; *what* is what people call one.

    Raises:
        NotVerified: it was changed, signed by somebody else, or is of another kind.
    """
    header = _header(statement, what)
    if header.get("alg") not in FOR_RECEIPTS:
        believed = " or ".join(FOR_RECEIPTS)
        msg = f"Not signed as receipts are: the algorithm has to be {believed}, and this says {_shown(header, 'alg')}."
        raise NotVerified(msg)
    if header.get("typ") != kind:
        msg = f"This is no {what}: its type has to be {kind}, and it says {_shown(header, 'typ')}."
        raise NotVerified(msg)
    key = _key_of(header, trusted)
    if not _is_canonical(statement):
        raise NotVerified(_CHANGED.format(what))
    try:
        algorithm = Algorithm.RS256 if isinstance(key, RSAKey) else Algorithm.ES256
        found = jws.deserialize_compact(statement, key, registry=_Registry(algorithms=[algorithm.value]))
    except BadSignatureError:
        raise NotVerified(_CHANGED.format(what)) from None
    except (JoseError, ValueError) as error:
        msg = f"This is no {what}: {error}"
        raise NotVerified(msg) from None
    return _object(found.payload, f"This is no {what}: what was signed is no JSON object.")


def _key_of(header: Mapping[str, Any], trusted: Trusted) -> SigningPair:
    kid = header.get("kid")
    if isinstance(kid, str) and kid in trusted.revoked:
        msg = (
            f"The key {_shown(header, 'kid')} was revoked ({ascii(trusted.revoked[kid])[1:-1][:40]}): others may have "
            "had it, so what it signed proves nothing, whichever day it names."
        )
        raise NotVerified(msg)
    key = trusted.keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        msg = f"The key {_shown(header, 'kid')} is not among those given: fetch them again, or somebody else signed it."
        raise NotVerified(msg)
    return key


def summary(claims: Mapping[str, Any]) -> Sequence[str]:
    """A verified receipt in lines for people; control characters that somebody put into a name are made visible."""
    closed, destinations = claims["closed"], claims["destinations"]
    lines = [
        f"signed by    {claims['iss']}",
        f"person       {claims['person']['user_name']} ({claims['person']['id']})",
        f"tenant       {claims['tenant']['slug']} ({claims['tenant']['id']})",
        f"reason       {claims['reason']}",
        f"request      {claims['request_id']}, arrived {claims['arrived_at']}",
        f"closed       {claims['closed_at']}, {closed['seconds']} s later, by transaction {claims['transaction_id']}",
        *(f"             {each['count']} {each['class']}" for each in closed["credentials"]),
        *(
            f"             {each['count']} {each['class']} restricted to taking away"
            for each in closed.get("restricted", ())
        ),
        f"destinations {_verdict(destinations)}",
        *(
            f"             {each['kind']} “{each['label']}”: {each['state']} after {each['seconds']} s, "
            f"attempts: {each['attempts']}"
            for each in destinations["each"]
        ),
        f"completed    {claims['completed_at']}",
    ]
    return ["".join(char if char.isprintable() else ascii(char)[1:-1] for char in line) for line in lines]


def _verdict(destinations: Mapping[str, Any]) -> str:
    if not destinations["each"]:
        return "none had to be told"
    told = "all told" if destinations["met"] else "NOT all told"
    return f"{told} within {destinations['bound_seconds']} s of the request"


def _header(statement: str, what: str) -> Mapping[str, Any]:
    header, _, rest = statement.partition(".")
    stated = _object(_decoded(header), f"This is no {what}: it does not begin as a signed one does.")
    if rest.count(".") != 1 or not stated.keys() <= {"alg", "typ", "kid"}:
        msg = f"This is no {what}: it is cut off, or says of itself what no {what} does."
        raise NotVerified(msg)
    return stated


def _decoded(part: str) -> bytes:
    """A part as it was signed; nothing for one that is none."""
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _is_canonical(statement: str) -> bool:
    """Whether every part is written as we write it; lenient readers pass over characters that were put in."""
    return all(urlsafe_b64encode(_decoded(part)).rstrip(b"=") == part.encode() for part in statement.split("."))


def _key(stated: object) -> tuple[str, SigningPair] | None:
    """A key that can verify a receipt; others, of whatever kind, are passed over and so believed by nobody."""
    if not isinstance(stated, dict):
        return None
    jwk = cast("dict[str, Any]", stated)
    if not isinstance(jwk.get("kid"), str):
        return None
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "RSA", _:
                key = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
                return (jwk["kid"], key) if key.raw_value.key_size >= KEY_BITS else None
            case "EC", pairs.CURVE:
                return jwk["kid"], ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
            case _:
                return None
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _revoked(stated: object) -> tuple[str, str] | None:
    if not isinstance(stated, dict):
        return None
    said = cast("dict[str, Any]", stated)
    return (said["kid"], str(said.get("revoked_at"))) if isinstance(said.get("kid"), str) else None


def _object(text: bytes, otherwise: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        raise NotVerified(otherwise) from None
    if not isinstance(found, dict):
        raise NotVerified(otherwise)
    return cast("dict[str, Any]", found)


def _shown(header: Mapping[str, Any], name: str) -> str:
    return ascii(header.get(name))[:100]
