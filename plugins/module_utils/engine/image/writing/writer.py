# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an image: chunks into packs, then the index, then the manifest, which is the commit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import AbstractSet, Dict, List, MutableMapping, Optional

from ...errors import (
    EngineError,
    ImageDamaged,
    ImageNotCommitted,
    StorageError,
    StorageFailed,
    StorageNotFound,
    StoragePermissionDenied,
    StorageReadBackDiffers,
    StorageUnreachable,
)
from ...storage.contract import Storage
from ...storage.lease import Lease
from ...tame import one_line
from .. import records
from ..access import key_for_writing
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import copies, documents, sums
from ..format.index import Root
from ..format.keys import MasterKey
from ..format.manifest import DiskEntry, Manifest, encode, packs_digest
from ..format.sealed_files import seal_file
from ..image_folder import FolderLost, ImageFolder, Overtaken, TakenBack
from ..newest import believed, doubts, few, horizon, next_sequence, others_than, told_errors
from ..pack_references import changes_since, needed_packs, usable_packs
from ..segments import PackReader
from ..slot_copies import copy_slots
from ..upkeep.bring_back import bring_back
from ..upkeep.heal_documents import mend, suspects
from ..upkeep.heal_packs import Healer
from ..upkeep.keeping import to_be_named
from ..upkeep.scrub import scrub
from ..upkeep.seen import Seen
from . import what_was_saved as saved
from .candidates import Candidates, KeptImages
from .coming import coming_image
from .disk_writer import DiskWriter
from .image_job import DiskInput, ImageJob, ImageResult
from .interrupted import Interrupted, bring_back_packs, fitting_runs, interrupted_runs, proved_packs
from .look_budget import LookBudget
from .lookup import Lookup
from .orphan_packs import learn_leftovers
from .pack_check import listed_packs, missing_packs, repair
from .pack_counts import PackCounts
from .pack_stream import PackStream
from .previous import Previous, PreviousFalse
from .volume_places import places_of

__all__ = ["DiskInput", "ImageJob", "ImageResult", "process_threads", "write_image"]
_COMMIT_ROUNDS = 3


def write_image(storage: Storage, job: ImageJob) -> ImageResult:
    """Make one image of ``job.disks`` and return what was done.

    The image exists when this returns; when it raises, nothing that was there before is harmed, and packs that were
    sent make the next run shorter.

    :raises EngineError: the catalogue; rule 6 before anything is written, ``LeaseHeld`` when another run is alive.
    """
    directory = DeviceDirectory(storage, job.device)
    lease = Lease(
        storage,
        job.device,
        ttl_seconds=job.lease_ttl_seconds,
        heartbeat_seconds=job.lease_ttl_seconds / 6,
        notices=job.notices,
    )
    with saved.nothing_sent():
        directory.create()
        if job.takes_lease:
            lease.acquire(wait_seconds=job.lease_ttl_seconds * 1.5)
    try:
        with saved.nothing_sent():
            run = _Run(directory, job, lease)
        try:
            return run.run()
        except EngineError as error:
            run.tell_saved(error)
            raise
    finally:
        lease.release()


class _Run:
    def __init__(self, directory: DeviceDirectory, job: ImageJob, lease: Lease) -> None:
        self.directory = directory
        self.storage = directory.storage
        self.job = job
        self.lease = lease
        self.started = time.monotonic()
        self.warnings = list(job.warnings)
        writing = key_for_writing(directory, job.passwords)
        self.images, self.unreadable = writing.images, writing.unreadable
        self.warnings += told_errors("The image %s is not usable: %s", self.unreadable)
        self.key: Optional[MasterKey] = writing.key
        self.key_id = self.key.key_id if self.key else ""
        last = horizon(job.timestamp)
        # Nothing but these decides what is newest, which number comes next, and what is taken over.
        self.believed = believed(self.images, self.key, last)
        self.last = max([last, *(one.image for one in self.believed)])
        self.warnings += doubts(self.images, self.key, last)
        coming = coming_image(job.device, job.job, [disk.coming for disk in job.disks])
        self.missing, named = to_be_named(
            self.believed, coming, job.policy, others_than(self.images, self.believed, self.key)
        )
        self.warnings += named
        self.sequence = next_sequence(self.images, self.key, last)
        self.packs_before: Optional[AbstractSet[str]] = None
        self.folder = ImageFolder(directory, job.timestamp, job.sleep, self._newest_name, self.last)
        self.stream: Optional[PackStream] = None
        self.is_committed: Optional[bool] = False
        self.interrupted: List[Interrupted] = []
        self.kept: Optional[KeptImages] = None
        self.budgets: List[LookBudget] = []
        self.rivals: List[Manifest] = []  # images that others made meanwhile
        self.seen = Seen()

    @property
    def image(self) -> str:
        return self.folder.name

    def _newest_name(self) -> str:
        """The name that this image's must come after."""
        return max((one.image for one in [*self.believed, *self.rivals]), default="")

    def tell_saved(self, error: EngineError) -> None:
        if self.is_committed:
            saved.tell_committed(error, self.image)
        elif self.is_committed is None and isinstance(error, StorageUnreachable):
            saved.tell_doubt(error, self.image)
        else:
            saved.tell_saved(error, self.stream.sent_bytes if self.stream else 0, bool(self.images))

    def run(self) -> ImageResult:
        self.folder.claim()
        present = self.directory.packs()
        for pack in scrub(self.directory, present, self.sequence, self.job.gate, self.job.scrub_bytes):
            self.warnings.append(
                "The pack %s was damaged and is no longer used; the run uploads its chunks again." % pack
            )
        stream = PackStream(self.storage, self.job.device, self.key, self._pack_target(), self.job.gate, self.job.sleep)
        self.stream = stream
        writers: List[DiskWriter] = []
        try:
            sizes = [disk.source.size_bytes for disk in self.job.disks]
            left = interrupted_runs(self.directory, self.key, {one.image for one in self.images} | {self.image}, sizes)
            disks = [(disk.stable_id, disk.source.size_bytes) for disk in self.job.disks]
            self.interrupted = fitting_runs(left, disks, [one for one in self.believed if one.key_id == self.key_id])
            bring_back_packs(self.directory, self.interrupted, present)
            self._load_leftovers(stream, present)
            of_this_key = [one for one in self.believed if one.key_id == self.key_id]
            self.kept = KeptImages(self.directory, self.key, of_this_key, present, self.warnings)
            for number in range(len(self.job.disks)):
                writers.append(self._disk_writer(stream, number))
                try:
                    writers[-1].run()
                except PreviousFalse:
                    self.warnings.append(
                        (
                            "The index of an earlier image contradicts itself; disk%d is not compared with an earlier "
                            "image."
                        )
                        % number
                    )
                    writers.pop().close()
                    writers.append(self._disk_writer(stream, number, compares=False))
                    writers[-1].run()
            stream.drain()
            self.warnings += self.job.late_warnings()
            result = self._commit_in_own_folder(stream, writers)
            return result._replace(healed_packs=self._heal(stream), seen=self.seen)
        finally:
            for writer in writers:
                writer.close()
            stream.close()

    def _pack_target(self) -> int:
        return fmt.pack_target_bytes(sum(disk.used.total_bytes for disk in self.job.disks))

    def _disk_writer(self, stream: PackStream, number: int, *, compares: bool = True) -> DiskWriter:
        disk = self.job.disks[number]
        total = sum(other.used.total_bytes for other in self.job.disks)
        before = sum(other.used.total_bytes for other in self.job.disks[:number])

        def progress(done_bytes: int) -> None:
            self.job.progress("reading", before + done_bytes, total, stream.stored_bytes)

        return DiskWriter(
            stream,
            PackReader(self.storage, self.job.device, self.key),
            disk.source,
            disk.used,
            lambda reader, counts: self._lookup(number, reader, counts) if compares else Lookup(reader, counts, []),
            level=self.job.compression_level,
            workers=self.job.workers,
            progress=progress,
            checkpoint=lambda root: self._checkpoint(number, root),
        )

    # -- what is there already ----------------------------------------------------------------------------------------

    def _lookup(self, number: int, reader: PackReader, counts: PackCounts) -> Lookup:
        """What interrupted runs left of this disk, and what the kept images of its key hold."""
        if self.kept is None:
            return Lookup(reader, counts, [])
        left = [
            Previous(run.image, run.roots[number], usable_packs(run.roots[number], self.kept.present), complete=False)
            for run in self.interrupted
            if number in run.roots
        ]
        others = {disk.stable_id for other, disk in enumerate(self.job.disks) if other != number}
        candidates = Candidates(self.kept, self.job.disks[number].coming, others)
        budget = LookBudget(self.job.disks[number].source.path)
        self.budgets.append(budget)
        return Lookup(reader, counts, left, candidates, places_of(self.job.device_information, number), budget)

    def _load_leftovers(self, stream: PackStream, present: MutableMapping[str, int]) -> None:
        damaged: List[ImageDamaged] = []
        counted = {one.image for one in self.believed}
        others = [one for one in self.images if one.image not in counted]
        needed = needed_packs(self.directory, [*others, *self.believed], damaged)
        self.warnings += few([str(error) for error in damaged])
        self.packs_before = needed.by_newest
        known = needed.by_any | proved_packs(self.interrupted, self.key)
        self.warnings += learn_leftovers(self.directory, self.key, stream, present, known, self.job.gate)

    def _checkpoint(self, number: int, root: Root) -> None:
        name = fmt.checkpoint_name(number)
        self.folder.store_checkpoint(name, lambda image: seal_file(self.key, image, name, root.encode()))

    # -- the commit ---------------------------------------------------------------------------------------------------

    def _repair(self, stream: PackStream, writers: List[DiskWriter]) -> None:
        """Rule 2: every pack referred to is there with the right size; what is missing is sent again."""
        repair(self.directory, stream, writers, self.warnings, self.job.gate)

    def _commit_in_own_folder(self, stream: PackStream, writers: List[DiskWriter]) -> ImageResult:
        for tries_left in range(_COMMIT_ROUNDS, -1, -1):
            self._repair(stream, writers)
            try:
                return self._commit(stream, [writer.root for writer in writers], keeps_order=tries_left > 0)
            except Overtaken:
                self.warnings.append(
                    "Another run committed an image in the meantime; renaming %s so that names stay in order."
                    % self.image
                )
                self.sequence = next_sequence([*self.images, *self.rivals], self.key, self.last)
            except TakenBack as error:
                self.warnings.append(str(error))
                self.sequence = next_sequence([*self.images, *self.rivals], self.key, self.last)
                if not tries_left:
                    raise ImageNotCommitted(device=self.job.device, image=self.image, reason=error.reason) from None
            except FolderLost:
                self.warnings.append(
                    "The directory %s was removed during the run; the run created another." % self.image
                )
            if tries_left:
                self.folder.claim()
        raise StorageFailed(
            storage=self.storage.description,
            operation="committing the image in",
            path=self.directory.path(self.image),
            reason="rollovers remove its directory as fast as it is created",
        )

    def _commit(self, stream: PackStream, roots: List[Root], *, keeps_order: bool) -> ImageResult:
        self.job.progress("committing", 0, 0, stream.stored_bytes)
        contents = {
            name: seal_file(self.key, self.image, name, plain)
            for name, plain in [
                *((fmt.index_name(number), root.encode()) for number, root in enumerate(roots)),
                *self._documents().items(),
            ]
        }
        files = self.folder.store_all(contents)
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
            for number, disk in enumerate(self.job.disks)
        ]
        packs: Dict[str, int] = {}
        for root in roots:
            packs.update({name: need.size_bytes for name, need in root.packs.items()})
        of_this_key = [known for known in self.believed if known.key_id == self.key_id]
        newest = of_this_key[-1] if of_this_key else None
        slots = copy_slots(self.directory, self.folder, self.key, newest, files) if self.key else []
        manifest = Manifest(
            image=self.image,
            device=self.job.device,
            sequence=self.sequence,
            created=self.job.created,
            snapshot=self.job.snapshot,
            key_id=self.key_id,
            slots=slots,
            disks=disks,
            files={name: files[name] for name in (fmt.DEVICE_INFORMATION_NAME, fmt.LOG_NAME)},
            pack_count=len(packs),
            pack_bytes=sum(packs.values()),
            packs_sha256=packs_digest(list(packs)),
            seconds=int(time.monotonic() - self.started),
            warnings_count=len(self.warnings),
            changes=changes_since(self.believed[-1] if self.believed else None, self.packs_before, set(packs)),
            job=self.job.job,
        )
        self._publish(manifest, contents, files, packs, keeps_order=keeps_order)
        in_use = manifest.in_use_bytes
        return ImageResult(
            self.image,
            manifest.sequence,
            in_use,
            stream.stored_bytes,
            max(0, in_use - stream.new_plain_bytes),
            dict(stream.sent),
            time.monotonic() - self.started,
            self.warnings,
            self.key,
            [],
            [manifest.image for manifest in self.images],
            self.missing,
        )

    def _heal(self, stream: PackStream) -> List[str]:
        """Rule 9: after the commit, make whole what was damaged and has a second source, and say which images gained.

        A pack: what was sent again.
        """
        if self.job.takes_lease:  # an account that may only create replaces nothing
            self.warnings += mend(self.directory, suspects(self.directory, self.believed), self.key)
            self.seen = self.seen._replace(examined={self.image, *(one.image for one in self.believed)})
        healer = Healer(self.directory, self.key, stream.find, self.job.compression_level, self.job.sleep)
        healed = healer.heal()
        present = self.directory.packs() if healed else {}
        for manifest in self.believed:
            needed = listed_packs(self.directory, manifest.image) if healed else frozenset()
            if not needed.isdisjoint(healed) and needed <= present.keys():
                # The operator's records are not this account's; another rollover may have deleted the image meanwhile.
                with contextlib.suppress(StoragePermissionDenied, StorageNotFound):
                    self.directory.add_record(
                        manifest.image, "healed", {"packs": healed[:512], "by": self.image}, self.key
                    )
                self.warnings.append("The image %s was damaged and has been repaired." % manifest.image)
        return healed

    def _check_order(self) -> None:
        """Readers take the last name for the newest image: nobody may have committed above our name or number.

        :raises Overtaken: when one has; what comes next is the same image under a name and a number above all.
        """
        known = {manifest.image for manifest in [*self.images, *self.rivals]} | {self.image} | self.unreadable.keys()
        new = self.directory.images({}, self.key, but=known)
        # Without a key a name that lies in the future says nothing.
        counted = [one for one in believed(new, self.key, self.last) if self.key is not None or one.image <= self.last]
        self.rivals += counted
        if any(rival.image > self.image or rival.sequence >= self.sequence for rival in counted):
            raise Overtaken

    def _publish(
        self,
        manifest: Manifest,
        contents: Dict[str, bytes],
        files: Dict[str, str],
        packs: Dict[str, int],
        *,
        keeps_order: bool,
    ) -> None:
        data = encode(manifest, self.key)
        files[fmt.MANIFEST_NAME] = hashlib.sha256(data).hexdigest()
        second = copies.encode({**contents, fmt.MANIFEST_NAME: data})
        self.folder.store_all({fmt.SUMS_NAME: sums.encode(files, list(packs)), fmt.COPIES_NAME: second})
        if self.job.takes_lease:
            self.lease.check()
        if keeps_order:
            self._check_order()
        self.is_committed = None  # while it is published and read back, the line may go with nobody knowing
        try:
            self.folder.store(fmt.MANIFEST_NAME, data)
        except FolderLost:
            self.is_committed = False
            raise
        except StorageReadBackDiffers:
            self._take_back(manifest, "the storage changed its manifest")
        # A sweep may have run between the check and the commit: bring back what it took.
        listing = self.directory.packs_and_partial_files()
        missing = missing_packs(self.directory, packs, listing.packs)
        lost = missing - bring_back(self.directory, missing, copies=True, gate=self.job.gate)
        self.seen = Seen(None if missing else listing)
        if lost:
            self._take_back(manifest, "%d of its packs were missing right after the commit" % len(lost))
        self.is_committed = True
        self.folder.delete_checkpoints()

    def _take_back(self, manifest: Manifest, reason: str) -> None:
        """What was published and can't be restored is an image no longer, or is marked where nothing may be renamed.

        :raises TakenBack: always; the same image is made under another name.
        """
        is_gone = self.folder.take_back()
        if not is_gone:
            self.rivals.append(manifest)
            facts = {"level": "commit", "ok": False, "problems": [reason]}
            with contextlib.suppress(StorageError):  # the operator's verify finds it as well
                self.directory.add_record(self.image, records.VERIFIED, facts, self.key)
        self.is_committed = False
        raise TakenBack(self.image, reason, is_gone)

    def _documents(self) -> Dict[str, bytes]:
        notes = [*self.job.notes, *(note for budget in self.budgets for note in budget.notes())]
        log = "".join(one_line(line) + "\n" for line in [*notes, *self.warnings]).encode("utf-8")
        return {fmt.DEVICE_INFORMATION_NAME: documents.pretty(dict(self.job.device_information)), fmt.LOG_NAME: log}


def process_threads() -> int:
    """How many worker threads a device may spare: never more than two."""
    return max(1, min(2, os.cpu_count() or 1))
