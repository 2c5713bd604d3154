# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The partitions that a target has now, compared with those of the image: which of them a restored table would drop."""

from __future__ import annotations

import re
import struct
from typing import List, NamedTuple, Sequence, Tuple

from ..amounts import size
from ..disk.filesystems.registry import detect
from ..disk.gpt import detect_sector_bytes
from ..disk.layout import DiskLayout, read_layout
from ..disk.mbr import PROTECTIVE
from ..disk.open import open_source
from ..disk.sector_size import read_layout_of_device
from ..disk.signatures import recognise
from ..disk.source import BlockSource, FileSource, WindowSource
from ..errors import DiskError
from .target import Target

_LIKE_A_NUMBER = re.compile(r"(disk[0-9]+p)?([0-9]+|byte[0-9]+)")


class Claim(NamedTuple):
    """A partition as its table has it. ``identity`` is all of it that must agree: table, number, place, type and id."""

    number: str
    name: str
    start_bytes: int
    length_bytes: int
    identity: Tuple[object, ...]
    kind: str = ""  # what is on it

    @property
    def words(self) -> str:
        """How a refusal prints it."""
        what = [self.kind] if self.kind else []
        what += ['"%s"' % self.name] if self.name else []
        return "%s (%s)" % (self.number, ", ".join([*what, size(self.length_bytes)]))

    def is_named_by(self, given: Sequence[str], disk: str, is_only_disk: bool, claims: Sequence[Claim]) -> bool:
        """Whether one of ``given`` means it: its number with the disk's name, where one disk is restored without it, or its name.

        A name counts when no other of ``claims`` has it and it can't be read as the number of another: Windows calls
        every partition "Basic data partition", and one may be called "3".
        """
        names = {"%sp%s" % (disk, self.number)} | ({self.number} if is_only_disk else set())
        is_clear = [one.name for one in claims].count(self.name) == 1 and not _LIKE_A_NUMBER.fullmatch(self.name)
        return not (names | ({self.name} if self.name and is_clear else set())).isdisjoint(given)


class Present(NamedTuple):
    """The content of a disk: its table and partitions, and a file system or the like on the whole disk as number 0."""

    layout: DiskLayout
    claims: List[Claim]
    is_shown: bool = True  # no when the table lacks its first sector, so that no system shows its partitions

    def lacking_in(self, other: List[Claim]) -> List[Claim]:
        """The partitions that ``other`` does not have in the same place with the same identity."""
        there = {one.identity for one in other}
        return [one for one in self.claims if one.identity not in there]


def present_on(target: Target, sector_bytes: int) -> Present:
    """Look at the partition table of a target that exists.

    :param sector_bytes: of the imaged disk; a plain file has the sectors that its own table was made with.
    """
    source = open_source(target.path) if target.is_device else FileSource(target.path, sector_bytes)
    with source:
        if not target.is_device:
            source.sector_bytes = detect_sector_bytes(source) or sector_bytes
        layout = read_layout_of_device(source) if target.is_device else read_layout(source)
        found = partitions_of(source, layout)
        return found if found.claims else _without_first_sector(source, found)


class _Protected(BlockSource):
    """A disk as it would be with a protective MBR in its first sector."""

    def __init__(self, source: BlockSource) -> None:
        self.path, self.size_bytes, self.sector_bytes = source.path, source.size_bytes, source.sector_bytes
        self._source = source
        entry = struct.pack("<B3sB3sII", 0, bytes(3), PROTECTIVE, bytes(3), 1, 0xFFFFFFFF)
        self._first = (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa"

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        data = self._source.read(offset_bytes, length_bytes)
        mine = self._first[offset_bytes : offset_bytes + length_bytes]
        return mine + data[len(mine) :]


def _without_first_sector(source: BlockSource, found: Present) -> Present:
    """A GPT whose protective MBR was wiped: its partitions are invisible, but their data still exists."""
    if source.size_bytes < 4 * source.sector_bytes:
        return found
    layout = read_layout(_Protected(source))
    return partitions_of(source, layout)._replace(is_shown=False) if layout.scheme == "gpt" else found


def partitions_of(source: BlockSource, layout: DiskLayout, looks_inside: bool = True) -> Present:
    """The partitions of ``layout`` as claims on the disk's bytes; what only other entries of the table name comes too."""
    if layout.scheme == "none":
        kind = layout.whole_because or _inside(source)
        whole = Claim("0", "", 0, source.size_bytes, ("none", 0, source.size_bytes), kind)
        return Present(layout, [whole] if kind else [])
    claims = []
    for one in layout.partitions:
        if one.role == "extended" or not one.length_bytes:
            continue
        identity = (
            (layout.scheme, layout.disk_id, one.number)
            + (one.start_bytes, one.length_bytes)
            + (one.type_id.lower(), one.unique_id.lower())
        )
        kind = _inside(_window(source, one.start_bytes, one.length_bytes)) if looks_inside else ""
        claims.append(Claim(str(one.number), one.name, one.start_bytes, one.length_bytes, identity, kind))
    return Present(layout, claims + _unnamed(layout))


def _unnamed(layout: DiskLayout) -> List[Claim]:
    """Entries of the table that no system shows as a partition (a hybrid MBR's own): they go with the table."""
    return [
        Claim("byte%d" % one.start_bytes, "", one.start_bytes, one.length_bytes, ("unnamed", *one))
        for one in layout.unnamed
    ]


def _window(source: BlockSource, start_bytes: int, length_bytes: int) -> BlockSource:
    return WindowSource(source, start_bytes, max(0, min(length_bytes, source.size_bytes - start_bytes)))


def _inside(source: BlockSource) -> str:
    """The content of a volume, "" if unrecognised."""
    try:
        kind = recognise(source)
        file_system = None if kind else detect(source)
        return kind or (file_system.kind if file_system is not None else "")
    except DiskError as error:
        return str(error).rstrip(".")
