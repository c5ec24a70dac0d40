"""A bundle checked off-line: its manifest, every file against it, and every receipt in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os import SEEK_END
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo, is_zipfile
from zlib import error as DeflateError  # noqa: N812  # an exception that the library writes small

from rollcall.proof import bundles, verifying
from rollcall.proof.verifying import LARGEST, NotVerified, Trusted

MOST_FILES = 64
"""Files of a bundle, at most: one for each day, and four."""

LARGEST_FILE = (1 << 31) - 1
"""Bytes of one file of a bundle, at most: what a ZIP of the first kind holds, which is what we write."""

_CHUNK = 256 * 1024
_NO_EXTRA = b"\0\0"
_LOCAL, _CENTRAL, _END, _DESCRIPTOR = 30, 46, 22, 16
"""Bytes of a ZIP's own records, but for names, and without what may be put into them besides."""
_MORE = "The bundle has more in it than its signed files, a comment perhaps: fetch it again, as it was made."
_SAID = {"iss", "tenant", "month", "made_at", "receipts", "incomplete", "files"}


@dataclass(frozen=True, slots=True)
class _Stated:
    """A file as the manifest says it is."""

    name: str
    size: int
    digest: str


def is_bundle(path: str) -> bool:
    """Whether a file is a ZIP; receipts are not."""
    return is_zipfile(path)


def verify(path: str, trusted: Trusted) -> dict[str, Any]:
    """What the manifest of a bundle says, if all of it verifies.

    Raises:
        NotVerified: something was changed, added or left out, or a receipt in it is not genuine.
    """
    try:
        with ZipFile(path) as archive:
            with Path(path).open("rb") as raw:
                _check_form(archive.infolist(), raw)
            return _verify(archive, trusted)
    # zipfile has no common error: whatever it meets in a damaged or hostile file comes as one of these.
    except (BadZipFile, DeflateError, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        msg = f"This is no bundle, or it was damaged on its way ({error}): fetch it again."
        raise NotVerified(msg) from None


def summary(manifest: Mapping[str, Any]) -> Sequence[str]:
    """A verified bundle in lines for people."""
    waiting = manifest["incomplete"]
    return [
        f"signed by    {ascii(manifest['iss'])[1:-1]}",
        f"tenant       {ascii(manifest['tenant']['slug'])[1:-1]} ({manifest['tenant']['id']})",
        f"month        {manifest['month']}, made {manifest['made_at']}",
        f"receipts     {manifest['receipts']:,}, each verified",
        f"not in it    {waiting:,} that were not complete yet" if waiting else "not in it    none",
    ]


def _check_form(entries: Sequence[ZipInfo], raw: IO[bytes]) -> None:
    """A ZIP has room for what no digest covers, and for what unpacks without end: ours has neither.

    Bytes before, between and after the files, comments and extra fields all make it longer than its files need.
    """
    place = 0
    for each in sorted(entries, key=lambda entry: entry.header_offset):
        large = each.file_size > (LARGEST if each.filename == bundles.MANIFEST else LARGEST_FILE)
        if large or each.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            msg = f"This is no bundle: {ascii(each.filename)[1:-1]} is packed as no file of a bundle is, or too large."
            raise NotVerified(msg)
        raw.seek(each.header_offset + _LOCAL - 2)
        if each.header_offset != place or each.comment or each.extra or raw.read(2) != _NO_EXTRA:
            raise NotVerified(_MORE)
        place += _LOCAL + len(each.filename) + each.compress_size + (_DESCRIPTOR if each.flag_bits & 8 else 0)
    if raw.seek(0, SEEK_END) != place + sum(_CENTRAL + len(each.filename) for each in entries) + _END:
        raise NotVerified(_MORE)


def _verify(archive: ZipFile, trusted: Trusted) -> dict[str, Any]:
    entries = archive.infolist()
    by_name = {each.filename: each for each in entries}
    if len(by_name) != len(entries) or len(entries) > MOST_FILES or bundles.MANIFEST not in by_name:
        msg = "This is no bundle: it has no manifest.jws, a file twice, or far too many."
        raise NotVerified(msg)
    manifest = verifying.signed(_text(archive, bundles.MANIFEST), trusted, bundles.KIND, "bundle")
    if not manifest.keys() >= _SAID:
        msg = "This is no bundle: its manifest does not say what manifests say."
        raise NotVerified(msg)
    stated = [_Stated(each["name"], each["bytes"], each["sha256"]) for each in manifest["files"]]
    if {each.name for each in stated} != by_name.keys() - {bundles.MANIFEST}:
        msg = "A file of the bundle was added or taken out after it was signed."
        raise NotVerified(msg)
    for each in stated:
        _check_digest(archive, by_name[each.name], each)
    _check_receipts(archive, stated, manifest, trusted)
    return manifest


def _text(archive: ZipFile, name: str) -> str:
    with archive.open(name) as handle:
        return handle.read(LARGEST).decode("ascii")


def _check_digest(archive: ZipFile, entry: ZipInfo, stated: _Stated) -> None:
    """A file longer than it is said to be is read no further: it could be made to unpack without end."""
    digest, size = sha256(), 0
    with archive.open(entry) as handle:
        while size <= stated.size and (chunk := handle.read(_CHUNK)):
            digest.update(chunk)
            size += len(chunk)
    if size != stated.size or digest.hexdigest() != stated.digest:
        msg = f"{ascii(stated.name)[1:-1]} of the bundle has been changed after it was signed."
        raise NotVerified(msg)


def _check_receipts(archive: ZipFile, stated: Sequence[_Stated], manifest: Mapping[str, Any], trusted: Trusted) -> None:
    seen: set[str] = set()
    for file in stated:
        if not file.name.startswith(bundles.RECEIPTS):
            continue
        with archive.open(file.name) as handle:
            for number, line in _lines(handle):
                where = f"Line {number} of {ascii(file.name)[1:-1]}"
                try:
                    claims = verifying.verify(line, trusted)
                except NotVerified as reason:
                    msg = f"{where}: {reason}"
                    raise NotVerified(msg) from None
                if claims["tenant"]["id"] != manifest["tenant"]["id"] or claims["jti"] in seen:
                    msg = f"{where} is another company's receipt, or stands there twice."
                    raise NotVerified(msg)
                if not str(claims["closed_at"]).startswith(f"{manifest['month']}-"):
                    msg = f"{where} is of another month."
                    raise NotVerified(msg)
                seen.add(claims["jti"])
    if len(seen) != manifest["receipts"]:
        msg = f"The manifest says {manifest['receipts']:,} receipts, and {len(seen):,} are in the bundle."
        raise NotVerified(msg)


def _lines(handle: IO[bytes]) -> Iterator[tuple[int, str]]:
    number = 0
    while line := handle.readline(LARGEST):
        number += 1
        yield number, line.decode("ascii", errors="replace").strip()
