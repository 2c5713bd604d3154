# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers for Wine where volumes lie, opens shadow copies of the stand-in, then runs the engine. Runs in the double.

``PLANTOPS_SHADOWED`` is a document: the size of the disk, and its volumes with their places, mount points, and the drive whose
raw device holds their frozen content. A shadow copy is there as long as its file in ``C:\\vss`` is; PLANTOPS_LOSE_AFTER tells after
how many bytes read of shadow copies that file disappears, as when Windows drops a shadow copy; PLANTOPS_LOSE_SENT after how
many bytes that came into the storage. PLANTOPS_CHANGE tells a place on the disk that a program writes to as soon as two passes saw
its block, of 1 MiB.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import threading
from typing import Any, Dict, List

from engine.host import windows_devices, windows_volumes
from engine.host.windows_volumes import Extent
from engine.snapshot.vss import shadow_set
from engine.snapshot.vss.shadow_set import Patience

_DOCUMENT: Dict[str, Any] = json.loads(os.environ["PLANTOPS_SHADOWED"])
_SECTOR_BYTES = 512
_SHADOW = re.compile(r"\\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy(\d+)")
_open_device, _read_at = windows_devices.open_device, windows_devices.read_at
_lengths: Dict[int, int] = {}
_shadows: Dict[int, str] = {}
_turn = threading.Lock()
_left = int(os.environ.get("PLANTOPS_LOSE_AFTER", "-1"))
_changing = int(os.environ.get("PLANTOPS_CHANGE", "-1"))
_passes = 0
_BLOCK_BYTES = 1 << 20
_most_sent = int(os.environ.get("PLANTOPS_LOSE_SENT", "-1"))


def _stored_bytes() -> int:
    found = 0
    for folder, dummy_folders, names in os.walk(r"C:\storage"):
        for name in names:
            try:
                found += os.path.getsize(os.path.join(folder, name))
            except FileNotFoundError:
                continue  # it got its name in this moment
    return found


_stored_before = _stored_bytes()


def _open(path: str) -> int:
    shadow = _SHADOW.fullmatch(path)
    if shadow is None:
        handle = _open_device(path)
        _lengths[handle] = _DOCUMENT["size_bytes"]
        _shadows.pop(handle, None)  # Windows uses numbers of handles again
        return handle
    file = r"C:\vss\shadow-%s.txt" % shadow.group(1)
    with open(file, encoding="ascii") as stream:
        name = stream.read().split()[3]
    volume = next(one for one in _DOCUMENT["volumes"] if one["name"] + "\\" == name)
    handle = _open_device("\\\\.\\%s:" % volume["link"])
    _lengths[handle], _shadows[handle] = volume["length_bytes"], file
    return handle


def _read(handle: int, offset_bytes: int, buffer: memoryview) -> int:
    global _left
    if offset_bytes % _SECTOR_BYTES or len(buffer) % _SECTOR_BYTES:
        raise OSError(22, "The parameter is incorrect", None, 87)
    if handle in _shadows:
        with _turn:
            if _left >= 0:
                _left -= len(buffer)
                if _left < 0 and os.path.exists(_shadows[handle]):
                    os.remove(_shadows[handle])
            if _most_sent >= 0 and _stored_bytes() - _stored_before > _most_sent and os.path.exists(_shadows[handle]):
                os.remove(_shadows[handle])
        if not os.path.exists(_shadows[handle]):
            raise OSError(22, "A device which does not exist was specified", None, 433)
    count = _read_at(handle, offset_bytes, buffer)
    if handle not in _shadows and offset_bytes <= _changing < offset_bytes + count:
        _change(offset_bytes, buffer)
    return count


def _change(offset_bytes: int, buffer: memoryview) -> None:
    global _passes
    with _turn:
        _passes += len(buffer) == _BLOCK_BYTES
        if _passes > 2:
            buffer[_changing - offset_bytes] ^= 0xFF


def _extents(volume: str) -> List[Extent]:
    for one in _DOCUMENT["volumes"]:
        if one["name"] == volume:
            return [Extent(1, one["start_bytes"], one["length_bytes"])]
    raise OSError(22, "The system cannot find the file specified", None, 2)


windows_devices.open_device = _open
windows_devices.open_to_ask = _open
windows_devices.read_at = _read
windows_devices.length_bytes = lambda handle: _lengths[handle]
windows_devices.sector_bytes = lambda handle: _SECTOR_BYTES
windows_volumes.disk_number = lambda handle: 1
windows_volumes.volumes = lambda: [one["name"] for one in _DOCUMENT["volumes"]]
windows_volumes.volume_devices = list
windows_volumes.extents = _extents
windows_volumes.mount_points = lambda volume: next(
    one["points"] for one in _DOCUMENT["volumes"] if one["name"] == volume
)
if "PLANTOPS_ARCHITECTURE" in os.environ:  # Wine sets the variable of Windows by itself
    os.environ["PROCESSOR_ARCHITEW6432"] = os.environ["PLANTOPS_ARCHITECTURE"]
shadow_set.PATIENCE = Patience(in_progress_seconds=2.0, pause_seconds=0.1)

if len(sys.argv) > 1 and sys.argv[1] == "requests":
    runpy.run_path(r"C:\requests.py")
else:
    from engine.agent import command

    sys.exit(command.main([]))
