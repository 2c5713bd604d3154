# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an image: chunks into packs, then the index, then the manifest, which is the commit."""

from __future__ import annotations

import contextlib
import os
from typing import List, MutableMapping, Optional

from ...errors import EngineError, ImageDamaged, StorageNotFound, StoragePermissionDenied, StorageUnreachable
from ...storage.contract import Storage
from ...storage.lease import Lease
from ...storage.limit import LimitedStorage
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.index import Root
from ..format.sealed_files import seal_file
from ..image_folder import ImageFolder
from ..newest import few
from ..pack_references import needed_packs, usable_packs
from ..segments import PackReader
from ..upkeep.heal_documents import heal_documents, suspects
from ..upkeep.heal_packs import Healer
from ..upkeep.scrub import scrub
from . import what_was_saved as saved
from .candidates import Candidates, KeptImages
from .commit import Commit, CommitState
from .disk_writer import DiskWriter
from .history import History
from .image_order import DiskInput, ImageOrder, ImageResult
from .interrupted import Interrupted, fitting_runs, interrupted_runs, proved_packs, restore_packs_from_trash
from .look_budget import LookBudget
from .lookup import Lookup
from .orphan_packs import learn_orphan_packs
from .pack_check import listed_packs
from .pack_counts import PackCounts
from .pack_stream import PackStream
from .previous import Previous, PreviousFalse
from .volume_places import places_of

__all__ = ["DiskInput", "ImageOrder", "ImageResult", "process_threads", "write_image"]

_DAMAGED_PACK = "The pack %s was damaged and is no longer used; the run uploads its chunks again."


def write_image(storage: Storage, order: ImageOrder) -> ImageResult:
    """Make one image of ``order.disks`` and return the result.

    The image exists when this returns; when it raises, no earlier image is harmed, and the next run reuses the uploaded
    packs.

    :raises EngineError: the catalogue; rule 6 before anything is written, ``LeaseHeld`` when another run is alive.
    """
    directory = DeviceDirectory(storage, order.device)
    lease = Lease(
        storage,
        order.device,
        ttl_seconds=order.lease_ttl_seconds,
        heartbeat_seconds=order.lease_ttl_seconds / 6,
        notices=order.notices,
    )
    with saved.nothing_sent():
        directory.create()
        if order.takes_lease:
            lease.acquire(wait_seconds=order.lease_ttl_seconds * 1.5)
    try:
        with saved.nothing_sent():
            run = ImageRun(directory, order, lease)
        try:
            return run.run()
        except EngineError as error:
            run.tell_saved(error)
            raise
    finally:
        lease.release()


class ImageRun:
    """One run: a look at the existing images, the disks one after the other, the commit, and the healing after it."""

    def __init__(self, directory: DeviceDirectory, order: ImageOrder, lease: Lease) -> None:
        self._directory = directory
        storage, limit, cancelled = directory.storage, order.limit, order.cancelled
        self._sending = LimitedStorage(storage, limit, cancelled)
        # Bytes that are read again to prove packs count against the same limit as uploaded ones.
        self._limited = DeviceDirectory(LimitedStorage(storage, limit, cancelled, fetches=True), order.device)
        self._order = order
        self._history = History(directory, order)
        self._key = self._history.key
        self._warnings = [*order.warnings, *self._history.warnings]
        self._folder = ImageFolder(
            directory,
            order.timestamp,
            order.sleep,
            self._history.newest_name,
            self._history.last,
            proves=self._key is not None,
        )
        self._commit = Commit(self._limited, directory, order, lease, self._folder, self._history, self._warnings)
        self._stream: Optional[PackStream] = None
        self._interrupted: List[Interrupted] = []
        self._kept: Optional[KeptImages] = None
        self._budgets: List[LookBudget] = []

    def tell_saved(self, error: EngineError) -> None:
        """Add to the error of a failed run what it leaves."""
        if self._commit.state is CommitState.COMMITTED:
            saved.tell_committed(error, self._folder.name)
        elif self._commit.state is CommitState.IN_DOUBT and isinstance(error, StorageUnreachable):
            saved.tell_doubt(error, self._folder.name)
        else:
            saved.tell_saved(error, self._stream.sent_bytes if self._stream else 0, bool(self._history.images))

    def run(self) -> ImageResult:
        order, history = self._order, self._history
        self._folder.claim()
        present = self._directory.packs()
        damaged = scrub(self._limited, present, history.sequence, order.scrub_bytes)
        self._warnings += few([_DAMAGED_PACK % pack for pack in damaged])
        stream = PackStream(self._sending, order.device, self._key, self._pack_target(), order.sleep)
        self._stream = stream
        writers: List[DiskWriter] = []
        try:
            self._look_back(stream, present)
            for number in range(len(order.disks)):
                writers.append(self._disk_writer(stream, number))
                try:
                    writers[-1].run()
                except PreviousFalse:
                    self._warnings.append(
                        "The index of an earlier image contradicts itself; disk%d is not compared with an earlier image."
                        % number
                    )
                    writers.pop().close()
                    writers.append(self._disk_writer(stream, number, compares=False))
                    writers[-1].run()
            stream.drain()
            self._warnings += order.late_warnings()
            self._commit.notes += [note for budget in self._budgets for note in budget.notes()]
            result = self._commit.run(stream, writers)
            return result._replace(healed_packs=self._heal(stream), seen=self._commit.seen)
        finally:
            for writer in writers:
                writer.close()
            stream.close()

    def _pack_target(self) -> int:
        return fmt.pack_target_bytes(sum(disk.used.total_bytes for disk in self._order.disks))

    def _disk_writer(self, stream: PackStream, number: int, *, compares: bool = True) -> DiskWriter:
        order, disk = self._order, self._order.disks[number]
        total = sum(other.used.total_bytes for other in order.disks)
        before = sum(other.used.total_bytes for other in order.disks[:number])

        def progress(done_bytes: int) -> None:
            order.progress("reading", before + done_bytes, total, stream.sent_bytes)

        return DiskWriter(
            stream,
            PackReader(self._directory.storage, order.device, self._key),
            disk.source,
            disk.used,
            lambda reader, counts: self._lookup(number, reader, counts) if compares else Lookup(reader, counts, []),
            level=order.compression_level,
            workers=order.workers,
            progress=progress,
            checkpoint=lambda root: self._checkpoint(number, root),
        )

    # -- already stored -----------------------------------------------------------------------------------------------

    def _look_back(self, stream: PackStream, present: MutableMapping[str, int]) -> None:
        """Find what interrupted runs and kept images hold of the disks, and tell ``stream`` what is in packs of no image."""
        history, order = self._history, self._order
        disks = [(disk.stable_id, disk.source.size_bytes) for disk in order.disks]
        names = {one.image for one in history.images} | {self._folder.name}
        left = interrupted_runs(self._directory, self._key, names, [size_bytes for dummy, size_bytes in disks])
        self._interrupted = fitting_runs(left, disks, history.of_this_key)
        restore_packs_from_trash(self._directory, self._interrupted, present)
        damaged: List[ImageDamaged] = []
        needed = needed_packs(self._directory, [*history.others, *history.believed], damaged)
        self._warnings += few([str(error) for error in damaged])
        history.packs_of_newest = needed.by_newest
        known = needed.by_any | proved_packs(self._interrupted, self._key)
        self._warnings += learn_orphan_packs(self._limited, self._key, stream, present, known)
        self._kept = KeptImages(self._directory, self._key, history.of_this_key, present, self._warnings)

    def _lookup(self, number: int, reader: PackReader, counts: PackCounts) -> Lookup:
        """The parts of this disk that interrupted runs have stored, and that the kept images of its key hold."""
        if self._kept is None:
            return Lookup(reader, counts, [])
        left = [
            Previous(run.image, run.roots[number], usable_packs(run.roots[number], self._kept.present), complete=False)
            for run in self._interrupted
            if number in run.roots
        ]
        others = {disk.stable_id for other, disk in enumerate(self._order.disks) if other != number}
        candidates = Candidates(self._kept, self._order.disks[number].coming, others)
        budget = LookBudget(self._order.disks[number].source.path)
        self._budgets.append(budget)
        return Lookup(reader, counts, left, candidates, places_of(self._order.device_information, number), budget)

    def _checkpoint(self, number: int, root: Root) -> None:
        name = fmt.checkpoint_name(number)
        self._folder.store_checkpoint(name, lambda image: seal_file(self._key, image, name, root.encode()))

    # -- after the commit ---------------------------------------------------------------------------------------------

    def _heal(self, stream: PackStream) -> List[str]:
        """Rule 9: after the commit, make whole what was damaged and has a second source, and say which images gained.

        A pack: what was sent again.
        """
        directory, images = self._directory, self._history.believed
        if self._order.takes_lease:  # an account that may only create replaces nothing
            self._warnings += heal_documents(directory, suspects(directory, images), self._key)
            examined = {self._folder.name, *(one.image for one in images)}
            self._commit.seen = self._commit.seen._replace(examined=examined)
        healed = Healer(directory, self._key, stream.find, self._order.compression_level, self._order.sleep).heal()
        present = directory.packs() if healed else {}
        for manifest in images:
            needed = listed_packs(directory, manifest.image) if healed else frozenset()
            if not needed.isdisjoint(healed) and needed <= present.keys():
                # This account may not read the operator's records; another rollover may have deleted the image.
                with contextlib.suppress(StoragePermissionDenied, StorageNotFound):
                    facts = {"packs": healed[:512], "by": self._folder.name}
                    directory.add_record(manifest.image, "healed", facts, self._key)
                self._warnings.append("The image %s was damaged and has been repaired." % manifest.image)
        return healed


def process_threads() -> int:
    """How many worker threads a device may spare: never more than two."""
    return max(1, min(2, os.cpu_count() or 1))
