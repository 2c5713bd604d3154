# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers for Wine what it does not know of disks, in the bytes of Windows' structures. Runs in the double, in every program of the engine.

``C:\\double\\disks.json`` lists the disks, and the volumes with their places, points and drives: the raw device of a drive holds a
volume's frozen content. The only functions that are replaced are those of windows_devices.py and windows_volumes.py that call Windows.
A shadow copy is there as long as its file in ``C:\\vss`` is.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
from typing import Any, Dict, List, Optional

from engine.host import windows_devices as devices
from engine.host import windows_disks as disks
from engine.host import windows_volumes as volumes
from support.windows import disk_bytes

with open(r"C:\double\disks.json", encoding="utf-8") as _stream:
    _DOCUMENT: Dict[str, Any] = json.load(_stream)
_DISKS = {one["number"]: one for one in _DOCUMENT["disks"]}
_VOLUMES: List[Dict[str, Any]] = _DOCUMENT["volumes"]
_ROOT = "\\\\?\\GLOBALROOT\\Device\\"
_SHADOW = re.compile(re.escape(_ROOT) + r"HarddiskVolumeShadowCopy(\d+)")
_SECTOR_BYTES = 512
_FIRST_OF_OURS = 1 << 40  # handles of what Wine does not have
_ours = itertools.count(_FIRST_OF_OURS)
_names: Dict[int, str] = {}
_lengths: Dict[int, int] = {}
_open_device, _close_device, _read_at = devices.open_device, devices.close_device, devices.read_at


def _refused(number: int, words: str) -> OSError:
    return OSError(22, words, None, number)


def _volume(name: str) -> Dict[str, Any]:
    device = re.fullmatch(re.escape(_ROOT) + r"HarddiskVolume(\d+)", name)
    if device is not None:
        return _VOLUMES[int(device.group(1)) - 1]
    for one in _VOLUMES:
        if one["name"] == name:
            return one
    raise FileNotFoundError(2, "The system cannot find the file specified", name, 2)


def _ask_only(path: str) -> int:
    handle = next(_ours)
    _names[handle] = path
    return handle


def _open(path: str) -> int:
    shadow = _SHADOW.fullmatch(path)
    if shadow is not None:
        with open(r"C:\vss\shadow-%s.txt" % shadow.group(1), encoding="ascii") as stream:
            volume = _volume(stream.read().split()[3].rstrip("\\"))
        handle, length = _open_device("\\\\.\\%s:" % volume["link"]), volume["length_bytes"]
    else:
        disk = _DISKS.get(disks.number_in(path) or 0)
        if disk is None:
            raise FileNotFoundError(2, "The system cannot find the file specified", path, 2)
        handle, length = _open_device(path), disk["size_bytes"]
    _names[handle], _lengths[handle] = path, length
    return handle


def _close(handle: int) -> None:
    _names.pop(handle)
    if handle < _FIRST_OF_OURS:
        _close_device(handle)


def _read(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    if offset_bytes % _SECTOR_BYTES or len(buffer) % _SECTOR_BYTES:
        raise _refused(87, "The parameter is incorrect")
    return _read_at(handle, offset_bytes, buffer)


def _ask(handle: int, code: int, size: int, given: bytes = b"") -> bytes:
    name = _names[handle]
    if code == volumes.IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS:
        one = _volume(name)
        return struct.pack("<I4xI4xqq", 1, one["disk"], one["start_bytes"], one["length_bytes"])
    number = disks.number_in(name)
    answer = _of_disk(number, code, given) if number is not None else None
    if answer is None:
        raise _refused(1, "Incorrect function")
    return answer[:size]


def _of_disk(number: int, code: int, given: bytes) -> Optional[bytes]:
    disk = _DISKS[number]
    if code == volumes.IOCTL_STORAGE_GET_DEVICE_NUMBER:
        return struct.pack("<III", 7, number, 0)
    if code == disks.IOCTL_DISK_GET_DRIVE_GEOMETRY_EX:
        return disk_bytes.geometry(disk["size_bytes"])
    if code == volumes.IOCTL_DISK_GET_DISK_ATTRIBUTES:
        return struct.pack("<IIQ", 16, 0, 0)
    if code == volumes.IOCTL_STORAGE_QUERY_PROPERTY and given[:4] == bytes(4):
        return disk_bytes.descriptor(disk["bus"], disk["model"], disk["serial"])
    return None


devices.open_device = _open
devices.open_to_ask = _ask_only
devices.close_device = _close
devices.read_at = _read
devices.ask = _ask
devices.length_bytes = lambda handle: _lengths[handle]
devices.sector_bytes = lambda handle: _SECTOR_BYTES
devices.dos_names = lambda: [
    *("PhysicalDrive%d" % number for number in _DISKS),
    *("HarddiskVolume%d" % (number + 1) for number in range(len(_VOLUMES))),
]
volumes.volumes = lambda: [one["name"] for one in _VOLUMES]
volumes.mount_points = lambda volume: list(_volume(volume)["points"])
volumes.is_for_disks = lambda volume: True
volumes.volume_of = lambda path: next(one["name"] for one in _VOLUMES if path[:2].upper() + "\\" in one["points"])
volumes.starting_device = lambda: _ROOT + "HarddiskVolume1"
