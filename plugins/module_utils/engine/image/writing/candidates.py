# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kept images of a device as a new run sees them, and which of their disks may hold what a disk holds now.

A disk is looked for by what names it (WWN, serial, table) and its size first; but disks are replaced, cloned, renamed
and swapped, and an image may hold one volume only. So every disk of every kept image is a candidate, the likeliest
first. A candidate costs nothing until something is missing that it may hold; then a few roots are fetched at once, as
long as what is missing is worth it. Every reused part is proved: roots are sealed with the key, segments have ids,
packs are looked for.
"""

from __future__ import annotations

from typing import Any, Dict, List, MutableMapping, NamedTuple, Optional, Sequence, Set, Tuple

from ...errors import (
    EngineError,
    ImageDamaged,
    PasswordMissing,
    RunCancelled,
    StorageError,
    StorageNotFound,
    StoragePermissionDenied,
)
from ...storage.shared_connect import together
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import documents
from ..format.contents import DiskContents
from ..format.index import Root
from ..format.keys import MasterKey
from ..format.manifest import DiskEntry, Manifest
from ..format.sealed_files import open_file
from ..pack_references import usable_packs
from .coming import ComingDisk
from .previous import Previous
from .volume_places import VolumePlace, places_of

_MOST_WASTED_BYTES = 64 << 20  # that are fetched of one disk's roots which can't be used
_BATCH = 8  # roots fetched at once
_MOST_BYTES = 12 << 20  # that all roots of a disk take as they are encoded, beside the first: about 80 MB of memory
_DESCRIPTION_BYTES = 4 << 20  # more than a device document may have; a larger one tells nothing
WORTH = 16  # bytes that are missing, for each byte that is fetched to look for them


class DiskOfImage(NamedTuple):
    """A disk of a kept image, as the manifest tells."""

    image: str
    number: int
    entry: DiskEntry
    pack_count: int

    @property
    def plain_bytes(self) -> int:
        """The most that its root can take; what is larger is not used."""
        segments = -(-self.entry.size_bytes // fmt.SEGMENT_BYTES)
        return min(fmt.MAX_SEALED_PLAIN_BYTES, Root.most_bytes(segments, self.pack_count))


class KeptImages:
    """The complete images of the run's key, proved with it, oldest first; keeps what was asked about them."""

    def __init__(
        self,
        directory: DeviceDirectory,
        key: Optional[MasterKey],
        images: Sequence[Manifest],
        present: MutableMapping[str, int],
        warnings: List[str],
    ) -> None:
        self._directory = directory
        self._key = key
        self.images = images
        self.present = present
        self._warnings = warnings
        self._wasted_bytes: List[int] = []
        self._false: Dict[str, bool] = {}
        self._places: Dict[str, Dict[int, List[VolumePlace]]] = {}

    def are_false(self, images: Sequence[str]) -> List[bool]:
        """Damage that a full verify found without a damaged pack heals when the run reuses no part of that image."""
        new = [image for image in dict.fromkeys(images) if image not in self._false]
        found = records.read_of(self._directory, new, self._key) if new else []
        for image, facts in zip(new, found):
            said = (one for one in facts if one.kind == records.VERIFIED and one.is_believed)
            self._false[image] = any(one.has_false_index for one in said)
            if self._false[image]:
                self._warnings.append("The index of the image %s is wrong; the run does not reuse it." % image)
        return [self._false[image] for image in images]

    def load(self, wanted: Sequence[DiskOfImage]) -> List[Optional[Previous]]:
        """The roots of several disks, fetched together, no larger than their manifests say; ``None`` for one that can't
        be used."""
        proved = list(zip(wanted, self.are_false([one.image for one in wanted])))
        return together(self._directory.storage, lambda one: None if one[1] else self._load(one[0]), proved)

    @property
    def is_exhausted(self) -> bool:
        """Whether so much that could not be used was fetched that no more is tried."""
        return sum(self._wasted_bytes) >= _MOST_WASTED_BYTES

    def _load(self, wanted: DiskOfImage) -> Optional[Previous]:
        name = fmt.index_name(wanted.number)
        data = b""
        try:
            data = self._directory.storage.get(self._directory.path(wanted.image, name), 0, wanted.entry.index_bytes)
            root = Root.decode(
                open_file(self._key, wanted.image, name, data, most_bytes=wanted.plain_bytes), wanted.image
            )
        except (StorageNotFound, StoragePermissionDenied):
            return None  # damage that verify names, or a rollover in this moment
        except EngineError as error:
            if isinstance(error, (StorageError, RunCancelled)):
                raise
            self._wasted_bytes.append(len(data))
            self._warnings.append("%s The run uploads its chunks again." % error)
            return None
        return Previous(wanted.image, root, usable_packs(root, self.present), complete=True, disk=wanted.number)

    def places(self, several: Sequence[Previous]) -> List[List[VolumePlace]]:
        """Where the volumes of each disk of ``several`` lay, as far as its image tells."""
        new = [image for image in dict.fromkeys(one.image for one in several) if image not in self._places]
        for image, places in zip(new, together(self._directory.storage, self._read_places, new)):
            self._places[image] = places
        return [self._places[one.image].get(one.disk, []) for one in several]

    def _read_places(self, image: str) -> Dict[int, List[VolumePlace]]:
        name = fmt.DEVICE_INFORMATION_NAME
        try:
            data = self._directory.storage.get(self._directory.path(image, name), 0, _DESCRIPTION_BYTES)
            information = documents.parse(open_file(self._key, image, name, data, most_bytes=_DESCRIPTION_BYTES))
        except (ImageDamaged, PasswordMissing, StorageNotFound, ValueError):
            return {}  # verify names the damage; what moved is sent again
        return {number: places_of(information, number) for number in range(_most_disks(information))}


class Candidates:
    """The disks of kept images that may hold what one disk holds now. ``first`` is what names the same disk."""

    def __init__(self, kept: KeptImages, disk: ComingDisk, others: Set[str]) -> None:
        """:param others: stable ids of the other disks of this run."""
        self._kept = kept
        self._left_bytes = _MOST_BYTES
        disks = [
            DiskOfImage(manifest.image, number, entry, manifest.pack_count)
            for manifest in reversed(kept.images)
            for number, entry in enumerate(manifest.disks)
        ]
        same = [one for one in disks if _likeliness(one.entry, disk, others) == 0]
        self.first: Optional[Previous] = None
        self._first_tells = False
        while same and self.first is None and not kept.is_exhausted:
            (self.first,) = kept.load([same[0]])
            self._first_tells = _volumes(disk.contents) <= _volumes(same[0].entry.contents)
            disks.remove(same.pop(0))
        self._ranked = _ranked(disks, disk, others)

    @property
    def dying_packs(self) -> Set[str]:
        """The packs that ``first`` still needs a little of, and that die when nothing new relies on them.

        An image of fewer volumes than are imaged now does not tell: what it needs little of, the others may need whole.
        """
        if self.first is None or not self._first_tells:
            return set()
        packs, present = self.first.root.packs, self._kept.present
        return {name for name, need in packs.items() if present.get(name) == need.size_bytes} - self.first.usable

    def more(self, missing_bytes: int) -> List[Previous]:
        """The next few, when what is missing is worth the bytes that they take; [] when not, or when there are no more."""
        batch = self._ranked[:_BATCH]
        fetched_bytes = sum(one.entry.index_bytes for one in batch)
        if not batch or self._kept.is_exhausted or missing_bytes < fetched_bytes * WORTH:
            return []
        self._ranked = self._ranked[_BATCH:]
        fitting: List[DiskOfImage] = []
        left_bytes = self._left_bytes
        for one in batch:
            if one.plain_bytes <= left_bytes:
                left_bytes -= one.plain_bytes
                fitting.append(one)
        found = self._kept.load(fitting)
        self._left_bytes -= sum(one.plain_bytes for one, previous in zip(fitting, found) if previous is not None)
        return [previous for previous in found if previous is not None]

    def places(self, several: Sequence[Previous]) -> List[List[VolumePlace]]:
        return self._kept.places(several)


def _ranked(disks: List[DiskOfImage], disk: ComingDisk, others: Set[str]) -> List[DiskOfImage]:
    """``disks``, newest first, in the order in which they are tried: of each the newest, then the fullest, then the others.

    Images of one disk hold mostly the same, so that one of each disk is asked before a second one of any.
    """
    groups: Dict[Tuple[int, str, int], List[DiskOfImage]] = {}
    for one in disks:
        name = (_likeliness(one.entry, disk, others), one.entry.stable_id, one.entry.size_bytes)
        groups.setdefault(name, []).append(one)
    turns: List[Tuple[int, int, DiskOfImage]] = []
    for (likeliness, dummy, dummy2), group in groups.items():
        fullest = max(range(len(group)), key=lambda position: group[position].entry.in_use_bytes)
        if fullest > 1:
            group.insert(1, group.pop(fullest))
        turns += [(turn, likeliness, one) for turn, one in enumerate(group)]
    return [one for dummy, dummy2, one in sorted(turns, key=lambda turn: turn[:2])]


def _likeliness(entry: DiskEntry, disk: ComingDisk, others: Set[str]) -> int:
    """0 for the same disk; then the same one with another size, one with the same table or volumes, one that no longer
    exists, and one that is imaged beside this one."""
    is_other_size = entry.size_bytes != disk.size_bytes
    if entry.stable_id == disk.stable_id:
        return int(is_other_size)
    if _marks(entry.contents) & _marks(disk.contents):
        return 2 + is_other_size
    return (6 if entry.stable_id in others else 4) + is_other_size


def holds(images: Sequence[Manifest], disk: DiskEntry) -> bool:
    """Whether one of ``images`` has a disk of this name, or one with a mark of it."""
    marks = _marks(disk.contents)
    return any(
        entry.stable_id == disk.stable_id or marks & _marks(entry.contents) for one in images for entry in one.disks
    )


def _marks(contents: DiskContents) -> Set[str]:
    """The ids that a copy of a disk has in common with it: of the table and the partitions."""
    return {mark for mark in [contents.table, *(one.id for one in contents.volumes)] if mark and not mark.isdigit()}


def _volumes(contents: DiskContents) -> Set[str]:
    return {one.id for one in contents.volumes}


def _most_disks(information: Dict[str, Any]) -> int:
    disks = information.get("disks")
    return min(len(disks), fmt.MAX_DISKS) if isinstance(disks, dict) else 0
