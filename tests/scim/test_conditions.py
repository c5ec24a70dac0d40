"""Preconditions: when a request still means the version its sender knows, and when it does not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.scim.conditions import Conditions, proceeds
from rollcall.scim.documents import etag
from rollcall.scim.errors import PreconditionFailed

NOW = etag(7, '[{"value": "g"}]')
OLD = etag(6)
OPAQUE = NOW.removeprefix("W/").strip('"')
MATCHING = ["*", NOW, f'"{OPAQUE}"', OPAQUE, f"W/{OPAQUE}", f"{OLD}, {NOW}", f' ,"a,b" ,, {NOW} ,', f"w/{NOW[2:]}"]
OTHER = [OLD, '"x"', etag(7), f'"{NOW}', f'{NOW} "x"', f"{NOW}x", f'"x" {NOW}', f'"x,{OPAQUE}"', '"*"', ",", "W/", '""']


@pytest.mark.parametrize("header", MATCHING)
def test_the_version_its_sender_knows(header: str) -> None:
    """A change goes on if the sender knows the version; a read is answered 304."""
    assert proceeds(Conditions(if_match=header), NOW, reading=False)
    assert not proceeds(Conditions(if_none_match=header), NOW, reading=True)
    with pytest.raises(PreconditionFailed, match="If-None-Match"):
        proceeds(Conditions(if_none_match=header), NOW, reading=False)


@pytest.mark.parametrize("header", OTHER)
def test_another_version_and_what_cannot_be_read(header: str) -> None:
    """A change is refused with 412, and a read answered whole, if the version is another or nobody can tell."""
    with pytest.raises(PreconditionFailed, match="If-Match") as refused:
        proceeds(Conditions(if_match=header), NOW, reading=False)
    assert refused.value.status == 412
    assert proceeds(Conditions(if_none_match=header), NOW, reading=True)
    assert proceeds(Conditions(if_none_match=header), NOW, reading=False)


def test_what_does_not_exist() -> None:
    """A resource that doesn't exist matches nothing, not even everything."""
    assert proceeds(Conditions(if_none_match="*"), None, reading=False)
    with pytest.raises(PreconditionFailed):
        proceeds(Conditions(if_match="*"), None, reading=False)


@pytest.mark.parametrize("nothing", [Conditions(), Conditions("", " ")])
def test_no_conditions(nothing: Conditions) -> None:
    """A request that requires nothing goes on."""
    assert proceeds(nothing, NOW, reading=True)
    assert proceeds(nothing, None, reading=False)


def test_order() -> None:
    """If-Match is judged first: a read that requires another version is refused and not answered 304."""
    with pytest.raises(PreconditionFailed):
        proceeds(Conditions(if_match=OLD, if_none_match=NOW), NOW, reading=True)
    assert not proceeds(Conditions(if_match=NOW, if_none_match=NOW), NOW, reading=True)


def test_reads_may_require_a_version_too() -> None:
    """If-Match holds for reads as well."""
    with pytest.raises(PreconditionFailed):
        proceeds(Conditions(if_match=OLD), NOW, reading=True)


tags = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=8)


@given(
    st.lists(st.tuples(st.sampled_from(["", "W/"]), tags), min_size=1, max_size=5), tags, st.sampled_from([",", " , "])
)
def test_any_list_is_read_exactly(listed: list[tuple[str, str]], other: str, separator: str) -> None:
    """Each tag of a list is found, weak or strong, and no other."""
    header = separator.join(f'{weak}"{tag}"' for weak, tag in listed)
    for _, tag in listed:
        assert not proceeds(Conditions(if_none_match=header), f'W/"{tag}"', reading=True)
    found = not proceeds(Conditions(if_none_match=header), f'W/"{other}"', reading=True)
    assert found == (other in [tag for _, tag in listed])


@pytest.mark.parametrize("piece", [",", '"x",', "x ", " ", "W/", '"'])
def test_long_headers(piece: str) -> None:
    """A header made to occupy a process does not."""
    begun = time.process_time()
    assert proceeds(Conditions(if_none_match=piece * 100_000), NOW, reading=True)
    assert time.process_time() - begun < 1
