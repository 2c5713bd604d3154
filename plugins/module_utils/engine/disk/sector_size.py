# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sector size of the disk that a plain file is a copy of: a GPT tells, an MBR only by what lies where it points."""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

from ..errors import FileSystemInvalid
from .filesystems.registry import detect
from .gpt import detect_sector_bytes
from .layout import DiskLayout, imaged_whole, read_layout
from .mbr import starts_of_mbr
from .signatures import recognise
from .source import BlockSource, FileSource, WindowSource

_SIZES = (512, 4096)


def read_layout_of_file(source: FileSource) -> DiskLayout:
    """Find out the sector size of a plain file, set it, and read the partition table.

    With an MBR it is the size for which something is recognised at the start of a partition. Where nothing is, the file is one whole:
    read with the wrong size, an image of the partitions would hold an eighth of each.
    """
    found = detect_sector_bytes(source)
    starts = starts_of_mbr(source) if found is None else []
    if found is None and starts:
        found = _recognising(source, starts)
    source.sector_bytes = found or source.sector_bytes
    layout = read_layout(source)
    if layout.scheme == "mbr" and found is None:
        return imaged_whole(
            source, "nothing is recognised in its partitions, so that the size of its sectors is not known"
        )
    return layout


def _recognising(source: BlockSource, starts: List[Tuple[int, bool]]) -> Optional[int]:
    return next((size for size in _SIZES if any(_recognised(source, starts, size))), None)


def _recognised(source: BlockSource, starts: List[Tuple[int, bool]], sector_bytes: int) -> Iterator[bool]:
    for start, is_extended in starts:
        place = start * sector_bytes
        if not 0 < place <= source.size_bytes - 512:
            continue
        window = WindowSource(source, place, source.size_bytes - place)
        if is_extended:
            yield source.read(place + 510, 2) == b"\x55\xaa"
            continue
        try:
            yield detect(window) is not None or bool(recognise(window))
        except FileSystemInvalid:
            yield True
