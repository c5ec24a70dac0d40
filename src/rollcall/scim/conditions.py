"""If-Match and If-None-Match (RFC 9110 §13.1): whether a request still means the version its sender knows.

Both compare weakly, the opaque part of a tag and nothing else. RFC 9110 §13.1.1 wants If-Match to compare strongly, but
no weak tag ever matches strongly, and RFC 7644 §3.14 has service providers send weak ones and clients send them back in
If-Match. What can't be read matches nothing: a change is then refused and a read answered whole, the safe side of both.
"""

import re
from dataclasses import dataclass
from typing import Final

from rollcall.scim.errors import PreconditionFailed

# A tag may hold commas. Some clients leave the quotes out, as they copy `meta.version` without them; W/ by itself is
# no tag.
_MEMBER: Final = re.compile(
    r'[ \t,]*(?:W/|(?!W/))(?:"([\x21\x23-\x7e\x80-\uffff]*)"|([^\s",]+))[ \t]*(?:,|$)', re.IGNORECASE
)
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request requires of the resource's version, in the headers' own words; None or blank is nothing."""

    if_match: str | None = None
    if_none_match: str | None = None


UNCONDITIONAL: Final = Conditions()
"""Nothing is required."""


def proceeds(conditions: Conditions, version: str | None, *, reading: bool) -> bool:
    """Whether the request is to be carried out on a resource whose entity tag is *version*.

    A resource that doesn't exist has none. If-Match comes first (RFC 9110 §13.2.2). Only a reading request, a GET or
    HEAD, can be answered with False: 304, the sender has this version already.

    Raises:
        PreconditionFailed: it is not to be carried out, because the version is another than its sender requires.
    """
    if_match, if_none_match = (conditions.if_match or "").strip(), (conditions.if_none_match or "").strip()
    if if_match and not _matches(if_match, version):
        raise PreconditionFailed(
            detail="If-Match: the resource has another version by now; read it again, and send its present ETag"
        )
    if not if_none_match or not _matches(if_none_match, version):
        return True
    if reading:
        return False
    raise PreconditionFailed(detail="If-None-Match: the resource exists in that version, so there is nothing to do")


def _matches(header: str, version: str | None) -> bool:
    if version is None:
        return False
    return header == _ANY or _opaque(version) in _tags(header)


def _opaque(version: str) -> str:
    return version.removeprefix("W/").strip('"')


def _tags(header: str) -> frozenset[str]:
    """The opaque parts of the tags in a list; none, if any of it is no list of tags."""
    tags: set[str] = set()
    position = 0
    while position < len(header):
        member = _MEMBER.match(header, position)
        if member is None:
            # Empty members are allowed in a list (RFC 9110 §5.6.1).
            return frozenset(tags) if not header[position:].strip(" \t,") else frozenset()
        tags.add(member[1] if member[1] is not None else member[2])
        position = member.end()
    return frozenset(tags)
