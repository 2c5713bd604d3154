# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sector size that a partition table counts in: a GPT states it, an MBR only shows it by the content that its
entries point to.

A plain file does not record the sector size of the disk that it is a copy of. A device reports a size, but its table
may have been made in a housing that reports another one.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from ..errors import FileSystemInvalid
from .filesystems.registry import detect
from .gpt import detect_sector_bytes, has_gpt
from .layout import DiskLayout, imaged_whole, read_layout
from .mbr import starts_of_mbr
from .signatures import recognise
from .source import BlockSource, FileSource, WindowSource

_SIZES = (512, 4096)


def read_layout_of_device(source: FileSource, *, table_is_trusted: bool = False) -> DiskLayout:
    """Read the partition table of a device, in units of the device's sectors unless only another size leads to a
    volume.

    The image keeps the device's sector size: it is restored to a device like it. Where neither size leads to a volume,
    the device's own applies, as for every system that runs on it.
    """
    own = source.sector_bytes
    sizes = [own, *(size for size in _SIZES if size != own)]
    found = next((size for size in sizes if has_gpt(source, size)), None)
    if found is None:
        starts = starts_of_mbr(source)
        found = _recognising(source, starts, sizes) if starts else None
    if found is None or found == own:
        return read_layout(source, table_is_trusted=table_is_trusted)
    view = WindowSource(source, 0, source.size_bytes, source.path)
    view.sector_bytes = found
    layout = read_layout(view, table_is_trusted=table_is_trusted)
    if layout.scheme == "none":
        return read_layout(source, table_is_trusted=table_is_trusted)
    warning = (
        "The partition table of %s uses sectors of %d bytes, but the disk has sectors of %d; the image "
        "follows the partition table."
    )
    return layout._replace(warnings=[*layout.warnings, warning % (source.path, found, own)])


def read_layout_of_file(source: FileSource, *, table_is_trusted: bool = False) -> DiskLayout:
    """Find out the sector size of a plain file, set it, and read the partition table.

    With an MBR it is the size for which something is recognised at the start of a partition. Where nothing is, the file is one whole:
    read with the wrong size, an image of the partitions would hold an eighth of each.
    """
    found = detect_sector_bytes(source)
    starts = starts_of_mbr(source) if found is None else []
    if found is None and starts:
        found = _recognising(source, starts, _SIZES)
    source.sector_bytes = found or source.sector_bytes
    layout = read_layout(source, table_is_trusted=table_is_trusted)
    if layout.scheme == "mbr" and found is None and not table_is_trusted:
        return imaged_whole(source, "its partitions contain no known structure, so its sector size is unknown")
    return layout


def _recognising(source: BlockSource, starts: List[Tuple[int, bool]], sizes: Sequence[int]) -> Optional[int]:
    return next((size for size in sizes if any(_recognised(source, starts, size))), None)


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
