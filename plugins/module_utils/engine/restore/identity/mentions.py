# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration files of an imaged Linux name a partition or a file system by its id: fstab, crypttab, GRUB, the boot loader's entries."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ...disk.filesystems.contract import FileTree
from ...disk.signatures import FIRMWARE_RAID_KIND, LVM_KIND, RAID_KIND
from ...errors import EngineError
from ..resize.volume import Volume, find

_FILES = (
    ("etc", "fstab"),
    ("etc", "crypttab"),
    ("etc", "default", "grub"),
    ("etc", "kernel", "cmdline"),
    ("boot", "grub", "grub.cfg"),
    ("boot", "grub2", "grub.cfg"),
    ("boot", "cmdline.txt"),
    ("boot", "extlinux", "extlinux.conf"),
    ("grub", "grub.cfg"),
    ("grub2", "grub.cfg"),
    ("cmdline.txt",),
    ("extlinux", "extlinux.conf"),
)
_FOLDERS = (("boot", "loader", "entries"), ("loader", "entries"))
_MOST_BYTES, _MOST_NAMES = 1 << 20, 256


class Config(NamedTuple):
    """A configuration file: the partition that holds it, its path, and its content in small letters."""

    partition: int
    path: str
    content: bytes

    def names(self, word: str) -> bool:
        """Whether the file has this id."""
        return bool(word) and word.lower().encode("ascii", "replace") in self.content


def configs_of(volumes: Sequence[Volume]) -> Tuple[List[Config], List[str]]:
    """The files of all volumes that can be read, and sentences about those that can't."""
    found: List[Config] = []
    unknown: List[str] = []
    for one in volumes:
        try:
            tree = one.file_system.tree() if one.file_system is not None else None
            for path in _paths(tree) if tree is not None else []:
                content = _content(one, tree, path) if tree is not None else None
                if content is not None:
                    found.append(Config(one.number, "/".join(path), content.lower()))
        except EngineError as error:
            unknown.append("partition %d (%s)" % (one.number, str(error).rstrip(".")))
        if one.file_system is None and one.kind in (LVM_KIND, RAID_KIND, FIRMWARE_RAID_KIND, "LUKS"):
            unknown.append("partition %d (%s)" % (one.number, one.kind))
    return found, unknown


def _paths(tree: FileTree) -> Iterator[Tuple[str, ...]]:
    yield from _FILES
    for folder in _FOLDERS:
        for name in _names(tree, folder):
            yield (*folder, name)
    for vendor in _names(tree, ("EFI",)):
        yield ("EFI", vendor, "grub.cfg")


def _names(tree: FileTree, folder: Tuple[str, ...]) -> List[str]:
    node = find(tree, folder)
    return [] if node is None else [one for _number, one in zip(range(_MOST_NAMES), tree.names(node))]


def _content(one: Volume, tree: FileTree, path: Tuple[str, ...]) -> Optional[bytes]:
    node = find(tree, path)
    content = tree.content(node) if node is not None else None
    if content is None or not 0 < content.extents.total_bytes <= _MOST_BYTES:
        return None
    return b"".join(one.source.read(*extent) for extent in content.extents)
