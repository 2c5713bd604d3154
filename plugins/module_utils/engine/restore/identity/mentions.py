# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration files of an imaged Linux name a partition or a file system by its id: fstab, crypttab, units
of systemd, and what boot loaders read."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from ...disk.filesystems.contract import FileTree, FolderEntry
from ...errors import EngineError
from ..resize.volume import Volume

# Below the root of a volume: a separate partition may be mounted on /boot or /boot/efi. "*" stands for a part of one name.
_FILES = (
    "etc/fstab",
    "etc/crypttab",
    "etc/auto.*",
    "etc/cmdline.d/*",
    "etc/default/grub",
    "etc/default/grub.d/*",
    "etc/dracut.conf",
    "etc/dracut.conf.d/*",
    "etc/grub.d/*",
    "etc/initramfs-tools/conf.d/*",
    "etc/kernel/cmdline",
    "etc/lilo.conf",
    "etc/systemd/system/*.mount",
    "etc/systemd/system/*.swap",
    "etc/udev/rules.d/*",
    "etc/zipl.conf",
    "usr/lib/systemd/system/*.mount",
)
_BOOT_FILES = (
    "armbianEnv.txt",
    "boot.cmd",
    "boot.ini",
    "boot.scr",
    "cmdline.txt",
    "extlinux.conf",
    "extlinux/extlinux.conf",
    "grub/*.cfg",
    "grub/grub.conf",
    "grub/grubenv",
    "grub/menu.lst",
    "grub2/*.cfg",
    "grub2/grub.conf",
    "grub2/grubenv",
    "isolinux/*.cfg",
    "limine.cfg",
    "limine.conf",
    "loader/entries/*",
    "menu.lst",
    "refind_linux.conf",
    "syslinux.cfg",
    "syslinux/*.cfg",
    "uEnv.txt",
    "EFI/*/*.cfg",
    "EFI/*/*.conf",
    "EFI/*/grubenv",
    "EFI/Linux/*.efi",
)
_BOOT_FOLDERS = ("", "boot/", "boot/efi/", "efi/")
_PATTERNS = tuple(
    tuple(one.split("/")) for one in (*_FILES, *(start + one for start in _BOOT_FOLDERS for one in _BOOT_FILES))
)
_MOST_BYTES, _MOST_NAMES, _MOST_FILES = 1 << 20, 1 << 16, 1024
_MOST_BYTES_IN_ALL = 64 << 20
_NO_FILES = ("swap", "the journal of an ext file system")
_NO_FILES_ROLES = ("bios-boot", "microsoft-reserved")
_LOOKED_AT_BYTES = 4 << 20


class Config(NamedTuple):
    """A configuration file: the partition that holds it, its path, its content in small letters, and its disk if that is another
    one."""

    partition: int
    path: str
    content: bytes
    disk: str = ""

    @property
    def where(self) -> Union[int, str]:
        """The partition, in words for one of another disk."""
        return "%d of %s" % (self.partition, self.disk) if self.disk else self.partition

    def names(self, word: str) -> bool:
        """Whether the file has this id."""
        return bool(word) and word.lower().encode("ascii", "replace") in self.content


class Configs(NamedTuple):
    """The files that were read, and in words what could not be read."""

    read: List[Config]
    unknown: List[str]

    def has_room(self, more_bytes: int) -> bool:
        """Whether a file of this size may be kept as well: a disk may have many volumes."""
        kept = sum(len(one.content) for one in self.read[:_MOST_FILES])
        return len(self.read) < _MOST_FILES and kept + more_bytes <= _MOST_BYTES_IN_ALL


def configs_of(volumes: Sequence[Volume]) -> Configs:
    """The files of all volumes. A volume or file that is there but can't be read may name anything."""
    found = Configs([], [])
    for one in volumes:
        words = "partition %d (%%s)" % one.number
        try:
            tree = one.file_system.tree() if one.file_system is not None else None
            if tree is not None:
                _read_all(one, tree, found)
            elif one.kind and one.kind not in _NO_FILES:
                found.unknown.append(words % one.kind)
            elif not one.kind and one.partition.role not in _NO_FILES_ROLES and _has_bytes(one):
                found.unknown.append(words % "unknown content")
        except EngineError as error:
            found.unknown.append(words % str(error).rstrip("."))
    return found


def _has_bytes(one: Volume) -> bool:
    return any(one.source.read(0, min(_LOOKED_AT_BYTES, one.source.size_bytes)))


def _read_all(one: Volume, tree: FileTree, found: Configs) -> None:
    folders = _Folders(tree)
    files: Dict[str, FolderEntry] = {}
    for pattern in _PATTERNS:
        files.update(folders.matching(pattern))
        if len(files) > _MOST_FILES:
            found.unknown.append("partition %d (more than %d configuration files)" % (one.number, _MOST_FILES))
            return
    if one.is_ntfs:
        files.pop("boot.ini", None)  # there the file is Windows XP's, which has no ids
    found.unknown.extend("%s on partition %d" % (path, one.number) for path in folders.unread)
    for path, entry in files.items():
        try:
            ranges = tree.ranges(entry.node)
            size = sum(length for dummy, length in ranges or [])
            is_read = ranges is not None and size <= _MOST_BYTES and found.has_room(size)
            if ranges is not None and is_read:
                content = b"".join(one.source.read(*part) for part in ranges)
                found.read.append(Config(one.number, path, content.lower()))
        except EngineError:
            is_read = False
        if not is_read:
            found.unknown.append("/%s on partition %d" % (path, one.number))


class _Folders:
    """The folders of a volume by their path, each read once."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._known: Dict[str, Dict[str, FolderEntry]] = {}
        self.unread: Dict[str, None] = {}  # links, and folders that can't be read

    def matching(self, pattern: Tuple[str, ...]) -> Iterator[Tuple[str, FolderEntry]]:
        """The files whose path matches."""
        known = [("", FolderEntry("", self._tree.root(), True))]
        for number, part in enumerate(pattern, 1):
            is_last = number == len(pattern)
            known = [
                found
                for path, folder in known
                for found in self._named(path, folder, part)
                if self._leads_on(*found, is_last)
            ]
        yield from known

    def _leads_on(self, path: str, entry: FolderEntry, is_last: bool) -> bool:
        if is_last or entry.is_folder:
            return is_last != entry.is_folder
        if self._tree.content(entry.node) is None:
            self.unread["/" + path] = None  # a link in the place of a folder
        return False

    def _named(self, path: str, folder: FolderEntry, part: str) -> List[Tuple[str, FolderEntry]]:
        entries = self._in(path, folder)
        wanted = self._key(part)
        start = path + "/" if path else ""
        if "*" not in part:
            return [(start + part, entries[wanted])] if wanted in entries else []
        return [(start + one.name, one) for name, one in entries.items() if fnmatchcase(name, wanted)]

    def _key(self, name: str) -> str:
        return name if self._tree.case_sensitive else self._tree.fold(name)

    def _in(self, path: str, folder: FolderEntry) -> Dict[str, FolderEntry]:
        """The entries of a folder by their name, in the form in which names are compared."""
        if path not in self._known:
            self._known[path] = {}
            try:
                for entry in self._tree.children(folder.node):
                    self._known[path].setdefault(self._key(entry.name), entry)
                    if len(self._known[path]) > _MOST_NAMES:
                        self.unread["/%s, which has more than %d names," % (path, _MOST_NAMES)] = None
                        break
            except EngineError:
                self.unread["/" + path] = None
        return self._known[path]
