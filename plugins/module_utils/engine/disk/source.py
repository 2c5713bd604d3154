# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of bytes: a disk, a volume, an image file, or a window of one of them."""

from __future__ import annotations

import errno
import os
import stat
import threading
from abc import ABC, abstractmethod
from typing import List, Optional, Tuple

from ..errors import DiskAccessDenied, DiskEndReached, DiskNotFound, DiskUnreadable
from ..host.linux_page_cache import PageCache

_BLKSSZGET = 0x1268  # linux/fs.h: logical sector size of a block device
_DEFAULT_SECTOR_BYTES = 512
_MAX_RANGES = 1 << 16  # of a sparse file, in one answer
_PROBE_BYTES = 4096  # what the kernel reads of a device at once, however small its sectors are


class BlockSource(ABC):
    """Random access to ``size_bytes`` bytes. Safe to use from several threads at once."""

    path: str
    size_bytes: int
    sector_bytes: int

    @abstractmethod
    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return exactly ``length_bytes`` bytes from ``offset_bytes``.

        :raises DiskEndReached: when the range is not inside the source.
        :raises DiskUnreadable: when the device answers with an error or with fewer bytes.
        """

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset_bytes``: for who reads much, once, and has a buffer to use again. Raises as :meth:`read`."""
        buffer[:] = self.read(offset_bytes, len(buffer))

    def check_range(self, offset_bytes: int, length_bytes: int) -> None:
        if offset_bytes < 0 or length_bytes < 0 or offset_bytes + length_bytes > self.size_bytes:
            raise DiskEndReached(
                path=self.path, size_bytes=self.size_bytes, offset_bytes=offset_bytes, length_bytes=length_bytes
            )

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        """Where between two places there may be something else than zeros, as pairs of start and end, found without reading."""
        return [(start_bytes, end_bytes)] if start_bytes < end_bytes else []

    def expect_small_reads(self, small: bool) -> None:
        """Tell the system whether to read ahead; a source without that control ignores it."""

    def close(self) -> None:
        """Release what is held; windows of another source hold nothing."""

    def __enter__(self) -> BlockSource:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()


class FileSource(BlockSource):
    """A block device or a plain file, opened read-only.

    Sector size: asked of a block device, otherwise 512 unless ``sector_bytes`` says what the image file was made with.
    """

    def __init__(self, path: str, sector_bytes: Optional[int] = None) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        except (FileNotFoundError, NotADirectoryError):
            raise DiskNotFound(path=path) from None
        except PermissionError as error:
            raise DiskAccessDenied(path=path, reason=error.strerror) from None
        except OSError as error:
            raise DiskUnreadable(path=path, offset_bytes=0, length_bytes=0, reason=error.strerror) from error
        self._lock = threading.Lock()
        mode = os.fstat(self._descriptor).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
            os.close(self._descriptor)
            raise DiskNotFound(path=path)
        self.is_device = stat.S_ISBLK(mode)
        self._cache = PageCache(self._descriptor) if self.is_device else None  # of a plain file others may use it
        self.size_bytes = os.lseek(self._descriptor, 0, os.SEEK_END)
        self.sector_bytes = sector_bytes or (self._device_sector_bytes() if self.is_device else _DEFAULT_SECTOR_BYTES)
        self.forget_cache()

    def _device_sector_bytes(self) -> int:
        import fcntl
        import struct

        return int(struct.unpack("I", fcntl.ioctl(self._descriptor, _BLKSSZGET, b"\0\0\0\0"))[0])

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        parts = []
        wanted = length_bytes
        try:
            while wanted:
                part = self._read_some(offset_bytes + length_bytes - wanted, wanted)
                if not part:
                    break
                if len(part) == length_bytes:
                    return part
                parts.append(part)
                wanted -= len(part)
        except OSError as error:
            raise self._unreadable(offset_bytes, length_bytes, error) from error
        if wanted:
            raise self._shorter(offset_bytes, length_bytes)
        return b"".join(parts)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        if not hasattr(os, "preadv"):
            super().read_into(offset_bytes, buffer)
            return
        self.check_range(offset_bytes, len(buffer))
        done = 0
        try:
            while done < len(buffer):
                count = os.preadv(self._descriptor, [buffer[done:]], offset_bytes + done)
                if not count:
                    raise self._shorter(offset_bytes, len(buffer))
                done += count
        except OSError as error:
            raise self._unreadable(offset_bytes, len(buffer), error) from error
        if self._cache is not None:
            self._cache.was_read(offset_bytes, offset_bytes + len(buffer))

    def _shorter(self, offset_bytes: int, length_bytes: int) -> DiskUnreadable:
        return DiskUnreadable(
            path=self.path, offset_bytes=offset_bytes, length_bytes=length_bytes, reason="it is shorter than before"
        )

    def _unreadable(self, offset_bytes: int, length_bytes: int, error: OSError) -> DiskUnreadable:
        """The error of a read that failed, with the place where it did: a read is larger than what is bad in it."""
        self.forget_cache()
        self.expect_small_reads(True)  # else the kernel reads, and fails, far around each place
        for place in range(offset_bytes - offset_bytes % _PROBE_BYTES, offset_bytes + length_bytes, _PROBE_BYTES):
            try:
                self._read_some(place, min(_PROBE_BYTES, self.size_bytes - place))
            except OSError as found:
                reason = "%s, at sector %d" % (found.strerror, place // self.sector_bytes)
                return DiskUnreadable(path=self.path, offset_bytes=place, length_bytes=_PROBE_BYTES, reason=reason)
        return DiskUnreadable(
            path=self.path, offset_bytes=offset_bytes, length_bytes=length_bytes, reason=error.strerror
        )

    def _read_some(self, offset_bytes: int, length_bytes: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, length_bytes, offset_bytes)
        with self._lock:  # Windows has no pread: seek and read must not be torn apart
            os.lseek(self._descriptor, offset_bytes, os.SEEK_SET)
            return os.read(self._descriptor, length_bytes)

    def forget_cache(self) -> None:
        """Drop a device's cached pages from this machine's memory, where the system allows it.

        A disk, its partitions and its mapped volumes have separate caches, which don't know of each other: a page of a
        disk that was cached yesterday is returned today, though a volume on it was written since.
        """
        if self._cache is not None:
            self._cache.forget_all()

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        """The holes of a sparse file are skipped."""
        if self.is_device or not hasattr(os, "SEEK_DATA"):
            return super().data_ranges(start_bytes, end_bytes)
        found: List[Tuple[int, int]] = []
        place = start_bytes
        with self._lock:
            while place < end_bytes and len(found) < _MAX_RANGES:
                try:
                    start = os.lseek(self._descriptor, place, os.SEEK_DATA)
                    place = min(end_bytes, os.lseek(self._descriptor, start, os.SEEK_HOLE))
                except OSError as error:
                    # Only a hole up to the end; or a file system without holes.
                    return found if error.errno == errno.ENXIO else super().data_ranges(start_bytes, end_bytes)
                if start < end_bytes:
                    found.append((start, place))
        return found if place >= end_bytes else [*found, (place, end_bytes)]

    def expect_small_reads(self, small: bool) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM if small else os.POSIX_FADV_NORMAL)

    def close(self) -> None:
        if self._descriptor >= 0:
            self.forget_cache()
            os.close(self._descriptor)
            self._descriptor = -1


class MemorySource(BlockSource):
    """Bytes in memory: small structures, and tests."""

    def __init__(self, data: bytes, sector_bytes: int = _DEFAULT_SECTOR_BYTES, path: str = "memory") -> None:
        self.path = path
        self._data = data
        self.size_bytes = len(data)
        self.sector_bytes = sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        return self._data[offset_bytes : offset_bytes + length_bytes]


class WindowSource(BlockSource):
    """A range of another source, such as a partition of a disk. Does not own (close) the other."""

    def __init__(self, source: BlockSource, start_bytes: int, length_bytes: int, path: Optional[str] = None) -> None:
        source.check_range(start_bytes, length_bytes)
        self.path = path or "%s at byte %d" % (source.path, start_bytes)
        self._source = source
        self._start_bytes = start_bytes
        self.size_bytes = length_bytes
        self.sector_bytes = source.sector_bytes

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        self.check_range(offset_bytes, length_bytes)
        return self._source.read(self._start_bytes + offset_bytes, length_bytes)

    def read_into(self, offset_bytes: int, buffer: memoryview) -> None:
        self.check_range(offset_bytes, len(buffer))
        self._source.read_into(self._start_bytes + offset_bytes, buffer)

    def data_ranges(self, start_bytes: int, end_bytes: int) -> List[Tuple[int, int]]:
        base = self._start_bytes
        found = self._source.data_ranges(base + start_bytes, base + end_bytes)
        return [(start - base, end - base) for start, end in found]
