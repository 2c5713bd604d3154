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
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Union

from ..errors import (
    EngineError,
    ImageDamaged,
    ImageFormatUnknown,
    StorageNotFound,
)
from ..storage.contract import Storage
from . import format as fmt
from . import job_name
from .directory import DeviceDirectory
from .keeping import Policy, Verdict, judge, orphan_sentences, to_be_named
from .keys import MasterKey
from .manifest import Manifest
from .mending import found_damaged, mend
from .missing import Missing, find_missing, sentences
from .needs import needed_packs
from .rollover_report import RolloverReport
from .sweep import delete_image, sweep
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
) -> RolloverReport:
    """Delete what ``imaging_keep`` does not want any more. Called after a successful run, or by the operator.

    An image is deleted manifest first: from that moment it does not exist, and what is left of it is swept later.
    A run that is at work meanwhile brings back what it needs.

    :param wanted: the policy; a number is how many images of the default job remain.
    :param openable_key: the id of the key that the password opens.
    :param key: that key itself, where it is at hand: then an image that says it is of this key is believed when it is.
    :param remove_damaged: images that can't be used and go, by name.
    """
    directory = DeviceDirectory(storage, device)
    unreadable: Dict[str, EngineError] = {}
    from_copy: Set[str] = set()
    images = directory.images(unreadable, key, from_copy=from_copy)
    removed = _to_remove(directory, images, unreadable, remove_damaged)
    images = [manifest for manifest in images if manifest.image not in removed]
    records = directory.records_of([manifest.image for manifest in images])
    policy = wanted if isinstance(wanted, Policy) else Policy({job_name.DEFAULT: wanted})
    verdicts = judge(images, policy, _protected(images, records), openable_key, is_proved=key is not None)
    missing = [one for job in policy.keep for one in _missing_of(job, images, policy, key)]
    named = [*sentences(missing), *orphan_sentences(images, policy)]
    report = _report(dry_run, verdicts, [])._replace(missing=missing, named=named)
    if not dry_run:
        mended = [one for one in images if one.image in from_copy]
        report.warnings.extend(mend(directory, [*mended, *found_damaged(images, records)], key))
        _delete(directory, images, report, key)
        removed = [image for image in removed if delete_image(directory, image, report.warnings)]
    report.deleted.extend(removed)
    remaining = [manifest for manifest in images if manifest.image not in report.deleted]
    proved = [manifest for manifest in remaining if key is not None and manifest.key_id == key.key_id]
    newest = max((manifest.sequence for manifest in proved or remaining), default=0)
    left = {image: error for image, error in unreadable.items() if image not in removed}
    return sweep(directory, remaining, left, newest, report, int(now()), key)


def _delete(
    directory: DeviceDirectory, images: List[Manifest], report: RolloverReport, key: Optional[MasterKey]
) -> None:
    """Delete the images of ``report.deleted``; those that stay after all leave it."""
    if report.deleted and not _are_seen_again(directory, images, key):
        report.warnings.append("Nothing was deleted: the storage told two things of its images, one after the other.")
        report.deleted.clear()
    for image in list(report.deleted):
        reason = _why_protected(directory.records(image))  # it may have been pinned since the look at all of them
        if reason:
            report.spared[image] = reason
            report.deleted.remove(image)
        elif not delete_image(directory, image, report.warnings):
            report.deleted.remove(image)


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
    check_removal(directory.device, wanted, unusable, {manifest.image: manifest for manifest in images})
    return list(dict.fromkeys(wanted))


def _are_seen_again(directory: DeviceDirectory, images: List[Manifest], key: Optional[MasterKey]) -> bool:
    """Whether the manifests say the same once more: without the key a flipped bit in a number shows in nothing else."""
    if all(not one.key_id or (key is not None and one.key_id == key.key_id) for one in images):
        return True
    for one in images:
        with contextlib.suppress(StorageNotFound):
            directory.storage.forget_cache(directory.path(one.image, fmt.MANIFEST_NAME))
    again = {one.image: one for one in directory.images({}, key)}
    return all(again.get(one.image) == one for one in images)


def plan_after_next(
    directory: DeviceDirectory, images: List[Manifest], policy: Policy, key: Optional[MasterKey], coming: Manifest
) -> RolloverReport:
    """Say what the rollover after the next image would delete of ``images``, which were proved with ``key``, if there is one.

    What came free is not known before.

    :param coming: the next image, as far as it is known.
    """
    key_id = key.key_id if key else None
    coming = coming._replace(key_id=key_id or "")
    records = directory.records_of([manifest.image for manifest in images])
    verdicts = judge([*images, coming], policy, _protected(images, records), key_id, is_proved=key is not None)
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


def _protected(images: List[Manifest], records: List[List[Dict[str, Any]]]) -> Dict[str, str]:
    protected = {}
    for manifest, facts in zip(images, records):
        reason = _why_protected(facts)
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
