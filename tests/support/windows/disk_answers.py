# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Windows says of its disks, in the bytes of its own structures: a Windows on disk 0, and disks 1 and 2 that are free."""

from __future__ import annotations

import re
import struct
import uuid
from typing import Any, Dict, List, Optional, Tuple

import pytest
from engine.host import windows_devices, windows_disks, windows_volumes
from support.windows import disk_bytes

_Extent = Tuple[int, int, int]
_ROOT = "\\\\?\\GLOBALROOT\\Device\\"
_SYSTEM = "\\\\?\\Volume{c}"


def error_of(number: int) -> OSError:
    """An error as Windows Python raises it, also where this is another system."""
    kind = {5: PermissionError, 32: PermissionError, 2: FileNotFoundError}.get(number, OSError)
    made = kind(13 if kind is PermissionError else 22, "error of the test")
    made.winerror = number  # type: ignore[attr-defined]
    return made


class DiskAnswers:
    """The answers, by disk and by volume; a test changes them."""

    def __init__(self) -> None:
        self.volume_names: Dict[str, List[_Extent]] = {_SYSTEM: [(0, 2 << 20, 1 << 30)]}
        self.mounts: Dict[str, str] = {}  # letters and folders that a test adds
        self.points: Dict[str, str] = {"C:\\": _SYSTEM}
        self.devices: Dict[str, List[_Extent]] = {
            "HarddiskVolume1": [(0, 1 << 20, 1 << 20)],
            "HarddiskVolume2": [(0, 2 << 20, 1 << 30)],
        }
        self.starting = _ROOT + "HarddiskVolume1"
        self.paging = ["C:\\pagefile.sys"]
        self.partitions: Dict[int, List[Tuple[int, int, int, str]]] = {}
        self.partitions_of_first: List[Tuple[int, int, int, str]] = []
        self.begin: Dict[Tuple[int, int], bytes] = {}
        self.flags: Dict[int, int] = {}
        self.buses: Dict[int, int] = {}
        self.described: Dict[int, Dict[int, bytes]] = {}  # by disk and property
        self.geometries: Dict[int, bytes] = {}
        self.errors: Dict[Tuple[int, int], int] = {}  # by disk and control code
        self.protected: List[int] = []
        self.clustered: List[int] = []
        self.not_disks: List[int] = []
        self.closed: List[int] = []
        self.in_use: List[str] = []
        self.optical: List[str] = []
        self.remote: List[str] = []
        self.empty: Dict[str, int] = {}  # volumes that answer with an error
        self.open_handles: Dict[int, str] = {}
        self.contents: Dict[int, bytearray] = {}
        self.events: List[str] = []
        self.most_bytes = 1 << 30  # of one write
        self.write_error = 0
        self._next = 0

    def mount(self, point: str, extents: List[_Extent]) -> None:
        name = "\\\\?\\Volume{%s}" % point
        self.volume_names[name], self.points[point], self.mounts[point] = extents, name, name
        self.devices["HarddiskVolume%d" % (20 + len(self.devices))] = extents

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("open_device", "open_to_ask", "open_writable"):
            monkeypatch.setattr(windows_devices, name, self._open)
        monkeypatch.setattr(windows_devices, "close_device", self.open_handles.pop)
        monkeypatch.setattr(windows_devices, "ask", self._ask)
        monkeypatch.setattr(windows_devices, "read_at", self._read_at)
        monkeypatch.setattr(windows_devices, "dos_names", lambda: [*self.devices, *self.empty, "PhysicalDrive0", "C:"])
        monkeypatch.setattr(windows_volumes, "is_for_disks", lambda volume: volume not in self.optical)
        monkeypatch.setattr(windows_volumes, "volumes", lambda: list(self.volume_names))
        monkeypatch.setattr(windows_volumes, "mount_points", self._mount_points)
        monkeypatch.setattr(windows_volumes, "volume_of", self._volume_of)
        monkeypatch.setattr(windows_volumes, "windows_folder", lambda: r"C:\Windows\System32")
        monkeypatch.setattr(windows_volumes, "starting_device", lambda: self.starting)
        monkeypatch.setattr(windows_volumes, "paging_files", lambda: list(self.paging))

    def give(self, monkeypatch: pytest.MonkeyPatch, disk: int, data: bytearray, sector_bytes: int = 512) -> None:
        """Let a disk hold these bytes, which are written as well; only whole sectors are read and written."""
        self.contents[disk] = data

        def check(handle: int, offset_bytes: int, length_bytes: int) -> bytearray:
            assert offset_bytes % sector_bytes == 0, "error 87 of Windows"
            assert length_bytes % sector_bytes == 0, "error 87 of Windows"
            return self.contents[self._disk(handle)]

        def read_at(handle: int, offset_bytes: int, buffer: memoryview) -> int:
            piece = check(handle, offset_bytes, len(buffer))[offset_bytes : offset_bytes + len(buffer)]
            buffer[: len(piece)] = piece
            return len(piece)

        def write_at(handle: int, offset_bytes: int, buffer: memoryview) -> int:
            count = min(len(buffer), self.most_bytes)
            content = check(handle, offset_bytes, count)
            assert offset_bytes + count <= len(content)
            if self.write_error:
                raise error_of(self.write_error)
            content[offset_bytes : offset_bytes + count] = buffer[:count]
            self.events.append("write")
            return count

        monkeypatch.setattr(windows_devices, "read_at", read_at)
        monkeypatch.setattr(windows_devices, "write_at", write_at)
        monkeypatch.setattr(windows_devices, "length_bytes", lambda handle: len(self.contents[self._disk(handle)]))
        monkeypatch.setattr(windows_devices, "sector_bytes", lambda handle: sector_bytes)
        monkeypatch.setattr(windows_devices, "allow_last_sectors", lambda handle: None)
        monkeypatch.setattr(windows_devices, "flush", lambda handle: self.events.append("flush"))
        monkeypatch.setattr(windows_volumes, "claim", self._claim)

    def _claim(self, number: int) -> Optional[int]:
        return None if "claim of %d" % number in self.open_handles.values() else self._open("claim of %d" % number)

    def _open(self, path: str) -> int:
        if path.endswith(tuple("PhysicalDrive%d" % number for number in self.closed)):
            raise error_of(5)
        self._next += 1
        self.open_handles[self._next] = path
        return self._next

    def _mount_points(self, volume: str) -> List[str]:
        return [point for point, name in self.points.items() if name == volume]

    def _volume_of(self, path: str) -> str:
        if path[0] in self.remote:
            return ""
        best = max((point for point in self.points if path.startswith(point)), key=len)
        return self.points[best]

    def _disk(self, handle: int) -> int:
        return int(re.sub(r"\D", "", self.open_handles[handle]))

    def _extents(self, handle: int) -> List[_Extent]:
        name = self.open_handles[handle]
        device = name.replace(_ROOT, "")
        if device in self.empty:
            raise error_of(self.empty[device])
        return self.volume_names[name] if name in self.volume_names else self.devices[device]

    def _read_at(self, handle: int, offset_bytes: int, buffer: memoryview) -> int:
        found = self.begin.get((self._disk(handle), offset_bytes), b"")
        buffer[: len(found)] = found
        return len(buffer)

    def _ask(self, handle: int, code: int, size: int, given: bytes = b"") -> bytes:
        if code == windows_volumes.IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS:
            extents = self._extents(handle)
            return struct.pack("<I4x", len(extents)) + b"".join(struct.pack("<I4xqq", *one) for one in extents)
        if code == windows_volumes.FSCTL_LOCK_VOLUME:
            if self.open_handles[handle].replace(_ROOT, "") in self.in_use:
                raise error_of(5)
            self.events.append("lock")
            return b""
        if code == windows_volumes.FSCTL_DISMOUNT_VOLUME:
            assert self.events[-1] == "lock", "a volume that is not locked was dismounted"
            self.events.append("dismount")
            return b""
        if code == windows_volumes.IOCTL_DISK_UPDATE_PROPERTIES:
            self.events.append("update")
            return b""
        return self._ask_disk(self._disk(handle), code, size, given)

    def _ask_disk(self, disk: int, code: int, size: int, given: bytes) -> bytes:
        if (disk, code) in self.errors:
            raise error_of(self.errors[disk, code])
        answers: Dict[int, Any] = {
            windows_volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER: lambda: struct.pack(
                "<III", 2 if disk in self.not_disks else 7, disk, 0
            ),
            windows_volumes.IOCTL_DISK_GET_DISK_ATTRIBUTES: lambda: struct.pack("<IIQ", 16, 0, self.flags.get(disk, 0)),
            windows_volumes.IOCTL_STORAGE_QUERY_PROPERTY: lambda: self._property(disk, given),
            windows_disks.IOCTL_DISK_GET_DRIVE_GEOMETRY_EX: lambda: (
                self.geometries.get(disk) or disk_bytes.geometry(len(self.contents.get(disk, bytes(1 << 20))))
            ),
            windows_volumes.IOCTL_DISK_GET_DRIVE_LAYOUT_EX: lambda: self._layout(disk),
        }
        if code == windows_volumes.IOCTL_DISK_IS_WRITABLE:
            if disk in self.protected:
                raise error_of(19)
            return b""
        if code == windows_volumes.IOCTL_DISK_IS_CLUSTERED:
            if not self.clustered:
                raise error_of(1)
            return b"\x01" if disk in self.clustered else b"\0"
        answer: bytes = answers[code]()
        if len(answer) > size:
            raise error_of(122)
        return answer

    def _property(self, disk: int, given: bytes) -> bytes:
        number = struct.unpack("<I8x", given)[0]
        answer = self.described.get(disk, {}).get(number)
        if answer is None and number:
            raise error_of(1)
        return answer or disk_bytes.descriptor(self.buses.get(disk, disk_bytes.SATA))

    def _layout(self, disk: int) -> bytes:
        partitions = self.partitions.get(disk, [])
        data = struct.pack("<II40x", 0, len(partitions))
        for number, start, length, kind in partitions:
            is_gpt = len(kind) == 36
            what = uuid.UUID(kind).bytes_le if is_gpt else bytes([int(kind, 16)])
            data += struct.pack("<I4xqqI4x", int(is_gpt), start, length, number) + what.ljust(112, b"\0")
        return data
