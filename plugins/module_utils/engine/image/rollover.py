# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollover: the oldest images go, so that the configured number remains; their packs leave in two steps.

Rules 3 and 4: what stays is decided in ``keeping``. A pack goes to the trash when no complete image needs it, and for
good by a later rollover, a day and one successful run after.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Union

from ..errors import (
    EngineError,
    ImageDamaged,
    StorageExists,
    StorageFailed,
    StorageNotFound,
    StoragePermissionDenied,
)
from ..storage.contract import Entry, EntryKind, Storage, is_valid_name
from . import format as fmt
from . import job_name
from .directory import IMAGE_NAME, DeviceDirectory
from .keeping import Policy, Verdict, judge, orphan_sentences, to_be_named
from .keys import MasterKey
from .manifest import Manifest
from .missing import Missing, find_missing, sentences
from .needs import needed_packs

TRASH_SECONDS = 24 * 3600


class RolloverReport(NamedTuple):
    """What was done, or with ``dry_run`` what would be; ``spared`` says why an old image stays."""

    dry_run: bool
    deleted: List[str]
    spared: Dict[str, str]
    trashed_packs: List[str]
    purged_packs: List[str]
    freed_bytes: int
    warnings: List[str]
    before: List[str]  # the complete images that were there, in order
    missing: List[Missing] = []  # what only older images of a job hold
    named: List[str] = []  # sentences about that, and about images of jobs that are not defined

    def as_dict(self) -> Dict[str, Any]:
        """What an image run says of it."""
        said = ("dry_run", "deleted", "spared", "trashed_packs", "purged_packs", "freed_bytes", "warnings")
        return {name: value for name, value in self._asdict().items() if name in said}


def roll_over(
    storage: Storage,
    device: str,
    wanted: Union[int, Policy],
    *,
    openable_key: Optional[str],
    key: Optional[MasterKey] = None,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> RolloverReport:
    """Delete what ``imaging_keep`` does not want any more. Called after a successful run, or by the operator.

    An image is deleted manifest first: from that moment it does not exist, and what is left of it is swept later.
    A run that is at work meanwhile brings back what it needs.

    :param wanted: the policy; a number is how many images of the default job remain.
    :param openable_key: the id of the key that the password opens.
    :param key: that key itself, where it is at hand: then an image that says it is of this key is believed when it is.
    """
    directory = DeviceDirectory(storage, device)
    unreadable: Dict[str, EngineError] = {}
    images = directory.images(unreadable, key)
    warnings = ["The image %s can't be read and is left alone: %s" % item for item in unreadable.items()]
    policy = wanted if isinstance(wanted, Policy) else Policy({job_name.DEFAULT: wanted})
    verdicts = judge(images, policy, _protected(directory, images), openable_key, is_proved=key is not None)
    missing = [one for job in policy.keep for one in _missing_of(job, images, policy, key)]
    named = [*sentences(missing), *orphan_sentences(images, policy)]
    report = _report(dry_run, verdicts, warnings)._replace(missing=missing, named=named)
    if not dry_run:
        for image in list(report.deleted):
            reason = _why_protected(directory.records(image))  # it may have been pinned since the look at all of them
            if reason:
                report.spared[image] = reason
                report.deleted.remove(image)
            else:
                _delete_image(directory, image, warnings)
    if unreadable:
        return report  # what an unreadable image needs is not known: nothing is swept
    remaining = [manifest for manifest in images if manifest.image not in report.deleted]
    proved = [manifest for manifest in remaining if key is not None and manifest.key_id == key.key_id]
    newest = max((manifest.sequence for manifest in proved or remaining), default=0)
    return _sweep(directory, remaining, newest, report, int(now()))


def plan_after_next(
    directory: DeviceDirectory, images: List[Manifest], policy: Policy, key: Optional[MasterKey], coming: Manifest
) -> RolloverReport:
    """Say what the rollover after the next image would delete of ``images``, which were proved with ``key``, if there is one.

    What came free is not known before.

    :param coming: the next image, as far as it is known.
    """
    key_id = key.key_id if key else None
    coming = coming._replace(key_id=key_id or "")
    verdicts = judge([*images, coming], policy, _protected(directory, images), key_id, is_proved=key is not None)
    verdicts.pop(coming.image)
    missing, named = to_be_named(images, coming, policy)
    return _report(True, verdicts, [])._replace(missing=missing, named=named)


def _report(dry_run: bool, verdicts: Dict[str, Verdict], warnings: List[str]) -> RolloverReport:
    deleted = [image for image, verdict in verdicts.items() if verdict.goes]
    spared = {image: verdict.reason for image, verdict in verdicts.items() if verdict.is_told}
    return RolloverReport(dry_run, deleted[::-1], spared, [], [], 0, warnings, list(verdicts)[::-1])


def _missing_of(job: str, images: List[Manifest], policy: Policy, key: Optional[MasterKey]) -> List[Missing]:
    """What the newest image of a job misses; with a key the newest is one that was proved, where there is one."""
    made = [manifest for manifest in images if manifest.job == job]
    proved = [manifest for manifest in made if key is not None and manifest.key_id == key.key_id]
    newest = (proved or made)[-1:]
    return find_missing(made, newest[0], policy.forget_disks) if newest else []


def _protected(directory: DeviceDirectory, images: List[Manifest]) -> Dict[str, str]:
    protected = {}
    for manifest, records in zip(images, directory.records_of([manifest.image for manifest in images])):
        reason = _why_protected(records)
        if reason:
            protected[manifest.image] = reason
    return protected


def is_pinned(records: List[Dict[str, Any]]) -> bool:
    """Whether the last of an image's records about it says that it is pinned."""
    orders = {"pinned": 0, "unpinned": 0}
    for record in records:
        if record["kind"] in orders:
            orders[record["kind"]] = max(orders[record["kind"]], _order(record))
    return orders["pinned"] > orders["unpinned"]


def _why_protected(records: List[Dict[str, Any]]) -> str:
    if is_pinned(records):
        return "it is pinned"
    return "it is archived" if any(record["kind"] == "archived" for record in records) else ""


def _order(record: Dict[str, Any]) -> int:
    order = record.get("order")
    return order if isinstance(order, int) else 1


def _delete_image(directory: DeviceDirectory, image: str, warnings: List[str]) -> None:
    storage = directory.storage
    _delete_if_there(storage, directory.path(image, fmt.MANIFEST_NAME))
    _remove_or_warn(storage, directory.path(image), warnings)
    _remove_or_warn(storage, directory.path(fmt.RECORDS, image), warnings)


def _remove_or_warn(storage: Storage, path: str, warnings: List[str]) -> None:
    try:
        is_gone = remove_tree(storage, path)
    except StorageFailed as error:
        # On a share a file that somebody reads goes when it is closed, and its directory can't go before.
        warnings.append("%s was not removed yet: %s The next rollover tries again." % (path, error))
        return
    if not is_gone:
        warnings.append("%s holds a directory, a link or a name that is not ours, and was left there." % path)


def remove_tree(storage: Storage, path: str) -> bool:
    """Remove a directory of ours with the files in it; False when links or foreign directories in it hold it there."""
    rounds = 2
    while _remove_files(storage, path):
        rounds -= 1
        try:
            storage.remove_directory(path)
        except StorageNotFound:
            return True  # another sweep was quicker
        except StorageFailed:
            if not rounds or not _entries(storage, path):
                raise  # else a record was added meanwhile
        else:
            return True
    return False


def _remove_files(storage: Storage, path: str) -> bool:
    whole = True
    for entry in _entries(storage, path):
        inside = "%s/%s" % (path, entry.name)
        if not is_valid_name(entry.name):
            whole = False  # no storage of ours would have taken it
        elif entry.kind is EntryKind.FILE:
            _delete_if_there(storage, inside)
        elif entry.kind is EntryKind.DIRECTORY and entry.name == fmt.KEYS:
            whole = remove_tree(storage, inside) and whole
        else:
            whole = False
    return whole


def _entries(storage: Storage, path: str) -> List[Entry]:
    try:
        return storage.list(path)
    except StorageNotFound:
        return []


def _sweep(
    directory: DeviceDirectory, remaining: List[Manifest], newest: int, report: RolloverReport, now_seconds: int
) -> RolloverReport:
    """``newest`` is the number of the newest image: what left the packs before it was made has seen a successful run."""
    try:
        needed = needed_packs(directory, remaining).by_any
    except ImageDamaged as error:
        report.warnings.append("Nothing was swept: %s" % error)
        return report
    complete = {manifest.image for manifest in remaining}
    present, partial = directory.packs_and_partial_files()
    freed = 0
    for entry in directory.trash():
        if entry.since_seconds > now_seconds + TRASH_SECONDS and not report.dry_run:
            _stamp_anew(directory, entry.file_name, now_seconds)
            continue
        old = entry.since_seconds + TRASH_SECONDS <= now_seconds
        # Needed and in use as well: it was sent again while this copy was on its way out.
        finished = entry.pack not in needed or present.get(entry.pack) == entry.size_bytes
        if entry.sequence is not None:
            finished = finished and entry.sequence < newest
        if old and finished:
            report.purged_packs.append(entry.pack)
            freed += entry.size_bytes
            if not report.dry_run:
                _delete_if_there(directory.storage, directory.path(fmt.TRASH, entry.file_name))
    for pack in sorted(set(present) - needed):
        report.trashed_packs.append(pack)
        if not report.dry_run:
            _move_to_trash_if_there(directory, pack, newest, now_seconds)
    if not report.dry_run:
        _tidy(directory, complete, partial, now_seconds, report.warnings)
        _undo_if_needed(directory, complete, report)
    return report._replace(freed_bytes=freed)


def _stamp_anew(directory: DeviceDirectory, file_name: str, now_seconds: int) -> None:
    """A clock that was years ahead put it into the trash: else it would stay until that year."""
    name = "%s.%d" % (file_name.rpartition(".")[0], now_seconds)
    with contextlib.suppress(StorageExists, StorageNotFound):  # another sweep was quicker
        directory.storage.rename(directory.path(fmt.TRASH, file_name), directory.path(fmt.TRASH, name))


def _move_to_trash_if_there(directory: DeviceDirectory, pack: str, newest: int, now_seconds: int) -> None:
    try:
        directory.move_to_trash(pack, newest, now_seconds)
    except StorageNotFound:
        return  # another sweep was quicker


def _tidy(
    directory: DeviceDirectory, complete: Set[str], partial: List[str], now_seconds: int, warnings: List[str]
) -> None:
    """Remove what killed runs left: directories without a manifest, records of images that are gone, partial files."""
    storage = directory.storage
    _tidy_leftovers(directory, max(complete, default=""), now_seconds, warnings)
    for name in directory.image_names():
        if name not in complete and not storage.exists(directory.path(name, fmt.MANIFEST_NAME)):
            _put_aside(directory, name, now_seconds, warnings)
    for path in partial:
        _delete_if_there(storage, path)
    for entry in _entries(storage, directory.path(fmt.RECORDS)):
        if entry.kind is not EntryKind.DIRECTORY or not IMAGE_NAME.fullmatch(entry.name) or entry.name in complete:
            continue
        if not storage.exists(directory.path(entry.name, fmt.MANIFEST_NAME)):
            _remove_or_warn(storage, directory.path(fmt.RECORDS, entry.name), warnings)


def _put_aside(directory: DeviceDirectory, image: str, now_seconds: int, warnings: List[str]) -> None:
    """Move a directory without a manifest to the trash, as a whole: a run that works in it notices and starts anew."""
    aside = directory.path(fmt.TRASH, "%s.%d" % (image, max(0, now_seconds)))
    try:
        directory.storage.rename(directory.path(image), aside)
    except (StorageExists, StorageNotFound):
        return  # another sweep was quicker
    except (StorageFailed, StoragePermissionDenied) as error:
        # Windows moves no directory in which a run has a file open.
        warnings.append("%s has no image and was not put aside yet: %s" % (directory.path(image), error))
        return
    _restore_if_complete(directory, aside, image)


def _restore_if_complete(directory: DeviceDirectory, aside: str, image: str) -> bool:
    """An image that was committed in the very moment when it was put aside comes back."""
    if not directory.storage.exists("%s/%s" % (aside, fmt.MANIFEST_NAME)):
        return False
    try:
        directory.storage.rename(aside, directory.path(image))
    except StorageNotFound:
        return True  # another sweep was quicker
    return True


def _tidy_leftovers(directory: DeviceDirectory, newest: str, now_seconds: int, warnings: List[str]) -> None:
    """What an interrupted run left goes like packs: a day after, and when a run has succeeded since."""
    for leftover in directory.leftovers():
        aside = directory.path(fmt.TRASH, leftover.file_name)
        if _restore_if_complete(directory, aside, leftover.image):
            continue
        if leftover.since_seconds > now_seconds + TRASH_SECONDS:
            _stamp_anew(directory, leftover.file_name, now_seconds)
        elif leftover.since_seconds + TRASH_SECONDS <= now_seconds and leftover.image < newest:
            _remove_or_warn(directory.storage, aside, warnings)


def _delete_if_there(storage: Storage, path: str) -> None:
    try:
        storage.delete(path)
    except StorageNotFound:
        return  # its writer has finished, or another sweep was quicker


def _undo_if_needed(directory: DeviceDirectory, known: Set[str], report: RolloverReport) -> None:
    """An image that was committed while we swept brings its packs back."""
    if not report.trashed_packs:
        return
    for manifest in directory.images({}, but=known):
        for pack in directory.bring_back_all(set(directory.sums(manifest.image).packs) & set(report.trashed_packs)):
            report.trashed_packs.remove(pack)


def pin(storage: Storage, device: str, image: str, pinned: bool) -> None:
    """Pin or unpin an image: a pinned one is never rolled over.

    :raises ImageNotFound: when there is none, also when a rollover deletes it in this moment.
    """
    directory = DeviceDirectory(storage, device)
    directory.manifest(image)
    before = [_order(record) for record in directory.records(image) if record["kind"] in ("pinned", "unpinned")]
    # A damaged record is none: its number may have been any up to that of the other kind, which a tie would not beat.
    directory.add_record(image, "pinned" if pinned else "unpinned", {"order": max([len(before), *before]) + 1})
    directory.manifest(image)
