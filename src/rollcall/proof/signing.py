"""Signing: the installation's keys, how one follows another, and the statements they sign.

Receipts and logout tokens are compact JWS (RFC 7515). Logout tokens are signed with RS256, which every OpenID client
verifies; receipts with ES256, which takes a tenth of its time, where there is a key for that, and with RS256 where an
installation from before has none. Public keys stand in the JWKS (RFC 7517) for as long as something signed with them
may be checked against it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from joserfc import jws
from sqlalchemy import func, select, text

from rollcall.crypto import Sealer, Under
from rollcall.db import Pool
from rollcall.errors import Conflict, NotFound
from rollcall.journal.events import SigningKeyPublished, SigningKeyRevoked
from rollcall.journal.record import record_for_installation
from rollcall.proof import pairs
from rollcall.proof.models import SigningKey
from rollcall.proof.pairs import Algorithm, SigningPair
from rollcall.work import Fleet, Work

FOR_TOKENS = (Algorithm.RS256,)
FOR_RECEIPTS = (Algorithm.ES256, Algorithm.RS256)
"""What may sign, the first before the second."""

LEAD = timedelta(minutes=10)
"""How long a new key is published before it signs: twice as long as the JWKS may be cached."""

JWKS_MAX_AGE = timedelta(minutes=5)
PUBLISHED_AFTER = timedelta(days=90)
"""How long a key stays in the JWKS once another one signs."""

_PUBLISHED = """
SELECT public_jwk FROM signing_keys
 WHERE revoked_at IS NULL AND ($1 OR retired_at IS NULL OR retired_at > clock_timestamp() - $2::interval)
 ORDER BY active_from DESC, public_jwk ->> 'alg' DESC, kid
"""
_REVOKED = "SELECT kid, revoked_at FROM signing_keys WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, kid"
_SIGNS = text("""
    SELECT kid, public_jwk ->> 'alg' AS algorithm, sealed_private_key FROM signing_keys
     WHERE active_from <= clock_timestamp() AND revoked_at IS NULL
       AND public_jwk ->> 'alg' = ANY (CAST(:algorithms AS text[]))
     ORDER BY array_position(CAST(:algorithms AS text[]), public_jwk ->> 'alg'), active_from DESC LIMIT 1
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('signing keys', 0))")


class NoSigningKey(RuntimeError):
    """Nothing can be signed yet."""

    def __init__(self) -> None:
        super().__init__("There is no signing key: run 'rollcall migrate', which makes the first one.")


class KeyWaiting(Conflict):
    """A new key is published already and has not begun to sign."""

    code = "key_waiting"
    advice = "Wait until the new key signs, or retire it."


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs now, opened."""

    kid: str
    algorithm: Algorithm
    key: SigningPair = field(repr=False)

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """*claims* as a compact JWS; *kind* stands in its ``typ`` header: it is not taken for another statement."""
        header = {"alg": self.algorithm.value, "typ": kind, "kid": self.kid}
        return jws.serialize_compact(header, orjson.dumps(dict(claims)), self.key, algorithms=[self.algorithm.value])


async def signer(work: Work, sealer: Sealer, algorithms: Sequence[Algorithm]) -> Signer:
    """Whoever signs now, for this work and no longer: the key may be revoked at any moment.

    By the first of *algorithms* that there is a key for.

    Raises:
        NoSigningKey: the tables have never been migrated to their end.
        CannotOpen: the key was sealed under a key that the settings no longer name.
    """
    wanted = {"algorithms": [each.value for each in algorithms]}
    signing = (await work.db.execute(_SIGNS, wanted)).one_or_none()
    if signing is None:
        raise NoSigningKey
    algorithm = Algorithm(signing.algorithm)
    return Signer(signing.kid, algorithm, pairs.opened(sealer, algorithm, signing.sealed_private_key))


async def sign(
    work: Work, sealer: Sealer, algorithms: Sequence[Algorithm], *, kind: str, claims: Mapping[str, Any]
) -> str:
    """One statement, signed.

    Raises:
        NoSigningKey, CannotOpen: as for `signer`.
    """
    return (await signer(work, sealer, algorithms)).sign(kind, claims)


def algorithm_of(key: SigningKey) -> Algorithm:
    """What a key signs with."""
    return Algorithm(key.public_jwk["alg"])


async def ensure_keys(fleet: Fleet, sealer: Sealer) -> None:
    """Make the first keys if there is none at all; they sign at once. Two that do so at the same moment make them once.

    An installation that has one from before gets none of the other algorithm by itself: a version from before that
    works beside this one would take it for its own.
    """
    await fleet.db.execute(_LOCK)
    if not await every(fleet):
        for algorithm in FOR_RECEIPTS:  # that of tokens last: a version from before signs with the newest
            await _publish(fleet, sealer, algorithm, lead=timedelta())


async def rotate(
    fleet: Fleet, sealer: Sealer, *, algorithm: Algorithm = Algorithm.RS256, lead: timedelta = LEAD
) -> SigningKey:
    """Publish a new key, which signs after *lead*; the present one stays published for 90 days more.

    With no lead a key that is published and waits begins to sign instead. Keys of the other algorithm go on.

    Raises:
        KeyWaiting: there is one that waits, and a lead was asked for.
    """
    await fleet.db.execute(_LOCK)
    keys, now = await _every_of(fleet, algorithm), await _now(fleet)
    waiting = next((key for key in keys if key.active_from > now and key.revoked_at is None), None)
    if waiting is None:
        return await _publish(fleet, sealer, algorithm, lead=lead)
    if lead:
        msg = (
            f"A new key waits already and signs from {waiting.active_from:%Y-%m-%d %H:%M:%S} UTC on; "
            "with --now it does so at once."
        )
        raise KeyWaiting(msg)
    return await _begin_at_once(fleet, sealer, algorithm, [key for key in keys if key.revoked_at is None], now)


async def revoke(fleet: Fleet, sealer: Sealer, kid: str) -> SigningKey:
    """Withdraw a key that others may have, from the commit on. Doing it twice is the same as doing it once.

    It leaves every key set, and nothing that it signed is believed any more, for whoever has it can sign a receipt of
    any day. If nothing else signs now, the key that waits begins to, or a new one. Returns the key that signs.

    Raises:
        NotFound: there is no such key.
    """
    await fleet.db.execute(_LOCK)
    keys, now = await every(fleet), await _now(fleet)
    gone = next((key for key in keys if key.kid == kid), None)
    if gone is None:
        raise NotFound("signing key")
    if gone.revoked_at is None:
        gone.revoked_at = now
        gone.retired_at = now if gone.retired_at is None else min(gone.retired_at, now)
        await record_for_installation(fleet, SigningKeyRevoked(kid=kid), target=kid)
    algorithm = algorithm_of(gone)
    rest = [key for key in keys if key.revoked_at is None and algorithm_of(key) is algorithm]
    if not any(key.active_from > now for key in rest):
        for key in rest[:1]:  # it may have been about to be followed by the one that is gone
            key.retired_at = None if key.retired_at is None or key.retired_at > now else key.retired_at
    signs = next((key for key in rest if key.active_from <= now and is_needed(key, now)), None)
    return signs or await _begin_at_once(fleet, sealer, algorithm, rest, now)


async def reseal(fleet: Fleet, sealer: Sealer) -> Counter[Under]:
    """Bring every private key under the first key of the settings; returns under which those stood that are needed."""
    await fleet.db.execute(_LOCK)
    keys, now = await every(fleet), await _now(fleet)
    stood = sealed_under(keys, sealer, now)
    for key in keys:
        key.sealed_private_key = sealer.resealed(key.sealed_private_key)
    return stood


def sealed_under(keys: Sequence[SigningKey], sealer: Sealer, now: datetime) -> Counter[Under]:
    """Under which keys of the settings those private keys are sealed that sign, or will."""
    return Counter(sealer.under(key.sealed_private_key) for key in keys if is_needed(key, now))


def is_needed(key: SigningKey, now: datetime) -> bool:
    """Whether a key signs, or will: of all others the public half is enough."""
    return key.revoked_at is None and (key.retired_at is None or key.retired_at > now)


async def every(fleet: Fleet) -> Sequence[SigningKey]:
    """Every key there ever was, newest first."""
    found = await fleet.db.scalars(select(SigningKey).order_by(SigningKey.active_from.desc(), SigningKey.kid))
    return found.all()


async def _every_of(fleet: Fleet, algorithm: Algorithm) -> Sequence[SigningKey]:
    return [key for key in await every(fleet) if algorithm_of(key) is algorithm]


async def published(pool: Pool, *, ever: bool = False) -> dict[str, Any]:
    """The JWKS: the keys that sign or did in the last 90 days, or with *ever* all that have ever signed.

    Revoked ones are in neither, so that no library believes them. With *ever* they are named beside the keys, in a
    member of our own as RFC 7517 §5 allows it, so that a receipt can be refused with the reason.
    """
    rows = await pool.fetch(_PUBLISHED, ever, PUBLISHED_AFTER)
    keys: dict[str, Any] = {"keys": [orjson.loads(row["public_jwk"]) for row in rows]}
    if ever and (revoked := await pool.fetch(_REVOKED)):
        keys["revoked"] = [{"kid": row["kid"], "revoked_at": row["revoked_at"].isoformat()} for row in revoked]
    return keys


async def _begin_at_once(
    fleet: Fleet, sealer: Sealer, algorithm: Algorithm, keys: Sequence[SigningKey], now: datetime
) -> SigningKey:
    """Have the key that waits sign from now on, or a new one."""
    waiting = next((key for key in keys if key.active_from > now), None)
    if waiting is None:
        return await _publish(fleet, sealer, algorithm, lead=timedelta())
    waiting.active_from = now
    for key in keys:
        if key.retired_at is not None and key.retired_at > now:
            key.retired_at = now
    await _tell(fleet, waiting)
    return waiting


async def _publish(fleet: Fleet, sealer: Sealer, algorithm: Algorithm, *, lead: timedelta) -> SigningKey:
    pair = pairs.new_pair(algorithm)
    active_from = await _now(fleet) + lead
    for key in await _every_of(fleet, algorithm):
        if key.retired_at is None:
            key.retired_at = active_from
    new = SigningKey(
        kid=pair.thumbprint(),
        sealed_private_key=sealer.seal(pair.as_pem(private=True)),
        public_jwk={**pair.as_dict(private=False), "kid": pair.thumbprint(), "use": "sig", "alg": algorithm.value},
        created_at=fleet.now,
        active_from=active_from,
    )
    fleet.db.add(new)
    await _tell(fleet, new)
    return new


async def _now(fleet: Fleet) -> datetime:
    """The database's time, which decides which key signs."""
    return cast("datetime", await fleet.db.scalar(select(func.clock_timestamp())))


async def _tell(fleet: Fleet, key: SigningKey) -> None:
    event = SigningKeyPublished(kid=key.kid, active_from=key.active_from.isoformat())
    await record_for_installation(fleet, event, target=key.kid)
