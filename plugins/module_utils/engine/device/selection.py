# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks ``imaging_drives`` means on this machine (Linux), and which volumes of them.

An entry is ``all``, ``system``, a mount point, the path of a disk or volume, an image file, or a stable id: ``serial:...``,
``wwn:...``, ``gpt:<guid>``, ``mbr:<signature>``, or one of these without the word in front (rule 11).
"""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterable, List, Optional, Sequence

from ..amounts import size
from ..errors import DiskNotFound, DriveUnknown, NoDriveChosen
from ..host.mountinfo import Mount, read_mounts
from ..host.stack import BlockTree, Range, to_number
from .chosen import Chosen, can_move
from .disks import Disk, find_disks, table_id_at
from .stable_ids import disk_with_id

_SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi")
_BOOT = ("/boot", "/boot/efi", "/efi")
_SMALL_BOOT_BYTES = 1 << 30


class Selection:
    """Chooses among the disks of the machine below ``root``."""

    def __init__(self, root: str = "/", storage_folder: str = "") -> None:
        """:param storage_folder: where the images go when that is a folder of this machine: its disk is not in ``all``."""
        self._tree = BlockTree(root)
        self._mounts = read_mounts(root)
        self._disks = find_disks(self._tree)
        self._storage_disks = {place.name for place in self._tree.under_file(_existing(storage_folder))}
        self._table_ids: Dict[str, str] = {}

    def choose(self, entries: Sequence[str]) -> List[Chosen]:
        """Return what to open, each once, in the order of ``entries``.

        :raises DriveUnknown: an entry that names nothing here; the message lists what there is.
        :raises DriveAmbiguous: an id that more than one disk has.
        :raises NoDriveChosen: ``all`` or ``system`` on a machine without such a disk.
        :raises DiskNotFound: a path that is not there.
        """
        found: Dict[str, Chosen] = {}
        for entry in entries:
            for one in self._entry(entry):
                key = _one_name(one.path)
                before = found.get(key)
                found[key] = one if before is None else before.joined(one)
        return [self._with_boot_volumes(one) for one in found.values()]

    def _entry(self, entry: str) -> List[Chosen]:
        if entry in ("all", "system"):
            places = self._all() if entry == "all" else self._system()
            if not places:
                raise NoDriveChosen(drives=entry, disks=self._candidates(with_reasons=entry == "all"))
            return [Chosen(path, None, (entry,)) for path in places]
        if os.path.isabs(entry):
            return self._path(entry)
        return [Chosen(self._by_id(entry).path, None, (entry,))]

    # -- all, system ----------------------------------------------------------------------------------------------

    def _all(self) -> List[str]:
        return [disk.path for disk in self._disks if not self._why_not(disk)]

    def _why_not(self, disk: Disk) -> str:
        if disk.name in self._storage_disks and not disk.why_not:
            return "the images are stored on it"
        return disk.why_not

    def _system(self) -> List[str]:
        if not self._ranges_of("/"):
            return []  # a system in memory or on the network; its /boot alone would not be the system
        names = [place.name for point in _SYSTEM for place in self._ranges_of(point)]
        return [self._tree.path(name) for name in sorted(set(names), key=names.index)]

    # -- paths ----------------------------------------------------------------------------------------------------

    def _path(self, entry: str) -> List[Chosen]:
        name = self._tree.by_path(entry)
        if name:
            parent = self._tree.parent(name)
            if parent == name or not self._is_disk(parent):
                return [Chosen(self._tree.path(name), None, (entry,))]
            return [self._chosen(place, entry) for place in self._tree.beneath(name)]
        local = os.path.join(self._tree.root, entry.lstrip("/"))
        if os.path.isdir(local):
            return self._mount_point(entry)
        if not os.path.exists(local):
            raise DiskNotFound(path=entry)
        if not stat.S_ISREG(os.stat(local).st_mode):
            raise DriveUnknown(drive=entry, reason="it is neither a disk nor a file", disks=self._candidates())
        return [Chosen(os.path.realpath(local), None, (entry,))]

    def _mount_point(self, entry: str) -> List[Chosen]:
        point = os.path.normpath(entry)
        mount = self._mounted_at(point)
        if mount is None:
            reason = "it is a folder in %s" % self._holder_of(point)
            raise DriveUnknown(drive=entry, reason=reason, disks=self._candidates())
        places = self._ranges_of(point)
        if not places:
            reason = "%s is mounted there, which is not on a disk of this device" % mount.kind
            raise DriveUnknown(drive=entry, reason=reason, disks=self._candidates())
        return [self._chosen(place, entry) for place in places]

    def _mounted_at(self, point: str) -> Optional[Mount]:
        return next((mount for mount in reversed(self._mounts) if mount.point == point), None)

    def _holder_of(self, point: str) -> str:
        while self._mounted_at(point) is None and point != "/":
            point = os.path.dirname(point)
        return point

    def _chosen(self, place: Range, entry: str) -> Chosen:
        path = place.name if place.name.startswith("/") else self._tree.path(place.name)
        spans = frozenset([(place.start_bytes, place.end_bytes)]) if place.end_bytes else None
        return Chosen(path, spans, (entry,))

    def _ranges_of(self, point: str) -> List[Range]:
        """The parts of disks, or of the file behind a loop device, that hold what is mounted at ``point``."""
        mount = self._mounted_at(point)
        if mount is None:
            return []
        name = self._tree.by_number(mount.number)
        if not name and mount.source.startswith("/dev/"):
            name = self._tree.by_path(mount.source)
        file = self._tree.text(name, "loop/backing_file") if name else ""
        if file:
            start = to_number(self._tree.text(name, "loop/offset"))
            limit = self._tree.size_bytes(name) if start or self._tree.number(name, "loop/sizelimit") else 0
            return [Range(file, start, start + limit)]
        return self._tree.beneath(name) if name else []

    def _is_disk(self, name: str) -> bool:
        return any(disk.name == name for disk in self._disks)

    def _with_boot_volumes(self, chosen: Chosen) -> Chosen:
        """A disk's small boot volumes are always part of its image (docs/architecture.md); these are known by their place."""
        if chosen.spans is None:
            return chosen
        spans = set(chosen.spans)
        for point in _BOOT:
            for place in self._ranges_of(point):
                small = 0 < place.end_bytes - place.start_bytes <= _SMALL_BOOT_BYTES
                if small and self._chosen(place, "").path == chosen.path:
                    spans.add((place.start_bytes, place.end_bytes))
        return chosen._replace(spans=frozenset(spans))

    # -- ids ------------------------------------------------------------------------------------------------------

    def _by_id(self, entry: str) -> Disk:
        return disk_with_id(entry, [disk for disk in self._disks if not disk.path_of], self._table_id, self._describe)

    def _table_id(self, disk: Disk) -> str:
        if disk.name not in self._table_ids:
            self._table_ids[disk.name] = self._read_table_id(disk)
        return self._table_ids[disk.name]

    def _read_table_id(self, disk: Disk) -> str:
        path = os.path.join(self._tree.root, disk.path.lstrip("/"))
        return table_id_at(path, disk.sector_bytes) if disk.size_bytes else ""

    # -- messages -------------------------------------------------------------------------------------------------

    def _candidates(self, with_reasons: bool = False) -> str:
        return self._describe([disk for disk in self._disks if with_reasons or not disk.path_of], with_reasons)

    def _describe(self, disks: Iterable[Disk], with_reasons: bool = False) -> str:
        texts = []
        for disk in disks:
            facts = [disk.model, disk.stable_id or self._table_id(disk), size(disk.size_bytes)]
            facts += [self._why_not(disk)] if with_reasons else []
            texts.append("%s (%s)" % (disk.path, ", ".join(fact for fact in facts if fact)))
        return "; ".join(texts) or "none"


def moved(before: object, now: Dict[str, List[str]]) -> List[str]:
    """Warn of names that stand for other disks than when the previous image was made.

    :param before: the ``drives`` of the previous image's device information: entry -> stable ids of the disks.
    :param now: the same of this run.
    """
    if not isinstance(before, dict):
        return []
    warnings = []
    for entry, ids in now.items():
        old = before.get(entry)
        known = (
            isinstance(old, list) and old and all(isinstance(one, str) and not one.startswith("path:") for one in old)
        )
        if can_move(entry) and known and ids != old:
            warnings.append(
                "%s was %s in the previous image and is %s now: this image is compared with earlier images of that "
                "disk. Use such ids in imaging_drives if device names can change."
                % (entry, ", ".join(old or []), ", ".join(ids))
            )
    return warnings


def _existing(folder: str) -> str:
    """The nearest folder above that is there; "" for no folder."""
    while folder and not os.path.exists(folder):
        folder = os.path.dirname(folder.rstrip("/"))
    return folder


def _one_name(path: str) -> str:
    """``path``, or what all names of an image file with several hard links have in common."""
    try:
        status = os.stat(path)
    except OSError:
        return path  # opening it says why
    is_linked = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
    return "%d:%d" % (status.st_dev, status.st_ino) if is_linked else path
