# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks ``imaging_drives`` means on this machine (Windows), and which volumes of them.

An entry is ``all``, ``system``, a letter or a folder where a volume is mounted, ``disk0``, the raw name of a disk or volume, an
image file, or a stable id (rule 11). The choice never asks the file system for the parent of a name: that of ``C:\\`` is itself.
"""

from __future__ import annotations

import os
from typing import Dict, Iterable, List, Optional, Sequence

from ..amounts import size
from ..errors import DiskNotFound, DriveAmbiguous, DriveUnknown, NoDriveChosen
from ..host.windows_disks import VolumeOfDisks, number_in, path_of
from ..host.windows_names import NameKind, kind_of_name
from .chosen import Chosen, number_of
from .disks import Disk
from .stable_ids import disk_with_id
from .windows_disks import WindowsDisks

_SMALL_BOOT_BYTES = 1 << 30


class WindowsSelection:
    """Chooses among the disks of this Windows, which is asked only where an entry needs that."""

    def __init__(self, storage_folder: str = "") -> None:
        """:param storage_folder: where the images go when that is a folder of this machine: its disk is not in ``all``."""
        self._storage_folder = storage_folder
        self._asked: Optional[WindowsDisks] = None

    def choose(self, entries: Sequence[str]) -> List[Chosen]:
        """Return what to open, each once, in the order of ``entries``.

        :raises DriveUnknown: an entry that names nothing here. :raises DriveAmbiguous: one that names several disks.
        :raises DiskNotFound: an image file that is not there. :raises NoDriveChosen: ``all`` or ``system`` without such a disk.
        :raises WindowsSilent: Windows does not tell what the choice depends on.
        """
        found: Dict[str, Chosen] = {}
        for entry in entries:
            for one in self._entry(entry):
                key = one.path.replace("/", "\\").casefold()
                before = found.get(key)
                found[key] = one if before is None else before.joined(one)
        return [self._with_boot_volumes(one) for one in found.values()]

    @property
    def _known(self) -> WindowsDisks:
        if self._asked is None:
            self._asked = WindowsDisks(self._storage_folder)
        return self._asked

    def _entry(self, entry: str) -> List[Chosen]:
        if entry in ("all", "system"):
            return self._word(entry)
        kind = kind_of_name(entry)
        number = number_in(entry) if kind is NameKind.DISK else None
        if number is not None:
            return [Chosen(path_of(number), None, (entry,))]
        if kind is NameKind.VOLUME:
            return [Chosen(entry.rstrip("\\/"), None, (entry,))]
        if kind is NameKind.LETTER:
            return self._mounted(entry, "no volume of its disks has this letter")
        if kind is NameKind.FILE:
            return self._file(entry)
        if kind is NameKind.SHARE:
            raise self._unknown(entry, "it is on a server, not on this device")
        if number_of(entry) is not None:
            return self._numbered(entry)
        disk = disk_with_id(entry, [one.disk for one in self._known.disks], self._table_id, self._describe)
        return [Chosen(disk.path, None, (entry,))]

    def _word(self, entry: str) -> List[Chosen]:
        if entry == "all":
            numbers = [one.number for one in self._known.disks if not self._known.why_not_in_all(one)]
        else:
            numbers = self._known.system_numbers()
        if not numbers:
            raise NoDriveChosen(drives=entry, disks=self._describe(self._disks(), with_reasons=entry == "all"))
        return [Chosen(path_of(number), None, (entry,)) for number in numbers]

    def _numbered(self, entry: str) -> List[Chosen]:
        one = self._known.number(number_of(entry) or 0)
        if one is None:
            raise self._unknown(entry, "Windows knows no disk of this number")
        return [Chosen(one.disk.path, None, (entry,))]

    # -- volumes ------------------------------------------------------------------------------------------------------

    def _file(self, entry: str) -> List[Chosen]:
        if not os.path.exists(entry):
            raise DiskNotFound(path=entry)
        if os.path.isdir(entry):
            return self._mounted(entry, "it is a folder in %s" % self._holder_of(entry))
        if not os.path.isfile(entry):
            raise self._unknown(entry, "it is not a file")
        return [Chosen(os.path.realpath(entry), None, (entry,))]

    def _mounted(self, entry: str, why_not: str) -> List[Chosen]:
        """The parts of disks that hold the volume that is mounted there."""
        volumes = self._known.known_volumes()
        found = [one for one in volumes.placed if _point(entry) in map(_point, one.points)]
        if len(found) > 1:
            raise DriveAmbiguous(drive=entry, disks="; ".join(self._where(one) for one in found))
        if not found:
            unknown = "Windows does not tell where the volume %s is" % volumes.unknown[0] if volumes.unknown else ""
            raise self._unknown(entry, unknown or why_not)
        return [
            Chosen(path_of(one.disk), frozenset([(one.start_bytes, one.start_bytes + one.length_bytes)]), (entry,))
            for one in found[0].extents
        ]

    def _holder_of(self, folder: str) -> str:
        """The letter or folder of the volume that holds a folder."""
        points = [point for one in self._known.known_volumes().placed for point in one.points]
        held = [point for point in points if _point(folder).startswith(_point(point))]
        return max(held, key=len, default=folder[:3])

    def _with_boot_volumes(self, chosen: Chosen) -> Chosen:
        """A disk's small boot volumes are always part of its image; the one that Windows starts from is known by its place."""
        number = number_in(chosen.path)
        if chosen.spans is None or number is None:
            return chosen
        spans = set(chosen.spans)
        for one in self._known.start_extents():
            if one.disk == number and one.length_bytes <= _SMALL_BOOT_BYTES:
                spans.add((one.start_bytes, one.start_bytes + one.length_bytes))
        return chosen._replace(spans=frozenset(spans))

    # -- messages -----------------------------------------------------------------------------------------------------

    def _unknown(self, entry: str, reason: str) -> DriveUnknown:
        return DriveUnknown(drive=entry, reason=reason, disks=self._describe(self._disks()))

    def _disks(self) -> List[Disk]:
        return [one.disk for one in self._known.disks]

    def _table_id(self, disk: Disk) -> str:
        one = next(one for one in self._known.disks if one.disk is disk)
        layout = self._known.layout(one) if disk.size_bytes else None
        return layout.table_id if layout is not None else ""

    def _describe(self, disks: Iterable[Disk], with_reasons: bool = False) -> str:
        texts = []
        for one in self._known.disks:
            if one.disk in disks:
                disk = one.disk
                facts = [disk.name, disk.model, disk.stable_id or self._table_id(disk), size(disk.size_bytes)]
                facts += [self._known.why_not_in_all(one)] if with_reasons else []
                texts.append("%s (%s)" % (disk.path, ", ".join(fact for fact in facts if fact)))
        return "; ".join(texts) or "none"

    @staticmethod
    def _where(volume: VolumeOfDisks) -> str:
        return "%s on %s" % (volume.name, " and ".join(dict.fromkeys(path_of(one.disk) for one in volume.extents)))


def _point(name: str) -> str:
    return name.replace("/", "\\").rstrip("\\").casefold() + "\\"
