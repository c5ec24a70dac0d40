"""Cases of role names in words: what is the matter, and what to do about it at which provider."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from rollcall.console.words import gettext, mark
from rollcall.directory.models import ConflictCase
from rollcall.directory.rules import GROUP

_WHERE = {
    "okta": mark(
        "In Okta open the app, **Assignments** and **Push Groups**, and leave this person in one of these groups."
    ),
    "entra": (
        mark(
            "In Entra open the enterprise application, **Users and groups**, and leave one assignment of this "
            "person. Then "
            "choose **Provision on demand** for them."
        )
    ),
    "onelogin": (
        mark(
            "In OneLogin open **Users**, the person, and **Applications**, and leave one of these values at the app's "
            "parameters."
        )
    ),
    "jumpcloud": mark("In JumpCloud open **User Groups**, and take this person out of all but one of these groups."),
}
_ANYWHERE = mark("At your identity provider leave this person one of these names.")
UNKNOWN = mark("Give the name a role here, or correct it at your identity provider.")
_CLOSES = mark("The case closes itself with the next change that is sent.")


@dataclass(frozen=True, slots=True)
class Told:
    """A case as a page tells it."""

    row: ConflictCase
    mild: bool
    names: Sequence[tuple[str, str]]
    """What was sent, and where."""
    remedy: str
    map_address: str | None
    """Where a name can be given a role, if that ends the case."""

    @property
    def person(self) -> UUID | None:
        """Whose page leads on; None for somebody who was refused and is not here."""
        return self.row.user_id


def remedy(provider: str | None) -> str:
    """What to do about contradicting names, as *provider* calls it."""
    return gettext(_WHERE.get(provider or "", _ANYWHERE))


def told(case: ConflictCase, provider: str | None, page: str) -> Told:
    """A case in words, with the remedy as *provider* calls it."""
    mild = case.kind != "conflict"
    names = list(dict.fromkeys((str(each["name"]), _where(str(each["source"]))) for each in case.names))
    if mild:
        address = f"{page}?{urlencode({'name': names[0][0]})}#try" if names else None
        return Told(case, mild, names, gettext(UNKNOWN), address)
    return Told(case, mild, names, f"{remedy(provider)} {gettext(_CLOSES)}", None)


def _where(source: str) -> str:
    if source.startswith(GROUP):
        return gettext("group")
    return gettext("groups claim") if source == "claim" else "roles"
