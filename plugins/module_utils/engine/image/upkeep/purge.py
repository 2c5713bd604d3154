# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes packs for good: those that a rollover finds old enough in the trash, or by an explicit yes all that no image needs.

A retired device makes no image any more, so there the lease and a day in the trash are enough (``ages``).

The explicit yes (``imaging_purge_trash``) shortens the second step of rule 4, so it takes over what the day was for.
The lease keeps runs from committing. The images are listed again after the sweep has put aside every
directory without a manifest, and each pack that one of them needs stays; where anything about that is unknown,
everything stays. A writer without a lease that was put aside claims another directory, after which it looks for its
packs again. A reader of an image that was deleted within the last day loses its packs.
"""

from __future__ import annotations

import contextlib
import time
from typing import AbstractSet, Callable, Dict, List, MutableMapping, NamedTuple, Optional

from ...errors import EngineError, ImageDamaged, LeaseHeld, StorageExists, StorageFull, StorageNotFound, TrashInUse
from ...storage.contract import Storage
from ...storage.lease import Lease
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..newest import enumerated, horizon, next_sequence
from ..pack_listing import TrashEntry
from ..pack_references import needed_packs
from .alone import alone
from .rollover_report import RolloverReport
from .sweep_time import SweepTime
from .trash_age import TrashAges
from .trash_state import trash_state

_PACKS_A_LOOK = 64  # deletions between two looks at the lease


class Purged(NamedTuple):
    """The bytes that were freed, and the packs that stay in the trash."""

    freed_bytes: int
    left: List[TrashEntry]


def purge_old(
    directory: DeviceDirectory,
    needed: AbstractSet[str],
    present: MutableMapping[str, int],
    newest: int,
    report: RolloverReport,
    now_seconds: int,
) -> Purged:
    """Delete the packs that have been in the trash for a day and that no image needs."""
    ages = TrashAges(directory, newest, now_seconds, dry_run=report.dry_run)
    freed, left, time_left = 0, [], SweepTime()
    entries = directory.trash()
    for position, entry in enumerate(entries):
        if ages.is_from_ahead(entry.since_seconds) and not report.dry_run:
            stamp_anew(directory, entry.file_name, now_seconds)
            left.append(entry._replace(since_seconds=now_seconds))
            continue
        finished = _is_finished(entry, needed, present)
        if entry.sequence is not None:
            finished = finished and entry.sequence < newest
        if not (finished and ages.is_old(entry.since_seconds)):
            left.append(entry)
            continue
        if not time_left.allows_next():
            report.warnings.append("More packs in the trash can be deleted; the next rollover continues.")
            left += entries[position:]
            break
        report.purged_packs.append(entry.pack)
        freed += entry.size_bytes
        if not report.dry_run:
            delete_if_there(directory.storage, directory.path(fmt.TRASH, entry.file_name))
    return Purged(freed, left)


def roll_over_and_purge(
    directory: DeviceDirectory, key: Optional[MasterKey], rolled: Callable[[], RolloverReport]
) -> RolloverReport:
    """Roll over, then purge the trash, both while this host holds the device's lease.

    A storage that is full to the last byte has no room for the lease. There the rollover comes first, as it does without a
    purge, and the room of what it deletes is for the lease.

    :param rolled: does the rollover.
    :raises TrashInUse: when a run lives, or when this account can't hold a lease; then nothing was deleted.
    """
    with contextlib.ExitStack() as held:
        try:
            lease: Optional[Lease] = _enter(held, directory)
        except StorageFull:
            lease = None
        report = rolled()
        if lease is None:
            try:
                lease = _enter(held, directory)
            except TrashInUse as error:
                return _refused(report, str(error.fields["reason"]))
            except StorageFull as error:
                return _without_room(report, str(error.fields["path"]))
        return purge_now(directory, lease, key, report)


def _enter(held: contextlib.ExitStack, directory: DeviceDirectory) -> Lease:
    """:raises TrashInUse: when a run lives, or when this account can't hold a lease. :raises StorageFull:"""
    try:
        lease = held.enter_context(alone(directory))
    except LeaseHeld as error:
        reason = "another run (%s) is writing to it" % error.fields["holder"]
        raise TrashInUse(device=directory.device, reason=reason) from None
    if not lease.is_permitted:
        raise TrashInUse(device=directory.device, reason="this account can't hold the lease that keeps runs away")
    return lease


def purge_now(
    directory: DeviceDirectory,
    lease: Optional[Lease],
    key: Optional[MasterKey],
    report: RolloverReport,
    ages: Optional[TrashAges] = None,
) -> RolloverReport:
    """Delete every pack in the trash that no image needs; return ``report`` with what that freed.

    :param lease: the device's, held; ``None`` in a dry run.
    :param report: of the rollover right before it.
    :param ages: only packs that have been there for a day go, whether or not an image was made since; ``None``: of any age.
    """
    if report.trash is None:
        return _refused(report, "the sweep was skipped")
    unreadable: Dict[str, EngineError] = {}
    gone = report.deleted if report.dry_run else []
    images = [one for one in directory.images(unreadable, key) if one.image not in gone]
    listed = {one.image for one in images}
    unknown = (set(report.before) - set(report.deleted) - listed) | (set(unreadable) - set(gone))
    if not report.dry_run:  # a directory without a manifest is that of a run
        unknown |= set(directory.image_names()) - listed
    damaged: List[ImageDamaged] = []
    needed = needed_packs(directory, images, damaged).by_any
    unknown |= {str(error.fields["image"]) for error in damaged}
    if unknown:
        return _refused(report, "the packs that %s needs are unknown" % enumerated(sorted(unknown)))
    now_seconds = int(time.time()) if ages is None else ages.now_seconds
    newest = next_sequence(images, key, horizon()) - 1
    present = directory.packs()
    waiting = directory.trash()
    if report.dry_run:
        waiting = [one for one in waiting if one.pack not in report.purged_packs]
        waiting += [TrashEntry("", pack, newest, now_seconds, present.pop(pack, 0)) for pack in report.trashed_packs]
    finished, left = [], []
    for entry in waiting:
        is_finished = _is_finished(entry, needed, present)
        if is_finished and (ages is None or ages.is_old(entry.since_seconds)):
            finished.append(entry)
        elif is_finished and ages is not None:
            left.append(entry._replace(sequence=0))  # a damaged one, too, waits for the day only
        else:
            left.append(entry)
    if not report.dry_run:
        _delete(directory, lease, finished)
    report.purged_packs.extend(entry.pack for entry in finished)
    freed = report.freed_bytes + sum(entry.size_bytes for entry in finished)
    awaited = newest if ages is None else fmt.MAX_SEQUENCE
    return report._replace(freed_bytes=freed, trash=trash_state(left, awaited, now_seconds))


def _delete(directory: DeviceDirectory, lease: Optional[Lease], entries: List[TrashEntry]) -> None:
    """:raises LeaseLost: when a run took over."""
    for number, entry in enumerate(entries):
        if lease is not None and number % _PACKS_A_LOOK == 0:
            lease.check()
        delete_if_there(directory.storage, directory.path(fmt.TRASH, entry.file_name))


def _refused(report: RolloverReport, reason: str) -> RolloverReport:
    report.warnings.append("The trash was not purged: %s. Repeat this when that has changed." % reason)
    return report


def _without_room(report: RolloverReport, path: str) -> RolloverReport:
    report.warnings.append(
        "The trash was not purged: the storage is full, and what the rollover deleted left no room for %s, the lease that "
        "keeps runs away. Free a few kB in the storage by hand, outside of the directories of devices, then run "
        "the rollover again." % path
    )
    return report


def _is_finished(entry: TrashEntry, needed: AbstractSet[str], present: MutableMapping[str, int]) -> bool:
    """Whether no image needs this copy. Needed and in use as well: it was sent again while this one was on its way out."""
    return entry.pack not in needed or present.get(entry.pack) == entry.size_bytes


def stamp_anew(directory: DeviceDirectory, file_name: str, now_seconds: int) -> None:
    """A clock that was years ahead put it into the trash: else it would stay until that year."""
    name = "%s.%d" % (file_name.rpartition(".")[0], now_seconds)
    with contextlib.suppress(StorageExists, StorageNotFound):  # another sweep was quicker
        directory.storage.rename(directory.path(fmt.TRASH, file_name), directory.path(fmt.TRASH, name))


def delete_if_there(storage: Storage, path: str) -> None:
    """Delete a file; its writer may have finished, or another sweep was quicker."""
    with contextlib.suppress(StorageNotFound):
        storage.delete(path)
