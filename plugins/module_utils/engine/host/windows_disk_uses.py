# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a disk of a running Windows can't be written to: what it is used for, from what Windows says of it.

Each question that Windows does not answer is a reason, too: only a disk of which everything is known is free. Sources: "Physical
Disks and Volumes" at CreateFile (Windows refuses writes below a file system that is mounted), STORAGE_BUS_TYPE, the
partition types of PARTITION_INFORMATION_GPT and PARTITION_INFORMATION_MBR; the volume header of BitLocker as libbde's
documentation describes it.
"""

from __future__ import annotations

import contextlib
import struct
from typing import Iterator, List, Sequence, Tuple

from . import windows_devices as devices
from . import windows_volumes as volumes
from .windows_volumes import DiskPartition

_SPACES_BUS = 16  # BusTypeSpaces
_DYNAMIC = frozenset(["42", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad"])
_POOL = "e75caf8f-f680-4cee-afa3-b001e56efc2d"
_BITLOCKER = b"-FVE-FS-"
_LOOK_BYTES = 4096  # a whole sector of any disk
_MOST_REASONS = 8


def uses_of_disk(path: str, folders: Sequence[Tuple[str, str]] = ()) -> List[str]:
    """The reasons why this disk is not free, none for one that is.

    ``folders``: pairs of a path that must not be on it, and its purpose in words.
    """
    try:
        handle = devices.open_device(path)
    except OSError as error:
        return ["Windows does not open it: %s" % volumes.words_of(error)]
    try:
        return _Look(handle, folders).reasons()[:_MOST_REASONS]
    finally:
        devices.close_device(handle)


class _Look:
    """One look at a disk. Each reason is a clause about "it", the disk."""

    def __init__(self, handle: int, folders: Sequence[Tuple[str, str]]) -> None:
        self._handle = handle
        self._folders = folders
        self._found: List[str] = []
        self._number = -1
        self._has_mounted = False

    def reasons(self) -> List[str]:
        with self._asking("its number"):
            number = volumes.disk_number(self._handle)
            if number is None:
                return ["it is not a disk"]
            self._number = number
        if self._number < 0:
            return self._found  # nothing else can be said of it
        self._look_at_disk()
        self._look_at_partitions()
        self._look_at_system()
        self._look_at_folders()
        self._look_at_volumes()
        return self._found

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Take a refusal to answer as a reason."""
        try:
            yield
        except (OSError, ValueError, struct.error) as error:
            self._say("Windows does not tell %s: %s" % (what, volumes.words_of(error)))

    def _say(self, reason: str) -> None:
        if reason not in self._found:
            self._found.append(reason)

    def _look_at_disk(self) -> None:
        with self._asking("whether it is offline"):
            flags = volumes.disk_flags(self._handle)
            if flags.is_offline:
                self._say("it is offline, so that Windows does not show what is on it")
            if flags.is_read_only:
                self._say("Windows keeps it read-only")
        with self._asking("whether it is write-protected"):
            if not volumes.is_writable(self._handle):
                self._say("it is write-protected")
        with self._asking("whether a cluster uses it"):
            if volumes.is_clustered(self._handle):
                self._say("it belongs to a failover cluster")
        with self._asking("how it is connected"):
            if volumes.bus(self._handle) == _SPACES_BUS:
                self._say("it is a virtual disk of Storage Spaces")

    def _look_at_partitions(self) -> None:
        partitions: List[DiskPartition] = []
        with self._asking("its partitions"):
            partitions = volumes.partitions(self._handle)
        if any(one.kind in _DYNAMIC for one in partitions):
            self._say("it is a dynamic disk")
        if any(one.kind == _POOL for one in partitions):
            self._say("it is a member of a pool of Storage Spaces")
        for one in partitions:
            with self._asking("how partition %d begins" % one.number):
                if self._begins_with_bitlocker(one.start_bytes):
                    self._say("partition %d is encrypted by BitLocker" % one.number)
        with self._asking("how it begins"):
            if self._begins_with_bitlocker(0):
                self._say("it is encrypted by BitLocker as a whole")

    def _begins_with_bitlocker(self, start_bytes: int) -> bool:
        buffer = bytearray(_LOOK_BYTES)
        count = devices.read_at(self._handle, start_bytes - start_bytes % _LOOK_BYTES, memoryview(buffer))
        at = start_bytes % _LOOK_BYTES
        return bytes(buffer[at + 3 : min(at + 11, count)]) == _BITLOCKER

    def _look_at_system(self) -> None:
        folder = volumes.windows_folder()
        with self._asking("where %s is" % folder):
            if self._holds(folder):
                self._say("Windows runs from it")
        with self._asking("what it was started from"):
            device = volumes.starting_device()
            if not device:
                raise ValueError("the registry has no SystemPartition")
            if self._has_extent_of(device):
                self._say("Windows starts from it")
        with self._asking("its paging files"):
            for name in volumes.paging_files():
                if self._holds(name[:3]):
                    self._say("the paging file %s is on it" % name)

    def _look_at_folders(self) -> None:
        for path, what in self._folders:
            with self._asking("where %s is" % path):
                if self._holds(path):
                    self._say("%s is on it (%s)" % (what, path))

    def _holds(self, path: str) -> bool:
        volume = volumes.volume_of(path)
        return bool(volume) and self._has_extent_of(volume)

    def _has_extent_of(self, volume: str) -> bool:
        return any(one.disk == self._number for one in volumes.extents(volume))

    def _look_at_volumes(self) -> None:
        with self._asking("which volumes there are"):
            for volume in volumes.volumes():
                with self._asking("where the volume %s lies" % volume):
                    self._look_at_volume(volume)
        if self._has_mounted:
            return  # a volume with a letter counts as in use, whether a file is open there or not
        with self._asking("which volumes there are"):
            for device in volumes.volume_devices():
                with self._asking("whether a program has the volume %s open" % device):
                    self._look_whether_open(device)

    def _look_at_volume(self, volume: str) -> None:
        places = volumes.extents(volume)
        if all(one.disk != self._number for one in places):
            return
        for point in volumes.mount_points(volume):
            self._has_mounted = True
            self._say("the volume %s is on it" % point)
        if any(one.disk != self._number for one in places):
            self._say("the volume %s is on it and on other disks" % volume)

    def _look_whether_open(self, device: str) -> None:
        if not self._has_extent_of(device):
            return
        lock = volumes.lock_volume(device)
        if lock is None:
            self._say("a program has the volume %s on it open" % device)
        else:
            devices.close_device(lock)


def volumes_on(number: int) -> List[str]:
    """The volumes of a disk by the names of their devices. :raises OSError: :raises ValueError:"""
    return [one for one in volumes.volume_devices() if any(part.disk == number for part in volumes.extents(one))]
