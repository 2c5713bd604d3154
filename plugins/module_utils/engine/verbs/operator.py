# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that need a storage and no device: verify, list, rollover, check."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ..device.identity import stored_identity
from ..errors import EngineError, ImageNotFound, PasswordWrong
from ..image import records
from ..image.access import newest_image, openable_key
from ..image.device_directory import DeviceDirectory
from ..image.format.manifest import Manifest
from ..image.newest import believed, doubts, horizon, told_errors
from ..image.upkeep.rollover import pin, roll_over
from ..image.upkeep.verify import verify_image
from ..image.writing.preflight import check_room, clock_warnings
from ..storage.check import StorageCheck, check_storage
from ..storage.contract import Storage
from ..tame import one_line
from .policies import chosen_job, policy_of
from .settings import names_of, passwords_of

Report = Callable[[Dict[str, Any]], None]
Progress = Callable[..., None]


def verify(storage: Storage, job: Dict[str, Any], report: Report, progress: Progress) -> Dict[str, Any]:
    found = verify_image(
        storage,
        job["device"],
        str(job.get("image") or "latest"),
        str(job.get("level") or "full"),
        password=passwords_of(job).password,
        progress=progress,
        record=not job.get("check"),
        job=chosen_job(job),
    )
    for text in found.warnings:
        report({"event": "warning", "message": text})
    return dict(found.as_dict(), changed=False)


def list_images(storage: Storage, job: Dict[str, Any], report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """What is there. With a password images that say they are of its key are proved, and records that were forged are left out."""
    directory = DeviceDirectory(storage, job["device"])
    unreadable: Dict[str, EngineError] = {}
    wanted, password, chosen = str(job.get("image") or "all"), passwords_of(job).password, chosen_job(job)
    key = openable_key(directory, password)
    warnings: List[str] = []
    if wanted == "all":
        there = directory.images(unreadable, key)
        warnings += told_errors("The image %s can't be read: %s", unreadable) + doubts(there, key, horizon())
        found = [manifest for manifest in there if chosen in (None, manifest.job)]
    elif wanted == "latest":
        newest = newest_image(directory, password, chosen)
        found, warnings = [newest.manifest], newest.warnings
    else:
        found = [directory.manifest(wanted, key)]
    names = [manifest.image for manifest in found]
    facts = zip(records.kept_of(directory, names), records.read_of(directory, names, key))
    images = [summary(manifest, kept, read) for manifest, (kept, read) in zip(found, facts)]
    for text in warnings:
        report({"event": "warning", "message": text})
    return {"changed": False, "images": images}


def summary(manifest: Manifest, kept: records.Kept, found: List[records.Record]) -> Dict[str, Any]:
    """What ``image_info`` tells of an image: facts of its manifest and its records. A success that nobody with the key wrote
    is left out where there is a key; a failure is told."""
    verified = [one for one in found if one.kind == records.VERIFIED and (one.is_believed or one.ok is False)]
    return {
        "image": manifest.image,
        "job": manifest.job,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "snapshot": manifest.snapshot,
        "encrypted": bool(manifest.key_id),
        "size_bytes": manifest.size_bytes,
        "in_use_bytes": manifest.in_use_bytes,
        "pack_bytes": manifest.pack_bytes,
        "pinned": kept.is_pinned if kept.is_readable else None,
        "disks": [disk.as_dict() for disk in manifest.disks],
        "verified": [{"level": one.level, "ok": one.ok} for one in verified],
    }


def pin_image(storage: Storage, job: Dict[str, Any], report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """Keep an image from being rolled over, or no longer. With a password the pin is authenticated.

    :raises ImageNotFound: when there is none of that name, also when a rollover deletes it in this moment.
    :raises RecordRefused: when this account can't make or delete the pin.
    """
    directory = DeviceDirectory(storage, job["device"])
    password = passwords_of(job).password
    key = openable_key(directory, password)
    if password and key is None:
        text = "The password opens no key of %s; the pin will not be authenticated." % job["device"]
        report({"event": "warning", "message": text})
    wanted = str(job.get("image") or "")
    is_latest = wanted == "latest"
    newest = newest_image(directory, password, chosen_job(job)).manifest if is_latest else directory.find_image(wanted)
    image, after = newest.image, job.get("state") != "unpinned"
    kept = records.kept(directory, image)
    before = kept.is_pinned
    is_right = kept.is_readable and before == after
    if is_right and after and key is not None:
        is_right = records.has_authentic_pin(directory, image, key)
    if not is_right and not job.get("check"):
        pin(storage, job["device"], image, after, key)
    said = {True: "%s is pinned\n" % image, False: "%s is not pinned\n" % image}
    diff = {"before": said[before], "after": said[after]}
    return {"changed": not is_right, "image": image, "pinned": after, "diff": diff}


def rollover(storage: Storage, job: Dict[str, Any], dummy_report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """Delete what ``imaging_keep`` does not want any more; in check mode only say what.

    :raises ImageNotFound: when the device has no directory that is ours.
    """
    device, policy = job["device"], policy_of(job, of_all_jobs=True)
    directory = DeviceDirectory(storage, device)
    if stored_identity(storage, device) is None:
        raise ImageNotFound(device=device, image="at all", storage=storage.description)
    key = openable_key(directory, passwords_of(job).password)
    report = roll_over(
        storage,
        device,
        policy,
        openable_key=key.key_id if key else None,
        key=key,
        dry_run=bool(job.get("check")),
        remove_damaged=names_of(job, "remove_damaged"),
    )
    before = report.before
    after = [image for image in before if image not in report.deleted]
    changed = bool(report.deleted or report.trashed_packs or report.purged_packs)
    return dict(
        report.as_dict(),
        changed=changed,
        images=after,
        warnings=report.warnings + report.named,
        missing_disks=[one.as_dict() for one in report.missing],
        diff={"before": _lines(before), "after": _lines(after)},
    )


def _lines(names: List[str]) -> str:
    return "".join(one_line(name) + "\n" for name in names)


def _left_behind(found: StorageCheck) -> List[str]:
    if not found.left_behind:
        return []
    return ["%s can't be deleted with this account and stays until the operator rolls over." % found.left_behind]


def check(storage: Storage, job: Dict[str, Any], dummy_report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """Try what a run needs of the storage; in check mode only look.

    :raises StorageError: what does not work. :raises PasswordWrong: when a password is given that opens no key.
    """
    device, password = job["device"], passwords_of(job).password
    directory = DeviceDirectory(storage, device)
    key = openable_key(directory, password)
    has_key = key is not None or bool(directory.own_key_slots([]) or directory.key_slots([]))
    if password and has_key and key is None:
        raise PasswordWrong(slots=len(directory.key_slots([])), device=device)
    images = directory.images({}, key)
    counted = believed(images, key, horizon())
    answer: Dict[str, Any] = {
        "changed": False,
        "storage": storage.description,
        "images": len(images),
        "has_key": has_key,
        "warnings": [],
    }
    if job.get("check"):
        space = storage.space()
    else:
        found = check_storage(storage, device)
        space = found.space
        answer.update(
            may_delete=found.may_delete,
            may_replace=found.may_replace,
            may_rename=found.may_rename,
            round_trip_milliseconds=round(found.round_trip_seconds * 1000, 1),
            write_mb_per_second=round(found.write_bytes_per_second / 1e6, 1),
            clock_ahead_seconds=None if found.clock_ahead_seconds is None else round(found.clock_ahead_seconds),
            warnings=clock_warnings(storage.description, found.clock_ahead_seconds, None) + _left_behind(found),
        )
    if counted:  # a first image is not known before its device was asked
        newest = counted[-1]
        answer["warnings"] += check_room(storage.description, device, newest, False, space, newest.in_use_bytes)
    return dict(
        answer, free_bytes=space.free_bytes if space else None, total_bytes=space.total_bytes if space else None
    )
