# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retires a device: by an explicit yes all of its images are deleted, or one of them, the newest included.

A rollover must not delete the newest images, those of any job, the last one of a disk, or damaged ones; this may.
Pinned and archived images stay, and those of each key that the password does not open: which of them is the last one only
that key can prove, and an account that may only create files can store one that looks newer.

The rest is as in a rollover. An image is deleted manifest first, the oldest first; packs leave in two steps, through the
trash; nothing is swept while the packs of an image that stays are unknown. A retired device makes no image any more, so
the second step waits for the day only, and this host holds the device's lease instead of waiting for a successful run.
When nothing is left, the rest of the directory is removed, the document of its owner last: until then another
call finds the directory and continues.
"""

from __future__ import annotations

import contextlib
import time
from typing import Callable, Dict, List, NamedTuple, Optional

from ...errors import EngineError, ImageDamaged, ImageKept, ImageNotFound, StorageFull, StoragePermissionDenied
from ...storage.contract import Storage
from ...storage.lease import Lease
from .. import records
from ..device_directory import DeviceDirectory
from ..format.keys import MasterKey
from ..format.manifest import Manifest
from ..impostors import Impostors
from ..newest import horizon, next_sequence
from .alone import alone, prove_permitted
from .purge import purge_now
from .remains import remove_directory, remove_put_aside, remove_remains
from .rollover_report import RolloverReport
from .sweep import delete_images, sweep
from .trash_age import TrashAges

_OF_CLOSED_KEY = (
    "imaging_password does not open its key, so nothing proves which image of this key is the last; set the password of that "
    "key, or imaging_retire_image to this image"
)


class Retired(NamedTuple):
    """The report; ``is_gone``: the directory is removed, or in a dry run would be."""

    report: RolloverReport
    is_gone: bool


class _Found(NamedTuple):
    """The images that are there: those that can be read, in order, and why the others can't be."""

    images: List[Manifest]
    unreadable: Dict[str, EngineError]

    @property
    def names(self) -> List[str]:
        return sorted([*(one.image for one in self.images), *self.unreadable])


def retire(
    storage: Storage,
    device: str,
    image: Optional[str],
    *,
    key: Optional[MasterKey] = None,
    dry_run: bool = False,
    purge: bool = False,
    now: Callable[[], float] = time.time,
) -> Retired:
    """Delete all images of a device, or one. The caller has proved that the directory is a device's, and the yes.

    :param image: the name of the image that goes; ``None`` for all.
    :param key: the one that the password opens.
    :param purge: the trash is freed now.
    :raises ImageNotFound, ImageKept: for one image. :raises LeaseHeld: when a run lives; nothing was deleted.
    :raises StoragePermissionDenied: when this account may not delete; nothing was deleted.
    """
    directory = DeviceDirectory(storage, device)
    with contextlib.ExitStack() as held:
        lease = None if dry_run else _enter(held, directory)
        found = _find(directory, key)
        report = _choose(directory, found, image, key, dry_run)
        if not dry_run:
            delete_images(directory, report)
        report = _sweep(directory, found, report, key, int(now()))
        if not dry_run and lease is None:
            lease = _enter(held, directory, is_second=True)
        if not dry_run and lease is None:
            report.warnings.append(
                "The trash of %s was not looked at: the storage has no room for the lease. Repeat this after some space is "
                "free." % device
            )
            return Retired(report, False)
        if image is None or purge:
            report = _purge(directory, lease, key, report, None if purge else int(now()), image is None)
        is_gone = image is None and _is_empty(directory, found, report)
        if is_gone and lease is not None:
            is_gone = remove_remains(directory, lease, report.warnings)
    if is_gone and not dry_run:
        is_gone = remove_directory(directory, report.warnings)
    return Retired(report, is_gone)


def _enter(held: contextlib.ExitStack, directory: DeviceDirectory, is_second: bool = False) -> Optional[Lease]:
    """Hold the lease, which keeps runs away; ``None`` where a full storage has no room for it."""
    storage, device = directory.storage, directory.device
    if not is_second:
        with contextlib.suppress(StorageFull):  # the lease of a run that lives is looked at anyway
            prove_permitted(directory)
    try:
        lease = held.enter_context(alone(directory))
    except StorageFull:
        return None
    if not lease.is_permitted:
        raise StoragePermissionDenied(storage=storage.description, operation="replacing", path=device)
    return lease


def _find(directory: DeviceDirectory, key: Optional[MasterKey]) -> _Found:
    unreadable: Dict[str, EngineError] = {}
    return _Found(directory.images(unreadable, key), unreadable)


def _choose(
    directory: DeviceDirectory, found: _Found, image: Optional[str], key: Optional[MasterKey], dry_run: bool
) -> RolloverReport:
    kept = dict(zip(found.names, records.kept_of(directory, found.names)))
    spared = {name: one.reason for name, one in kept.items() if one.reason}
    if image is not None:
        if image not in kept:
            raise ImageNotFound(device=directory.device, image=image, storage=directory.storage.description)
        if image in spared:
            raise ImageKept(device=directory.device, image=image, reason=spared[image])
        if image in found.unreadable and not isinstance(found.unreadable[image], ImageDamaged):
            raise found.unreadable[image]
        return RolloverReport(dry_run, [image], {}, [], [], 0, [], found.names)
    openable = key.key_id if key is not None else ""
    for one in found.images:
        if one.key_id not in ("", openable):
            spared.setdefault(one.image, _OF_CLOSED_KEY)
    for name, error in found.unreadable.items():
        if not isinstance(error, ImageDamaged):
            spared.setdefault(name, "it can't be read: %s" % str(error).rstrip("."))
    deleted = [name for name in found.names if name not in spared]
    return RolloverReport(dry_run, deleted, spared, [], [], 0, [], found.names)


def _sweep(
    directory: DeviceDirectory, found: _Found, report: RolloverReport, key: Optional[MasterKey], now_seconds: int
) -> RolloverReport:
    gone = set(report.deleted)
    remaining = [one for one in found.images if one.image not in gone]
    left = {image: error for image, error in found.unreadable.items() if image not in gone}
    last = horizon(now_seconds=max(now_seconds, time.time()))
    proved = [one for one in remaining if key is not None and one.key_id == key.key_id]
    impostors = Impostors(proved, None, max([last, *(one.image for one in remaining)]))
    newest = next_sequence(remaining, key, last) - 1
    return sweep(directory, remaining, left, newest, report, now_seconds, key, impostors)


def _purge(
    directory: DeviceDirectory,
    lease: Optional[Lease],
    key: Optional[MasterKey],
    report: RolloverReport,
    now_seconds: Optional[int],
    is_all: bool,
) -> RolloverReport:
    """:param now_seconds: only what has been in the trash for a day goes; ``None``: all of it."""
    if now_seconds is None:
        report = purge_now(directory, lease, key, report)
        if not report.dry_run and is_all:  # else the folder of a run that may come back keeps its day
            remove_put_aside(directory, lambda since_seconds: True, report.warnings)
        return report
    ages = TrashAges(directory, 0, now_seconds, dry_run=report.dry_run)
    report = purge_now(directory, lease, key, report, ages)
    if not report.dry_run:
        remove_put_aside(directory, ages.is_old, report.warnings)
        ages.forget()
    return report


def _is_empty(directory: DeviceDirectory, found: _Found, report: RolloverReport) -> bool:
    """Whether neither images nor packs are left, in a dry run whether none would be."""
    if report.trash is None or report.trash.packs:
        return False
    if report.dry_run:
        return not set(found.names) - set(report.deleted)
    return not (directory.image_names() or directory.put_aside() or directory.packs())
