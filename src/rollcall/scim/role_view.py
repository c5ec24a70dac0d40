"""A person's roles as a patch sees them: each entry has one name, and that is its value.

What is stored stays as it was sent. So a patch is carried out on this view, where a filter or a removal finds a role
whatever shape it came in, and what the patch has not touched is put back as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from rollcall.scim.resources import User
from rollcall.scim.role_names import inside, names_of

Entry = Mapping[str, object]


@dataclass(slots=True, eq=False)
class _Origin:
    """The stored entry that entries of the view came from, and what the first of them showed."""

    entry: Entry
    shown: dict[str, object]
    names: tuple[str, ...]


class RoleView:
    """The view of one person's roles, from the document they are stored in until the patch is done."""

    def __init__(self, document: Entry) -> None:
        self.document = document
        self._origins: list[_Origin | None] = []
        self._watched: list[tuple[Any, _Origin]] = []
        roles = document.get("roles")
        if not isinstance(roles, list) or all(map(is_plain, cast("list[object]", roles))):
            return
        self.document = {**document, "roles": [*self._opened(cast("list[object]", roles))]}

    def _opened(self, roles: list[object]) -> list[object]:
        opened: list[object] = []
        for role in roles:
            if is_plain(role):
                opened.append(role)
                self._origins.append(None)
                continue
            entry = cast("Entry", role)
            names = names_of(entry)
            origin = _Origin(entry, _shown(entry, names[0]), names)
            for name in names:
                opened.append({**origin.shown, "value": name} if name == names[0] else _further(origin.shown, name))
                self._origins.append(origin)
        return opened

    def watch(self, user: User) -> None:
        """Remember which of *user*'s roles came from which entry; *user* has been made of this view's document."""
        roles = user.roles or []
        self._watched = [
            (role, origin) for role, origin in zip(roles, self._origins, strict=False) if origin is not None
        ]

    def close(self, user: User) -> None:
        """Put back, among the roles of *user*, the entries as they were stored, less what the patch did to them."""
        if not self._watched or not user.roles:
            return
        roles = {id(role): role for role in user.roles}
        here = [(role, origin) for role, origin in self._watched if id(role) in roles]
        gone: set[int] = set()
        for origin in {id(origin): origin for _, origin in here}.values():
            own = [role for role, its in here if its is origin]
            if [role.value for role in own] == [*origin.names]:
                _put_back(own[0], origin)
                gone.update(id(role) for role in own[1:])
            elif own[0].display == origin.shown.get("display") != origin.entry.get("display"):
                own[0].display = None
        user.roles = [role for role in user.roles if id(role) not in gone] or None


def is_plain(role: object) -> bool:
    """Whether the view shows an entry as it is stored: its value is its name, or it has none."""
    if not isinstance(role, dict):
        return True
    entry = cast("Entry", role)
    value = entry.get("value")
    return not (names := names_of(entry)) or names == (value,)


def _shown(entry: Entry, name: str) -> dict[str, object]:
    shown: dict[str, object] = {**entry, "value": name}
    if not entry.get("display") and (display := _display_inside(entry.get("value"))) is not None:
        shown["display"] = display
    return shown


def _display_inside(value: object) -> str | None:
    found = inside(value) if isinstance(value, str) else None
    if not isinstance(found, dict):
        return None
    said = cast("Entry", found)
    return next((part for name in ("displayName", "display") if isinstance(part := said.get(name), str) and part), None)


def _further(shown: Entry, name: str) -> dict[str, object]:
    """An entry for another name of the same stored one; only one entry can be primary."""
    return {part: value for part, value in shown.items() if part not in ("primary", "display")} | {"value": name}


def _put_back(role: Any, origin: _Origin) -> None:
    """Give *role*, whose names are untouched, its stored value and display again, unless the patch wrote another."""
    role.value = origin.entry.get("value")
    if role.display == origin.shown.get("display"):
        role.display = origin.entry.get("display")
