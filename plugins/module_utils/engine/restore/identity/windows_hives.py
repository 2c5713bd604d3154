# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry hives of an imaged Windows that name its disk: the boot configuration (BCD), and SYSTEM with the drive letters."""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ...disk.extents import ExtentSet
from ...errors import EngineError, RestoreBootConfigLocked
from ..resize.volume import Volume, find
from . import hive
from .draw import Drawn

_BOOT = (("Boot", "BCD"), ("EFI", "Microsoft", "Boot", "BCD"))
_SYSTEM = ("Windows", "System32", "config", "SYSTEM")
_MOST_BYTES = 256 << 20

Patch = Tuple[int, bytes]


class HiveFile(NamedTuple):
    """A hive on a volume; ``extents`` are its bytes of the volume."""

    volume: Volume
    path: str
    extents: ExtentSet
    content: bytes

    @property
    def is_boot_config(self) -> bool:
        return self.path.upper().endswith("BCD")

    def on_volume(self, changed: Sequence[hive.Change]) -> List[Patch]:
        """The changes by their place on the volume; one that spans two pieces of the file is cut."""
        found: List[Patch] = []
        for place, data in changed:
            begin = 0
            for one in self.extents:
                end = begin + one.length_bytes
                start, stop = max(place, begin), min(place + len(data), end)
                if start < stop:
                    found.append((one.start_bytes + start - begin, data[start - place : stop - place]))
                begin = end
        return found


def hives_of(disk: str, target: str, volumes: Sequence[Volume]) -> List[HiveFile]:
    """Read the hives of all volumes.

    :raises RestoreBootConfigLocked: when one is there but can't be read.
    """
    found = []
    for one in volumes:
        for path in (*_BOOT, _SYSTEM):
            name = "\\".join(path)
            try:
                read = _read(one, path)
            except EngineError as error:
                if not (one.is_ntfs or one.partition.role == "efi"):
                    continue
                raise _locked(disk, target, one, name, str(error).rstrip(".")) from error
            if read is None:
                continue
            if not read[1]:
                raise _locked(disk, target, one, name, "its content can't be read in one piece")
            found.append(HiveFile(one, name, *read))
    return found


def _read(one: Volume, path: Tuple[str, ...]) -> Optional[Tuple[ExtentSet, bytes]]:
    tree = one.file_system.tree() if one.file_system is not None else None
    node = find(tree, path) if tree is not None else None
    if tree is None or node is None:
        return None
    content = tree.content(node)
    extents = content.extents if content is not None else ExtentSet()
    if extents.total_bytes > _MOST_BYTES:
        return ExtentSet(), b""
    return extents, b"".join(one.source.read(*extent) for extent in extents)


def edits(
    disk: str,
    target: str,
    hives: Sequence[HiveFile],
    drawn: Drawn,
    names: Tuple[Sequence[Tuple[bytes, bytes]], Sequence[Tuple[bytes, bytes]]],
) -> List[Tuple[HiveFile, List[Patch]]]:
    """The changes in each hive that names the disk.

    :param names: of :func:`draw.device_names`. :raises RestoreBootConfigLocked: when a hive names it and can't be changed.
    """
    found = []
    boot, mounted = names
    is_new = drawn.disk[0] != drawn.disk[1]
    old_id = struct.pack("<I", int(drawn.disk[0], 16)) if drawn.scheme == "mbr" and is_new else b""
    for one in hives:
        reason = hive.why_locked(one.content)
        # A hive that is locked may name the disk in its log files only.
        if reason:
            raise _locked(disk, target, one.volume, one.path, reason)
        changed = hive.changes(one.content, boot if one.is_boot_config else mounted)
        if one.is_boot_config and old_id and hive.count(one.content, old_id) > len(changed):
            reason = "it has the signature of the disk in a form that is not known"
            raise _locked(disk, target, one.volume, one.path, reason)
        if changed:
            found.append((one, one.on_volume(changed)))
    return found


def _locked(disk: str, target: str, volume: Volume, path: str, reason: str) -> RestoreBootConfigLocked:
    return RestoreBootConfigLocked(path=path, partition=volume.number, disk=disk, target=target, reason=reason)
