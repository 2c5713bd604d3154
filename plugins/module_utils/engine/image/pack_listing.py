# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the packs in a device's directory. One listing per room; one room at a time is held as objects."""

from __future__ import annotations

import re
import threading
from typing import AbstractSet, Container, List, MutableMapping, NamedTuple, Optional, Pattern

from ..entries import Entry, EntryKind
from ..errors import TooManyPacks
from ..names import is_valid_name
from ..storage.contract import PARTIAL_SUFFIX
from ..storage.shared_connect import together
from .device_paths import DevicePlace
from .format import constants as fmt
from .format.pack_names import NamesOfPacks, SizesOfPacks

_ROOM = re.compile(r"[0-9a-f]{2}")
PACK_NAME = re.compile(r"[0-9a-f]{64}")
_TRASH_NAME = re.compile(r"([0-9a-f]{64})\.(\d{1,12}|bad)\.(\d{1,12})", re.ASCII)
_MOST_IN_ROOM = 1 << 14  # four times the share of a room in the most packs that an image may have
_MOST_PARTIAL = 1 << 10  # of each folder; the next rollover removes more
MOST_TRASHED = 1 << 16  # looked at in one run; a flood is worked off by several


class TrashEntry(NamedTuple):
    """A pack that no image needs any more, or a damaged one. ``sequence`` is that of the newest image when it left, None for a damaged pack."""

    file_name: str
    pack: str
    sequence: Optional[int]
    since_seconds: int
    size_bytes: int


class InUse(NamedTuple):
    """The sizes of the packs in use, paths of what killed writers left, and the size of the device's README, -1 where that is a directory or a link."""

    packs: MutableMapping[str, int]
    partial: List[str]
    readme_bytes: Optional[int] = None


def rooms(place: DevicePlace, name: str, form: Pattern[str] = _ROOM, most: int = 1 << 16) -> List[str]:
    """The paths of the directories inside ``name`` whose names the engine gives; other writers may have made others."""
    found = place.listed(place.path(name), lambda one: form.fullmatch(one) is not None, most)
    return [place.path(name, entry.name) for entry in found if entry.kind is EntryKind.DIRECTORY]


def packs_in_use(place: DevicePlace, others: List[str], pack_rooms: List[str]) -> InUse:
    """The packs in ``pack_rooms``, and the partial files there and in the folders ``others``.

    :raises TooManyPacks: when there are more than any device ever has.
    """
    sizes, lock = SizesOfPacks(), threading.Lock()
    partial: List[str] = []
    readme: List[int] = []

    def take(folder: str, is_room: bool) -> None:
        left = [_MOST_PARTIAL]

        def wanted(name: str) -> bool:
            if is_room and PACK_NAME.fullmatch(name):
                return name[:2] == folder[-2:]
            if folder == place.device and name == fmt.README_NAME:
                return True
            left[0] -= name.endswith(PARTIAL_SUFFIX)
            return name.endswith(PARTIAL_SUFFIX) and left[0] >= 0 and is_valid_name(name)

        found = place.listed(folder, wanted, _MOST_IN_ROOM + _MOST_PARTIAL + 1)
        with lock:
            readme.extend(_size_of_readme(one) for one in found if one.name == fmt.README_NAME)
            _sort_out(place, folder, [one for one in found if one.name != fmt.README_NAME], sizes, partial)

    together(place.storage, lambda folder: take(folder, True), pack_rooms)
    together(place.storage, lambda folder: take(folder, False), others)
    return InUse(sizes.done(), partial, readme[0] if readme else None)


def _size_of_readme(entry: Entry) -> int:
    """-1 for a directory or a link of its name."""
    return entry.size_bytes if entry.kind is EntryKind.FILE else -1


def _sort_out(place: DevicePlace, folder: str, found: List[Entry], sizes: SizesOfPacks, partial: List[str]) -> None:
    if len(found) > _MOST_IN_ROOM:
        raise TooManyPacks(path=folder, most=_MOST_IN_ROOM)
    for entry in found:
        if entry.kind is not EntryKind.FILE:
            continue
        if PACK_NAME.fullmatch(entry.name):
            sizes.add(entry.name, entry.size_bytes)
        else:
            partial.append("%s/%s" % (folder, entry.name))
    if sizes.count > fmt.MAX_PACKS:
        raise TooManyPacks(path=place.path(fmt.PACKS), most=fmt.MAX_PACKS)


def trashed(place: DevicePlace, packs: Optional[Container[str]] = None) -> List[TrashEntry]:
    """The copies in the trash of ``packs``, or of any pack, at most ``MOST_TRASHED``."""

    def wanted(name: str) -> bool:
        match = _TRASH_NAME.fullmatch(name)
        return match is not None and (packs is None or match.group(1) in packs)

    found = []
    for entry in place.listed(place.path(fmt.TRASH), wanted, MOST_TRASHED):
        match = _TRASH_NAME.fullmatch(entry.name)
        if match and entry.kind is EntryKind.FILE:
            sequence = None if match.group(2) == "bad" else int(match.group(2))
            found.append(TrashEntry(entry.name, match.group(1), sequence, int(match.group(3)), entry.size_bytes))
    return found


def existing(place: DevicePlace, present: MutableMapping[str, int]) -> AbstractSet[str]:
    """The names of all packs that are there: in use, ``present``, or in the trash.

    :raises TooManyPacks: when there are more than any device ever has.
    """
    names = NamesOfPacks()
    for name in present:
        names.add(name)
    most = 2 * fmt.MAX_PACKS

    def note(name: str) -> bool:
        match = _TRASH_NAME.fullmatch(name)
        if match and names.count < most:
            names.add(match.group(1))
        return False

    place.listed(place.path(fmt.TRASH), note)
    if names.count >= most:
        raise TooManyPacks(path=place.path(fmt.TRASH), most=fmt.MAX_PACKS)
    return names.done()
