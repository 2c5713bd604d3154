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
from typing import Callable, Container, Dict, List, Optional, Sequence, Set, Union

from ...errors import EngineError, ImageDamaged, ImageFormatUnknown, StorageNotFound
from ...storage.contract import Storage
from .. import records
from ..device_directory import DeviceDirectory
from ..format import constants as fmt
from ..format import job_name
from ..format.keys import MasterKey
from ..format.manifest import Manifest
from ..impostors import Impostors
from ..manifest_budget import bare
from ..newest import believed, doubts, enumerated, horizon, next_sequence, others_than
from ..pack_references import needed_packs
from .heal_documents import heal_documents, suspects
from .keeping import Policy, Verdict, judge, orphan_sentences, to_be_named
from .missing import Missing, find_missing, sentences
from .rollover_report import RolloverReport
from .seen import Seen
from .sweep import delete_image, delete_images, holds_manifest, sweep
from .unusable import check_removal


def roll_over(
    storage: Storage,
    device: str,
    wanted: Union[int, Policy],
    *,
    openable_key: Optional[str],
    key: Optional[MasterKey] = None,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
    remove_damaged: Sequence[str] = (),
    seen: Optional[Seen] = None,
) -> RolloverReport:
    """Delete the images that ``imaging_keep`` no longer keeps. Called after a successful run, or by the operator.

    An image is deleted manifest first: from that moment it does not exist, and a later sweep removes the rest of it. A
    run in progress restores the packs that it needs from the trash.

    :param wanted: the policy; a number is how many images of the default job remain.
    :param openable_key: the id of the key that the password opens.
    :param key: that key itself, where it is at hand: then an image is believed to be of this key only if the key proves
        it.
    :param remove_damaged: unusable images to delete, by name.
    :param seen: the listings of the run right before it.
    """
    directory = DeviceDirectory(storage, device)
    seen = seen or Seen()
    unreadable: Dict[str, EngineError] = {}
    from_copy: Set[str] = set()
    images = directory.images(unreadable, key, from_copy=from_copy)
    removed = _to_remove(directory, images, unreadable, remove_damaged)
    images = [manifest for manifest in images if manifest.image not in removed]
    last = horizon(now_seconds=max(now(), time.time()))
    counted = believed(images, key, last)
    kept = _kept(directory, images)
    policy = wanted if isinstance(wanted, Policy) else Policy({job_name.DEFAULT: wanted})
    likely = {one.image for one in counted}
    verdicts = judge(images, policy, _reasons(kept), openable_key, key is not None, likely)
    others = others_than(images, counted, key)
    missing = [one for job in policy.keep for one in _missing_of(job, counted, policy, others)]
    named = [*sentences(missing), *orphan_sentences(counted, policy)]
    warnings = doubts(images, key, last) + _doubtful(directory, verdicts, kept, key)
    report = _report(dry_run, verdicts, warnings)._replace(missing=missing, named=named)
    if not dry_run:
        mended = [one for one in images if one.image in from_copy]
        unseen = [one for one in images if one.image not in seen.examined]
        report.warnings.extend(heal_documents(directory, [*mended, *suspects(directory, unseen)], key))
        _delete(directory, images, report, key)
        removed = [image for image in removed if delete_image(directory, image, report.warnings)]
    report.deleted.extend(removed)
    remaining = [manifest for manifest in images if manifest.image not in report.deleted]
    newest = next_sequence(remaining, key, last) - 1
    left = {image: error for image, error in unreadable.items() if image not in removed}
    proved = [manifest for manifest in counted if key is not None and manifest.image not in report.deleted]
    # With a wrong clock every image seems to be in the future, which does not make it false.
    impostors = Impostors(proved, policy.kept_of_all(proved), max([last, *(one.image for one in counted)]))
    return sweep(directory, remaining, left, newest, report, int(now()), key, impostors, seen.listing)


def _delete(
    directory: DeviceDirectory, images: List[Manifest], report: RolloverReport, key: Optional[MasterKey]
) -> None:
    """Delete the images of ``report.deleted``; those that stay after all leave it."""
    contradiction = _contradiction(directory, images, report.deleted, key) if report.deleted else ""
    if contradiction:
        report.warnings.append("The rollover deleted no image: %s" % contradiction)
        report.deleted.clear()
    delete_images(directory, report)


def _to_remove(
    directory: DeviceDirectory,
    images: List[Manifest],
    unreadable: Dict[str, EngineError],
    wanted: Sequence[str],
) -> List[str]:
    """The images that can't be used and are to go, by name; what is of a newer version is not damaged.

    :raises ImageNotUnusable: for any other.
    """
    if not wanted:
        return []
    damaged: List[ImageDamaged] = []
    needed_packs(directory, images, damaged)
    unusable = {image for image, error in unreadable.items() if not isinstance(error, ImageFormatUnknown)}
    unusable |= {str(error.fields["image"]) for error in damaged}
    return check_removal(directory.device, wanted, unusable, {manifest.image for manifest in images})


def _contradiction(
    directory: DeviceDirectory, images: List[Manifest], doomed: Container[str], key: Optional[MasterKey]
) -> str:
    """Say why a second reading of the manifests differs: without the key this alone shows a flipped bit in a number.

    Some ``doomed`` images may be missing: another rollover deletes the same ones.
    """
    if all(not one.key_id or (key is not None and one.key_id == key.key_id) for one in images):
        return ""
    for one in images:
        with contextlib.suppress(StorageNotFound):
            directory.storage.look_anew(directory.path(one.image, fmt.MANIFEST_NAME))
    again = {one.image: one for one in directory.images({}, key)}
    # Which of many large manifests are held without their changes depends on the order of the answers.
    other = [one.image for one in images if one.image not in again or bare(again[one.image]) != bare(one)]
    gone = [image for image in other if not holds_manifest(directory, image)]
    if set(other) - set(gone):
        return "two listings of the storage contradict each other."
    kept = [image for image in gone if image not in doomed]
    return (
        "another host deleted %s during the rollover. The next rollover tries again." % enumerated(kept) if kept else ""
    )


def plan_after_next(
    directory: DeviceDirectory, images: List[Manifest], policy: Policy, key: Optional[MasterKey], coming: Manifest
) -> RolloverReport:
    """Report which of ``images`` the rollover after the next image would delete. They were proved with ``key``, if
    there is one.

    The bytes that it frees are not known before.

    :param coming: the next image, as far as it is known.
    """
    key_id = key.key_id if key else None
    last = horizon()
    coming = coming._replace(key_id=key_id or "", sequence=next_sequence(images, key, last))
    counted = believed(images, key, last)
    ordered = sorted([*images, coming], key=lambda manifest: manifest.sequence)
    likely = {coming.image, *(one.image for one in counted)}
    verdicts = judge(ordered, policy, _reasons(_kept(directory, images)), key_id, key is not None, likely)
    verdicts.pop(coming.image)
    missing, named = to_be_named(counted, coming, policy, others_than(images, counted, key))
    return _report(True, verdicts, [])._replace(missing=missing, named=named)


def _report(dry_run: bool, verdicts: Dict[str, Verdict], warnings: List[str]) -> RolloverReport:
    deleted = [image for image, verdict in verdicts.items() if verdict.goes]
    spared = {image: verdict.reason for image, verdict in verdicts.items() if verdict.is_told}
    return RolloverReport(dry_run, deleted[::-1], spared, [], [], 0, warnings, list(verdicts)[::-1])


def _missing_of(job: str, counted: List[Manifest], policy: Policy, others: List[Manifest]) -> List[Missing]:
    """The disks and volumes that the newest image of a job lacks, of the images that count."""
    made = [manifest for manifest in counted if manifest.job == job]
    return find_missing(made, made[-1], policy.forget_disks, others) if made else []


def _kept(directory: DeviceDirectory, images: List[Manifest]) -> Dict[str, records.Kept]:
    names = [manifest.image for manifest in images]
    return dict(zip(names, records.kept_of(directory, names)))


def _reasons(kept: Dict[str, records.Kept]) -> Dict[str, str]:
    return {image: one.reason for image, one in kept.items() if one.reason}


def _doubtful(
    directory: DeviceDirectory, verdicts: Dict[str, Verdict], kept: Dict[str, records.Kept], key: Optional[MasterKey]
) -> List[str]:
    """Warnings about images that stay only because of records that any writer may have made."""
    stay = [image for image, verdict in verdicts.items() if verdict.is_told and verdict.reason == kept[image].reason]
    unreadable = [image for image in stay if not kept[image].is_readable]
    pinned = [image for image in stay if key is not None and kept[image].is_pinned]
    doubtful = [image for image in pinned if key is None or not records.has_authentic_pin(directory, image, key)]
    warnings = []
    if unreadable:
        warnings.append(
            "The records of these images are unreadable, so the images are kept as if pinned: %s. Pin or unpin "
            "them with the operator's account, which moves the unreadable files away." % enumerated(unreadable)
        )
    if doubtful:
        warnings.append(
            "These images are pinned by records that are not authenticated with the password: %s. Pin them again with "
            "the password, or unpin them." % enumerated(doubtful)
        )
    return warnings


def pin(storage: Storage, device: str, image: str, pinned: bool, key: Optional[MasterKey] = None) -> None:
    """Pin or unpin an image: a pinned one is never rolled over.

    :param key: authenticates the pin.
    :raises ImageNotFound: when there is none, also when a rollover deletes it in this moment.
    :raises RecordRefused: when this account can't make or delete the pin.
    """
    directory = DeviceDirectory(storage, device)
    directory.manifest(image)
    if pinned:
        records.pin(directory, image, key)
    else:
        records.unpin(directory, image)
    directory.manifest(image)
