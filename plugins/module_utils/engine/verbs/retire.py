# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``retire``: the operator's."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..device.identity import refuse_twins, stored_identity
from ..errors import DeviceMismatch, DirectoryMoved, ImageNotFound, RetirementUnconfirmed
from ..image.access import openable_key
from ..image.device_directory import IMAGE_NAME, DeviceDirectory
from ..image.format import constants as fmt
from ..image.upkeep.alone import alone
from ..image.upkeep.remains import foreign_names, is_empty, remove_directory
from ..image.upkeep.retire import retire
from ..storage.contract import Storage
from .request_upkeep import RetireRequest
from .rollover import lines
from .run_status import RunStatus


def retire_device(storage: Storage, request: RetireRequest, status: RunStatus) -> Dict[str, Any]:
    """Delete all images of a device, or one; in check mode only say which.

    :raises RetirementUnconfirmed: when the yes names another directory, or none; then nothing was asked of the storage.
    :raises ImageNotFound: when the directory is not that of a device, or has no such image.
    :raises ImageKept: when the one image is pinned or archived. :raises LeaseHeld: when a run lives.
    """
    device = request.device
    if request.named != device:
        raise RetirementUnconfirmed(device=device, named=request.named)
    directory = DeviceDirectory(storage, device)
    refuse_twins(storage, device)
    warnings: List[str] = []
    if not _has_owner(directory, warnings):
        return _without_owner(directory, request)
    directory.check_folders()
    key = openable_key(directory, request.passwords.password)
    if request.passwords.password and key is None:
        status.warn("The password opens no key slot of %s." % device)
    wanted = request.image or None
    found = retire(storage, device, wanted, key=key, dry_run=request.check, purge=request.purge_trash)
    found.report.warnings[:0] = warnings
    report = found.report
    after = [image for image in report.before if image not in report.deleted]
    changed = bool(report.deleted or report.trashed_packs or report.purged_packs or found.is_gone)
    return dict(
        report.as_dict(),
        changed=changed,
        device=device,
        image=wanted,
        images=after,
        is_gone=found.is_gone,
        warnings=report.warnings,
        diff={"before": lines(report.before), "after": lines(after)},
    )


def _has_owner(directory: DeviceDirectory, warnings: List[str]) -> bool:
    """Whether the directory is that of a device. Without an intact document of its owner its images say so, or, where all are
    deleted, that it holds nothing but what the engine creates; the yes names it.

    :raises DeviceMismatch: when nothing says so, or when it was moved there.
    """
    storage, device = directory.storage, directory.device
    damage: Optional[DeviceMismatch] = None
    try:
        if stored_identity(storage, device) is not None:
            return True
    except DirectoryMoved:
        raise
    except DeviceMismatch as error:
        damage = error
    if not storage.exists(device) or (damage is None and is_empty(directory)):
        return False
    others = [name for name in foreign_names(directory) if not IMAGE_NAME.fullmatch(name)]
    is_ours = directory.images({}) or (not others and storage.exists(directory.path(fmt.PACKS)))
    if is_ours:
        warnings.append(
            "%s is %s. The directory was retired because it has the name in imaging_retire and holds a device's images and packs."
            % (directory.path(fmt.DEVICE_ID_NAME), "damaged" if damage is not None else "missing")
        )
        return True
    if damage is not None:
        raise damage
    return False


def _without_owner(directory: DeviceDirectory, request: RetireRequest) -> Dict[str, Any]:
    """A directory that was removed, or all but removed by an earlier call that was cut off right before its end."""
    storage, device = directory.storage, directory.device
    warnings: List[str] = []
    is_there = storage.exists(device)
    if request.image or (is_there and not is_empty(directory)):
        raise ImageNotFound(device=device, image=request.image or "at all", storage=storage.description)
    is_gone = True
    if is_there and not request.check:
        with alone(directory):
            pass  # a dead lease is taken over, and given back
        is_gone = remove_directory(directory, warnings)
    return {
        "changed": is_there and is_gone,
        "device": device,
        "image": None,
        "dry_run": request.check,
        "deleted": [],
        "spared": {},
        "images": [],
        "trashed_packs": [],
        "purged_packs": [],
        "freed_bytes": 0,
        "trash": None,
        "is_gone": is_gone,
        "warnings": warnings,
        "diff": {"before": "", "after": ""},
    }
