"""Pairs of keys by which statements are signed: what they are for, making one, and holding one in clear for a while."""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from joserfc.jwk import ECKey, RSAKey

from rollcall.crypto import Sealer


class Algorithm(StrEnum):
    """How something is signed, and so what a key is for."""

    RS256 = "RS256"
    """Logout tokens, and receipts where there is no key for the other."""
    ES256 = "ES256"
    """Receipts."""


SigningPair = RSAKey | ECKey
KEY_BITS = 2048
CURVE = "P-256"

KEEP_OPEN_SECONDS: Final = 60.0

_opened: dict[str, tuple[float, SigningPair]] = {}
_KINDS: Mapping[Algorithm, type[RSAKey] | type[ECKey]] = {Algorithm.RS256: RSAKey, Algorithm.ES256: ECKey}


def new_pair(algorithm: Algorithm) -> SigningPair:
    """A pair of keys whose id does not begin as an option of a command does: somebody has to type it one day."""
    while True:
        pair = RSAKey.generate_key(KEY_BITS) if algorithm is Algorithm.RS256 else ECKey.generate_key(CURVE)
        if not pair.thumbprint().startswith("-"):
            return pair


def opened(sealer: Sealer, algorithm: Algorithm, sealed: str) -> SigningPair:
    """The private key in clear, which this process remembers for a minute: opening RSA's takes 30 ms, signing one."""
    now = time.monotonic()
    if sealed not in _opened or _opened[sealed][0] < now:
        pair = _KINDS[algorithm].import_key(sealer.open(sealed))
        for other in [other for other, (until, _) in _opened.items() if until < now]:
            del _opened[other]
        _opened[sealed] = (now + KEEP_OPEN_SECONDS, pair)
    return _opened[sealed][1]


def forget() -> None:
    """Forget the opened private key, which is otherwise remembered for a minute."""
    _opened.clear()
