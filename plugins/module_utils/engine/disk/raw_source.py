# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a disk or volume of Windows itself, by its raw name: ``\\\\.\\PhysicalDrive0``, ``\\\\.\\C:``, a shadow copy.

Windows reads whole sectors only (error 87 else), tells the length by a separate call, and reads in parallel where each
read says its place. See host/windows_devices.py for the calls.
"""

from __future__ import annotations

import threading
from typing import List, Optional, Tuple

from ..errors import DiskAccessDenied, DiskNotFound, DiskUnreadable
from ..host import windows_devices as devices
from .source import BlockSource, FileSource

_MOST_SECTOR_BYTES = 64 << 10


class RawSource(FileSource):
    """A raw device of Windows, opened read-only. Unaligned reads are widened to whole sectors."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_device = True
        self._cache = None  # it is opened past the cache of Windows
        self._lock = threading.Lock()
        self._descriptor = -1
        try:
            self._handle = devices.open_device(path)
        except OSError as error:
            raise _refused(path, error) from error
        try:
            devices.allow_last_sectors(self._handle)
            self.size_bytes = devices.length_bytes(self._handle)
            self.sector_bytes = devices.sector_bytes(self._handle)
            self._check_sizes()
        except OSError as error:
            self.close()
            raise DiskUnreadable(path=path, offset_bytes=0, length_bytes=0, reason=reason_of(error)) from error
        except DiskUnreadable:
            self.close()
            raise

    def _check_sizes(self) -> None:
        sector = self.sector_bytes
        if not 512 <= sector <= _MOST_SECTOR_BYTES or sector & (sector - 1) or self.size_bytes < sector:
            reason = "Windows says that it has %d bytes in sectors of %d" % (self.size_bytes, sector)
            raise DiskUnreadable(path=self.path, offset_bytes=0, length_bytes=0, reason=reason)
        self.size_bytes -= self.size_bytes % sector

    def _read_some(self, offset_bytes: int, length_bytes: int) -> bytes:
        start = offset_bytes - offset_bytes % self.sector_bytes
        end = min(self.size_bytes, -(-(offset_bytes + length_bytes) // self.sector_bytes) * self.sector_bytes)
        buffer = bytearray(end - start)
        count = devices.read_at(self._handle, start, memoryview(buffer))
        return bytes(buffer[offset_bytes - start : min(count, offset_bytes - start + length_bytes)])

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Whole sectors go straight into ``buffer``."""
        if offset_bytes % self.sector_bytes or len(buffer) % self.sector_bytes:
            BlockSource.read_into(self, offset_bytes, buffer)
            return
        self.check_range(offset_bytes, len(buffer))
        done = 0
        try:
            while done < len(buffer):
                count = devices.read_at(self._handle, offset_bytes + done, buffer[done:])
                if count <= 0 or count % self.sector_bytes:
                    raise self._shorter(offset_bytes, len(buffer))
                done += count
        except OSError as error:
            raise self._unreadable(offset_bytes, len(buffer), error) from error

    def forget_cache(self) -> None:
        """The device is read past the cache of Windows, so that there is nothing to drop."""

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        """A device knows no holes."""
        return BlockSource.data_ranges(self, start_bytes, end_bytes)

    def expect_small_reads(self, small: bool) -> None:
        """Windows reads nothing ahead of reads past its cache."""

    def close(self) -> None:
        handle: Optional[int] = getattr(self, "_handle", None)
        if handle is not None:
            devices.close_device(handle)
            del self._handle


def _refused(path: str, error: OSError) -> Exception:
    if isinstance(error, PermissionError):  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
        return DiskAccessDenied(path=path, reason=reason_of(error))
    if isinstance(error, FileNotFoundError):
        return DiskNotFound(path=path)
    return DiskUnreadable(path=path, offset_bytes=0, length_bytes=0, reason=reason_of(error))


def reason_of(error: OSError) -> str:
    """The words of Windows with its number, which a search finds in every language."""
    code = getattr(error, "winerror", None)
    return "%s (error %s of Windows)" % ((error.strerror or str(error)).rstrip("."), code)
