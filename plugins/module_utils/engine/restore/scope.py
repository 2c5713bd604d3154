# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a disk that an image holds: its volumes, and the bytes of volumes that were not chosen.

The index counts in chunks. A chunk that two partitions share is in the image when either has a byte in use in it, and
reads as zeros where the other has its own. So a restore cuts what it writes to what this file says. Images of every
version tell it: by their partition table, and by the note of their run about each volume.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from ..disk.extents import ExtentSet
from ..disk.layout import DiskLayout, Partition, imaged_whole, read_layout
from ..errors import EngineError
from ..image.format import documents
from ..image.format.constants import CHUNK_BYTES, DEVICE_INFORMATION_NAME
from ..image.reader import DiskReader, ImageReader
from ..image.source import ImageSource


class Scope(NamedTuple):
    """``volumes`` are the partitions whose content is restored, ``left_alone`` the numbers of the others."""

    layout: DiskLayout
    volumes: List[Partition]
    left_alone: List[int]
    kept: ExtentSet  # bytes that belong to partitions that were not chosen, and to none that was
    deselected: Tuple[int, ...] = ()  # of ``left_alone``, those that the image holds

    @property
    def is_partial(self) -> bool:
        """Whether some volumes were not chosen, for the image or for the restore."""
        return bool(self.left_alone)

    @property
    def held(self) -> ExtentSet:
        """The bytes of the volumes that are restored."""
        return ExtentSet((one.start_bytes, one.length_bytes) for one in self.volumes)


class _Note(NamedTuple):
    """The notes about a disk by the run that made the image."""

    scheme: str
    disk_id: str
    partitions: List[Partition]
    not_chosen: Set[int]


def scope_of(image: ImageReader, reader: DiskReader, name: str) -> Scope:
    """Find out what the image holds of the disk ``name``."""
    note = _note_of(image, name, reader.size_bytes)
    layout = _layout_of(ImageSource(reader), note)
    partitions = [one for one in layout.partitions if one.role != "extended"]
    return _without(layout, _all_holes(reader, partitions) if note is None else note.not_chosen, ())


def restricted(scope: Scope, numbers: Set[int]) -> Scope:
    """The scope of a restore of these partitions only."""
    deselected = tuple(one.number for one in scope.volumes if one.number not in numbers)
    return _without(scope.layout, set(scope.left_alone).union(deselected), deselected)


def _without(layout: DiskLayout, left_alone: Set[int], deselected: Tuple[int, ...]) -> Scope:
    partitions = [one for one in layout.partitions if one.role != "extended"]
    volumes = [one for one in partitions if one.number not in left_alone]
    others = ExtentSet((one.start_bytes, one.length_bytes) for one in partitions if one.number in left_alone)
    held = ExtentSet((one.start_bytes, one.length_bytes) for one in volumes)
    return Scope(layout, volumes, sorted(left_alone), others.difference(held), deselected)


def _layout_of(source: ImageSource, note: Optional[_Note]) -> DiskLayout:
    """The partitions as the run saw them, by the table in the image where that says the same.

    It may say something else when it is read without what the run knew: the size of the sectors that it counts in, or that its
    user trusts it although a RAID claims the disk.
    """
    if note is not None and note.scheme == "none":
        return imaged_whole(source, "")
    layout = read_layout(source)
    if note is None or _places(note.partitions) == _places(layout.partitions):
        return layout
    return layout._replace(scheme=note.scheme, disk_id=note.disk_id, partitions=note.partitions, whole_because="")


def _places(partitions: List[Partition]) -> Set[Tuple[int, int, int]]:
    return {(one.number, one.start_bytes, one.length_bytes) for one in partitions}


def _note_of(image: ImageReader, name: str, size_bytes: int) -> Optional[_Note]:
    """The content of ``device.json``, or None if it can't be used."""
    try:
        disk = documents.parse(image.document(DEVICE_INFORMATION_NAME))["disks"][name]
        not_chosen = {_number(one["number"]) for one in disk["volumes"] if one["selected"] is False}
        layout = disk["layout"]
        partitions = [_partition(one, size_bytes) for one in layout["partitions"]]
        return _Note(str(layout["scheme"]), str(layout["disk_id"]), partitions, not_chosen)
    except (EngineError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _partition(noted: Dict[str, Any], size_bytes: int) -> Partition:
    number, start, length = (_number(noted[key]) for key in ("number", "start_bytes", "length_bytes"))
    if start + length > size_bytes:
        raise ValueError("a partition is outside the disk")
    type_id, unique_id, name, role = (str(noted.get(key) or "") for key in ("type_id", "unique_id", "name", "role"))
    return Partition(number, start, length, type_id, unique_id, name, role, bool(noted.get("bootable")))


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 60:
        raise ValueError("it is not a number of bytes")
    return value


def _all_holes(reader: DiskReader, partitions: List[Partition]) -> Set[int]:
    """The partitions without a chunk in use: a chosen partition has at least its first bytes in use."""
    used = reader.streamed()
    found = set()
    for one in partitions:
        start = -(-one.start_bytes // CHUNK_BYTES) * CHUNK_BYTES
        end = (one.start_bytes + one.length_bytes) // CHUNK_BYTES * CHUNK_BYTES
        if end > start and not any(True for dummy in used.clipped(start, end)):
            found.add(one.number)
    return found
