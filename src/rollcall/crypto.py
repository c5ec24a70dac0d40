"""Secrets: how a token is written, read and kept, and how a secret that must be read again is sealed.

A token is ``rc_<kind>_<tenant>_<id>_<secret>_<check>`` in lower-case base 36. The tenant and the id only route the
look-up; authority comes from the row whose digest fits. The secret has 256 random bits, so a plain SHA-256 digest of
the whole token is the right thing to keep. The check (CRC-32) lets a mistyped token be told from a revoked one without
asking the database, and lets scanners recognise a leaked one.

What can't be a digest, because it is needed again in clear (a webhook's secret, a signing key), is sealed under the
keys of ``ROLLCALL_SECRET_KEYS``, which the database never holds. What only one caller may read again is sealed under a
key derived from the token they present, which is kept nowhere.
"""

import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import digest as hmac_digest
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rollcall.settings import Settings

_DIGITS = string.digits + string.ascii_lowercase
_ID_WIDTH, _SECRET_WIDTH, _CHECK_WIDTH = 25, 50, 7
TOKEN_SHAPE = re.compile(
    rf"rc_([a-z]+)_([0-9a-z]{{{_ID_WIDTH}}})_([0-9a-z]{{{_ID_WIDTH}}})_[0-9a-z]{{{_SECRET_WIDTH}}}"
    rf"_([0-9a-z]{{{_CHECK_WIDTH}}})"
)
"""How a token is written; that it has this shape says nothing about whether it is one."""
NOBODY = UUID(int=0)
"""Stands in a token's tenant part when the key belongs to the installation and to no tenant."""


class TokenKind(StrEnum):
    """What a token opens, readable in its prefix."""

    SCIM = "scim"
    PERSONAL = "pat"
    SESSION = "ses"
    OPERATOR = "op"
    APPLICATION = "app"
    OPERATOR_SESSION = "ops"


_KINDS = {kind.value: kind for kind in TokenKind}


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token as somebody presented it: where to look, and the digest to compare."""

    kind: TokenKind
    tenant_id: UUID
    id: UUID
    digest: bytes


def _base36(number: int, width: int) -> str:
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)).rjust(width, "0")


def digest(token: str) -> bytes:
    """What is kept of a token: SHA-256 of all of it."""
    return sha256(token.encode()).digest()


def new_token(kind: TokenKind, tenant_id: UUID, token_id: UUID) -> str:
    """Make a token with a fresh secret. It exists in clear only in this answer."""
    body = "_".join(
        (
            "rc",
            kind.value,
            _base36(tenant_id.int, _ID_WIDTH),
            _base36(token_id.int, _ID_WIDTH),
            _base36(secrets.randbits(256), _SECRET_WIDTH),
        )
    )
    return f"{body}_{_base36(zlib.crc32(body.encode()), _CHECK_WIDTH)}"


def length_of(kind: TokenKind) -> int:
    """How many characters every token of this kind has."""
    return len(f"rc_{kind.value}_") + 2 * (_ID_WIDTH + 1) + _SECRET_WIDTH + 1 + _CHECK_WIDTH


def read_token(text: str) -> TokenText | None:
    """Read a presented token; ``None`` when it can't be one (mistyped, cut off, somebody else's)."""
    shape = TOKEN_SHAPE.fullmatch(text)
    if shape is None or zlib.crc32(text[: -_CHECK_WIDTH - 1].encode()) != int(shape[4], 36):
        return None
    try:
        return TokenText(_KINDS[shape[1]], UUID(int=int(shape[2], 36)), UUID(int=int(shape[3], 36)), digest(text))
    except (KeyError, ValueError):
        return None


class CannotOpen(Exception):
    """Something sealed opens with none of the keys: one has been taken out of the settings, or the row was altered."""

    def __init__(self) -> None:
        super().__init__(
            "A stored secret can't be opened. See that ROLLCALL_SECRET_KEYS names the key that sealed it, on every "
            "process; the first one seals, all of them open, and 'rollcall secret reseal' lets you drop the others."
        )


class Under(StrEnum):
    """Which of the keys a sealed secret opens with."""

    FIRST = "first"
    OLDER = "older"
    NONE = "none"


class Sealer:
    """Seals secrets for the database and opens them again; the first key seals, all of them open.

    Each key is a Fernet key, as ``rollcall secret`` prints one. A new one is put before the others.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._first, self._fernet = MultiFernet(fernets[:1]), MultiFernet(fernets)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The sealer of an installation."""
        return cls([key.get_secret_value() for key in settings.secret_keys])

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, secret: bytes) -> str:
        """*secret* as text that says nothing without a key; twice the same secret gives two texts."""
        return self._fernet.encrypt(secret).decode()

    def open(self, sealed: str) -> bytes:
        """What was sealed.

        Raises:
            CannotOpen: none of the keys fits, or the text has been altered.
        """
        opened = _opened(self._fernet, sealed)
        if opened is None:
            raise CannotOpen
        return opened

    def under(self, sealed: str) -> Under:
        """Which key it takes to open this."""
        if _opened(self._first, sealed) is not None:
            return Under.FIRST
        return Under.NONE if _opened(self._fernet, sealed) is None else Under.OLDER

    def resealed(self, sealed: str) -> str:
        """The same secret under the first key; as it is where that is so already, or where no key opens it."""
        return self.seal(self.open(sealed)) if self.under(sealed) is Under.OLDER else sealed


def _opened(fernet: MultiFernet, sealed: str) -> bytes | None:
    try:
        return fernet.decrypt(sealed)
    except (InvalidToken, ValueError):  # the second for what is not even ASCII
        return None


_NONCE = 12
_PURPOSE = b"rollcall idempotency key 1\0"


@dataclass(frozen=True, slots=True, repr=False)
class CallersSeal:
    """Seals what one caller may read again, and nobody else: its key comes from what they present and is not kept.

    It is bound to an ``Idempotency-Key`` too, so that each key has a name and a sealing key of its own.
    """

    name: bytes
    """What stands for the caller's word in the database; says nothing about it without what they present."""
    _marking: bytes
    _sealing: bytes

    @classmethod
    def of(cls, token: str, key: str) -> Self:
        """The seal of whoever presents *token* and says *key*."""
        parts = HKDF(SHA256(), 96, salt=None, info=_PURPOSE + key.encode()).derive(token.encode())
        return cls(parts[:32], parts[32:64], parts[64:])

    def fingerprint(self, *parts: bytes) -> bytes:
        """Tells *parts* from all others, and nothing about them to anybody else."""
        return hmac_digest(self._marking, b"".join(len(part).to_bytes(8, "big") + part for part in parts), "sha256")

    def seal(self, content: bytes) -> bytes:
        """*content* as bytes that say nothing to anybody else; twice the same gives two."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + AESGCM(self._sealing).encrypt(nonce, content, self.name)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed.

        Raises:
            CannotOpen: it was sealed for somebody else, or has been altered.
        """
        try:
            return AESGCM(self._sealing).decrypt(sealed[:_NONCE], sealed[_NONCE:], self.name)
        except InvalidTag:
            raise CannotOpen from None


def new_secret_key() -> str:
    """A fresh key for ``ROLLCALL_SECRET_KEYS``."""
    return Fernet.generate_key().decode()
