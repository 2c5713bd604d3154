# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks an image in: copies what the archive lacks, then makes the image the next version.

Each step is durable before the next, and the image is a version as soon as its record is stored. So a check-in that was
killed at any moment is completed by the next one of the same image, which becomes no second version. An account that may
only create and read in the archive is enough.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import AbstractSet, Callable, List, Mapping, NamedTuple, Optional, Tuple

from ...errors import ArchiveNumbersSpent, StorageFailed, StoragePermissionDenied
from ...moments import moment
from ...storage.contract import Storage
from ...storage.lease import Lease
from ...storage.limit import Limit, no_limit
from ...storage.notices import NO_NOTICES, Notices
from ..copying.copy import Copied, Foreseen, ImageCopy
from ..copying.packs import store_file
from ..copying.source import CopySource
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..newest import few
from ..records import ARCHIVED
from .account import may_give_back
from .chain import Chain, Link, Problem, chain_of
from .held import read_versions
from .numbers import take_image, take_number
from .proved_packs import proved_packs
from .version_record import MAX_VERSION, NOTED, StoredRecord, Version, encode, file_names
from .witness import contradictions, next_after, notes_about, notes_in

_LEASE_WAIT_SECONDS = 600.0
_NOTHING_COPIED = Copied(False, 0, 0, 0, 0)
Progress = Callable[..., None]


class Order(NamedTuple):
    """Comment and author of a version, and whether the rollover of the storage spares its image."""

    comment: str = ""
    author: str = ""
    keeps_source: bool = True


class State(NamedTuple):
    """The versions: the archive's chain, what contradicts it, the record that the next version follows, and its number."""

    chain: Chain
    problems: List[Problem]
    last: Optional[StoredRecord]
    next_number: int


class CheckedIn(NamedTuple):
    """The result of a check-in. ``is_new``: the image became a version now."""

    record: StoredRecord
    is_new: bool
    changed: bool
    copied: Copied


class CheckIn:
    """The check-in of one image to one archive."""

    def __init__(
        self,
        source: CopySource,
        archive: Storage,
        order: Order,
        *,
        limit: Limit = no_limit,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress = lambda phase, done, total: None,
        notices: Notices = NO_NOTICES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.warnings: List[str] = []
        self.source = source
        self._order = order
        self._notices = notices
        self._now = now
        self._chain = Chain([], [], [])
        self._directory = DeviceDirectory(archive, source.directory.device)
        self._manifest = hashlib.sha256(source.manifest_bytes).hexdigest()
        self._copying = ImageCopy(
            source,
            archive,
            limit=limit,
            cancelled=cancelled,
            progress=progress,
            notices=notices,
            proved=self._proved_packs,
            but_records=(ARCHIVED, NOTED),
        )

    def look(self) -> State:
        """Read the chain and its witness. It changes no file."""
        return state_of(self._directory, self.source.directory, self.source.key)

    def present(self, state: State) -> Optional[Link]:
        """The version that the image is already."""
        return state.chain.of_image(self.source.image, self._manifest)

    def check(self) -> Foreseen:
        """Refuse what can't be done, and say what would be copied.

        :raises CopyError: see :meth:`ImageCopy.check`.
        """
        return self._copying.check()

    def run(self) -> CheckedIn:
        """Check the image in; one that is a version already stays that version.

        :raises EngineError: what was done before is completed by the next try.
        """
        self.check()
        self._directory.create()
        lease = Lease(self._directory.storage, self._directory.device, notices=self._notices)
        if may_give_back(self._directory, self.source.directory, self.source.image):
            lease.acquire(_LEASE_WAIT_SECONDS)
        else:
            lease.forgo()
        try:
            return self._run(lease)
        finally:
            lease.release()

    def _run(self, lease: Lease) -> CheckedIn:
        self._directory.storage.make_directory(self._directory.path(fmt.VERSIONS))
        state = self.look()
        self._chain = state.chain
        there = self.present(state)
        is_complete = there is not None and self.check().is_complete
        copied = _NOTHING_COPIED if is_complete else self._copying.run(lease)
        lease.check()
        if there is None:
            record, is_new = self._make_version(lease, state)
        else:
            record, is_new = there.record, False
        changed = self._store(record) or is_new
        changed = self._note(record) or changed
        self.warnings += few(self._copying.warnings)
        return CheckedIn(record, is_new, changed or copied.changed, copied)

    def _make_version(self, lease: Lease, state: State) -> Tuple[StoredRecord, bool]:
        """Give the image the next number; or return the version that another check-in has made of it in the meantime."""
        holds = lease.is_permitted
        if not take_image(
            self._directory, self.source.image, lambda: self.present(self.look()) is not None, holds_lease=holds
        ):
            there = self.present(self.look())
            if there is not None:
                return there.record, False
        first = state.next_number
        self._refuse_spent(state)
        number = take_number(self._directory, first, holds_lease=holds)
        before = state.last if number == first else self.look().last
        return encode(self._version(number, before), self.source.key), True

    def _proved_packs(self, sizes: Mapping[str, int]) -> AbstractSet[str]:
        return proved_packs(self._directory, self._chain, sizes, has_key=self.source.key is not None)

    def _refuse_spent(self, state: State) -> None:
        """:raises ArchiveNumbersSpent: when a record has the highest number: it may be false, and is named."""
        if state.next_number <= MAX_VERSION or state.last is None:
            return
        directory, version = self._directory, state.last.version
        of_number, of_image = file_names(state.last)
        raise ArchiveNumbersSpent(
            archive=directory.storage.description,
            device=directory.device,
            path=directory.path(fmt.VERSIONS, str(version.number), of_number),
            copy=directory.path(fmt.RECORDS, version.image, of_image),
            number=version.number,
        )

    def _version(self, number: int, before: Optional[StoredRecord]) -> Version:
        manifest = self.source.manifest
        return Version(
            image=manifest.image,
            device=self._directory.device,
            chain=before.version.chain if before is not None else secrets.token_hex(16),
            number=number,
            previous_number=before.version.number if before is not None else 0,
            previous=before.sha256 if before is not None else "",
            manifest=self._manifest,
            key_id=manifest.key_id,
            job=manifest.job,
            comment=self._order.comment,
            author=self._order.author,
            checked_in=moment(self._now()),
            place=self._directory.storage.description,
        )

    def _store(self, record: StoredRecord) -> bool:
        """Store the record among those of the image, which spares it in rollovers, then under its number."""
        directory, version = self._directory, record.version
        of_number, of_image = file_names(record)
        directory.storage.make_directory(directory.path(fmt.RECORDS, version.image))
        place = directory.path(fmt.RECORDS, version.image, of_image)
        changed = store_file(directory.storage, place, record.data, replace=False)
        folder = directory.path(fmt.VERSIONS, str(version.number))
        directory.storage.make_directory(folder)
        return store_file(directory.storage, "%s/%s" % (folder, of_number), record.data, replace=False) or changed

    def _note(self, record: StoredRecord) -> bool:
        """Leave the record in the storage as well. An account that may not write there makes a warning of it."""
        directory = self.source.directory
        note = record if self._order.keeps_source else encode(record.version, self.source.key, NOTED)
        try:
            directory.storage.make_directory(directory.path(fmt.RECORDS, note.version.image))
            place = directory.path(fmt.RECORDS, note.version.image, file_names(note)[1])
            return store_file(directory.storage, place, note.data, replace=False)
        except (StoragePermissionDenied, StorageFailed) as error:
            self.warnings.append(
                "The storage has no record of version %d, so that its rollover does not spare the image: %s"
                % (note.version.number, error)
            )
            return False


def state_of(archive: DeviceDirectory, storage: DeviceDirectory, key: Optional[MasterKey]) -> State:
    """The versions in an archive, and the storage's records of them."""
    chain = chain_of(read_versions(archive, key), key is not None)
    notes = notes_about(notes_in(storage, key), chain, archive.storage.description)
    last, number = next_after(chain, notes, key is not None)
    return State(chain, sorted(set(chain.problems + contradictions(notes, chain))), last, number)
