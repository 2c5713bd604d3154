# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk of a running Windows as the target of a restore: one that holds no system and no open volume.

Windows reads and writes whole sectors of it only. While it is written the volumes that Windows still knows on it are locked
and dismounted: else Windows would write what it has in memory over the restored ones.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Callable, Iterator, List, Optional

from ..disk.raw_source import RawSource, reason_of
from ..errors import (
    DiskAccessDenied,
    EngineError,
    RestoreOnWindows,
    RestoreTargetBusy,
    RestoreTargetChanged,
    RestoreWriteFailed,
)
from ..host import windows_devices as devices
from ..host import windows_volumes as volumes
from ..host.windows_disk_uses import uses_of_disk, volumes_on
from .target import Target

_BUFFER_BYTES = 4 << 20
_WRITE_PROTECTED = 19


class WindowsDiskTarget(Target):
    """A whole disk by its raw name, ``\\\\.\\PhysicalDrive1``."""

    runs_tools = False
    starts_this_machine = False

    def __init__(self, path: str) -> None:
        """:raises RestoreOnWindows: for a disk that is used, or of which Windows does not tell. :raises DiskNotFound:"""
        self.path = path
        self.exists, self.is_device, self.parent = True, True, ""
        self._descriptor = self._held = None
        self._source: Optional[RawSource] = None
        self._handle: Optional[int] = None
        self._locks: List[int] = []
        self._claim: Optional[int] = None
        self._buffer = mmap.mmap(-1, _BUFFER_BYTES)  # of memory that begins at a page: it is aligned to sectors
        with RawSource(path) as source:
            self.size_bytes, self.sector_bytes = source.size_bytes, source.sector_bytes
        self._refuse_used()
        self.identity = ("a disk of Windows", self._number())

    def uses(self) -> List[str]:
        """Return nothing: a disk that is used was refused."""
        return []

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        source = RawSource(self.path)
        with source:
            self._source = source
            try:
                yield
            finally:
                self._source = None

    def open_for_writing(self) -> None:
        """Open what was looked at, when it is still free, and lock the volumes on it.

        :raises RestoreOnWindows: when it has come into use. :raises RestoreTargetChanged: :raises RestoreTargetBusy:
        :raises DiskAccessDenied:
        """
        try:
            self._refuse_used()
            self._refuse_other()
            self._claim = volumes.claim(self._number())
            if self._claim is None:
                raise RestoreTargetBusy(target=self.path, reason="another restore is writing to it")
            for volume in volumes_on(self._number()):
                self._lock(volume)
            self._handle = devices.open_writable(self.path)
            self._source = RawSource(self.path)
        except EngineError:
            self.close()
            raise
        except ValueError as error:
            self.close()
            raise RestoreTargetBusy(target=self.path, reason=str(error)) from error
        except OSError as error:
            self.close()
            if isinstance(error, PermissionError) or volumes.number_of(error) == _WRITE_PROTECTED:
                raise DiskAccessDenied(path=self.path, reason=reason_of(error)) from error
            raise RestoreTargetBusy(target=self.path, reason=reason_of(error)) from error

    def grow(self, size_bytes: int) -> None:
        """A disk does not grow; one that is too small was refused."""

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        if self._source is None:
            raise AssertionError("the target is not open")
        try:
            return self._source.read(offset_bytes, min(length_bytes, self.size_bytes - offset_bytes))
        except EngineError:
            return b""

    def write_pieces(self, offset_bytes: int, pieces: List[bytes]) -> None:
        data = b"".join(pieces)
        sector = self.sector_bytes
        end = offset_bytes + len(data)
        try:
            while offset_bytes < end:
                start = offset_bytes - offset_bytes % sector
                stop = min(-(-end // sector) * sector, start + _BUFFER_BYTES)
                count = min(end, stop) - offset_bytes
                self._fill(start, stop, offset_bytes - start, data[len(data) - (end - offset_bytes) :][:count])
                self._write(start, stop - start)
                offset_bytes += count
        except OSError as error:
            raise RestoreWriteFailed(
                target=self.path, offset_bytes=offset_bytes, length_bytes=end - offset_bytes, reason=reason_of(error)
            ) from error

    def _fill(self, start: int, stop: int, at: int, data: bytes) -> None:
        """Put the data into the buffer, and around it what the disk has in the sectors that it fills in part."""
        sector = self.sector_bytes
        self._buffer.seek(0)
        if at:
            self._read_sector(start, 0)
        if (at + len(data)) % sector:
            self._read_sector(stop - sector, stop - start - sector)
        self._buffer[at : at + len(data)] = data

    def _read_sector(self, place: int, at: int) -> None:
        """:raises OSError: a sector that can't be read would lose what is around the data."""
        with memoryview(self._buffer) as view:
            count = devices.read_at(self._open(), place, view[at : at + self.sector_bytes])
        if count != self.sector_bytes:
            raise OSError("a read of the sector at byte %d returned %d bytes" % (place, count))

    def _write(self, start: int, length: int) -> None:
        done = 0
        with memoryview(self._buffer) as view:
            while done < length:
                count = devices.write_at(self._open(), start + done, view[done:length])
                if count <= 0 or count % self.sector_bytes:
                    raise OSError("a write of %d bytes wrote %d" % (length - done, count))
                done += count

    def lend(self, work: Callable[[int], None]) -> None:
        """A restore that needs other programs was refused by its plan."""

    def begin_sync(self, start_bytes: int, end_bytes: int) -> None:
        """Each write goes past the cache of Windows."""

    def sync(self) -> None:
        try:
            devices.flush(self._open())
        except OSError as error:
            raise RestoreWriteFailed(
                target=self.path, offset_bytes=0, length_bytes=self.size_bytes, reason=reason_of(error) + " (flushing)"
            ) from error

    def close(self) -> None:
        """Let Windows look at the disk again, and let go of it."""
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._handle is not None:
            with contextlib.suppress(
                OSError
            ):  # Windows looks at the disk when it is connected again, or at its next start
                volumes.forget_table(self._handle)
        for handle in (self._handle, *self._locks, self._claim):
            if handle is not None:
                devices.close_device(handle)
        self._handle = self._claim = None
        self._locks = []

    def _open(self) -> int:
        """The handle of Windows: no descriptor of Python, which only this class's own methods use."""
        if self._handle is None:
            raise AssertionError("the target is not open")
        return self._handle

    def _lock(self, volume: str) -> None:
        """:raises RestoreTargetBusy: when a program opened it since. :raises OSError:"""
        lock = volumes.lock_volume(volume)
        if lock is None:
            raise RestoreTargetBusy(target=self.path, reason="a program has the volume %s on it open" % volume)
        self._locks.append(lock)
        volumes.dismount(lock)

    def _refuse_used(self) -> None:
        reasons = uses_of_disk(self.path)
        if reasons:
            raise RestoreOnWindows(target=self.path, reason="; ".join(reasons))

    def _refuse_other(self) -> None:
        if ("a disk of Windows", self._number()) != self.identity:
            raise RestoreTargetChanged(target=self.path, reason="its name now refers to another disk")
        with RawSource(self.path) as source:
            if (source.size_bytes, source.sector_bytes) != (self.size_bytes, self.sector_bytes):
                reason = "it now has %d bytes, not %d" % (source.size_bytes, self.size_bytes)
                raise RestoreTargetChanged(target=self.path, reason=reason)

    def _number(self) -> int:
        """:raises RestoreTargetChanged: when it is not there any more."""
        try:
            handle = devices.open_device(self.path)
            try:
                number = volumes.disk_number(handle)
            finally:
                devices.close_device(handle)
        except OSError as error:
            raise RestoreTargetChanged(target=self.path, reason=reason_of(error)) from error
        if number is None:
            raise RestoreTargetChanged(target=self.path, reason="its name now refers to something else than a disk")
        return number
