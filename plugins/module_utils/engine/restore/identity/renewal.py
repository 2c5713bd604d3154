# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans a new identity for a clone: new ids in the table, and what names the old ones is changed, kept or refused by name.

The hives of Windows are changed with the ids. A Linux configuration that names a partition by its id is not changed, so the restore
is refused. File systems get a new UUID where no system starts from them, nothing on the disk names the old one, and this machine
has the tool.
"""

from __future__ import annotations

import uuid
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...errors import RestoreIdentityImpossible, RestoreIdentityNamed
from ...host.linux_loop import can_attach
from ..resize.tools import path_of
from ..resize.volume import Volume
from .about import About, OtherDisk
from .draw import Drawn, device_names, draw
from .elsewhere import letters_elsewhere
from .mentions import Config, configs_of
from .windows_hives import Patch, changes_in, places, read_hive

_MOST_SAID = 10
_LEAST_DISTINCT_BYTES = 4  # a GUID that was drawn has fewer once in 10**22
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


def renew(about: About, others: Sequence[OtherDisk] = ()) -> Renewal:
    """Draw new ids and find what names the old ones.

    :param others: the other disks of the image. :raises RestoreIdentityNamed: when a configuration that is not changed names an
        id. :raises RestoreBootConfigLocked: when a hive can't be changed.
    """
    _refuse_impossible(about)
    configs, unknown = configs_of(about.volumes)
    for other in others:
        found = configs_of(other.volumes)
        configs += [one._replace(disk=other.disk) for one in found.read]
        unknown += ["%s of %s" % (one, other.disk) for one in found.unknown] + other.unread
    _refuse_named(about, configs)
    drawn = draw(about.layout)
    moved = [one for one in about.layout.partitions if one.number in about.after]
    names = device_names(drawn, moved, about.after)
    letters = [text for other in others for text in letters_elsewhere(about, other, drawn, names)]
    hives: List[Tuple[int, str]] = []
    patches: Dict[int, List[Patch]] = {}
    for place in places(about.volumes):
        one = read_hive(about.disk, about.target, place)
        if one is not None and one.volume.number in about.shrunk:
            reason = "partition %d is shrunk, and %s on it would have to be changed" % (one.volume.number, one.path)
            raise RestoreIdentityImpossible(disk=about.disk, target=about.target, reason=reason)
        changed = changes_in(about.disk, about.target, one, drawn, names) if one is not None else []
        if one is not None and changed:
            hives.append((one.volume.number, one.path))
            patches.setdefault(one.volume.number, []).extend(one.on_volume(changed))
    is_known = not unknown
    file_systems = [_file_system(one, configs, is_known) for one in about.volumes if one.file_system is not None]
    return Renewal(
        drawn=drawn,
        file_systems=file_systems,
        hives=hives,
        patches=patches,
        warnings=_warnings(about, file_systems, unknown) + letters,
    )


def _refuse_named(about: About, configs: Sequence[Config]) -> None:
    for config in configs:
        for one in about.layout.partitions:
            if config.names(one.unique_id):
                raise RestoreIdentityNamed(
                    partition=one.number, disk=about.disk, target=about.target, path=config.path, where=config.where
                )


def _refuse_impossible(about: About) -> None:
    layout = about.layout
    reason = ""
    if layout.scheme == "none":
        reason = "it has no partition table, and so no signature"
    ids = [one.unique_id for one in layout.partitions]
    if layout.scheme == "gpt" and (len(set(ids)) != len(ids) or layout.disk_id in ids):
        reason = "its partition table has one GUID twice"
    plain = [one for one in [layout.disk_id, *ids] if layout.scheme == "gpt" and _is_plain(one)]
    if plain:
        # Such bytes are everywhere in a hive, and only few of them are the id.
        reason = "its partition table has the GUID %s, which was not drawn by chance" % plain[0]
    if layout.scheme == "mbr" and any(one.unique_id.startswith("00000000") for one in layout.partitions):
        reason = "its MBR has no signature, so nothing can name it"
    locked = next((one for one in about.volumes if "BitLocker" in one.kind), None)
    if locked is not None:
        reason = (
            "partition %d is encrypted with BitLocker, so what names the old identity can't be read" % locked.number
        )
    if reason:
        raise RestoreIdentityImpossible(disk=about.disk, target=about.target, reason=reason)


def _is_plain(guid: str) -> bool:
    return len(set(uuid.UUID(guid).bytes)) < _LEAST_DISTINCT_BYTES


def _file_system(one: Volume, configs: Sequence[Config], is_known: bool) -> FileSystemId:
    """:param is_known: whether every configuration file could be read."""
    mine = one.file_system.uuid if one.file_system is not None else ""
    reason = ""
    tools = _TOOLS["ext"] if one.is_ext else _TOOLS["ntfs"] if one.is_ntfs else ()
    named = next((config for config in configs if config.names(mine)), None)
    if named is not None:
        reason = "/%s on partition %s names it" % (named.path, named.where)
    elif one.system() or one.names_in("grub") or one.names_in("boot", "grub") or one.partition.bootable:
        reason = "a system starts from it"
    elif not is_known:
        reason = "a configuration file that can't be read may name it"
    elif not tools:
        reason = "no tool changes the id of %s safely" % one.kind
    elif one.why_unclean():
        reason = one.why_unclean()
    else:
        missing = [tool for tool in tools if not path_of(tool)] + ([] if can_attach() else ["loop devices"])
        reason = "this machine lacks %s" % ", ".join(missing) if missing else ""
    return FileSystemId(one, not reason, reason)


def _warnings(about: About, file_systems: Sequence[FileSystemId], unknown: Sequence[str]) -> List[str]:
    disk = about.disk
    found = [
        "The file system of partition %d of %s keeps its UUID, because %s." % (one.volume.number, disk, one.reason)
        for one in file_systems
        if not one.is_new and one.volume.partition.role != "efi"
    ]
    inside = [one for one in about.volumes if one.file_system is None and one.kind and one.kind != "swap"]
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
        more = ", and %d more" % (len(unknown) - _MOST_SAID) if len(unknown) > _MOST_SAID else ""
        found.append(
            "Configuration files of %s can't be read, and one of them may name a partition by its UUID or PARTUUID: %s%s. So "
            "all file systems keep their UUID. If one of these files names a PARTUUID, change it before the clone starts."
            % (disk, ", ".join(unknown[:_MOST_SAID]), more)
        )
    return found
