# Copyright: plantops.imaging contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one job: a verb with its settings, as the command line or a controller hands it over."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ..device.identity import claim_directory, device_directory, read_identity, stored_identity
from ..device.information import collect, compare, render
from ..disk import exclusions
from ..disk.filesystems.contract import VolumeState
from ..disk.gpt import detect_sector_bytes
from ..disk.layout import DiskLayout, Partition, read_layout
from ..disk.mounts import Use, uses_of
from ..disk.patterns import Pattern
from ..disk.source import BlockSource, FileSource
from ..disk.used import DiskPlan, plan_disk
from ..errors import DiskNotFound, EngineError, ImageNotFound, JobInvalid, VolumeMounted
from ..image import documents
from ..image import format as fmt
from ..image.rates import AdaptiveRate, PacedSource, TokenBucket
from ..image.reader import ImageReader
from ..image.rollover import RolloverReport, roll_over
from ..image.writer import DiskInput, ImageJob, process_threads, write_image
from ..restore.restore import plan, restore, sentences
from ..storage.contract import Storage
from ..storage.open import open_storage
from . import operator_verbs
from .settings import mapping_of, number_of, passwords_of, patterns_of

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
Report = Callable[[Dict[str, Any]], None]


class OpenedDisk(NamedTuple):
    path: str
    source: BlockSource
    layout: DiskLayout
    plan: DiskPlan
    stable_id: str
    is_live: bool


def run_job(job: Dict[str, Any], report: Report, cancelled: Callable[[], bool]) -> Dict[str, Any]:
    """Run ``job`` and return its result. ``report`` gets status and warning events.

    :raises EngineError: what went wrong, from the catalogue.
    """
    verb = _VERBS.get(str(job.get("verb")))
    if verb is None:
        raise JobInvalid(reason="the verb %r is not one of %s" % (job.get("verb"), ", ".join(sorted(_VERBS))))
    device = job.get("device")
    if not isinstance(device, str) or not device:
        raise JobInvalid(reason="it names no device")
    job = dict(job, device=device_directory(str(job.get("alias") or ""), device))
    settings = mapping_of(job, "storage")
    with open_storage(settings, lambda text: report({"event": "warning", "message": text}), cancelled) as storage:
        return verb(storage, job, _Status(report, cancelled))


class _Status:
    """Status events, not more often than a second, with rate and estimate."""

    def __init__(self, report: Report, cancelled: Callable[[], bool]) -> None:
        self.report = report
        self.cancelled = cancelled
        self._started = time.monotonic()
        self._last = 0.0

    def progress(self, phase: str, done: int, total: int, stored: int = 0) -> None:
        now = time.monotonic()
        if now - self._last < 1.0 and done < total:
            return
        self._last = now
        elapsed = max(now - self._started, 1e-3)
        rate = int(done / elapsed)
        self.report(
            {
                "event": "status",
                "phase": phase,
                "bytes_in_use": total,
                "bytes_done": done,
                "bytes_stored": stored,
                "rate_bytes_per_second": rate,
                "remaining_seconds": int((total - done) / rate) if rate and total >= done else None,
            }
        )


def _image(storage: Storage, job: Dict[str, Any], status: _Status) -> Dict[str, Any]:
    started = time.monotonic()
    timestamp = str(job.get("timestamp") or time.strftime("%Y-%m-%d_%H-%M-%S"))
    if not _TIMESTAMP.fullmatch(timestamp):
        raise JobInvalid(reason="the timestamp %r is malformed" % timestamp)
    device = job["device"]
    keep = number_of(job, "keep", 7, 1)
    opened = _open_disks(job)
    try:
        left_out = exclusions.totals(one for disk in opened for one in disk.plan.left_out)
        warnings = [warning for disk in opened for warning in disk.plan.warnings] + exclusions.remarks(left_out)
        information = collect([_describe(number, disk) for number, disk in enumerate(opened)])
        summary = [dict(_describe(number, disk), path=disk.path) for number, disk in enumerate(opened)]
        if job.get("check"):
            in_use = sum(disk.plan.used.total_bytes for disk in opened)
            return {
                "changed": True,
                "image": None,
                "bytes_in_use": in_use,
                "disks": summary,
                "left_out": [one.as_dict() for one in left_out],
                "warnings": warnings,
            }
        claim_directory(storage, device, read_identity(), bool(job.get("adopt")))
        passwords = passwords_of(job)
        before = _previous_information(storage, device, passwords.password) if job.get("compare") != "none" else None
        bucket = TokenBucket(float(number_of(job, "limit_io_rate", 0, 0)) * 1e6, cancelled=status.cancelled)
        result = write_image(
            storage,
            ImageJob(
                device=device,
                timestamp=timestamp,
                disks=[DiskInput(_paced(disk.source, job, status), disk.plan.used, disk.stable_id) for disk in opened],
                passwords=passwords,
                snapshot="live" if any(disk.is_live for disk in opened) else "offline",
                device_information=information,
                created=timestamp,
                warnings=warnings,
                notes=exclusions.notes(left_out),
                compression_level=number_of(job, "compression_level", 3, 1, 19),
                workers=process_threads(),
                gate=bucket.take,
                progress=status.progress,
                lease_ttl_seconds=float(number_of(job, "lease_ttl_seconds", 90, 1)),
            ),
        )
    finally:
        for disk in opened:
            disk.source.close()
    rollover, rollover_warnings = _roll_over(storage, device, keep, result.key_id)
    changes = compare(before, information) if before is not None else []
    return {
        "changed": True,
        "image": result.image,
        "device": device,
        "storage": storage.description,
        "sequence": result.sequence,
        "bytes_in_use": result.in_use_bytes,
        "bytes_stored": result.stored_bytes,
        "bytes_reused": result.reused_bytes,
        "disks": summary,
        "left_out": [one.as_dict() for one in left_out],
        "healed_packs": result.healed_packs,
        "rollover": rollover.as_dict() if rollover else None,
        "warnings": result.warnings + rollover_warnings,
        "comparison": None if before is None else {"before": render(before), "after": render(information)},
        "device_changes": [change._asdict() for change in changes],
        "seconds": round(time.monotonic() - started, 1),
    }


def _roll_over(storage: Storage, device: str, keep: int, key_id: str) -> Tuple[Optional[RolloverReport], List[str]]:
    """Roll over after success. Whatever stops it (a device that may not delete, a lost link), the image is made."""
    try:
        report = roll_over(storage, device, keep, openable_key=key_id)
    except EngineError as error:
        return None, [
            "The image is made, but old ones were not rolled over: %s Let the operator do it, or the next run." % error
        ]
    return report, report.warnings


def _restore(storage: Storage, job: Dict[str, Any], status: _Status) -> Dict[str, Any]:
    started = time.monotonic()
    targets = {str(name): str(path) for name, path in mapping_of(job, "map").items()}
    password = passwords_of(job).password
    overwrite = bool(job.get("overwrite"))
    image = str(job.get("image") or "latest")
    reader = ImageReader(storage, job["device"], image, password)
    words = sentences(plan(reader, targets, overwrite), reader.image)
    if job.get("check"):
        return {"changed": True, "image": reader.image, "plan": words, "disks": []}
    done = restore(
        storage,
        job["device"],
        reader.image,
        targets,
        password=password,
        overwrite=overwrite,
        progress=status.progress,
    )
    disks = [disk._asdict() for disk in done]
    seconds = round(time.monotonic() - started, 1)
    return {"changed": True, "image": reader.image, "plan": words, "disks": disks, "seconds": seconds}


# -- disks ------------------------------------------------------------------------------------------------------------


def _open_disks(job: Dict[str, Any]) -> List[OpenedDisk]:
    drives = job.get("drives")
    if not isinstance(drives, list) or not drives:
        raise JobInvalid(
            reason="imaging_drives must list disks or image files; all and system come with the agent for real devices"
        )
    snapshot = job.get("snapshot") or "required"
    if snapshot not in ("required", "preferred", "none"):
        raise JobInvalid(reason="imaging_snapshot is %r" % snapshot)
    patterns = patterns_of(job)
    opened: List[OpenedDisk] = []
    seen: Set[str] = set()
    try:
        for drive in drives:
            path = os.path.realpath(str(drive))
            if not os.path.isabs(str(drive)):
                raise DiskNotFound(path=drive)
            if path not in seen:
                seen.add(path)
                opened.append(_open_disk(path, snapshot, patterns))
    except BaseException:
        for disk in opened:
            disk.source.close()
        raise
    return opened


def _open_disk(path: str, snapshot: str, patterns: List[Pattern]) -> OpenedDisk:
    source = FileSource(path)
    try:
        if not source.is_device:
            source.sector_bytes = detect_sector_bytes(source) or source.sector_bytes
        layout = read_layout(source)
        uses = [use for use in uses_of(path) if not use.read_only]
        if uses and snapshot == "required":
            raise VolumeMounted(path=path, mount_point=uses[0].mount_point)
        planned = plan_disk(source, layout, lambda partition: _state(partition, uses), exclude=patterns)
        if uses:
            planned.warnings.append("%s is in use at %s and was read live." % (path, uses[0].mount_point))
        return OpenedDisk(path, source, layout, planned, stable_id(path, layout), bool(uses))
    except BaseException:
        source.close()
        raise


def _state(partition: Partition, uses: List[Use]) -> VolumeState:
    end = partition.start_bytes + partition.length_bytes
    if any(use.start_bytes < end and use.end_bytes > partition.start_bytes for use in uses):
        return VolumeState.LIVE
    return VolumeState.OFFLINE


def stable_id(path: str, layout: DiskLayout) -> str:
    """What names the disk tomorrow too: its serial, else its table's id, else its path."""
    folder = "/sys/class/block/%s" % os.path.basename(path)
    for name, place in (("wwn", "wwid"), ("serial", "device/serial"), ("wwn", "device/wwid")):
        try:
            with open("%s/%s" % (folder, place), encoding="ascii", errors="replace") as file:
                value = file.readline(256).strip()
        except OSError:
            continue
        if value and path.startswith("/dev/"):
            return "%s:%s" % (name, value)
    return "%s:%s" % (layout.scheme, layout.disk_id) if layout.disk_id else "path:%s" % path


def _describe(number: int, disk: OpenedDisk) -> Dict[str, Any]:
    return {
        "name": "disk%d" % number,
        "stable_id": disk.stable_id,
        "layout": disk.layout.as_dict(),
        "volumes": [
            {
                key: value
                for key, value in volume.as_dict().items()
                if key not in ("in_use_bytes", "left_out_bytes", "reason", "trusted")
            }
            for volume in disk.plan.volumes
        ],
    }


def _paced(source: BlockSource, job: Dict[str, Any], status: _Status) -> PacedSource:
    limit = job.get("limit_read_rate", "auto")
    if limit == "auto":
        return PacedSource(source, adaptive=AdaptiveRate(cancelled=status.cancelled))
    rate = float(number_of(job, "limit_read_rate", 0, 0)) * 1e6
    return PacedSource(source, bucket=TokenBucket(rate, cancelled=status.cancelled))


def _previous_information(storage: Storage, device: str, password: Optional[str]) -> Optional[Dict[str, Any]]:
    if stored_identity(storage, device) is None:
        return None
    try:
        reader = ImageReader(storage, device, "latest", password)
        return documents.parse(reader.document(fmt.DEVICE_INFORMATION_NAME))
    except ImageNotFound:
        return None
    except (EngineError, ValueError):
        return None  # rule 6 and damage are reported by the run itself; a comparison is not worth failing for


def to_line(event: Dict[str, Any]) -> str:
    return json.dumps(event, sort_keys=True)


def _for_operator(verb: Callable[..., Dict[str, Any]]) -> Callable[..., Dict[str, Any]]:
    return lambda storage, job, status: verb(storage, job, status.report, status.progress)


_VERBS: Dict[str, Callable[..., Dict[str, Any]]] = {
    "image": _image,
    "restore": _restore,
    "verify": _for_operator(operator_verbs.verify),
    "list": _for_operator(operator_verbs.list_images),
    "check": _for_operator(operator_verbs.check),
    "rollover": _for_operator(operator_verbs.rollover),
}
