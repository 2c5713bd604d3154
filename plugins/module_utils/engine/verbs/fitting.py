# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a failure to the verb that met it: the setting that its hint names, and the content of a full storage's trash."""

from __future__ import annotations

from ..amounts import size
from ..errors import DiskNotFound, EngineError, StorageFull
from ..image.device_directory import DeviceDirectory
from ..image.upkeep.trash_state import look_into_trash
from ..storage.contract import Storage
from .request import ImageRequest, Request, RestoreRequest

_NO_TARGET = (
    "Compare imaging_restore_map with the output of device_info: it names the disks of this machine that are "
    "overwritten. A plain file is a target too, if its directory exists."
)


def fit(error: EngineError, storage: Storage, request: Request) -> None:
    """Change ``error`` where the words of the catalogue are about another verb."""
    if isinstance(request, RestoreRequest) and isinstance(error, DiskNotFound):
        error.hint = _NO_TARGET
    if isinstance(request, ImageRequest) and isinstance(error, StorageFull):
        _tell_trash(error, storage, request.device)


def _tell_trash(error: EngineError, storage: Storage, device: str) -> None:
    trash = look_into_trash(DeviceDirectory(storage, device))
    if trash is None or not (trash.due_bytes or trash.last_due_seconds or trash.needs_image):
        return
    told = trash.as_dict()
    error.fields.update(trash_bytes=trash.size_bytes, trash_due_bytes=trash.due_bytes, trash_last_due=told["last_due"])
    when = "the next rollover frees it"
    if told["last_due"]:
        when = "the first rollover after %s UTC frees all of it" % str(told["last_due"]).rstrip("Z").replace("T", " ")
    if trash.needs_image:
        when += ", if another image was created by then"
    words = "%s; the trash of %s holds %s: %s, and imaging_purge_trash frees it now."
    error.args = (words % (str(error).rstrip("."), device, size(trash.size_bytes), when),)
