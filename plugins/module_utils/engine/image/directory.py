# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's directory on a storage: which images, packs, keys, records and trash are there."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any, Container, Dict, Iterable, List, NamedTuple, Optional, Pattern, Set, Tuple, Union

from ..errors import (
    EngineError,
    ImageDamaged,
    ImageFormatUnknown,
    ImageNotFound,
    JobWithoutImage,
    KeySlotInvalid,
    RunCancelled,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageNotFound,
    StorageUnreachable,
)
from ..storage.contract import PARTIAL_SUFFIX, Entry, EntryKind, Storage, check_name, is_valid_name
from ..storage.together import together
from . import documents, sums
from . import format as fmt
from .copies import whole_copy_of
from .job_name import shown
from .keys import KeySlot, MasterKey, parse_slot
from .manifest import Manifest, authenticate, decode

IMAGE_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", re.ASCII)
_PACK_ROOM = re.compile(r"[0-9a-f]{2}")
_PACK_NAME = re.compile(r"[0-9a-f]{64}")
_TRASH_NAME = re.compile(r"([0-9a-f]{64})\.(\d{1,12}|bad)\.(\d{1,12})", re.ASCII)
_LEFTOVER_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)\.(\d{1,12})", re.ASCII)
_SLOT_NAME = re.compile(r"[0-9a-f]{64}\.json")
_MOST_COPIES = 60  # of a pack, taken out of use in one second
_SLOT_COPIES = 3  # looked at, of the newest images, where the device's own one is damaged
_RECORD_NAME = re.compile(r"([a-z]{1,32})-([0-9a-f]{64})\.json")


class TrashEntry(NamedTuple):
    """A pack on its way out. ``sequence`` is that of the newest image when it left, None for a damaged pack."""

    file_name: str
    pack: str
    sequence: Optional[int]
    since_seconds: int
    size_bytes: int


class Leftover(NamedTuple):
    """A directory in the trash: what a run that did not finish left, or so it seemed."""

    file_name: str
    image: str
    since_seconds: int


class DeviceDirectory:
    """Reads and changes one device's directory. Holds no state but its name: every call asks the storage."""

    def __init__(self, storage: Storage, device: str) -> None:
        self.storage = storage
        self.device = check_name(device)

    def path(self, *names: str) -> str:
        return "/".join((self.device, *names))

    def create(self) -> None:
        names = (fmt.PACKS, fmt.KEYS, fmt.RECORDS, fmt.TRASH)
        together(self.storage, self.storage.make_directory, [self.path(name) for name in names])

    # -- images -------------------------------------------------------------------------------------------------------

    def image_names(self) -> List[str]:
        """Names of all image directories, complete or not, in order of name."""
        return sorted(
            entry.name
            for entry in self._list(self.device)
            if entry.kind is EntryKind.DIRECTORY and IMAGE_NAME.fullmatch(entry.name)
        )

    def images(
        self,
        unreadable: Optional[Dict[str, EngineError]] = None,
        key: Optional[MasterKey] = None,
        but: Container[str] = frozenset(),
        from_copy: Optional[Set[str]] = None,
    ) -> List[Manifest]:
        """Return the complete images in sequence order; manifests that can't be used go to ``unreadable``.

        :param key: manifests that say they are of this key are proved with it.
        :param but: names that are passed by.
        :param from_copy: see :meth:`manifest`.
        """

        def read(name: str) -> Optional[Manifest]:
            try:
                return self.manifest(name, key, from_copy)
            except (ImageNotFound, StorageNotFound):
                return None
            except (StorageUnreachable, RunCancelled):
                raise
            except EngineError as error:
                if unreadable is None:
                    raise
                unreadable[name] = error
                return None

        found = together(self.storage, read, [name for name in self.image_names() if name not in but])
        return sorted((one for one in found if one), key=lambda manifest: (manifest.sequence, manifest.image))

    def manifest_bytes(self, image: str) -> bytes:
        """The bytes of a manifest that can be parsed, of its copy where it can't; else what is there."""
        data, found, dummy_is_copy = self._first_proved(image, None)
        if isinstance(found, StorageError):
            raise found
        return data

    def manifest(self, image: str, key: Optional[MasterKey] = None, from_copy: Optional[Set[str]] = None) -> Manifest:
        """Return the manifest of an image, from its second copy where the file itself is damaged.

        :param from_copy: the names of the images of which it was the copy are added to it.
        :raises ImageNotFound: when the image is not there or not complete.
        :raises ImageDamaged: when neither can be used.
        """
        if not IMAGE_NAME.fullmatch(image):
            raise ImageNotFound(device=self.device, image=image, storage=self.storage.description)
        dummy_data, found, is_copy = self._first_proved(image, key)
        if isinstance(found, EngineError):
            raise found
        if is_copy and from_copy is not None:
            from_copy.add(image)
        return found

    def _first_proved(self, image: str, key: Optional[MasterKey]) -> Tuple[bytes, Union[Manifest, EngineError], bool]:
        """The first manifest that can be used, its bytes, and whether they are the copy's; else why the file can't."""
        failed: List[Tuple[bytes, EngineError]] = []
        for read in (self._read_manifest, self._read_manifest_again, self._read_manifest_copy):
            data = b""
            try:
                data = read(image)
                return data, self._proved(image, data, key), read == self._read_manifest_copy
            except (ImageDamaged, ImageFormatUnknown, StorageFailed) as error:
                failed.append((data, error))
        return failed[0][0], failed[0][1], False

    def _proved(self, image: str, data: bytes, key: Optional[MasterKey]) -> Manifest:
        manifest = decode(data, image)
        if manifest.device != self.device:
            raise ImageDamaged(image=image, reason="its manifest belongs to the device %s" % manifest.device)
        if key is not None and manifest.key_id == key.key_id:
            authenticate(data, manifest, key)
        return manifest

    def _read_manifest(self, image: str) -> bytes:
        try:
            return self.storage.get(self.path(image, fmt.MANIFEST_NAME), 0, fmt.MAX_JSON_BYTES + 1)
        except StorageNotFound:
            raise ImageNotFound(device=self.device, image=image, storage=self.storage.description) from None

    def _read_manifest_again(self, image: str) -> bytes:
        """Past the cache: one false read is no damage."""
        try:
            self.storage.forget_cache(self.path(image, fmt.MANIFEST_NAME))
        except StorageNotFound:
            raise ImageNotFound(device=self.device, image=image, storage=self.storage.description) from None
        return self._read_manifest(image)

    def _read_manifest_copy(self, image: str) -> bytes:
        """The copy that SHA256SUMS has the sum of."""
        digests = [self.sums(image).files.get(fmt.MANIFEST_NAME, "")]
        data = whole_copy_of(self.storage, self.path(image), fmt.MANIFEST_NAME, digests)
        if data is None:
            raise ImageDamaged(image=image, reason="its manifest has no second copy")
        return data

    def find_image(self, wanted: str, job: Optional[str] = None) -> Manifest:
        """Return the image named ``wanted``, or the newest for ``latest``: the last name that has a usable manifest.

        A writer publishes under a name and a number above those of every image that is there, so that the last name has
        the highest number, and one manifest is read instead of all.

        :param job: of which job the newest is meant; None for any.
        :raises ImageNotFound: when there is none. :raises JobWithoutImage: when there is none of the job.
        """
        if wanted != "latest":
            return self.manifest(wanted)
        newest = self.newest(job)
        if newest is None and job is not None:
            raise JobWithoutImage(device=self.device, job=shown(job), storage=self.storage.description)
        if newest is None:
            raise ImageNotFound(device=self.device, image="at all", storage=self.storage.description)
        return newest

    def newest(self, job: Optional[str] = None) -> Optional[Manifest]:
        """Return the newest image (of ``job``; None for any) that is complete and can be read, None where there is none."""
        for name in reversed(self.image_names()):
            try:
                manifest = self.manifest(name)
                if job in (None, manifest.job):
                    return manifest
            except StorageNotFound:
                continue
            except StorageError:
                raise  # an older image is no answer because the newest can't be read now
            except EngineError:
                continue  # not complete, or not whole: what lists all images names it
        return None

    def sums(self, image: str) -> sums.Sums:
        """:raises ImageDamaged: when the list is missing or malformed."""
        try:
            data = self.storage.get(self.path(image, fmt.SUMS_NAME), 0, fmt.MAX_SUMS_BYTES + 1)
        except StorageNotFound:
            raise ImageDamaged(image=image, reason="its SHA256SUMS is missing") from None
        return sums.decode(data, image)

    # -- packs --------------------------------------------------------------------------------------------------------

    def packs(self) -> Dict[str, int]:
        """Return name and size of every pack in use. One listing per directory of two digits."""
        rooms = self._rooms(fmt.PACKS, _PACK_ROOM)
        return _packs_in(zip(rooms, self._lists(rooms)))

    def packs_and_partial_files(self) -> Tuple[Dict[str, int], List[str]]:
        """Return the packs in use, and the paths of what killed writers left at the top, among keys, packs, records."""
        rooms = self._rooms(fmt.PACKS, _PACK_ROOM)
        folders = [*rooms, self.device, self.path(fmt.KEYS), *self._rooms(fmt.RECORDS, IMAGE_NAME)]
        lists = list(zip(folders, self._lists(folders)))
        partial = [
            "%s/%s" % (folder, entry.name)
            for folder, entries in lists
            for entry in entries
            if entry.kind is EntryKind.FILE and entry.name.endswith(PARTIAL_SUFFIX) and is_valid_name(entry.name)
        ]
        return _packs_in(lists[: len(rooms)]), partial

    def trash_entries(self) -> List[Entry]:
        return self._list(self.path(fmt.TRASH))

    def trash(self) -> List[TrashEntry]:
        found = []
        for entry in self.trash_entries():
            match = _TRASH_NAME.fullmatch(entry.name)
            if match and entry.kind is EntryKind.FILE:
                sequence = None if match.group(2) == "bad" else int(match.group(2))
                found.append(TrashEntry(entry.name, match.group(1), sequence, int(match.group(3)), entry.size_bytes))
        return found

    def leftovers(self) -> List[Leftover]:
        """What was taken for the debris of killed runs, oldest name first."""
        found = []
        for entry in self._list(self.path(fmt.TRASH)):
            match = _LEFTOVER_NAME.fullmatch(entry.name)
            if match and entry.kind is EntryKind.DIRECTORY:
                found.append(Leftover(entry.name, match.group(1), int(match.group(2))))
        return sorted(found)

    def move_to_trash(self, pack: str, sequence: Optional[int], now_seconds: Optional[int] = None) -> None:
        """Take a pack out of use; ``sequence`` None says that it is damaged. Nothing is deleted: each copy gets a name."""
        now = max(0, int(time.time()) if now_seconds is None else now_seconds)
        for moment in range(now, now + _MOST_COPIES):
            name = "%s.%s.%d" % (pack, "bad" if sequence is None else sequence, moment)
            try:
                self.storage.rename(fmt.pack_path(self.device, pack), self.path(fmt.TRASH, name))
            except StorageExists:
                continue
            break

    # -- keys ---------------------------------------------------------------------------------------------------------

    def key_slots(self, invalid: Optional[List[EngineError]] = None) -> List[KeySlot]:
        """Return the device's key slots, those in the directories of its images included."""
        copies = [self.path(image, fmt.KEYS) for image in self.image_names()]
        return self._slots_in([self.path(fmt.KEYS), *copies], invalid)

    def own_key_slots(self, invalid: Optional[List[EngineError]] = None) -> List[KeySlot]:
        """Return the key slots of the device's own directory: one listing, however many images there are."""
        return self._slots_in([self.path(fmt.KEYS)], invalid)

    def slot_names(self) -> List[str]:
        """Names of the device's own key slots."""
        entries = self._list(self.path(fmt.KEYS))
        return sorted(entry.name for entry in entries if _SLOT_NAME.fullmatch(entry.name))[: fmt.MAX_KEY_SLOTS]

    def slots_of(self, manifest: Manifest) -> List[KeySlot]:
        """Return the key slots that an image brought along, as far as they are there and whole."""
        slots = []
        for name in manifest.slots[: fmt.MAX_KEY_SLOTS]:
            try:
                path = self.path(manifest.image, fmt.KEYS, name)
                slots.append(parse_slot(name, self.storage.get(path, 0, fmt.MAX_KEY_SLOT_BYTES + 1)))
            except (KeySlotInvalid, StorageNotFound):
                continue  # the device's own copy of it is looked at as well
        return slots

    def _slots_in(self, folders: List[str], invalid: Optional[List[EngineError]]) -> List[KeySlot]:
        holders: Dict[str, List[str]] = {}
        for folder, entries in zip(folders, self._lists(folders)):
            for entry in entries:
                if entry.kind is EntryKind.FILE and entry.name.endswith(".json"):
                    holders.setdefault(entry.name, []).append(folder)
        slots = []
        for name in sorted(holders)[: fmt.MAX_KEY_SLOTS]:
            try:
                slots.append(self._first_whole_slot(name, holders[name]))
            except EngineError as error:
                if invalid is not None:
                    invalid.append(error)
        return slots

    def _first_whole_slot(self, name: str, folders: List[str]) -> KeySlot:
        """A slot from the first folder where it is whole; a damaged copy hides no other.

        :raises EngineError: why the first one can't be used, when none can.
        """
        first: Optional[EngineError] = None
        for folder in [*folders[:1], *folders[1:][-_SLOT_COPIES:]]:
            try:
                return parse_slot(name, self.storage.get("%s/%s" % (folder, name), 0, fmt.MAX_KEY_SLOT_BYTES + 1))
            except EngineError as error:
                first = first or error
        raise first or KeySlotInvalid(path=name, reason="it is nowhere")

    # -- records ------------------------------------------------------------------------------------------------------

    def add_record(self, image: str, kind: str, facts: Dict[str, Any]) -> None:
        """Add a fact about a committed image; its file is named by its own hash.

        :raises StorageNotFound: when a rollover deletes the image and its records meanwhile.
        """
        data = documents.pretty(dict(facts, kind=kind, image=image))
        name = "%s-%s.json" % (kind, hashlib.sha256(data).hexdigest())
        self.storage.make_directory(self.path(fmt.RECORDS, image))
        try:
            self.storage.put(self.path(fmt.RECORDS, image, name), [data])
        except StorageExists:
            return  # the very same fact is there already

    def record_names(self, image: str) -> List[Tuple[str, str]]:
        """Names of the records of an image, each with the SHA-256 that it must have."""
        matches = [(entry, _RECORD_NAME.fullmatch(entry.name)) for entry in self._list(self.path(fmt.RECORDS, image))]
        return sorted((one.name, match.group(2)) for one, match in matches if match and one.kind is EntryKind.FILE)

    def records(self, image: str) -> List[Dict[str, Any]]:
        """Return the whole, well-formed records of an image; a damaged record counts as absent."""
        found = []
        for entry in self._list(self.path(fmt.RECORDS, image)):
            match = _RECORD_NAME.fullmatch(entry.name)
            if not match or entry.kind is not EntryKind.FILE or entry.size_bytes > fmt.MAX_JSON_BYTES:
                continue
            try:
                data = self.storage.get(self.path(fmt.RECORDS, image, entry.name), 0, fmt.MAX_JSON_BYTES + 1)
            except StorageNotFound:
                continue  # a rollover deletes this image meanwhile
            if hashlib.sha256(data).hexdigest() != match.group(2):
                continue
            try:
                document = documents.parse(data)
            except ValueError:
                continue
            if document.get("kind") == match.group(1):
                found.append(document)
        return found

    def records_of(self, images: List[str]) -> List[List[Dict[str, Any]]]:
        """The records of each of ``images``; only of those that have any is the directory listed."""
        there = {entry.name for entry in self._list(self.path(fmt.RECORDS)) if entry.kind is EntryKind.DIRECTORY}
        return together(self.storage, lambda image: self.records(image) if image in there else [], images)

    def record_kinds(self, image: str) -> Set[str]:
        return {str(record["kind"]) for record in self.records(image)}

    def _rooms(self, name: str, form: Pattern[str]) -> List[str]:
        """The paths of the directories inside ``name`` that are ours by their names; somebody may have made others."""
        found = [entry.name for entry in self._list(self.path(name)) if entry.kind is EntryKind.DIRECTORY]
        return [self.path(name, one) for one in found if form.fullmatch(one)]

    def _lists(self, paths: List[str]) -> List[List[Entry]]:
        return together(self.storage, self._list, paths)

    def _list(self, path: str) -> List[Entry]:
        try:
            return self.storage.list(path)
        except StorageNotFound:
            return []


def _packs_in(rooms: Iterable[Tuple[str, List[Entry]]]) -> Dict[str, int]:
    return {
        entry.name: entry.size_bytes
        for room, entries in rooms
        for entry in entries
        if entry.kind is EntryKind.FILE and _PACK_NAME.fullmatch(entry.name) and room.endswith("/" + entry.name[:2])
    }
