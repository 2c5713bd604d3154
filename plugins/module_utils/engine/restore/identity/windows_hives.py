# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry hives of an imaged Windows that name its disk: the boot configuration (BCD), and SYSTEM with the drive letters."""

from __future__ import annotations

import struct
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ...errors import EngineError, RestoreBootConfigLocked
from ..resize.boot_config import MOST_BYTES, PATHS
from ..resize.volume import Volume, read_file
from . import hive
from .draw import Drawn

_SYSTEM = ("Windows", "System32", "config", "SYSTEM")
# The path of each hive, and how many bytes of it are read at most. A BCD has about 50 KiB, a SYSTEM about 20 MiB.
HIVES = tuple((path, MOST_BYTES) for path in PATHS) + ((_SYSTEM, 64 << 20),)

Patch = Tuple[int, bytes]
Pairs = Sequence[Tuple[bytes, bytes]]
Names = Tuple[Pairs, Pairs]  # before and after: in a boot configuration, and in the list of mounted devices


class HiveFile(NamedTuple):
    """A hive on a volume; ``ranges`` are its bytes of the volume, start and length, in the order of the file."""

    volume: Volume
    path: str
    ranges: Sequence[Tuple[int, int]]
    content: bytes

    @property
    def is_boot_config(self) -> bool:
        return _is_boot_config(self.path)

    def on_volume(self, changed: Sequence[hive.Change]) -> List[Patch]:
        """The changes by their place on the volume; one that spans two pieces of the file is cut."""
        found: List[Patch] = []
        for place, data in changed:
            begin = 0
            for first, length in self.ranges:
                end = begin + length
                start, stop = max(place, begin), min(place + len(data), end)
                if start < stop:
                    found.append((first + start - begin, data[start - place : stop - place]))
                begin = end
        return found


class Found(NamedTuple):
    """A place where a hive may be."""

    volume: Volume
    path: Tuple[str, ...]
    most_bytes: int

    @property
    def name(self) -> str:
        return "\\".join(self.path)

    @property
    def is_boot_config(self) -> bool:
        return _is_boot_config(self.name)


def _is_boot_config(path: str) -> bool:
    return path.upper().endswith("BCD")


def places(volumes: Sequence[Volume]) -> List[Found]:
    """Where the hives of these volumes may be: they are read one at a time, because each may be large."""
    return [Found(one, path, most) for one in volumes for path, most in HIVES]


def read_hive(disk: str, target: str, place: Found) -> Optional[HiveFile]:
    """Read a hive, None where there is none.

    :raises RestoreBootConfigLocked: when it is there but can't be read.
    """
    one = place.volume
    try:
        read = read_file(one, place.path, place.most_bytes)
    except EngineError as error:
        if not (one.is_ntfs or one.partition.role == "efi"):
            return None
        raise _locked(disk, target, one, place.name, str(error).rstrip(".")) from error
    if read is None:
        return None
    if not read.ranges:
        reason = "its content can't be read in one piece, or is larger than %d bytes" % place.most_bytes
        raise _locked(disk, target, one, place.name, reason)
    return HiveFile(one, place.name, *read)


def changes_in(disk: str, target: str, one: HiveFile, drawn: Drawn, names: Names) -> List[hive.Change]:
    """The changes in a hive that names the disk.

    :param names: of :func:`draw.device_names`. :raises RestoreBootConfigLocked: when the hive can't be changed.
    """
    boot, mounted = names
    # A hive that is locked may name the disk in its log files only.
    reason = hive.why_locked(one.content)
    changed = hive.changes(one.content, boot if one.is_boot_config else mounted) if not reason else []
    if len(changed) > hive.MOST_CHANGES:
        reason = "it has more than %d places that would have to be changed" % hive.MOST_CHANGES
    if any(first + len(data) > second for (first, data), (second, dummy) in zip(changed, changed[1:])):
        reason = "two ids overlap in it"
    is_new = drawn.disk[0] != drawn.disk[1]
    old_id = struct.pack("<I", int(drawn.disk[0], 16)) if drawn.scheme == "mbr" and is_new else b""
    if one.is_boot_config and not reason and old_id and hive.count(one.content, old_id) > len(changed):
        reason = "it has the signature of the disk in a form that is not known"
    if reason:
        raise _locked(disk, target, one.volume, one.path, reason)
    return changed


def _locked(disk: str, target: str, volume: Volume, path: str, reason: str) -> RestoreBootConfigLocked:
    return RestoreBootConfigLocked(path=path, partition=volume.number, disk=disk, target=target, reason=reason)
