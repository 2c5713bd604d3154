# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commit of an image: indexes and documents, SHA256SUMS, then the manifest. Before and after it every pack is there."""

from __future__ import annotations

import contextlib
import hashlib
import time
from enum import Enum
from typing import Dict, List, Optional

from ...errors import (
    ImageNotCommitted,
    StorageError,
    StorageFailed,
    StoragePermissionDenied,
    StorageReadBackDiffers,
)
from ...storage.lease import Lease
from ...tame import one_line
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import copies, documents, sums
from ..format.index import Root
from ..format.manifest import DiskEntry, Manifest, encode, packs_digest
from ..format.sealed_files import seal_file
from ..image_folder import FolderLost, ImageFolder, Overtaken, Withdrawn
from ..pack_listing import InUse
from ..pack_references import changes_since
from ..slot_copies import copy_slots
from ..upkeep.restore_from_trash import restore_from_trash
from ..upkeep.seen import Seen
from .disk_writer import DiskWriter
from .history import History
from .image_order import ImageOrder, ImageResult
from .pack_check import missing_packs, resend_missing
from .pack_stream import PackStream

_ROUNDS = 3  # of other runs that were first, and of images that can't be restored
_FOLDERS = 20  # an operator who rolls over again and again costs a run a directory each time, and nothing else


class CommitState(Enum):
    """Whether the image exists. ``IN_DOUBT``: the manifest is being published, and the connection may be lost before
    the answer."""

    OPEN = "open"
    IN_DOUBT = "in doubt"
    COMMITTED = "committed"


class Commit:
    """Commits a run's image, under another name where others were first. ``seen`` is for the rollover that follows.

    Packs that come back or go again pass the I/O limit of ``limited``; what makes the image does not wait.
    """

    def __init__(
        self,
        limited: DeviceDirectory,
        directory: DeviceDirectory,
        order: ImageOrder,
        lease: Lease,
        folder: ImageFolder,
        history: History,
        warnings: List[str],
    ) -> None:
        self._limited = limited
        self._directory = directory
        self._order = order
        self._lease = lease
        self._folder = folder
        self._history = history
        self._warnings = warnings
        self._started = time.monotonic()
        self.notes = list(order.notes)  # for the job's log
        self.state = CommitState.OPEN
        self.seen = Seen()

    def run(self, stream: PackStream, writers: List[DiskWriter]) -> ImageResult:
        """Commit what the writers have made.

        :raises ImageNotCommitted: when what is published can't be restored, each time.
        :raises StorageFailed: when rollovers take the image's directory away as fast as it is made.
        """
        rounds_left, folders_left = _ROUNDS, _FOLDERS
        while folders_left:
            resend_missing(self._limited, stream, writers, self._warnings)
            try:
                return self._commit(stream, [writer.root for writer in writers], keeps_order=rounds_left > 0)
            except Overtaken:
                self._warnings.append(
                    "Another run committed an image in the meantime; renaming %s so that names stay in order."
                    % self._folder.name
                )
                self._history.renumber()
                rounds_left -= 1
            except Withdrawn as error:
                self._warnings.append(str(error))
                self._history.renumber()
                if not rounds_left:
                    named = {"device": self._order.device, "image": self._folder.name}
                    raise ImageNotCommitted(reason=error.reason, **named) from None
                rounds_left -= 1
            except FolderLost:
                self._warnings.append(
                    "The directory %s was removed during the run; the run created another." % self._folder.name
                )
                folders_left -= 1
            if folders_left:
                self._folder.claim()
        raise StorageFailed(
            storage=self._directory.storage.description,
            operation="committing the image in",
            path=self._folder.path(),
            reason="rollovers remove its directory as fast as it is created",
        )

    def _commit(self, stream: PackStream, roots: List[Root], *, keeps_order: bool) -> ImageResult:
        self._order.progress("committing", 0, 0, stream.sent_bytes)
        contents = self._sealed(roots)
        files = self._folder.store_all(contents)
        packs = {name: need.size_bytes for root in roots for name, need in root.packs.items()}
        manifest = self._manifest(contents, files, packs)
        self._publish(manifest, contents, files, packs, keeps_order=keeps_order)
        return ImageResult(
            manifest.image,
            manifest.sequence,
            manifest.in_use_bytes,
            stream.stored_bytes,
            max(0, manifest.in_use_bytes - stream.new_plain_bytes),
            dict(stream.sent),
            time.monotonic() - self._started,
            self._warnings,
            self._history.key,
            [],
            [one.image for one in self._history.images],
            self._history.missing,
        )

    def _sealed(self, roots: List[Root]) -> Dict[str, bytes]:
        """The indexes and documents of the image, by their names."""
        log = "".join(one_line(line) + "\n" for line in [*self.notes, *self._warnings]).encode("utf-8")
        plain = {fmt.index_name(number): root.encode() for number, root in enumerate(roots)}
        plain[fmt.DEVICE_INFORMATION_NAME] = documents.pretty(dict(self._order.device_information))
        plain[fmt.LOG_NAME] = log
        return {name: seal_file(self._history.key, self._folder.name, name, data) for name, data in plain.items()}

    def _manifest(self, contents: Dict[str, bytes], files: Dict[str, str], packs: Dict[str, int]) -> Manifest:
        """The manifest; the key slots that it names are stored, and get into ``files``."""
        history, order = self._history, self._order
        disks = [
            DiskEntry(
                "disk%d" % number,
                disk.stable_id,
                disk.source.size_bytes,
                disk.source.sector_bytes,
                disk.used.total_bytes,
                files[fmt.index_name(number)],
                len(contents[fmt.index_name(number)]),
                disk.contents,
            )
            for number, disk in enumerate(order.disks)
        ]
        newest = history.of_this_key[-1] if history.of_this_key else None
        slots = copy_slots(self._directory, self._folder, history.key, newest, files) if history.key else []
        return Manifest(
            image=self._folder.name,
            device=order.device,
            sequence=history.sequence,
            created=order.created,
            snapshot=order.late_snapshot() or order.snapshot,
            key_id=history.key_id,
            slots=slots,
            disks=disks,
            files={name: files[name] for name in (fmt.DEVICE_INFORMATION_NAME, fmt.LOG_NAME)},
            pack_count=len(packs),
            pack_bytes=sum(packs.values()),
            packs_sha256=packs_digest(list(packs)),
            seconds=int(time.monotonic() - self._started),
            warnings_count=len(self._warnings),
            changes=changes_since(history.newest, history.packs_of_newest, set(packs)),
            job=order.job,
        )

    def _publish(
        self,
        manifest: Manifest,
        contents: Dict[str, bytes],
        files: Dict[str, str],
        packs: Dict[str, int],
        *,
        keeps_order: bool,
    ) -> None:
        data = encode(manifest, self._history.key)
        files[fmt.MANIFEST_NAME] = hashlib.sha256(data).hexdigest()
        second = copies.encode({**contents, fmt.MANIFEST_NAME: data})
        self._folder.store_all({fmt.SUMS_NAME: sums.encode(files, list(packs)), fmt.COPIES_NAME: second})
        if self._order.takes_lease:
            self._lease.check()
        if keeps_order:
            self._history.check_order(self._folder.name)
        self.state = CommitState.IN_DOUBT
        try:
            self._folder.store(fmt.MANIFEST_NAME, data)
        except FolderLost:
            self.state = CommitState.OPEN
            raise
        except StorageReadBackDiffers:
            self._take_back(manifest, "the storage changed its manifest")
        self._check_packs(manifest, packs)
        self.state = CommitState.COMMITTED
        self._folder.delete_checkpoints()

    def _check_packs(self, manifest: Manifest, packs: Dict[str, int]) -> None:
        """A sweep may have run between the check and the commit: bring back what it took.

        :raises Withdrawn: when a pack is lost.
        """
        listing = self._listing()
        missing = missing_packs(self._directory, packs, None if listing is None else listing.packs)
        lost = missing - restore_from_trash(self._limited, missing, copies=True)
        if lost:
            self._take_back(manifest, "%d of its packs were missing right after the commit" % len(lost))
        self.seen = Seen(None if missing else listing)

    def _listing(self) -> Optional[InUse]:
        """Return the images and packs that the rollover after this run needs as well; ``None`` for an account that may
        not see all of them."""
        try:
            return self._directory.packs_and_partial_files()
        except StoragePermissionDenied:
            return None

    def _take_back(self, manifest: Manifest, reason: str) -> None:
        """Withdraw a published image that can't be restored, or mark it where the account may not rename.

        :raises Withdrawn: always; the same image is made under another name.
        """
        is_gone = self._folder.take_back()
        if not is_gone:
            self._history.rivals.append(manifest)
            facts = {"level": "commit", "ok": False, "problems": [reason]}
            with contextlib.suppress(StorageError):  # the operator's verify finds it as well
                self._directory.add_record(manifest.image, records.VERIFIED, facts, self._history.key)
        self.state = CommitState.OPEN
        raise Withdrawn(manifest.image, reason, is_gone)
