# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a device's directory holds of versions: in an archive, in the storage it was filled from, in a copy of either."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ...entries import EntryKind
from ...errors import ArchiveVersionsMany, StorageFailed, StorageNotFound, StoragePermissionDenied
from ...storage.shared_connect import together
from .. import records
from ..device_directory import IMAGE_NAME, DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from .version_record import MAX_VERSION, NOTED, VERSION_FILE, StoredRecord, decode

_MOST_IN_ONE = 64  # records of one number or of one image; more than a few are an attacker's


class Held(NamedTuple):
    """A version's record and where it was found."""

    record: StoredRecord
    number: Optional[int]  # the directory of versions that holds it, None where none does
    is_among_records: bool


class Bad(NamedTuple):
    """A file in the place of a record that is not one."""

    path: str
    reason: str


class Versions(NamedTuple):
    """All that a directory holds of versions. ``numbers``: those taken, also by a check-in that did not end."""

    held: List[Held]
    bad: List[Bad]
    numbers: List[int]

    @property
    def is_archive(self) -> bool:
        return bool(self.numbers)


class _Place(NamedTuple):
    path: str
    image: str
    sha256: str
    kind: str
    number: Optional[int]


def numbers_taken(directory: DeviceDirectory) -> List[int]:
    """The numbers that were taken, in order; none where the directory is not an archive's.

    :raises ArchiveVersionsMany: for more than any archive has.
    """
    found = numbers_occupied(directory)
    return sorted(number for number, kind in found.items() if kind is EntryKind.DIRECTORY)


def numbers_occupied(directory: DeviceDirectory) -> Dict[int, EntryKind]:
    """The numbers for which no check-in can make a directory any more, each with what is in its place.

    :raises ArchiveVersionsMany: for more than any archive has.
    """
    path = directory.path(fmt.VERSIONS)
    found = directory.listed(path, lambda name: _number(name) is not None, fmt.MAX_VERSIONS + 1)
    if len(found) > fmt.MAX_VERSIONS:
        raise ArchiveVersionsMany(path=path, most=fmt.MAX_VERSIONS)
    return {int(entry.name): entry.kind for entry in found}


def _number(name: str) -> Optional[int]:
    is_number = name.isascii() and name.isdigit() and len(name) <= len(str(MAX_VERSION)) and name[0] != "0"
    return int(name) if is_number else None


def without_record(directory: DeviceDirectory, numbers: Sequence[int]) -> List[int]:
    """Those of ``numbers`` whose directory has no file with the name of a record."""
    with_one = {place.number for place in _places_of(directory, numbers)}
    return [number for number in numbers if number not in with_one]


def read_versions(
    directory: DeviceDirectory, key: Optional[MasterKey], *, only_records: bool = False, image: str = ""
) -> Versions:
    """Read all records of versions, each once wherever it is stored.

    :param only_records: only what the records of images hold, as in a storage that is not an archive.
    :param image: only the records of this image.
    """
    numbers = [] if only_records else numbers_taken(directory)
    # A copy may have added a note of another archive, which is not a version of this one.
    kinds = (records.ARCHIVED,) if numbers else (records.ARCHIVED, NOTED)
    places = _places_of(directory, numbers) + _places_among_records(directory, image, kinds)
    return _read(directory, places, numbers, key)


def _places_of(directory: DeviceDirectory, numbers: Sequence[int]) -> List[_Place]:
    folders = [directory.path(fmt.VERSIONS, str(number)) for number in numbers]
    listed = directory.lists(folders, lambda name: VERSION_FILE.fullmatch(name) is not None, _MOST_IN_ONE)
    places = []
    for number, folder, entries in zip(numbers, folders, listed):
        for entry in entries:
            match = VERSION_FILE.fullmatch(entry.name)
            if match is not None and entry.kind is EntryKind.FILE:
                path = "%s/%s" % (folder, entry.name)
                places.append(_Place(path, match.group(1), match.group(2), records.ARCHIVED, number))
    return places


def _places_among_records(directory: DeviceDirectory, image: str, kinds: Sequence[str]) -> List[_Place]:
    images = [image] if image else _images_with_records(directory)

    def is_wanted(name: str) -> bool:
        match = records.RECORD_NAME.fullmatch(name)
        return match is not None and match.group(1) in kinds

    def one(name: str) -> List[_Place]:
        try:
            listed = directory.listed(directory.path(fmt.RECORDS, name), is_wanted, _MOST_IN_ONE)
        except (StoragePermissionDenied, StorageFailed):
            return []
        places = []
        for entry in listed:
            match = records.RECORD_NAME.fullmatch(entry.name)
            if match is not None and entry.kind is EntryKind.FILE:
                path = directory.path(fmt.RECORDS, name, entry.name)
                places.append(_Place(path, name, match.group(2), match.group(1), None))
        return places

    return [place for places in together(directory.storage, one, images) for place in places]


def _images_with_records(directory: DeviceDirectory) -> List[str]:
    path = directory.path(fmt.RECORDS)
    try:
        found = directory.listed(path, lambda name: IMAGE_NAME.fullmatch(name) is not None, fmt.MAX_IMAGES)
    except (StoragePermissionDenied, StorageFailed):
        return []
    return sorted(entry.name for entry in found if entry.kind is EntryKind.DIRECTORY)


def _read(directory: DeviceDirectory, places: List[_Place], numbers: List[int], key: Optional[MasterKey]) -> Versions:
    read = together(directory.storage, lambda place: _read_one(directory, place, key), places)
    held: Dict[Tuple[str, str], Held] = {}
    bad: List[Bad] = []
    for place, found in zip(places, read):
        if isinstance(found, Bad):
            bad.append(found)
            continue
        if found is None:
            continue
        name = (found.kind, found.sha256)
        before = held.get(name, Held(found, None, False))
        is_record = before.is_among_records or place.number is None
        held[name] = Held(found, before.number if place.number is None else place.number, is_record)
    return Versions(list(held.values()), bad, numbers)


def _read_one(directory: DeviceDirectory, place: _Place, key: Optional[MasterKey]) -> Union[StoredRecord, Bad, None]:
    """The record, what is wrong with it, or ``None`` for other files and deleted ones."""
    reason = ""
    for is_again in (False, True):
        try:
            if is_again:
                directory.storage.look_anew(place.path)  # one false read is not tampering
            data = directory.storage.get(place.path, 0, fmt.MAX_RECORD_BYTES + 1)
            record = decode(data, place.image, place.sha256, key, place.kind)
        except StorageNotFound:
            return None
        except StoragePermissionDenied:
            return Bad(place.path, "this account can't read it")
        except ValueError as error:
            reason = str(error)
            continue
        if place.number is not None and place.number != record.version.number:
            return Bad(place.path, "it is the record of version %d" % record.version.number)
        if not directory.was_called(record.version.device, key):
            return Bad(place.path, "it belongs to the device %s" % record.version.device)
        return record
    return Bad(place.path, reason)
