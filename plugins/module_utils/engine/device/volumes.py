# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a partition or mapped device: its file system, where it is mounted, how much of it is in use."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from ..disk.filesystems.contract import VolumeState
from ..disk.filesystems.registry import detect
from ..disk.signatures import container, recognise
from ..disk.source import BlockSource
from ..errors import DiskError
from ..host.mountinfo import Mount
from ..host.stack import BlockTree, listing

_BY_LINK = {"uuid": "by-uuid", "label": "by-label"}


class Volumes:
    """Describes volumes of the machine below ``root``; asks the kernel where a volume can't be opened."""

    def __init__(self, tree: BlockTree, mounts: List[Mount], swaps: List[str]) -> None:
        self._tree = tree
        self._mounts = mounts
        self._swaps = swaps
        self._links = {key: self._read_links(folder) for key, folder in _BY_LINK.items()}

    def describe(self, name: str, source: Optional[BlockSource]) -> Dict[str, Any]:
        """Tell of the volume that the kernel calls ``name`` ("" for a partition that it does not show).

        :param source: where its bytes are, or None if they can't be read.
        :return: ``kind`` as our parsers say ("ext4", "fat32", "LVM..."), as the mount says where they can't look, else "".
            ``used_bytes`` is None if unknown.
        """
        mounts = self.mounts_of(name)
        found: Dict[str, Any] = {
            "kind": mounts[0].kind if mounts else "",
            "label": self._links["label"].get(name, ""),
            "uuid": self._links["uuid"].get(name, ""),
            "mount_points": [mount.point for mount in mounts],
            "mounted_read_only": all(mount.read_only for mount in mounts) if mounts else None,
            "swap_in_use": name in self._swaps,
            "used_bytes": None,
            "problem": "",
        }
        if source is not None:
            found.update(look_into(source, not mounts and name not in self._swaps))
        if mounts and found["used_bytes"] is None:
            found["used_bytes"] = self._used_as_mounted(mounts[0])
        return found

    def mounts_of(self, name: str) -> List[Mount]:
        """The mounts of a device; that of a whole file system before those of a part of it."""
        if not name:
            return []
        number, path = self._tree.text(name, "dev"), self._tree.path(name)
        # btrfs shows another device number than its disk's: there the path has to do.
        mounts = [mount for mount in self._mounts if mount.number == number or self._is_source(mount, path, name)]
        return sorted(mounts, key=lambda mount: (mount.folder != "/", mount.point))

    def _is_source(self, mount: Mount, path: str, name: str) -> bool:
        if not mount.source.startswith("/dev/") or not mount.number.startswith("0:"):
            return False
        return mount.source == path or self._tree.by_path(mount.source) == name

    def _used_as_mounted(self, mount: Mount) -> Optional[int]:
        if self._tree.root != "/":
            return None
        try:
            answer = os.statvfs(mount.point)
        except OSError:
            return None
        return (answer.f_blocks - answer.f_bfree) * answer.f_frsize

    def _read_links(self, folder: str) -> Dict[str, str]:
        """Names of devices that udev made links for, the only way for an ordinary user: device name -> link."""
        base = os.path.join(self._tree.root, "dev/disk", folder)
        return {os.path.basename(os.path.realpath(os.path.join(base, link))): _decoded(link) for link in listing(base)}


def look_into(source: BlockSource, offline: bool) -> Dict[str, Any]:
    """Read the bytes of a volume and return those of ``kind``, ``label``, ``uuid``, ``used_bytes`` and ``problem`` that are known.

    :param offline: no system has the volume mounted, so that its own map can be believed.
    """
    try:
        kind = container(source)
        file_system = None if kind else detect(source)
        if file_system is None:
            kind = kind or recognise(source)
            return {"kind": kind} if kind else {}
        found: Dict[str, Any] = {"kind": file_system.kind, "label": file_system.label, "uuid": file_system.uuid}
        if offline:
            # Frozen, not offline: a report need not prove every record of an NTFS volume that was not unmounted.
            state = VolumeState.FROZEN if file_system.kind == "ntfs" else VolumeState.OFFLINE
            used = file_system.used(state)
            found["used_bytes"] = used.extents.total_bytes if used.trusted else None
            found["problem"] = used.reason
        return found
    except DiskError as error:
        return {"problem": str(error)}


def _decoded(link: str) -> str:
    r"""udev escapes special characters as \x20."""
    try:
        return (
            link.encode("utf-8", "surrogateescape")
            .decode("unicode_escape")
            .encode("latin-1")
            .decode("utf-8", "replace")
        )
    except (UnicodeDecodeError, UnicodeEncodeError):
        return link
