# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes images, packs that no image needs, and debris of killed runs. Each in two steps, through the trash.

Each final deletion is checked twice: a listing that misses a name, or a call that is reported as done and was not, must
not cost an image.
"""

from __future__ import annotations

import contextlib
import time
from itertools import islice
from typing import AbstractSet, Callable, Container, Dict, List, MutableMapping, Optional, Set, Tuple

from ...entries import Entry, EntryKind
from ...errors import EngineError, ImageDamaged, StorageExists, StorageFailed, StorageNotFound, StoragePermissionDenied
from ...names import is_valid_name
from ...storage.contract import Storage
from .. import records
from ..device_directory import IMAGE_NAME, DeviceDirectory
from ..format import constants as fmt
from ..format.keys import MasterKey
from ..format.manifest import Manifest
from ..impostors import Impostors
from ..newest import enumerated, few, horizon
from ..pack_listing import InUse, TrashEntry, existing
from ..pack_references import needed_packs
from ..writing.pack_check import listed_packs
from .heal_documents import heal_documents
from .packs_of_others import packs_of_others
from .purge import delete_if_there, purge_old, stamp_anew
from .restore_from_trash import restore_from_trash
from .rollover_report import RolloverReport
from .strays import MAX_DEPTH, is_stray_folder
from .sweep_time import SweepTime
from .trash_age import TrashAges
from .trash_state import trash_state
from .unusable import packs_of_unusable, storage_grows

_MOST_TOLD = 5
_MOST_SWEPT = 1 << 14  # packs that one rollover puts aside
_MOST_AT_ONCE = 1 << 14  # names of a directory that are held while it is emptied


def delete_image(directory: DeviceDirectory, image: str, warnings: List[str]) -> bool:
    """Delete an image, its manifest first; False where the storage left that where it is."""
    storage = directory.storage
    delete_if_there(storage, directory.path(image, fmt.MANIFEST_NAME))
    if holds_manifest_at(storage, directory.path(image)):
        warnings.append("%s was not removed: the storage did not delete its manifest." % directory.path(image))
        return False
    _remove_or_warn(storage, directory.path(image), warnings)
    _remove_or_warn(storage, directory.path(fmt.RECORDS, image), warnings)
    return True


def delete_images(directory: DeviceDirectory, report: RolloverReport) -> None:
    """Delete the images of ``report.deleted``, in this order; those that stay after all leave it."""
    for image in list(report.deleted):
        reason = records.kept(directory, image).reason  # it may have been pinned since the look at all of them
        if reason:
            report.spared[image] = reason
            report.deleted.remove(image)
        elif not delete_image(directory, image, report.warnings):
            report.deleted.remove(image)


def _remove_or_warn(storage: Storage, path: str, warnings: List[str], aside: str = "") -> None:
    """:param aside: the place in the trash for a foreign entry after the warning, so that it is reported once."""
    try:
        is_gone = remove_tree(storage, path)
    except StorageFailed as error:
        # On a share an open file is deleted when it is closed, and its directory can't be deleted before.
        warnings.append("%s was not removed yet: %s The next rollover retries." % (path, error))
        return
    if is_gone:
        return
    warnings.append(
        "%s contains a directory, a link or a name that the engine did not create, and was not removed." % path
    )
    if aside:
        with contextlib.suppress(StorageExists, StorageNotFound, StorageFailed, StoragePermissionDenied):
            storage.rename(path, aside)


def remove_tree(storage: Storage, path: str, stray_levels: int = 0) -> bool:
    """Remove a directory of the engine with its files; return False when links or foreign directories in it prevent
    that.

    :param stray_levels: how deep this one is inside a directory of the storage's system; 0 for one of the engine.
    """
    rounds = 2
    while _remove_files(storage, path, stray_levels):
        rounds -= 1
        try:
            storage.remove_directory(path)
        except StorageNotFound:
            return True  # another sweep was quicker
        except StorageFailed:
            if not rounds or not _entries(storage, path, 1):
                raise  # else a record was added at the same time
        else:
            return True
    return False


def _remove_files(storage: Storage, path: str, stray_levels: int) -> bool:
    whole, found = True, _entries(storage, path, _MOST_AT_ONCE)
    while whole and len(found) == _MOST_AT_ONCE and all(one.kind is EntryKind.FILE for one in found):
        for entry in found:
            if is_valid_name(entry.name):
                delete_if_there(storage, "%s/%s" % (path, entry.name))
            whole = whole and is_valid_name(entry.name)
        found = _entries(storage, path, _MOST_AT_ONCE)
    for entry in found:
        inside = "%s/%s" % (path, entry.name)
        if not is_valid_name(entry.name):
            whole = False  # no storage client accepts such a name
        elif entry.kind is EntryKind.FILE:
            delete_if_there(storage, inside)
        elif entry.kind is EntryKind.DIRECTORY and (stray_levels or is_stray_folder(entry.name)):
            whole = stray_levels < MAX_DEPTH and remove_tree(storage, inside, stray_levels + 1) and whole
        elif entry.kind is EntryKind.DIRECTORY and entry.name == fmt.KEYS:
            whole = remove_tree(storage, inside) and whole
        else:
            whole = False
    return whole


def _entries(storage: Storage, path: str, most: int, wanted: Callable[[str], bool] = lambda name: True) -> List[Entry]:
    try:
        return storage.list_some(path, wanted, most)
    except StorageNotFound:
        return []


def sweep(
    directory: DeviceDirectory,
    remaining: List[Manifest],
    unreadable: Dict[str, EngineError],
    newest: int,
    report: RolloverReport,
    now_seconds: int,
    key: Optional[MasterKey],
    impostors: Impostors,
    listing: Optional[InUse] = None,
) -> RolloverReport:
    """``newest`` is the number of the newest image: what left the packs before it was made has seen a successful run.

    :param listing: one of a moment ago, where the run that calls this has just made it.
    """
    complete = {manifest.image for manifest in remaining}
    listing = directory.packs_and_partial_files() if listing is None else listing
    present, partial = listing.packs, listing.partial
    exist = existing(directory, present)
    kept = packs_of_unusable(directory, unreadable, exist)
    gone = [image for image in kept.unknown if not holds_manifest(directory, image)]
    unreadable = {image: error for image, error in unreadable.items() if image not in gone}
    try:
        if not report.dry_run:  # a listing may have missed an image; what is deleted for good is looked at twice
            late = [
                one for one in directory.images({}, but={*complete, *unreadable}) if one.image not in report.deleted
            ]
            remaining, complete = [*remaining, *late], {*complete, *(one.image for one in late)}
        needed, doubtful = _needed(directory, remaining, key, report, exist, impostors)
    except ImageDamaged as error:
        report.warnings.append("The sweep was skipped: %s" % error)
        return report
    for image, reason in sorted(unreadable.items())[:_MOST_TOLD]:
        held = packs_of_unusable(directory, [image], exist).packs - needed
        report.warnings.append(storage_grows(image, reason, sum(present.get(pack, 0) for pack in held)))
    false = [image for image in kept.unknown if image not in gone and _is_false(directory, impostors, image)]
    kept = kept._replace(unknown=[image for image in kept.unknown if image not in [*false, *gone]])
    _tell_false(false, report)
    if kept.unknown:
        report.warnings.append("The sweep was skipped: the packs that %s needs are unknown." % enumerated(kept.unknown))
        return report
    needed = needed | kept.packs
    if doubtful and key is not None:
        needed = needed | packs_of_others(directory, key, exist - needed, present)
    if not report.dry_run:
        for pack in restore_from_trash(directory, needed - present.keys()):
            present[pack] = 0
    purged = purge_old(directory, needed, present, newest, report, now_seconds)
    left = purged.left + _trash_idle(directory, needed, present, newest, report, now_seconds)
    if not report.dry_run:
        ages = TrashAges(directory, newest, now_seconds, dry_run=False)
        tidied: List[str] = []
        _tidy(directory, complete, partial, ages, now_seconds, tidied)
        report.warnings.extend(few(tidied))
        _undo_if_needed(directory, {*complete, *unreadable}, report)
        ages.forget()
    return report._replace(freed_bytes=purged.freed_bytes, trash=trash_state(left, newest, now_seconds))


def _needed(
    directory: DeviceDirectory,
    images: List[Manifest],
    key: Optional[MasterKey],
    report: RolloverReport,
    exist: Container[str],
    impostors: Impostors,
) -> Tuple[AbstractSet[str], List[str]]:
    """The packs that the images need, and those unproved images whose needs are unknown. A damaged list is rebuilt
    where possible.

    :raises ImageDamaged: where the needs of a proved image are unknown, or, without a key, of any image.
    """
    needed, damaged = _read_needed(directory, images, exist)
    if damaged and not report.dry_run:
        report.warnings.extend(heal_documents(directory, [one for one in images if one.image in damaged], key))
    if not damaged:
        return needed, []
    needed, still = _read_needed(directory, images, exist)
    proved = {one.image for one in images if key is not None and one.key_id == key.key_id}
    false, doubtful, told = [], [], []
    for image, error in still.items():
        if image not in proved and impostors.has(image):
            false.append(image)
        elif image in proved or key is None:
            raise error
        else:
            doubtful.append(image)
            told.append(
                "%s The sweep was limited to packs that the password authenticates. If the image can't be "
                "repaired, remove it with imaging_remove_damaged: [%s]." % (error, image)
            )
    report.warnings.extend(few(told))  # a crowd of false images does not flood the play
    _tell_false(false, report)
    return needed, doubtful


def _is_false(directory: DeviceDirectory, impostors: Impostors, image: str) -> bool:
    """Whether an unreadable directory can't be a real image; an old one that is pinned was kept, and may be healed."""
    return impostors.has(image) or (impostors.is_past(image) and not records.kept(directory, image).reason)


def _tell_false(false: List[str], report: RolloverReport) -> None:
    if false:
        report.warnings.append(
            "These directories do not contain an image of this device and need no packs: %s." % enumerated(false)
        )


def _read_needed(
    directory: DeviceDirectory, images: List[Manifest], exist: Container[str]
) -> Tuple[AbstractSet[str], Dict[str, ImageDamaged]]:
    """The packs that the images need, and the images whose list is unreadable; one that another rollover deleted needs
    no packs."""
    damaged: List[ImageDamaged] = []
    needed = needed_packs(directory, images, damaged, exist).by_any
    found = {str(error.fields["image"]): error for error in damaged}
    return needed, {image: found[image] for image in found if holds_manifest(directory, image)}


def _trash_idle(
    directory: DeviceDirectory,
    needed: AbstractSet[str],
    present: MutableMapping[str, int],
    newest: int,
    report: RolloverReport,
    now_seconds: int,
) -> List[TrashEntry]:
    """Move packs in use that no image needs to the trash, a bounded number of them; return them as they are there."""
    idle = sorted(islice((pack for pack in present if pack not in needed), _MOST_SWEPT))
    if len(idle) == _MOST_SWEPT:
        report.warnings.append("More than %d packs are unused; the next rollover continues." % _MOST_SWEPT)
    moved: List[TrashEntry] = []
    time_left = SweepTime()
    for position, pack in enumerate(idle):
        if not time_left.allows_next():
            report.warnings.append(
                "%d unused packs remain, since the storage is slow; the next rollover continues."
                % (len(idle) - position)
            )
            return moved
        report.trashed_packs.append(pack)
        moved.append(TrashEntry("", pack, newest, now_seconds, present[pack]))
        if not report.dry_run:
            _move_to_trash_if_there(directory, pack, newest, now_seconds)
    return moved


def _move_to_trash_if_there(directory: DeviceDirectory, pack: str, newest: int, now_seconds: int) -> None:
    try:
        directory.move_to_trash(pack, newest, now_seconds)
    except StorageNotFound:
        return  # another sweep was quicker


def _tidy(
    directory: DeviceDirectory,
    complete: Set[str],
    partial: List[str],
    ages: TrashAges,
    now_seconds: int,
    warnings: List[str],
) -> None:
    """Remove debris of killed runs: directories without a manifest, records of deleted images, partial files."""
    storage = directory.storage
    _tidy_put_aside(directory, max(complete, default=""), ages, now_seconds, warnings)
    names = directory.image_names()
    for name in names:
        if name not in complete and not storage.exists(directory.path(name, fmt.MANIFEST_NAME)):
            _put_aside(directory, name, now_seconds, warnings)
    for path in partial:
        delete_if_there(storage, path)
    for entry in _entries(storage, directory.path(fmt.RECORDS), _MOST_AT_ONCE, _is_record_folder):
        if records.ASIDE_NAME.fullmatch(entry.name):
            _remove_aside(directory, entry, warnings)
        if entry.kind is not EntryKind.DIRECTORY or not IMAGE_NAME.fullmatch(entry.name) or entry.name in complete:
            continue
        if entry.name not in names and not storage.exists(directory.path(entry.name, fmt.MANIFEST_NAME)):
            aside = directory.path(fmt.TRASH, "%s.records.%d" % (entry.name, now_seconds))
            _remove_or_warn(storage, directory.path(fmt.RECORDS, entry.name), warnings, aside)


def _is_record_folder(name: str) -> bool:
    return bool(records.ASIDE_NAME.fullmatch(name) or IMAGE_NAME.fullmatch(name))


def _remove_aside(directory: DeviceDirectory, entry: Entry, warnings: List[str]) -> None:
    """Remove foreign files from the place of an image's records that a pin moved aside."""
    path = directory.path(fmt.RECORDS, entry.name)
    try:
        if entry.kind is EntryKind.DIRECTORY:
            _remove_or_warn(directory.storage, path, warnings)
        else:
            delete_if_there(directory.storage, path)
    except StoragePermissionDenied as error:
        warnings.append("%s was not removed: %s" % (path, error))


def _put_aside(directory: DeviceDirectory, image: str, now_seconds: int, warnings: List[str]) -> None:
    """Move a directory without a manifest to the trash, as a whole: a run that works in it notices and starts again."""
    aside = directory.path(fmt.TRASH, "%s.%d" % (image, max(0, now_seconds)))
    try:
        directory.storage.rename(directory.path(image), aside)
    except (StorageExists, StorageNotFound):
        return  # another sweep was quicker
    except (StorageFailed, StoragePermissionDenied) as error:
        # Windows moves no directory in which a run has a file open.
        warnings.append("%s contains no image and was not moved to the trash yet: %s" % (directory.path(image), error))
        return
    _restore_if_complete(directory, aside, image)


def _restore_if_complete(directory: DeviceDirectory, aside: str, image: str) -> bool:
    """An image that was committed in the very moment when it was put aside comes back."""
    if not holds_manifest_at(directory.storage, aside):
        return False
    try:
        directory.storage.rename(aside, directory.path(image))
    except StorageNotFound:
        return True  # another sweep was quicker
    return True


def holds_manifest(directory: DeviceDirectory, image: str) -> bool:
    return holds_manifest_at(directory.storage, directory.path(image))


def holds_manifest_at(storage: Storage, path: str) -> bool:
    """Whether a directory is an image; checked in several ways, since any other directory is deleted.

    On a share a manifest that is deleted while it is open stays listed until it is closed, and can't be opened.
    """
    manifest = "%s/%s" % (path, fmt.MANIFEST_NAME)
    if storage.exists(manifest):
        return True
    if not _entries(storage, path, 1, lambda name: name == fmt.MANIFEST_NAME):
        return False
    try:
        storage.get(manifest, 0, 1)
    except StorageNotFound:
        return False
    except StorageFailed:
        pass  # it exists, with any content
    return True


def _tidy_put_aside(
    directory: DeviceDirectory, newest: str, ages: TrashAges, now_seconds: int, warnings: List[str]
) -> None:
    """Delete debris of interrupted runs like packs: a day later, and after a run has succeeded.

    A name in the future can't be compared with the runs since; then the age in the trash decides.
    """
    last = horizon(now_seconds=max(now_seconds, time.time()))
    for one in directory.put_aside():
        aside = directory.path(fmt.TRASH, one.file_name)
        if _restore_if_complete(directory, aside, one.image):
            continue
        if ages.is_from_ahead(one.since_seconds):
            stamp_anew(directory, one.file_name, now_seconds)
        elif not newest <= one.image <= last and ages.is_old(one.since_seconds):
            _remove_or_warn(directory.storage, aside, warnings, aside + ".foreign")


def _undo_if_needed(directory: DeviceDirectory, known: Set[str], report: RolloverReport) -> None:
    """An image that was committed while we swept brings its packs back."""
    if not report.trashed_packs:
        return
    for manifest in directory.images({}, but=known):
        for pack in restore_from_trash(directory, listed_packs(directory, manifest.image) & set(report.trashed_packs)):
            report.trashed_packs.remove(pack)
