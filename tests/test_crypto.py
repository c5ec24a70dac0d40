"""Tokens as text: written, read, and told apart from everything that is none. Secrets sealed and opened."""

import string
import zlib
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall import logging
from rollcall.crypto import (
    NOBODY,
    CallersSeal,
    CannotOpen,
    Sealer,
    TokenKind,
    digest,
    new_secret_key,
    new_token,
    read_token,
)

KINDS = st.sampled_from(TokenKind)
TENANT, TOKEN = UUID("01890000-0000-7000-8000-000000000001"), UUID("01890000-0000-7000-8000-000000000002")


@given(KINDS, st.uuids(), st.uuids())
def test_round_trip(kind: TokenKind, tenant: UUID, token: UUID) -> None:
    """What was written is read: the kind, the tenant, the id, and the digest of the whole text."""
    text = new_token(kind, tenant, token)
    read = read_token(text)
    assert read is not None
    assert (read.kind, read.tenant_id, read.id) == (kind, tenant, token)
    assert read.digest == digest(text) == sha256(text.encode()).digest()


@pytest.mark.parametrize("kind", TokenKind)
@pytest.mark.parametrize("extreme", [UUID(int=0), UUID(int=2**128 - 1), NOBODY])
def test_extremes(kind: TokenKind, extreme: UUID) -> None:
    """The smallest and the largest ids fit, and the prefix names the kind."""
    text = new_token(kind, extreme, extreme)
    read = read_token(text)
    assert read is not None
    assert (read.kind, read.tenant_id, read.id) == (kind, extreme, extreme)
    assert text.startswith(f"rc_{kind.value}_")


def test_secrets_differ() -> None:
    """Two tokens for the same place are two secrets, as long as 256 bits need."""
    texts = {new_token(TokenKind.SCIM, TENANT, TOKEN) for _ in range(200)}
    secrets = {text.split("_")[4] for text in texts}
    assert len(secrets) == 200
    assert max(int(secret, 36) for secret in secrets) >= 2**250


@pytest.mark.parametrize("kind", TokenKind)
def test_one_wrong_character(kind: TokenKind) -> None:
    """A token with any one character changed, lost or doubled is none."""
    text = new_token(kind, TENANT, TOKEN)
    for position, character in enumerate(text):
        for other in string.ascii_letters + string.digits + "_-+ .\n\x00é":
            if other != character:
                assert read_token(text[:position] + other + text[position + 1 :]) is None
        assert read_token(text[:position] + text[position + 1 :]) is None
        assert read_token(text[:position] + character + text[position:]) is None


@given(st.data())
def test_two_neighbours_swapped(data: st.DataObject) -> None:
    """Two neighbouring characters typed in the wrong order are noticed."""
    text = new_token(TokenKind.SCIM, TENANT, TOKEN)
    position = data.draw(st.integers(0, len(text) - 2))
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    assert (read_token(swapped) is None) == (swapped != text)


@given(st.text(max_size=200) | st.text(alphabet=string.ascii_lowercase + string.digits + "_", max_size=200))
def test_any_text(text: str) -> None:
    """Any other text is read as no token, and never fails."""
    assert read_token(text) is None


def test_not_quite() -> None:
    """Neither other cases and spaces nor parts and repetitions are taken for a token."""
    text = new_token(TokenKind.SCIM, TENANT, TOKEN)
    for spoilt in (
        text.upper(),
        text + " ",
        " " + text,
        text + "\n",
        f"{text}_{text}",
        text.replace("_", "-"),
        text.replace("rc_", "xx_", 1),
        text[:-8],
        "",
        "rc_scim____",
        text * 1000,
    ):
        assert read_token(spoilt) is None, spoilt[:200]


def checked(body: str) -> str:
    """*body* with the check that belongs to it, as somebody could make it who has read our source."""
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 36)
        digits = (string.digits + string.ascii_lowercase)[digit] + digits
    return f"{body}_{digits.rjust(7, '0')}"


def test_forged_with_a_good_check() -> None:
    """With its check made to fit, what has an unknown kind, an id beyond 128 bits or other digits is still none."""
    secret = "0" * 50
    assert read_token(checked(f"rc_scim_{'0' * 25}_{'1' * 25}_{secret}")) is not None
    for body in (
        f"rc_root_{'0' * 25}_{'1' * 25}_{secret}",
        f"rc_scim_{'z' * 25}_{'1' * 25}_{secret}",
        f"rc_scim_{'0' * 25}_{'z' * 25}_{secret}",
        f"rc_scim_{'-' + '0' * 24}_{'1' * 25}_{secret}",
        f"rc_scim_{' ' + '0' * 24}_{'1' * 25}_{secret}",
        f"rc_scim_{'0' * 26}_{'1' * 25}_{secret}",
        f"rc_scim_{'0' * 25}_{'1' * 25}_{'0' * 49}",
        f"rc_scim_{'0' * 25}_{'1' * 25}_{secret}_{secret}",
    ):
        assert read_token(checked(body)) is None, body


@given(KINDS, st.uuids(), st.text(max_size=20), st.text(max_size=20))
def test_scanners_recognise_them(kind: TokenKind, token: UUID, before: str, after: str) -> None:
    """A token is recognised wherever it stands in a text, and what is left of it opens nothing."""
    text = new_token(kind, TENANT, token)
    masked = logging.masked(f"{before} {text} {after}")
    assert text not in masked
    assert text.split("_")[4] not in masked


@given(st.binary(max_size=300))
def test_sealed_and_opened(secret: bytes) -> None:
    """What was sealed is opened unchanged, and its text neither shows the secret nor repeats."""
    sealer = Sealer([new_secret_key()])
    once, again = sealer.seal(secret), sealer.seal(secret)
    assert once != again
    assert sealer.open(once) == sealer.open(again) == secret
    if len(secret) > 8:
        assert secret not in once.encode()


def test_keys_change() -> None:
    """A new first key seals, the old one opens what it sealed, and without it the error names the setting."""
    old, new = new_secret_key(), new_secret_key()
    before = Sealer([old]).seal(b"whsec")
    both = Sealer([new, old])
    assert both.open(before) == b"whsec"
    assert Sealer([new]).open(both.seal(b"whsec")) == b"whsec"
    with pytest.raises(CannotOpen, match="ROLLCALL_SECRET_KEYS"):
        Sealer([new]).open(before)


def test_sealed_and_altered() -> None:
    """A sealed text that was cut, changed or made up does not open."""
    key = new_secret_key()
    sealed = Sealer([key]).seal(b"whsec")
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    for spoilt in (changed, sealed[:-8], "", "nothing", "é"):
        with pytest.raises(CannotOpen):
            Sealer([key]).open(spoilt)


def test_a_sealer_shows_no_key() -> None:
    """Neither a sealer's own text nor what the settings print has a key in it."""
    key = new_secret_key()
    assert key not in repr(Sealer([key]))


def test_a_callers_seal() -> None:
    """What is sealed for one caller and key opens for them again, and for no other caller, key or altered text."""
    token, other = (new_token(TokenKind.OPERATOR, NOBODY, uuid4()) for _ in range(2))
    seal = CallersSeal.of(token, "key")
    sealed = seal.seal(b"whsec_x")
    assert CallersSeal.of(token, "key").open(sealed) == b"whsec_x"
    assert sealed != seal.seal(b"whsec_x")
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for stranger, text in (
        (CallersSeal.of(other, "key"), sealed),
        (CallersSeal.of(token, "kez"), sealed),
        (seal, altered),
    ):
        with pytest.raises(CannotOpen):
            stranger.open(text)


def test_fingerprints() -> None:
    """A fingerprint tells its parts and where each ends, and differs from caller to caller."""
    token = new_token(TokenKind.OPERATOR, NOBODY, uuid4())
    seal = CallersSeal.of(token, "key")
    prints = {seal.fingerprint(*parts) for parts in ((b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"abc", b""))}
    assert len(prints) == 4
    assert seal.fingerprint(b"abc") == CallersSeal.of(token, "key").fingerprint(b"abc")
    assert seal.fingerprint(b"abc") != CallersSeal.of(token, "kez").fingerprint(b"abc")
    assert token not in repr(seal)
