# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans the boot fallback of a disk: EFI/BOOT/BOOTX64.EFI, by which a firmware without a boot entry starts it.

The files are patches of the disk as it will be on its target, like everything else that a restore changes, so they are written, compared
and continued by the same code, and the plan has their names before the first byte.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from ...disk.filesystems.fat import Fat
from ...disk.layout import Partition
from ...disk.source import WindowSource
from ...errors import EngineError, FileSystemInvalid
from ...image.reader import DiskReader
from ...image.source import ImageSource
from ..boot_look import loaders_on
from ..resize.shift import Segment
from ..resize.view import ResizedReader
from ..resize.wishes import YES
from ..scope import Scope
from .fat_table import Patch
from .fat_writer import FatWriter, VolumeFull
from .loaders import BOOT, EFI, Chosen, Place, choose


class AddedFile(NamedTuple):
    """A file that the target gets and the imaged disk does not have; ``source`` is the file that it is a copy of."""

    path: str
    source: str
    size_bytes: int


class Fallback(NamedTuple):
    """The plan for the fallback of a disk; ``exists`` is its path where it stays as it is."""

    partition: int
    exists: str
    files: List[AddedFile]
    warnings: List[str]


def with_fallback(
    disk: str, target: str, reader: DiskReader, scope: Scope, wanted: str, why_not: str
) -> Tuple[DiskReader, Optional[Fallback]]:
    """Return the disk with its fallback, and what is added, which is None without a wish and on a disk without an EFI partition.

    :param wanted: "", ``YES`` or the path of a loader. :param why_not: why nothing may be added, "" when nothing speaks against it.
    :raises RestoreFallbackAmbiguous: :raises RestoreFallbackImpossible: before anything is written.
    """
    efi = next((one for one in scope.layout.partitions if one.role == "efi"), None)
    if not wanted or efi is None:
        return reader, None
    if efi not in scope.volumes:
        text = "Partition %d of %s is not restored, so it gets no boot fallback." % (efi.number, disk)
        return reader, Fallback(efi.number, "", [], [text])
    place = Place(disk, target, efi.number)
    if why_not:
        raise place.impossible(why_not)
    try:
        patches, fallback = _plan(place, _volume(place, reader, efi), "" if wanted == YES else wanted)
    except (FileSystemInvalid, VolumeFull) as error:
        raise place.impossible(str(error)) from error
    if not patches:
        return reader, fallback
    moved = [(efi.start_bytes + start, data) for start, data in patches]
    whole = [Segment(0, reader.size_bytes, 0)]
    return ResizedReader(reader, reader.size_bytes, reader.sector_bytes, whole, moved), fallback


def _volume(place: Place, reader: DiskReader, efi: Partition) -> Fat:
    source = ImageSource(reader)
    length = min(efi.length_bytes, source.size_bytes - efi.start_bytes)
    try:
        volume = Fat.probe(WindowSource(source, efi.start_bytes, length))
    except FileSystemInvalid:
        raise
    except EngineError as error:
        raise place.impossible("it can't be read: %s" % str(error).rstrip(".")) from error
    if not isinstance(volume, Fat):
        raise place.impossible("it has no FAT file system")
    return volume


def _plan(place: Place, volume: Fat, named: str) -> Tuple[List[Patch], Fallback]:
    dummy, loaders = loaders_on(volume)
    writer = FatWriter(volume)
    chosen = choose(place, writer, loaders, named)
    if chosen is None or not chosen.files:
        return [], Fallback(place.partition, chosen.path if chosen is not None else "", [], [])
    writer.add([EFI], BOOT, chosen.files)
    return writer.patches(), Fallback(place.partition, "", _added(chosen), _warnings(place, writer))


def _added(chosen: Chosen) -> List[AddedFile]:
    return [
        AddedFile("%s/%s/%s" % (EFI, BOOT, one.name), source, len(one.content))
        for one, source in zip(chosen.files, chosen.sources)
    ]


def _warnings(place: Place, writer: FatWriter) -> List[str]:
    if not writer.table.is_in_use:
        return []
    return [
        "Partition %d of %s was in use when it was imaged. Its file system is consistent, and gets the boot fallback; check it with "
        "fsck.fat or chkdsk after the first start." % (place.partition, place.disk)
    ]
