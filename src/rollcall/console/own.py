"""What the pages about my own ways in have in common: ids out of addresses, and where they lead."""

from uuid import UUID

from rollcall.errors import NotFound

ACCOUNT = "/console/account"


def id_of(text: str, what: str) -> UUID:
    """An id out of an address; what can't be one is nobody's.

    Raises:
        NotFound: it can't be an id.
    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what) from None


def section(name: str, done: str | None = None) -> str:
    """A part of the account page; *done* is what it says has happened."""
    return f"{ACCOUNT}#{name}" if done is None else f"{ACCOUNT}?done={done}#{name}"


def number_of(count: int, what: str, several: str = "") -> str:
    """So many of something, in words; *several* where the plural is no mere s."""
    return f"1 {what}" if count == 1 else f"{count:,} {several or what + 's'}"
