# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Windows about a disk and the volumes on it; it also locks a volume, and claims a disk for this process.

Sources: winioctl.h, ntdddisk.h and ntddstor.h for codes and structures; FindFirstVolume, GetVolumePathNamesForVolumeName,
GetVolumeNameForVolumeMountPoint, QueryDosDevice, CreateMutex of the Windows API; the registry values SystemPartition (Setup),
ExistingPagefiles, PagingFiles (Memory Management), DedicatedDumpFile (CrashControl). A test replaces :func:`windows_devices.ask`
and the functions that return names.
"""

from __future__ import annotations

import ctypes
import re
import struct
import uuid
from typing import List, NamedTuple, Optional

from . import windows_devices
from .windows_calls import failure, kernel32, last_error, system_folder
from .windows_registry import RunningRegistry

IOCTL_STORAGE_GET_DEVICE_NUMBER = 0x2D1080
IOCTL_STORAGE_QUERY_PROPERTY = 0x2D1400
IOCTL_DISK_GET_DRIVE_LAYOUT_EX = 0x70050
IOCTL_DISK_GET_DISK_ATTRIBUTES = 0x700F0
IOCTL_DISK_IS_CLUSTERED = 0x700F8
IOCTL_DISK_IS_WRITABLE = 0x70024
IOCTL_DISK_UPDATE_PROPERTIES = 0x70140
IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS = 0x560000
FSCTL_LOCK_VOLUME, FSCTL_DISMOUNT_VOLUME = 0x90018, 0x90020

NOT_KNOWN = frozenset([1, 50])  # ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED: a driver does not know the question
NO_MEDIUM = frozenset([21, 1110, 1112])  # NOT_READY, MEDIA_CHANGED, NO_MEDIA_IN_DRIVE
WRITE_PROTECTED = 19
_ALREADY_EXISTS, _MORE_DATA, _NO_MORE_FILES = 183, 234, 18
_DISK_DEVICE = 7  # FILE_DEVICE_DISK
_OFFLINE, _READ_ONLY = 1, 2  # DISK_ATTRIBUTE_*
_REMOTE = 4  # DRIVE_REMOTE
_NOT_ON_DISKS = frozenset([2, _REMOTE, 5, 6])  # DRIVE_REMOVABLE, DRIVE_CDROM, DRIVE_RAMDISK
_MOST_VOLUMES, _MOST_EXTENTS, _MOST_PARTITIONS = 4096, 1024, 1024
_MOST_CHARACTERS = 1 << 16
_LAYOUT_HEAD, _PARTITION = 48, 144  # bytes of DRIVE_LAYOUT_INFORMATION_EX, PARTITION_INFORMATION_EX
_STYLES = {0: "mbr", 1: "gpt"}
_VOLUME_DEVICE = re.compile(r"HarddiskVolume\d{1,6}")


class Extent(NamedTuple):
    """A part of a volume on a disk."""

    disk: int
    start_bytes: int
    length_bytes: int


class DiskPartition(NamedTuple):
    """A partition as Windows read it. ``kind``: its GUID in a GPT, two hexadecimal digits in an MBR."""

    number: int
    start_bytes: int
    length_bytes: int
    kind: str


class DiskFlags(NamedTuple):
    """The flags that the disk management of Windows keeps for a disk."""

    is_offline: bool
    is_read_only: bool


def disk_number(handle: int) -> Optional[int]:
    """The number of a disk, or of the disk of a partition. Anything else has none. :raises OSError:"""
    kind, number, dummy_partition = struct.unpack(
        "<III", windows_devices.ask(handle, IOCTL_STORAGE_GET_DEVICE_NUMBER, 12)
    )
    return number if kind == _DISK_DEVICE else None


def disk_flags(handle: int) -> DiskFlags:
    """:raises OSError:"""
    flags = struct.unpack_from("<Q", windows_devices.ask(handle, IOCTL_DISK_GET_DISK_ATTRIBUTES, 16), 8)[0]
    return DiskFlags(bool(flags & _OFFLINE), bool(flags & _READ_ONLY))


def is_clustered(handle: int) -> bool:
    """Whether the disk belongs to a failover cluster; most editions of Windows do not know the question. :raises OSError:"""
    try:
        return windows_devices.ask(handle, IOCTL_DISK_IS_CLUSTERED, 1) != b"\0"
    except OSError as error:
        if number_of(error) in NOT_KNOWN:
            return False
        raise


def is_writable(handle: int) -> bool:
    """:raises OSError:"""
    try:
        windows_devices.ask(handle, IOCTL_DISK_IS_WRITABLE, 0)
    except OSError as error:
        if number_of(error) != WRITE_PROTECTED:
            raise
        return False
    return True


def bus(handle: int) -> int:
    """The bus of a disk as STORAGE_BUS_TYPE numbers it. :raises OSError:"""
    answer = windows_devices.ask(handle, IOCTL_STORAGE_QUERY_PROPERTY, 1024, bytes(12))
    return int(struct.unpack_from("<I", answer, 28)[0])


def partitions(handle: int) -> List[DiskPartition]:
    """The partitions that Windows sees on a disk. :raises OSError: :raises ValueError: an answer that contradicts itself."""
    size = _LAYOUT_HEAD + 128 * _PARTITION
    while True:
        try:
            answer = windows_devices.ask(handle, IOCTL_DISK_GET_DRIVE_LAYOUT_EX, size)
            break
        except OSError as error:
            if number_of(error) not in (122, _MORE_DATA) or size > _MOST_PARTITIONS * _PARTITION:
                raise
            size *= 2
    dummy_style, count = struct.unpack_from("<II", answer)
    if len(answer) < _LAYOUT_HEAD + count * _PARTITION:
        raise ValueError("%d partitions in %d bytes" % (count, len(answer)))
    found = []
    for at in range(_LAYOUT_HEAD, _LAYOUT_HEAD + count * _PARTITION, _PARTITION):
        style, start, length, number = struct.unpack_from("<I4xqqI", answer, at)
        if _STYLES.get(style) == "gpt":
            kind = str(uuid.UUID(bytes_le=answer[at + 32 : at + 48]))
        else:
            kind = "%02x" % answer[at + 32]
        if length:
            found.append(DiskPartition(number, start, length, kind))
    return found


def extents(volume: str) -> List[Extent]:
    """Where a volume lies; none for one of another kind than a disk's, or without a medium. :raises OSError: :raises ValueError:"""
    handle = windows_devices.open_to_ask(volume)
    try:
        return _extents(handle)
    except OSError as error:
        if number_of(error) in NOT_KNOWN | NO_MEDIUM:
            return []
        raise
    finally:
        windows_devices.close_device(handle)


def _extents(handle: int) -> List[Extent]:
    count = 16
    while True:
        try:
            answer = windows_devices.ask(handle, IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS, 8 + 24 * count)
            break
        except OSError as error:
            if number_of(error) != _MORE_DATA or count > _MOST_EXTENTS:
                raise
            count *= 4
    told = struct.unpack_from("<I", answer)[0]
    if len(answer) < 8 + 24 * told:
        raise ValueError("%d extents in %d bytes" % (told, len(answer)))
    return [Extent(*struct.unpack_from("<I4xqq", answer, 8 + 24 * number)) for number in range(told)]


def volumes() -> List[str]:
    """The volumes by their GUIDs, without the backslash at the end of a name. :raises OSError:"""
    name = ctypes.create_unicode_buffer(1024)
    library = kernel32()
    library.FindFirstVolumeW.restype = ctypes.c_void_p
    handle = library.FindFirstVolumeW(name, len(name))
    if handle is None or handle == ctypes.c_void_p(-1).value:
        raise failure(last_error())
    found: List[str] = []
    try:
        while len(found) < _MOST_VOLUMES:
            found.append(name.value.rstrip("\\"))
            if not library.FindNextVolumeW(ctypes.c_void_p(handle), name, len(name)):
                if last_error() != _NO_MORE_FILES:
                    raise failure(last_error())
                break
    finally:
        library.FindVolumeClose(ctypes.c_void_p(handle))
    return found


def volume_devices() -> List[str]:
    """The volumes of disks by the names of their devices: hidden ones have no other name. :raises OSError:"""
    names = sorted(name for name in windows_devices.dos_names() if _VOLUME_DEVICE.fullmatch(name))
    return ["\\\\?\\GLOBALROOT\\Device\\" + name for name in names]


def mount_points(volume: str) -> List[str]:
    """The letters and folders of a volume. :raises OSError:"""
    names = ctypes.create_unicode_buffer(_MOST_CHARACTERS)
    needed = ctypes.c_uint32()
    path = ctypes.c_wchar_p(volume + "\\")
    if not kernel32().GetVolumePathNamesForVolumeNameW(path, names, len(names), ctypes.byref(needed)):
        raise failure(last_error())
    return [name for name in str(names[: needed.value]).split("\0") if name]


def volume_of(path: str) -> str:
    """The volume that contains a file, "" for one on a server. :raises OSError:"""
    point, name = ctypes.create_unicode_buffer(1024), ctypes.create_unicode_buffer(1024)
    if not kernel32().GetVolumePathNameW(ctypes.c_wchar_p(path), point, len(point)):
        raise failure(last_error())
    if kernel32().GetDriveTypeW(point) == _REMOTE:
        return ""
    if not kernel32().GetVolumeNameForVolumeMountPointW(point, name, len(name)):
        raise failure(last_error())
    return name.value.rstrip("\\")


def is_for_disks(volume: str) -> bool:
    """Whether a volume is not one of a kind that has no place on a disk: optical, removable, remote, in memory."""
    return int(kernel32().GetDriveTypeW(ctypes.c_wchar_p(volume + "\\"))) not in _NOT_ON_DISKS


def windows_folder() -> str:
    return system_folder()


def starting_device() -> str:
    """The partition that this Windows was started from, by the name of its device; "" where it does not tell."""
    value = RunningRegistry().values(r"SYSTEM\Setup").get("SystemPartition")
    return "\\\\?\\GLOBALROOT" + value if isinstance(value, str) and value.startswith("\\Device\\") else ""


def paging_files() -> List[str]:
    """The files that Windows pages to, or writes a dump to, with their full names. :raises OSError:"""
    control = r"SYSTEM\CurrentControlSet\Control" + "\\"
    memory = RunningRegistry().values(control + r"Session Manager\Memory Management")
    crash = RunningRegistry().values(control + "CrashControl")
    found: List[str] = []
    for value in (memory.get("ExistingPageFiles"), memory.get("PagingFiles"), crash.get("DedicatedDumpFile")):
        for one in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            match = re.match(r"(?:\\\?\?\\)?([A-Za-z]:\\.*?)(?: \d+ \d+)?$", one)
            if match and match.group(1) not in found:
                found.append(match.group(1))
    return found


def lock_volume(volume: str) -> Optional[int]:
    """Lock a volume that no program has open and return the handle that holds the lock, else None. :raises OSError:"""
    handle = windows_devices.open_writable(volume)
    try:
        windows_devices.ask(handle, FSCTL_LOCK_VOLUME, 0)
    except PermissionError:  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
        windows_devices.close_device(handle)
        return None
    except BaseException:
        windows_devices.close_device(handle)
        raise
    return handle


def dismount(handle: int) -> None:
    """Let Windows forget the file system of a volume that we have locked. :raises OSError:"""
    windows_devices.ask(handle, FSCTL_DISMOUNT_VOLUME, 0)


def forget_table(handle: int) -> None:
    """Let Windows read the partition table of a disk again. :raises OSError:"""
    windows_devices.ask(handle, IOCTL_DISK_UPDATE_PROPERTIES, 0)


def claim(number: int) -> Optional[int]:
    """Claim a disk for this process among programs of the engine and return a handle, None while another one has it.

    :raises OSError:
    """
    create = kernel32().CreateMutexW
    create.restype = ctypes.c_void_p
    handle = create(None, True, ctypes.c_wchar_p("Global\\plantops-imaging-disk-%d" % number))
    is_taken = last_error() == _ALREADY_EXISTS
    if not handle:
        raise failure(last_error())
    if is_taken:
        windows_devices.close_device(handle)
        return None
    return int(handle)


def number_of(error: OSError) -> int:
    """The number that Windows gives an error."""
    return int(getattr(error, "winerror", None) or 0)


def words_of(error: Exception) -> str:
    """The words of an error with the number that Windows gives it, which a search finds in every language."""
    if not isinstance(error, OSError):
        return str(error).rstrip(".")
    return "%s (error %d of Windows)" % ((error.strerror or str(error)).rstrip("."), number_of(error))
