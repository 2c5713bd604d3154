# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes the disks to be imaged for the result, the device information and the log, and their changes since the last image."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from ..device.identity import stored_identity
from ..device.information import collect, compare, render
from ..device.selection import moved
from ..disk import exclusions
from ..disk.exclusions import LeftOut
from ..errors import EngineError, ImageNotFound
from ..image.format import constants as fmt
from ..image.format import documents
from ..image.reader import ImageReader
from ..storage.contract import Storage
from .opened_disks import OpenedDisks, describe, not_chosen, stable_ids
from .request import ImageRequest


class DeviceReport(NamedTuple):
    """The description of the opened disks before they are read."""

    told: Dict[str, Any]  # of the result
    information: Dict[str, Any]  # kept with the image
    warnings: List[str]
    notes: List[str]  # lines for the run's log
    in_use_bytes: int


def report_on(storage: Storage, request: ImageRequest, opened: OpenedDisks) -> DeviceReport:
    disks = opened.disks
    left_out = exclusions.totals(one for disk in disks for one in disk.plan.left_out)
    information = collect([describe(number, disk) for number, disk in enumerate(disks)])
    information["drives"] = stable_ids(disks)
    previous = _previous_information(storage, request)
    warnings = [warning for disk in disks for warning in disk.plan.warnings] + exclusions.remarks(left_out)
    warnings += opened.remarks + moved((previous or {}).get("drives"), information["drives"])
    told = dict(
        _told(storage, request, opened, left_out), **_changes(previous if request.compares else None, information)
    )
    notes = exclusions.notes(left_out) + [note for disk in disks for note in disk.plan.notes] + _server_notes(storage)
    return DeviceReport(told, information, warnings, notes, sum(disk.plan.used.total_bytes for disk in disks))


def _told(storage: Storage, request: ImageRequest, opened: OpenedDisks, left_out: List[LeftOut]) -> Dict[str, Any]:
    disks = opened.disks
    return {
        "changed": True,
        "device": request.device,
        "job": request.job,
        "storage": storage.description,
        "disks": [dict(describe(number, disk), path=disk.path) for number, disk in enumerate(disks)],
        "not_chosen": not_chosen(disks),
        "left_out": [one.as_dict() for one in left_out],
        "outside_partitions": [dict(one.as_dict(), path=disk.path) for disk in disks for one in disk.plan.outside],
        "contested": [one.as_dict() for disk in disks for one in disk.plan.contested],
    }


def _changes(before: Optional[Dict[str, Any]], after: Dict[str, Any]) -> Dict[str, Any]:
    if before is None:
        return {"comparison": None, "device_changes": []}
    return {
        "comparison": {"before": render(before), "after": render(after)},
        "device_changes": [one._asdict() for one in compare(before, after)],
    }


def _previous_information(storage: Storage, request: ImageRequest) -> Optional[Dict[str, Any]]:
    if stored_identity(storage, request.device) is None:
        return None
    try:
        reader = ImageReader(storage, request.device, "latest", request.passwords.password, request.job)
        return documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except ImageNotFound:
        return None
    except (EngineError, ValueError):
        return None  # rule 6 and damage are reported by the run itself; a comparison is not worth failing for


def _server_notes(storage: Storage) -> List[str]:
    """The server of the run, for the log that is kept with the image."""
    key = storage.server_key
    if key is None:
        return []
    checked = "was accepted without a check" if key.is_new else "matched the expected key"
    return ["The host key of the storage server, %s, %s." % (key.fingerprint, checked)]
