# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``check``: does the storage permit and bear what a run needs?"""

from __future__ import annotations

from typing import Any, Dict, List

from ..errors import PasswordWrong
from ..image.access import openable_key
from ..image.device_directory import DeviceDirectory
from ..image.newest import believed, horizon
from ..image.upkeep.trash_state import look_into_trash
from ..image.writing.preflight import check_room, clock_warnings
from ..storage.check import StorageCheck, check_storage
from ..storage.contract import Storage
from .request import CheckRequest
from .run_status import RunStatus


def _undeletable_warnings(found: StorageCheck) -> List[str]:
    if not found.undeletable:
        return []
    return ["This account can't delete %s; it stays until the operator runs a rollover." % found.undeletable]


def check(storage: Storage, request: CheckRequest, dummy_status: RunStatus) -> Dict[str, Any]:
    """Try what a run needs of the storage; in check mode only look.

    :raises StorageError: what does not work. :raises PasswordWrong: when a password is given that opens no key.
    """
    device, password = request.device, request.passwords.password
    directory = DeviceDirectory(storage, device)
    directory.check_folders()
    key = openable_key(directory, password)
    has_key = key is not None or bool(directory.own_key_slots([]) or directory.key_slots([]))
    if password and has_key and key is None:
        raise PasswordWrong(slots=len(directory.key_slots([])), device=device)
    images = directory.images({}, key)
    counted = believed(images, key, horizon())
    answer: Dict[str, Any] = {
        "changed": False,
        "storage": storage.description,
        "images": len(images),
        "has_key": has_key,
        "warnings": [],
    }
    if request.check:
        space = storage.space()
    else:
        found = check_storage(storage, device)
        space = found.space
        answer.update(
            may_delete=found.may_delete,
            may_replace=found.may_replace,
            may_rename=found.may_rename,
            round_trip_milliseconds=round(found.round_trip_seconds * 1000, 1),
            write_mb_per_second=round(found.write_bytes_per_second / 1e6, 1),
            clock_ahead_seconds=None if found.clock_ahead_seconds is None else round(found.clock_ahead_seconds),
            warnings=clock_warnings(storage.description, found.clock_ahead_seconds, None)
            + _undeletable_warnings(found),
        )
    if counted:  # a first image is not known before its device was asked
        newest = counted[-1]
        answer["warnings"] += check_room(storage.description, device, newest, False, space, newest.in_use_bytes)
    trash = look_into_trash(directory)
    return dict(
        answer,
        free_bytes=space.free_bytes if space else None,
        total_bytes=space.total_bytes if space else None,
        trash=trash.as_dict() if trash is not None else None,
    )
