# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``devices``: every device of a storage, each with its images."""

from __future__ import annotations

from typing import Any, Dict, List

from ..entries import EntryKind
from ..errors import EngineError, TooManyNames
from ..image import records
from ..image.device_directory import DeviceDirectory
from ..image.format import constants as fmt
from ..image.newest import few
from ..names import is_valid_name
from ..storage.contract import Storage
from .image_table import image_table
from .list_images import summary, versions_beside
from .request_listing import DevicesRequest
from .run_status import RunStatus

_MOST_DEVICES = 10_000
_MARKS = frozenset([fmt.PACKS, fmt.DEVICE_ID_NAME])


def list_devices(storage: Storage, request: DevicesRequest, status: RunStatus) -> Dict[str, Any]:
    """The images of each device as ``list`` tells them, not proved by a password. Other entries of the storage are skipped."""
    devices: List[Dict[str, Any]] = []
    for name in device_names(storage):
        directory = DeviceDirectory(storage, name)
        unreadable: Dict[str, EngineError] = {}
        there = directory.images(unreadable)
        for image, error in sorted(unreadable.items()):
            status.warn("The image %s of %s can't be read: %s" % (image, name, error))
        names = [manifest.image for manifest in there]
        read = records.read_of(directory, names)
        versions = versions_beside(directory, read, None)
        for text in few(versions.sentences):
            status.warn("%s: %s" % (name, text))
        kept = zip(there, records.kept_of(directory, names), read)
        images = [summary(*one, versions.versions.get(one[0].image), request.timestamp) for one in kept]
        devices.append({"device": name, "images": images})
    return {"changed": False, "devices": devices, "table": image_table(devices)}


def device_names(storage: Storage) -> List[str]:
    """The directories of a storage that are those of devices: they hold packs, or say which machine's they are."""
    found = storage.list_some("", lambda name: is_valid_name(name) and not name.startswith("."), _MOST_DEVICES + 1)
    if len(found) > _MOST_DEVICES:
        raise TooManyNames(path="", most=_MOST_DEVICES)
    names = sorted(entry.name for entry in found if entry.kind is EntryKind.DIRECTORY)
    return [name for name in names if storage.list_some(name, lambda one: one in _MARKS, 1)]
