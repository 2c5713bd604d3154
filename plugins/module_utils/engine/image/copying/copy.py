# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies an image, with just the packs that it needs, to a directory or another storage of the same layout.

The copy leaves the source unchanged and needs no password: it copies bytes, hashes them on their way and reads them
back. It writes the manifest last, so that an interrupted copy does not yet hold an image; the next copy reuses the
files that were written.
"""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import AbstractSet, Callable, Container, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ...errors import (
    ArchivePackDiffers,
    CopyNotProved,
    CopyTargetDiffers,
    CopyTargetForeign,
    CopyTargetFull,
    EngineError,
    ImageDamaged,
    ImageFormatUnknown,
    ImageNotFound,
    StorageFull,
    StorageNotFound,
    StoragePermissionDenied,
)
from ...storage.contract import PARTIAL_SUFFIX, Storage
from ...storage.lease import Lease
from ...storage.limit import Limit, LimitedStorage, no_limit
from ...storage.notices import NO_NOTICES, Notices
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.copies import whole_copy_of
from ..format.encrypted_mark import is_marked, mark_encrypted
from ..format.manifest import Manifest
from ..former_names import copied, encode, read_entries
from ..parallel_map import in_order
from .packs import PackCopier, store_file
from .source import CopySource, files_of, second_copies

_WORKERS, _WORKERS_OVER_A_LINE = 2, 6
_LEASE_WAIT_SECONDS = 600.0
_MOST_PARTIAL = 1 << 10
_MAX_DEVICE_ID_BYTES = 64 << 10
_SLACK_BYTES = 32 << 10  # what a file takes beyond its bytes, on a file system with large clusters
Progress = Callable[..., None]
Proved = Callable[[Mapping[str, int]], AbstractSet[str]]


class Copied(NamedTuple):
    """The result of a copy. ``changed``: at least one file had to be written."""

    changed: bool
    packs: int
    packs_copied: int
    bytes_copied: int
    bytes_kept: int  # of packs that were there already, hashed


class Foreseen(NamedTuple):
    """The packs that the target lacks, and their bytes as far as the manifest says."""

    packs: List[str]
    needed_bytes: int
    kept_bytes: int
    is_complete: bool


class ImageCopy:
    """The copy of one image to one target."""

    def __init__(
        self,
        source: CopySource,
        target: Storage,
        *,
        limit: Limit = no_limit,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress = lambda phase, done, total: None,
        notices: Notices = NO_NOTICES,
        more_bytes: int = 0,
        proved: Proved = lambda sizes: frozenset(),
        but_records: Container[str] = (),
    ) -> None:
        """:param more_bytes: what the caller will write after the image; there must be room for it, too.
        :param proved: which of the packs that are there were hashed before; the others are hashed now.
        :param but_records: kinds of records that stay where they are.
        """
        self.warnings: List[str] = []
        self._proved = proved
        self._but_records = but_records
        self._source = source
        self._more_bytes = more_bytes
        self._storage = target
        self._directory = DeviceDirectory(target, source.directory.device)
        self._limited = LimitedStorage(target, limit, cancelled)
        self._progress = progress
        self._notices = notices
        self._changed = False
        self._copied_bytes = self._kept_bytes = self._copied_packs = 0

    def check(self) -> Foreseen:
        """Refuse an impossible copy, and return what has to be written. Changes neither side.

        :raises CopyTargetForeign, CopyTargetDiffers, CopyTargetFull: before the first byte.
        """
        self._refuse_foreign()
        is_there = self._is_there()
        present = self._directory.packs()
        lacking = [pack for pack in self._source.packs if pack not in present]
        kept_bytes = sum(present[pack] for pack in self._source.packs if pack in present)
        needed = max(0, self._source.manifest.pack_bytes - kept_bytes) if lacking else 0
        needed += sum(disk.index_bytes for disk in self._source.manifest.disks) if not is_there else 0
        needed += _SLACK_BYTES * len(lacking) + self._more_bytes
        space = self._storage.space() if needed else None
        if space is not None and space.free_bytes < needed:
            free_bytes = space.free_bytes + sum(map(self._size_of, self._partial_files()))
            if free_bytes < needed:
                raise self._full(needed, free_bytes)
        is_whole = not lacking and kept_bytes == self._source.manifest.pack_bytes
        return Foreseen(lacking, needed, kept_bytes, is_there and is_whole)

    def run(self, held: Optional[Lease] = None) -> Copied:
        """Copy the image. Intact files in the target are kept.

        :param held: the lease of the target's directory, if the caller holds it.
        :raises CopyError, StorageError: the next copy reuses the files that were copied before.
        """
        self.check()
        try:
            self._directory.create()
            lease = held or Lease(self._storage, self._directory.device, notices=self._notices)
            if held is None:
                lease.acquire(_LEASE_WAIT_SECONDS)
            try:
                self._sweep_partial_files()
                self._copy_identity()
                self._copy_names()
                self._copy_packs()
                self._copy_files()
                self._copy_records()
                self._prove_packs()
                lease.check()
                self._commit()
                self._prove_packs()  # a rollover may have run between the proof and the commit
            finally:
                if held is None:
                    lease.release()
        except StorageFull as error:
            raise self._what_lacks() from error
        return Copied(self._changed, len(self._source.packs), self._copied_packs, self._copied_bytes, self._kept_bytes)

    # -- what may be refused ------------------------------------------------------------------------------------------

    def _refuse_foreign(self) -> None:
        """A directory of the same name that is another machine's: no image, key or identity in common."""
        theirs, ours = self._device_id(self._directory), self._device_id(self._source.directory)
        if theirs is None or ours is None or theirs == ours:
            return
        if set(self._directory.image_names()) & set(self._source.directory.image_names()):
            return  # the same device after its machine was replaced: _is_there checks the image itself
        if set(self._directory.slot_names()) & set(self._source.manifest.slots):
            return
        raise CopyTargetForeign(
            target=self._storage.description,
            device=self._directory.device,
            reason="its device-id.json differs, and it has no image and no key in common with the source",
        )

    def _device_id(self, directory: DeviceDirectory) -> Optional[bytes]:
        try:
            return directory.storage.get(directory.path(fmt.DEVICE_ID_NAME), 0, _MAX_DEVICE_ID_BYTES)
        except StorageNotFound:
            return None

    def _is_there(self) -> bool:
        """Whether the target has the image; one that is damaged there is none.

        :raises CopyTargetDiffers: when another image has its name.
        """
        try:
            there = self._directory.manifest(self._source.image)
        except (ImageNotFound, ImageDamaged, StorageNotFound):
            return False
        except ImageFormatUnknown:
            there = None
        if there == self._source.manifest:
            return True
        if self._was_ours():
            return False
        raise CopyTargetDiffers(
            target=self._storage.description, image=self._source.image, device=self._directory.device
        )

    def _was_ours(self) -> bool:
        """Whether a manifest that can be parsed and differs is the damaged one of the source's image: the sum or the second
        copy of the intact one is beside it."""
        image, digest = self._source.image, hashlib.sha256(self._source.manifest_bytes).hexdigest()
        with contextlib.suppress(ImageDamaged):
            if self._directory.sums(image).files.get(fmt.MANIFEST_NAME) == digest:
                return True
        return whole_copy_of(self._storage, self._directory.path(image), fmt.MANIFEST_NAME, [digest]) is not None

    def _full(self, needed: int, free: int) -> CopyTargetFull:
        return CopyTargetFull(
            target=self._storage.description,
            image=self._source.image,
            lacking_bytes=max(1, needed - free),
            needed_bytes=needed,
            free_bytes=free,
        )

    def _what_lacks(self) -> CopyTargetFull:
        """The target ran full during the copy: quotas and cluster sizes can't be known before."""
        manifest = self._source.manifest
        left = max(0, manifest.pack_bytes - self._copied_bytes - self._kept_bytes)
        left += sum(disk.index_bytes for disk in manifest.disks) + _SLACK_BYTES + self._more_bytes
        with contextlib.suppress(EngineError):
            space = self._storage.space()
            if space is not None:
                return self._full(left, min(space.free_bytes, left - 1))
        return self._full(left, 0)

    # -- what is written ----------------------------------------------------------------------------------------------

    def _sweep_partial_files(self) -> None:
        """Files of a killed copy occupy space that this one may need."""
        for path in self._partial_files():
            with contextlib.suppress(StorageNotFound, StoragePermissionDenied):
                self._storage.delete(path)

    def _size_of(self, path: str) -> int:
        try:
            return self._storage.stat(path).size_bytes
        except StorageNotFound:
            return 0

    def _partial_files(self) -> List[str]:
        paths = self._directory.packs_and_partial_files().partial
        for folder in (self._directory.path(self._source.image), self._directory.path(self._source.image, fmt.KEYS)):
            found = self._directory.listed(folder, lambda name: name.endswith(PARTIAL_SUFFIX), _MOST_PARTIAL)
            paths += ["%s/%s" % (folder, entry.name) for entry in found]
        return paths

    def _copy_identity(self) -> None:
        ours, theirs = self._device_id(self._source.directory), self._device_id(self._directory)
        newest, newest_there = (max(one.image_names(), default="") for one in (self._source.directory, self._directory))
        if ours is not None and (theirs is None or newest >= newest_there):  # else the machine was replaced since
            self._store(fmt.DEVICE_ID_NAME, ours, replace=True)
        if self._source.manifest.slots and is_marked(self._source.directory) and not is_marked(self._directory):
            mark_encrypted(self._directory)
            self._changed = True

    def _copy_names(self) -> None:
        """The former names of the directory, by which readers accept the image."""
        if self._source.manifest.device == self._directory.device:
            return
        manifest, device = self._source.manifest, self._directory.device
        own = read_entries(self._source.directory.storage, self._source.directory.device)
        theirs = read_entries(self._storage, device)
        self._store(
            fmt.NAMES_NAME, encode(copied(own, theirs, device, manifest.key_id, self._source.key)), replace=True
        )
        self._directory = DeviceDirectory(self._storage, self._directory.device)  # it reads the names again

    def _copy_packs(self) -> None:
        copier = PackCopier(self._source.directory, self._limited, self._source.manifest)
        present = self._directory.packs()
        trusted = self._trusted({pack: present[pack] for pack in self._source.packs if pack in present})
        total, done = self._source.manifest.pack_bytes, 0
        calls = [partial(self._have, copier, pack, pack in present, pack in trusted) for pack in self._source.packs]
        is_near = self._storage.parallel_calls == self._source.directory.storage.parallel_calls == 1
        workers = _WORKERS if is_near else _WORKERS_OVER_A_LINE
        with ThreadPoolExecutor(workers, thread_name_prefix="pack copier") as executor:
            results = in_order(executor, calls, 2 * workers)
            with contextlib.closing(results):
                for pack, copied_bytes in zip(self._source.packs, results):
                    if copied_bytes is not None and pack in present:
                        self._tell_replaced(pack)
                    size_bytes = copied_bytes if copied_bytes is not None else present[pack]
                    if copied_bytes is None:
                        self._kept_bytes += size_bytes
                    else:
                        self._copied_bytes += size_bytes
                        self._copied_packs += 1
                        self._changed = True
                    done += size_bytes
                    self._progress("copying", min(done, max(0, total - 1)), total)
        self._progress("copying", total, total)

    def _trusted(self, sizes: Mapping[str, int]) -> AbstractSet[str]:
        """Those of the packs that are there that need not be read: proved before, and of the size that they have in the source."""
        proved = self._proved(sizes)
        if not proved:
            return proved
        expected = self._source.directory.packs()
        return {pack for pack in proved if sizes[pack] == expected.get(pack)}

    def _have(self, copier: PackCopier, pack: str, is_there: bool, is_trusted: bool) -> Optional[int]:
        """Copy a pack unless the target has it; return its size, or ``None`` where it was there.

        :raises ArchivePackDiffers: when a damaged one is there, and the account may not replace it.
        """
        if is_there and (is_trusted or copier.keep(pack)):
            return None
        try:
            return copier.copy(pack)
        except StoragePermissionDenied as error:
            if not is_there:
                raise
            path = fmt.pack_path(self._directory.device, pack)
            raise ArchivePackDiffers(path=path, target=self._storage.description, image=self._source.image) from error

    def _tell_replaced(self, pack: str) -> None:
        path = fmt.pack_path(self._directory.device, pack)
        self.warnings.append(
            "%s in %s had other content than its name says; the copy replaced it." % (path, self._storage.description)
        )

    def _copy_files(self) -> None:
        folder = self._directory.path(self._source.image)
        self._storage.make_directory("%s/%s" % (folder, fmt.KEYS) if self._source.manifest.slots else folder)
        for name, read in files_of(self._source):
            data = read()
            self._limited.wait(len(data))
            self._store("%s/%s" % (self._source.image, name), data, replace=True)
            if name.startswith(fmt.KEYS + "/"):
                self._store(name, data, replace=True)  # the device's own: named by its hash
        second = second_copies(self._source)
        if second is not None:
            self._store("%s/%s" % (self._source.image, fmt.COPIES_NAME), second, replace=True)

    def _copy_records(self) -> None:
        """Pins and proofs of the image as they are in the source, unless the copy is one already: then its own count."""
        if self._is_there():
            return
        image, storage = self._source.image, self._source.directory.storage
        try:
            names = self._source.directory.record_names(image)
        except StoragePermissionDenied:
            self._source.warnings.append(
                "This account may not read the records of the image %s, so the copy has none of its pins." % image
            )
            return
        for name, digest in names:
            if name.partition("-")[0] in self._but_records:
                continue
            with contextlib.suppress(StorageNotFound, StoragePermissionDenied):
                data = storage.get(self._source.directory.path(fmt.RECORDS, image, name), 0, fmt.MAX_RECORD_BYTES + 1)
                if hashlib.sha256(data).hexdigest() == digest:
                    self._storage.make_directory(self._directory.path(fmt.RECORDS, image))
                    self._store("%s/%s/%s" % (fmt.RECORDS, image, name), data, replace=True)

    def _prove_packs(self) -> None:
        """Every pack is there: a rollover of the target knew nothing of this image before its commit."""
        present = self._directory.packs()
        gone = [pack for pack in self._source.packs if pack not in present]
        copier = PackCopier(self._source.directory, self._limited, self._source.manifest)
        for pack in gone:
            copier.copy(pack)
        sizes = self._directory.packs() if gone else present
        if sum(sizes.get(pack, 0) for pack in self._source.packs) != self._source.manifest.pack_bytes:
            expected = self._source.directory.packs()
            differing = [pack for pack in self._source.packs if sizes.get(pack) != expected.get(pack)]
            paths = [fmt.pack_path(self._directory.device, pack) for pack in differing]
            path = paths[0] if paths else self._directory.path(fmt.PACKS)
            raise CopyNotProved(path=path, target=self._storage.description)

    def _commit(self) -> None:
        self._limited.check()
        self._store("%s/%s" % (self._source.image, fmt.MANIFEST_NAME), self._source.manifest_bytes, replace=True)

    def _store(self, name: str, data: bytes, *, replace: bool) -> None:
        if store_file(self._storage, self._directory.path(name), data, replace=replace):
            self._changed = True


def copies_there(directory: DeviceDirectory) -> List[Manifest]:
    """The images in a copy's directory, in order; damaged ones are passed by."""
    unreadable: Dict[str, EngineError] = {}
    return directory.images(unreadable)


def pins_of(directory: DeviceDirectory, images: List[str]) -> List[Tuple[str, Optional[bool]]]:
    """Each image with whether it is pinned, ``None`` where that is unknown."""
    kept = records.kept_of(directory, images)
    return [(image, one.is_pinned if one.is_readable else None) for image, one in zip(images, kept)]
