# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes the disks to be imaged for the result, the device information and the log, and their changes since the last image."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from ..device.chosen import can_move
from ..device.compare import words
from ..device.compare.compare import Comparison, compare, nothing
from ..device.compare.earlier import document_of
from ..device.compare.ignore import Ignored
from ..device.document.collect import bounded, collect
from ..device.document.header import header_of
from ..device.selection import moved
from ..disk import exclusions
from ..disk.exclusions import LeftOut
from ..storage.contract import Storage
from .device_documents import HeldInformation, baseline_of, previous_of, silent
from .image_plan import image_plan
from .opened_disks import OpenedDisks, describe, not_chosen, stable_ids
from .request import BASELINE, NONE, PREVIOUS, ImageRequest

_DRIVES = "drives"


class DeviceReport(NamedTuple):
    """The description of the opened disks before they are read."""

    told: Dict[str, Any]  # of the result
    information: Dict[str, Any]  # kept with the image
    warnings: List[str]
    notes: List[str]  # lines for the run's log
    in_use_bytes: int


def report_on(storage: Storage, request: ImageRequest, opened: OpenedDisks) -> DeviceReport:
    disks = opened.disks
    found = exclusions.totals(one for disk in disks for one in disk.plan.left_out)
    left_out = exclusions.with_unasked(found, [pattern.text for pattern in request.exclude])
    information = _information(opened)
    warnings = [warning for disk in disks for warning in disk.plan.warnings] + exclusions.remarks(left_out)
    # Without a comparison with it the previous document is read only for the disks that moved.
    say = warnings.append if request.compare == PREVIOUS else silent
    previous = previous_of(storage, request.device, request.passwords, request.job, say)
    warnings += opened.remarks + moved(previous.information.get(_DRIVES) if previous else None, information[_DRIVES])
    notes = exclusions.notes(left_out) + [note for disk in disks for note in disk.plan.notes] + _server_notes(storage)
    notes += opened.notes
    comparison = _comparison(storage, request, previous, information, warnings)
    if comparison is not None:
        notes += _lines(comparison)
    told = dict(
        _told(storage, request, opened, left_out),
        comparison=comparison,
        device_changes=words.changes(comparison) if comparison else [],
    )
    return DeviceReport(told, information, warnings, notes, sum(disk.plan.used.total_bytes for disk in disks))


def _information(opened: OpenedDisks) -> Dict[str, Any]:
    """The device document, and beside it what reads of an image need to know of its disks.

    Releases before the document had sections read ``disks``, ``drives`` and the fields of the header.
    """
    described = [describe(number, disk) for number, disk in enumerate(opened.disks)]
    document = collect(imaged=[dict(one, path=disk.path) for one, disk in zip(described, opened.disks)])
    drives = stable_ids(opened.disks)
    document["sections"][_DRIVES] = {entry: {"disks": ids} for entry, ids in drives.items() if can_move(entry)}
    information = dict(bounded(document), **header_of(document))
    information.update(disks={str(one["name"]): one for one in described}, drives=drives)
    return information


def _comparison(
    storage: Storage,
    request: ImageRequest,
    previous: Optional[HeldInformation],
    information: Dict[str, Any],
    warnings: List[str],
) -> Optional[Comparison]:
    """The comparison that the job asks for, or None."""
    if request.compare == NONE:
        return None
    earlier = previous
    if request.compare == BASELINE:
        earlier = baseline_of(storage, request.device, request.passwords, request.job, warnings.append)
        if earlier is None:
            warnings.append(
                "imaging_compare is baseline, but no image of this job is pinned and readable, so the device was not "
                "compared. Pin the image that is to be the baseline."
            )
    if earlier is None:
        return nothing()
    return compare(document_of(earlier.information), information, earlier.image, Ignored(request.compare_ignore))


def _lines(comparison: Comparison) -> List[str]:
    """The lines of the image's log."""
    if not comparison["against"]:
        return []
    return [words.headline(comparison)] + ["  " + line for line in words.lines(comparison, most=1000)]


def _told(storage: Storage, request: ImageRequest, opened: OpenedDisks, left_out: List[LeftOut]) -> Dict[str, Any]:
    disks = opened.disks
    return {
        "changed": True,
        "device": request.device,
        "job": request.job,
        "storage": storage.description,
        "disks": [dict(describe(number, disk), path=disk.path) for number, disk in enumerate(disks)],
        "plan": image_plan(disks),
        "not_chosen": not_chosen(disks),
        "left_out": [one.as_dict() for one in left_out],
        "outside_partitions": [dict(one.as_dict(), path=disk.path) for disk in disks for one in disk.plan.outside],
        "contested": [one.as_dict() for disk in disks for one in disk.plan.contested],
    }


def _server_notes(storage: Storage) -> List[str]:
    """The server of the run, for the log that is kept with the image."""
    key = storage.server_key
    if key is None:
        return []
    checked = "was accepted without a check" if key.is_new else "matched the expected key"
    return ["The host key of the storage server, %s, %s." % (key.fingerprint, checked)]
