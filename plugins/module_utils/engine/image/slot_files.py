# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a device's key slots: those in its own directory, and the copies in its images. Many false ones hide no other."""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Optional

from ..entries import EntryKind
from ..errors import (
    EngineError,
    KeySlotInvalid,
    RunCancelled,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
)
from ..storage.shared_connect import together
from .device_paths import DevicePlace
from .format import constants as fmt
from .format.keys import KeySlot, parse_slot

_NAME = re.compile(r"[0-9a-f]{64}\.json")
_SLOT_COPIES = 3  # looked at, of the newest images, where the device's own one is damaged


def is_slot_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def slots_in(
    directory: DevicePlace,
    folders: List[str],
    invalid: Optional[List[EngineError]],
    named_by_images: Callable[[], Dict[str, List[str]]],
) -> List[KeySlot]:
    """The slots in ``folders``, of which the first is the device's own; where they are many, the oldest first.

    :param named_by_images: the slots that images list, each with the folders where it may lie. Asked only when more files
        than are looked at have names of slots: then a listing alone could hide those that open.
    """
    holders: Dict[str, List[str]] = {}
    is_cut = False
    for folder, entries in zip(folders, directory.lists(folders, is_slot_name, fmt.MAX_SLOTS_READ)):
        is_cut = is_cut or len(entries) >= fmt.MAX_SLOTS_READ
        for entry in entries:
            if entry.kind is EntryKind.FILE and (entry.name in holders or len(holders) < fmt.MAX_SLOTS_READ):
                holders.setdefault(entry.name, []).append(folder)
            else:
                is_cut = True
    if is_cut:
        holders.update(named_by_images())
    names = sorted(holders)
    if len(names) > fmt.MAX_KEY_SLOTS:
        names = _oldest_first(directory, names, holders)

    def read(name: str) -> Optional[KeySlot]:
        try:
            return _first_whole_slot(directory, name, holders[name])
        except (StorageUnreachable, RunCancelled):
            raise
        except EngineError as error:
            if invalid is not None and len(invalid) < fmt.MAX_KEY_SLOTS:
                invalid.append(error)
            return None

    return [slot for slot in together(directory.storage, read, names) if slot is not None]


def _oldest_first(directory: DevicePlace, names: List[str], holders: Dict[str, List[str]]) -> List[str]:
    """By the storage's clock: what was heaped up beside a device's slots is younger than they are."""

    def age(name: str) -> float:
        try:
            return directory.storage.modified_seconds("%s/%s" % (holders[name][0], name)) or 0.0
        except (StorageNotFound, StoragePermissionDenied):
            return float("inf")

    return [name for dummy, name in sorted(zip(together(directory.storage, age, names), names))]


def _first_whole_slot(directory: DevicePlace, name: str, folders: List[str]) -> KeySlot:
    """A slot from the first folder where it is intact; a damaged copy hides no other.

    :raises EngineError: why the first one can't be used, when none can.
    """
    first: Optional[EngineError] = None
    for folder in [*folders[:1], *folders[1:][-_SLOT_COPIES:]]:
        try:
            return parse_slot(name, directory.storage.get("%s/%s" % (folder, name), 0, fmt.MAX_KEY_SLOT_BYTES + 1))
        except EngineError as error:
            first = first or error
    raise first or KeySlotInvalid(path=name, reason="it does not exist")
