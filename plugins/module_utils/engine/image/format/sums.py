# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``SHA256SUMS``: every file of an image and every pack it needs, in the form that ``sha256sum -c`` reads."""

from __future__ import annotations

import re
from typing import Callable, Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional

from ...errors import ImageDamaged
from . import constants as fmt
from .pack_names import NamesOfPacks

_LINE = re.compile(
    r"([0-9a-f]{64})  (?:\.\./packs/([0-9a-f]{2})/([0-9a-f]{64})|(keys/[0-9a-f]{64}\.json|[a-z0-9][a-z0-9.]{0,63}))"
)
SHORT_LIST = 1 << 16  # packs; a longer list is held against what the storage holds
_MAX_LINE_BYTES = 1 << 10
MOST_FILES = fmt.MAX_DISKS + fmt.MAX_KEY_SLOTS + 16


class Sums(NamedTuple):
    """The parsed list: files by name below the image's directory, and pack names."""

    files: Dict[str, str]
    packs: Collection[str]  # as listed; of very many a set


def encode(files: Dict[str, str], packs: List[str]) -> bytes:
    """Lines in a fixed order; paths relative to the image's directory."""
    lines = ["%s  %s\n" % (digest, name) for name, digest in sorted(files.items())]
    lines += ["%s  ../%s/%s/%s\n" % (name, fmt.PACKS, name[:2], name) for name in sorted(packs)]
    return "".join(lines).encode("ascii")


def decode(data: bytes, image: str) -> Sums:
    """:raises ImageDamaged: for a line that names anything but our own files."""
    return read([data], image)


def read(pieces: Iterable[bytes], image: str, most_packs: Callable[[], int] = lambda: fmt.MAX_PACKS) -> Sums:
    """Parse a list as it comes: the first line that is not ours ends it, however long the file is.

    :param most_packs: how many packs a list may name; only asked of a long one.
    :raises ImageDamaged: for a line that names anything but our own files.
    """
    files: Dict[str, str] = {}
    packs = _Packs(image)
    limit = min(fmt.MAX_PACKS, SHORT_LIST)
    for line in lines(pieces, image):
        match = _LINE.fullmatch(line.decode("ascii", "replace"))
        if match is None or (match.group(3) and not match.group(1) == match.group(3)):
            raise ImageDamaged(image=image, reason="its SHA256SUMS contains a malformed line")
        if match.group(3):
            if match.group(2) != match.group(3)[:2]:
                raise ImageDamaged(image=image, reason="its SHA256SUMS lists a pack at a wrong path")
            if packs.count == limit:
                limit = min(fmt.MAX_PACKS, max(limit, most_packs()))
            if packs.count == limit:
                raise ImageDamaged(image=image, reason="its SHA256SUMS lists too many packs")
            packs.add(match.group(3))
        else:
            if match.group(4) in files:
                raise ImageDamaged(image=image, reason="its SHA256SUMS lists a file twice")
            if len(files) == MOST_FILES:
                raise ImageDamaged(image=image, reason="its SHA256SUMS lists too many files")
            files[match.group(4)] = match.group(1)
    return Sums(files, packs.done())


class _Packs:
    """The packs of a list, each of which is named once."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._seen: Dict[str, None] = {}
        self._many: Optional[NamesOfPacks] = None

    @property
    def count(self) -> int:
        return len(self._seen) if self._many is None else self._many.count

    def add(self, pack: str) -> None:
        if self._many is None and len(self._seen) == SHORT_LIST:
            self._many = NamesOfPacks()
            for name in self._seen:
                self._many.add(name)
            self._seen = {}
        if self._many is not None:
            self._many.add(pack)
        elif pack in self._seen:
            self._refuse_twins()
        else:
            self._seen[pack] = None

    def _refuse_twins(self) -> None:
        raise ImageDamaged(image=self._image, reason="its SHA256SUMS lists a pack twice")

    def done(self) -> Collection[str]:
        if self._many is None:
            return list(self._seen)
        names = self._many.done()
        if self._many.had_twins:
            self._refuse_twins()
        return names


def lines(pieces: Iterable[bytes], image: str) -> Iterator[bytes]:
    """The lines of a list, without their ends.

    :raises ImageDamaged: when it is too large, its lines are too long, or the last one has no end.
    """
    rest, size_bytes = b"", 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > fmt.MAX_SUMS_BYTES:
            raise ImageDamaged(image=image, reason="its SHA256SUMS is too large")
        start, end = 0, piece.find(b"\n")
        while end >= 0:
            yield rest + piece[start:end]
            rest, start = b"", end + 1
            end = piece.find(b"\n", start)
        rest += piece[start:]
        if len(rest) > _MAX_LINE_BYTES:
            raise ImageDamaged(image=image, reason="its SHA256SUMS contains a malformed line")
    if rest or not size_bytes:
        raise ImageDamaged(image=image, reason="its SHA256SUMS is cut off")
