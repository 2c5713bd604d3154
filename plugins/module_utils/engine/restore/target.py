# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target of a restore: a block device or a plain file, examined before the first write."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import os
import re
import stat
import struct
import sys
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from ..disk.open import open_source
from ..disk.source import FileSource
from ..errors import DiskAccessDenied, DiskError, RestoreTargetBusy, RestoreTargetChanged, RestoreWriteFailed
from ..host.locks import lock_exclusive
from ..host.mountinfo import unescape
from ..host.positional import read_at, write_at
from ..host.stack import BlockTree
from .place import refuse_file_off_disk, refuse_missing, refuse_mistyped_name, refuse_unreachable

_PROBE_BYTES = 4 << 20  # at both ends: a disk whose table was lost still has its first volume at 1 MiB
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10  # in between: a second on a slow disk
_MARKER = b"plantops.imaging restore in progress\n"
MARKER_BYTES = 512
_SELECTION = re.compile(rb"/[0-9a-f]{16} ")  # see ``selected.marked_name``
_PLACE = struct.Struct("<QQ")
_PLACES_AT, _MOST_PLACES = (
    192,
    16,
)  # up to byte 448: a table of partitions would begin at 446, and counts with 55AA only
_LOOP_GET_STATUS64, _LOOP_INFO_BYTES, _LOOP_FILE = 0x4C05, 232, struct.Struct("=QQ")  # linux/loop.h: loop_info64
_BLKROGET = 0x125E  # linux/fs.h: not zero when a block device is read-only
_DENIED = frozenset([errno.EACCES, errno.EPERM, errno.EROFS])
_GONE = frozenset([errno.ENOENT, errno.EEXIST, errno.ENXIO, errno.ENODEV])
_NO_ROOM = frozenset([errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)])


def marker(device: str, image: str, sequence: int, disk: str, key_id: str) -> bytes:
    """The first sector while a restore is in progress: it identifies the engine and the image.

    Images of several devices may have the same name and number: the device counts, by a hash, since its name may be long.
    """
    whose = hashlib.sha256(device.encode("utf-8")).hexdigest()[:32]
    text = _MARKER + ("%s %s %d %s %s\n" % (whose, image, sequence, disk, key_id[:32])).encode("ascii")
    return text.ljust(MARKER_BYTES, b"\0")


def with_places(mark: bytes, places: Sequence[Tuple[int, int]]) -> bytes:
    """``mark`` with the partitions that the target had: a restore that continues no longer finds their table."""
    packed = b"".join(_PLACE.pack(start, length) for start, length in places[:_MOST_PLACES])
    return mark[:_PLACES_AT] + packed + mark[_PLACES_AT + len(packed) :]


def marker_at(path: str) -> bytes:
    """The marker of an interrupted restore on a disk, b"" where there is none or it can't be read."""
    try:
        with open_source(path) as source:
            return _marker_of(source.read(0, MARKER_BYTES))
    except DiskError:
        return b""


def marks_disk(found: bytes, mark: bytes) -> bool:
    """Whether a marker is of a restore of the disk that ``mark`` is of, be it of all its partitions or of some."""
    return bool(found) and _SELECTION.sub(b" ", found).rstrip(b"\0") == _SELECTION.sub(b" ", mark).rstrip(b"\0")


def _marker_of(sector: bytes) -> bytes:
    """The marker without the partitions that the target had."""
    size = _PLACE.size * _MOST_PLACES
    return sector[:_PLACES_AT] + bytes(size) + sector[_PLACES_AT + size :] if sector.startswith(_MARKER) else b""


class Target:
    """A restore's target. It is created or changed only after :meth:`open_for_writing`."""

    runs_tools = True  # whether programs that change file systems can work on it
    starts_this_machine = True  # whether a disk that is restored may be what this machine starts next

    def __init__(self, path: str) -> None:
        refuse_mistyped_name(path)
        self.path = path
        self._descriptor: Optional[int] = None
        self._held: Optional[int] = None
        # One disk has many names (/dev/sdb, /dev/disk/by-id/...): what it is counts, not what it is called.
        self.identity: Tuple[object, ...] = (os.path.realpath(path),)
        self.parent = ""  # the disk, where the target is a partition of one
        try:
            status = os.stat(path)
            mode = status.st_mode
        except FileNotFoundError:
            refuse_file_off_disk(path)
            if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
                refuse_missing(path, "the directory above it does not exist")
            if path.endswith("/"):
                refuse_missing(path, "it ends in a slash, as only the name of a directory does")
            self.exists, self.is_device, self.size_bytes, self.sector_bytes = False, False, 0, 0
            return
        except OSError as error:
            refuse_unreachable(path, error)
        if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
            kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a character device"
            refuse_missing(path, "it is %s" % kind)
        self.exists, self.is_device = True, stat.S_ISBLK(mode)
        if not self.is_device:
            refuse_file_off_disk(path)
        with FileSource(path) as source:
            self.size_bytes, self.sector_bytes = source.size_bytes, source.sector_bytes
            if not self.is_device:
                # Some file systems (FAT, a share) give a file another number when it has not been open for a while.
                self._held = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        if self.is_device:
            tree = BlockTree()
            name = tree.by_number("%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev)))
            self.parent = tree.path(tree.parent(name)) if name and tree.is_partition(name) else ""
        # After it was opened: that may be when a system notices that the medium was changed.
        self.identity = _identity(os.stat(path))

    def uses(self) -> List[str]:
        """The present users of the target: mounts, swap, loop devices. Empty if there are none."""
        if not self.exists or sys.platform == "win32":  # there lists of uses of a file don't exist
            return []
        real = os.path.realpath(self.path)
        names = {real} | set(_partitions_of(real)) | set(_loops_on(real))
        found = []
        for line in _lines("/proc/self/mounts"):
            fields = line.split(" ")
            if len(fields) > 1 and fields[0].startswith("/dev/") and os.path.realpath(fields[0]) in names:
                found.append("%s is mounted at %s" % (fields[0], fields[1]))
        for line in _lines("/proc/swaps")[1:]:
            area = unescape(line.split(" ")[0].rstrip("\t"))
            if os.path.realpath(area) in names or _is_same_file(area, real):
                found.append("%s is swap space" % area)
        for name in sorted(names):
            holders = "/sys/class/block/%s/holders" % os.path.basename(name)
            if name.startswith("/dev/") and os.path.isdir(holders) and os.listdir(holders):
                found.append("%s is part of %s" % (name, ", ".join(sorted(os.listdir(holders)))))
        if not found and _loops_on(real):
            found.append("it is attached as %s" % _loops_on(real)[0])
        if not found and self.is_device and self._is_held():
            found.append("the kernel or a program has exclusive access to it (a pool, an array, a virtual machine)")
        return found

    def _is_held(self) -> bool:
        """Whether another program opened the device exclusively: known now, and not after hours of verifying."""
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)))
        except OSError as error:
            return error.errno == errno.EBUSY
        return False

    def data_found(self) -> str:
        """Say what on the target looks like data, "" when it is blank."""
        if not self.exists or self.size_bytes == 0:
            return ""
        with open_source(self.path) as source:
            size = source.size_bytes
            spots = [(0, _PROBE_BYTES), (max(0, size - _PROBE_BYTES), _PROBE_BYTES)]
            step = size // _SAMPLES // _SAMPLE_BYTES * _SAMPLE_BYTES  # a raw disk of Windows is read in whole sectors
            spots += [(step * number, _SAMPLE_BYTES) for number in range(1, _SAMPLES) if step]
            for offset, length in spots:
                data = source.read(offset, min(length, size - offset))
                if data.count(0) != len(data):
                    return "it is not blank (bytes other than zero after byte %d)" % offset
        return ""

    def marker(self, place_bytes: int = 0) -> bytes:
        """The marker of an interrupted restore of the disk, or of the volume at ``place_bytes``, b"" when there is none."""
        return _marker_of(self._marked_sector(place_bytes))

    def marked_places(self) -> List[Tuple[int, int]]:
        """The partitions that the target of an interrupted restore had, as its marker tells: start and length in bytes."""
        first = self._marked_sector(0)
        size = _PLACE.size * _MOST_PLACES
        places = _PLACE.iter_unpack(first[_PLACES_AT : _PLACES_AT + size] if first else b"")
        return [(start, length) for start, length in places if length and start + length <= self.size_bytes]

    def _marked_sector(self, place_bytes: int) -> bytes:
        if not self.exists or self.size_bytes < place_bytes + MARKER_BYTES:
            return b""
        with open_source(self.path) as source:
            first = source.read(place_bytes, MARKER_BYTES)
        return first if first.startswith(_MARKER) else b""

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Open what exists to be compared, before anything is written to it."""
        if self._descriptor is not None:
            raise AssertionError("the target is open")
        self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            self.forget_cache()
            yield
        finally:
            os.close(self._descriptor)
            self._descriptor = None

    def open_for_writing(self) -> None:
        """Open what was looked at; a plain file that was not there is created.

        :raises RestoreTargetChanged: when something else has its name now.
        :raises RestoreTargetBusy: when the kernel refuses exclusive use of the device.
        :raises DiskAccessDenied: when it is read-only, or not ours to write to.
        """
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            how = (os.O_EXCL if self.is_device else 0) if self.exists else os.O_CREAT | os.O_EXCL
            # A link to what is still to be made is followed, which making it as a new file does not do.
            path = self.path if self.exists else os.path.realpath(self.path)
            self._descriptor = os.open(path, flags | how, 0o600)
            self._refuse_another(self._descriptor)
            if self.is_device:
                self._refuse_read_only(self._descriptor)
            else:
                self._lock_file(self._descriptor)
            self.forget_cache()
        except RestoreTargetChanged:
            self.close()
            raise
        except OSError as error:
            self.close()
            if error.errno in _DENIED:
                raise DiskAccessDenied(path=self.path, reason=error.strerror) from error
            if error.errno in _GONE:
                raise RestoreTargetChanged(target=self.path, reason=error.strerror) from error
            if error.errno in _NO_ROOM:
                raise RestoreWriteFailed(
                    target=self.path, offset_bytes=0, length_bytes=0, reason=error.strerror
                ) from error
            raise RestoreTargetBusy(target=self.path, reason=error.strerror) from error

    def grow(self, size_bytes: int) -> None:
        """Make a plain file at least so large, sparse.

        :raises RestoreWriteFailed: when there is no room for a file of that size.
        """
        try:
            if not self.is_device and os.fstat(self._open()).st_size < size_bytes:
                os.ftruncate(self._open(), size_bytes)
        except OSError as error:
            raise RestoreWriteFailed(
                target=self.path, offset_bytes=0, length_bytes=size_bytes, reason=error.strerror
            ) from error

    def _refuse_another(self, descriptor: int) -> None:
        if not self.exists:
            return
        status = os.fstat(descriptor)
        if _identity(status) != self.identity:
            raise RestoreTargetChanged(target=self.path, reason="its path now refers to another disk or file")
        size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
        if size_bytes != self.size_bytes:
            reason = "it now has %d bytes, not %d" % (size_bytes, self.size_bytes)
            raise RestoreTargetChanged(target=self.path, reason=reason)

    def _refuse_read_only(self, descriptor: int) -> None:
        """Linux opens a write-protected device for writing and fails at the first write, which may be too late."""
        try:
            fcntl = importlib.import_module("fcntl")
        except ImportError:
            return  # Windows refuses at opening
        if any(fcntl.ioctl(descriptor, _BLKROGET, bytes(4))):
            raise OSError(errno.EROFS, "it is write-protected")

    def forget_cache(self) -> None:
        """Have the system read from the disk itself from now on: failed writes of an earlier restore may still be in memory."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._open(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _lock_file(self, descriptor: int) -> None:
        """The equivalent of exclusive opening for a file: two restores at once into one file would mix two disks."""
        if not lock_exclusive(descriptor):
            raise OSError(errno.EBUSY, "another restore is writing to it")

    def read(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Return the present bytes, b"" if they can't be read: then they are written, for which a disk assigns another sector."""
        try:
            return read_at(self._open(), length_bytes, offset_bytes)
        except OSError:
            return b""

    def write(self, offset_bytes: int, data: bytes) -> None:
        self.write_pieces(offset_bytes, [data])

    def write_pieces(self, offset_bytes: int, pieces: List[bytes]) -> None:
        """Write pieces that follow one another in one call.

        :raises RestoreWriteFailed: naming the place that could not be written.
        """
        views = [memoryview(piece) for piece in pieces]
        try:
            while views:
                written = write_at(self._open(), views, offset_bytes)
                offset_bytes += written
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if written:
                    views[0] = views[0][written:]
        except OSError as error:
            raise RestoreWriteFailed(
                target=self.path,
                offset_bytes=offset_bytes,
                length_bytes=sum(len(view) for view in views),
                reason=error.strerror,
            ) from error

    def lend(self, work: Callable[[int], None]) -> None:
        """Give our descriptor to another program; its lock stays."""
        work(self._open())
        self.forget_cache()

    def begin_sync(self, start_bytes: int, end_bytes: int) -> None:
        """Have the system begin to write what it gathered of a range; :meth:`sync` waits for it and tells of errors."""
        if hasattr(os, "posix_fadvise"):  # Linux begins to write what is to be forgotten
            os.posix_fadvise(self._open(), start_bytes, end_bytes - start_bytes, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        try:
            os.fsync(self._open())
        except OSError as error:
            # Which of what was written did not arrive the system does not tell.
            raise RestoreWriteFailed(
                target=self.path, offset_bytes=0, length_bytes=self.size_bytes, reason="%s (flushing)" % error.strerror
            ) from error

    def close(self) -> None:
        for descriptor in (self._descriptor, self._held):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._held = None

    def _open(self) -> int:
        if self._descriptor is None:
            raise AssertionError("the target is not open")
        return self._descriptor


def _identity(status: os.stat_result) -> Tuple[object, ...]:
    if stat.S_ISBLK(status.st_mode):
        return (status.st_rdev, _disk_sequence(status.st_rdev))
    return (status.st_dev, status.st_ino)


def _disk_sequence(device_number: int) -> str:
    """A number that no other disk gets that comes under the same name (Linux 5.15 and newer), "" where there is none."""
    base = "/sys/dev/block/%d:%d" % (os.major(device_number), os.minor(device_number))
    for path in (base + "/diskseq", base + "/../diskseq"):  # of a disk; of the disk that a partition is on
        lines = _lines(path)
        if lines:
            return lines[0]
    return ""


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _partitions_of(device: str) -> List[str]:
    folder = "/sys/class/block/%s" % os.path.basename(device)
    if not device.startswith("/dev/") or not os.path.isdir(folder):
        return []
    return ["/dev/%s" % name for name in os.listdir(folder) if os.path.exists(os.path.join(folder, name, "partition"))]


def _loops_on(path: str) -> List[str]:
    """The loop devices that have ``path`` as their file, whichever of its names they were given."""
    found = []
    base = "/sys/class/block"
    names = os.listdir(base) if os.path.isdir(base) else []
    for name in sorted(names):
        backing = _lines("%s/%s/loop/backing_file" % (base, name))
        if backing and (os.path.realpath(backing[0]) == path or _is_same_file(backing[0], path, "/dev/" + name)):
            found.append("/dev/%s" % name)
    return found


def _is_same_file(name: str, path: str, loop: str = "") -> bool:
    """Whether both are names of one file: hard links, mounts of a folder elsewhere.

    :param loop: the loop device on it, which knows its file even where ``name`` was deleted or is of another namespace.
    """
    try:
        mine = os.stat(path)
    except OSError:
        return False
    if loop and _file_of_loop(loop) == (mine.st_dev, mine.st_ino):
        return True
    try:
        return os.path.samestat(os.stat(name), mine)
    except OSError:
        return False


def _file_of_loop(loop: str) -> Tuple[int, int]:
    """The device and inode numbers of the file of a loop device, zeros where the system does not tell."""
    try:
        fcntl = importlib.import_module("fcntl")
        descriptor = os.open(loop, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except (ImportError, OSError):
        return (0, 0)
    try:
        device, inode = _LOOP_FILE.unpack_from(fcntl.ioctl(descriptor, _LOOP_GET_STATUS64, bytes(_LOOP_INFO_BYTES)))
    except OSError:
        return (0, 0)
    finally:
        os.close(descriptor)
    return (device, inode)
