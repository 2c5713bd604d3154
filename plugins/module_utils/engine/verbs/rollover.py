# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``rollover``: the operator's."""

from __future__ import annotations

from typing import Any, Dict, List

from ..device.identity import stored_identity
from ..errors import ImageNotFound
from ..image.access import openable_key
from ..image.device_directory import DeviceDirectory
from ..image.upkeep.purge import purge_now, roll_over_and_purge
from ..image.upkeep.rollover import roll_over
from ..image.upkeep.rollover_report import RolloverReport
from ..storage.contract import Storage
from ..tame import one_line
from .request import RolloverRequest
from .run_status import RunStatus


def rollover(storage: Storage, request: RolloverRequest, dummy_status: RunStatus) -> Dict[str, Any]:
    """Delete what ``imaging_keep`` does not want any more; in check mode only say what.

    :raises ImageNotFound: when the device has no directory that is ours.
    :raises StorageFileInTheWay: when a file or a link is in the place of one of its directories.
    :raises TrashInUse: when the trash is to be purged and a run is in progress.
    """
    device, policy = request.device, request.policy
    directory = DeviceDirectory(storage, device)
    if stored_identity(storage, device) is None:
        raise ImageNotFound(device=device, image="at all", storage=storage.description)
    directory.check_folders()
    key = openable_key(directory, request.passwords.password)

    def rolled() -> RolloverReport:
        return roll_over(
            storage,
            device,
            policy,
            openable_key=key.key_id if key else None,
            key=key,
            dry_run=request.check,
            remove_damaged=request.remove_damaged,
        )

    if request.purge_trash and not request.check:
        report = roll_over_and_purge(directory, key, rolled)
    else:
        report = rolled()
        if request.purge_trash:
            report = purge_now(directory, None, key, report)
    before = report.before
    after = [image for image in before if image not in report.deleted]
    changed = bool(report.deleted or report.trashed_packs or report.purged_packs)
    return dict(
        report.as_dict(),
        changed=changed,
        images=after,
        warnings=report.warnings + report.named,
        missing_disks=[one.as_dict() for one in report.missing],
        diff={"before": lines(before), "after": lines(after)},
    )


def lines(names: List[str]) -> str:
    """The names of images as a diff compares them."""
    return "".join(one_line(name) + "\n" for name in names)
