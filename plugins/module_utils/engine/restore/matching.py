# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk of this machine is which disk of an image: by identity first, then by size and model.

The kernel's names (``/dev/sda``) change from start to start, so they are never a reason. A match that two disks could
claim, in the image or in the machine, does not count. The best identity is the marker of a restore of the disk that was
interrupted: it stands where the partition table was.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from ..amounts import size
from ..device.disks import Disk, find_disks, table_id_at
from ..errors import RestoreMapInvalid, RestoreMatchMissing, RestoreTargetIsOtherDisk
from ..host.stack import BlockTree
from .imaged import ImagedDisk, normal_id
from .target import marker_at, marks_disk

AUTO = "auto"
EVERY = "all"  # the key of a map that stands for each disk of the image
_HARDWARE = ("wwn:", "serial:")
_BY_MARK, _BY_HARDWARE = "an interrupted restore of it", "the same serial number"
_BY_TABLE, _BY_KIND = "the same partition table", "the same size and model"


class DiskHere(NamedTuple):
    """A disk of this machine. ``table`` is the id of its partition table, such as ``gpt:<guid>``, or ""."""

    path: str
    hardware: FrozenSet[str]  # ``wwn:...`` and ``serial:...``
    table: str
    size_bytes: int
    model: str
    is_internal: bool  # fixed, and does not hold the storage
    mark: bytes = b""  # of a restore that was interrupted

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
        _here(one, table_id_at(one.path, one.sector_bytes), marker_at(one.path), one.name not in holding)
        for one in find_disks(tree)
        if one.size_bytes and not one.path_of
    ]


def _here(disk: Disk, table: str, mark: bytes, is_other: bool) -> DiskHere:
    ids = (("wwn:", disk.wwn), ("serial:", disk.serial))
    hardware = frozenset(prefix + value for prefix, value in ids if value)
    return DiskHere(disk.path, hardware, table, disk.size_bytes, disk.model, is_other and not disk.why_not, mark)


def match(disks: Sequence[ImagedDisk], here: Sequence[DiskHere]) -> List[Match]:
    """Find each disk of an image; a disk of this machine is given to one of them only."""
    found: Dict[str, Match] = {}
    for reason, belongs in _RULES:
        taken = {one.path for one in found.values()}
        left = [one for one in here if one.path not in taken]
        claims = [
            (disk.name, one.path) for disk in disks for one in left if disk.name not in found and belongs(disk, one)
        ]
        for name, path in claims:
            if [mine for mine, dummy in claims].count(name) == 1 and [other for dummy, other in claims].count(
                path
            ) == 1:
                found[name] = Match(name, path, reason)
    return [found.get(disk.name) or Match(disk.name, "", _why_none(disk, disks, here)) for disk in disks]


def _has_mark(disk: ImagedDisk, one: DiskHere) -> bool:
    return marks_disk(one.mark, disk.mark)


def _has_hardware(disk: ImagedDisk, one: DiskHere) -> bool:
    return normal_id(disk.entry.stable_id) in one.hardware


def _has_table(disk: ImagedDisk, one: DiskHere) -> bool:
    """A disk that tells no serial number is known by its table; one that tells another's is another disk, a copy maybe."""
    if one.hardware and disk.entry.stable_id.startswith(_HARDWARE):
        return False
    return _is_table_of(disk, one) and not _is_other(disk, one)


def _is_table_of(disk: ImagedDisk, one: DiskHere) -> bool:
    return bool(one.table) and one.table in (disk.entry.contents.table, disk.entry.stable_id)


def _is_of_kind(disk: ImagedDisk, one: DiskHere) -> bool:
    return _looks_alike(disk, one) and not _is_other(disk, one) and _kind(one) not in disk.others.kinds


def _looks_alike(disk: ImagedDisk, one: DiskHere) -> bool:
    return _kind(one) == (disk.entry.size_bytes, disk.entry.contents.model) and bool(one.model) and one.is_internal


def _kind(one: DiskHere) -> Tuple[int, str]:
    return one.size_bytes, one.model


def _is_other(disk: ImagedDisk, one: DiskHere) -> bool:
    """Whether the device had this disk beside those of the image."""
    return not disk.others.ids.isdisjoint(one.hardware | {one.table})


_RULES: Tuple[Tuple[str, Callable[[ImagedDisk, DiskHere], bool]], ...] = (
    (_BY_MARK, _has_mark),
    (_BY_HARDWARE, _has_hardware),
    (_BY_TABLE, _has_table),
    (_BY_KIND, _is_of_kind),
)


def _why_none(disk: ImagedDisk, disks: Sequence[ImagedDisk], here: Sequence[DiskHere]) -> str:
    for reason, belongs in _RULES:
        claimed = [one.path for one in here if belongs(disk, one)]
        if claimed:
            rivals = [other.name for other in disks if any(belongs(other, one) for one in here if one.path in claimed)]
            both = "%s of the image and %s of this machine" % (" and ".join(rivals), " and ".join(claimed))
            return "%s have %s" % (both, reason) if len(claimed) + len(rivals) > 2 else "its match is taken"
    alike = [one.path for one in here if _looks_alike(disk, one)]
    if alike:
        reason = "%s has its size and model, but the device had such a disk that is not part of the image"
        return reason % " and ".join(alike)
    return "no disk has its serial number, or its size and model"


def complete(targets: Dict[str, str], disks: Sequence[ImagedDisk], storage_folder: str) -> Dict[str, str]:
    """The map with a path in place of each ``auto``.

    :raises RestoreMatchMissing: a disk of the image has no match. :raises RestoreMapInvalid: ``all`` beside other disks.
    """
    if EVERY in targets and len(targets) > 1:
        raise RestoreMapInvalid(reason="%s stands for every disk, but other disks are listed as well" % EVERY)
    if targets.get(EVERY, AUTO) != AUTO:
        raise RestoreMapInvalid(reason="%s takes no target but %s" % (EVERY, AUTO))
    wanted = {disk.name: AUTO for disk in disks} if EVERY in targets else dict(targets)
    if AUTO not in wanted.values():
        return wanted
    here = disks_here(storage_folder)
    matches = {one.disk: one for one in match(disks, here)}
    for name, path in wanted.items():
        if path == AUTO and name in matches:
            found = matches[name]
            if not found.path:
                words = "; ".join(one.words for one in here) or "none"
                raise RestoreMatchMissing(disk=name, reason=found.reason, disks=words)
            wanted[name] = found.path
    return wanted


def proposal(disks: Sequence[ImagedDisk], storage_folder: str) -> List[Match]:
    """The matches for a person who has given no map."""
    return match(disks, disks_here(storage_folder))


def in_words(disks: Sequence[ImagedDisk], matches: Sequence[Match]) -> List[str]:
    """Each disk of an image with the disk of this machine that it is."""
    found = []
    for disk, one in zip(disks, matches):
        target = "here %s: %s" % (one.path, one.reason) if one.path else "not found here"
        found.append("%s (%s, %s; %s)" % (disk.name, size(disk.entry.size_bytes), disk.entry.stable_id, target))
    return found


class Given(NamedTuple):
    """A target of the map, as the plan found it. ``table`` is the id of its partition table, or ""."""

    path: str
    table: str
    mark: bytes
    holds_data: bool


def refuse_other_disk(disks: Sequence[ImagedDisk], number: int, target: Given, agreed: Sequence[str]) -> None:
    """Refuse a target that is another disk of the image: after a start ``/dev/sda`` and ``/dev/sdb`` may have changed places.

    A disk of the device that was never in the image is refused as well, if it holds data: there is no copy of that.

    :param agreed: what the user agreed to lose, by name: ``disk1`` for that disk, ``serial:...`` for one without a name.
    :raises RestoreTargetIsOtherDisk: naming both.
    """
    mine = disks[number]
    one = _described(target)
    if _known_by(mine, one):
        return
    for other in disks:
        reason = _known_by(other, one) if other.name != mine.name else None
        if reason and other.name not in agreed:
            _refuse(target, other.name, "%s of the image" % other.name, mine, reason)
    names = sorted(mine.others.ids.intersection(one.hardware | {one.table}))
    if names and target.holds_data and not set(names).intersection(agreed):
        reason = _BY_TABLE if names[0] == one.table else _BY_HARDWARE
        _refuse(target, names[0], "the disk %s of the device, which the image does not hold" % names[0], mine, reason)


def _refuse(target: Given, other: str, what: str, mine: ImagedDisk, reason: str) -> NoReturn:
    raise RestoreTargetIsOtherDisk(target=target.path, other=other, what=what, disk=mine.name, reason=reason)


def _known_by(disk: ImagedDisk, one: DiskHere) -> Optional[str]:
    """Why a target may be this disk: its table counts beside any serial number, since controllers show other ones."""
    if _has_mark(disk, one):
        return _BY_MARK
    if _has_hardware(disk, one):
        return _BY_HARDWARE
    return _BY_TABLE if _is_table_of(disk, one) else None


def _described(target: Given) -> DiskHere:
    """The target as it is now; a loop device or a mapped one tells its table only."""
    tree = BlockTree()
    name = tree.by_path(target.path)
    for disk in find_disks(tree) if name else []:
        if disk.name == name:
            return _here(disk, target.table, target.mark, True)
    return DiskHere(target.path, frozenset(), target.table, 0, "", True, target.mark)
