# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a used target that become zeros before the restore: marks of its former content must not claim anything.

Marks of software and firmware RAID, of other volume managers and file systems are in the first and last sectors of a disk
or volume, the backup of a partition table in the last ones. Where the image has nothing there they would stay, and the
next start would make the restored volume a member of a RAID that is long gone. Cleared ranges are written last.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

from ..disk.exclusions import leave_out
from ..disk.extents import ExtentSet
from ..disk.filesystems.registry import detect
from ..disk.layout import Partition
from ..disk.patterns import Pattern
from ..disk.source import WindowSource
from ..errors import EngineError
from ..image.reader import DiskReader
from ..image.source import ImageSource
from .scope import Scope

_MARKS_BYTES = 1 << 20
# Marks that lie further inside [libblkid, vmfs.c and promise_raid.c]: from the start, and from the end.
_FAR_FROM_START, _FAR_FROM_END, _FAR_BYTES = (1 << 20, 2 << 20), (3087 * 512,), 4096
_HEAD_BYTES = 64 << 10
_MOST_HEADS = 10_000


def to_clear(
    reader: DiskReader, scope: Scope, stale: Sequence[Tuple[int, int]], table_stays: bool, size_bytes: int
) -> ExtentSet:
    """The bytes to be cleared of a target of ``size_bytes``; the caller cuts them to what it may write.

    Both ends of each restored volume, and where the table is replaced both ends of the disk and of the imaged disk.
    When the whole disk is restored, both ends of each partition that the target has now, or had, too.

    :param stale: those partitions, start and length in bytes.
    """
    places = [(one.start_bytes, one.length_bytes) for one in scope.volumes]
    if not table_stays:
        places += [(0, size_bytes), (0, reader.size_bytes)]
    if not scope.is_partial:
        places += stale
    ends = ExtentSet(end for start, length in places for end in _ends(start, length))
    heads = ExtentSet(head for one in scope.volumes for head in _stale_heads(reader, one))
    return ends.union(heads).intersection(ExtentSet([(0, size_bytes)]))


def _ends(start: int, length: int) -> List[Tuple[int, int]]:
    """Both ends of what is ``length`` bytes long, and the places of marks that lie further inside."""
    size = min(_MARKS_BYTES, length)
    far = [place for place in _FAR_FROM_START if place + _FAR_BYTES <= length]
    far += [length - place for place in _FAR_FROM_END if place <= length]
    return [(start, size), (start + length - size, size), *((start + place, _FAR_BYTES) for place in far)]


def _stale_heads(reader: DiskReader, volume: Partition) -> Iterator[Tuple[int, int]]:
    """The heads of system files that images exclude: images of earlier versions do not hold them.

    The target's own could be valid: Windows would resume yesterday's memory from its hiberfil.sys.
    """
    window = WindowSource(ImageSource(reader), volume.start_bytes, volume.length_bytes)
    try:
        file_system = detect(window)
        tree = file_system.tree() if file_system is not None and file_system.always_left_out else None
        if file_system is None or tree is None:
            return
        patterns = [Pattern.parse(text).below((), tree.case_sensitive) for text in file_system.always_left_out]
        everything = ExtentSet([(0, window.size_bytes)])
        found = everything.difference(leave_out(everything, tree, patterns).kept)
    except EngineError:
        return  # a volume that is not understood was imaged whole
    for number, extent in enumerate(found):
        if number == _MOST_HEADS:
            return
        yield volume.start_bytes + extent.start_bytes, min(_HEAD_BYTES, extent.length_bytes)
