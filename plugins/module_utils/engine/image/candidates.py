# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kept images of a device as a new run sees them, and which of their disks may hold what a disk holds now.

A disk is looked for by what names it (WWN, serial, table) and its size first; but disks are replaced, cloned, renamed and
swapped, and an image may hold one volume only. So every disk of every kept image is a candidate, the likeliest first. A
candidate costs nothing until something is missing that it may hold; then a few roots are fetched at once, as long as what is
missing is worth it. Nothing is believed unproved: roots are sealed with the key, segments have ids, packs are looked for.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..errors import ImageDamaged, PasswordMissing, StorageNotFound
from ..storage.together import together
from . import documents, records
from . import format as fmt
from .directory import DeviceDirectory
from .files import open_file
from .index import Root
from .keys import MasterKey
from .manifest import DiskEntry, Manifest
from .needs import usable_packs
from .places import VolumePlace, places_of
from .previous import Previous

_MOST_FAILED = 16  # roots of one disk that could not be used
_BATCH = 8  # roots fetched at once
_MOST_BYTES = 12 << 20  # that all roots of a disk take as they are encoded, beside the first: some 80 MB of memory
_DESCRIPTION_BYTES = 1 << 20  # of a device with many disks; a larger one tells nothing
_SEAL_BYTES = 4 << 10  # that sealing adds at most
WORTH = 16  # bytes that are missing, for each byte that is fetched to look for them

_Item = Tuple[Manifest, int]  # a disk of a kept image, by its number


class DiskName(NamedTuple):
    """What a manifest says of a disk without the password."""

    stable_id: str
    size_bytes: int


class KeptImages:
    """The complete images of the run's key, oldest first; keeps what was asked about them."""

    def __init__(
        self,
        directory: DeviceDirectory,
        key: Optional[MasterKey],
        images: Sequence[Manifest],
        present: Dict[str, int],
        warnings: List[str],
    ) -> None:
        self._directory = directory
        self._key = key
        self.images = images
        self.present = present
        self._warnings = warnings
        self._false: Dict[str, bool] = {}
        self._places: Dict[str, Dict[int, List[VolumePlace]]] = {}

    def are_false(self, images: Sequence[str]) -> List[bool]:
        """What a full verify found and no pack is to blame for heals when nothing is taken over from that image."""
        new = [image for image in dict.fromkeys(images) if image not in self._false]
        found = records.read_of(self._directory, new, self._key) if new else []
        for image, facts in zip(new, found):
            said = (one for one in facts if one.kind == records.VERIFIED and one.is_believed)
            self._false[image] = any(one.has_false_index for one in said)
            if self._false[image]:
                self._warnings.append("The index of the image %s was found false; nothing is taken over." % image)
        return [self._false[image] for image in images]

    def load(self, image: str, number: int, most_bytes: int = fmt.MAX_SEALED_PLAIN_BYTES) -> Optional[Previous]:
        """The root of disk ``number`` of ``image``; None where it can't be used."""
        name = fmt.index_name(number)
        try:
            data = self._directory.storage.get(self._directory.path(image, name), 0, most_bytes + _SEAL_BYTES)
            root = Root.decode(open_file(self._key, image, name, data, most_bytes=most_bytes), image)
        except StorageNotFound:
            return None  # damage that verify names, or a rollover in this moment
        except (ImageDamaged, PasswordMissing) as error:
            self._warnings.append("%s Its chunks are sent again." % error)
            return None
        return Previous(image, root, usable_packs(root, self.present), complete=True, disk=number)

    def load_all(self, wanted: Sequence[_Item]) -> List[Optional[Previous]]:
        """The roots of several disks, fetched together; no larger than their manifests say."""
        false = self.are_false([manifest.image for manifest, dummy in wanted])

        def one(item: Tuple[_Item, bool]) -> Optional[Previous]:
            (manifest, number), is_false = item
            most_bytes = min(_plain_bytes((manifest, number)), fmt.MAX_SEALED_PLAIN_BYTES)
            return None if is_false else self.load(manifest.image, number, most_bytes)

        return together(self._directory.storage, one, list(zip(wanted, false)))

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

    def __init__(self, kept: KeptImages, disk: DiskName, others: Set[str]) -> None:
        """:param others: stable ids of the other disks of this run."""
        self._kept = kept
        self._disk = disk
        self._failed = 0
        self._left_bytes = _MOST_BYTES
        self._ranked = _ranked(kept.images, disk, others)
        self.first = self._find_first()

    def _find_first(self) -> Optional[Previous]:
        """The newest image of a disk of this name and size whose root can be used."""
        for item in [item for item in _newest_first(self._kept.images) if _is_same(_entry(item), self._disk)]:
            if self._failed >= _MOST_FAILED:
                break
            self._ranked.remove(item)
            manifest, number = item
            if not any(self._kept.are_false([manifest.image])):
                previous = self._kept.load(manifest.image, number)
                if previous is not None:
                    return previous
            self._failed += 1
        return None

    def more(self, missing_bytes: int) -> List[Previous]:
        """The next few, when what is missing is worth the bytes that they take; [] when not, or when there are no more."""
        batch = self._ranked[:_BATCH]
        fetched_bytes = sum(_entry(item).index_bytes for item in batch)
        if not self.are_left or missing_bytes < fetched_bytes * WORTH:
            return []
        self._ranked = self._ranked[_BATCH:]
        fitting = []
        for item in batch:
            plain_bytes = _plain_bytes(item)
            if plain_bytes <= self._left_bytes:
                self._left_bytes -= plain_bytes
                fitting.append(item)
        found = self._kept.load_all(fitting)
        self._failed += found.count(None)
        return [one for one in found if one is not None]

    @property
    def are_left(self) -> bool:
        return bool(self._ranked) and self._failed < _MOST_FAILED

    def places(self, several: Sequence[Previous]) -> List[List[VolumePlace]]:
        return self._kept.places(several)


def _newest_first(images: Sequence[Manifest]) -> Iterator[_Item]:
    for manifest in reversed(images):
        for number in range(len(manifest.disks)):
            yield manifest, number


def _ranked(images: Sequence[Manifest], disk: DiskName, others: Set[str]) -> List[_Item]:
    """Every disk of every image: of each the newest image first, then the fullest, then the others; likeliest disks first.

    Images of one disk hold mostly the same, so that one of each disk is asked before a second one of any.
    """
    groups: Dict[Tuple[int, str, int], List[_Item]] = {}
    for item in _newest_first(images):
        entry = _entry(item)
        groups.setdefault((_likeliness(entry, disk, others), entry.stable_id, entry.size_bytes), []).append(item)
    turns: List[Tuple[int, int, _Item]] = []
    for (likeliness, dummy, dummy2), group in groups.items():
        fullest = max(range(len(group)), key=lambda position: _entry(group[position]).in_use_bytes)
        ordered = (
            group[:1] + group[fullest : fullest + 1 if fullest else fullest] + group[1:fullest] + group[fullest + 1 :]
        )
        turns += [(turn, likeliness, item) for turn, item in enumerate(ordered if fullest else group)]
    return [item for dummy, dummy2, item in sorted(turns, key=lambda turn: turn[:2])]


def _likeliness(entry: DiskEntry, disk: DiskName, others: Set[str]) -> int:
    """0 for the same disk; then the same one with another size, one that is gone, and one that is imaged beside this one."""
    if entry.stable_id == disk.stable_id:
        return 0 if entry.size_bytes == disk.size_bytes else 1
    return (4 if entry.stable_id in others else 2) + (entry.size_bytes != disk.size_bytes)


def _is_same(entry: DiskEntry, disk: DiskName) -> bool:
    return entry.stable_id == disk.stable_id and entry.size_bytes == disk.size_bytes


def _entry(item: _Item) -> DiskEntry:
    manifest, number = item
    return manifest.disks[number]


def _plain_bytes(item: _Item) -> int:
    """The most that the root of a disk can take, by what its manifest tells; what is larger is not used."""
    segments = -(-_entry(item).size_bytes // fmt.SEGMENT_BYTES)
    return Root.most_bytes(segments, item[0].pack_count)


def _most_disks(information: Dict[str, Any]) -> int:
    disks = information.get("disks")
    return min(len(disks), fmt.MAX_DISKS) if isinstance(disks, dict) else 0
