# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of Windows on disks and volumes themselves: open, length, sector size, reads in parallel, writes.

Sources: CreateFile ("Physical Disks and Volumes"), ReadFile and WriteFile with OVERLAPPED, FlushFileBuffers,
IOCTL_DISK_GET_LENGTH_INFO, IOCTL_DISK_GET_DRIVE_GEOMETRY, FSCTL_ALLOW_EXTENDED_DASD_IO of the Windows API. A test that stands
in for a disk replaces :func:`length_bytes` and :func:`sector_bytes`, which Wine does not answer. windows_volumes.py asks
for the content and the uses of a disk.
"""

from __future__ import annotations

import ctypes
import re
import struct
import threading
from typing import Any, List

from .windows_calls import failure, kernel32, last_error

_GENERIC_READ, _GENERIC_WRITE = 0x80000000, 0x40000000
_SHARE_ALL = 7  # FILE_SHARE_READ, _WRITE, _DELETE
_OPEN_EXISTING = 3
_OVERLAPPED = 0x40000000
_NO_BUFFERING, _WRITE_THROUGH = 0x20000000, 0x80000000
GET_LENGTH_INFO = 0x7405C
GET_DRIVE_GEOMETRY = 0x70000
_ALLOW_EXTENDED_DASD_IO = 0x90083  # the last sectors of a volume, past the end of its file system
_IO_PENDING = 997
_HANDLE_EOF = 38
_INVALID = ctypes.c_void_p(-1).value
_MOST_NAMES = 1 << 20
_DISK = re.compile(r"PhysicalDrive(\d{1,4})")
_thread = threading.local()


class _Overlapped(ctypes.Structure):
    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset", ctypes.c_uint32),
        ("offset_high", ctypes.c_uint32),
        ("event", ctypes.c_void_p),
    )


def dos_names() -> List[str]:
    """The names of all devices that Windows knows [QueryDosDevice]."""
    names = ctypes.create_unicode_buffer(_MOST_NAMES)
    size = kernel32().QueryDosDeviceW(None, names, _MOST_NAMES)
    return str(names[:size]).split("\0")


def disk_names() -> List[str]:
    """The raw names of the disks that Windows knows, in the order of their numbers."""
    numbers = sorted(int(match.group(1)) for match in map(_DISK.fullmatch, dos_names()) if match)
    return ["\\\\.\\PhysicalDrive%d" % number for number in numbers]


def open_device(path: str) -> int:
    """Open a disk or volume for reading, past the cache, and return its handle. :raises OSError:"""
    return _open(path, _GENERIC_READ, _OVERLAPPED | _NO_BUFFERING)


def open_writable(path: str) -> int:
    """Open a disk or volume for reading and writing, past the cache, and return its handle. :raises OSError:"""
    return _open(path, _GENERIC_READ | _GENERIC_WRITE, _OVERLAPPED | _NO_BUFFERING | _WRITE_THROUGH)


def open_to_ask(path: str) -> int:
    """Open a disk or volume for questions about it alone, which needs no right to read it. :raises OSError:"""
    return _open(path, 0, _OVERLAPPED)


def _open(path: str, access: int, flags: int) -> int:
    create = kernel32().CreateFileW
    create.restype = ctypes.c_void_p
    handle = create(ctypes.c_wchar_p(path), access, _SHARE_ALL, None, _OPEN_EXISTING, flags, None)
    if handle is None or handle == _INVALID:
        raise failure(last_error())
    return int(handle)


def close_device(handle: int) -> None:
    """Close the handle."""
    kernel32().CloseHandle(ctypes.c_void_p(handle))


def length_bytes(handle: int) -> int:
    """The length of the disk or volume. :raises OSError:"""
    return int(struct.unpack("<q", ask(handle, GET_LENGTH_INFO, 8))[0])


def sector_bytes(handle: int) -> int:
    """The size of a logical sector. :raises OSError:"""
    return int(struct.unpack_from("<I", ask(handle, GET_DRIVE_GEOMETRY, 24), 20)[0])


def allow_last_sectors(handle: int) -> None:
    """Let reads of a volume reach its last sectors. Only volumes know the call; for a disk its refusal means nothing."""
    done = ctypes.c_uint32()
    event = _Overlapped(event=_event())
    _finish(
        handle,
        event,
        kernel32().DeviceIoControl(
            ctypes.c_void_p(handle), _ALLOW_EXTENDED_DASD_IO, None, 0, None, 0, None, ctypes.byref(event)
        ),
        done,
    )


def read_at(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    """Read into ``buffer`` from a place, both whole sectors; return how many bytes came. Threads read at once.

    :raises OSError: as Windows refuses it.
    """
    place = _Overlapped(offset=offset_bytes & 0xFFFFFFFF, offset_high=offset_bytes >> 32, event=_event())
    target = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    done = ctypes.c_uint32()
    started = kernel32().ReadFile(ctypes.c_void_p(handle), target, len(buffer), None, ctypes.byref(place))
    code = _finish(handle, place, started, done)
    if code and code != _HANDLE_EOF:
        raise failure(code)
    return 0 if code else done.value


def _finish(handle: int, place: _Overlapped, started: int, done: Any) -> int:
    """Wait for a call and return its error, 0 for none. The buffer stays ours until then."""
    if not started:
        code = last_error()
        if code != _IO_PENDING:
            return code
    finished = kernel32().GetOverlappedResult(ctypes.c_void_p(handle), ctypes.byref(place), ctypes.byref(done), True)
    return 0 if finished else last_error()


def write_at(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    """Write ``buffer`` to a place, both whole sectors, and return how many bytes were written.

    Windows wants the memory aligned to sectors: take it from ``mmap``. :raises OSError: as Windows refuses it.
    """
    place = _Overlapped(offset=offset_bytes & 0xFFFFFFFF, offset_high=offset_bytes >> 32, event=_event())
    source = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    done = ctypes.c_uint32()
    started = kernel32().WriteFile(ctypes.c_void_p(handle), source, len(buffer), None, ctypes.byref(place))
    code = _finish(handle, place, started, done)
    if code:
        raise failure(code)
    return done.value


def flush(handle: int) -> None:
    """Have the disk write what its own cache holds. :raises OSError:"""
    if not kernel32().FlushFileBuffers(ctypes.c_void_p(handle)):
        raise failure(last_error())


def ask(handle: int, code: int, size: int, given: bytes = b"") -> bytes:
    """The answer of a device to a control code, at most ``size`` bytes [DeviceIoControl]. :raises OSError:"""
    answer = ctypes.create_string_buffer(max(size, 1))
    place = _Overlapped(event=_event())
    done = ctypes.c_uint32()
    question = ctypes.create_string_buffer(given, len(given)) if given else None
    started = kernel32().DeviceIoControl(
        *(ctypes.c_void_p(handle), code, question, len(given)),
        *(answer if size else None, size, None, ctypes.byref(place)),
    )
    failed = _finish(handle, place, started, done)
    if failed:
        raise failure(failed)
    return answer.raw[: done.value]


def _event() -> int:
    """The event of this thread: a thread makes one call at a time."""
    found = getattr(_thread, "event", None)
    if found is None:
        create = kernel32().CreateEventW
        create.restype = ctypes.c_void_p
        found = create(None, True, False, None)
        if not found:
            raise failure(last_error())
        _thread.event = found
    return int(found)
