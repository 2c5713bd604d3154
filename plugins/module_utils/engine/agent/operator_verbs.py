# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs that need a storage and no device: verify, list, rollover, check."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from ..device.identity import stored_identity
from ..errors import EngineError, ImageNotFound, PasswordWrong
from ..image.access import openable_key
from ..image.directory import DeviceDirectory
from ..image.keys import open_slots
from ..image.manifest import Manifest
from ..image.preflight import check_room, clock_warnings
from ..image.rollover import is_pinned, pin, roll_over
from ..image.verify import verify_image
from ..storage.check import StorageCheck, check_storage
from ..storage.contract import Storage
from .policies import chosen_job, policy_of
from .settings import names_of, passwords_of

Report = Callable[[Dict[str, Any]], None]
Progress = Callable[..., None]


def verify(storage: Storage, job: Dict[str, Any], dummy_report: Report, progress: Progress) -> Dict[str, Any]:
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
    return dict(found.as_dict(), changed=False)


def list_images(storage: Storage, job: Dict[str, Any], report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    directory = DeviceDirectory(storage, job["device"])
    unreadable: Dict[str, EngineError] = {}
    wanted = str(job.get("image") or "all")
    chosen = chosen_job(job)
    if wanted == "all":
        found = [manifest for manifest in directory.images(unreadable) if chosen in (None, manifest.job)]
    else:
        found = [directory.find_image(wanted, chosen)]
    records = directory.records_of([manifest.image for manifest in found])
    images = [summary(manifest, facts) for manifest, facts in zip(found, records)]
    for name, error in unreadable.items():
        report({"event": "warning", "message": "The image %s can't be read: %s" % (name, error)})
    return {"changed": False, "images": images}


def summary(manifest: Manifest, records: List[Dict[str, Any]]) -> Dict[str, Any]:
    """What ``image_info`` tells of an image: facts of its manifest and its records."""
    verified = [record for record in records if record["kind"] == "verified"]
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
        "pinned": is_pinned(records),
        "disks": [disk.as_dict() for disk in manifest.disks],
        "verified": [{"level": record.get("level"), "ok": record.get("ok")} for record in verified],
    }


def pin_image(storage: Storage, job: Dict[str, Any], dummy_report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """Keep an image from being rolled over, or no longer.

    :raises ImageNotFound: when there is none of that name.
    """
    directory = DeviceDirectory(storage, job["device"])
    image = directory.find_image(str(job.get("image") or ""), chosen_job(job)).image
    before, after = is_pinned(directory.records(image)), job.get("state") != "unpinned"
    if before != after and not job.get("check"):
        pin(storage, job["device"], image, after)
    said = {True: "%s is pinned\n" % image, False: "%s is not pinned\n" % image}
    diff = {"before": said[before], "after": said[after]}
    return {"changed": before != after, "image": image, "pinned": after, "diff": diff}


def rollover(storage: Storage, job: Dict[str, Any], dummy_report: Report, dummy_progress: Progress) -> Dict[str, Any]:
    """Delete what ``imaging_keep`` does not want any more; in check mode only say what.

    :raises ImageNotFound: when the device has no directory that is ours.
    """
    device, policy = job["device"], policy_of(job, of_all_jobs=True)
    directory = DeviceDirectory(storage, device)
    if stored_identity(storage, device) is None:
        raise ImageNotFound(device=device, image="at all", storage=storage.description)
    newest = directory.newest()
    key = openable_key(directory, [newest] if newest else [], passwords_of(job).password)
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
        diff={"before": "".join(image + "\n" for image in before), "after": "".join(image + "\n" for image in after)},
    )


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
    slots = directory.own_key_slots([])
    if not slots or (password and open_slots(slots, password) is None):
        slots = directory.key_slots([])  # the copies in all images
    if password and slots and open_slots(slots, password) is None:
        raise PasswordWrong(slots=len(slots), device=device)
    images = directory.images({})
    answer: Dict[str, Any] = {
        "changed": False,
        "storage": storage.description,
        "images": len(images),
        "has_key": bool(slots),
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
    if images:  # a first image is not known before its device was asked
        answer["warnings"] += check_room(storage.description, device, images[-1], False, space, images[-1].in_use_bytes)
    return dict(
        answer, free_bytes=space.free_bytes if space else None, total_bytes=space.total_bytes if space else None
    )
