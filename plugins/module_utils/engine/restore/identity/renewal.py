# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans a new identity for a clone: new ids in the table, and what names the old ones is changed, kept or refused by name.

The hives of Windows are changed with the ids. A Linux configuration that names a partition by its id is not changed, so the restore
is refused. File systems get a new UUID where no system starts from them, nothing on the disk names the old one, and this machine
has the tool.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...disk.layout import DiskLayout
from ...errors import RestoreBootConfigLocked, RestoreCannotMove, RestoreIdentityImpossible, RestoreIdentityNamed
from ...host.linux_loop import can_attach
from ..resize.tools import path_of
from ..resize.volume import Volume
from .draw import Drawn, device_names, draw, same
from .mentions import Config, configs_of
from .windows_hives import Patch, edits, hives_of

_TOOLS = {"ext": ("e2fsck", "tune2fs"), "ntfs": ("ntfslabel",)}


class FileSystemId(NamedTuple):
    """Whether a file system gets a new UUID; ``reason`` says why it keeps the old one."""

    volume: Volume
    is_new: bool
    reason: str


class Renewal(NamedTuple):
    """The new identity of a disk."""

    drawn: Drawn
    file_systems: List[FileSystemId]
    hives: List[Tuple[int, str]]  # partition and path of each hive that is changed
    patches: Dict[int, List[Patch]]  # by partition, places on the volume
    warnings: List[str]

    @property
    def renewed(self) -> List[Volume]:
        return [one.volume for one in self.file_systems if one.is_new]


def renew(
    disk: str, target: str, layout: DiskLayout, volumes: Sequence[Volume], after: Dict[int, int], shrunk: Sequence[int]
) -> Renewal:
    """Draw new ids and find what names the old ones.

    :param after: the start of each partition on the target, by number. :param shrunk: partitions that become smaller.
    :raises RestoreIdentityNamed: when a configuration that is not changed names an id. :raises RestoreBootConfigLocked: when a hive
        can't be changed.
    """
    _refuse_impossible(disk, target, layout, volumes)
    configs, unknown = configs_of(volumes)
    for config in configs:
        for one in layout.partitions:
            if config.names(one.unique_id):
                raise RestoreIdentityNamed(
                    partition=one.number, disk=disk, target=target, path=config.path, where=config.partition
                )
    drawn = draw(layout)
    hives = hives_of(disk, target, volumes)
    for found in hives:
        if found.volume.number in shrunk:
            reason = "partition %d is shrunk, and %s on it would have to be changed" % (found.volume.number, found.path)
            raise RestoreIdentityImpossible(disk=disk, target=target, reason=reason)
    names = device_names(drawn, [one for one in layout.partitions if one.number in after], after)
    changed = edits(disk, target, hives, drawn, names)
    patches: Dict[int, List[Patch]] = {}
    for found, mine in changed:
        patches.setdefault(found.volume.number, []).extend(mine)
    file_systems = [_file_system(one, configs) for one in volumes if one.file_system is not None]
    return Renewal(
        drawn=drawn,
        file_systems=file_systems,
        hives=[(one.volume.number, one.path) for one, dummy in changed],
        patches=patches,
        warnings=_warnings(disk, volumes, file_systems, unknown),
    )


class Following(NamedTuple):
    """The changes in the hives of Windows because partitions of an MBR move; the ids stay."""

    hives: List[Tuple[int, str]]
    patches: Dict[int, List[Patch]]
    warnings: List[str]


def follow_moves(
    disk: str, target: str, layout: DiskLayout, volumes: Sequence[Volume], after: Dict[int, int], shrunk: Sequence[int]
) -> Following:
    """Have the boot configuration and the drive letters name the new places. Where they can't be changed, drive letters are a warning;
    a boot configuration that names a moved partition was refused before.

    :raises RestoreCannotMove: when a file that must be changed is on a partition that is shrunk.
    """
    moved = [one for one in volumes if after[one.number] != one.partition.start_bytes]
    if layout.scheme != "mbr" or not moved:
        return Following([], {}, [])
    drawn = same(layout)
    names = device_names(drawn, [one.partition for one in moved], after)
    found = Following([], {}, [])
    try:
        hives = hives_of(disk, target, volumes)
    except RestoreBootConfigLocked as error:
        hives = []
        found.warnings.append(_letters(disk, moved, str(error.fields["path"]), str(error.fields["reason"])))
    for one in hives:
        try:
            changed = edits(disk, target, [one], drawn, names)
        except RestoreBootConfigLocked as error:
            found.warnings.append(_letters(disk, moved, one.path, str(error.fields["reason"])))
            continue
        if changed and one.volume.number in shrunk:
            reason = "%s on partition %d names it by its place, and that partition is shrunk" % (
                one.path,
                one.volume.number,
            )
            raise RestoreCannotMove(partition=moved[0].number, disk=disk, target=target, reason=reason)
        for dummy, mine in changed:
            found.hives.append((one.volume.number, one.path))
            found.patches.setdefault(one.volume.number, []).extend(mine)
    return found


def _letters(disk: str, moved: Sequence[Volume], path: str, reason: str) -> str:
    return (
        "Windows may give partition %s of %s another drive letter, because it moves and %s can't be changed: %s. Check the "
        "letters in Disk Management." % (", ".join(str(one.number) for one in moved), disk, path, reason)
    )


def _refuse_impossible(disk: str, target: str, layout: DiskLayout, volumes: Sequence[Volume]) -> None:
    reason = ""
    if layout.scheme == "none":
        reason = "it has no partition table, and so no signature"
    ids = [one.unique_id for one in layout.partitions]
    if layout.scheme == "gpt" and (len(set(ids)) != len(ids) or layout.disk_id in ids):
        reason = "its partition table has one GUID twice"
    if layout.scheme == "mbr" and any(one.unique_id.startswith("00000000") for one in layout.partitions):
        reason = "its MBR has no signature, so nothing can name it"
    locked = next((one for one in volumes if "BitLocker" in one.kind), None)
    if locked is not None:
        reason = (
            "partition %d is encrypted with BitLocker, so what names the old identity can't be read" % locked.number
        )
    if reason:
        raise RestoreIdentityImpossible(disk=disk, target=target, reason=reason)


def _file_system(one: Volume, configs: Sequence[Config]) -> FileSystemId:
    uuid = one.file_system.uuid if one.file_system is not None else ""
    reason = ""
    tools = _TOOLS["ext"] if one.is_ext else _TOOLS["ntfs"] if one.is_ntfs else ()
    named = next((config for config in configs if config.names(uuid)), None)
    if named is not None:
        reason = "/%s on partition %d names it" % (named.path, named.partition)
    elif one.system() or one.names_in("grub") or one.names_in("boot", "grub") or one.partition.bootable:
        reason = "a system starts from it"
    elif not tools:
        reason = "no tool changes the id of %s safely" % one.kind
    elif one.why_unclean():
        reason = one.why_unclean()
    else:
        missing = [tool for tool in tools if not path_of(tool)] + ([] if can_attach() else ["loop devices"])
        reason = "this machine lacks %s" % ", ".join(missing) if missing else ""
    return FileSystemId(one, not reason, reason)


def _warnings(
    disk: str, volumes: Sequence[Volume], file_systems: Sequence[FileSystemId], unknown: Sequence[str]
) -> List[str]:
    found = [
        "The file system of partition %d of %s keeps its UUID, because %s." % (one.volume.number, disk, one.reason)
        for one in file_systems
        if not one.is_new and one.volume.partition.role != "efi"
    ]
    inside = [one for one in volumes if one.file_system is None and one.kind and one.kind != "swap"]
    found += [
        "Partition %d of %s (%s) keeps its own ids; only its id in the partition table is new."
        % (one.number, disk, one.kind)
        for one in inside
    ]
    if found:
        found.append(
            "Do not attach the original of %s and this clone to one running system: some of their ids are the same."
            % disk
        )
    if unknown:
        found.append(
            "Configuration files in %s of %s can't be read. If one of them names a partition by its PARTUUID, change it "
            "before the clone starts." % (", ".join(unknown), disk)
        )
    return found
