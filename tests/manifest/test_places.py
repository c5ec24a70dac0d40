"""Every table and key is found on its own line, whatever TOML allows around it."""

import tomllib
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from rollcall.manifest.places import KeyPath, Lines, dotted, find_places

TRICKY = '''\
# a comment with [a.header] and key = "value"
[tenants."odd.slug"]
name = "a # no comment" # a comment with ] and """

text = """
[not.a.header]
key = 'no key' \\""" still inside
"""""
raw = \'\'\'
[[nor.this]]
\'\'\'
list = [ # with a comment [
  1,
  { name = "two" },
]
a.b.c = { d = [1, 2] }
[[tenants."odd.slug".admins]]
user_name = "one"
[tenants."odd.slug".admins.more]
x = 1
[[tenants."odd.slug".admins]]
user_name = "two"
'''


def test_tricky_file() -> None:
    """Strings over several lines, lists, comments, dotted keys and lists of tables do not shift a line."""
    tomllib.loads(TRICKY)
    places = find_places(TRICKY)
    home: KeyPath = ("tenants", "odd.slug")
    expected = {
        home: Lines(2, 2),
        (*home, "name"): Lines(3, 3),
        (*home, "text"): Lines(5, 8),
        (*home, "raw"): Lines(9, 11),
        (*home, "list", 1, "name"): Lines(12, 15),
        (*home, "a", "b", "c", "d", 1): Lines(16, 16),
        (*home, "admins", 0): Lines(17, 17),
        (*home, "admins", 0, "user_name"): Lines(18, 18),
        (*home, "admins", 0, "more", "x"): Lines(20, 20),
        (*home, "admins", 1): Lines(21, 21),
        (*home, "admins", 1, "user_name"): Lines(22, 22),
    }
    assert {path: places.get(path) for path in expected} == expected


def test_windows_lines() -> None:
    """Lines that end in CR LF are counted once."""
    assert find_places("a = 1\r\n\r\n[t]\r\nb = 2\r\n")["t", "b"] == Lines(4, 4)


def test_table_without_header() -> None:
    """A table without a header of its own stands where its name is first written, unless the header comes later."""
    assert find_places("\n[t.x.deep]\na = 1\n")["t", "x"] == Lines(2, 2)
    assert find_places("\n[t.x.deep]\na = 1\n[t.x]\n")["t", "x"] == Lines(4, 4)


def test_keys_as_written() -> None:
    """A key is said as the file spells it, and a place in a list counts from one."""
    assert dotted(("tenants", "Odd Name", "features", 1)) == 'tenants."Odd Name".features, entry 2'


_names = st.sampled_from(["a", "b", "c-1"])
_texts = st.sampled_from(["plain", "# no comment", "[x]", "'", "}", "= ="])
_values = st.recursive(
    st.integers(0, 9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=6,
)


def _literal(value: object, line_break: str) -> str:
    match value:
        case str():
            return f'"{value}"'
        case list():
            return f"[{line_break}{', '.join(_literal(part, line_break) for part in cast('list[object]', value))}]"
        case dict():
            parts = (f"{name} = {_literal(part, '')}" for name, part in cast("dict[str, object]", value).items())
            return f"{{ {', '.join(parts)} }}"
        case _:
            return str(value)


@given(st.dictionaries(_names, st.dictionaries(_names, _values, max_size=3), max_size=3), st.sampled_from(["", "\n"]))
def test_every_value_is_on_its_lines(tables: dict[str, dict[str, Any]], line_break: str) -> None:
    """The lines that are told for a key are the ones that alone make that key."""
    text = "".join(
        f"\n# [{name}]\n[{name}]\n"
        + "".join(f"{key} = {_literal(value, line_break)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    assert tomllib.loads(text) == tables
    places, lines = find_places(text), text.split("\n")
    for name, table in tables.items():
        assert lines[places[name,].first - 1] == f"[{name}]"
        for key, value in table.items():
            span = places[name, key]
            assert tomllib.loads("\n".join(lines[span.first - 1 : span.last])) == {key: value}
