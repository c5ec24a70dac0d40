"""What is read into settings: lists, ports, networks, addresses, keys, from the text that a variable holds."""

import json
from base64 import b64decode
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import cast
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, SecretStr

Network = IPv4Network | IPv6Network


def listed(value: object) -> object:
    """A text as the list it is: separated by commas, or JSON."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return tuple(part for each in value.replace("\n", ",").split(",") if (part := each.strip()))
    try:
        parts = json.loads(value)
    except ValueError:
        parts = [None]
    if not all(isinstance(part, str) for part in parts):
        msg = "begins like a list in JSON and is none: separate the parts by commas, without brackets"
        raise ValueError(msg)
    return tuple(parts)


def ports(value: object) -> object:
    """A text as the ports it names, one or more."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.strip("[] ").split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 5 and 1 <= int(part) <= 65535 for part in parts):
        msg = "must be ports from 1 to 65535, separated by commas, such as 443,8443"
        raise ValueError(msg)
    return tuple(int(part) for part in parts)


def one_of(*names: str) -> BeforeValidator:
    """One of these *names*, however it is capitalised."""
    spelt = {name.lower(): name for name in names}

    def check(value: object) -> object:
        if str(value).lower() not in spelt:
            msg = f"must be {', '.join(names[:-1])} or {names[-1]}"
            raise ValueError(msg)
        return spelt[str(value).lower()]

    return BeforeValidator(check)


def network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        msg = f"holds “{value}”, which is no address and no network: write 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32"
    else:
        msg = f"holds “{value}”, an address with the mask of a network: write {meant}, or {value.partition('/')[0]}"
    raise ValueError(msg)


def networks(value: object) -> object:
    return tuple(map(network, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else value


def origin(value: str) -> str:
    """An address as a browser names the origin of a page; an app on Android is named by its own scheme."""
    if value.startswith("android:apk-key-hash:"):
        return value
    parts = address(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        msg = f"holds “{value}”, which is no page's origin: write https://app.example.com, without a path"
        raise ValueError(msg)
    return value.rstrip("/")


def is_key(text: str) -> bool:
    """Whether a text is 24 bytes or more in base 64."""
    try:
        return len(b64decode(text, validate=True)) >= 24
    except ValueError:
        return False


def address(text: str) -> SplitResult:
    """The parts of an address, the port among them.

    Raises:
        ValueError: it has none that could be told apart; the message repeats nothing of it.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        msg = (
            "is no address: its host or its port can't be read; a user or password with one of / ? # [ ] @ : % in it "
            "has to be percent-encoded (/ is %2F)"
        )
        raise ValueError(msg) from None
    return parts
