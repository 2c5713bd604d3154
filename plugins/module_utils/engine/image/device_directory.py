# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's directory on a storage: which images, packs, keys, records and trash are there."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from typing import (
    Any,
    Container,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    MutableMapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    Union,
)

from ..entries import EntryKind
from ..errors import (
    EngineError,
    ImageDamaged,
    ImageFormatUnknown,
    ImageNotFound,
    JobWithoutImage,
    KeySlotInvalid,
    ManifestsTooMany,
    RunCancelled,
    StorageError,
    StorageExists,
    StorageFailed,
    StorageFileInTheWay,
    StorageNotFound,
    StoragePermissionDenied,
    StorageUnreachable,
    TooManyImages,
)
from ..storage.contract import Storage
from ..storage.shared_connect import together
from . import records
from .device_paths import DevicePlace
from .format import constants as fmt
from .format import sums
from .format.copies import decode as decode_copies
from .format.copies import read_copies, whole_copy_of
from .format.job_name import shown
from .format.keys import KeySlot, MasterKey, parse_slot
from .format.manifest import Manifest, authenticate, check_key_id, decode
from .former_names import FormerNames, Misnamed
from .manifest_budget import ManifestBudget
from .newest import horizon, plausible
from .pack_listing import MOST_TRASHED, PACK_NAME, InUse, TrashEntry, packs_in_use, rooms, trashed
from .slot_files import is_slot_name, slots_in

IMAGE_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", re.ASCII)
_PUT_ASIDE_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)\.(\d{1,12})", re.ASCII)
_MOST_COPIES = 60  # of a pack, taken out of use in one second
_MANY_AT_ONCE = 32  # manifests that are read together while the newest image is looked for


class PutAside(NamedTuple):
    """A directory in the trash: what a run that did not finish left, or so it seemed."""

    file_name: str
    image: str
    since_seconds: int


class DeviceDirectory(DevicePlace):
    """Reads and changes one device's directory. Holds no state but its names: every other call asks the storage."""

    def __init__(self, storage: Storage, device: str, assumed: FrozenSet[str] = frozenset()) -> None:
        """:param assumed: former names that the caller proves."""
        super().__init__(storage, device)
        self._assumed = assumed
        self._names = FormerNames(storage, device)
        self.misnamed = Misnamed()

    def was_called(self, name: str, key: Optional[MasterKey]) -> bool:
        """Whether the images of the device ``name`` are this directory's, as far as ``key`` proves it, if there is one."""
        return name == self.device or name in self._assumed or self._names.prove(name, key)

    def create(self) -> None:
        names = (fmt.PACKS, fmt.KEYS, fmt.RECORDS, fmt.TRASH)
        together(self.storage, self.storage.make_directory, [self.path(name) for name in names])

    def check_folders(self) -> None:
        """Look at what is in the place of the device's directories: a listing takes anything else for an empty directory.

        :raises StorageFileInTheWay: for a file, and for a link that this storage does not follow.
        """
        names = (fmt.PACKS, fmt.KEYS, fmt.RECORDS, fmt.TRASH)
        together(self.storage, self._check_folder, [self.device, *(self.path(name) for name in names)])

    def _check_folder(self, path: str) -> None:
        try:
            kind = self.storage.stat(path).kind
        except (StorageNotFound, StoragePermissionDenied):
            return  # to be made by a run; or the operator's alone
        if kind is EntryKind.OTHER:
            with contextlib.suppress(StorageNotFound):  # a server follows its administrator's link
                self.storage.list_some(path, lambda name: False, 1)
                return
        if kind is not EntryKind.DIRECTORY:
            raise StorageFileInTheWay(path=path, storage=self.storage.description)

    # -- images -------------------------------------------------------------------------------------------------------

    def image_names(self) -> List[str]:
        """Names of all image directories, complete or not, in order of name.

        :raises TooManyImages: for more than any device ever has.
        """
        found = self.listed(self.device, _is_image_name, fmt.MAX_IMAGES + 1)
        if len(found) > fmt.MAX_IMAGES:
            raise TooManyImages(path=self.device, most=fmt.MAX_IMAGES)
        return sorted(entry.name for entry in found if entry.kind is EntryKind.DIRECTORY)

    def images(
        self,
        unreadable: Optional[Dict[str, EngineError]] = None,
        key: Optional[MasterKey] = None,
        but: Container[str] = frozenset(),
        from_copy: Optional[Set[str]] = None,
    ) -> List[Manifest]:
        """Return the complete images in sequence order; manifests that can't be used go to ``unreadable``.

        :param key: manifests that say they are of this key are proved with it. :param but: names that are passed by.
        :param from_copy: see :meth:`manifest`.
        """
        return self.manifests([name for name in self.image_names() if name not in but], unreadable, key, from_copy)

    def manifests(
        self,
        names: List[str],
        unreadable: Optional[Dict[str, EngineError]],
        key: Optional[MasterKey] = None,
        from_copy: Optional[Set[str]] = None,
    ) -> List[Manifest]:
        """The same for the images ``names``. Of those that ``key`` does not prove a bounded amount is held."""
        budget = ManifestBudget()

        def read(name: str) -> Optional[Manifest]:
            try:
                found = self.manifest(name, key, from_copy)
                held = found if key is not None and found.key_id == key.key_id else budget.held(found)
                if held is None:
                    raise ManifestsTooMany(image=name, device=self.device)
                return held
            except (ImageNotFound, StorageNotFound):
                return None
            except (StorageUnreachable, RunCancelled):
                raise
            except EngineError as error:
                if unreadable is None:
                    raise
                # Its frames hold what was read: a megabyte for each of thousands of false manifests.
                error.__traceback__ = error.__context__ = None
                unreadable[name] = error
                return None

        found = together(self.storage, read, names)
        return sorted((one for one in found if one), key=lambda manifest: (manifest.sequence, manifest.image))

    def manifest_bytes(self, image: str) -> bytes:
        """The bytes of the manifest if it can be parsed, else of its copy if that can, else of the damaged file."""
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

    def readings(self, image: str) -> Iterator[Tuple[bytes, Manifest, bool]]:
        """Yield the readings of a manifest that can be parsed: the file, the file past the cache, and, with True, its
        copy.

        :raises EngineError: why the file can't be parsed, where no reading can.
        """
        if not IMAGE_NAME.fullmatch(image):
            raise ImageNotFound(device=self.device, image=image, storage=self.storage.description)
        failed: List[EngineError] = []
        seen: Set[bytes] = set()
        for read in (self._read_manifest, self._read_manifest_again, self._read_unlisted_copy):
            try:
                data = read(image)
                found = self._proved(image, data, None)
            except (ImageDamaged, ImageFormatUnknown, StorageFailed) as error:
                failed.append(error)
                continue
            if data not in seen:
                seen.add(data)
                yield data, found, read == self._read_unlisted_copy
        if not seen:
            raise failed[0]

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
        proof = key if key is not None and manifest.key_id == key.key_id else None
        try:
            self.prove_name(manifest, proof)
        except ImageDamaged:
            self.misnamed.forget(image)
            if proof is not None:
                authenticate(data, manifest, proof)
            self.misnamed.add(manifest, is_proved=proof is not None)
            raise
        if key is not None:
            check_key_id(data, manifest, key)
        if proof is not None:
            authenticate(data, manifest, proof)
        return manifest

    def prove_name(self, manifest: Manifest, key: Optional[MasterKey]) -> None:
        """:raises ImageDamaged: when the image is that of another device."""
        if not self.was_called(manifest.device, key):
            raise ImageDamaged(image=manifest.image, reason="its manifest belongs to the device %s" % manifest.device)

    def _read_manifest(self, image: str) -> bytes:
        try:
            return self.storage.get(self.path(image, fmt.MANIFEST_NAME), 0, fmt.MAX_MANIFEST_BYTES + 1)
        except StorageNotFound:
            raise ImageNotFound(device=self.device, image=image, storage=self.storage.description) from None

    def _read_manifest_again(self, image: str) -> bytes:
        """Past the cache: a single false read does not prove damage."""
        try:
            self.storage.look_anew(self.path(image, fmt.MANIFEST_NAME))
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

    def _read_unlisted_copy(self, image: str) -> bytes:
        """The copy, for who proves it by other means: SHA256SUMS may be damaged as well."""
        copies = decode_copies(read_copies(self.storage, self.path(image)) or b"")
        if fmt.MANIFEST_NAME not in copies:
            raise ImageDamaged(image=image, reason="its manifest has no second copy")
        return copies[fmt.MANIFEST_NAME]

    def find_image(self, wanted: str, job: Optional[str] = None) -> Manifest:
        """Return the image named ``wanted``, or for ``latest`` the newest one as far as it is known without a password.

        :param job: of which job the newest is meant; ``None`` for any.
        :raises ImageNotFound: when there is none. :raises JobWithoutImage: when there is none of the job.
        """
        if wanted != "latest":
            return self.manifest(wanted)
        newest = self.newest(job=job)
        if newest is None and job is not None:
            raise JobWithoutImage(device=self.device, job=shown(job), storage=self.storage.description)
        if newest is None:
            raise ImageNotFound(device=self.device, image="at all", storage=self.storage.description)
        return newest

    def newest(
        self, key: Optional[MasterKey] = None, job: Optional[str] = None, names: Optional[List[str]] = None
    ) -> Optional[Manifest]:
        """Return the newest image that is complete and can be read, ``None`` without one: the last name of those.

        A writer publishes under a name and a number above those of every image that counts, so that the last name has
        the highest number, and one manifest is read instead of all.

        :param key: only images that are proved with it count.
        :param job: only images of this job count; ``None`` for any.
        :param names: those of all images, where they are known already.
        """
        names = self.image_names() if names is None else names
        if key is None:  # only where no key decides do names
            likely = set(plausible(names, horizon()))
            names = [*(name for name in names if name not in likely), *(name for name in names if name in likely)]
        found = self._usable_of(reversed(names), key)
        return next((manifest for manifest in found if job in (None, manifest.job)), None)

    def _usable_of(self, names: Iterable[str], key: Optional[MasterKey]) -> Iterator[Manifest]:
        """The usable manifests of ``names``, in this order, of ``key`` if one is given; some are read at a time."""
        waiting, width = list(names), 1
        while waiting:
            batch, waiting = waiting[:width], waiting[width:]
            for manifest in together(self.storage, lambda name: self._usable(name, key), batch):
                if manifest is not None:
                    yield manifest
            width = _MANY_AT_ONCE

    def _usable(self, name: str, key: Optional[MasterKey]) -> Optional[Manifest]:
        try:
            manifest = self.manifest(name, key)
        except StorageNotFound:
            return None
        except StorageError:
            if key is not None and name > horizon():
                return None  # later than any plausible clock of a writer
            raise  # an older image must not replace a newest one that can't be read at the moment
        except RunCancelled:
            raise
        except EngineError:
            return None  # not complete, or not intact: what lists all images names it
        return manifest if key is None or manifest.key_id == key.key_id else None

    def sums(self, image: str, most_packs: int = fmt.MAX_PACKS) -> sums.Sums:
        """:raises ImageDamaged: when the list is missing or malformed, or names more packs than its manifest says."""
        try:
            pieces = self.storage.read(self.path(image, fmt.SUMS_NAME), 0, fmt.MAX_SUMS_BYTES + 1)
            return sums.read(pieces, image, lambda: min(most_packs, self.count_packs()))
        except StorageNotFound:
            raise ImageDamaged(image=image, reason="its SHA256SUMS is missing") from None

    # -- packs --------------------------------------------------------------------------------------------------------

    def packs(self) -> MutableMapping[str, int]:
        """Return name and size of every pack in use. One listing per directory of two digits.

        :raises TooManyPacks: when there are more than any device ever has.
        """
        return packs_in_use(self, [], rooms(self, fmt.PACKS)).packs

    def count_packs(self) -> int:
        """How many packs there are, in use and in the trash: a list that names more is false or of no use."""
        found: Counter[str] = Counter()

        def count(name: str) -> bool:
            found[""] += PACK_NAME.match(name) is not None
            return False

        self.lists([*rooms(self, fmt.PACKS), self.path(fmt.TRASH)], count)
        return found[""]

    def packs_and_partial_files(self) -> InUse:
        """Return the packs in use, and the paths of what killed writers left at the top, among keys, packs, records."""
        others = [self.device, self.path(fmt.KEYS), *rooms(self, fmt.RECORDS, IMAGE_NAME)]
        return packs_in_use(self, others, rooms(self, fmt.PACKS))

    def trash(self, packs: Optional[Container[str]] = None) -> List[TrashEntry]:
        """The copies in the trash of ``packs``, or of any pack; only a part of a flood."""
        return trashed(self, packs)

    def put_aside(self) -> List[PutAside]:
        """Directories that were put aside as debris of killed runs, oldest name first."""
        found = []
        for entry in self.listed(
            self.path(fmt.TRASH), lambda name: _PUT_ASIDE_NAME.fullmatch(name) is not None, MOST_TRASHED
        ):
            match = _PUT_ASIDE_NAME.fullmatch(entry.name)
            if match and entry.kind is EntryKind.DIRECTORY:
                found.append(PutAside(entry.name, match.group(1), int(match.group(2))))
        return sorted(found)

    def move_to_trash(self, pack: str, sequence: Optional[int], now_seconds: Optional[int] = None) -> None:
        """Move a pack to the trash; ``sequence`` None says that it is damaged. Each copy gets a new name, so that none
        is deleted."""
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
        return slots_in(self, [self.path(fmt.KEYS), *copies], invalid, self._slots_named_by_images)

    def own_key_slots(self, invalid: Optional[List[EngineError]] = None) -> List[KeySlot]:
        """Return the key slots of the device's own directory: one listing, however many images there are."""
        return slots_in(self, [self.path(fmt.KEYS)], invalid, self._slots_named_by_images)

    def _slots_named_by_images(self) -> Dict[str, List[str]]:
        """The slots that most images list, each with the folders where it may lie."""
        images = self.images({})
        most = Counter(name for manifest in images for name in set(manifest.slots)).most_common(fmt.MAX_SLOTS_READ)
        folders = {name: [self.path(fmt.KEYS)] for name, dummy_count in most}
        for manifest in images:
            for name in folders.keys() & set(manifest.slots):
                folders[name].append(self.path(manifest.image, fmt.KEYS))
        return folders

    def slot_names(self) -> List[str]:
        """Names of the device's own key slots."""
        return sorted(entry.name for entry in self.listed(self.path(fmt.KEYS), is_slot_name, fmt.MAX_SLOTS_READ))

    def slots_of(self, manifest: Manifest) -> List[KeySlot]:
        """Return the key slots in an image's folder, as far as they exist and are intact."""
        slots = []
        for name in manifest.slots[: fmt.MAX_KEY_SLOTS]:
            try:
                path = self.path(manifest.image, fmt.KEYS, name)
                slots.append(parse_slot(name, self.storage.get(path, 0, fmt.MAX_KEY_SLOT_BYTES + 1)))
            except (KeySlotInvalid, StorageNotFound):
                continue  # the device's own copy of it is looked at as well
        return slots

    # -- records ------------------------------------------------------------------------------------------------------

    def add_record(self, image: str, kind: str, facts: Dict[str, Any], key: Optional[MasterKey] = None) -> None:
        """Add a fact about a committed image; see :func:`records.add`."""
        records.add(self, image, kind, facts, key)

    def record_names(self, image: str) -> List[Tuple[str, str]]:
        """Names of the records of an image, each with the SHA-256 that it must have."""
        return [(name, name[-len(".json") - 64 : -len(".json")]) for name in sorted(records.names(self, image))]


def _is_image_name(name: str) -> bool:
    return IMAGE_NAME.fullmatch(name) is not None
