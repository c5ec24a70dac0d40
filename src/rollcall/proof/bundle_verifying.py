"""A bundle checked off-line: its manifest, every file against it, and every receipt in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

from rollcall.proof import bundles, verifying
from rollcall.proof.verifying import LARGEST, NotVerified, Trusted

MOST_FILES = 64
"""Files of a bundle, at most: one for each day, and four."""

_CHUNK = 256 * 1024
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
            return _verify(archive, trusted)
    except (BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
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
        f"not in it    {waiting:,} that waited for a destination" if waiting else "not in it    none",
    ]


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
        return verifying.read_statement(handle.read(LARGEST + 1))


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
