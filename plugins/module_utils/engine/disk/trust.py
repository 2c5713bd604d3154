# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``imaging_trust``: which of several systems that claim a volume or disk is believed, ``{disk0p1: ntfs}``."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, NamedTuple, Tuple

from ..errors import TrustInvalid
from .mark_table import CONTAINERS, SYSTEMS, TAIL_RAIDS
from .partition_types import WITNESSES

_PLACE = re.compile(r"disk(\d{1,4})(?:p(\d{1,4}))?", re.ASCII)
_MOST = 1000
TABLE = "a partition table"
# Other words for the same; what a mark is called by wipefs is one too.
_ALIASES = {
    "ext2": ("ext",),
    "ext3": ("ext",),
    "ext4": ("ext",),
    "fat12": ("fat", "vfat"),
    "fat16": ("fat", "vfat"),
    "fat32": ("fat", "vfat"),
    "fat": ("vfat",),
    "anlvmphysicalvolume": ("lvm", "lvm2"),
    "alinuxsoftwareraidmember": ("raid", "md", "mdraid"),
    "amemberofaraidofthefirmware": ("firmwareraid", "fakeraid"),
    "apartitiontable": ("table", "partitions", "partitiontable", "mbr", "dos", "gpt"),
}
_PARSED = ("ntfs", "ext2", "ext3", "ext4", "fat12", "fat16", "fat32", "exfat", "xfs", "swap", "DRBD", "Minix", "HFS")
_MORE = ("NILFS2", "QNX4", "FAT", "ZFS", TABLE)


class Trust(NamedTuple):
    """The systems to believe on one disk: for the disk itself, its partitions, its logical volumes ("group/volume")."""

    disk: str = ""
    partitions: Dict[int, str] = {}
    volumes: Dict[str, str] = {}

    def of(self, number: int, volume: str = "") -> str:
        """The system to believe in a partition (0: the disk as a whole), or in a logical volume in it; "" without an
        entry."""
        if volume:
            return self.volumes.get(volume, "")
        return self.partitions.get(number, "") if number else self.disk


NOBODY = Trust()


def parse_trust(given: object) -> Dict[int, Trust]:
    """Parse the entries, by the number of the disk; those for logical volumes are in each.

    :raises TrustInvalid: for an entry that can't decide about any volume.
    """
    if given is None or given == "":
        return {}
    if not isinstance(given, dict) or len(given) > _MOST:
        raise TrustInvalid(entry=str(given)[:80], reason="it must be a dictionary such as {disk0p1: ntfs}")
    disks: Dict[int, str] = {}
    partitions: Dict[int, Dict[int, str]] = {}
    volumes: Dict[str, str] = {}
    for key, value in given.items():
        entry = "%s: %s" % (key, value)
        if not isinstance(value, str) or _word(value) not in _known_words():
            raise TrustInvalid(entry=entry[:80], reason="no known structure has this name")
        match = _PLACE.fullmatch(str(key))
        if match is None:
            if "/" not in str(key).strip("/"):
                raise TrustInvalid(
                    entry=entry[:80], reason="it is not the name of a disk, a partition or a logical volume"
                )
            volumes[str(key)] = value
        elif match.group(2) is None:
            disks[int(match.group(1))] = value
        else:
            partitions.setdefault(int(match.group(1)), {})[int(match.group(2))] = value
    numbers = set(disks) | set(partitions)
    found = {number: Trust(disks.get(number, ""), partitions.get(number, {}), volumes) for number in numbers}
    if volumes:
        found.setdefault(-1, Trust(volumes=volumes))
    return found


def trust_of(trusts: Dict[int, Trust], number: int) -> Trust:
    """The systems to believe on disk ``number``."""
    return trusts.get(number) or Trust(volumes=trusts[-1].volumes if -1 in trusts else {})


def unknown_places(trusts: Dict[int, Trust], partitions: List[List[int]]) -> List[str]:
    """The keys that name no disk or partition of this run, whose disks have these ``partitions``."""
    names = []
    for number, trust in sorted(trusts.items()):
        there = partitions[number] if 0 <= number < len(partitions) else None
        if trust.disk and there is None:
            names.append("disk%d" % number)
        names += ["disk%dp%d" % (number, one) for one in sorted(trust.partitions) if there is None or one not in there]
    return names


def is_called(word: str, name: str, blkid: str = "") -> bool:
    """Whether a user's word means the system of this name."""
    return _word(word) in _words_of(name, blkid)


def _words_of(name: str, blkid: str = "") -> FrozenSet[str]:
    plain = _word(name)
    words = {plain, *_ALIASES.get(plain, ())}
    if name.startswith(("a ", "an ")):
        words.add(_word(name.split(" ", 1)[1]))
    for one in blkid.split(",") if blkid else []:
        words.add(_word(one))
        words.add(_word(one.replace("_member", "").replace("crypto_", "")))
    return frozenset(words)


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _known_words() -> FrozenSet[str]:
    marks: List[Tuple[str, str]] = [(one.name, one.blkid) for one in (*CONTAINERS, *SYSTEMS)]
    marks += [(one.name, one.blkid) for dummy, one in TAIL_RAIDS]
    marks += [(name, "") for name in (*_PARSED, *_MORE, *(witness.name for witness in WITNESSES.values()))]
    marks += [("a Linux software RAID member", "linux_raid_member"), ("ZFS", "zfs_member")]
    return frozenset(word for name, blkid in marks for word in _words_of(name, blkid))
