# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk of this machine is which disk of an image: by identity first, then by size and model.

The kernel's names (``/dev/sda``) change from start to start, so they are never a reason. A match that two disks could
claim, in the image or in the machine, does not count.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from ..amounts import size
from ..device.disks import Disk, find_disks, normal_wwn, table_id_at
from ..errors import RestoreMapInvalid, RestoreMatchMissing, RestoreTargetIsOtherDisk
from ..host.stack import BlockTree
from ..image.format.manifest import DiskEntry

AUTO = "auto"
EVERY = "all"  # the key of a map that stands for each disk of the image
_HARDWARE = ("wwn:", "serial:")
_BY_HARDWARE, _BY_TABLE, _BY_KIND = "the same serial number", "the same partition table", "the same size and model"


class DiskHere(NamedTuple):
    """A disk of this machine. ``table`` is the id of its partition table, such as ``gpt:<guid>``, or ""."""

    path: str
    hardware: FrozenSet[str]  # ``wwn:...`` and ``serial:...``
    table: str
    size_bytes: int
    model: str
    is_internal: bool  # fixed, and does not hold the storage

    @property
    def words(self) -> str:
        """How a refusal names it."""
        facts = [size(self.size_bytes), self.model, *sorted(self.hardware)[:1]]
        return "%s (%s)" % (self.path, ", ".join(fact for fact in facts if fact))


class Match(NamedTuple):
    """The target of an imaged disk: ``path`` is "" where there is none, and ``reason`` then says why."""

    disk: str
    path: str
    reason: str


def disks_here(storage_folder: str = "") -> List[DiskHere]:
    """The disks of this machine that can be targets.

    :param storage_folder: where the images are, if that is a directory of this machine: its disk matches by identity only.
    """
    tree = BlockTree()
    holding = {place.name for place in tree.under_file(storage_folder)} if storage_folder else set()
    return [
        _here(one, table_id_at(one.path, one.sector_bytes), one.name not in holding)
        for one in find_disks(tree)
        if one.size_bytes and not one.path_of
    ]


def _here(disk: Disk, table: str, is_other: bool) -> DiskHere:
    ids = (("wwn:", disk.wwn), ("serial:", disk.serial))
    hardware = frozenset(prefix + value for prefix, value in ids if value)
    return DiskHere(disk.path, hardware, table, disk.size_bytes, disk.model, is_other and not disk.why_not)


def match(entries: Sequence[DiskEntry], here: Sequence[DiskHere]) -> List[Match]:
    """Find the disk of each entry; a disk of this machine is given to one entry only."""
    found: Dict[str, Match] = {}
    for reason, belongs in _RULES:
        taken = {one.path for one in found.values()}
        left = [one for one in here if one.path not in taken]
        open_entries = [entry for entry in entries if entry.name not in found]
        claims = [(entry, one) for entry in open_entries for one in left if belongs(entry, one)]
        for entry, one in claims:
            if [mine for mine, dummy in claims].count(entry) == 1 and [other for dummy, other in claims].count(
                one
            ) == 1:
                found[entry.name] = Match(entry.name, one.path, reason)
    return [found.get(entry.name) or Match(entry.name, "", _why_none(entry, entries, here)) for entry in entries]


def _has_hardware(entry: DiskEntry, one: DiskHere) -> bool:
    prefix, separator, value = entry.stable_id.partition(":")
    name = "wwn:" + normal_wwn(value) if prefix == "wwn" else entry.stable_id
    return bool(separator) and name in one.hardware


def _has_table(entry: DiskEntry, one: DiskHere) -> bool:
    """A disk that tells no serial number is known by its table; one that tells another's is another disk, a copy maybe."""
    names = {entry.contents.table, entry.stable_id}
    if one.hardware and entry.stable_id.startswith(_HARDWARE):
        return False
    return bool(one.table) and one.table in names


def _is_of_kind(entry: DiskEntry, one: DiskHere) -> bool:
    is_same = one.size_bytes == entry.size_bytes and one.model == entry.contents.model
    return is_same and bool(one.model) and one.is_internal


_RULES: Tuple[Tuple[str, Callable[[DiskEntry, DiskHere], bool]], ...] = (
    (_BY_HARDWARE, _has_hardware),
    (_BY_TABLE, _has_table),
    (_BY_KIND, _is_of_kind),
)


def _why_none(entry: DiskEntry, entries: Sequence[DiskEntry], here: Sequence[DiskHere]) -> str:
    for reason, belongs in _RULES:
        claimed = [one.path for one in here if belongs(entry, one)]
        if claimed:
            rivals = [
                other.name for other in entries if any(belongs(other, one) for one in here if one.path in claimed)
            ]
            both = "%s of the image and %s of this machine" % (" and ".join(rivals), " and ".join(claimed))
            return "%s have %s" % (both, reason) if len(claimed) + len(rivals) > 2 else "its match is taken"
    return "no disk has its serial number, or its size and model"


def complete(targets: Dict[str, str], entries: Sequence[DiskEntry], storage_folder: str) -> Dict[str, str]:
    """The map with a path in place of each ``auto``.

    :raises RestoreMatchMissing: a disk of the image has no match. :raises RestoreMapInvalid: ``all`` beside other disks.
    """
    if EVERY in targets and len(targets) > 1:
        raise RestoreMapInvalid(reason="%s stands for every disk, but other disks are listed as well" % EVERY)
    if targets.get(EVERY, AUTO) != AUTO:
        raise RestoreMapInvalid(reason="%s takes no target but %s" % (EVERY, AUTO))
    wanted = {entry.name: AUTO for entry in entries} if EVERY in targets else dict(targets)
    if AUTO not in wanted.values():
        return wanted
    here = disks_here(storage_folder)
    matches = {one.disk: one for one in match(entries, here)}
    for name, path in wanted.items():
        if path == AUTO and name in matches:
            found = matches[name]
            if not found.path:
                words = "; ".join(one.words for one in here) or "none"
                raise RestoreMatchMissing(disk=name, reason=found.reason, disks=words)
            wanted[name] = found.path
    return wanted


def proposal(entries: Sequence[DiskEntry], storage_folder: str) -> List[Match]:
    """The matches for a person who has given no map."""
    return match(entries, disks_here(storage_folder))


def in_words(entries: Sequence[DiskEntry], matches: Sequence[Match]) -> List[str]:
    """Each disk of an image with the disk of this machine that it is."""
    found = []
    for entry, one in zip(entries, matches):
        target = "here %s: %s" % (one.path, one.reason) if one.path else "not found here"
        found.append("%s (%s, %s; %s)" % (entry.name, size(entry.size_bytes), entry.stable_id, target))
    return found


def refuse_other_disk(
    entries: Sequence[DiskEntry], number: int, target_path: str, target_table: str, given: Sequence[str]
) -> None:
    """Refuse a target that is another disk of the image: after a start ``/dev/sda`` and ``/dev/sdb`` may have changed places.

    :param target_table: the id of its partition table, or "".
    :param given: what the user agreed to lose, by name: ``disk1`` for that disk.
    :raises RestoreTargetIsOtherDisk: naming both.
    """
    entry = entries[number]
    one = _described(target_path, target_table)
    if _known_by(entry, one):
        return
    for other in entries:
        reason = _known_by(other, one) if other is not entry else None
        if reason and other.name not in given:
            raise RestoreTargetIsOtherDisk(target=target_path, other=other.name, disk=entry.name, reason=reason)


def _known_by(entry: DiskEntry, one: DiskHere) -> Optional[str]:
    """Why a target may be this disk: its table counts beside any serial number, since controllers show other ones."""
    if _has_hardware(entry, one):
        return _BY_HARDWARE
    return _BY_TABLE if one.table and one.table in (entry.contents.table, entry.stable_id) else None


def _described(path: str, table: str) -> DiskHere:
    """The target as it is now; a loop device or a mapped one tells its table only."""
    tree = BlockTree()
    name = tree.by_path(path)
    for disk in find_disks(tree) if name else []:
        if disk.name == name:
            return _here(disk, table, True)
    return DiskHere(path, frozenset(), table, 0, "", True)
