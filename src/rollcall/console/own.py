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
