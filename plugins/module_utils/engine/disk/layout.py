# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of a disk: its partitions, and the bytes that hold the structures themselves."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

from ..errors import PartitionTableInvalid
from .claims import Claim
from .extents import ExtentSet
from .gpt import Gpt, read_gpt
from .mbr import Mbr, hybrid_entries, read_mbr
from .signatures import array_member
from .source import BlockSource

# Boot loaders live between the table and the first partition: most within 1 MiB, those of ARM boards within 16.
_EMBEDDING_BYTES = 64 << 20
_EBR_GAP_SECTORS = 63
_DYNAMIC = 0x42
_EXTENDED_TYPES = frozenset(["05", "0f", "85"])
_ROLES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "efi",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "microsoft-reserved",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "recovery",
    "21686148-6449-6e6f-744e-656564454649": "bios-boot",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "dynamic-database",
    "ef": "efi",
    "27": "recovery",
}


class Partition(NamedTuple):
    """A partition; the whole disk stands as number 0 where there is no table."""

    number: int
    start_bytes: int
    length_bytes: int
    type_id: str
    unique_id: str
    name: str
    role: str
    bootable: bool


class DiskLayout(NamedTuple):
    """``structures`` are the bytes that every image of the disk holds, for any selection.

    ``whole_because`` says why the disk is one volume that is imaged whole without a look at its content, "" when it is
    not.
    """

    scheme: str  # "gpt", "mbr", "none"
    disk_id: str
    size_bytes: int
    sector_bytes: int
    partitions: List[Partition]
    structures: ExtentSet
    warnings: List[str]
    whole_because: str = ""
    unnamed: ExtentSet = ExtentSet()  # what the table has entries for but no system shows as a partition
    rivals: Tuple[Claim, ...] = ()  # whose claims to the disk contradict one another

    @property
    def table_id(self) -> str:
        """The id of the partition table, such as ``gpt:<guid>`` or ``mbr:<signature>``, "" where there is none."""
        return "%s:%s" % (self.scheme, self.disk_id) if self.disk_id else ""

    def shown(self) -> ExtentSet:
        """The bytes of all partitions but extended ones, which hold others."""
        return ExtentSet((one.start_bytes, one.length_bytes) for one in self.partitions if one.role != "extended")

    def as_dict(self) -> Dict[str, Any]:
        return {
            "scheme": self.scheme,
            "disk_id": self.disk_id,
            "size_bytes": self.size_bytes,
            "sector_bytes": self.sector_bytes,
            "partitions": [partition._asdict() for partition in self.partitions],
        }


def read_layout(source: BlockSource, *, table_is_trusted: bool = False) -> DiskLayout:
    """Read the partition table. A disk whose table is incomplete or can't be understood is one volume that is imaged
    whole: an image of the partitions alone could not be restored.

    :param table_is_trusted: ``imaging_trust`` says that the disk has partitions, even if another system claims it.
    """
    array = "" if table_is_trusted else array_member(source)
    if array:
        return imaged_whole(source, "it is %s" % array)
    try:
        gpt = read_gpt(source)
        if gpt is not None:
            return _from_gpt(source, gpt)
        mbr = read_mbr(source, in_boot_sector=table_is_trusted)
    except PartitionTableInvalid as error:
        return imaged_whole(source, str(error))
    if mbr is None:
        return imaged_whole(source, "")
    if mbr.is_protective:
        return imaged_whole(source, "its protective MBR announces a GPT, but neither copy is readable")
    if any(entry.type_code == _DYNAMIC for entry in mbr.partitions):
        return imaged_whole(source, "it is a dynamic disk, whose database is outside its partitions")
    return _from_mbr(source, mbr)


def imaged_whole(source: BlockSource, because: str) -> DiskLayout:
    """The layout of a disk that is one volume; ``because`` is "" when that is expected."""
    everything = Partition(0, 0, source.size_bytes, "", "", "", "data", False)
    return DiskLayout("none", "", source.size_bytes, source.sector_bytes, [everything], ExtentSet(), [], because)


def _from_gpt(source: BlockSource, gpt: Gpt) -> DiskLayout:
    sector = source.sector_bytes
    partitions = [
        Partition(
            entry.number,
            entry.start_lba * sector,
            entry.sectors * sector,
            entry.type_guid,
            entry.unique_guid,
            entry.name,
            _ROLES.get(entry.type_guid, "data"),
            bool(entry.attributes & 4),
        )
        for entry in gpt.partitions
    ]
    areas = [(lba * sector, count * sector) for lba, count in gpt.areas]
    structures = _clip(source, ExtentSet([(0, sector), *areas]).union(_embedding(source, partitions)))
    layout = DiskLayout("gpt", gpt.disk_guid, source.size_bytes, sector, partitions, structures, gpt.warnings)
    return _with_unnamed(source, layout, hybrid_entries(source))


def _from_mbr(source: BlockSource, mbr: Mbr) -> DiskLayout:
    sector = source.sector_bytes
    partitions = []
    for entry in mbr.partitions:
        type_id = "%02x" % entry.type_code
        role = "extended" if type_id in _EXTENDED_TYPES else _ROLES.get(type_id, "data")
        unique = "%08x-%02x" % (mbr.signature, entry.number)
        partitions.append(
            Partition(
                entry.number,
                entry.start_lba * sector,
                entry.sectors * sector,
                type_id,
                unique,
                "",
                role,
                entry.bootable,
            )
        )
    data = [partition for partition in partitions if partition.role != "extended"]
    tables = ExtentSet((lba * sector, _EBR_GAP_SECTORS * sector) for lba in mbr.tables_lba if lba)
    inside = ExtentSet((partition.start_bytes, partition.length_bytes) for partition in data)
    structures = ExtentSet([(0, sector)]).union(tables.difference(inside)).union(_embedding(source, partitions))
    disk_id = "%08x" % mbr.signature
    clipped = _clip(source, structures)
    layout = DiskLayout("mbr", disk_id, source.size_bytes, sector, partitions, clipped, [])
    return _with_unnamed(source, layout, mbr.unnamed)


def _with_unnamed(source: BlockSource, layout: DiskLayout, entries: List[Tuple[int, int]]) -> DiskLayout:
    """Add what entries of the table cover and no partition shows: an installer's ISO 9660 behind a type of 0."""
    sector = source.sector_bytes
    covered = _clip(source, ExtentSet((start * sector, count * sector) for start, count in entries))
    return layout._replace(unnamed=covered.difference(layout.shown()).difference(layout.structures))


def _embedding(source: BlockSource, partitions: List[Partition]) -> ExtentSet:
    """The unused part of it reads as zeros and needs no room in the image."""
    first = min((partition.start_bytes for partition in partitions), default=_EMBEDDING_BYTES)
    return ExtentSet([(0, min(first, _EMBEDDING_BYTES, source.size_bytes))])


def _clip(source: BlockSource, extents: ExtentSet) -> ExtentSet:
    return extents.intersection(ExtentSet([(0, source.size_bytes)]))
