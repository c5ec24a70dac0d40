"""Authenticators: what a person's device is asked to do, and whether its answer is right (WebAuthn, W3C Level 3).

Nothing here knows of tables. The answers come from strangers; one that can't be read is one that is not right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from rollcall.settings import Settings

log = structlog.get_logger(__name__)

LONGEST_ID = 1023
"""Bytes of a credential's id (WebAuthn §7.1)."""

LONGEST_KEY = 4096
"""Bytes of a public key that are kept; the longest in use, of ML-DSA, have 2,600."""

_VERIFIED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whom passkeys are made for: a domain, a name that people know, and the addresses of its pages."""

    id: str
    name: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A passkey that an authenticator made: the public half of it, and what it says about itself."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    aaguid: UUID


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator signed to let somebody in; read, and not yet believed."""

    parsed: AuthenticationCredential

    @property
    def credential_id(self) -> bytes:
        """Which passkey is said to have signed."""
        return self.parsed.raw_id

    @property
    def account_id(self) -> UUID | None:
        """Whose it says it is; None if it says nobody, or what can't be an id."""
        handle = self.parsed.response.user_handle
        return UUID(bytes=handle) if handle is not None and len(handle) == 16 else None

    def is_of(self, account_id: UUID, *, has_to_say: bool) -> bool:
        """Whether the authenticator says it is this person's; it need not where the person was named before."""
        handle = self.parsed.response.user_handle
        return handle == account_id.bytes or (handle is None and not has_to_say)


def pages_address(public_url: str) -> str:
    """The address at which people open this installation's own pages, without a path, as browsers write it.

    A passkey is bound to a name, never to a number, so this machine itself is called ``localhost``.
    """
    address = urlsplit(public_url)
    host = address.hostname or ""
    if is_this_machine(host):
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    usual = address.port in (None, 443 if address.scheme == "https" else 80)
    return f"{address.scheme}://{host}" + ("" if usual else f":{address.port}")


def is_this_machine(host: str) -> bool:
    """Whether a host is a number that leads back to the machine it is used on."""
    try:
        number = ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number.is_unspecified


def relying_party(settings: Settings) -> RelyingParty:
    """The relying party that an operator's settings describe."""
    address = pages_address(settings.public_url)
    return RelyingParty(
        id=settings.passkey_rp_id or urlsplit(address).hostname or "",
        name=settings.passkey_rp_name,
        origins=settings.passkey_origins or (address,),
    )


def own_party(settings: Settings) -> RelyingParty | None:
    """The relying party that this installation's own pages are: the same domain, and no pages but these.

    None where a browser gives these pages no passkeys: their address is a number, is outside the domain, or is not
    encrypted and leads to another machine (WebAuthn §5.1.3, §5.1.4.1).
    """
    party, address = relying_party(settings), pages_address(settings.public_url)
    host, scheme = urlsplit(address).hostname or "", urlsplit(address).scheme
    inside = host == party.id or host.endswith(f".{party.id}")
    if not inside or _is_number(host) or (scheme != "https" and host != "localhost"):
        return None
    return RelyingParty(party.id, party.name, (address,))


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def registration_options(
    party: RelyingParty,
    *,
    challenge: bytes,
    person: UUID,
    user_name: str,
    known: Sequence[bytes],
    milliseconds: int,
) -> dict[str, Any]:
    """What ``navigator.credentials.create()`` is given; an authenticator that holds one of *known* makes no other."""
    return options_to_json_dict(
        generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=person.bytes,
            user_name=user_name,
            challenge=challenge,
            timeout=milliseconds,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=_VERIFIED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
        )
    )


def sign_in_options(party: RelyingParty, *, challenge: bytes, milliseconds: int) -> dict[str, Any]:
    """What ``navigator.credentials.get()`` is given: the same for everybody, because it names no passkey."""
    return options_to_json_dict(
        generate_authentication_options(
            rp_id=party.id, challenge=challenge, timeout=milliseconds, user_verification=_VERIFIED
        )
    )


def made_passkey(party: RelyingParty, challenge: bytes, answer: dict[str, Any]) -> Made | None:
    """The passkey in the answer to a registration's challenge; None if the answer is not right."""
    try:
        parsed = parse_registration_credential_json(answer)
        verified = verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=[*party.origins],
            require_user_verification=True,
        )
        made = Made(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            transports=tuple(each.value for each in parsed.response.transports or ()),
            aaguid=UUID(verified.aaguid),
        )
    except Exception as wrong:  # a stranger's bytes can make the library stumble in any way
        log.info("passkey not made", because=str(wrong))
        return None
    return made if len(made.credential_id) <= LONGEST_ID and len(made.public_key) <= LONGEST_KEY else None


def read_assertion(answer: dict[str, Any]) -> Assertion | None:
    """The answer to a sign-in's challenge; None if it can't be one."""
    try:
        return Assertion(parse_authentication_credential_json(answer))
    except Exception as wrong:  # as above
        log.info("passkey not read", because=str(wrong))
        return None


def signed_count(party: RelyingParty, challenge: bytes, assertion: Assertion, public_key: bytes) -> int | None:
    """How often the authenticator says it signed, if it signed this challenge with this key; None if it did not.

    Whether the count may be is for the caller to judge: only of a right signature does a wrong one mean anything.
    """
    try:
        verified = verify_authentication_response(
            credential=assertion.parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=[*party.origins],
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception as wrong:  # as above
        log.info("passkey not believed", because=str(wrong))
        return None
    return verified.new_sign_count
