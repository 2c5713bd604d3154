# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The use of a disk by others (Linux): the disk's own counters, what this process did, what all others did.

Sources of the formats: Documentation/block/stat.rst and Documentation/filesystems/proc.rst (/proc/<pid>/io) of the
Linux kernel. A process's bytes are those that it made go to or come from a disk, page cache hits not among them.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Dict, List, NamedTuple, Optional

from .linux_stack import SYSFS_SECTOR_BYTES, BlockTree

_MAX_PROCESSES = 4096
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of linux/sched.h: such a thread writes for others, us among them


class Activity(NamedTuple):
    """The activity between two looks."""

    seconds: float
    others_bytes: int


class _Look(NamedTuple):
    at_seconds: float
    disk_bytes: int
    own_bytes: int
    own_written_bytes: int
    others: Optional[Dict[int, int]]


class DiskActivity:
    """Tells what others did on some disks since the last time it was asked."""

    def __init__(
        self, disks: List[str], *, root: str = "/", clock: Callable[[], float] = time.monotonic, own_pid: int = 0
    ) -> None:
        self._tree = BlockTree(root)
        self.disks = disks
        self._proc = os.path.join(root, "proc")
        self._clock = clock
        self._own_pid = own_pid or os.getpid()
        self._kernel_threads: Dict[int, bool] = {}
        self._last = self._look()

    @classmethod
    def of(cls, path: str) -> Optional[DiskActivity]:
        """The activity of the disks under a block device or a file; or None if the system does not tell its disks.

        A file in memory or on the network is not on a disk: no other user has to be waited for.
        """
        tree = BlockTree()
        if not tree.names():
            return None
        name = tree.by_path(path) if path.startswith("/dev/") else ""
        places = tree.beneath(name) if name else tree.under_file(path)
        disks = sorted({place.name for place in places if tree.text(place.name, "stat")})
        return cls(disks)

    @property
    def is_rotational(self) -> bool:
        return any(self._tree.text(disk, "queue/rotational") == "1" for disk in self.disks)

    def others(self) -> Activity:
        """The bytes that others read and wrote since the last call.

        Two estimates, the lower one counts: what all other processes did, on any disk, where the system lets us see it;
        and what the disk did minus what we did, which is exact unless we write to the same disk.
        """
        now, last = self._look(), self._last
        self._last = now
        seconds = max(now.at_seconds - last.at_seconds, 1e-3)
        if not self.disks:
            return Activity(seconds, 0)
        estimates = []
        if now.others is not None and last.others is not None:
            before = last.others
            estimates.append(sum(max(0, total - before.get(pid, 0)) for pid, total in now.others.items()))
        if now.own_written_bytes == last.own_written_bytes or not estimates:
            estimates.append(max(0, now.disk_bytes - last.disk_bytes - (now.own_bytes - last.own_bytes)))
        return Activity(seconds, min(estimates))

    def _look(self) -> _Look:
        total = 0
        for disk in self.disks:
            fields = self._tree.text(disk, "stat").split()
            if len(fields) >= 7 and fields[2].isdigit() and fields[6].isdigit():
                total += (int(fields[2]) + int(fields[6])) * SYSFS_SECTOR_BYTES
        own = self._process_io(self._own_pid) or {}
        written = own.get("write_bytes", 0)
        return _Look(self._clock(), total, own.get("read_bytes", 0) + written, written, self._all_others())

    def _all_others(self) -> Optional[Dict[int, int]]:
        """Bytes of every other process since it started; or None for a user who may not see them."""
        found: Dict[int, int] = {}
        hidden = 0
        try:
            pids = [int(name) for name in os.listdir(self._proc) if name.isdigit()]
        except OSError:
            return None
        for pid in pids[:_MAX_PROCESSES]:
            if pid == self._own_pid or self._is_kernel_thread(pid):
                continue
            io = self._process_io(pid)
            if io is None:
                hidden += os.path.exists(os.path.join(self._proc, str(pid)))
            else:
                found[pid] = io.get("read_bytes", 0) + io.get("write_bytes", 0)
        self._kernel_threads = {pid: known for pid, known in self._kernel_threads.items() if pid in set(pids)}
        # Even root may not see a process with more rights than a container's root has: that one is missed.
        return None if hidden and os.geteuid() != 0 else found

    def _is_kernel_thread(self, pid: int) -> bool:
        known = self._kernel_threads.get(pid)
        if known is None:
            fields = _read(os.path.join(self._proc, str(pid), "stat")).rpartition(")")[2].split()
            known = len(fields) > 6 and fields[6].isdigit() and bool(int(fields[6]) & _KERNEL_THREAD)
            self._kernel_threads[pid] = known
        return known

    def _process_io(self, pid: int) -> Optional[Dict[str, int]]:
        text = _read(os.path.join(self._proc, str(pid), "io"))
        pairs = [line.split(": ", 1) for line in text.splitlines() if ": " in line]
        return {name: int(value) for name, value in pairs if value.isdigit()} if pairs else None


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode("ascii", "replace")
    except OSError:
        return ""
