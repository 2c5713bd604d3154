# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``image``: try the storage, open and freeze the disks, write the image, roll over."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..device.identity import claim_directory, prove_directory, read_identity
from ..device.operating_system import check_kind
from ..device.other_directories import second_directory_warnings
from ..disk.source import BlockSource
from ..errors import EngineError, VolumeDecrypted
from ..host.activity import DiskActivity
from ..image.device_directory import DeviceDirectory
from ..image.readme import keep_readme
from ..image.upkeep.rollover import roll_over
from ..image.upkeep.rollover_report import RolloverReport
from ..image.writing.coming import coming_image
from ..image.writing.courtesy import Courtesy
from ..image.writing.forecast import forecast
from ..image.writing.preflight import Preflight, preflight
from ..image.writing.rates import PacedSource, TokenBucket
from ..image.writing.writer import DiskInput, ImageOrder, ImageResult, process_threads, write_image
from ..moments import moment
from ..storage.check import StorageCheck
from ..storage.contract import Storage
from .device_report import DeviceReport, report_on
from .kept_result import keep_result
from .opened_disks import OpenedDisk, OpenedDisks
from .overdue import Pace
from .request import ImageRequest
from .run_status import RunStatus


def image(storage: Storage, request: ImageRequest, status: RunStatus) -> Dict[str, Any]:
    started, began = time.monotonic(), moment()
    kind = check_kind(request.operating_system)
    status.watch(Pace(request.limit_read_bytes, request.read_floor_bytes, request.limit_io_bytes, request.window))
    looked = None if request.check else _preflight(storage, request, status)
    with contextlib.closing(OpenedDisks(request, lambda source: _paced(source, request, status))) as opened:
        _check_decrypted(opened, request)
        found = report_on(storage, request, opened)
        if looked is None:
            return dict(found.told, **_plan_image(storage, request, opened, found), operating_system=kind)
        warnings = found.warnings + looked.warnings + looked.check_room(found.in_use_bytes)
        claim_directory(storage, request.device, read_identity(), request.adopt)
        made = write_image(storage, _order(request, status, opened, found._replace(warnings=warnings), looked.check))
    rollover, rollover_warnings = _roll_over(storage, request, made, looked.check, _clock(request, started))
    listing, directory = made.seen.listing, DeviceDirectory(storage, request.device)
    if listing is not None:
        rollover_warnings += keep_readme(directory, listing.readme_bytes, looked.check.may_replace)
    seconds = round(time.monotonic() - started, 1)
    late = status.late_after(seconds)
    warnings = list(dict.fromkeys(made.warnings + rollover_warnings + opened.warnings + late))
    result = dict(found.told, **_done(made, rollover), snapshot=opened.how, warnings=warnings, seconds=seconds)
    result["operating_system"] = kind
    result.update(status.waiting.so_far().fields(seconds))
    warnings += keep_result(storage, request, made, began, result)
    return result


def _check_decrypted(opened: OpenedDisks, request: ImageRequest) -> None:
    """:raises VolumeDecrypted: an encrypted volume would be stored in clear text, and no setting agrees to that."""
    if opened.decrypted and not (request.passwords.password or request.passwords.allow_clear):
        raise VolumeDecrypted(path=" and ".join(opened.decrypted))


def _preflight(storage: Storage, request: ImageRequest, status: RunStatus) -> Preflight:
    """Predictable failures happen here: before a volume is frozen, a disk is read, or a directory is claimed."""
    beside = _prove_directory(storage, request)
    looked = preflight(storage, request.device, request.passwords, request.controller_seconds)
    looked = looked._replace(warnings=beside + looked.warnings)
    if looked.check.may_replace:
        # The directory belongs to this device or to none, and may hold a status.
        key = storage.server_key.fingerprint if storage.server_key else ""
        status.report({"event": "replaceable", "host_key": key})
    return looked


def _prove_directory(storage: Storage, request: ImageRequest) -> List[str]:
    """Prove that the directory is this machine's or new; return a warning if a new one is the machine's second."""
    identity = read_identity()
    owner = prove_directory(storage, request.device, identity, request.adopt)
    is_new = owner is None and not request.adopt
    return second_directory_warnings(storage, identity, request.device) if is_new else []


def _paced(source: BlockSource, request: ImageRequest, status: RunStatus) -> PacedSource:
    """The source, read not faster than the request and the disk's other users allow."""
    if request.limit_read_bytes is None:
        courtesy = Courtesy(
            DiskActivity.of(source.path),
            floor_bytes_per_second=request.read_floor_bytes,
            left_disk=status.waiting.left_disk,
            cancelled=status.cancelled,
        )
        return PacedSource(source, courtesy=courtesy, waiting=status.waiting)
    bucket = TokenBucket(request.limit_read_bytes, cancelled=status.cancelled)
    return PacedSource(source, bucket=bucket, waiting=status.waiting)


def _input(disk: OpenedDisk, source: BlockSource) -> DiskInput:
    return DiskInput(source, disk.plan.used, disk.stable_id, disk.contents)


def _plan_image(storage: Storage, request: ImageRequest, opened: OpenedDisks, found: DeviceReport) -> Dict[str, Any]:
    """Check mode: refuse what the run would refuse, and report what it would store and delete, without writing."""
    coming = coming_image(request.device, request.job, [_input(disk, disk.source).coming for disk in opened.disks])
    beside = _prove_directory(storage, request)
    foreseen = forecast(storage, request.device, request.passwords, request.policy, coming)
    in_use = found.in_use_bytes
    return {
        "image": None,
        "images": foreseen.images,
        "bytes_in_use": in_use,
        "bytes_to_send": foreseen.bytes_to_send(in_use),
        "bytes_to_send_most": foreseen.most_bytes_to_send(in_use),
        "rollover": foreseen.rollover(),
        "missing_disks": [one.as_dict() for one in foreseen.missing],
        "warnings": found.warnings + beside + foreseen.warnings + foreseen.check_room(in_use),
    }


def _order(
    request: ImageRequest, status: RunStatus, opened: OpenedDisks, found: DeviceReport, permitted: StorageCheck
) -> ImageOrder:
    """The order for the writer."""
    return ImageOrder(
        device=request.device,
        timestamp=request.timestamp,
        disks=[_input(disk, _paced(disk.source, request, status)) for disk in opened.disks],
        job=request.job,
        policy=request.policy,
        passwords=request.passwords,
        snapshot=opened.how,
        device_information=found.information,
        created=request.timestamp,
        warnings=found.warnings,
        notes=found.notes,
        late_warnings=opened.late_warnings,
        late_snapshot=lambda: opened.how,
        compression_level=request.compression_level,
        workers=process_threads(),
        limit=TokenBucket(request.limit_io_bytes, cancelled=status.cancelled).take,
        cancelled=status.cancelled,
        progress=status.progress,
        notices=status.notices,
        lease_ttl_seconds=request.lease_ttl_seconds,
        takes_lease=permitted.may_replace,
    )


def _clock(request: ImageRequest, started: float) -> Callable[[], float]:
    """The time for the age of what is in the trash: a device whose battery is dead begins in 2009 after every start."""
    moment = request.controller_seconds
    if moment is None:
        return time.time
    return lambda: moment + time.monotonic() - started


def _roll_over(
    storage: Storage,
    request: ImageRequest,
    made: ImageResult,
    permitted: StorageCheck,
    clock: Callable[[], float],
) -> Tuple[Optional[RolloverReport], List[str]]:
    """Roll over after success. If it fails (a device that may not delete, a lost link), the image still exists."""
    if not (permitted.may_delete and permitted.may_rename):
        return None, [
            "The image was committed, but old images were not rolled over: the account in imaging_storage can only "
            "create and read. Run the rollover on the operator."
        ]
    try:
        report = roll_over(
            storage, request.device, request.policy, openable_key=made.key_id, key=made.key, now=clock, seen=made.seen
        )
    except EngineError as error:
        return None, [
            (
                "The image was committed, but old images were not rolled over: %s Run the rollover on the "
                "operator, or wait for the next run."
            )
            % error
        ]
    return report, report.warnings


def _done(made: ImageResult, rollover: Optional[RolloverReport]) -> Dict[str, Any]:
    gone = rollover.deleted if rollover else []
    return {
        "image": made.image,
        "images": [image for image in [*made.earlier, made.image] if image not in gone],
        "sequence": made.sequence,
        "bytes_in_use": made.in_use_bytes,
        "bytes_stored": made.stored_bytes,
        "bytes_reused": made.reused_bytes,
        "healed_packs": made.healed_packs,
        "rollover": rollover.as_dict() if rollover else None,
        "missing_disks": [one.as_dict() for one in made.missing],
    }
